// What depends on the compiler and the processor, and nothing else does: inlining, prefetching, and the few things that
// Eigen's arrays lack, by the compiler's own vectors. For GCC >= 12 and clang >= 16, on any processor; another compiler
// needs this file and no more.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

#if defined(__SSE2__)
#include <immintrin.h>
#endif

#if !defined(__GNUC__)
#error "fusedgrad needs GCC >= 12 or clang >= 16 (see core/compiler.hpp)"
#endif

#define FG_INLINED __attribute__((always_inline))  // of a lambda
#define FG_INLINE inline FG_INLINED
#define FG_RESTRICT __restrict__
#define FG_EXPORT __attribute__((visibility("default")))

namespace fg {

#if defined(__AVX512F__)
inline constexpr int register_bytes = 64;
#elif defined(__AVX__)
inline constexpr int register_bytes = 32;
#else
inline constexpr int register_bytes = 16;
#endif

// How many registers there are.
#if defined(__AVX512F__) || defined(__aarch64__)
inline constexpr int register_count = 32;
#else
inline constexpr int register_count = 16;
#endif

// Caches in which a line of memory is wanted. The second has room for more requests at a time than the first.
inline constexpr int every_cache = 3, second_cache = 2;

// Asks for the line in which p is. Callers are always inlined, too: GCC takes a function that only prefetches for one
// without effect, and drops it.
template <int where = every_cache>
FG_INLINE void prefetch_line(const void* p) {
    __builtin_prefetch(p, 0, where);
}
FG_INLINE void prefetch_to_write(const void* p) { __builtin_prefetch(p, 1); }

// Tells the processor that this thread waits in a loop.
FG_INLINE void pause_briefly() {
#if defined(__SSE2__)
    _mm_pause();
#elif defined(__aarch64__)
    __asm__ __volatile__("yield");
#endif
}

// Whether a b is a number of this type, which `product` then is.
FG_INLINE bool multiplies(std::ptrdiff_t a, std::ptrdiff_t b, std::ptrdiff_t& product) {
    return !__builtin_mul_overflow(a, b, &product);
}

// x as a number of its own, which the compiler may not fuse into a multiply-add.
FG_INLINE double rounded(double x) {
#if defined(__x86_64__)
    __asm__("" : "+x"(x));
#elif defined(__aarch64__)
    __asm__("" : "+w"(x));
#endif
    return x;
}

// Registers as the compiler knows them. core/pack.hpp makes Eigen's arrays of them, and only there they are used.
namespace vectors {

// s + x y, rounded once where the processor can.
template <class T>
FG_INLINE T multiply_add(T x, T y, T s) {
#if defined(__FMA__) || defined(__ARM_FEATURE_FMA)
    if constexpr (std::is_same_v<T, float>) return __builtin_fmaf(x, y, s);
    if constexpr (std::is_same_v<T, double>) return __builtin_fma(x, y, s);
#endif
    return s + x * y;
}

template <class T, int N>
struct Of {
    typedef T type __attribute__((vector_size(N * sizeof(T))));
    typedef T in_memory __attribute__((vector_size(N * sizeof(T)), may_alias, aligned(alignof(T))));
};
template <class T, int N>
using Vector = typename Of<T, N>::type;

template <class T>
using Integer = std::conditional_t<sizeof(T) == 8, std::int64_t, std::int32_t>;

template <class T, int N>
FG_INLINE Vector<T, N> load(const T* p) {
    return *reinterpret_cast<const typename Of<T, N>::in_memory*>(p);
}
template <class T, int N>
FG_INLINE void store(T* p, Vector<T, N> v) {
    *reinterpret_cast<typename Of<T, N>::in_memory*>(p) = v;
}

// The first n numbers of a register, 0 < n <= N; what lies behind is neither read (zeros come in its place) nor
// written.
template <class T, int N>
FG_INLINE Vector<T, N> load_some(const T* p, std::ptrdiff_t n) {
#if defined(__AVX512F__)
    if constexpr (sizeof(T) == 4) {
        return Vector<T, N>(_mm512_maskz_loadu_ps(__mmask16((1u << n) - 1u), p));
    } else {
        return Vector<T, N>(_mm512_maskz_loadu_pd(__mmask8((1u << n) - 1u), p));
    }
#else
    Vector<T, N> v{};
    for (int k = 0; k < N; ++k)
        if (k < n) v[k] = p[k];
    return v;
#endif
}
template <class T, int N>
FG_INLINE void store_some(T* p, Vector<T, N> v, std::ptrdiff_t n) {
#if defined(__AVX512F__)
    if constexpr (sizeof(T) == 4) {
        _mm512_mask_storeu_ps(p, __mmask16((1u << n) - 1u), __m512(v));
    } else {
        _mm512_mask_storeu_pd(p, __mmask8((1u << n) - 1u), __m512d(v));
    }
#else
    for (int k = 0; k < N; ++k)
        if (k < n) p[k] = v[k];
#endif
}

// N lanes of a, behind which b's follow: numbers first, first + 1, ...
template <int N, int first = 0>
FG_INLINE auto lanes_of(auto a, auto b) {
    return [&]<int... I>(std::integer_sequence<int, I...>) FG_INLINED {
        return __builtin_shufflevector(a, b, (first + I)...);
    }(std::make_integer_sequence<int, N>{});
}

// x in every lane. (Added to a vector of zeros it would be an addition, for -0 becomes 0 by it.)
template <class T, int N>
FG_INLINE Vector<T, N> filled(T x) {
    return [&]<int... I>(std::integer_sequence<int, I...>)
               FG_INLINED { return Vector<T, N>{(static_cast<void>(I), x)...}; }(std::make_integer_sequence<int, N>{});
}

// Twice as many lanes: the first are v, the others anything.
template <class T, int N>
FG_INLINE Vector<T, 2 * N> extended(Vector<T, N> v) {
    return [&]<int... I>(std::integer_sequence<int, I...>) FG_INLINED {
        return __builtin_shufflevector(v, v, (I < N ? I : -1)...);
    }(std::make_integer_sequence<int, 2 * N>{});
}

// The first M lanes are v, the others zero. One doubling at a time, which compilers know to cost nothing.
template <class T, int N, int M>
FG_INLINE Vector<T, M> widened(Vector<T, N> v) {
    if constexpr (N == M) {
        return v;
    } else {
        return widened<T, 2 * N, M>(lanes_of<2 * N>(v, Vector<T, N>{}));
    }
}

template <class T, int N>
FG_INLINE Vector<T, N / 2> folded(Vector<T, N> v) {
    return lanes_of<N / 2>(v, v) + lanes_of<N / 2, N / 2>(v, v);
}

// The lower half plus the upper, until one is left.
template <class T, int N>
FG_INLINE T sum(Vector<T, N> v) {
    if constexpr (N == 2) {
        return v[0] + v[1];
    } else {
        return sum<T, N / 2>(folded<T, N>(v));
    }
}

// Of four vectors, taken together: a third of the shuffles of one at a time, and the same additions.
template <class T, int N>
FG_INLINE Vector<T, 4> sums(Vector<T, N> a, Vector<T, N> b, Vector<T, N> c, Vector<T, N> d) {
    if constexpr (N == 4) {
        const Vector<T, 4> ab = __builtin_shufflevector(a, b, 0, 4, 1, 5) + __builtin_shufflevector(a, b, 2, 6, 3, 7);
        const Vector<T, 4> cd = __builtin_shufflevector(c, d, 0, 4, 1, 5) + __builtin_shufflevector(c, d, 2, 6, 3, 7);
        return __builtin_shufflevector(ab, cd, 0, 1, 4, 5) + __builtin_shufflevector(ab, cd, 2, 3, 6, 7);
    } else {
        return sums<T, N / 2>(folded<T, N>(a), folded<T, N>(b), folded<T, N>(c), folded<T, N>(d));
    }
}

// Rows become columns.
template <class V>
FG_INLINE void transpose(V& a, V& b, V& c, V& d) {
    const V ab = __builtin_shufflevector(a, b, 0, 4, 1, 5), ba = __builtin_shufflevector(a, b, 2, 6, 3, 7);
    const V cd = __builtin_shufflevector(c, d, 0, 4, 1, 5), dc = __builtin_shufflevector(c, d, 2, 6, 3, 7);
    a = __builtin_shufflevector(ab, cd, 0, 1, 4, 5);
    b = __builtin_shufflevector(ab, cd, 2, 3, 6, 7);
    c = __builtin_shufflevector(ba, dc, 0, 1, 4, 5);
    d = __builtin_shufflevector(ba, dc, 2, 3, 6, 7);
}

template <class U, class T, int N>
FG_INLINE Vector<U, N> converted(Vector<T, N> v) {
    return __builtin_convertvector(v, Vector<U, N>);
}

// The lowest bits of v's lanes, moved up by `by`, with `bits` added to them, as numbers.
template <class T, int N>
FG_INLINE Vector<T, N> shifted(Vector<T, N> v, int by, Integer<T> bits) {
    using Integers = Vector<Integer<T>, N>;
    return Vector<T, N>((Integers(v) << by) + bits);
}

}  // namespace vectors

}  // namespace fg
