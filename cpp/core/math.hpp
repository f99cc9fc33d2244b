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

// A number as a quotient, for those who would divide anyway.
template <class R>
struct Quotient {
    R over, under;
};

// e^-x for |x| <= 708, to 2 ulp; beyond, the value at the nearer end (3e-308 or 3e307); NaN for NaN.
// -x = k ln 2 + r with |r| <= ln 2 / 2, and the Pade approximant e^r = P(r) / P(-r) with P of degree 6 (Baker &
// Graves-Morris, "Pade approximants"; its error is below 2e-19 here). ln 2 is one double and a fused multiply-add
// makes its product exact; what it lacks of ln 2 corrects r where r enters linearly, besides the waiting.
// (Without that instruction, v2, the error grows with x, to 1e-13 at 700.)
template <class R>
FG_INLINE Quotient<R> exp_minus(R x) {
    using Integers = typename IntegersOf<R>::type;
    constexpr double log2e = 1.4426950408889634074, magic = 0x1.8p52;
    constexpr double ln2 = 0x1.62e42fefa39efp-1, ln2_rest = 0x1.abc9e3b39803fp-56;
    x = larger<R>(-708.0, x);
    x = smaller<R>(708.0, x);
    const R shifted = magic - x * log2e;
    const R k = shifted - magic;
    const R r = -x - k * ln2, corrected = r - k * ln2_rest;
    const R r2 = r * r, r4 = r2 * r2;
    const R even = (1.0 + r2 * (5.0 / 44)) + r4 * (1.0 / 792 + r2 * (1.0 / 665280));
    const R odd = (0.5 + r2 * (1.0 / 66)) + r4 * (1.0 / 15840);
    const Integers exponent = (__builtin_bit_cast(Integers, shifted) << 52) + 0x3ff0000000000000;
    return {(even + corrected * odd) * __builtin_bit_cast(R, exponent), even - corrected * odd};
}

// log(1 + e) for e = over / under in [0, 1], to 2 ulp: 2 atanh(s) with s = e / (2 + e) <= 1/3 by its Taylor series up
// to s^33 (remainder below 2e-17 of the sum). Of the quotient, because that saves a division.
template <class R>
FG_INLINE R log1p_unit(Quotient<R> e) {
    const R s = e.over / (2.0 * e.under + e.over), z = s * s, z2 = z * z, z4 = z2 * z2, z8 = z4 * z4;
    const R a = (2.0 + z * (2.0 / 3)) + z2 * (2.0 / 5 + z * (2.0 / 7));
    const R b = (2.0 / 9 + z * (2.0 / 11)) + z2 * (2.0 / 13 + z * (2.0 / 15));
    const R c = (2.0 / 17 + z * (2.0 / 19)) + z2 * (2.0 / 21 + z * (2.0 / 23));
    const R d = (2.0 / 25 + z * (2.0 / 27)) + z2 * (2.0 / 29 + z * (2.0 / 31));
    return s * ((a + z4 * b) + z8 * ((c + z4 * d) + z8 * (2.0 / 33)));
}

}  // namespace fg
