// What the columns of dense rows look like, in one pass: least and largest numbers, and sums of differences from a row
// and of their squares.
#pragma once

#include <algorithm>
#include <limits>
#include <vector>

#include "core/base.hpp"
#include "core/team.hpp"

namespace fg {

// (4, cols): least, largest, sum of x - shift, sum of its square, of so many rows of X, all (`listed` null) or those
// listed; `shift` (cols,) are numbers near them. Rows are cut into chunks by their number alone, whose sums are added
// in their order.
template <class T>
void column_moments(const T* x, Index cols, const std::uint32_t* listed, Index rows, const double* shift, int threads,
                    double* out) {
    const Index chunks = std::clamp<Index>(rows / 256, 1, 64);
    std::vector<double> partial(std::size_t(chunks * 4 * cols));
    static TeamSize::Memory sizes;
    const double work = 4.0 * double(rows) * double(cols);
    const int most = Team::most(std::min(double(chunks), work / 1e5), threads);
    Team::call(sizes, most, 3e-10 * work, [&](int member, int members) {
        for (Index c = chunks * member / members; c < chunks * (member + 1) / members; ++c) {
            double* FG_RESTRICT const low = partial.data() + c * 4 * cols;
            double* FG_RESTRICT const high = low + cols;
            double* FG_RESTRICT const sum = high + cols;
            double* FG_RESTRICT const square = sum + cols;
            std::fill_n(low, cols, std::numeric_limits<double>::infinity());
            std::fill_n(high, cols, -std::numeric_limits<double>::infinity());
            for (Index i = rows * c / chunks; i < rows * (c + 1) / chunks; ++i) {
                const T* FG_RESTRICT const row = x + (listed ? Index(listed[i]) : i) * cols;
#pragma omp simd
                for (Index j = 0; j < cols; ++j) {
                    const double value = double(row[j]), apart = value - shift[j];
                    low[j] = value < low[j] ? value : low[j];
                    high[j] = value > high[j] ? value : high[j];
                    sum[j] += apart;
                    square[j] += apart * apart;
                }
            }
        }
    });
    std::copy_n(partial.data(), 4 * cols, out);
    for (Index c = 1; c < chunks; ++c) {
        const double* const from = partial.data() + c * 4 * cols;
        for (Index j = 0; j < cols; ++j) {
            out[j] = std::min(out[j], from[j]);
            out[cols + j] = std::max(out[cols + j], from[cols + j]);
            out[2 * cols + j] += from[2 * cols + j];
            out[3 * cols + j] += from[3 * cols + j];
        }
    }
}

}  // namespace fg
