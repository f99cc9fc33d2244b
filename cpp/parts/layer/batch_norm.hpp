#pragma once

#include <cmath>

#include "parts/layer/layer.hpp"

namespace fg {

// y = scale (x - mean) / sqrt(variance + epsilon) + shift, by feature. Ioffe & Szegedy (2015), "Batch normalization".
// In training mean and variance are those of the batch (all its rows and positions, the variance divided by their
// number); otherwise running means of them: r <- r + momentum (batch's - r), with the variance divided by one less, as
// in torch. A batch with a single number a feature has no variance, and counts as one with variance 0.
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

    std::vector<Piece> pieces() const override {
        if (!affine_) return {};
        return {{"scale", 1, features_, false}, {"shift", 1, features_, false}};
    }
    std::vector<Piece> kept() const override {
        return {{"mean", 1, features_, false}, {"variance", 1, features_, false}};
    }

    void prepare(Index rows, bool) override {
        sums_ = Buffer<T>(2 * granules_of(rows) * features_);
        moments_.resize(std::size_t(5 * features_));
        workspace_ = 2 * granules_of(rows) * features_;
    }

    bool meets() const override { return true; }

    // Mean and sum of squared deviations of every granule, in two passes over it.
    void sum_up(const T* x, Rows rows) override {
        each_granule(rows, [&](Index g, Index begin, Index end) {
            T* const mean = part(g, 0);
            T* const spread = part(g, 1);
            std::fill_n(mean, features_, T(0));
            std::fill_n(spread, features_, T(0));
            for (Index i = begin; i < end; ++i)
                for (Index k = 0; k < features_; ++k) mean[k] += x[i * features_ + k];
            const T share = T(1) / T(end - begin);
            for (Index k = 0; k < features_; ++k) mean[k] *= share;
            for (Index i = begin; i < end; ++i)
                for (Index k = 0; k < features_; ++k) {
                    const T far = x[i * features_ + k] - mean[k];
                    spread[k] += far * far;
                }
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
        const double unbiased = std::max(so_far - 1.0, 1.0);
        T *const running = this->kept_[0], *const running_variance = this->kept_[1];
        for (Index k = 0; k < features_; ++k) {
            running[k] = T(double(running[k]) + momentum_ * (mean[k] - double(running[k])));
            running_variance[k] =
                T(double(running_variance[k]) + momentum_ * (spread[k] / unbiased - double(running_variance[k])));
            inverse()[k] = 1.0 / std::sqrt(spread[k] / so_far + epsilon_);
        }
    }

    void forward(const Pass& pass, const T* x, T* y, Rows rows) override {
        each_granule(rows, [&](Index, Index begin, Index end) {
            for (Index first = 0; first < features_; first += strip) {
                const Index n = std::min(strip, features_ - first);
                T mean[strip], inverse[strip];
                for (Index k = 0; k < n; ++k) {
                    const Index f = first + k;
                    mean[k] = pass.training ? T(moments_[std::size_t(f)]) : this->kept_[0][f];
                    inverse[k] =
                        T(pass.training ? this->inverse()[f] : 1.0 / std::sqrt(double(this->kept_[1][f]) + epsilon_));
                }
                const T* const scale = affine_ ? this->w_[0] + first : nullptr;
                const T* const shift = affine_ ? this->w_[1] + first : nullptr;
                for (Index i = begin; i < end; ++i) {
                    const T* FG_RESTRICT const from = x + i * features_ + first;
                    T* FG_RESTRICT const to = y + i * features_ + first;
                    for (Index k = 0; k < n; ++k) to[k] = (from[k] - mean[k]) * inverse[k];
                    for (Index k = 0; affine_ && k < n; ++k) to[k] = to[k] * scale[k] + shift[k];
                }
            }
        });
    }

    void sum_up_back(const T* x, const T* dy, Rows rows) override {
        each_granule(rows, [&](Index g, Index begin, Index end) {
            T *const a = part(g, 0), *const b = part(g, 1);
            std::fill_n(a, features_, T(0));
            std::fill_n(b, features_, T(0));
            for (Index i = begin; i < end; ++i)
                for (Index k = 0; k < features_; ++k) {
                    const T slope = dy[i * features_ + k];
                    a[k] += slope;
                    b[k] += slope * normalised(x[i * features_ + k], k);
                }
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
        each_granule(rows, [&](Index, Index begin, Index end) {
            for (Index i = begin; i < end; ++i)
                for (Index k = 0; k < features_; ++k) {
                    const T scale = affine_ ? this->w_[0][k] : T(1);
                    const T slope = dy[i * features_ + k] - T(sum_a()[k] * share) -
                                    normalised(x[i * features_ + k], k) * T(sum_b()[k] * share);
                    dx[i * features_ + k] = scale * T(inverse()[k]) * slope;
                }
        });
    }

    Index tiles() const override { return affine_ ? 2 : 0; }
    void gradient(const Pass&, Rows rows, Index number, const T*, const SparseRow<T>*, const T*, T* g) override {
        const double* const sums = number == 0 ? sum_b() : sum_a();
        for (Index k = 0; k < features_; ++k)
            g[k] = rows.begin == 0 ? T(sums[k]) : T(0);  // the meeting summed them all
    }

    Index workspace() const override { return workspace_; }

private:
    static constexpr Index strip = 256;

    template <class F>
    void each_granule(Rows rows, F&& f) {
        for (Index i = rows.begin; i < rows.end; i += granule)
            f(i / granule, i * positions_, std::min(rows.end, i + granule) * positions_);
    }
    T* part(Index g, Index which) { return sums_.data() + (2 * g + which) * features_; }
    FG_INLINE T normalised(T x, Index k) { return (x - T(moments_[std::size_t(k)])) * T(inverse()[k]); }
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
