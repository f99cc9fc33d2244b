#pragma once

#include <limits>
#include <span>

#include "core/math.hpp"
#include "parts/layer/layer.hpp"
#include "parts/layer/window.hpp"

namespace fg {

// The largest number of each window, channel by channel; its slope goes to the first pixel that has it. Padding is
// never the largest; NaN is. Zhou & Chellappa (1988); Jarrett et al. (2009), "What is the best multi-stage architecture
// for object recognition?"
template <class T>
class MaxPoolLayer final : public Layer<T> {
public:
    explicit MaxPoolLayer(const Window& window)
        : Layer<T>(window.size(), window.positions() * window.channels),
          window_(window),
          starts_(window.starts()),
          taps_(window.offsets()) {}

    void prepare(Index rows, bool) override {
        chosen_ = Buffer<Number>(rows * this->out);
        workspace_ = rows * this->out;
    }
    Index scratch(Index, bool) const override { return window_.pads() ? window_.padded_size() : 0; }

    void forward(const Pass& pass, const T* x, T* y, Rows rows) override {
        constexpr T least = -std::numeric_limits<T>::infinity();
        const Index n = window_.channels;
        const std::span<const Index> starts = starts_, taps = taps_;  // so that stores do not make it look again
        for (Index i = rows.begin; i < rows.end; ++i) {
            const T* const image = window_.padded(x + i * this->in, this->scratch_of(pass), least);
            Number* const chosen = pass.training ? chosen_.data() + i * this->out : nullptr;
            for (std::size_t p = 0; p < starts.size(); ++p)
                by_lanes<T>(n, [&](Index c, auto width) FG_INLINED {
                    constexpr int N = decltype(width)::value;
                    const T* const from = image + starts[p] + c;
                    const Index to = i * this->out + Index(p) * n + c;
                    using P = Pack<T, N>;
                    using Numbers = Pack<Number, N>;
                    P best = load<N>(from);
                    Numbers which = zero<Numbers>();
                    for (std::size_t k = 1; k < taps.size(); ++k) {
                        const P value = load<N>(from + taps[k]);
                        const Mask<P> better = either<P>(less<P>(best, value), not_equal<P>(value, value));
                        best = select<P>(better, value, best);
                        which = select<Numbers>(better, Number(k), which);
                    }
                    store<N>(y + to, best);
                    if (chosen) store<N>(chosen + Index(p) * n + c, which);
                });
            if (activation_) activation_->forward(y + i * this->out, this->out);
        }
    }

    void backward(const Pass& pass, const T*, const T* y, T* dy, T* dx, Rows rows) override {
        if (!dx) return;
        const Index n = window_.channels;
        const std::span<const Index> starts = starts_, taps = taps_;  // so that stores do not make it look again
        const bool add = window_.overlaps();
        for (Index i = rows.begin; i < rows.end; ++i) {
            if (activation_) activation_->slope(y + i * this->out, dy + i * this->out, this->out);
            window_.collect(dx + i * this->in, this->scratch_of(pass), !window_.partitions(), [&](T* image) {
                for (std::size_t p = 0; p < starts.size(); ++p)
                    by_lanes<T>(n, [&](Index c, auto width) FG_INLINED {
                        constexpr int N = decltype(width)::value;
                        const Index at = i * this->out + Index(p) * n + c;
                        using P = Pack<T, N>;
                        using Numbers = Pack<Number, N>;
                        const P slope = load<N>(dy + at);
                        const Numbers which = load<N>(chosen_.data() + at);
                        for (std::size_t k = 0; k < taps.size(); ++k) {
                            T* const to = image + starts[p] + taps[k] + c;
                            const P own = select<P>(equal<Numbers>(which, Number(k)), slope, zero<P>());
                            store<N>(to, add ? load<N>(to) + own : own);
                        }
                    });
            });
        }
    }

    Index workspace() const override { return workspace_; }
    Capabilities capabilities() const override {
        return {.takes_activation = true, .reads_output = activation_ != nullptr, .reads_input = false};
    }
    void take_activation(std::unique_ptr<Activate<T>> activation) override { activation_ = std::move(activation); }

private:
    using Number = std::conditional_t<sizeof(T) == 8, std::int64_t, std::int32_t>;

    const Window window_;
    const std::vector<Index> starts_, taps_;
    std::unique_ptr<Activate<T>> activation_;
    Index workspace_ = 0;
    Buffer<Number> chosen_;  // which tap it was
};

// The mean of each window, channel by channel; padding does not count. LeCun et al. (1998), "Gradient-based learning
// applied to document recognition" (there with a weight and a bias).
template <class T>
class AveragePoolLayer final : public Layer<T> {
public:
    explicit AveragePoolLayer(const Window& window)
        : Layer<T>(window.size(), window.positions() * window.channels),
          window_(window),
          starts_(window.starts()),
          taps_(window.offsets()) {
        const auto inside = [&](int axis, Index start, Index size) {
            Index count = 0;
            for (Index k = 0; k < window.kernel[axis]; ++k) {
                const Index at = start * window.stride[axis] + k * window.dilation[axis] - window.before[axis];
                count += at >= 0 && at < size;
            }
            return count;
        };
        for (Index y = 0; y < window.out_height(); ++y)
            for (Index x = 0; x < window.out_width(); ++x)
                shares_.push_back(T(1) /
                                  T(std::max<Index>(1, inside(0, y, window.height) * inside(1, x, window.width))));
    }

    Index scratch(Index, bool) const override { return window_.pads() ? window_.padded_size() : 0; }

    void forward(const Pass& pass, const T* x, T* y, Rows rows) override {
        const Index n = window_.channels;
        const std::span<const Index> starts = starts_, taps = taps_;  // so that stores do not make it look again
        for (Index i = rows.begin; i < rows.end; ++i) {
            const T* const image = window_.padded(x + i * this->in, this->scratch_of(pass), T(0));
            for (std::size_t p = 0; p < starts.size(); ++p)
                by_lanes<T>(n, [&](Index c, auto width) FG_INLINED {
                    constexpr int N = decltype(width)::value;
                    const T* const from = image + starts[p] + c;
                    Pack<T, N> sum = load<N>(from);
                    for (std::size_t k = 1; k < taps.size(); ++k) sum += load<N>(from + taps[k]);
                    store<N>(y + i * this->out + Index(p) * n + c, sum * shares_[p]);
                });
        }
    }

    void backward(const Pass& pass, const T*, const T*, T* dy, T* dx, Rows rows) override {
        if (!dx) return;
        const Index n = window_.channels;
        const std::span<const Index> starts = starts_, taps = taps_;  // so that stores do not make it look again
        const bool add = window_.overlaps();
        for (Index i = rows.begin; i < rows.end; ++i) {
            window_.collect(dx + i * this->in, this->scratch_of(pass), !window_.partitions(), [&](T* image) {
                for (std::size_t p = 0; p < starts.size(); ++p)
                    by_lanes<T>(n, [&](Index c, auto width) FG_INLINED {
                        constexpr int N = decltype(width)::value;
                        using P = Pack<T, N>;
                        const P slope = load<N>(dy + i * this->out + Index(p) * n + c) * shares_[p];
                        for (const Index tap : taps) {
                            T* const to = image + starts[p] + tap + c;
                            store<N>(to, add ? load<N>(to) + slope : slope);
                        }
                    });
            });
        }
    }

    Capabilities capabilities() const override { return {.reads_input = false}; }

private:
    const Window window_;
    const std::vector<Index> starts_, taps_;
    std::vector<T> shares_;  // 1 / how many pixels a window has
};

}  // namespace fg
