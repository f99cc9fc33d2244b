#pragma once

#include <cmath>

#include "parts/layer/layer.hpp"

namespace fg {

// y = scale (x - mean) / sqrt(variance + epsilon) + shift with mean and variance over the features of each row (and
// position). Ba, Kiros & Hinton (2016), "Layer normalization". With u = dy scale and x^ the normalised x,
//   dx = (u - mean(u) - x^ mean(u x^)) / sqrt(variance + epsilon), dscale = sum of dy x^, dshift = sum of dy
template <class T>
class LayerNormLayer final : public Layer<T> {
public:
    LayerNormLayer(Index features, Index positions, double epsilon, bool affine)
        : Layer<T>(features * positions, features * positions),
          features_(features),
          positions_(positions),
          epsilon_(epsilon),
          affine_(affine) {}

    std::vector<ParameterArray> parameters() const override {
        if (!affine_) return {};
        return {{"scale", 1, features_, false}, {"shift", 1, features_, false}};
    }

    void prepare(Index rows, bool) override {
        parts_ = Buffer<T>(2 * granules_of(rows) * features_);
        moments_ = Buffer<T>(2 * rows * positions_);
        workspace_ = 2 * granules_of(rows) * features_ + 2 * rows * positions_;
    }

    void forward(const Pass& pass, const T* x, T* y, Rows rows) override {
        for (Index i = rows.begin * positions_; i < rows.end * positions_; ++i) {
            const T* FG_RESTRICT const from = x + i * features_;
            T* FG_RESTRICT const to = y + i * features_;
            T sum = 0, spread = 0;
#pragma omp simd reduction(+ : sum)
            for (Index k = 0; k < features_; ++k) sum += from[k];
            const T mean = sum / T(features_);
#pragma omp simd reduction(+ : spread)
            for (Index k = 0; k < features_; ++k) spread += (from[k] - mean) * (from[k] - mean);
            const T inverse = T(1.0 / std::sqrt(double(spread) / double(features_) + epsilon_));
            for (Index k = 0; k < features_; ++k) to[k] = (from[k] - mean) * inverse;
            for (Index k = 0; affine_ && k < features_; ++k) to[k] = to[k] * this->w_[0][k] + this->w_[1][k];
            if (!pass.training) continue;
            moments_.data()[2 * i] = mean;
            moments_.data()[2 * i + 1] = inverse;
        }
    }

    void backward(const Pass&, const T* x, const T*, T* dy, T* dx, Rows rows) override {
        for (Index first = rows.begin; first < rows.end; first += granule) {
            T *const b = part(first / granule, 0), *const a = part(first / granule, 1);
            std::fill_n(b, 2 * features_, T(0));
            const Index end = std::min(rows.end, first + granule) * positions_;
            for (Index i = first * positions_; i < end; ++i) {
                const T mean = moments_.data()[2 * i], inverse = moments_.data()[2 * i + 1];
                const T* FG_RESTRICT const from = x + i * features_;
                const T* FG_RESTRICT const slope = dy + i * features_;
                T sum = 0, along = 0;
                for (Index k = 0; k < features_; ++k) {
                    b[k] += slope[k] * ((from[k] - mean) * inverse);
                    a[k] += slope[k];
                }
                if (!dx) continue;
                T* FG_RESTRICT const to = dx + i * features_;
                for (Index k = 0; k < features_; ++k) to[k] = affine_ ? slope[k] * this->w_[0][k] : slope[k];
#pragma omp simd reduction(+ : sum, along)
                for (Index k = 0; k < features_; ++k) {
                    sum += to[k];
                    along += to[k] * ((from[k] - mean) * inverse);
                }
                sum /= T(features_);
                along /= T(features_);
                for (Index k = 0; k < features_; ++k)
                    to[k] = inverse * (to[k] - sum - (from[k] - mean) * inverse * along);
            }
        }
    }

    void gradient(const Pass&, Rows rows, Index number, const T*, const SparseRow<T>*, const T*, T* g) override {
        for (Index k = 0; k < features_; ++k) {
            double sum = 0.0;
            for (Index q = rows.begin / granule; q < granules_of(rows.end); ++q) sum += double(part(q, number)[k]);
            g[k] = T(sum);
        }
    }

    Index workspace() const override { return workspace_; }

private:
    T* part(Index g, Index which) { return parts_.data() + (2 * g + which) * features_; }

    const Index features_, positions_;
    const double epsilon_;
    const bool affine_;
    Index workspace_ = 0;
    Buffer<T> parts_;    // (granules, 2, features): sums for scale and shift
    Buffer<T> moments_;  // (positions of the batch, 2): mean and inverse deviation
};

}  // namespace fg
