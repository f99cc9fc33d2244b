// Random numbers by their place: a hash of a key and a counter, so that they are the same whoever asks for them.
#pragma once

#include <cstdint>

#include "core/rng.hpp"

namespace fg {

inline std::uint64_t key_of(std::uint64_t seed, std::uint64_t number) {
    return hashed(hashed(seed + SplitMix::stride) + number * SplitMix::stride);
}

// y = x times factor where a random number of 32 bits is at least `threshold`, else 0; entry i has number first + i.
// Two entries share a hash. y may be x.
template <class T>
void keep_some(const T* x, Index n, std::uint64_t key, std::uint64_t first, std::uint64_t threshold, T factor, T* y) {
#pragma omp simd
    for (Index i = 0; i < n; ++i) {
        const std::uint64_t number = first + std::uint64_t(i);
        const std::uint64_t bits = hashed(key + (number >> 1) * SplitMix::stride);
        const std::uint64_t half = number & 1 ? bits >> 32 : bits & 0xffffffffu;
        y[i] = half >= threshold ? x[i] * factor : T(0);
    }
}

}  // namespace fg
