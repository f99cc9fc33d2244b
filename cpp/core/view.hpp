// Storage of a design matrix X as the kernels see it: a view hands out rows, a row knows how to meet a
// weight vector. Dense and sparse rows answer the same calls, so no kernel is written twice.
#pragma once

#include <algorithm>
#include <cmath>

#include "core/lanes.hpp"

namespace fg {

// What __builtin_prefetch calls locality: caches in which a line is wanted. The second has room for more requests at a
// time than the first.
inline constexpr int every_cache = 3, second_cache = 2;

// Asks for the lines of a row; beyond a kilobyte the hardware follows the stream by itself. This and its
// callers are always inlined: GCC takes a function that only prefetches for one without effect, and drops it.
template <int where = every_cache>
FG_INLINE void prefetch_bytes(const void* p, Index bytes) {
    const char* line = static_cast<const char*>(p);
    const char* end = line + std::min<Index>(bytes, 1024);
    for (; line < end; line += 64) __builtin_prefetch(line, 0, where);
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
struct Dense {
    using Scalar = T;
    using Row = DenseRow<T>;
    static constexpr bool dense = true;

    const T* data;
    Index rows, cols;

    FG_INLINE Row row(Index i) const { return {data + i * cols, cols}; }
    double mean_length() const { return double(cols); }

    Index row_bytes() const { return cols * Index(sizeof(T)); }
    Index bytes() const { return rows * row_bytes(); }

    // Rows that come in any order are asked for in stages: where they are (sparse rows), three leads ahead of their
    // use; for the second-level cache, two leads; for the first, one: about 4 KB.
    Index lead() const { return std::clamp<Index>(4096 / std::max<Index>(1, row_bytes()), 1, 16); }
    FG_INLINE void prefetch_place(Index) const {}
    FG_INLINE void prefetch_far(Index i) const { prefetch_bytes<second_cache>(data + i * cols, row_bytes()); }
    FG_INLINE void prefetch(Index i) const { prefetch_bytes(data + i * cols, row_bytes()); }
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
        const auto square = sums<1, T>(n, [this](Index i, auto width, auto* s) __attribute__((always_inline)) {
            const auto v = load_wide<decltype(width)::value>(x + i);
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

// A row that stores a column twice counts it as two features of equal weight, as their sum would.
template <class T, class I>
struct Csr {
    using Scalar = T;
    using Row = CsrRow<T, I>;
    static constexpr bool dense = false;

    const T* data;
    const I* indices;
    const I* indptr;
    Index rows, cols;

    FG_INLINE Row row(Index i) const {
        const Index begin = Index(indptr[i]);
        return {data + begin, indices + begin, Index(indptr[i + 1]) - begin};
    }
    double mean_length() const { return rows ? double(indptr[rows] - indptr[0]) / double(rows) : 0.0; }

    Index bytes() const { return Index(indptr[rows] - indptr[0]) * Index(sizeof(T) + sizeof(I)); }

    Index lead() const { return 6; }
    FG_INLINE void prefetch_place(Index i) const { __builtin_prefetch(indptr + i); }
    FG_INLINE void prefetch_far(Index i) const { prefetch_row<second_cache>(i); }
    FG_INLINE void prefetch(Index i) const { prefetch_row<every_cache>(i); }

private:
    template <int where>
    FG_INLINE void prefetch_row(Index i) const {
        const Row r = row(i);
        prefetch_bytes<where>(r.x, r.n * Index(sizeof(T)));
        prefetch_bytes<where>(r.index, r.n * Index(sizeof(I)));
    }
};

}  // namespace fg
