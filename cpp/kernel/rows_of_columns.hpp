// Columns become rows: numbers of any type, each column in one piece of memory, are converted and laid side by side.
//
// Reading rows of far columns and writing columns of long rows both fight over the same sets of the cache where the
// distances are powers of two. So a tile of some rows of some columns goes through a buffer that stays in the nearest
// cache: columns are read and converted one after another, then turned into pieces of rows.
#pragma once

#include <Eigen/Core>
#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "core/base.hpp"
#include "core/team.hpp"

namespace fg {

namespace detail {

inline constexpr Index tile_rows = 256, tile_columns = 32;

// Rows from `row` on of one column, as numbers of type T.
template <class T>
using ColumnReader = void (*)(const void* column, Index row, Index rows, T* to);

template <class T, class From>
void read_column(const void* column, Index row, Index rows, T* FG_RESTRICT to) {
    const From* const FG_RESTRICT from = static_cast<const From*>(column) + row;
    for (Index i = 0; i < rows; ++i) to[i] = T(from[i]);
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wignored-attributes"  // of registers as arguments of templates, as Eigen has them

// out (rows, columns; rows `stride` apart) = the transpose of a tile, whose columns are tile_rows apart. Squares as
// wide as a register are turned in registers.
template <class T>
void write_rows(const T* FG_RESTRICT tile, Index rows, Index columns, T* FG_RESTRICT out, Index stride) {
    using Packet = typename Eigen::internal::packet_traits<T>::type;
    constexpr Index side = Eigen::internal::unpacket_traits<Packet>::size;
    for (Index i = 0; i < rows; i += side) {
        const Index height = std::min(side, rows - i);
        Index j = 0;
        for (; height == side && j + side <= columns; j += side) {
            Eigen::internal::PacketBlock<Packet, side> square;
            for (Index k = 0; k < side; ++k)
                square.packet[k] = Eigen::internal::ploadu<Packet>(tile + (j + k) * tile_rows + i);
            Eigen::internal::ptranspose(square);
            for (Index k = 0; k < side; ++k) Eigen::internal::pstoreu(out + (i + k) * stride + j, square.packet[k]);
        }
        for (; j < columns; ++j)
            for (Index k = i; k < i + height; ++k) out[k * stride + j] = tile[j * tile_rows + k];
    }
}

#pragma GCC diagnostic pop

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
                    column.read(column.values, first, height, tile + k * tile_rows);
                }
                detail::write_rows(tile, height, count, out + first * width + j, width);
            }
        }
    });
}

}  // namespace fg
