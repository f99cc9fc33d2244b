// What is asked of arrays between steps.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <vector>

#include "core/math.hpp"
#include "core/team.hpp"
#include "engine/dispatch.hpp"
#include "engine/kernel_engine.hpp"
#include "kernel/column_moments.hpp"
#include "kernel/linear_algebra.hpp"
#include "kernel/rows_of_columns.hpp"
#include "kernel/scores.hpp"

namespace fg {

namespace {

template <class I>
void check_sparse_of(const Matrix& X, int threads) {
    const I *const columns = static_cast<const I*>(X.columns), *const begins = static_cast<const I*>(X.begins);
    bool ascending = true;
    for (Index i = 0; i < X.rows; ++i) ascending &= begins[i] <= begins[i + 1];
    require(ascending, "X.indptr: row pointers must not decrease and must stay within X.indices");
    const Index first = begins[0], count = begins[X.rows] - first;
    std::atomic<bool> within{true};
    static TeamSize::Memory sizes;
    const int most = Team::most(1.0 + double(count / (1 << 20)), threads);
    Team::call(sizes, most, 5e-10 * double(count), [&](int member, int members) {
        I low = 0, high = 0;
        for (Index k = first + count * member / members; k < first + count * (member + 1) / members; ++k) {
            low = std::min(low, columns[k]);
            high = std::max(high, columns[k]);
        }
        if (low < 0 || Index(high) >= std::max<Index>(X.cols, 1)) within = false;
    });
    require(within, "X.indices: a column index is out of range");
}

// Members of the team read pieces side by side, and stop when one has found something.
template <class T>
bool all_finite_of(const T* x, Index n, int threads) {
    constexpr Index block = 1 << 16;
    const Index blocks = (n + block - 1) / block;
    static TeamSize::Memory sizes;
    std::atomic<bool> finite{true};
    Team::call(sizes, Team::most(double(blocks), threads), 1e-10 * double(n), [&](int member, int members) {
        for (Index k = blocks * member / members; k < blocks * (member + 1) / members; ++k) {
            if (!finite.load(std::memory_order_relaxed)) return;
            if (!are_finite(x + k * block, std::min(block, n - k * block))) finite = false;
        }
    });
    return finite;
}

template <class T>
detail::ColumnReader<T> reader_of(ColumnType type) {
    switch (type) {
        case ColumnType::float32:
            return detail::read_column<T, float>;
        case ColumnType::float64:
            return detail::read_column<T, double>;
        case ColumnType::int8:
            return detail::read_column<T, std::int8_t>;
        case ColumnType::int16:
            return detail::read_column<T, std::int16_t>;
        case ColumnType::int32:
            return detail::read_column<T, std::int32_t>;
        case ColumnType::int64:
            return detail::read_column<T, std::int64_t>;
        case ColumnType::uint8:
            return detail::read_column<T, std::uint8_t>;
        case ColumnType::uint16:
            return detail::read_column<T, std::uint16_t>;
        case ColumnType::uint32:
            return detail::read_column<T, std::uint32_t>;
        case ColumnType::uint64:
            return detail::read_column<T, std::uint64_t>;
    }
    throw BadArgument("columns: no such type");
}

}  // namespace

void KernelEngine::check_sparse(const Matrix& X, int threads) const {
    X.index_bytes == 4 ? check_sparse_of<std::int32_t>(X, threads) : check_sparse_of<std::int64_t>(X, threads);
}

bool KernelEngine::all_finite(Dtype dtype, const void* x, Index n, int threads) const {
    return with_type(dtype,
                     [&](auto number) { return all_finite_of(static_cast<const decltype(number)*>(x), n, threads); });
}

void KernelEngine::product(const Matrix& X, const void* W, Index outputs, void* out, int threads) const {
    with_type(X.dtype, [&](auto number) {
        using T = decltype(number);
        fg::product(static_cast<const T*>(X.values), X.rows, X.cols, static_cast<const T*>(W), outputs,
                    static_cast<T*>(out), threads);
    });
}

double KernelEngine::largest_eigenvalue(const Matrix& X, const double* factor, double one, const double* start,
                                        int steps) const {
    std::vector<double> direction(start, start + X.cols);
    return fg::largest_eigenvalue(static_cast<const double*>(X.values), X.rows, X.cols, factor, one, direction.data(),
                                  steps);
}

void KernelEngine::column_moments(const Matrix& X, std::span<const std::uint32_t> listed, const double* shift,
                                  int threads, double* out) const {
    for (const auto row : listed) require(Index(row) < X.rows, "rows: a number is out of range");
    with_type(X.dtype, [&](auto number) {
        using T = decltype(number);
        const Index rows = listed.data() ? Index(listed.size()) : X.rows;
        fg::column_moments(static_cast<const T*>(X.values), X.cols, listed.data(), rows, shift, threads, out);
    });
}

void KernelEngine::rows_of_columns(std::span<const Column> columns, Index rows, Dtype dtype, void* out,
                                   int threads) const {
    with_type(dtype, [&](auto number) {
        using T = decltype(number);
        std::vector<ReadColumn<T>> read;
        for (const auto& column : columns) read.push_back({column.values, reader_of<T>(column.type)});
        fg::rows_of_columns(std::span<const ReadColumn<T>>(read), rows, static_cast<T*>(out), threads);
    });
}

void KernelEngine::transposed_product(const Matrix& X, const double* S, Index outputs, double* out) const {
    with_type(X.dtype, [&](auto number) {
        using T = decltype(number);
        fg::transposed_product(static_cast<const T*>(X.values), X.rows, X.cols, S, outputs, out);
    });
}

void KernelEngine::weighted_gram(const Matrix& X, const double* factor, double* out) const {
    fg::weighted_gram(static_cast<const double*>(X.values), X.rows, X.cols, factor, out);
}

void KernelEngine::solve_positive(const double* H, Index size, const double* g, double* out) const {
    fg::solve_positive(H, size, g, out);
}

void KernelEngine::score(Metric metric, Link link, const Matrix& margins, const void* y, Index outputs, int threads,
                         double* scores) const {
    const bool classes = metric == Metric::accuracy || metric == Metric::log_loss || metric == Metric::roc_auc;
    require(classes != (link == Link::identity || link == Link::exp), "link: it does not belong to the metric");
    require(metric != Metric::roc_auc || outputs == 1, "margins: the ROC is one of two classes, so of one output");
    with_type(margins.dtype, [&](auto number) {
        using T = decltype(number);
        const auto* const targets = static_cast<const T*>(y);
        const T top = T(std::max<Index>(outputs, 2) - 1);
        for (Index i = 0; classes && i < margins.rows; ++i)
            require(targets[i] >= 0 && targets[i] <= top && targets[i] == std::floor(targets[i]),
                    "y: expected codes of classes");
        const Margins<T> view{static_cast<const T*>(margins.values), margins.rows, margins.cols / outputs, outputs};
        score_margins(metric, link, view, targets, threads, scores);
    });
}

}  // namespace fg
