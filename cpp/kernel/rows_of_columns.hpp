// Columns become rows: numbers of any type, each column in one piece of memory, are converted and laid side by side.
//
// Reading rows of far columns and writing columns of long rows both fight over the same sets of the cache where the
// distances are powers of two. So a tile of some rows of some columns goes through a buffer that stays in the nearest
// cache: columns are read in their order, then each row's piece is written in one go.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "core/base.hpp"
#include "core/team.hpp"

namespace fg {

namespace detail {

inline constexpr Index tile_rows = 64, tile_columns = 32;

// Rows from `row` on of one column, as numbers of type T.
template <class T>
using ColumnReader = void (*)(const void* column, Index row, Index rows, T* to);

template <class T, class From>
void read_column(const void* column, Index row, Index rows, T* FG_RESTRICT to) {
    const From* const from = static_cast<const From*>(column) + row;
    for (Index i = 0; i < rows; ++i) to[i * tile_columns] = T(from[i]);
}

}  // namespace detail

// A column of numbers, and what reads it.
template <class T>
struct ReadColumn {
    const void* values;
    detail::ColumnReader<T> read;
};

// out (rows, columns), in C order.
template <class T>
void rows_of_columns(std::span<const ReadColumn<T>> columns, Index rows, T* out, int threads) {
    using detail::tile_columns, detail::tile_rows;
    const Index width = Index(columns.size()), tiles = (rows + tile_rows - 1) / tile_rows;
    static TeamSize::Memory sizes;
    const double work = double(rows) * double(width);
    const int most = Team::most(std::min(double(tiles), work / 2e5), threads);
    Team::call(sizes, most, 5e-10 * work, [&](int member, int members) {
        alignas(64) T tile[tile_rows * tile_columns];
        for (Index t = tiles * member / members; t < tiles * (member + 1) / members; ++t) {
            const Index first = t * tile_rows, height = std::min(tile_rows, rows - first);
            for (Index j = 0; j < width; j += tile_columns) {
                const Index count = std::min(tile_columns, width - j);
                for (Index k = 0; k < count; ++k) {
                    const auto& column = columns[std::size_t(j + k)];
                    column.read(column.values, first, height, tile + k);
                }
                for (Index i = 0; i < height; ++i)
                    std::copy_n(tile + i * tile_columns, count, out + (first + i) * width + j);
            }
        }
    });
}

}  // namespace fg
