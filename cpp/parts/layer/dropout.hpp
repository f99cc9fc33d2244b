#pragma once

#include "kernel/random.hpp"
#include "parts/layer/layer.hpp"

namespace fg {

// In training y = x / (1 - rate), or 0 with probability `rate`; otherwise y = x. Srivastava et al. (2014), "Dropout: a
// simple way to prevent neural networks from overfitting"; scaled in training, as in torch ("inverted"). Which entries
// are zero is a function of the step's key, the layer and the place in the batch.
template <class T>
class DropoutLayer final : public Layer<T> {
public:
    DropoutLayer(Index n, double rate, Index number)
        : Layer<T>(n, n),
          threshold_(std::uint64_t(rate * 4294967296.0)),
          factor_(T(1.0 / (1.0 - rate))),
          number_(std::uint64_t(number)) {}

    void forward(const Pass& pass, const T* x, T* y, Rows rows) override { drop(pass, x, y, rows); }
    void backward(const Pass& pass, const T*, const T*, T* dy, T* dx, Rows rows) override {
        if (dx) drop(pass, dy, dx, rows);
    }

    Capabilities capabilities() const override { return {.in_place = true, .reads_input = false}; }

private:
    void drop(const Pass& pass, const T* from, T* to, Rows rows) const {
        const Index at = rows.begin * this->in, n = rows.count() * this->in;
        if (pass.training) {
            keep_some(from + at, n, key_of(pass.key, number_), std::uint64_t(at), threshold_, factor_, to + at);
        } else if (from != to) {
            std::copy_n(from + at, n, to + at);
        }
    }

    const std::uint64_t threshold_;
    const T factor_;
    const std::uint64_t number_;
};

}  // namespace fg
