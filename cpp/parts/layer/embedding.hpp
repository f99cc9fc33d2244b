#pragma once

#include <limits>

#include "parts/layer/layer.hpp"

namespace fg {

// Each number of a row, a code 0, ..., codes - 1, becomes a vector: that row of the weights. Bengio et al. (2003), "A
// neural probabilistic language model".
template <class T>
class EmbeddingLayer final : public Layer<T> {
public:
    EmbeddingLayer(Index codes, Index units, Index steps)
        : Layer<T>(steps, steps * units),
          codes_(codes),
          units_(units),
          block_(std::max<Index>(64, (codes + most_tiles - 1) / most_tiles)) {}

    std::vector<ParameterArray> parameters() const override { return {{"coef", codes_, units_, true}}; }

    void forward(const Pass&, const T* x, T* y, Rows rows) override {
        for (Index i = rows.begin * this->in; i < rows.end * this->in; ++i)
            std::copy_n(this->w_[0] + code(x[i]) * units_, units_, y + i * units_);
    }
    void backward(const Pass&, const T*, const T*, T*, T* dx, Rows rows) override {
        if (dx) std::fill_n(dx + rows.begin * this->in, rows.count() * this->in, T(0));
    }

    // Each tile looks for its codes in every row, so there must not be too many.
    Index tiles() const override { return (codes_ + block_ - 1) / block_; }
    double cost() const override { return double(this->out) / double(tiles()); }
    ParameterTile tile(Index number) const override {
        return {0, number * block_ * units_, (std::min(codes_, (number + 1) * block_) - number * block_) * units_};
    }
    void gradient(const Pass&, Rows rows, Index number, const T* x, const SparseRow<T>*, const T* dy, T* g) override {
        std::fill_n(g, tile(number).count, T(0));
        each_code(rows, {number, number + 1}, x,
                  [&](Index i, Index k) { axpy(T(1), dy + i * units_, g + k * units_, units_); });
    }

    Index touched_width(Index, bool) const override { return units_; }
    void add_touched(Rows rows, Rows tiles, const T* x, const SparseRow<T>*, const T* dy,
                     TouchedSet<T>* touched) const override {
        each_code(rows, tiles, x, [&](Index i, Index k) {
            const Index t = k / block_;
            axpy(T(1), dy + i * units_, touched[t].gradient_of(k - t * block_), units_);
        });
    }

private:
    static constexpr Index most_tiles = 64;

    // Calls f(i, k) for the numbers x[i] of some rows whose code is the k-th of some tiles.
    template <class F>
    void each_code(Rows rows, Rows tiles, const T* x, const F& f) const {
        const Index first = tiles.begin * block_, last = tiles.end * block_;
        constexpr T all =
            std::numeric_limits<T>::infinity();  // numbers below and above all codes count as the next one
        const T low = first == 0 ? -all : T(first), high = last >= codes_ ? all : T(last);
        for (Index i = rows.begin * this->in; i < rows.end * this->in; ++i)
            if (x[i] >= low && x[i] < high) f(i, code(x[i]) - first);
    }

    Index code(T x) const { return std::clamp<Index>(Index(x), 0, codes_ - 1); }  // Python has looked at them

    const Index codes_, units_, block_;
};

}  // namespace fg
