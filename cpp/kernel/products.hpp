// Products of some rows of X with the weights of all outputs, and back: margins and gradients of a mini-batch.
//
// Weights and gradients are feature-major: (features, width), the outputs of a feature side by side and padded with
// zeros to whole vectors; so a number of X meets all outputs at once, and dense and sparse rows are alike. With one
// output (width 1) the vectors lie along the features instead. Rows are given by their numbers.
#pragma once

#include <algorithm>
#include <functional>

#include "core/buffer.hpp"
#include "core/view.hpp"

namespace fg {

// Outputs side by side: a power of two up to a register, then whole registers.
template <class T>
inline Index width_of(Index outputs) {
    Index width = 1;
    while (width < outputs && width < lanes<T>) width *= 2;
    return (outputs + width - 1) / width * width;
}

// Columns of several models side by side.
inline constexpr Index most_columns = 64;

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

// Some rows, and as many that will be asked for while these are worked on. A core has about a dozen requests to memory
// under way at a time; more of them stall it, fewer waste the memory's time. So they are strewn among the products: one
// for each line of the first rows of a group of eight in the margins, of the others in the gradient. They go to the
// second-level cache.
template <class T>
struct RowTile {
    static constexpr Index most_rows = 64;
    static constexpr int asked_in_margins = 3;
    Index count = 0, cols = 0;
    const T *x[most_rows], *next[most_rows];

    // The rows that were to come are at hand, if there are `rows_count` of them; and others will come, at least one.
    void advance(const Dense<T>& X, const std::uint32_t* rows, Index rows_count, const std::uint32_t* coming,
                 Index coming_count, bool foreseen) {
        count = rows_count;
        cols = X.cols();
        if (foreseen) {
            std::copy_n(next, count, x);
        } else {
            for (Index i = 0; i < count; ++i) x[i] = X.sample(rows[i]).x;
        }
        for (Index i = 0; i < coming_count; ++i) next[i] = X.sample(coming[i]).x;
        for (Index i = coming_count; i < count; ++i) next[i] = next[coming_count - 1];
    }
};

// Asks for the line of the cache in which x[j] is.
template <class T>
FG_INLINE void ask_line(const T* x, Index j) {
    prefetch_line<second_cache>(x + j);
}

// The same, if x[j] begins a line, or would if the row began with one.
template <class T>
FG_INLINE void ask(const T* x, Index j) {
    if (j % cache_line<T> == 0) ask_line(x, j);
}

// ---- dense rows, one output ----

// p[i] = w · x_i + b
template <class T>
void margins_one(const RowTile<T>& tile, const T* FG_RESTRICT w, T b, T* FG_RESTRICT p) {
    constexpr int L = lanes<T>;
    const Index cols = tile.cols;
    by_groups<8>(tile.count, [&](Index i, auto group) FG_INLINED {
        constexpr int R = decltype(group)::value, asked = std::min(R, RowTile<T>::asked_in_margins);
        const T *x[R], *next[asked];
        for (int r = 0; r < R; ++r) x[r] = tile.x[i + r];
        for (int r = 0; r < asked; ++r) next[r] = tile.next[i + r];
        Pack<T> s[R];
        clear(s);
        Index j = 0;
        for (; j + L <= cols; j += L) {
            const Pack<T> v = load<L>(w + j);
            for (int r = 0; r < R; ++r) {
                s[r] += v * load<L>(x[r] + j);
                if (r < asked) ask(next[r], j);
            }
        }
        for (int r = 0; r < asked; ++r) ask(next[r], j);
        tail<L / 2>(j, cols - j, [&](Index k, auto width) FG_INLINED {
            constexpr int N = decltype(width)::value;
            const Pack<T> v = load_wide<N>(w + k);
            for (int r = 0; r < R; ++r) s[r] += v * load_wide<N>(x[r] + k);
        });
        if constexpr (R % 4 == 0 && L >= 4) {
            for (int r = 0; r < R; r += 4) store<4>(p + i + r, sums_of(s[r], s[r + 1], s[r + 2], s[r + 3]) + b);
        } else {
            for (int r = 0; r < R; ++r) p[i + r] = sum(s[r]) + b;
        }
    });
}

// g += sum of s[i] x_i
template <class T>
void gradient_one(const RowTile<T>& tile, const T* FG_RESTRICT s, T* FG_RESTRICT g) {
    constexpr int L = lanes<T>;
    by_groups<8>(tile.count, [&](Index i, auto group) FG_INLINED {
        constexpr int R = decltype(group)::value;
        const T *x[R], *next[R];
        for (int r = 0; r < R; ++r) x[r] = tile.x[i + r];
        for (int r = 0; r < R; ++r) next[r] = tile.next[i + r];
        const auto add = [&](Index j, auto width) FG_INLINED {
            constexpr int N = decltype(width)::value;
            Pack<T, N> v = load<N>(g + j);
            for (int r = 0; r < R; ++r) {
                v = multiply_add<Pack<T, N>>(all<Pack<T, N>>(s[i + r]), load<N>(x[r] + j), v);
                if (r >= RowTile<T>::asked_in_margins) ask(next[r], j);
            }
            store<N>(g + j, v);
        };
        Index j = 0;
        for (; j + L <= tile.cols; j += L) add(j, Width<L>{});
        tail<L / 2>(j, tile.cols - j, add);
    });
}

// Sum of n numbers, as many at a time as a register holds doubles.
template <class T>
FG_INLINE double total(const T* p, Index n) {
    constexpr int D = lanes<double>;
    Pack<double> s = zero<Pack<double>>();
    Index i = 0;
    for (; i + D <= n; i += D) s += load_as<D, double>(p + i);
    for (int lane = 0; i < n; ++i, ++lane) s[lane] += double(p[i]);
    return sum(s);
}

// ---- dense rows, several outputs ----

// How many registers of columns a group of rows meets at once: as many as there is room for.
template <class T>
inline constexpr int columns_at_once = register_count == 32 ? 2 : 1;

// Calls f(first column, Width<registers>) for all columns.
template <int N, class T, class F>
FG_INLINE void by_columns(Index width, F&& f) {
    constexpr int V = columns_at_once<T>;
    Index c = 0;
    for (; c + V * N <= width; c += V * N) f(c, Width<V>{});
    for (; c < width; c += N) f(c, Width<1>{});
}

// A block of features whose weights stay in the first-level cache while rows pass by.
inline constexpr Index feature_block = 128;

// P (count, width) += X W
template <int N, class T>
void add_margins(const RowTile<T>& tile, const T* FG_RESTRICT W, Index width, T* FG_RESTRICT P) {
    for (Index begin = 0; begin < tile.cols; begin += feature_block) {
        const Index end = std::min(tile.cols, begin + feature_block);
        by_columns<N, T>(width, [&](Index c, auto registers) FG_INLINED {
            constexpr int V = decltype(registers)::value;
            by_groups<8>(tile.count, [&](Index i, auto group) FG_INLINED {
                constexpr int R = decltype(group)::value;
                const T* x[R];
                Pack<T, N> s[R][V];
                for (int r = 0; r < R; ++r) {
                    x[r] = tile.x[i + r];
                    for (int v = 0; v < V; ++v) s[r][v] = load<N>(P + (i + r) * width + c + v * N);
                }
                for (Index j = begin; j < end;) {
                    for (int r = 0; r < R && r < RowTile<T>::asked_in_margins && c == 0; ++r) ask(tile.next[i + r], j);
                    for (const Index until = std::min(end, j + cache_line<T>); j < until; ++j) {
                        Pack<T, N> w[V];
                        for (int v = 0; v < V; ++v) w[v] = load<N>(W + j * width + c + v * N);
                        for (int r = 0; r < R; ++r)
                            for (int v = 0; v < V; ++v) s[r][v] += x[r][j] * w[v];
                    }
                }
                for (int r = 0; r < R; ++r)
                    for (int v = 0; v < V; ++v) store<N>(P + (i + r) * width + c + v * N, s[r][v]);
            });
        });
    }
}

// Lane number `place` of the lower half of a register, in the order in which the tree that adds up a register meets
// them.
template <class T>
FG_INLINE int lane_at(int place) {
    int lane = 0;
    for (int bit = 1, mirrored = lanes<T> / 4; mirrored >= 1; bit *= 2, mirrored /= 2)
        if (place & bit) lane += mirrored;
    return lane;
}

// The order in which `margins_by_lanes` takes the weights: f(feature) is called for one after the other. A lane of the
// lower half and its partner in the upper half, L / 2 further, are met together; what is left of a row beyond whole
// registers is in the lower half.
template <class T, class F>
void each_by_lanes(Index cols, F&& f) {
    constexpr int L = lanes<T>;
    for (int place = 0; place < L / 2; ++place) {
        const int lane = lane_at<T>(place);
        Index j = 0;
        for (; j + L <= cols; j += L) {
            f(j + lane);
            f(j + lane + L / 2);
        }
        tail<L / 2>(j, cols - j, [&](Index first, auto width) {
            if (lane < decltype(width)::value) f(first + lane);
        });
    }
}

// P = X W + b for single outputs of many models, each the same bits as margins_one gives for the model alone: what is
// there the lane of a register is here a sum of its own, and these are added up in the same tree. Rows of W are in the
// order of each_by_lanes.
template <int N, class T>
void margins_by_lanes(const RowTile<T>& tile, const T* FG_RESTRICT W, const T* FG_RESTRICT b, Index width,
                      T* FG_RESTRICT P) {
    constexpr int L = lanes<T>;
    const Index whole = tile.cols / L * L;
    by_columns<N, T>(width, [&](Index c, auto registers) FG_INLINED {
        constexpr int V = decltype(registers)::value;
        by_groups<register_bytes == 64 ? 8 / V : 4>(tile.count, [&](Index i, auto group) FG_INLINED {
            constexpr int R = decltype(group)::value;
            const T* x[R];
            for (int r = 0; r < R; ++r) x[r] = tile.x[i + r];
            Pack<T, N> waiting[6][R][V];  // sums that wait for the other half of their tree
            const T* FG_RESTRICT w = W + c;
            const auto add = [&](Pack<T, N>(&s)[R][V], Index j) FG_INLINED {
                Pack<T, N> at[V];
                for (int v = 0; v < V; ++v) at[v] = load<N>(w + v * N);
                for (int r = 0; r < R; ++r)
                    for (int v = 0; v < V; ++v) s[r][v] += x[r][j] * at[v];
                w += width;
            };
            for (int place = 0; place < L / 2; ++place) {
                const int lane = lane_at<T>(place);
                for (Index j = place * cache_line<T>; j < tile.cols && c == 0; j += L / 2 * cache_line<T>)
                    for (int r = 0; r < R; ++r) ask_line(tile.next[i + r], j);
                Pack<T, N> s[R][V], upper[R][V];
                clear(s);
                clear(upper);
                for (Index j = lane; j < whole; j += L) {
                    add(s, j);
                    add(upper, j + L / 2);
                }
                if (whole < tile.cols)
                    tail<L / 2>(whole, tile.cols - whole, [&](Index j, auto n) FG_INLINED {
                        if (lane < decltype(n)::value) add(s, j + lane);
                    });
                for (int r = 0; r < R; ++r)
                    for (int v = 0; v < V; ++v) s[r][v] += upper[r][v];
                int level = 0;
                for (; (place >> level) & 1; ++level)
                    for (int r = 0; r < R; ++r)
                        for (int v = 0; v < V; ++v) s[r][v] = waiting[level][r][v] + s[r][v];
                for (int r = 0; r < R; ++r)
                    for (int v = 0; v < V; ++v) waiting[level][r][v] = s[r][v];
                if (place + 1 < L / 2) continue;
                for (int r = 0; r < R; ++r)
                    for (int v = 0; v < V; ++v)
                        store<N>(P + (i + r) * width + c + v * N, s[r][v] + load<N>(b + c + v * N));
            }
        });
    });
}

// G (features, width) += X' S. The sums of a few features stay in registers while rows pass by.
template <int N, class T>
void add_gradient(const RowTile<T>& tile, const T* FG_RESTRICT S, Index width, T* FG_RESTRICT G) {
    by_groups<8>(tile.cols, [&](Index j, auto group) FG_INLINED {
        constexpr int F = decltype(group)::value;
        by_columns<N, T>(width, [&](Index c, auto registers) FG_INLINED {
            constexpr int V = decltype(registers)::value;
            T* const g = G + j * width + c;
            Pack<T, N> s[F][V];
            for (int f = 0; f < F; ++f)
                for (int v = 0; v < V; ++v) s[f][v] = load<N>(g + f * width + v * N);
            for (Index i = 0; i < tile.count; ++i) {
                const T* const x = tile.x[i] + j;
                Pack<T, N> slope[V];
                for (int v = 0; v < V; ++v) slope[v] = load<N>(S + i * width + c + v * N);
                for (int f = 0; f < F; ++f)
                    for (int v = 0; v < V; ++v) s[f][v] += x[f] * slope[v];
            }
            for (int f = 0; f < F; ++f)
                for (int v = 0; v < V; ++v) store<N>(g + f * width + v * N, s[f][v]);
        });
        if (j % cache_line<T> != 0) return;
        for (Index i = 0; i < tile.count; ++i)
            if (i % 8 >= RowTile<T>::asked_in_margins) ask_line(tile.next[i], j);
    });
}

// sums (width,) += the rows of P (count, width)
template <class T>
void add_rows(const T* FG_RESTRICT P, Index count, Index width, T* FG_RESTRICT sums) {
    for (Index i = 0; i < count; ++i)
        for (Index k = 0; k < width; ++k) sums[k] += P[i * width + k];
}

// sums (width,) += column by column what `total` gives.
template <int N, class T>
void add_totals(const T* P, Index count, Index width, double* sums) {
    constexpr int D = lanes<double>, M = std::min(N, D);
    using Column = Pack<double, M>;
    for (Index c = 0; c < width; c += M) {
        Column lane[D];
        clear(lane);
        const auto add = [&](Index i, int l) FG_INLINED { lane[l] += load_as<M, double>(P + (i + l) * width + c); };
        Index i = 0;
        for (; i + D <= count; i += D)
            for (int l = 0; l < D; ++l) add(i, l);
        for (int l = 0; i + l < count; ++l) add(i, l);
        for (int n = D / 2; n >= 1; n /= 2)
            for (int l = 0; l < n; ++l) lane[l] += lane[l + n];
        store<M>(sums + c, load<M>(sums + c) + lane[0]);
    }
}

// ---- sparse rows ----

// The entries of sparse rows that lie within one of two parts of the features, if rows are cut at `split` (null: the
// whole rows).
template <class T, class I>
struct PartOf {
    const Csr<T, I>& X;
    const std::uint32_t* split;
    Index part;

    FG_INLINE CsrRow<T, I> sample(Index i) const {
        const auto r = X.sample(i);
        if (!split) return r;
        const Index s = Index(split[i]);
        return part == 0 ? CsrRow<T, I>{r.x, r.index, s} : CsrRow<T, I>{r.x + s, r.index + s, r.n - s};
    }
    FG_INLINE void prefetch(Index i) const {
        const auto r = sample(i);
        prefetch_bytes(r.x, r.n * Index(sizeof(T)));
        prefetch_bytes(r.index, r.n * Index(sizeof(I)));
    }
    FG_INLINE void prefetch_place(Index i) const {
        X.prefetch_place(i);
        if (split) prefetch_line(split + i);
    }
};

// p (columns,) = x W, of W's rows of `stride` numbers.
template <int N, class T, class I, class A>
FG_INLINE void row_margins(const CsrRow<T, I>& row, const A* FG_RESTRICT W, Index stride, Index columns,
                           T* FG_RESTRICT p) {
    for (Index c = 0; c < columns; c += N) {
        Pack<T, N> s[4];
        clear(s);
        const auto add = [&](Pack<T, N>& sum, Index k) FG_INLINED {
            const Pack<T, N> w = load_as<N, T>(W + Index(row.index[k]) * stride + c);
            sum = multiply_add<Pack<T, N>>(all<Pack<T, N>>(row.x[k]), w, sum);
        };
        Index k = 0;
        for (; k + 4 <= row.n; k += 4)
            for (int q = 0; q < 4; ++q) add(s[q], k + q);
        for (; k < row.n; ++k) add(s[0], k);
        store<N>(p + c, (s[0] + s[1]) + (s[2] + s[3]));
    }
}

// P (count, width) = X W; rows[0..known) may be asked for ahead. W may be of type double where X is of type float.
template <int N, class T, class I, class A>
void margins(const PartOf<T, I>& X, const std::uint32_t* rows, Index count, Index known, const A* FG_RESTRICT W,
             Index outputs_width, T* FG_RESTRICT P) {
    const Index lead = X.X.lead(), width = N == 1 ? 1 : outputs_width;  // which spares multiplications
    for (Index i = 0; i < count; ++i) {
        if (i + 2 * lead < known) {
            X.prefetch_place(rows[i + 2 * lead]);
            X.prefetch(rows[i + lead]);
        }
        row_margins<N>(X.sample(rows[i]), W, width, width, P + i * width);
    }
}

// A range of features, of which a member of the team is the owner. It lies within a part, and may be all of it.
struct FeatureRange {
    Index part, begin, end;
    bool whole;
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

// f(row's place)(feature, value) for the entries of some rows that lie within the range.
template <class T, class I, class F>
FG_INLINE void each_within(const PartOf<T, I>& X, const std::uint32_t* rows, Index count, const FeatureRange& range,
                           bool sorted, F&& f) {
    const Index lead = X.X.lead();
    for (Index i = 0; i < count; ++i) {
        if (i + 2 * lead < count) {
            X.prefetch_place(rows[i + 2 * lead]);
            X.prefetch(rows[i + lead]);
        }
        const auto row = X.sample(rows[i]);
        const auto at = f(i);
        if (range.whole || sorted) {
            const Index end = range.whole ? row.n : below(row, range.end);
            for (Index k = range.whole ? 0 : below(row, range.begin); k < end; ++k) at(Index(row.index[k]), row.x[k]);
        } else {
            for (Index k = 0; k < row.n; ++k)
                if (const Index j = Index(row.index[k]); j >= range.begin && j < range.end) at(j, row.x[k]);
        }
    }
}

// The features of the range: G += X' S; feature j lies in row place(j) of G. Sums are doubles: a feature's is one chain
// over the rows, however many there are.
template <int N, class T, class I, class Place = std::identity>
void add_gradient(const PartOf<T, I>& X, const std::uint32_t* rows, Index count, const FeatureRange& range, bool sorted,
                  const T* S, Index outputs_width, double* G, const Place& place = {}) {
    const Index width = N == 1 ? 1 : outputs_width;
    each_within(X, rows, count, range, sorted, [=](Index i) FG_INLINED {
        if constexpr (N == 1) {
            return [s = double(S[i]), G, &place](Index j, T x) FG_INLINED {
                double& g = G[place(j)];
                g = multiply_add(double(x), s, g);
            };
        } else {
            return [s = S + i * width, G, width, &place](Index j, T x) FG_INLINED {
                double* const row = G + place(j) * width;
                constexpr int D = std::min(N, lanes<double>);
                for (Index c = 0; c < width; c += D) {
                    double* const g = row + c;
                    const Pack<double, D> slope = load_as<D, double>(s + c), factor = all<Pack<double, D>>(x);
                    store<D>(g, multiply_add(factor, slope, load<D>(g)));
                }
            };
        }
    });
}

}  // namespace fg
