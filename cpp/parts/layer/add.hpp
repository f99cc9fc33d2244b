#pragma once

#include "parts/layer/layer.hpp"

namespace fg {

// y = x + an earlier value, which ends a residual block. He et al. (2016), "Deep residual learning for image
// recognition". The network adds the slope to the earlier value's, since only it knows whose that is.
template <class T>
class AddLayer final : public Layer<T> {
public:
    explicit AddLayer(Index n) : Layer<T>(n, n) {}

    void earlier(const T* value) { earlier_ = value; }

    void forward(const Pass&, const T* x, T* y, Rows rows) override {
        const Index end = rows.end * this->in;
        for (Index i = rows.begin * this->in; i < end; ++i) y[i] = x[i] + earlier_[i];
    }
    void backward(const Pass&, const T*, const T*, T* dy, T* dx, Rows rows) override {
        if (dx) std::copy_n(dy + rows.begin * this->in, rows.count() * this->in, dx + rows.begin * this->in);
    }

private:
    const T* earlier_ = nullptr;
};

}  // namespace fg
