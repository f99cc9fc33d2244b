// An activation over an array, behind a virtual call.
#pragma once

#include <algorithm>
#include <memory>

#include "core/buffer.hpp"
#include "core/pack.hpp"

namespace fg {

template <class T>
class Activate {
public:
    virtual ~Activate() = default;
    virtual bool from_output() const = 0;           // what `slope` is told: outputs, or inputs
    virtual bool keeps_order() const = 0;           // whether it may act on the largest of some inputs instead
    virtual void forward(T* x, Index n) const = 0;  // x becomes the output
    virtual void slope(const T* v, T* d, Index n) const = 0;  // d *= slope
};

template <class T, class Part>
class ActivateOf final : public Activate<T> {
    static constexpr int L = lanes<T>;

public:
    explicit ActivateOf(const Part& part) : part_(part) {}

    bool from_output() const override { return Part::from_output; }
    bool keeps_order() const override {
        return requires { Part::keeps_order; };
    }

    void forward(T* x, Index n) const override {
        Index i = 0;
        for (; i + L <= n; i += L) store<L>(x + i, part_.at(load<L>(x + i)));
        if (i == n) return;
        alignas(64) T rest[L]{};
        std::copy_n(x + i, n - i, rest);
        store<L>(rest, part_.at(load<L>(rest)));
        std::copy_n(rest, n - i, x + i);
    }
    void slope(const T* v, T* d, Index n) const override {
        Index i = 0;
        for (; i + L <= n; i += L) store<L>(d + i, load<L>(d + i) * part_.slope(load<L>(v + i)));
        if (i == n) return;
        alignas(64) T rest[L]{};
        std::copy_n(v + i, n - i, rest);
        store<L>(rest, part_.slope(load<L>(rest)));
        for (Index k = 0; i + k < n; ++k) d[i + k] *= rest[k];
    }

private:
    const Part part_;
};

// The activation at the end of a layer, if it has one. In training its inputs are kept where its slope needs them.
template <class T>
class OutputActivation {
public:
    explicit OutputActivation(std::unique_ptr<Activate<T>> activation) : activation_(std::move(activation)) {}

    // For so many numbers of a batch; returns how many it takes.
    Index prepare(Index n) {
        if (!activation_ || activation_->from_output()) return 0;
        z_ = Buffer<T>(n);
        return n;
    }
    // z and dy point to the batch, of which n numbers from `at` on are meant.
    void forward(bool training, T* z, Index at, Index n) const {
        if (!activation_) return;
        if (training && z_.data()) std::copy_n(z + at, n, z_.data() + at);
        activation_->forward(z + at, n);
    }
    void slope(const T* y, T* dy, Index at, Index n) const {
        if (activation_) activation_->slope((activation_->from_output() ? y : z_.data()) + at, dy + at, n);
    }

    bool reads_output() const { return activation_ && activation_->from_output(); }
    std::unique_ptr<Activate<T>> give() {
        return activation_ && activation_->keeps_order() ? std::move(activation_) : nullptr;
    }

private:
    std::unique_ptr<Activate<T>> activation_;
    Buffer<T> z_;
};

}  // namespace fg
