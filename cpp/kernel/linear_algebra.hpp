// Products that fits need between steps, by Eigen. NumPy's BLAS has threads of its own, which spin for a tenth of a
// second after a product, and would take a processor from the steps that follow.
#pragma once

#include <algorithm>
#include <cmath>

#include "core/base.hpp"
#include "core/team.hpp"
#include "core/view.hpp"

namespace fg {

// out (rows, outputs) = X W', for X (rows, cols) and W (outputs, cols).
template <class T>
void product(const T* x, Index rows, Index cols, const T* w, Index outputs, T* out, int threads) {
    constexpr Index block = 256;
    const Eigen::Map<const RowMajor<T>> W(w, outputs, cols);
    const Index blocks = (rows + block - 1) / block;
    const double work = double(rows) * double(cols) * double(outputs);
    static TeamSize::Memory sizes;
    const int most = Team::most(std::min(double(blocks), work / 1e5), threads);
    Team::call(sizes, most, 3e-10 * work, [&](int member, int members) {
        for (Index k = blocks * member / members; k < blocks * (member + 1) / members; ++k) {
            const Index begin = k * block, count = std::min(block, rows - begin);
            const Eigen::Map<const RowMajor<T>> X(x + begin * cols, count, cols);
            Eigen::Map<RowMajor<T>>(out + begin * outputs, count, outputs).noalias() = X * W.transpose();
        }
    });
}

// The largest eigenvalue, from below, of the mean of factor * (x, one)'(x, one) over the rows x of X (rows, cols): the
// power method from (v, 1), which is changed.
inline double largest_eigenvalue(const double* x, Index rows, Index cols, const double* factor, double one, double* v,
                                 int steps) {
    const Eigen::Map<const RowMajor<double>> X(x, rows, cols);
    const Eigen::Map<const Eigen::ArrayXd> weight(factor, rows);
    Eigen::Map<Eigen::VectorXd> direction(v, cols);
    Eigen::VectorXd u(rows);
    double last = 1.0, value = 0.0;
    for (int k = 0; k < steps; ++k) {
        const double norm = std::sqrt(direction.squaredNorm() + last * last);
        u.noalias() = X * direction;
        u = (weight * (u.array() + one * last) / norm).matrix();
        direction.noalias() = X.transpose() * u;
        direction /= double(rows);
        last = one * u.mean();
        value = std::sqrt(direction.squaredNorm() + last * last);
    }
    return value;
}

}  // namespace fg
