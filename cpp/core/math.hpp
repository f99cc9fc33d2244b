// Functions of real numbers that inline and have no branch, because the sign of a margin cannot be
// predicted. R is double, or a vector of doubles: in a vector a choice is always a blend, so the engine
// evaluates a single number in a vector of two (Lone).
#pragma once

#if defined(__SSE2__)
#include <immintrin.h>
#endif

#include "core/lanes.hpp"

namespace fg {

using Lone = Vector<double, 2>;

template <class R>
FG_INLINE R select(auto condition, R a, R b) {
    return condition ? a : b;
}

// The larger or smaller of two; x where one is NaN. That is what one x86 instruction does, which compilers
// do not find by themselves.
#if defined(__AVX512F__)
#define FG_CHOOSE_512(name) \
    if constexpr (sizeof(R) == 64) return R(_mm512_##name##_pd(__m512d(R{} + bound), __m512d(x)));
#else
#define FG_CHOOSE_512(name)
#endif
#if defined(__AVX__)
#define FG_CHOOSE_256(name) \
    if constexpr (sizeof(R) == 32) return R(_mm256_##name##_pd(__m256d(R{} + bound), __m256d(x)));
#else
#define FG_CHOOSE_256(name)
#endif
#if defined(__SSE2__)
#define FG_CHOOSE_128(name) \
    if constexpr (sizeof(R) == 16) return R(_mm_##name##_pd(__m128d(R{} + bound), __m128d(x)));
#else
#define FG_CHOOSE_128(name)
#endif

template <class R>
FG_INLINE R larger(double bound, R x) {
    FG_CHOOSE_128(max) FG_CHOOSE_256(max) FG_CHOOSE_512(max) return select<R>(bound > x, R{} + bound, x);
}
template <class R>
FG_INLINE R smaller(double bound, R x) {
    FG_CHOOSE_128(min) FG_CHOOSE_256(min) FG_CHOOSE_512(min) return select<R>(bound < x, R{} + bound, x);
}
template <class R>
FG_INLINE R absolute(R x) {
    return select<R>(x < 0.0, -x, x);
}
// magnitude with the sign of x
template <class R>
FG_INLINE R with_sign(R magnitude, R x) {
    return select<R>(x < 0.0, -magnitude, magnitude);
}

template <class R>
struct IntegersOf {
    typedef std::int64_t type __attribute__((vector_size(sizeof(R))));
};
template <>
struct IntegersOf<double> {
    using type = std::int64_t;
};

// e^x to 1 ulp or so for |x| <= 708; beyond, the value at the nearer end (3e-308 or 3e307); NaN for NaN.
// Cody-Waite reduction x = k ln 2 + r, |r| <= ln 2 / 2, then the Taylor polynomial of degree 12 in Estrin's
// order (its remainder is below 2e-16 of the result on that interval).
template <class R>
FG_INLINE R exp_bounded(R x) {
    using Integers = typename IntegersOf<R>::type;
    constexpr double log2e = 1.4426950408889634074, magic = 0x1.8p52;
    constexpr double ln2_high = 0x1.62e42fefa3800p-1, ln2_low = 0x1.ef35793c76730p-45;
    x = larger<R>(-708.0, x);
    x = smaller<R>(708.0, x);
    const R shifted = x * log2e + magic;
    const R k = shifted - magic;
    const R r = (x - k * ln2_high) - k * ln2_low;
    const R r2 = r * r, r4 = r2 * r2, r8 = r4 * r4;
    const R p01 = 1.0 + r, p23 = 1.0 / 2 + r * (1.0 / 6);
    const R p45 = 1.0 / 24 + r * (1.0 / 120), p67 = 1.0 / 720 + r * (1.0 / 5040);
    const R p89 = 1.0 / 40320 + r * (1.0 / 362880);
    const R pab = 1.0 / 3628800 + r * (1.0 / 39916800);
    const R low = (p01 + r2 * p23) + r4 * (p45 + r2 * p67);
    const R high = (p89 + r2 * pab) + r4 * (1.0 / 479001600);
    const Integers exponent = (__builtin_bit_cast(Integers, shifted) << 52) + 0x3ff0000000000000;
    return (low + r8 * high) * __builtin_bit_cast(R, exponent);
}

// log(1 + e) for e in [0, 1], to 2 ulp: 2 atanh(s) with s = e / (2 + e) <= 1/3 by its Taylor series up to
// s^33 (remainder below 2e-17 of the sum).
template <class R>
FG_INLINE R log1p_unit(R e) {
    const R s = e / (2.0 + e), z = s * s, z2 = z * z, z4 = z2 * z2, z8 = z4 * z4;
    const R a = (2.0 + z * (2.0 / 3)) + z2 * (2.0 / 5 + z * (2.0 / 7));
    const R b = (2.0 / 9 + z * (2.0 / 11)) + z2 * (2.0 / 13 + z * (2.0 / 15));
    const R c = (2.0 / 17 + z * (2.0 / 19)) + z2 * (2.0 / 21 + z * (2.0 / 23));
    const R d = (2.0 / 25 + z * (2.0 / 27)) + z2 * (2.0 / 29 + z * (2.0 / 31));
    return s * ((a + z4 * b) + z8 * ((c + z4 * d) + z8 * (2.0 / 33)));
}

}  // namespace fg
