// Products whose left factor lies scattered, by a rule: C (m, n) = start + A B with A (i, q) = data[row[i] +
// column[q]].
//
// A convolution is such a product, without a copy of its input: rows are positions of the output, columns are the taps
// of the kernel, and where a tap of a position lies is the sum of the two. So is the gradient of its weights, with taps
// for rows and positions for columns. B is in panels (see gemm.hpp), and sums are in the order of q.
#pragma once

#include "kernel/gemm.hpp"

namespace fg {

namespace detail {

template <int R, int V, class T>
void gathered_tile(const T* data, const Index* row, const Index* FG_RESTRICT column, const T* FG_RESTRICT panel,
                   Index k, StartAt<T> start, T* c, Index stride, Index columns) {
    const T* at[R];
    for (int r = 0; r < R; ++r) at[r] = data + row[r];
    Tile<R, V, T> tile;
    tile.begin(start, columns);
    for (Index q = 0; q < k; ++q) {
        const Index far = column[q];
        tile.add(panel + q * (V * lanes<T>), [&](int r) FG_INLINED { return at[r][far]; });
    }
    tile.end(c, stride, columns);
}

// Rows are cut into tiles of nearly the same height, for low ones wait for their sums.
template <int V, class T>
void gathered_panel(const T* data, const Index* row, const Index* column, const T* panel, Index m, Index k,
                    StartAt<T> start, T* c, Index stride, Index columns) {
    const Index tiles = (m + group_rows - 1) / group_rows;
    for (Index t = 0; t < tiles; ++t) {
        const Index i = m * t / tiles, height = m * (t + 1) / tiles - i;
        const StartAt<T> from{start.data ? start.data + i * start.row : nullptr, start.row};
        [&]<int... R>(std::integer_sequence<int, R...>) {
            ((height == R + 1
                  ? gathered_tile<R + 1, V>(data, row + i, column, panel, k, from, c + i * stride, stride, columns)
                  : void()),
             ...);
        }(std::make_integer_sequence<int, group_rows>{});
    }
}

}  // namespace detail

// C (m, n; rows `stride` apart) = start + A B.
template <class T>
void multiply_gathered(const T* data, const Index* row, const Index* column, Panels<T> b, Index m, Index n, Index k,
                       StartAt<T> start, T* c, Index stride) {
    for (Index j = 0; j < n; j += panel_columns<T>) {
        const Index width = panel_width<T>(j, n), columns = std::min(panel_columns<T>, n - j);
        const T* const panel = b.data + j * b.rows + b.first * width;
        const StartAt<T> from{start.data ? start.data + j : nullptr, start.row};
        if (width == lanes<T>) {
            detail::gathered_panel<1>(data, row, column, panel, m, k, from, c + j, stride, columns);
        } else {
            detail::gathered_panel<2>(data, row, column, panel, m, k, from, c + j, stride, columns);
        }
    }
}

}  // namespace fg
