#pragma once

#include <span>

#include "kernel/gemm.hpp"
#include "parts/layer/layer.hpp"
#include "parts/layer/window.hpp"

namespace fg {

// A convolution with a filter for each channel: y = f(sum over taps of w x + b), channel by channel. Sifre (2014),
// "Rigid-motion scattering for image classification", section 6.2. Weights are (kernel height * kernel width,
// channels).
template <class T>
class DepthwiseLayer final : public Layer<T> {
public:
    DepthwiseLayer(const Window& window, bool bias, std::unique_ptr<Activate<T>> activation)
        : Layer<T>(window.size(), window.positions() * window.channels),
          window_(window),
          images_(window),
          bias_(bias),
          activation_(std::move(activation)),
          starts_(window.starts()),
          taps_(window.offsets()) {}

    std::vector<ParameterArray> parameters() const override {
        std::vector<ParameterArray> parameters{{"coef", window_.taps(), window_.channels, true}};
        if (bias_) parameters.push_back({"intercept", 1, window_.channels, false});
        return parameters;
    }

    void prepare(Index rows, bool) override {
        workspace_ = images_.prepare(rows) + activation_.prepare(rows * this->out);
    }
    Index scratch(Index, bool) const override { return window_.pads() ? window_.padded_size() : 0; }

    void forward(const Pass& pass, const T* x, T* y, Rows rows) override {
        const Index n = window_.channels;
        const std::span<const Index> starts = starts_, taps = taps_;  // so that stores do not make it look again
        for (Index i = rows.begin; i < rows.end; ++i) {
            const T* const image = images_.pad(x, i, pass.training, this->scratch_of(pass));
            T* const z = y + i * this->out;
            for (std::size_t p = 0; p < starts.size(); ++p)
                by_lanes<T>(n, [&](Index c, auto width) FG_INLINED {
                    constexpr int N = decltype(width)::value;
                    const T *const from = image + starts[p] + c, *const w = this->w_[0] + c;
                    Pack<T, N> sum = bias_ ? load<N>(this->w_[1] + c) : zero<Pack<T, N>>();
                    for (std::size_t k = 0; k < taps.size(); ++k)
                        sum += load<N>(from + taps[k]) * load<N>(w + Index(k) * n);
                    store<N>(z + Index(p) * n + c, sum);
                });
            activation_.forward(pass.training, y, i * this->out, this->out);
        }
    }

    void backward(const Pass& pass, const T*, const T* y, T* dy, T* dx, Rows rows) override {
        const Index n = window_.channels;
        const std::span<const Index> starts = starts_, taps = taps_;  // so that stores do not make it look again
        for (Index i = rows.begin; i < rows.end; ++i) {
            T* const dz = dy + i * this->out;
            activation_.slope(y, dy, i * this->out, this->out);
            if (!dx) continue;
            window_.collect(dx + i * this->in, this->scratch_of(pass), true, [&](T* image) {
                for (std::size_t p = 0; p < starts.size(); ++p)
                    by_lanes<T>(n, [&](Index c, auto width) FG_INLINED {
                        constexpr int N = decltype(width)::value;
                        const Pack<T, N> slope = load<N>(dz + Index(p) * n + c);
                        for (std::size_t k = 0; k < taps.size(); ++k) {
                            T* const to = image + starts[p] + taps[k] + c;
                            store<N>(to, load<N>(to) + slope * load<N>(this->w_[0] + Index(k) * n + c));
                        }
                    });
            });
        }
    }

    double cost() const override { return work(); }
    void gradient(const Pass&, Rows rows, Index number, const T* x, const SparseRow<T>*, const T* dz, T* g) override {
        const Index n = window_.channels;
        const std::span<const Index> starts = starts_, taps = taps_;  // so that stores do not make it look again
        dz += rows.begin * this->out;
        if (number == 1) {
            sum_rows(dz, rows.count() * window_.positions(), n, g);
            return;
        }
        std::fill_n(g, window_.taps() * n, T(0));
        for (Index i = rows.begin; i < rows.end; ++i, dz += this->out) {
            const T* const image = images_.padded(x, i);
            for (std::size_t k = 0; k < taps.size(); ++k)
                by_lanes<T>(n, [&](Index c, auto width) FG_INLINED {
                    constexpr int N = decltype(width)::value;
                    const T* const from = image + taps[k] + c;
                    T* const to = g + Index(k) * n + c;
                    Pack<T, N> sum = load<N>(to);
                    for (std::size_t p = 0; p < starts.size(); ++p)
                        sum += load<N>(from + starts[p]) * load<N>(dz + Index(p) * n + c);
                    store<N>(to, sum);
                });
        }
    }

    double work() const override { return double(window_.positions() * window_.taps() * window_.channels); }
    Index workspace() const override { return workspace_; }
    Capabilities capabilities() const override { return {.reads_output = activation_.reads_output()}; }
    std::unique_ptr<Activate<T>> give_activation() override { return activation_.give(); }

private:
    const Window window_;
    Images<T> images_;
    const bool bias_;
    OutputActivation<T> activation_;
    const std::vector<Index> starts_, taps_;
    Index workspace_ = 0;
};

}  // namespace fg
