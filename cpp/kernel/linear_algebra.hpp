// Products that fits need between steps, by Eigen. NumPy's BLAS has threads of its own, which spin for a tenth of a
// second after a product, and would take a processor from the steps that follow.
#pragma once

#include <Eigen/Cholesky>
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

// out (cols, outputs) = X' S, for X (rows, cols) and S (rows, outputs).
template <class T>
void transposed_product(const T* x, Index rows, Index cols, const double* s, Index outputs, double* out) {
    constexpr Index block = 256;
    Eigen::Map<RowMajor<double>> sum(out, cols, outputs);
    sum.setZero();
    for (Index begin = 0; begin < rows; begin += block) {
        const Index count = std::min(block, rows - begin);
        const Eigen::Map<const RowMajor<T>> X(x + begin * cols, count, cols);
        const Eigen::Map<const RowMajor<double>> S(s + begin * outputs, count, outputs);
        sum.noalias() += X.template cast<double>().transpose() * S;
    }
}

// out (cols, cols) = X' diag(factor) X / rows.
inline void weighted_gram(const double* x, Index rows, Index cols, const double* factor, double* out) {
    constexpr Index block = 256;
    Eigen::Map<Eigen::MatrixXd> sum(out, cols, cols);
    RowMajor<double> weighted(std::min(block, rows), cols);
    sum.setZero();
    for (Index begin = 0; begin < rows; begin += block) {
        const Index count = std::min(block, rows - begin);
        const Eigen::Map<const RowMajor<double>> X(x + begin * cols, count, cols);
        const Eigen::Map<const Eigen::VectorXd> weight(factor + begin, count);
        weighted.topRows(count).noalias() = weight.asDiagonal() * X;
        sum.noalias() += X.transpose() * weighted.topRows(count);
    }
    sum /= double(rows);
}

// out = H^-1 g for a positive semidefinite H (size, size). Directions in which H is nothing but rounding are damped: it
// is scaled to a diagonal of ones, to which the least is added that lets it be factored.
inline void solve_positive(const double* h, Index size, const double* g, double* out) {
    const Eigen::Map<const Eigen::MatrixXd> H(h, size, size);
    const Eigen::Map<const Eigen::VectorXd> right(g, size);
    Eigen::VectorXd scale = H.diagonal().cwiseMax(0.0).cwiseSqrt();
    for (Index i = 0; i < size; ++i) scale[i] = scale[i] > 0.0 ? 1.0 / scale[i] : 1.0;
    const Eigen::MatrixXd scaled = scale.asDiagonal() * H * scale.asDiagonal();
    for (double added = 1e-10; added < 1e3; added *= 100.0) {
        const Eigen::LLT<Eigen::MatrixXd> factors(scaled + added * Eigen::MatrixXd::Identity(size, size));
        if (factors.info() != Eigen::Success) continue;
        Eigen::Map<Eigen::VectorXd>(out, size) = scale.cwiseProduct(factors.solve(scale.cwiseProduct(right)));
        return;
    }
    std::fill_n(out, size, 0.0);
}

}  // namespace fg
