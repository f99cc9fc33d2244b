// Functions of real numbers that inline and have no branch. R is a number, or a pack of doubles or floats; in a pack a
// choice is always a blend, so the sequential engine evaluates a single number in a pack of two (Lone).
//
// Eigen's exp, log and tanh do the same work; DECISIONS.md has the measurements that keep these.
#pragma once

#include <bit>

#include "core/pack.hpp"

namespace fg {

using Lone = Pack<double, 2>;

// Whether none of n numbers is NaN or infinite. x - x is zero exactly when x is finite, and adding zeros costs less
// than testing each number.
template <class T>
bool are_finite(const T* x, Index n) {
    T sum = 0;
#pragma omp simd reduction(+ : sum)
    for (Index i = 0; i < n; ++i) sum += x[i] - x[i];
    return sum == T(0);
}

// A number as a quotient, for those who would divide anyway.
template <class R>
struct Quotient {
    R over, under;
};

namespace detail {

// 2^k, if k has been added to 2^52 or 2^23 and a half of it, so that it stands in the lowest bits.
template <class R>
FG_INLINE R power_of_two(const R& shifted) {
    using S = Scalar<R>;
    constexpr int by = sizeof(S) == 8 ? 52 : 23;
    constexpr auto one = std::bit_cast<vectors::Integer<S>>(S(1));
    if constexpr (size_of<R> == 1) {
        return std::bit_cast<S>(vectors::Integer<S>((std::bit_cast<vectors::Integer<S>>(shifted) << by) + one));
    } else {
        return to_pack<R>(vectors::shifted<S, size_of<R>>(to_vector<R>(shifted), by, one));
    }
}

}  // namespace detail

// e^-x to 2 ulp for |x| <= 708 (floats: 87); beyond, the value at the nearer end (3e-308 or 3e307; 2e-38 or 6e37); NaN
// for NaN. x = r - k ln 2 with |r| <= ln 2 / 2, and e^-x = 2^k e^-r.
//   double  The Pade approximant e^-r = P(-r) / P(r) with P of degree 6 (Baker & Graves-Morris, "Pade approximants";
//   its
//           error is below 2e-19 here). ln 2 is one double and a fused multiply-add makes its product exact; what it
//           lacks of ln 2 corrects r where r enters linearly, besides the waiting. (Without that instruction, v2, the
//           error grows with x, to 1e-13 at 700.)
//   float   1 - r + r^2 q(r), q by interpolation at Chebyshev's nodes (error 1e-8). ln 2 is in two parts, of which the
//           first has nine bits, so that its products are exact.
template <class R>
FG_INLINE Quotient<R> exp_minus(R x) {
    if constexpr (sizeof(Scalar<R>) == 8) {
        constexpr double log2e = 1.4426950408889634074, magic = 0x1.8p52;
        constexpr double ln2 = 0x1.62e42fefa39efp-1, ln2_rest = 0x1.abc9e3b39803fp-56;
        x = larger<R>(-708.0, x);
        x = smaller<R>(708.0, x);
        const R shifted = magic - x * log2e;
        const R k = shifted - magic;
        const R r = x + k * ln2, corrected = r + k * ln2_rest;
        const R r2 = r * r, r4 = r2 * r2;
        const R even = (1.0 + r2 * (5.0 / 44)) + r4 * (1.0 / 792 + r2 * (1.0 / 665280));
        const R odd = (0.5 + r2 * (1.0 / 66)) + r4 * (1.0 / 15840);
        return {(even - corrected * odd) * detail::power_of_two<R>(shifted), even + corrected * odd};
    } else {
        constexpr float log2e = 1.44269504f, magic = 0x1.8p23f, ln2 = 0x1.63p-1f, ln2_rest = -2.12194440e-4f;
        x = larger<R>(-87.0, x);
        x = smaller<R>(87.0, x);
        const R shifted = magic - x * log2e;
        const R k = shifted - magic;
        const R r = (x + k * ln2) + k * ln2_rest, r2 = r * r;
        const R q = (0.5f - r * 0.16666577f) + r2 * ((0.04166646f - r * 0.00836318f) + r2 * 0.00139337f);
        return {(1.0f + (r2 * q - r)) * detail::power_of_two<R>(shifted), all<R>(1.0)};
    }
}

// base + log(1 + e) for e = over / under in [0, 1], the logarithm to 2 ulp: 2 atanh(s) with s = e / (2 + e) <= 1/3. Of
// the quotient, because that saves a division.
//   double  Taylor's series up to s^33 (remainder below 2e-17 of the sum)
//   float   s p(s^2), p by interpolation at Chebyshev's nodes (error 4e-9)
template <class R>
FG_INLINE R add_log1p(const R& base, const Quotient<R>& e) {
    if constexpr (sizeof(Scalar<R>) == 8) {
        const R s = e.over / (2.0 * e.under + e.over), z = s * s, z2 = z * z, z4 = z2 * z2, z8 = z4 * z4;
        const R a = (2.0 + z * (2.0 / 3)) + z2 * (2.0 / 5 + z * (2.0 / 7));
        const R b = (2.0 / 9 + z * (2.0 / 11)) + z2 * (2.0 / 13 + z * (2.0 / 15));
        const R c = (2.0 / 17 + z * (2.0 / 19)) + z2 * (2.0 / 21 + z * (2.0 / 23));
        const R d = (2.0 / 25 + z * (2.0 / 27)) + z2 * (2.0 / 29 + z * (2.0 / 31));
        return multiply_add<R>(s, (a + z4 * b) + z8 * ((c + z4 * d) + z8 * (2.0 / 33)), base);
    } else {
        const R s = e.over / (2.0f * e.under + e.over), z = s * s, z2 = z * z;
        return multiply_add<R>(s, (2.0f + z * 0.66666316f) + z2 * ((0.40024854f + z * 0.27961419f) + z2 * 0.28174657f),
                               base);
    }
}

}  // namespace fg
