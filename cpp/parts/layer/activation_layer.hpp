#pragma once

#include "parts/layer/layer.hpp"

namespace fg {

// y = f(x), for activations that stand by themselves.
template <class T>
class ActivationLayer final : public Layer<T> {
public:
    ActivationLayer(Index n, std::unique_ptr<Activate<T>> activation)
        : Layer<T>(n, n), activation_(std::move(activation)) {}

    void forward(const Pass&, const T* x, T* y, Rows rows) override {
        const Index at = rows.begin * this->in, n = rows.count() * this->in;
        if (x != y) std::copy_n(x + at, n, y + at);
        if (activation_) activation_->forward(y + at, n);
    }
    void backward(const Pass&, const T* x, const T* y, T* dy, T* dx, Rows rows) override {
        if (!dx) return;
        const Index at = rows.begin * this->in, n = rows.count() * this->in;
        if (dx != dy) std::copy_n(dy + at, n, dx + at);
        if (activation_) activation_->slope((activation_->from_output() ? y : x) + at, dx + at, n);
    }

    Capabilities capabilities() const override {
        const bool from_input = activation_ && !activation_->from_output();
        return {.in_place = !from_input, .reads_output = activation_ && !from_input, .reads_input = from_input};
    }
    std::unique_ptr<Activate<T>> give_activation() override {
        return activation_ && activation_->keeps_order() ? std::move(activation_) : nullptr;
    }

private:
    std::unique_ptr<Activate<T>> activation_;
};

}  // namespace fg
