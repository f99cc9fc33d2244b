// Vector primitives on rows: dot products and the update of a row.
//
// Written with the compiler's own vector types, as wide as the instruction set's registers, so that one
// source serves SSE2, AVX2, AVX-512 and NEON. A dot product runs in `chains` independent sums to hide the
// latency of the multiply-add. Rows end where they end: the tail is read in halves, quarters, ... of a
// vector, never beyond the row. (Eigen's products peel to alignment, which costs more than the product for
// rows of a hundred numbers that start anywhere.)
#pragma once

#include <array>
#include <cstring>

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

// Sum of a vector's lanes, halves first.
template <class T, int N>
FG_INLINE T sum(Vector<T, N> v) {
    if constexpr (N == 1) {
        return v;
    } else {
        Vector<T, N / 2> low, high;
        std::memcpy(&low, &v, sizeof low);
        std::memcpy(&high, reinterpret_cast<const char*>(&v) + sizeof low, sizeof high);
        return sum<T, N / 2>(low + high);
    }
}

// Calls block(offset, Width<N>) for the last `n` elements, by descending powers of two below N.
template <int N>
struct Width {
    static constexpr int value = N;
};

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

// Sums K products at once over n elements: products(i, Width<N>) returns the K vectors of products at i.
template <int K, class T, class F>
FG_INLINE std::array<T, K> sums(Index n, F&& products) {
    constexpr int L = lanes<T>;
    constexpr int chains = K > 2 ? 2 : 4;
    Vector<T, L> s[chains][K]{};
    Index i = 0;
    for (; i + chains * L <= n; i += chains * L)
        for (int c = 0; c < chains; ++c) products(i + c * L, Width<L>{}, s[c]);
    for (; i + L <= n; i += L) products(i, Width<L>{}, s[0]);
    T rest[K]{};
    tail<L / 2>(i, n - i, [&](Index k, auto width) {
        constexpr int N = decltype(width)::value;
        Vector<T, N> r[K]{};
        products(k, width, r);
        for (int q = 0; q < K; ++q) rest[q] += sum<T, N>(r[q]);
    });
    std::array<T, K> result;
    for (int q = 0; q < K; ++q) {
        auto total = s[0][q];
        for (int c = 1; c < chains; ++c) total += s[c][q];
        result[q] = sum<T, L>(total) + rest[q];
    }
    return result;
}

// {a·b, b·b}
template <class T>
FG_INLINE std::array<T, 2> dot_square(const T* FG_RESTRICT a, const T* FG_RESTRICT b, Index n) {
    return sums<2, T>(n, [=](Index i, auto width, auto* s) {
        constexpr int N = decltype(width)::value;
        const auto v = load<N>(b + i);
        s[0] += load<N>(a + i) * v;
        s[1] += v * v;
    });
}

// {a·b, b·b, c·b}
template <class T>
FG_INLINE std::array<T, 3> dot_square_cross(const T* FG_RESTRICT a, const T* FG_RESTRICT b,
                                            const T* FG_RESTRICT c, Index n) {
    return sums<3, T>(n, [=](Index i, auto width, auto* s) {
        constexpr int N = decltype(width)::value;
        const auto v = load<N>(b + i);
        s[0] += load<N>(a + i) * v;
        s[1] += v * v;
        s[2] += load<N>(c + i) * v;
    });
}

// y += a x
template <class T>
FG_INLINE void axpy(T a, const T* FG_RESTRICT x, T* FG_RESTRICT y, Index n) {
    constexpr int L = lanes<T>;
    const auto add = [=](Index i, auto width) {
        constexpr int N = decltype(width)::value;
        store<N>(y + i, load<N>(y + i) + a * load<N>(x + i));
    };
    Index i = 0;
    for (; i + L <= n; i += L) add(i, Width<L>{});
    tail<L / 2>(i, n - i, add);
}

}  // namespace fg
