// The loss of a tile of rows: margins become slopes. One virtual call a tile, so that the kernels that read X know no
// loss.
#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <utility>
#include <vector>

#include "core/buffer.hpp"
#include "kernel/products.hpp"
#include "parts/loss/point.hpp"

namespace fg {

// What is to be predicted: either `y` holds a number for each row and output, or `code` a class for each row. Then the
// target of output k is 1 for class k and `negative` for others; with one output the positive class is 1.
template <class T>
struct Goals {
    const T* y = nullptr;       // (rows, outputs)
    const T* code = nullptr;    // (rows,)
    const T* weight = nullptr;  // (rows,), `weight_stride` apart; null: all 1
    Index weight_stride = 1;
    std::vector<double> side_weight;  // (outputs, 2): of rows outside and inside the class; they include 1 / mean
    Index outputs = 1, width = 1;
    double negative = -1.0;
    double smoothing = 0.0;  // of the softmax: the share of the target that all classes have in equal parts

    FG_INLINE void prefetch(Index row) const {
        prefetch_line(code ? code + row : y + row * outputs);
        if (weight) prefetch_line(weight + row * weight_stride);
    }
    FG_INLINE T weight_of(Index row) const { return weight[row * weight_stride]; }
};

template <class T>
class TileLoss {
public:
    virtual ~TileLoss() = default;
    // p (count, width) becomes factor * weight * slope, zero in the padding; returns the sum of weight * loss. Losses
    // are evaluated in the type of the data and added up in double. The sum is finite only if all margins are, whatever
    // the loss: so nothing that is not finite in X passes unseen.
    virtual double slopes(const Goals<T>& goals, const std::uint32_t* rows, Index count, double factor, T* p) const = 0;
};

// Targets and weights of some rows, side by side as their margins are.
template <class T>
struct TileTargets {
    static constexpr Index most = 512;  // margins at a time

    // Of columns first, ..., first + n - 1 of the rows: all columns, or those of one row.
    static void fill(const Goals<T>& goals, const std::uint32_t* rows, Index count, Index first, Index n, T* y,
                     T* weight) {
        if (n == 1) {
            one_output(goals, rows, count, y, weight);
        } else {
            several_outputs(goals, rows, count, first, std::min(n, goals.outputs - first), n, y, weight);
        }
    }

private:
    // Targets and weights. Numbers that lie anywhere are fetched in loops of their own, so that the others are vector
    // loops.
    static void one_output(const Goals<T>& goals, const std::uint32_t* FG_RESTRICT rows, Index count, T* FG_RESTRICT y,
                           T* FG_RESTRICT weight) {
        const T negative = T(goals.negative), outside = T(goals.side_weight[0]), inside = T(goals.side_weight[1]);
        if (goals.code) {
            for (Index i = 0; i < count; ++i) y[i] = goals.code[rows[i]];
            for (Index i = 0; i < count; ++i) weight[i] = y[i] > T(0) ? inside : outside;
            for (Index i = 0; i < count; ++i) y[i] = y[i] > T(0) ? T(1) : negative;
        } else {
            for (Index i = 0; i < count; ++i) y[i] = goals.y[rows[i]];
            std::fill_n(weight, count, outside);
        }
        if (!goals.weight) return;
        for (Index i = 0; i < count; ++i) weight[i] *= goals.weight_of(rows[i]);
    }

    // The padding has weight 0.
    static void several_outputs(const Goals<T>& goals, const std::uint32_t* FG_RESTRICT rows, Index count, Index first,
                                Index outputs, Index n, T* FG_RESTRICT y, T* FG_RESTRICT weight) {
        const double* const side = goals.side_weight.data() + 2 * first;
        for (Index k = 0; k < n; ++k) weight[k] = k < outputs ? T(side[2 * k]) : T(0);
        with_lanes<T>(n, [&](auto lane) {
            constexpr int N = decltype(lane)::value;
            for (Index k = n; k < count * n; k += N) store<N>(weight + k, load<N>(weight + k - n));
        });
        if (goals.code) {
            std::fill_n(y, count * n, T(goals.negative));
            for (Index i = 0; i < count; ++i) {
                const Index inside = Index(goals.code[rows[i]]) - first;
                if (inside < 0 || inside >= outputs) continue;
                y[i * n + inside] = T(1);
                weight[i * n + inside] = T(side[2 * inside + 1]);
            }
        } else {
            for (Index i = 0; i < count; ++i) {
                std::copy_n(goals.y + rows[i] * goals.outputs + first, outputs, y + i * n);
                std::fill_n(y + i * n + outputs, n - outputs, T(0));
            }
        }
        for (Index i = 0; i < count && goals.weight; ++i) {
            const T row_weight = goals.weight_of(rows[i]);
            for (Index k = 0; k < n; ++k) weight[i * n + k] *= row_weight;
        }
    }
};

// A loss of one margin, for every output by itself.
template <class T, class Loss>
class SeparateLoss final : public TileLoss<T> {
public:
    explicit SeparateLoss(const Loss& loss) : loss_(loss) {}

    double slopes(const Goals<T>& goals, const std::uint32_t* rows, Index count, double factor, T* p) const override {
        const Index width = goals.width;
        if (width > most) {
            double total = 0.0;
            for (Index i = 0; i < count; ++i)
                for (Index first = 0; first < width; first += most)
                    total +=
                        block(goals, rows + i, 1, first, std::min(most, width - first), factor, p + i * width + first);
            return total;
        }
        double total = 0.0;
        const Index at_once = most / width;
        for (Index i = 0; i < count; i += at_once)
            total += block(goals, rows + i, std::min(at_once, count - i), 0, width, factor, p + i * width);
        return total;
    }

private:
    static constexpr Index most = TileTargets<T>::most;

    // Columns first, ..., first + n - 1 of some rows: all columns, or one row.
    double block(const Goals<T>& goals, const std::uint32_t* rows, Index count, Index first, Index n, double factor,
                 T* p) const {
        alignas(64) T y[most], weight[most];
        TileTargets<T>::fill(goals, rows, count, first, n, y, weight);
        return evaluate(count * n, T(factor), y, weight, p);
    }

    // Margins become slopes; returns the sum of the losses.
    double evaluate(Index n, T factor, T* y, T* weight, T* p) const {
        constexpr int L = lanes<T>;
        Pack<T> sums = zero<Pack<T>>();
        Index k = 0;
        for (; k + L <= n; k += L) sums += points(load<L>(y + k), load<L>(weight + k), factor, p + k);
        if (k < n) {
            alignas(64) T rest[L]{};
            std::copy_n(p + k, n - k, rest);
            std::fill(y + n, y + k + L, T(0));
            std::fill(weight + n, weight + k + L, T(0));
            sums += points(load<L>(y + k), load<L>(weight + k), factor, rest);
            std::copy_n(rest, n - k, p + k);
        }
        return double(sum(sums));
    }

    FG_INLINE Pack<T> points(const Pack<T>& y, const Pack<T>& weight, T factor, T* p) const {
        constexpr int L = lanes<T>;
        const Pack<T> margin = load<L>(p);
        const Point<Pack<T>> point = loss_.template at<Pack<T>>(y, margin);
        store<L>(p, weight * factor * point.slope);
        return weight * point.value + T(0) * margin;
    }

    const Loss loss_;
};

// log(sum of e^p_k) - sum of t_k p_k over all outputs: multinomial logistic regression. The targets t are 1 for the
// class; with label smoothing 1 - s for it, and s / outputs for all: Szegedy et al. (2016), "Rethinking the Inception
// architecture". The largest margin is taken out first.
template <class T>
class Softmax final : public TileLoss<T> {
public:
    double slopes(const Goals<T>& goals, const std::uint32_t* rows, Index count, double factor, T* p) const override {
        double total = 0.0;
        for (Index i = 0; i < count; i += most)
            total += some(goals, rows + i, std::min(most, count - i), factor, p + i * goals.width);
        return total;
    }

private:
    static constexpr Index most = 64;  // rows at a time

    // In passes, each of which has the rows side by side.
    static double some(const Goals<T>& goals, const std::uint32_t* rows, Index count, double factor, T* P) {
        T weight[most], at_code[most], largest[most], sum[most], mean[most]{};
        std::size_t code[most];
        const Index width = goals.width;
        for (Index i = 0; i < count; ++i) {
            code[i] = std::size_t(goals.code[rows[i]]);
            weight[i] = T(goals.side_weight[2 * code[i] + 1]);
            if (goals.weight) weight[i] *= goals.weight_of(rows[i]);
            at_code[i] = P[i * width + Index(code[i])];
            for (Index k = 0; goals.smoothing > 0.0 && k < goals.outputs; ++k) mean[i] += P[i * width + k];
            mean[i] /= T(goals.outputs);
            std::fill(P + i * width + goals.outputs, P + (i + 1) * width, std::numeric_limits<T>::lowest());
        }
        with_lanes<T>(width, [&](auto lane) {
            constexpr int N = decltype(lane)::value;
            for (Index i = 0; i < count; ++i) largest[i] = maximum<N>(P + i * width, width);
            for (Index i = 0; i < count; ++i) sum[i] = exponentials<N>(P + i * width, largest[i], width);
        });
        double total = 0.0;
        const double smooth = goals.smoothing;
        for (Index i = 0; i < count; ++i) {
            T* const row = P + i * width;
            const double above = double(at_code[i] - largest[i]), rest = double(mean[i] - at_code[i]);
            total += double(weight[i]) * (double(std::log(sum[i])) - above - smooth * rest);
            const T each = weight[i] * T(factor), scale = each / sum[i];
            for (Index k = 0; k < goals.outputs; ++k) row[k] *= scale;
            for (Index k = goals.outputs; k < width; ++k) row[k] = T(0);
            if (smooth > 0.0)
                for (Index k = 0; k < goals.outputs; ++k) row[k] -= each * T(smooth / double(goals.outputs));
            row[code[i]] -= smooth > 0.0 ? each * T(1.0 - smooth) : each;
        }
        return total;
    }

    template <int N>
    FG_INLINE static T maximum(const T* row, Index width) {
        Pack<T, N> top = load<N>(row);
        for (Index k = N; k < width; k += N) top = largest<Pack<T, N>>(top, load<N>(row + k));
        return largest(top);
    }

    // Margins become e^(p - largest), next to nothing in the padding; returns the sum, which is at least 1.
    template <int N>
    FG_INLINE static T exponentials(T* row, T largest, Index width) {
        using V = Pack<T, N>;
        V sums = zero<V>();
        for (Index k = 0; k < width; k += N) {
            const V margin = load<N>(row + k);
            const auto [over, under] = exp_minus<V>(largest - margin);
            const V e = over / under;
            store<N>(row + k, e);
            sums += e + T(0) * margin;
        }
        return fg::sum(sums);
    }
};

}  // namespace fg
