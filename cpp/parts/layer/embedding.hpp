#pragma once

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
        const auto own = tile(number);
        std::fill_n(g, own.count, T(0));
        const Index first = number * block_, end = first + own.count / units_;
        for (Index i = rows.begin * this->in; i < rows.end * this->in; ++i)
            if (const Index k = code(x[i]); k >= first && k < end)
                axpy(T(1), dy + i * units_, g + (k - first) * units_, units_);
    }

private:
    static constexpr Index most_tiles = 64;

    Index code(T x) const { return std::clamp<Index>(Index(x), 0, codes_ - 1); }  // Python has looked at them

    const Index codes_, units_, block_;
};

}  // namespace fg
