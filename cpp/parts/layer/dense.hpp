#pragma once

#include "kernel/gemm.hpp"
#include "parts/layer/layer.hpp"

namespace fg {

// y = f(x W + b) with an activation f. Where a row has several positions (time, pixels), each is multiplied by itself.
// Gradients: dz = dy f'(z), dx = dz W', dW = x' dz, db = sum of dz. Rumelhart, Hinton & Williams (1986).
template <class T>
class DenseLayer final : public Layer<T> {
public:
    DenseLayer(Index features, Index units, Index positions, bool bias, std::unique_ptr<Activate<T>> activation,
               bool first)
        : Layer<T>(features * positions, units * positions),
          features_(features),
          units_(units),
          positions_(positions),
          bias_(bias),
          first_(first),
          block_(features <= 4 * group_rows ? group_rows : 4 * group_rows),
          activation_(std::move(activation)) {}

    std::vector<ParameterArray> parameters() const override {
        std::vector<ParameterArray> parameters{{"coef", features_, units_, true}};
        if (bias_) parameters.push_back({"intercept", 1, units_, false});
        return parameters;
    }

    void prepare(Index rows, bool sparse) override {
        // Each tile looks for its features in every sparse row, so there must not be too many.
        if (sparse) block_ = std::max(block_, (features_ + most_sparse_tiles - 1) / most_sparse_tiles);
        const Index n = rows * positions_;
        slopes_ = Buffer<T>(panels_size<T>(n, units_));
        workspace_ = panels_size<T>(n, units_) + activation_.prepare(n * units_);
        sparse_ = sparse;
        changed();
    }
    void changed() override {
        if (!sparse_) pack(true);
    }
    void refresh(Index rows) override {
        packed_ = false;
        if (rows * positions_ >= 2 * group_rows) pack(false);
    }

    void forward(const Pass& pass, const T* x, T* y, Rows rows) override {
        const Index begin = rows.begin * positions_, count = rows.count() * positions_;
        const Left<T> left{x + begin * features_, features_, 1};
        T* const z = y + begin * units_;
        if (packed_) {
            multiply<T>(left, {weights_.data(), features_}, count, units_, features_, {this->bias(), 0}, z, units_);
        } else {
            multiply_rows(left, this->w_[0], count, units_, features_, this->bias(), z);
        }
        activation_.forward(pass.training, y, begin * units_, count * units_);
    }

    void forward(const Pass& pass, const SparseRow<T>* x, T* y, Rows rows) override {
        for (Index i = rows.begin; i < rows.end; ++i)
            multiply_sparse(x[i], this->w_[0], units_, this->bias(), y + i * units_);
        activation_.forward(pass.training, y, rows.begin * units_, rows.count() * units_);
    }

    void backward(const Pass& pass, const T*, const T* y, T* dy, T* dx, Rows rows) override {
        const Index begin = rows.begin * positions_, count = rows.count() * positions_, at = begin * units_;
        activation_.slope(y, dy, at, count * units_);
        if (units_ > 1) pack_rows(dy, units_, pass.rows * positions_, units_, begin, begin + count, slopes_.data());
        if (dx)
            multiply<T>({dy + at, units_, 1}, {transposed_.data(), units_}, count, features_, units_, {},
                        dx + begin * features_, features_);
    }

    // A tile has the weights of some features; the last one is the bias.
    Index tiles() const override { return blocks() + bias_; }
    double cost() const override {
        return double(std::min(features_, units_ == 1 ? features_ : block_) * units_ * positions_);
    }
    ParameterTile tile(Index number) const override {
        if (number == blocks()) return {1, 0, units_};
        const Rows features = features_of(number);
        return {0, features.begin * units_, features.count() * units_};
    }
    void gradient(const Pass& pass, Rows rows, Index number, const T* x, const SparseRow<T>* sparse, const T* dz,
                  T* g) override {
        const Index from = rows.begin * positions_, n = rows.count() * positions_;
        dz += from * units_;
        if (number == blocks()) {
            sum_rows(dz, n, units_, g);
            return;
        }
        const Index first = features_of(number).begin, count = features_of(number).count();
        if (sparse) {
            std::fill_n(g, count * units_, T(0));
            each_entry(rows, {number, number + 1}, sparse, [&, dz = dz - from * units_](Index i, Index j, T value) {
                axpy(value, dz + i * units_, g + j * units_, units_);
            });
        } else if (units_ == 1) {
            sum_products(dz, x + from * features_, n, features_, g);
        } else {
            const Index whole = pass.rows * positions_;
            multiply<T>({x + from * features_ + first, 1, features_}, {slopes_.data(), whole, from}, count, units_, n,
                        {}, g, units_);
        }
    }
    Index touched_width(Index number, bool sparse) const override { return sparse && number < blocks() ? units_ : 0; }
    void add_touched(Rows rows, Rows tiles, const T*, const SparseRow<T>* sparse, const T* dz,
                     TouchedSet<T>* touched) const override {
        each_entry(rows, tiles, sparse, [&](Index i, Index j, T value) {
            const Index t = units_ == 1 ? 0 : j / block_;
            axpy(value, dz + i * units_, touched[t].gradient_of(j - t * block_), units_);
        });
    }
    void moved(Index number) override {
        if (number == blocks() || sparse_) return;
        const auto [begin, end] = features_of(number);
        pack_rows(this->w_[0], units_, features_, units_, begin, end, weights_.data());
        if (!first_) pack_transposed(this->w_[0], units_, units_, features_, begin, end, transposed_.data());
    }

    double work() const override { return double(features_ * units_ * positions_); }
    Index workspace() const override { return workspace_; }
    Capabilities capabilities() const override {
        return {.takes_sparse = positions_ == 1,
                .wants_many_rows = positions_ < group_rows,
                .reads_output = activation_.reads_output()};
    }

private:
    static constexpr Index most_sparse_tiles = 64;

    Index blocks() const { return units_ == 1 ? 1 : (features_ + block_ - 1) / block_; }
    Rows features_of(Index number) const {
        return {number * block_, units_ == 1 ? features_ : std::min(features_, (number + 1) * block_)};
    }
    // Calls f(i, j, value) for the entries of sparse rows i whose feature is the j-th of some tiles.
    template <class F>
    void each_entry(Rows rows, Rows tiles, const SparseRow<T>* sparse, const F& f) const {
        const Index begin = features_of(tiles.begin).begin, end = features_of(tiles.end - 1).end;
        for (Index i = rows.begin; i < rows.end; ++i)
            sparse[i].each_within(begin, end, [&](Index j, T value) { f(i, j - begin, value); });
    }
    const T* bias() const { return bias_ ? this->w_[1] : nullptr; }

    void pack(bool back) {
        packed_ = true;
        if (!weights_.data()) weights_ = Buffer<T>(panels_size<T>(features_, units_));
        if (back && !first_ && !transposed_.data()) transposed_ = Buffer<T>(panels_size<T>(units_, features_));
        pack_rows(this->w_[0], units_, features_, units_, 0, features_, weights_.data());
        if (back && !first_) pack_transposed(this->w_[0], units_, units_, features_, 0, features_, transposed_.data());
    }

    const Index features_, units_, positions_;
    const bool bias_, first_;  // first: nobody wants dx
    Index block_;              // features of a tile
    OutputActivation<T> activation_;
    Index workspace_ = 0;
    bool sparse_ = false;  // training is on sparse rows: nobody wants panels
    bool packed_ = false;
    Buffer<T> weights_, transposed_;  // in panels
    Buffer<T> slopes_;                // dz of the batch, in panels
};

}  // namespace fg
