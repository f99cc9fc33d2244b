// Products of some rows of X with the weights of all outputs, and back: margins and gradients of a mini-batch.
//
// Weights and gradients are feature-major: (features, width), the outputs of a feature side by side and padded with
// zeros to whole vectors; so a number of X meets all outputs at once, and dense and sparse rows are alike. With one
// output (width 1) the vectors lie along the features instead. Rows are given by their numbers.
#pragma once

#include <algorithm>

#include "core/view.hpp"

namespace fg {

// Outputs side by side: a power of two up to a register, then whole registers.
template <class T>
inline Index width_of(Index outputs) {
    Index width = 1;
    while (width < outputs && width < lanes<T>) width *= 2;
    return (outputs + width - 1) / width * width;
}

// Calls f(Width<N>) with the number of outputs that a vector holds.
template <class T, int N = lanes<T>, class F>
FG_INLINE void with_lanes(Index width, F&& f) {
    if constexpr (N == 1) {
        f(Width<1>{});
    } else if (width >= N) {
        f(Width<N>{});
    } else {
        with_lanes<T, N / 2>(width, f);
    }
}

// Calls group(first, Width<R>) for count items, R at a time, then by halves.
template <int R, class F>
FG_INLINE void by_groups(Index count, F&& group) {
    Index i = 0;
    for (; i + R <= count; i += R) group(i, Width<R>{});
    tail<R / 2>(i, count - i, group);
}

// ---- dense rows, one output ----

// p[i] = w · x_i + b; rows[0..known) may be asked for ahead.
template <class T>
void margins_one(const Dense<T>& X, const std::uint32_t* rows, Index count, Index known, const T* FG_RESTRICT w, T b,
                 T* FG_RESTRICT p) {
    constexpr int L = lanes<T>;
    const Index lead = X.lead();
    by_groups<8>(count, [&](Index i, auto group) __attribute__((always_inline)) {
        constexpr int R = decltype(group)::value;
        const T* x[R];
        for (int r = 0; r < R; ++r)
            if (i + r + lead < known) X.prefetch(rows[i + r + lead]);
        for (int r = 0; r < R; ++r) x[r] = X.row(rows[i + r]).x;
        Vector<T, L> s[R]{};
        Index j = 0;
        for (; j + L <= X.cols; j += L) {
            const auto v = load<L>(w + j);
            for (int r = 0; r < R; ++r) s[r] += v * load<L>(x[r] + j);
        }
        tail<L / 2>(j, X.cols - j, [&](Index k, auto width) __attribute__((always_inline)) {
            constexpr int N = decltype(width)::value;
            const auto v = load_wide<N>(w + k);
            for (int r = 0; r < R; ++r) s[r] += v * load_wide<N>(x[r] + k);
        });
        if constexpr (R % 4 == 0 && L >= 4) {
            for (int r = 0; r < R; r += 4) store<4>(p + i + r, sums_of<T, L>(s[r], s[r + 1], s[r + 2], s[r + 3]) + b);
        } else {
            for (int r = 0; r < R; ++r) p[i + r] = sum<T, L>(s[r]) + b;
        }
    });
}

// g += sum of s[i] x_i
template <class T>
void gradient_one(const Dense<T>& X, const std::uint32_t* rows, Index count, const T* FG_RESTRICT s, T* FG_RESTRICT g) {
    constexpr int L = lanes<T>;
    by_groups<8>(count, [&](Index i, auto group) __attribute__((always_inline)) {
        constexpr int R = decltype(group)::value;
        const T* x[R];
        for (int r = 0; r < R; ++r) x[r] = X.row(rows[i + r]).x;
        const auto add = [&](Index j, auto width) __attribute__((always_inline)) {
            constexpr int N = decltype(width)::value;
            auto v = load<N>(g + j);
            for (int r = 0; r < R; ++r) v += s[i + r] * load<N>(x[r] + j);
            store<N>(g + j, v);
        };
        Index j = 0;
        for (; j + L <= X.cols; j += L) add(j, Width<L>{});
        tail<L / 2>(j, X.cols - j, add);
    });
}

// ---- dense rows, several outputs ----

// A block of features whose weights stay in the first-level cache while rows pass by.
inline constexpr Index feature_block = 128;

// P (count, width) += X W
template <int N, class T>
void add_margins(const Dense<T>& X, const std::uint32_t* rows, Index count, const T* FG_RESTRICT W, Index width,
                 T* FG_RESTRICT P) {
    for (Index begin = 0; begin < X.cols; begin += feature_block) {
        const Index end = std::min(X.cols, begin + feature_block);
        for (Index c = 0; c < width; c += N) {
            by_groups<8>(count, [&](Index i, auto group) __attribute__((always_inline)) {
                constexpr int R = decltype(group)::value;
                const T* x[R];
                Vector<T, N> s[R];
                for (int r = 0; r < R; ++r) {
                    x[r] = X.row(rows[i + r]).x;
                    s[r] = load<N>(P + (i + r) * width + c);
                }
                for (Index j = begin; j < end; ++j) {
                    const auto v = load<N>(W + j * width + c);
                    for (int r = 0; r < R; ++r) s[r] += x[r][j] * v;
                }
                for (int r = 0; r < R; ++r) store<N>(P + (i + r) * width + c, s[r]);
            });
        }
    }
}

// G (features, width) += X' S
template <int N, class T>
void add_gradient(const Dense<T>& X, const std::uint32_t* rows, Index count, const T* FG_RESTRICT S, Index width,
                  T* FG_RESTRICT G) {
    for (Index begin = 0; begin < X.cols; begin += feature_block) {
        const Index end = std::min(X.cols, begin + feature_block);
        for (Index c = 0; c < width; c += N) {
            by_groups<8>(count, [&](Index i, auto group) __attribute__((always_inline)) {
                constexpr int R = decltype(group)::value;
                const T* x[R];
                Vector<T, N> s[R];
                for (int r = 0; r < R; ++r) {
                    x[r] = X.row(rows[i + r]).x;
                    s[r] = load<N>(S + (i + r) * width + c);
                }
                for (Index j = begin; j < end; ++j) {
                    auto v = load<N>(G + j * width + c);
                    for (int r = 0; r < R; ++r) v += x[r][j] * s[r];
                    store<N>(G + j * width + c, v);
                }
            });
        }
    }
}

// sums (width,) += the rows of P (count, width)
template <class T>
void add_rows(const T* FG_RESTRICT P, Index count, Index width, T* FG_RESTRICT sums) {
    for (Index i = 0; i < count; ++i)
        for (Index k = 0; k < width; ++k) sums[k] += P[i * width + k];
}

// ---- sparse rows ----

// P (count, width) += X W; rows[0..known) may be asked for ahead.
template <int N, class T, class I>
void add_margins(const Csr<T, I>& X, const std::uint32_t* rows, Index count, Index known, const T* FG_RESTRICT W,
                 Index width, T* FG_RESTRICT P) {
    const Index lead = X.lead();
    for (Index i = 0; i < count; ++i) {
        if (i + 2 * lead < known) {
            X.prefetch_early(rows[i + 2 * lead]);
            X.prefetch(rows[i + lead]);
        }
        const auto row = X.row(rows[i]);
        for (Index c = 0; c < width; c += N) {
            Vector<T, N> s[4]{};
            Index k = 0;
            for (; k + 4 <= row.n; k += 4)
                for (int q = 0; q < 4; ++q) s[q] += row.x[k + q] * load<N>(W + Index(row.index[k + q]) * width + c);
            for (; k < row.n; ++k) s[0] += row.x[k] * load<N>(W + Index(row.index[k]) * width + c);
            T* const p = P + i * width + c;
            store<N>(p, load<N>(p) + ((s[0] + s[1]) + (s[2] + s[3])));
        }
    }
}

// A range of features, of which a member of the team is the owner.
struct Share {
    Index begin, end;
};

// How many indices of a sorted row lie below a feature. Counting them all is faster than to search, up to a few
// hundred.
template <class T, class I>
FG_INLINE Index below(const CsrRow<T, I>& row, Index feature) {
    if (row.n > 256) return std::lower_bound(row.index, row.index + row.n, I(feature)) - row.index;
    Index count = 0;
    for (Index k = 0; k < row.n; ++k) count += row.index[k] < I(feature);
    return count;
}

// f(feature, value) for entries begin, ..., end - 1 of the row.
template <class T, class I, class F>
FG_INLINE void each_entry(const CsrRow<T, I>& row, Index begin, Index end, F&& f) {
    for (Index k = begin; k < end; ++k) f(Index(row.index[k]), row.x[k]);
}

// f(row's place, feature, value) for the entries of some rows that lie within the share.
template <class T, class I, class F>
FG_INLINE void each_within(const Csr<T, I>& X, const std::uint32_t* rows, Index count, const Share& share, bool sorted,
                           F&& f) {
    const Index lead = X.lead();
    const bool all = share.begin == 0 && share.end == X.cols;
    for (Index i = 0; i < count; ++i) {
        if (i + 2 * lead < count) {
            X.prefetch_early(rows[i + 2 * lead]);
            X.prefetch(rows[i + lead]);
        }
        const auto row = X.row(rows[i]);
        const auto at = [&](Index j, T x) __attribute__((always_inline)) { f(i, j, x); };
        if (all) {
            each_entry(row, 0, row.n, at);
        } else if (sorted) {
            each_entry(row, share.begin == 0 ? 0 : below(row, share.begin),
                       share.end == X.cols ? row.n : below(row, share.end), at);
        } else {
            each_entry(row, 0, row.n, [&](Index j, T x) __attribute__((always_inline)) {
                if (j >= share.begin && j < share.end) at(j, x);
            });
        }
    }
}

// The features of the share: G += X' S.
template <int N, class T, class I>
void add_gradient(const Csr<T, I>& X, const std::uint32_t* rows, Index count, const Share& share, bool sorted,
                  const T* FG_RESTRICT S, Index width, T* FG_RESTRICT G) {
    each_within(X, rows, count, share, sorted, [&](Index i, Index j, T x) __attribute__((always_inline)) {
        for (Index c = 0; c < width; c += N) {
            T* const g = G + j * width + c;
            store<N>(g, load<N>(g) + x * load<N>(S + i * width + c));
        }
    });
}

}  // namespace fg
