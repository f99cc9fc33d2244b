// scikit-learn's shuffle, number for number: Marsaglia's xorshift32 (13, 17, 5), the low 31 bits, and
// Fisher-Yates from the front. The same seed each epoch acts on the order that the last epoch left, so the
// orders are powers of one permutation. A better generator would break the promise of equal coefficients.
#pragma once

#include <cstdint>
#include <utility>

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

}  // namespace fg
