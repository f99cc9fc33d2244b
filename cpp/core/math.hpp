// exp and log1p that inline: a libm call costs more than the rest of a sample and cannot be interleaved
// with it. Neither has a branch, because the sign of a margin cannot be predicted.
#pragma once

#include <bit>

#include "core/base.hpp"

namespace fg {

// e^x to 1 ulp or so for |x| <= 708; beyond, the value at the nearer end (3e-308 or 3e307); NaN for NaN.
// Cody-Waite reduction x = k ln 2 + r, |r| <= ln 2 / 2, then the Taylor polynomial of degree 12 in Estrin's
// order (its remainder is below 2e-16 r^0 ... 2e-17 relative on that interval).
FG_INLINE double exp_bounded(double x) {
    constexpr double log2e = 1.4426950408889634074, magic = 0x1.8p52;
    constexpr double ln2_high = 0x1.62e42fefa3800p-1, ln2_low = 0x1.ef35793c76730p-45;
    x = x > -708.0 ? x : x != x ? x : -708.0;
    x = x > 708.0 ? 708.0 : x;
    const double shifted = x * log2e + magic;
    const double k = shifted - magic;
    const double r = (x - k * ln2_high) - k * ln2_low;
    const double r2 = r * r, r4 = r2 * r2, r8 = r4 * r4;
    const double p01 = 1.0 + r, p23 = 1.0 / 2 + r * (1.0 / 6);
    const double p45 = 1.0 / 24 + r * (1.0 / 120), p67 = 1.0 / 720 + r * (1.0 / 5040);
    const double p89 = 1.0 / 40320 + r * (1.0 / 362880);
    const double pab = 1.0 / 3628800 + r * (1.0 / 39916800);
    const double low = (p01 + r2 * p23) + r4 * (p45 + r2 * p67);
    const double high = (p89 + r2 * pab) + r4 * (1.0 / 479001600);
    const auto exponent = (std::bit_cast<std::uint64_t>(shifted) << 52) + 0x3ff0000000000000ull;
    return (low + r8 * high) * std::bit_cast<double>(exponent);
}

// log(1 + e) for e in [0, 1], to 2 ulp: 2 atanh(s) with s = e / (2 + e) <= 1/3 by its Taylor series up to
// s^33 (remainder below 2e-17 of the sum).
FG_INLINE double log1p_unit(double e) {
    const double s = e / (2.0 + e), z = s * s, z2 = z * z, z4 = z2 * z2, z8 = z4 * z4;
    const double a = (2.0 + z * (2.0 / 3)) + z2 * (2.0 / 5 + z * (2.0 / 7));
    const double b = (2.0 / 9 + z * (2.0 / 11)) + z2 * (2.0 / 13 + z * (2.0 / 15));
    const double c = (2.0 / 17 + z * (2.0 / 19)) + z2 * (2.0 / 21 + z * (2.0 / 23));
    const double d = (2.0 / 25 + z * (2.0 / 27)) + z2 * (2.0 / 29 + z * (2.0 / 31));
    return s * ((a + z4 * b) + z8 * ((c + z4 * d) + z8 * (2.0 / 33)));
}

}  // namespace fg
