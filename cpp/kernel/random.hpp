// Random numbers by their place: a hash of a key and a counter, so that they are the same whoever asks for them.
#pragma once

#include <cstdint>

#include "core/base.hpp"

namespace fg {

// The finalizer of SplitMix64: Steele, Lea & Flood (2014), "Fast splittable pseudorandom number generators".
FG_INLINE std::uint64_t hashed(std::uint64_t z) {
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

inline std::uint64_t key_of(std::uint64_t seed, std::uint64_t number) {
    return hashed(hashed(seed + 0x9e3779b97f4a7c15u) + number * 0x9e3779b97f4a7c15u);
}

// y = x times factor where a random number of 32 bits is at least `threshold`, else 0; entry i has number first + i.
// Two entries share a hash.
template <class T>
void keep_some(const T* FG_RESTRICT x, Index n, std::uint64_t key, std::uint64_t first, std::uint64_t threshold,
               T factor, T* FG_RESTRICT y) {
    for (Index i = 0; i < n; ++i) {
        const std::uint64_t number = first + std::uint64_t(i);
        const std::uint64_t bits = hashed(key + (number >> 1) * 0x9e3779b97f4a7c15u);
        const std::uint64_t half = number & 1 ? bits >> 32 : bits & 0xffffffffu;
        y[i] = half >= threshold ? x[i] * factor : T(0);
    }
}

}  // namespace fg
