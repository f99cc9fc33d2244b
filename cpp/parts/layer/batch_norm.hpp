#pragma once

#include <cmath>

#include "core/pack.hpp"
#include "parts/layer/layer.hpp"

namespace fg {

// y = scale (x - mean) / sqrt(variance + epsilon) + shift, by feature. Ioffe & Szegedy (2015), "Batch normalization".
// In training mean and variance are those of the batch (all its rows and positions, the variance divided by their
// number); otherwise running means of them: r <- r + momentum (batch's - r), with the variance divided by one less, as
// in torch. A batch with a single number a feature has no variance: it is normalised to 0, and leaves the running means
// as they are.
//
// Slopes, with x^ the normalised x, n numbers a feature, a = sum of dy, b = sum of dy x^:
//   dscale = b, dshift = a, dx = scale / sqrt(variance + epsilon) (dy - a / n - x^ b / n)
template <class T>
class BatchNormLayer final : public Layer<T> {
public:
    BatchNormLayer(Index features, Index positions, double epsilon, double momentum, bool affine)
        : Layer<T>(features * positions, features * positions),
          features_(features),
          positions_(positions),
          epsilon_(epsilon),
          momentum_(momentum),
          affine_(affine) {}

    std::vector<ParameterArray> parameters() const override {
        if (!affine_) return {};
        return {{"scale", 1, features_, false}, {"shift", 1, features_, false}};
    }
    std::vector<ParameterArray> kept() const override {
        return {{"mean", 1, features_, false}, {"variance", 1, features_, false}};
    }

    void prepare(Index rows, bool) override {
        sums_ = Buffer<T>(2 * granules_of(rows) * features_);
        moments_.resize(std::size_t(5 * features_));
        workspace_ = 2 * granules_of(rows) * features_;
    }

    Capabilities capabilities() const override { return {.sums_over_batch = true}; }

    // Mean and sum of squared deviations of every granule: some positions at a time, in two passes over them, joined as
    // below.
    void sum_up(const T* x, Rows rows) override {
        each_granule(rows, [&](Index g, Index first, Index begin, Index end) {
            by_lanes<T>(features_, [&](Index c, auto width) FG_INLINED {
                constexpr int N = decltype(width)::value;
                using P = Pack<T, N>;
                T *const mean = part(g, 0) + c, *const spread = part(g, 1) + c;
                const T before = T(begin - first), n = T(end - begin), share = T(1) / n, new_share = n / (before + n);
                const P own =
                    share * sum_of<N>(begin, end, [&](Index k) FG_INLINED { return load<N>(x + k * features_ + c); });
                const P own_spread = sum_of<N>(begin, end, [&](Index k) FG_INLINED {
                    const P far = load<N>(x + k * features_ + c) - own;
                    return far * far;
                });
                const P mean_before = begin > first ? load<N>(mean) : zero<P>();
                const P spread_before = begin > first ? load<N>(spread) : zero<P>();
                const P far = own - mean_before;
                store<N>(mean, mean_before + new_share * far);
                store<N>(spread, spread_before + own_spread + (new_share * before) * (far * far));
            });
        });
    }
    // Granules are joined as by Chan, Golub & LeVeque (1983), "Algorithms for computing the sample variance".
    void conclude(const Pass& pass) override {
        double *const mean = moments_.data(), *const spread = mean + features_;
        std::fill_n(mean, 2 * features_, 0.0);
        double so_far = 0.0;
        for (Index g = 0; g < granules_of(pass.rows); ++g) {
            const double n = double((std::min(pass.rows, (g + 1) * granule) - g * granule) * positions_);
            const double all = so_far + n;
            for (Index k = 0; k < features_; ++k) {
                const double far = double(part(g, 0)[k]) - mean[k];
                mean[k] += far * (n / all);
                spread[k] += double(part(g, 1)[k]) + far * far * (so_far * n / all);
            }
            so_far = all;
        }
        for (Index k = 0; k < features_; ++k) inverse()[k] = 1.0 / std::sqrt(spread[k] / so_far + epsilon_);
        if (so_far < 2.0) return;
        T *const running = this->kept_[0], *const running_variance = this->kept_[1];
        for (Index k = 0; k < features_; ++k) {
            running[k] = T(double(running[k]) + momentum_ * (mean[k] - double(running[k])));
            running_variance[k] =
                T(double(running_variance[k]) + momentum_ * (spread[k] / (so_far - 1.0) - double(running_variance[k])));
        }
    }

    void forward(const Pass& pass, const T* x, T* y, Rows rows) override {
        each_granule(rows, [&](Index, Index, Index begin, Index end) {
            by_lanes<T>(features_, [&](Index c, auto width) FG_INLINED {
                constexpr int N = decltype(width)::value;
                using P = Pack<T, N>;
                const Moments<N> own = pass.training ? moments<N>(c) : running<N>(c);
                const P scale = affine_ ? load<N>(this->w_[0] + c) : all<P>(1.0);
                const P shift = affine_ ? load<N>(this->w_[1] + c) : zero<P>();
                for (Index i = begin; i < end; ++i) {
                    const P normalised = (load<N>(x + i * features_ + c) - own.mean) * own.inverse;
                    store<N>(y + i * features_ + c, normalised * scale + shift);
                }
            });
        });
    }

    void sum_up_back(const T* x, const T* dy, Rows rows) override {
        each_granule(rows, [&](Index g, Index first, Index begin, Index end) {
            by_lanes<T>(features_, [&](Index c, auto width) FG_INLINED {
                constexpr int N = decltype(width)::value;
                using P = Pack<T, N>;
                T *const a = part(g, 0) + c, *const b = part(g, 1) + c;
                const Moments<N> own = moments<N>(c);
                const auto slope = [&](Index k) FG_INLINED { return load<N>(dy + k * features_ + c); };
                const P slopes = sum_of<N>(begin, end, slope);
                const P products = sum_of<N>(begin, end, [&](Index k) FG_INLINED {
                    return slope(k) * ((load<N>(x + k * features_ + c) - own.mean) * own.inverse);
                });
                store<N>(a, begin == first ? slopes : load<N>(a) + slopes);
                store<N>(b, begin == first ? products : load<N>(b) + products);
            });
        });
    }
    void conclude_back(const Pass& pass) override {
        const Index granules = granules_of(pass.rows);
        std::fill_n(sum_a(), 2 * features_, 0.0);
        for (Index g = 0; g < granules; ++g)
            for (Index k = 0; k < features_; ++k) {
                sum_a()[k] += double(part(g, 0)[k]);
                sum_b()[k] += double(part(g, 1)[k]);
            }
    }
    void backward(const Pass& pass, const T* x, const T*, T* dy, T* dx, Rows rows) override {
        if (!dx) return;
        const double share = 1.0 / double(pass.rows * positions_);
        each_granule(rows, [&](Index, Index, Index begin, Index end) {
            by_lanes<T>(features_, [&](Index c, auto width) FG_INLINED {
                constexpr int N = decltype(width)::value;
                using P = Pack<T, N>;
                T as[N], bs[N];
                for (int k = 0; k < N; ++k) {
                    as[k] = T(sum_a()[c + k] * share);
                    bs[k] = T(sum_b()[c + k] * share);
                }
                const Moments<N> own = moments<N>(c);
                const P a = load<N>(as), b = load<N>(bs);
                const P factor = affine_ ? load<N>(this->w_[0] + c) * own.inverse : own.inverse;
                for (Index i = begin; i < end; ++i) {
                    const P normalised = (load<N>(x + i * features_ + c) - own.mean) * own.inverse;
                    store<N>(dx + i * features_ + c, factor * (load<N>(dy + i * features_ + c) - a - normalised * b));
                }
            });
        });
    }

    void gradient(const Pass&, Rows rows, Index number, const T*, const SparseRow<T>*, const T*, T* g) override {
        const double* const sums = number == 0 ? sum_b() : sum_a();
        for (Index k = 0; k < features_; ++k)
            g[k] = rows.begin == 0 ? T(sums[k]) : T(0);  // the meeting summed them all
    }

    Index workspace() const override { return workspace_; }

private:
    // Calls f(granule, its first position, begin, end) for some positions at a time, few enough to stay in the
    // first-level cache for all registers of features.
    template <class F>
    void each_granule(Rows rows, F&& f) {
        const Index some = std::max(granule, (16 << 10) / Index(sizeof(T)) / std::max<Index>(features_, 1));
        for (Index i = rows.begin; i < rows.end;) {
            const Index g = i / granule, last = std::min(rows.end, (g + 1) * granule), end = last * positions_;
            for (Index k = i * positions_; k < end; k += some)
                f(g, g * granule * positions_, k, std::min(end, k + some));
            i = last;
        }
    }
    // In four chains, for one would wait for its sums.
    template <int N, class F>
    static FG_INLINE Pack<T, N> sum_of(Index begin, Index end, F&& f) {
        Pack<T, N> s[4];
        clear(s);
        Index i = begin;
        for (; i + 4 <= end; i += 4)
            for (int k = 0; k < 4; ++k) s[k] += f(i + k);
        for (; i < end; ++i) s[0] += f(i);
        return (s[0] + s[1]) + (s[2] + s[3]);
    }
    // Mean and inverse deviation of some features.
    template <int N>
    struct Moments {
        Pack<T, N> mean, inverse;
    };
    // Of the batch.
    template <int N>
    FG_INLINE Moments<N> moments(Index c) {
        T means[N], inverses[N];
        for (int k = 0; k < N; ++k) {
            means[k] = T(moments_[std::size_t(c + k)]);
            inverses[k] = T(inverse()[c + k]);
        }
        return {load<N>(means), load<N>(inverses)};
    }
    template <int N>
    FG_INLINE Moments<N> running(Index c) {
        T inverses[N];
        for (int k = 0; k < N; ++k) inverses[k] = T(1.0 / std::sqrt(double(this->kept_[1][c + k]) + epsilon_));
        return {load<N>(this->kept_[0] + c), load<N>(inverses)};
    }
    T* part(Index g, Index which) { return sums_.data() + (2 * g + which) * features_; }
    double* inverse() { return moments_.data() + 2 * features_; }
    double* sum_a() { return moments_.data() + 3 * features_; }
    double* sum_b() { return moments_.data() + 4 * features_; }

    const Index features_, positions_;
    const double epsilon_, momentum_;
    const bool affine_;
    Index workspace_ = 0;
    Buffer<T> sums_;               // (granules, 2, features)
    std::vector<double> moments_;  // mean, spread, inverse deviation, sums a and b
};

}  // namespace fg
