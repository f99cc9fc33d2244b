// Gradients that are cut: entries at a value, or all of them to a norm.
#pragma once

#include <cmath>

#include "core/base.hpp"
#include "kernel/penalty.hpp"

namespace fg {

// What shortens a gradient of this sum of squares to a norm: limit / (norm + 1e-6), at most 1, as in torch's
// clip_grad_norm_. A norm that is NaN makes every entry NaN, and is seen.
inline double norm_factor(double squares, double limit) {
    const double factor = limit / (std::sqrt(squares) + 1e-6);
    return factor > 1.0 ? 1.0 : factor;
}

// Of entries cut at `limit`, in double.
template <class T>
double sum_of_squares(const T* x, Index n, double limit = no_limit) {
    double sum = 0.0;
#pragma omp simd reduction(+ : sum)
    for (Index i = 0; i < n; ++i) {
        const double entry = std::fabs(double(x[i])), cut = entry > limit ? limit : entry;
        sum += cut * cut;
    }
    return sum;
}

}  // namespace fg
