// Vectors, and the primitives on rows that are made of them: dot products and the update of a row.
//
// Written with the compiler's own vector types, as wide as the instruction set's registers, so that one
// source serves SSE2, AVX2, AVX-512 and NEON. A dot product runs in several chains to hide the latency of
// the multiply-add. Rows end where they end: the tail is read in halves, quarters, ... of a vector, never
// beyond the row. (Eigen's products peel to alignment, which costs more than the product itself for rows of
// a hundred numbers that start anywhere.)
#pragma once

#if defined(__SSE2__)
#include <immintrin.h>
#endif

#include <array>
#include <cstring>
#include <functional>
#include <type_traits>
#include <utility>

#include "core/base.hpp"

namespace fg {

#if defined(__AVX512F__)
inline constexpr int register_bytes = 64;
#elif defined(__AVX__)
inline constexpr int register_bytes = 32;
#else
inline constexpr int register_bytes = 16;
#endif

template <class T, int N>
struct VectorOf {
    typedef T type __attribute__((vector_size(N * sizeof(T))));
};
template <class T>
struct VectorOf<T, 1> {
    typedef T type;
};

template <class T, int N>
using Vector = typename VectorOf<T, N>::type;

// How many numbers a register holds.
template <class T>
inline constexpr int lanes = register_bytes / int(sizeof(T));

template <int N, class T>
FG_INLINE Vector<T, N> load(const T* p) {
    Vector<T, N> v;
    std::memcpy(&v, p, sizeof v);
    return v;
}

template <int N, class T>
FG_INLINE void store(T* p, Vector<T, N> v) {
    std::memcpy(p, &v, sizeof v);
}

// s + x y, rounded once where the processor can, as it is in vectors. (Compilers may make vectors of a loop over
// products of single numbers, and then round twice.)
template <class T>
FG_INLINE T multiply_add(T x, T y, T s) {
#if defined(__FMA__) || defined(__ARM_FEATURE_FMA)
    if constexpr (std::is_same_v<T, float>) return __builtin_fmaf(x, y, s);
    if constexpr (std::is_same_v<T, double>) return __builtin_fma(x, y, s);
#endif
    return s + x * y;
}

// A register's first n numbers, 0 < n <= lanes; what lies behind is neither read (zeros come in its place) nor written.
template <class T>
FG_INLINE Vector<T, lanes<T>> load_some(const T* p, Index n) {
    constexpr int L = lanes<T>;
#if defined(__AVX512F__)
    if constexpr (sizeof(T) == 4) {
        return Vector<T, L>(_mm512_maskz_loadu_ps(__mmask16((1u << n) - 1u), p));
    } else {
        return Vector<T, L>(_mm512_maskz_loadu_pd(__mmask8((1u << n) - 1u), p));
    }
#else
    Vector<T, L> v{};
    for (int k = 0; k < L; ++k)
        if (k < n) v[k] = p[k];
    return v;
#endif
}
template <class T>
FG_INLINE void store_some(T* p, Vector<T, lanes<T>> v, Index n) {
#if defined(__AVX512F__)
    if constexpr (sizeof(T) == 4) {
        _mm512_mask_storeu_ps(p, __mmask16((1u << n) - 1u), __m512(v));
    } else {
        _mm512_mask_storeu_pd(p, __mmask8((1u << n) - 1u), __m512d(v));
    }
#else
    for (int k = 0; k < lanes<T>; ++k)
        if (k < n) p[k] = v[k];
#endif
}

// The first M lanes are v, the others zero. One doubling at a time, which compilers know to cost nothing.
template <class T, int N, int M>
FG_INLINE Vector<T, M> widen(Vector<T, N> v) {
    if constexpr (N == M) {
        return v;
    } else if constexpr (N == 1) {
        return widen<T, 2, M>(Vector<T, 2>{v, T(0)});
    } else {
        const auto doubled = [&]<int... I>(std::integer_sequence<int, I...>) {
            return __builtin_shufflevector(v, Vector<T, N>{}, I...);
        };
        return widen<T, 2 * N, M>(doubled(std::make_integer_sequence<int, 2 * N>{}));
    }
}

// A vector's lanes by an operation, halves first.
template <class T, int N, class F>
FG_INLINE T reduced(Vector<T, N> v, const F& operation) {
    if constexpr (N == 1) {
        return v;
    } else if constexpr (N == 2) {
        return operation(v[0], v[1]);
    } else {
        const auto halves = [&]<int... I>(std::integer_sequence<int, I...>) {
            return operation(__builtin_shufflevector(v, v, I...), __builtin_shufflevector(v, v, (I + N / 2)...));
        };
        return reduced<T, N / 2>(halves(std::make_integer_sequence<int, N / 2>{}), operation);
    }
}

template <class T, int N>
FG_INLINE T sum(Vector<T, N> v) {
    return reduced<T, N>(v, std::plus{});
}

// Sums of the lanes of four vectors, taken together: a third of the shuffles of one at a time, and the same additions.
template <class T, int N>
FG_INLINE Vector<T, 4> sums_of(Vector<T, N> a, Vector<T, N> b, Vector<T, N> c, Vector<T, N> d) {
    if constexpr (N == 4) {
        const auto ab = __builtin_shufflevector(a, b, 0, 4, 1, 5) + __builtin_shufflevector(a, b, 2, 6, 3, 7);
        const auto cd = __builtin_shufflevector(c, d, 0, 4, 1, 5) + __builtin_shufflevector(c, d, 2, 6, 3, 7);
        return __builtin_shufflevector(ab, cd, 0, 1, 4, 5) + __builtin_shufflevector(ab, cd, 2, 3, 6, 7);
    } else {
        const auto half = []<int... I>(Vector<T, N> v, std::integer_sequence<int, I...>) {
            return __builtin_shufflevector(v, v, I...) + __builtin_shufflevector(v, v, (I + N / 2)...);
        };
        constexpr auto lower = std::make_integer_sequence<int, N / 2>{};
        return sums_of<T, N / 2>(half(a, lower), half(b, lower), half(c, lower), half(d, lower));
    }
}

// A number known at compile time, for lambdas.
template <int N>
struct Width {
    static constexpr int value = N;
};

// Calls block(offset, Width<N>) for the last n elements, n < 2 N, by descending powers of two.
template <int N, class F>
FG_INLINE void tail(Index offset, Index n, F&& block) {
    if constexpr (N >= 1) {
        if (n & N) {
            block(offset, Width<N>{});
            offset += N;
        }
        tail<N / 2>(offset, n, block);
    }
}

// Calls f(first, Width<N>) for n numbers, as many at a time as a register holds, then fewer.
template <class T, class F>
FG_INLINE void by_lanes(Index n, F&& f) {
    constexpr int L = lanes<T>;
    Index i = 0;
    for (; i + L <= n; i += L) f(i, Width<L>{});
    tail<L / 2>(i, n - i, f);
}

// K sums over n elements: add(i, Width<N>, s) adds the products of elements i, ..., i + N - 1 to the K
// vectors s; it reads them with load_wide<N>, which fills up with zeros.
template <int N, class T>
FG_INLINE Vector<T, lanes<T>> load_wide(const T* p) {
    return widen<T, N, lanes<T>>(load<N>(p));
}

template <int K, class T, class F>
FG_INLINE std::array<T, K> sums(Index n, F&& add) {
    constexpr int L = lanes<T>;
    Vector<T, L> s[K]{}, r[K]{};
    Index i = 0;
    for (; i + 2 * L <= n; i += 2 * L) {
        add(i, Width<L>{}, s);
        add(i + L, Width<L>{}, r);
    }
    if (i + L <= n) {
        add(i, Width<L>{}, s);
        i += L;
    }
    tail<L / 2>(i, n - i, [&](Index k, auto width) __attribute__((always_inline)) { add(k, width, r); });
    std::array<T, K> result;
    for (int q = 0; q < K; ++q) result[q] = sum<T, L>(s[q] + r[q]);
    return result;
}

// {a·b, b·b}
template <class T>
FG_INLINE std::array<T, 2> dot_square(const T* FG_RESTRICT a, const T* FG_RESTRICT b, Index n) {
    return sums<2, T>(n, [=](Index i, auto width, auto* s) __attribute__((always_inline)) {
        constexpr int N = decltype(width)::value;
        const auto v = load_wide<N>(b + i);
        s[0] += load_wide<N>(a + i) * v;
        s[1] += v * v;
    });
}

// {a·b, b·b, c·b}
template <class T>
FG_INLINE std::array<T, 3> dot_square_cross(const T* FG_RESTRICT a, const T* FG_RESTRICT b, const T* FG_RESTRICT c,
                                            Index n) {
    return sums<3, T>(n, [=](Index i, auto width, auto* s) __attribute__((always_inline)) {
        constexpr int N = decltype(width)::value;
        const auto v = load_wide<N>(b + i);
        s[0] += load_wide<N>(a + i) * v;
        s[1] += v * v;
        s[2] += load_wide<N>(c + i) * v;
    });
}

// y += a x
template <class T>
FG_INLINE void axpy(T a, const T* FG_RESTRICT x, T* FG_RESTRICT y, Index n) {
    constexpr int L = lanes<T>;
    const auto add = [=](Index i, auto width) __attribute__((always_inline)) {
        constexpr int N = decltype(width)::value;
        store<N>(y + i, load<N>(y + i) + a * load<N>(x + i));
    };
    Index i = 0;
    for (; i + 2 * L <= n; i += 2 * L) {
        add(i, Width<L>{});
        add(i + L, Width<L>{});
    }
    tail<L>(i, n - i, add);
}

}  // namespace fg
