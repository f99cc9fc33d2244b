// Packs: a register of numbers as an array of Eigen, and the primitives on rows that are made of them.
//
// A pack is as wide as the registers of the instruction set, so that one source serves SSE2, AVX2, AVX-512 and NEON. A
// function of a template type R is written for packs and for single numbers alike.
//
// A dot product runs in several chains to hide the latency of the multiply-add. Rows end where they end: the tail is
// read in halves, quarters, ... of a register, never beyond the row. (Eigen's products peel to alignment, which costs
// more than the product itself for rows of a hundred numbers that start anywhere.)
#pragma once

#include <Eigen/Core>

#include <array>
#include <cmath>
#include <type_traits>

#include "core/base.hpp"

namespace fg {

// How many numbers a register holds.
template <class T>
inline constexpr int lanes = register_bytes / int(sizeof(T));

namespace detail {

template <class T, int N>
struct PackOf {
    using type = Eigen::Array<T, N, 1>;
};
template <class T>
struct PackOf<T, 1> {
    using type = T;
};

template <class R>
struct Traits {
    using Scalar = R;
    static constexpr int size = 1;
    using Mask = bool;
};
template <class T, int N>
struct Traits<Eigen::Array<T, N, 1>> {
    using Scalar = T;
    static constexpr int size = N;
    using Mask = vectors::Vector<vectors::Integer<T>, N>;
};

}  // namespace detail

// N numbers, a power of two; one is a number.
template <class T, int N = lanes<T>>
using Pack = typename detail::PackOf<T, N>::type;

template <class R>
using Scalar = typename detail::Traits<R>::Scalar;
template <class R>
inline constexpr int size_of = detail::Traits<R>::size;
// What comparisons of packs give: of numbers, bool.
template <class R>
using Mask = typename detail::Traits<R>::Mask;

namespace detail {

template <class R>
using VectorOf = vectors::Vector<Scalar<R>, size_of<R>>;

// Of a pack, an expression of packs, or a number for all lanes.
template <class R, class E>
FG_INLINE VectorOf<R> to_vector(const E& e) {
    if constexpr (std::is_arithmetic_v<E>) {
        return vectors::filled<Scalar<R>, size_of<R>>(Scalar<R>(e));
    } else if constexpr (std::is_same_v<E, R>) {
        return vectors::load<Scalar<R>, size_of<R>>(e.data());
    } else {
        const R pack(e);
        return vectors::load<Scalar<R>, size_of<R>>(pack.data());
    }
}
template <class R>
FG_INLINE R to_pack(VectorOf<R> v) {
    R pack;
    vectors::store<Scalar<R>, size_of<R>>(pack.data(), v);
    return pack;
}

// The register of Eigen that holds a pack, where it has one. (Eigen's functions of arrays have cleanups in between, and
// compilers fuse no multiply-add across them.)
template <class R>
struct PacketOf {
    static constexpr bool exists = false;
};
template <class T, int N>
struct PacketOf<Eigen::Array<T, N, 1>> {
    using type = typename Eigen::internal::find_best_packet<T, N>::type;
    static constexpr bool exists = int(Eigen::internal::unpacket_traits<type>::size) == N;
};
template <class R>
inline constexpr bool has_packet = PacketOf<R>::exists;
template <class R>
FG_INLINE auto to_packet(const auto& x) {
    return typename PacketOf<R>::type(to_vector<R>(x));
}
template <class R>
FG_INLINE R from_packet(const auto& packet) {
    return to_pack<R>(VectorOf<R>(packet));
}

}  // namespace detail

// The number x in every lane.
template <class R>
FG_INLINE R all(double x) {
    if constexpr (size_of<R> == 1) {
        return R(x);
    } else {
        return detail::to_pack<R>(detail::to_vector<R>(x));
    }
}
template <class R>
FG_INLINE R zero() {
    return all<R>(0.0);
}

// Sets to zero: a pack, or an array of packs.
template <class R>
FG_INLINE void clear(R& x) {
    x = zero<R>();
}
template <class R, std::size_t n>
FG_INLINE void clear(R (&x)[n]) {
    for (auto& each : x) clear(each);
}

// ---- arithmetic ----

// Of packs, and packs and numbers. Eigen's own operators make expressions, which take a compiler two to three times as
// long to see through; these make packs, so `auto` is one, too.
#define FG_OPERATION(operation)                                                                                      \
    template <class T, int N>                                                                                        \
    FG_INLINE Eigen::Array<T, N, 1> operator operation(const Eigen::Array<T, N, 1>& a,                               \
                                                       const Eigen::Array<T, N, 1>& b) {                             \
        using R = Eigen::Array<T, N, 1>;                                                                             \
        return detail::to_pack<R>(detail::to_vector<R>(a) operation detail::to_vector<R>(b));                        \
    }                                                                                                                \
    template <class T, int N>                                                                                        \
    FG_INLINE Eigen::Array<T, N, 1> operator operation(const Eigen::Array<T, N, 1>& a, std::type_identity_t<T> b) {  \
        using R = Eigen::Array<T, N, 1>;                                                                             \
        return detail::to_pack<R>(detail::to_vector<R>(a) operation b);                                              \
    }                                                                                                                \
    template <class T, int N>                                                                                        \
    FG_INLINE Eigen::Array<T, N, 1> operator operation(std::type_identity_t<T> a, const Eigen::Array<T, N, 1>& b) {  \
        using R = Eigen::Array<T, N, 1>;                                                                             \
        return detail::to_pack<R>(a operation detail::to_vector<R>(b));                                              \
    }                                                                                                                \
    template <class T, int N>                                                                                        \
    FG_INLINE Eigen::Array<T, N, 1>& operator operation## =                                                          \
        (Eigen::Array<T, N, 1> & a, const Eigen::Array<T, N, 1>& b) {                                                \
        return a = a operation b;                                                                                    \
    }                                                                                                                \
    template <class T, int N>                                                                                        \
    FG_INLINE Eigen::Array<T, N, 1>& operator operation## = (Eigen::Array<T, N, 1> & a, std::type_identity_t<T> b) { \
        return a = a operation b;                                                                                    \
    }
FG_OPERATION(+)
FG_OPERATION(-)
FG_OPERATION(*)
FG_OPERATION(/)
#undef FG_OPERATION
template <class T, int N>
FG_INLINE Eigen::Array<T, N, 1> operator-(const Eigen::Array<T, N, 1>& a) {
    using R = Eigen::Array<T, N, 1>;
    return detail::to_pack<R>(-detail::to_vector<R>(a));
}

// ---- memory ----

template <int N, class T>
FG_INLINE Pack<T, N> load(const T* p) {
    if constexpr (N == 1) {
        return *p;
    } else {
        return detail::to_pack<Pack<T, N>>(vectors::load<T, N>(p));
    }
}
template <int N, class T>
FG_INLINE void store(T* p, const std::type_identity_t<Pack<T, N>>& v) {
    if constexpr (N == 1) {
        *p = v;
    } else {
        vectors::store<T, N>(p, detail::to_vector<Pack<T, N>>(v));
    }
}

// N numbers at the beginning of a register, zeros behind them.
template <int N, class T>
FG_INLINE Pack<T> load_wide(const T* p) {
    if constexpr (N == lanes<T>) {
        return load<N>(p);
    } else if constexpr (N == 1) {
        return detail::to_pack<Pack<T>>(vectors::widened<T, 2, lanes<T>>(vectors::Vector<T, 2>{*p, T(0)}));
    } else {
        return detail::to_pack<Pack<T>>(vectors::widened<T, N, lanes<T>>(vectors::load<T, N>(p)));
    }
}

// A register's first n numbers, 0 < n <= lanes; what lies behind is neither read (zeros come in its place) nor written.
template <class T>
FG_INLINE Pack<T> load_some(const T* p, Index n) {
    return detail::to_pack<Pack<T>>(vectors::load_some<T, lanes<T>>(p, n));
}
template <class T>
FG_INLINE void store_some(T* p, const Pack<T>& v, Index n) {
    vectors::store_some<T, lanes<T>>(p, detail::to_vector<Pack<T>>(v), n);
}

// N numbers as type T: of type double they are rounded.
template <int N, class T, class A>
FG_INLINE Pack<T, N> load_as(const A* p) {
    if constexpr (std::is_same_v<T, A>) {
        return load<N>(p);
    } else if constexpr (N == 1) {
        return T(*p);
    } else if constexpr (N <= lanes<A>) {
        return detail::to_pack<Pack<T, N>>(vectors::converted<T, A, N>(vectors::load<A, N>(p)));
    } else {
        const auto half = [](const A* q)
                              FG_INLINED { return vectors::converted<T, A, N / 2>(vectors::load<A, N / 2>(q)); };
        return detail::to_pack<Pack<T, N>>(vectors::lanes_of<N>(half(p), half(p + N / 2)));
    }
}

// ---- choices: a blend, never a branch, for the sign of a margin cannot be predicted ----

#define FG_COMPARISON(name, operation)                                        \
    template <class R, class A, class B>                                      \
    FG_INLINE Mask<R> name(const A& a, const B& b) {                          \
        if constexpr (size_of<R> == 1) {                                      \
            return a operation b;                                             \
        } else {                                                              \
            return detail::to_vector<R>(a) operation detail::to_vector<R>(b); \
        }                                                                     \
    }
FG_COMPARISON(less, <)
FG_COMPARISON(less_equal, <=)
FG_COMPARISON(equal, ==)
FG_COMPARISON(not_equal, !=)
#undef FG_COMPARISON

template <class R>
FG_INLINE Mask<R> either(const Mask<R>& a, const Mask<R>& b) {
    if constexpr (size_of<R> == 1) {
        return a || b;
    } else {
        return a | b;
    }
}
// a where the mask is set, else b.
template <class R, class A, class B>
FG_INLINE R select(const Mask<R>& mask, const A& a, const B& b) {
    if constexpr (size_of<R> == 1) {
        return mask ? R(a) : R(b);
    } else {
        return detail::to_pack<R>(mask ? detail::to_vector<R>(a) : detail::to_vector<R>(b));
    }
}

// The larger or smaller of a bound and x; x where it is NaN.
template <class R>
FG_INLINE R larger(double bound, const R& x) {
    if constexpr (detail::has_packet<R>) {
        return detail::from_packet<R>(Eigen::internal::pmax(detail::to_packet<R>(x), detail::to_packet<R>(bound)));
    } else {
        return select<R>(less<R>(x, bound), bound, x);
    }
}
template <class R>
FG_INLINE R smaller(double bound, const R& x) {
    if constexpr (detail::has_packet<R>) {
        return detail::from_packet<R>(Eigen::internal::pmin(detail::to_packet<R>(x), detail::to_packet<R>(bound)));
    } else {
        return select<R>(less<R>(bound, x), bound, x);
    }
}
// The larger of two, and the largest of the lanes; any of them where one is NaN.
template <class R>
FG_INLINE R largest(const R& a, const R& b) {
    if constexpr (detail::has_packet<R>) {
        return detail::from_packet<R>(Eigen::internal::pmax(detail::to_packet<R>(a), detail::to_packet<R>(b)));
    } else {
        return select<R>(less<R>(a, b), b, a);
    }
}
template <class R>
FG_INLINE Scalar<R> largest(const R& v) {
    if constexpr (size_of<R> == 1) {
        return v;
    } else {
        return v.maxCoeff();
    }
}
template <class R>
FG_INLINE R absolute(const R& x) {
    if constexpr (detail::has_packet<R>) {
        return detail::from_packet<R>(Eigen::internal::pabs(detail::to_packet<R>(x)));
    } else {
        return select<R>(less<R>(x, 0), -x, x);
    }
}
// s + x y, rounded once where the processor can. Compilers fuse products and sums as well, but which of them, depends
// on what is around (of a loop over single numbers they may make vectors, and round twice): where a number must have
// the same bits in all kernels, its formula says what is fused.
template <class R>
FG_INLINE R multiply_add(const R& x, const R& y, const R& s) {
    if constexpr (size_of<R> == 1) {
        return vectors::multiply_add(x, y, s);
    } else if constexpr (detail::has_packet<R>) {
        using detail::to_packet;
        return detail::from_packet<R>(Eigen::internal::pmadd(to_packet<R>(x), to_packet<R>(y), to_packet<R>(s)));
    } else {  // two floats: half of the smallest register
        using Wide = Eigen::Array<Scalar<R>, 2 * size_of<R>, 1>;
        const auto wide = [](const R& v) FG_INLINED {
            return detail::to_pack<Wide>(vectors::extended<Scalar<R>, size_of<R>>(detail::to_vector<R>(v)));
        };
        const auto both = detail::to_vector<Wide>(multiply_add<Wide>(wide(x), wide(y), wide(s)));
        return detail::to_pack<R>(vectors::lanes_of<size_of<R>>(both, both));
    }
}
// magnitude with the sign of x
template <class R>
FG_INLINE R with_sign(const R& magnitude, const R& x) {
    return select<R>(less<R>(x, 0), -magnitude, magnitude);
}

// ---- sums ----

// Of a pack's lanes: the lower half plus the upper, until one is left.
template <class R>
FG_INLINE Scalar<R> sum(const R& v) {
    if constexpr (size_of<R> == 1) {
        return v;
    } else {
        return vectors::sum<Scalar<R>, size_of<R>>(detail::to_vector<R>(v));
    }
}

// The same of four packs, side by side.
template <class R>
FG_INLINE Pack<Scalar<R>, 4> sums_of(const R& a, const R& b, const R& c, const R& d) {
    using detail::to_vector;
    return detail::to_pack<Pack<Scalar<R>, 4>>(
        vectors::sums<Scalar<R>, size_of<R>>(to_vector<R>(a), to_vector<R>(b), to_vector<R>(c), to_vector<R>(d)));
}

// The square of four numbers from each of four places, its columns for rows.
template <class T>
FG_INLINE std::array<Pack<T, 4>, 4> load_transposed(const T* a, const T* b, const T* c, const T* d) {
    using P = Pack<T, 4>;
    auto va = vectors::load<T, 4>(a), vb = vectors::load<T, 4>(b), vc = vectors::load<T, 4>(c),
         vd = vectors::load<T, 4>(d);
    vectors::transpose(va, vb, vc, vd);
    return {detail::to_pack<P>(va), detail::to_pack<P>(vb), detail::to_pack<P>(vc), detail::to_pack<P>(vd)};
}

// ---- loops ----

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

// K sums over n elements: add(i, Width<N>, s) adds the products of elements i, ..., i + N - 1 to the K packs s; it
// reads them with load_wide<N>, which fills up with zeros.
template <int K, class T, class F>
FG_INLINE std::array<T, K> sums(Index n, F&& add) {
    constexpr int L = lanes<T>;
    Pack<T> s[K], r[K];
    clear(s);
    clear(r);
    Index i = 0;
    for (; i + 2 * L <= n; i += 2 * L) {
        add(i, Width<L>{}, s);
        add(i + L, Width<L>{}, r);
    }
    if (i + L <= n) {
        add(i, Width<L>{}, s);
        i += L;
    }
    tail<L / 2>(i, n - i, [&](Index k, auto width) FG_INLINED { add(k, width, r); });
    std::array<T, K> result;
    for (int q = 0; q < K; ++q) result[q] = sum<Pack<T>>(s[q] + r[q]);
    return result;
}

// ---- rows ----

// {a·b, b·b}
template <class T>
FG_INLINE std::array<T, 2> dot_square(const T* FG_RESTRICT a, const T* FG_RESTRICT b, Index n) {
    return sums<2, T>(n, [=](Index i, auto width, auto* s) FG_INLINED {
        constexpr int N = decltype(width)::value;
        const Pack<T> v = load_wide<N>(b + i);
        s[0] += load_wide<N>(a + i) * v;
        s[1] += v * v;
    });
}

// {a·b, b·b, c·b}
template <class T>
FG_INLINE std::array<T, 3> dot_square_cross(const T* FG_RESTRICT a, const T* FG_RESTRICT b, const T* FG_RESTRICT c,
                                            Index n) {
    return sums<3, T>(n, [=](Index i, auto width, auto* s) FG_INLINED {
        constexpr int N = decltype(width)::value;
        const Pack<T> v = load_wide<N>(b + i);
        s[0] += load_wide<N>(a + i) * v;
        s[1] += v * v;
        s[2] += load_wide<N>(c + i) * v;
    });
}

// y += a x
template <class T>
FG_INLINE void axpy(T a, const T* FG_RESTRICT x, T* FG_RESTRICT y, Index n) {
    constexpr int L = lanes<T>;
    const auto add = [=](Index i, auto width) FG_INLINED {
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
