// Matrix products of layers, C (m, n) = start + A B, with B in panels.
//
// A panel holds a few columns of B, two registers wide, one row after the other, padded with zeros; it is read once for
// every group of rows of A, from the first-level cache. Weights are packed once a step, by whoever has just updated
// them, so that any number of members can multiply by them, in chunks as small as they like, at no cost of their own.
// (A BLAS packs them anew in every call: for chunks of 64 rows that is a fifth of the product; see DECISIONS.md.)
//
// Sums are in the order of k whatever the number of rows, so a row's result does not depend on how rows are cut.
// Reference: Goto & van de Geijn (2008), "Anatomy of high-performance matrix multiplication".
#pragma once

#include <algorithm>

#include "core/lanes.hpp"

namespace fg {

// Columns of a panel; the last one has half of them where that is enough.
template <class T>
inline constexpr Index panel_columns = 2 * lanes<T>;

// Rows of A at a time: as many as there are registers for, two each.
inline constexpr int group_rows = register_bytes == 64 ? 12 : register_bytes == 32 ? 6 : 4;

// Rows of B whose part of a panel is 16 KB, which leaves room for rows of A in the first-level cache.
template <class T>
inline constexpr Index panel_rows = (16 << 10) / (panel_columns<T> * Index(sizeof(T)));

template <class T>
Index panels_size(Index k, Index n) {
    return k * ((n + panel_columns<T> - 1) / panel_columns<T>)*panel_columns<T>;
}

// How wide the panel is that begins with column j of n.
template <class T>
FG_INLINE Index panel_width(Index j, Index n) {
    return n - j <= lanes<T> ? lanes<T> : panel_columns<T>;
}

// Packs rows k0, ..., k1 - 1 of B (k, n), row-major with rows `stride` apart.
template <class T>
void pack_rows(const T* FG_RESTRICT B, Index stride, Index k, Index n, Index k0, Index k1, T* FG_RESTRICT panels) {
    for (Index j = 0; j < n; j += panel_columns<T>) {
        const Index width = panel_width<T>(j, n), columns = std::min(width, n - j);
        T* FG_RESTRICT const panel = panels + j * k;
        if (columns == panel_columns<T>) {
            for (Index i = k0; i < k1; ++i)
                for (Index c = 0; c < panel_columns<T>; ++c) panel[i * panel_columns<T> + c] = B[i * stride + j + c];
        } else {
            for (Index i = k0; i < k1; ++i) {
                for (Index c = 0; c < columns; ++c) panel[i * width + c] = B[i * stride + j + c];
                for (Index c = columns; c < width; ++c) panel[i * width + c] = T(0);
            }
        }
    }
}

// Packs columns j0, ..., j1 - 1 of the transpose of B (n, k), that is, rows j0, ..., j1 - 1 of B; j0 begins a panel, and
// j1 ends one or is n.
template <class T>
void pack_transposed(const T* FG_RESTRICT B, Index stride, Index k, Index n, Index j0, Index j1,
                     T* FG_RESTRICT panels) {
    constexpr Index block = 16;  // a line of every row
    for (Index j = j0; j < j1; j += panel_columns<T>) {
        const Index width = panel_width<T>(j, n), columns = std::min(width, n - j);
        T* FG_RESTRICT const panel = panels + j * k;
        for (Index i = 0; i < k; i += block) {
            const Index end = std::min(k, i + block);
            for (Index c = 0; c < columns; ++c)
                for (Index q = i; q < end; ++q) panel[q * width + c] = B[(j + c) * stride + q];
            for (Index c = columns; c < width; ++c)
                for (Index q = i; q < end; ++q) panel[q * width + c] = T(0);
        }
    }
}

// The left factor: entry (i, k) lies at data[i * row + k * column].
template <class T>
struct Left {
    const T* data;
    Index row, column;
};

// What a product is added to: row i begins at data + i * row (row 0: the same for all, a bias); null: nothing.
template <class T>
struct StartAt {
    const T* data = nullptr;
    Index row = 0;
};

namespace detail {

// R rows and V registers of columns, of which `columns` are wanted.
template <int R, int V, class T>
FG_INLINE void product_tile(const T* FG_RESTRICT a, Index row, Index column, const T* FG_RESTRICT panel, Index k,
                            StartAt<T> start, T* c, Index stride, Index columns) {
    constexpr int L = lanes<T>;
    Vector<T, L> s[R][V];
    if (!start.data) {
        for (int r = 0; r < R; ++r)
            for (int v = 0; v < V; ++v) s[r][v] = Vector<T, L>{};
    } else if (columns == V * L) {
        for (int r = 0; r < R; ++r)
            for (int v = 0; v < V; ++v) s[r][v] = load<L>(start.data + r * start.row + v * L);
    } else {
        for (int r = 0; r < R; ++r) {
            alignas(64) T aside[V * L]{};
            std::copy_n(start.data + r * start.row, columns, aside);
            for (int v = 0; v < V; ++v) s[r][v] = load<L>(aside + v * L);
        }
    }
    for (Index q = 0; q < k; ++q) {
        Vector<T, L> b[V];
        for (int v = 0; v < V; ++v) b[v] = load<L>(panel + q * (V * L) + v * L);
        for (int r = 0; r < R; ++r) {
            const T x = a[r * row + q * column];
            for (int v = 0; v < V; ++v) s[r][v] += x * b[v];
        }
    }
    if (columns == V * L) {
        for (int r = 0; r < R; ++r)
            for (int v = 0; v < V; ++v) store<L>(c + r * stride + v * L, s[r][v]);
    } else {
        for (int r = 0; r < R; ++r) {
            alignas(64) T aside[V * L];
            for (int v = 0; v < V; ++v) store<L>(aside + v * L, s[r][v]);
            std::copy_n(aside, columns, c + r * stride);
        }
    }
}

template <int V, class T>
void product_panel(Left<T> a, const T* panel, Index m, Index k, StartAt<T> start, T* c, Index stride, Index columns) {
    const auto rows = [&](Index i, auto count) __attribute__((always_inline)) {
        constexpr int R = decltype(count)::value;
        product_tile<R, V>(a.data + i * a.row, a.row, a.column, panel, k,
                           {start.data ? start.data + i * start.row : nullptr, start.row}, c + i * stride, stride,
                           columns);
    };
    Index i = 0;
    for (; i + group_rows <= m; i += group_rows) rows(i, Width<group_rows>{});
    if constexpr (group_rows > 8) {
        if (i + 8 <= m) {
            rows(i, Width<8>{});
            i += 8;
        }
    }
    for (; i + 4 <= m; i += 4) rows(i, Width<4>{});
    for (; i < m; ++i) rows(i, Width<1>{});
}

}  // namespace detail

// C (m, n; rows `stride` apart) = start + A B.
template <class T>
void multiply(Left<T> a, const T* panels, Index m, Index n, Index k, StartAt<T> start, T* c, Index stride) {
    for (Index j = 0; j < n; j += panel_columns<T>) {
        const Index columns = std::min(panel_columns<T>, n - j);
        const T* const panel = panels + j * k;
        for (Index q = 0; q < std::max<Index>(k, 1); q += panel_rows<T>) {
            const Index depth = std::min(panel_rows<T>, k - q);
            const Left<T> left{a.data + q * a.column, a.row, a.column};
            StartAt<T> from{c + j, stride};
            if (q == 0) from = {start.data ? start.data + j : nullptr, start.row};
            if (panel_width<T>(j, n) == lanes<T>) {
                detail::product_panel<1>(left, panel + q * lanes<T>, m, depth, from, c + j, stride, columns);
            } else {
                detail::product_panel<2>(left, panel + q * panel_columns<T>, m, depth, from, c + j, stride, columns);
            }
        }
    }
}

// The same sums, in the same order, for a few rows and a B (k, n) that is not packed: columns of a block stay in registers
// while the entries of a row pass by. visit(f) calls f(index of a row of B, entry of the row of A).
namespace detail {

template <class T, class Visit>
FG_INLINE void combine_rows(const Visit& visit, const T* B, Index n, const T* start, T* c) {
    constexpr int L = lanes<T>, V = 8;
    const auto columns = [&](Index j, auto registers, auto width) __attribute__((always_inline)) {
        constexpr int R = decltype(registers)::value, N = decltype(width)::value;
        Vector<T, N> s[R];
        for (int r = 0; r < R; ++r) s[r] = start ? load<N>(start + j + r * N) : Vector<T, N>{};
        visit([&](Index k, T x) __attribute__((always_inline)) {
            const T* const b = B + k * n + j;
            for (int r = 0; r < R; ++r) s[r] += x * load<N>(b + r * N);
        });
        for (int r = 0; r < R; ++r) store<N>(c + j + r * N, s[r]);
    };
    Index j = 0;
    for (; j + V * L <= n; j += V * L) columns(j, Width<V>{}, Width<L>{});
    for (; j + 2 * L <= n; j += 2 * L) columns(j, Width<2>{}, Width<L>{});
    tail<L>(j, n - j, [&](Index k, auto width) __attribute__((always_inline)) { columns(k, Width<1>{}, width); });
}

}  // namespace detail

template <class T>
void multiply_rows(Left<T> a, const T* B, Index m, Index n, Index k, const T* start, T* c) {
    for (Index i = 0; i < m; ++i) {
        const T* const row = a.data + i * a.row;
        detail::combine_rows(
            [&](auto&& f) __attribute__((always_inline)) {
                for (Index q = 0; q < k; ++q) f(q, row[q * a.column]);
            },
            B, n, start, c + i * n);
    }
}

template <class Row, class T>
void multiply_sparse(const Row& row, const T* B, Index n, const T* start, T* c) {
    detail::combine_rows([&](auto&& f) __attribute__((always_inline)) { row.each(f); }, B, n, start, c);
}

}  // namespace fg
