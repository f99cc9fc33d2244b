// While a FlushDenormals lives, numbers that are no longer normal (below 1e-38 in float) count as zero on its thread.
//
// A running mean whose gradients have stopped decays into that range and stays there; each operation on such a number
// is a trap of about 150 cycles, and a sweep over them takes fifteen times as long.
#pragma once

#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace fg {

class FlushDenormals {
#if defined(__SSE2__)
public:
    FlushDenormals() : before_(_mm_getcsr()) { _mm_setcsr(before_ | 0x8040); }  // results, and operands
    ~FlushDenormals() { _mm_setcsr(before_); }

private:
    const unsigned before_;
#elif defined(__aarch64__)
public:
    FlushDenormals() : before_(control()) { set_control(before_ | (1ull << 24)); }
    ~FlushDenormals() { set_control(before_); }

private:
    static unsigned long long control() {
        unsigned long long bits;
        __asm__ __volatile__("mrs %0, fpcr" : "=r"(bits));
        return bits;
    }
    static void set_control(unsigned long long bits) { __asm__ __volatile__("msr fpcr, %0" : : "r"(bits)); }

    const unsigned long long before_;
#endif
};

}  // namespace fg
