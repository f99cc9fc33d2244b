// Functions of real numbers that inline and have no branch, because the sign of a margin cannot be
// predicted. R is double, or a vector of doubles or floats: in a vector a choice is always a blend, so the engine
// evaluates a single number in a vector of two (Lone).
#pragma once

#if defined(__SSE2__)
#include <immintrin.h>
#endif

#include <type_traits>

#include "core/lanes.hpp"

namespace fg {

using Lone = Vector<double, 2>;

template <class R>
struct ScalarOf {
    using type = std::remove_cvref_t<decltype(R{}[0])>;
};
template <class R>
    requires std::is_arithmetic_v<R>
struct ScalarOf<R> {
    using type = R;
};
template <class R>
using Scalar = typename ScalarOf<R>::type;

// The number x in every lane.
template <class R>
FG_INLINE R all(double x) {
    return R{} + Scalar<R>(x);
}

template <class R>
FG_INLINE R select(auto condition, R a, R b) {
    return condition ? a : b;
}

// The larger or smaller of two; x where one is NaN. That is what one x86 instruction does, which compilers
// do not find by themselves.
#define FG_CHOOSE(bytes, prefix, vector, name)                                   \
    if constexpr (sizeof(R) == bytes) {                                          \
        if constexpr (sizeof(Scalar<R>) == 8) {                                  \
            return R(prefix##name##_pd(vector##d(all<R>(bound)), vector##d(x))); \
        } else {                                                                 \
            return R(prefix##name##_ps(vector(all<R>(bound)), vector(x)));       \
        }                                                                        \
    }
#if defined(__AVX512F__)
#define FG_CHOOSE_512(name) FG_CHOOSE(64, _mm512_, __m512, name)
#else
#define FG_CHOOSE_512(name)
#endif
#if defined(__AVX__)
#define FG_CHOOSE_256(name) FG_CHOOSE(32, _mm256_, __m256, name)
#else
#define FG_CHOOSE_256(name)
#endif
#if defined(__SSE2__)
#define FG_CHOOSE_128(name) FG_CHOOSE(16, _mm_, __m128, name)
#else
#define FG_CHOOSE_128(name)
#endif

template <class R>
FG_INLINE R larger(double bound, R x) {
    FG_CHOOSE_128(max) FG_CHOOSE_256(max) FG_CHOOSE_512(max) return select<R>(all<R>(bound) > x, all<R>(bound), x);
}
template <class R>
FG_INLINE R smaller(double bound, R x) {
    FG_CHOOSE_128(min) FG_CHOOSE_256(min) FG_CHOOSE_512(min) return select<R>(all<R>(bound) < x, all<R>(bound), x);
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

// Whether none of n numbers is NaN or infinite. x - x is zero exactly when x is finite, and adding zeros costs less
// than testing each number.
template <class T>
bool are_finite(const T* x, Index n) {
    T sum = 0;
#pragma omp simd reduction(+ : sum)
    for (Index i = 0; i < n; ++i) sum += x[i] - x[i];
    return sum == T(0);
}

template <class R>
struct IntegersOf {
    using Integer = std::conditional_t<sizeof(Scalar<R>) == 8, std::int64_t, std::int32_t>;
    using type = Vector<Integer, int(sizeof(R) / sizeof(Integer))>;
};

// A number as a quotient, for those who would divide anyway.
template <class R>
struct Quotient {
    R over, under;
};

// e^-x to 2 ulp for |x| <= 708 (floats: 87); beyond, the value at the nearer end (3e-308 or 3e307; 2e-38 or 6e37); NaN
// for NaN. -x = k ln 2 + r with |r| <= ln 2 / 2.
//   double  The Pade approximant e^r = P(r) / P(-r) with P of degree 6 (Baker & Graves-Morris, "Pade approximants"; its
//           error is below 2e-19 here). ln 2 is one double and a fused multiply-add makes its product exact; what it
//           lacks of ln 2 corrects r where r enters linearly, besides the waiting. (Without that instruction, v2, the
//           error grows with x, to 1e-13 at 700.)
//   float   1 + r + r^2 q(r), q by interpolation at Chebyshev's nodes (error 1e-8). ln 2 is in two parts, of which the
//           first has nine bits, so that its products are exact.
template <class R>
FG_INLINE Quotient<R> exp_minus(R x) {
    using Integers = typename IntegersOf<R>::type;
    if constexpr (sizeof(Scalar<R>) == 8) {
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
    } else {
        constexpr float log2e = 1.44269504f, magic = 0x1.8p23f, ln2 = 0x1.63p-1f, ln2_rest = -2.12194440e-4f;
        x = larger<R>(-87.0, x);
        x = smaller<R>(87.0, x);
        const R shifted = magic - x * log2e;
        const R k = shifted - magic;
        const R r = (-x - k * ln2) - k * ln2_rest, r2 = r * r;
        const R q = (0.5f + r * 0.16666577f) + r2 * ((0.04166646f + r * 0.00836318f) + r2 * 0.00139337f);
        const Integers exponent = (__builtin_bit_cast(Integers, shifted) << 23) + 0x3f800000;
        return {(1.0f + (r + r2 * q)) * __builtin_bit_cast(R, exponent), all<R>(1.0)};
    }
}

// log(1 + e) for e = over / under in [0, 1], to 2 ulp: 2 atanh(s) with s = e / (2 + e) <= 1/3. Of the quotient, because
// that saves a division.
//   double  Taylor's series up to s^33 (remainder below 2e-17 of the sum)
//   float   s p(s^2), p by interpolation at Chebyshev's nodes (error 4e-9)
template <class R>
FG_INLINE R log1p_unit(Quotient<R> e) {
    if constexpr (sizeof(Scalar<R>) == 8) {
        const R s = e.over / (2.0 * e.under + e.over), z = s * s, z2 = z * z, z4 = z2 * z2, z8 = z4 * z4;
        const R a = (2.0 + z * (2.0 / 3)) + z2 * (2.0 / 5 + z * (2.0 / 7));
        const R b = (2.0 / 9 + z * (2.0 / 11)) + z2 * (2.0 / 13 + z * (2.0 / 15));
        const R c = (2.0 / 17 + z * (2.0 / 19)) + z2 * (2.0 / 21 + z * (2.0 / 23));
        const R d = (2.0 / 25 + z * (2.0 / 27)) + z2 * (2.0 / 29 + z * (2.0 / 31));
        return s * ((a + z4 * b) + z8 * ((c + z4 * d) + z8 * (2.0 / 33)));
    } else {
        const R s = e.over / (2.0f * e.under + e.over), z = s * s, z2 = z * z;
        return s * ((2.0f + z * 0.66666316f) + z2 * ((0.40024854f + z * 0.27961419f) + z2 * 0.28174657f));
    }
}

}  // namespace fg
