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

#include "core/pack.hpp"

namespace fg {

// Columns of a panel; the last one has half of them where that is enough.
template <class T>
inline constexpr Index panel_columns = 2 * lanes<T>;

// Rows of A at a time: as many as there are registers for, two each.
inline constexpr int group_rows = register_bytes == 64 ? 12 : register_count == 32 ? 8 : register_bytes == 32 ? 6 : 4;

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
    constexpr int L = lanes<T>;
    for (Index j = 0; j < n; j += panel_columns<T>) {
        const Index width = panel_width<T>(j, n), columns = std::min(width, n - j);
        T* FG_RESTRICT const panel = panels + j * k;
        if (columns == panel_columns<T>) {
            for (Index i = k0; i < k1; ++i)
                for (Index c = 0; c < panel_columns<T>; c += L)
                    store<L>(panel + i * panel_columns<T> + c, load<L>(B + i * stride + j + c));
        } else if (width == L) {
            for (Index i = k0; i < k1; ++i) store<L>(panel + i * L, load_some(B + i * stride + j, columns));
        } else {
            for (Index i = k0; i < k1; ++i) {
                store<L>(panel + i * width, load<L>(B + i * stride + j));
                store<L>(panel + i * width + L, load_some(B + i * stride + j + L, columns - L));
            }
        }
    }
}

// Packs columns j0, ..., j1 - 1 of the transpose of B (n, k), that is, rows j0, ..., j1 - 1 of B. The panels may have
// more rows than these: `rows`, of which these are the ones from row `row` on.
template <class T>
void pack_transposed(const T* FG_RESTRICT B, Index stride, Index k, Index n, Index j0, Index j1, T* FG_RESTRICT panels,
                     Index rows = 0, Index row = 0) {
    if (rows == 0) rows = k;
    const auto place = [=](Index j) {
        const Index first = j / panel_columns<T> * panel_columns<T>;
        return panels + first * rows + row * panel_width<T>(first, n) + (j - first);
    };
    const auto one = [&](Index j) {
        const Index first = j / panel_columns<T> * panel_columns<T>, width = panel_width<T>(first, n);
        T* const to = place(j);
        for (Index q = 0; q < k; ++q) to[q * width] = j < n ? B[j * stride + q] : T(0);
    };
    Index j = j0;
    for (; j < j1 && j % 4 != 0; ++j) one(j);
    for (; j + 4 <= j1; j += 4) {  // squares of four
        const Index first = j / panel_columns<T> * panel_columns<T>, width = panel_width<T>(first, n);
        T* FG_RESTRICT const to = place(j);
        const T* FG_RESTRICT const from = B + j * stride;
        Index q = 0;
        for (; q + 4 <= k; q += 4) {
            const auto square =
                load_transposed(from + q, from + stride + q, from + 2 * stride + q, from + 3 * stride + q);
            for (Index r = 0; r < 4; ++r) store<4>(to + (q + r) * width, square[std::size_t(r)]);
        }
        for (; q < k; ++q)
            for (Index r = 0; r < 4; ++r) to[q * width + r] = from[r * stride + q];
    }
    for (; j < j1; ++j) one(j);
    if (j1 < n) return;
    const Index first = n / panel_columns<T> * panel_columns<T>;  // the padding
    for (Index c = n; first < n && c < first + panel_width<T>(first, n); ++c) one(c);
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
struct Tile {
    static constexpr int L = lanes<T>;
    Pack<T> s[R][V];

    FG_INLINE void begin(StartAt<T> start, Index columns) {
        if (!start.data) {
            clear(s);
        } else if (columns == V * L) {
            for (int r = 0; r < R; ++r)
                for (int v = 0; v < V; ++v) s[r][v] = load<L>(start.data + r * start.row + v * L);
        } else {
            for (int r = 0; r < R; ++r) {
                for (int v = 0; v < V - 1; ++v) s[r][v] = load<L>(start.data + r * start.row + v * L);
                s[r][V - 1] = load_some(start.data + r * start.row + (V - 1) * L, columns - (V - 1) * L);
            }
        }
    }
    // at(r): the entry of A that a row of the panel is multiplied by.
    template <class At>
    FG_INLINE void add(const T* panel, At&& at) {
        Pack<T> b[V];
        for (int v = 0; v < V; ++v) b[v] = load<L>(panel + v * L);
        for (int r = 0; r < R; ++r) {
            const T x = at(r);
            for (int v = 0; v < V; ++v) s[r][v] += x * b[v];
        }
    }
    FG_INLINE void end(T* c, Index stride, Index columns) const {
        if (columns == V * L) {
            for (int r = 0; r < R; ++r)
                for (int v = 0; v < V; ++v) store<L>(c + r * stride + v * L, s[r][v]);
        } else {
            for (int r = 0; r < R; ++r) {
                for (int v = 0; v < V - 1; ++v) store<L>(c + r * stride + v * L, s[r][v]);
                store_some(c + r * stride + (V - 1) * L, s[r][V - 1], columns - (V - 1) * L);
            }
        }
    }
};

template <int R, int V, class T>
FG_INLINE void product_tile(const T* FG_RESTRICT a, Index row, Index column, const T* FG_RESTRICT panel, Index k,
                            StartAt<T> start, T* c, Index stride, Index columns) {
    Tile<R, V, T> tile;
    tile.begin(start, columns);
    for (Index q = 0; q < k; ++q)
        tile.add(panel + q * (V * lanes<T>), [&](int r) FG_INLINED { return a[r * row + q * column]; });
    tile.end(c, stride, columns);
}

template <int V, class T>
void product_panel(Left<T> a, const T* panel, Index m, Index k, StartAt<T> start, T* c, Index stride, Index columns) {
    const auto rows = [&](Index i, auto count) FG_INLINED {
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

// The right factor: k rows of those in the panels, from row `first` of `rows`.
template <class T>
struct Panels {
    const T* data;
    Index rows, first = 0;
};

// C (m, n; rows `stride` apart) = start + A B.
template <class T>
void multiply(Left<T> a, Panels<T> b, Index m, Index n, Index k, StartAt<T> start, T* c, Index stride) {
    for (Index j = 0; j < n; j += panel_columns<T>) {
        const Index columns = std::min(panel_columns<T>, n - j);
        const T* const panel = b.data + j * b.rows + b.first * panel_width<T>(j, n);
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

// The same sums, in the same order, for a few rows and a B (k, n) that is not packed: columns of a block stay in
// registers while the entries of a row pass by. visit(f) calls f(index of a row of B, entry of the row of A).
namespace detail {

template <class T, class Visit>
FG_INLINE void combine_rows(const Visit& visit, const T* B, Index n, const T* start, T* c) {
    constexpr int L = lanes<T>, V = 8;
    const auto columns = [&](Index j, auto registers) FG_INLINED {
        constexpr int R = decltype(registers)::value;
        Pack<T> s[R];
        for (int r = 0; r < R; ++r) s[r] = start ? load<L>(start + j + r * L) : zero<Pack<T>>();
        visit([&](Index k, T x) FG_INLINED {
            const T* const b = B + k * n + j;
            for (int r = 0; r < R; ++r) s[r] += x * load<L>(b + r * L);
        });
        for (int r = 0; r < R; ++r) store<L>(c + j + r * L, s[r]);
    };
    Index j = 0;
    for (; j + V * L <= n; j += V * L) columns(j, Width<V>{});
    for (; j + 4 * L <= n; j += 4 * L) columns(j, Width<4>{});
    for (; j + 2 * L <= n; j += 2 * L) columns(j, Width<2>{});
    tail<L>(j, n - j, [&](Index k, auto width) FG_INLINED {
        // Whole registers here too: of sums of single numbers the compiler makes other roundings.
        constexpr int N = decltype(width)::value;
        Pack<T> s = start ? load_wide<N>(start + k) : zero<Pack<T>>();
        visit([&](Index q, T x) FG_INLINED { s += x * load_wide<N>(B + q * n + k); });
        alignas(64) T rest[L];
        store<L>(rest, s);
        std::copy_n(rest, N, c + k);
    });
}

}  // namespace detail

template <class T>
void multiply_rows(Left<T> a, const T* B, Index m, Index n, Index k, const T* start, T* c) {
    for (Index i = 0; i < m; ++i) {
        const T* const row = a.data + i * a.row;
        detail::combine_rows(
            [&](auto&& f) FG_INLINED {
                for (Index q = 0; q < k; ++q) f(q, row[q * a.column]);
            },
            B, n, start, c + i * n);
    }
}

// c (n,) = sum of rows of B (m, n) times their factors.
template <class T>
void sum_products(const T* factors, const T* B, Index m, Index n, T* c) {
    detail::combine_rows(
        [&](auto&& f) FG_INLINED {
            for (Index i = 0; i < m; ++i) f(i, factors[i]);
        },
        B, n, static_cast<const T*>(nullptr), c);
}

// c (n,) = sum of m rows.
template <class T>
void sum_rows(const T* rows, Index m, Index n, T* c) {
    detail::combine_rows(
        [&](auto&& f) FG_INLINED {
            for (Index i = 0; i < m; ++i) f(i, T(1));
        },
        rows, n, static_cast<const T*>(nullptr), c);
}

template <class Row, class T>
void multiply_sparse(const Row& row, const T* B, Index n, const T* start, T* c) {
    detail::combine_rows([&](auto&& f) FG_INLINED { row.each(f); }, B, n, start, c);
}

}  // namespace fg
