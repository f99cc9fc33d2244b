// The vocabulary of the core: index type, error type, small macros. Knows no machine learning.
#pragma once

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>

#if defined(__GNUC__)
#define FG_INLINE inline __attribute__((always_inline))
#define FG_RESTRICT __restrict__
#else
#error "fusedgrad needs GCC >= 12 or Clang >= 15 (vector extensions)"
#endif

namespace fg {

using Index = std::ptrdiff_t;

// Thrown for arguments that the Python layer should have refused; it reaches Python as ValueError.
struct BadArgument : std::invalid_argument {
    using std::invalid_argument::invalid_argument;
};

// x as a number of its own, which the compiler may not fuse into a multiply-add.
FG_INLINE double rounded(double x) {
#if defined(__x86_64__)
    __asm__("" : "+x"(x));
#elif defined(__aarch64__)
    __asm__("" : "+w"(x));
#endif
    return x;
}

inline void require(bool ok, const char* what) {
    if (!ok) throw BadArgument(what);
}

// a b, for numbers that are not negative.
inline Index product(Index a, Index b) {
    Index result = 0;
    require(!__builtin_mul_overflow(a, b, &result), "sizes are too large: their product overflows");
    return result;
}

}  // namespace fg
