// Storage of a design matrix X as the kernels see it: a map of Eigen, which hands out its samples (rows); a sample
// knows how to meet a weight vector. Dense and sparse samples answer the same calls, so no kernel is written twice.
#pragma once

#include <Eigen/SparseCore>

#include <algorithm>
#include <cmath>

#include "core/pack.hpp"

namespace fg {

// Asks for the lines of a row; beyond a kilobyte the hardware follows the stream by itself. This and its
// callers are always inlined: GCC takes a function that only prefetches for one without effect, and drops it.
template <int where = every_cache>
FG_INLINE void prefetch_bytes(const void* p, Index bytes) {
    const char* line = static_cast<const char*>(p);
    const char* end = line + std::min<Index>(bytes, 1024);
    for (; line < end; line += 64) prefetch_line<where>(line);
}

template <class T>
struct DenseRow {
    const T* x;
    Index n;

    FG_INLINE std::array<T, 2> dot_square(const T* w) const { return fg::dot_square(w, x, n); }
    // {w·x, x·x, other·x}
    FG_INLINE std::array<T, 3> dot_square_cross(const T* w, DenseRow other) const {
        return fg::dot_square_cross(w, x, other.x, n);
    }
    FG_INLINE void axpy(T a, T* w) const { fg::axpy(a, x, w, n); }

    // Visits every coordinate once, with two running sums: f(j, x_j, first, second).
    template <class F>
    FG_INLINE std::array<T, 2> fold(F f) const {
        T first = 0, second = 0;
#pragma omp simd reduction(+ : first, second)
        for (Index j = 0; j < n; ++j) f(j, x[j], first, second);
        return {first, second};
    }
};

template <class T>
using RowMajor = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

template <class T>
struct Dense : Eigen::Map<const RowMajor<T>> {
    using Scalar = T;
    using Row = DenseRow<T>;
    static constexpr bool dense = true;

    Dense(const T* data, Index rows, Index cols) : Eigen::Map<const RowMajor<T>>(data, rows, cols) {}

    FG_INLINE Row sample(Index i) const { return {this->data() + i * this->cols(), this->cols()}; }
    double mean_length() const { return double(this->cols()); }

    Index row_bytes() const { return this->cols() * Index(sizeof(T)); }
    Index bytes() const { return this->rows() * row_bytes(); }

    // Samples that come in any order are asked for in stages: where they are (sparse ones), three leads ahead of their
    // use; for the second-level cache, two leads; for the first, one: about 4 KB.
    Index lead() const { return std::clamp<Index>(4096 / std::max<Index>(1, row_bytes()), 1, 16); }
    FG_INLINE void prefetch_place(Index) const {}
    FG_INLINE void prefetch_far(Index i) const { prefetch_bytes<second_cache>(sample(i).x, row_bytes()); }
    FG_INLINE void prefetch(Index i) const { prefetch_bytes(sample(i).x, row_bytes()); }
};

template <class T, class I>
struct CsrRow {
    const T* x;
    const I* index;
    Index n;

    FG_INLINE std::array<T, 2> dot_square(const T* w) const {
        T chain[4]{};
        Index k = 0;
        for (; k + 4 <= n; k += 4)
            for (int c = 0; c < 4; ++c) chain[c] += w[index[k + c]] * x[k + c];
        for (; k < n; ++k) chain[0] += w[index[k]] * x[k];
        const auto square = sums<1, T>(n, [this](Index i, auto width, auto* s) FG_INLINED {
            const Pack<T> v = load_wide<decltype(width)::value>(x + i);
            s[0] += v * v;
        });
        return {(chain[0] + chain[1]) + (chain[2] + chain[3]), square[0]};
    }
    FG_INLINE void axpy(T a, T* w) const {
        for (Index k = 0; k < n; ++k) w[index[k]] += a * x[k];
    }
    template <class F>
    FG_INLINE std::array<T, 2> fold(F f) const {
        T first = 0, second = 0;
        for (Index k = 0; k < n; ++k) f(Index(index[k]), x[k], first, second);
        return {first, second};
    }
};

// A sample that stores a column twice counts it as two features of equal weight, as their sum would.
template <class T, class I>
struct Csr : Eigen::Map<const Eigen::SparseMatrix<T, Eigen::RowMajor, I>> {
    using Scalar = T;
    using Row = CsrRow<T, I>;
    static constexpr bool dense = false;

    Csr(const T* values, const I* columns, const I* begins, Index rows, Index cols)
        : Eigen::Map<const Eigen::SparseMatrix<T, Eigen::RowMajor, I>>(rows, cols, Index(begins[rows] - begins[0]),
                                                                       begins, columns, values) {}

    const T* values() const { return this->valuePtr(); }
    const I* columns() const { return this->innerIndexPtr(); }
    const I* begins() const { return this->outerIndexPtr(); }  // one more than samples; the first need not be 0

    FG_INLINE Row sample(Index i) const {
        const Index begin = Index(begins()[i]);
        return {values() + begin, columns() + begin, Index(begins()[i + 1]) - begin};
    }
    double mean_length() const { return this->rows() ? double(this->nonZeros()) / double(this->rows()) : 0.0; }

    Index bytes() const { return Index(this->nonZeros()) * Index(sizeof(T) + sizeof(I)); }

    Index lead() const { return 6; }
    FG_INLINE void prefetch_place(Index i) const { prefetch_line(begins() + i); }
    FG_INLINE void prefetch_far(Index i) const { prefetch_sample<second_cache>(i); }
    FG_INLINE void prefetch(Index i) const { prefetch_sample<every_cache>(i); }

private:
    template <int where>
    FG_INLINE void prefetch_sample(Index i) const {
        const Row row = sample(i);
        prefetch_bytes<where>(row.x, row.n * Index(sizeof(T)));
        prefetch_bytes<where>(row.index, row.n * Index(sizeof(I)));
    }
};

}  // namespace fg
