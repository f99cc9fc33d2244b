// What preconditioners are made of: weighted products and squares of the columns of X, over some rows.
//
// Rows are cut into chunks by their number alone, whose sums are added in their order.
#pragma once

#include <algorithm>
#include <cmath>
#include <span>
#include <vector>

#include "core/buffer.hpp"
#include "core/team.hpp"
#include "core/view.hpp"

namespace fg {

// Rows of X with their weights. Columns are reckoned from `centre` (null: from 0), which only dense X has, and are
// multiplied by `unit`, so that no square of theirs overflows or vanishes.
struct WeightedRows {
    std::span<const std::uint32_t> rows;
    const double* weight;  // (rows, outputs)
    const double* centre;  // (features,)
    const double* unit;    // (features,)
};

namespace detail {

// A (count, features + 1): rows times the roots of their weights, ones in the last column. `place` of each column of X
// among those that count, or -1.
template <class T>
void fill_block(const Dense<T>& X, const WeightedRows& of, Index begin, Index count, const std::vector<std::int32_t>&,
                std::span<const std::uint32_t> features, RowMajor<T>& A) {
    const Index c = Index(features.size());
    for (Index i = 0; i < count; ++i) {
        const T root = T(std::sqrt(std::max(0.0, of.weight[begin + i])));
        const T* FG_RESTRICT const x = X.sample(Index(of.rows[std::size_t(begin + i)])).x;
        T* FG_RESTRICT const a = A.data() + i * (c + 1);
        for (Index j = 0; j < c; ++j) {
            const std::uint32_t from = features[std::size_t(j)];
            a[j] = root * T((double(x[from]) - (of.centre ? of.centre[from] : 0.0)) * of.unit[from]);
        }
        a[c] = root;
    }
}
template <class T, class I>
void fill_block(const Csr<T, I>& X, const WeightedRows& of, Index begin, Index count,
                const std::vector<std::int32_t>& place, std::span<const std::uint32_t> features, RowMajor<T>& A) {
    const Index c = Index(features.size());
    A.topRows(count).setZero();
    for (Index i = 0; i < count; ++i) {
        const T root = T(std::sqrt(std::max(0.0, of.weight[begin + i])));
        const auto row = X.sample(Index(of.rows[std::size_t(begin + i)]));
        T* const a = A.data() + i * (c + 1);
        for (Index k = 0; k < row.n; ++k)
            if (const auto at = place[std::size_t(row.index[k])]; at >= 0)
                a[at] += root * T(double(row.x[k]) * of.unit[row.index[k]]);
        a[c] = root;
    }
}

// Lower triangle, by columns: sum (n, n) += weight (x, 1)'(x, 1), entry by entry of the rows.
template <class T, class I>
void add_products(const Csr<T, I>& X, const WeightedRows& of, Index begin, Index end,
                  const std::vector<std::int32_t>& place, Index n, double* FG_RESTRICT sum) {
    std::vector<Index> at;
    std::vector<double> value;
    for (Index i = begin; i < end; ++i) {
        const double weight = of.weight[i];
        if (weight == 0.0) continue;
        const auto row = X.sample(Index(of.rows[std::size_t(i)]));
        at.assign(1, n - 1);
        value.assign(1, 1.0);
        for (Index k = 0; k < row.n; ++k) {
            if (place[std::size_t(row.index[k])] < 0) continue;
            at.push_back(place[std::size_t(row.index[k])]);
            value.push_back(double(row.x[k]) * of.unit[row.index[k]]);
        }
        for (std::size_t k = 0; k < at.size(); ++k) {
            for (std::size_t m = 0; m < k; ++m) {
                const double product = weight * value[k] * value[m];
                // A column may come twice: its square has their product twice.
                sum[std::min(at[k], at[m]) * n + std::max(at[k], at[m])] += at[k] == at[m] ? 2.0 * product : product;
            }
            sum[at[k] * (n + 1)] += weight * value[k] * value[k];
        }
    }
}

// sum (features + 1, outputs) += weight x^2 of rows from `begin` to `end`; the weights themselves in the last row.
template <class T>
void add_squares(const Dense<T>& X, const WeightedRows& of, Index begin, Index end, Index outputs, double* sum) {
    const double *const centre = of.centre, *const unit = of.unit;
    const Index n = X.cols();
    // f(feature, square) for the features of row i.
    const auto each = [&](Index i, auto f) FG_INLINED {
        const T* FG_RESTRICT const x = X.sample(Index(of.rows[std::size_t(i)])).x;
        const auto all_from = [&](auto from) FG_INLINED {
            for (Index j = 0; j < n; ++j) {
                const double apart = (double(x[j]) - from(j)) * unit[j];
                f(j, apart * apart);
            }
        };
        if (centre)
            all_from([&](Index j) FG_INLINED { return centre[j]; });
        else
            all_from([](Index) FG_INLINED { return 0.0; });
    };
    if (outputs == 1) {
        double* FG_RESTRICT const to = sum;
        for (Index i = begin; i < end; ++i) {
            const double weight = of.weight[i];
            each(i, [&](Index j, double square) FG_INLINED { to[j] += weight * square; });
            to[n] += weight;
        }
        return;
    }
    constexpr Index block = 32;
    RowMajor<double> squares(block, n + 1);
    Eigen::Map<RowMajor<double>> sums(sum, n + 1, outputs);
    for (; begin < end; begin += block) {
        const Index count = std::min(block, end - begin);
        for (Index i = 0; i < count; ++i) {
            double* FG_RESTRICT const to = squares.data() + i * (n + 1);
            each(begin + i, [&](Index j, double square) FG_INLINED { to[j] = square; });
            to[n] = 1.0;
        }
        const Eigen::Map<const RowMajor<double>> weights(of.weight + begin * outputs, count, outputs);
        sums.noalias() += squares.topRows(count).transpose() * weights;
    }
}
template <class T, class I>
void add_squares(const Csr<T, I>& X, const WeightedRows& of, Index begin, Index end, Index outputs,
                 double* FG_RESTRICT sum) {
    for (Index i = begin; i < end; ++i) {
        const auto row = X.sample(Index(of.rows[std::size_t(i)]));
        const double* FG_RESTRICT const weight = of.weight + i * outputs;
        for (Index e = 0; e < row.n; ++e) {
            const double apart = double(row.x[e]) * of.unit[row.index[e]], square = apart * apart;
            double* FG_RESTRICT const to = sum + Index(row.index[e]) * outputs;
            for (Index k = 0; k < outputs; ++k) to[k] += weight[k] * square;
        }
        for (Index k = 0; k < outputs; ++k) sum[X.cols() * outputs + k] += weight[k];
    }
}

// out[0..size) = the sum of what work(first row, last row, sums) adds to zeros, in `chunks` of the rows.
template <class Work>
void sum_by_chunks(TeamSize::Memory& sizes, Index rows, Index size, Index chunks, double seconds, int threads,
                   double* out, const Work& work) {
    chunks = std::clamp<Index>(std::min(chunks, (Index(8) << 20) / std::max<Index>(size, 1)), 1, 16);
    Buffer<double> partial(chunks * size);
    const int most = Team::most(std::min(double(chunks), seconds / 5e-5), threads);
    Team::call(sizes, most, seconds, [&](int member, int members) {
        for (Index c = chunks * member / members; c < chunks * (member + 1) / members; ++c) {
            std::fill_n(partial.data() + c * size, size, 0.0);
            work(rows * c / chunks, rows * (c + 1) / chunks, partial.data() + c * size);
        }
    });
    std::copy_n(partial.data(), size, out);
    for (Index c = 1; c < chunks; ++c)
        for (Index i = 0; i < size; ++i) out[i] += partial.data()[c * size + i];
}

}  // namespace detail

// out (n + 1, n + 1) = the sum of weight (x, 1)'(x, 1), of n columns of X; one output.
template <class View>
void gram(const View& X, const WeightedRows& of, std::span<const std::uint32_t> features, int threads, double* out) {
    using T = typename View::Scalar;
    constexpr Index block = 256;
    const Index n = Index(features.size()) + 1, rows = Index(of.rows.size());
    std::vector<std::int32_t> place(View::dense ? 0 : std::size_t(X.cols()), -1);
    for (std::size_t k = 0; !View::dense && k < features.size(); ++k) place[features[k]] = std::int32_t(k);
    static TeamSize::Memory sizes;
    // A product of two entries of a sparse row takes as long as some twenty of a product of matrices.
    const double all = double(n) * double(n), entries = X.mean_length() * X.mean_length();
    const bool by_entries = !View::dense && 20.0 * entries < all;
    const double seconds = double(rows) * (by_entries ? 1e-9 * entries : 1e-10 * all);
    detail::sum_by_chunks(
        sizes, rows, n * n, rows / 512, seconds, threads, out, [&](Index begin, Index end, double* sum) {
            if constexpr (!View::dense)
                if (by_entries) return detail::add_products(X, of, begin, end, place, n, sum);
            RowMajor<T> A(std::min(block, end - begin), n);
            Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic> near(n, n);
            Eigen::Map<Eigen::MatrixXd> far(sum, n, n);
            for (; begin < end; begin += block) {
                const Index count = std::min(block, end - begin);
                detail::fill_block(X, of, begin, count, place, features, A);
                near.setZero();
                near.template selfadjointView<Eigen::Lower>().rankUpdate(A.topRows(count).transpose());
                far.template triangularView<Eigen::Lower>() += near.template cast<double>();
            }
        });
    Eigen::Map<Eigen::MatrixXd> H(out, n, n);
    H.template triangularView<Eigen::StrictlyUpper>() = H.transpose();
}

// out (features + 1, outputs) = the sum of weight x^2 of each column, and of the weights.
template <class View>
void weighted_squares(const View& X, const WeightedRows& of, Index outputs, int threads, double* out) {
    const Index size = (X.cols() + 1) * outputs, rows = Index(of.rows.size());
    const double entries = X.mean_length() * double(rows) * double(outputs);
    static TeamSize::Memory sizes;
    const Index chunks = Index(entries / std::max(8192.0, 4.0 * double(size)));
    detail::sum_by_chunks(
        sizes, rows, size, chunks, 1e-9 * entries, threads, out,
        [&](Index begin, Index end, double* sum) { detail::add_squares(X, of, begin, end, outputs, sum); });
}

}  // namespace fg
