// scikit-learn's shuffle, number for number: Marsaglia's xorshift32 (13, 17, 5), the low 31 bits, and
// Fisher-Yates from the front. The same seed each epoch acts on the order that the last epoch left, so the
// orders are powers of one permutation. A better generator would break the promise of equal coefficients.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "core/base.hpp"

namespace fg {

inline void shuffle_rows(std::uint32_t* order, Index n, std::uint32_t seed) {
    std::uint32_t state = seed == 0 ? 1u : seed;
    for (Index i = 0; i + 1 < n; ++i) {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        const std::uint32_t draw = state & 0x7fffffffu;
        std::swap(order[i], order[i + Index(draw % std::uint32_t(n - i))]);
    }
}

// SplitMix64: Steele, Lea & Flood (2014), "Fast splittable pseudorandom number generators". Its finalizer by itself is
// a hash.
FG_INLINE std::uint64_t hashed(std::uint64_t z) {
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

struct SplitMix {
    static constexpr std::uint64_t stride = 0x9e3779b97f4a7c15u;
    std::uint64_t state;

    std::uint64_t next() { return hashed(state += stride); }
    // A number below n, by the high half of a product (Lemire 2019, "Fast random integer generation in an interval").
    // Numbers are equally likely up to a share of n 2^-64, so nothing is rejected.
    std::uint64_t below(std::uint64_t n) {
        __extension__ using Wide = unsigned __int128;
        return std::uint64_t((Wide(next()) * n) >> 64);
    }
};

enum class Shuffle { none, blocks, rows };

// The order of rows in one epoch of the mini-batch engine: a function of its arguments alone, so that no state needs to
// survive. Blocks of adjacent rows keep memory streams long: four pages, but at most a sixteenth of a batch, so that
// a batch is drawn from all over the data. Where blocks begin changes from epoch to epoch.
inline void row_order(std::uint32_t* order, Index n, Index batch, double row_bytes, Shuffle shuffle, std::uint64_t seed,
                      std::uint64_t epoch) {
    if (shuffle == Shuffle::none) {
        for (Index i = 0; i < n; ++i) order[i] = std::uint32_t(i);
        return;
    }
    SplitMix random{seed};
    random.state = random.next() ^ epoch;
    Index block = 1;
    if (shuffle == Shuffle::blocks) {
        const Index pages = Index(16384.0 / std::max(row_bytes, 1.0));
        block = std::max<Index>(1, std::min(pages, batch / 16));
    }
    const Index first = Index(random.below(std::uint64_t(block)));  // rows of the first block, if not a whole one
    const Index blocks = (n - first + block - 1) / block + (first > 0);
    std::vector<std::uint32_t> starts(std::size_t(block == 1 ? 0 : blocks));
    std::uint32_t* const start = block == 1 ? order : starts.data();
    for (Index k = 0; k < blocks; ++k)
        start[k] = std::uint32_t(first > 0 ? (k ? first + (k - 1) * block : 0) : k * block);
    // Fisher-Yates. Draws are made ahead of use, so that memory has time to fetch what they mean.
    constexpr Index ahead = 16;
    Index drawn[ahead];
    for (Index k = 0; k + 1 < blocks + ahead; ++k) {
        if (k >= ahead) std::swap(start[k - ahead], start[drawn[k % ahead]]);
        if (k + 1 >= blocks) continue;
        drawn[k % ahead] = k + Index(random.below(std::uint64_t(blocks - k)));
        prefetch_to_write(start + drawn[k % ahead]);
    }
    if (block == 1) return;
    for (const std::uint32_t begin : starts) {
        const Index end = std::min<Index>(n, begin == 0 && first > 0 ? first : Index(begin) + block);
        for (Index i = begin; i < end; ++i) *order++ = std::uint32_t(i);
    }
}

}  // namespace fg
