// The loss of a tile of rows: margins become slopes. One virtual call a tile, so that the kernels that read X know no
// loss.
#pragma once

#include <cmath>
#include <limits>
#include <vector>

#include "core/buffer.hpp"
#include "core/view.hpp"
#include "parts/loss/point.hpp"

namespace fg {

// What is to be predicted: either `y` holds a number for each row and output, or `code` a class for each row. Then the
// target of output k is 1 for class k and `negative` for others; with one output the positive class is 1.
template <class T>
struct Goals {
    const T* y = nullptr;             // (rows, outputs)
    const T* code = nullptr;          // (rows,)
    const T* weight = nullptr;        // (rows,); null: all 1
    std::vector<double> side_weight;  // (outputs, 2): of rows outside and inside the class; they include 1 / mean
    Index outputs = 1, width = 1;
    double negative = -1.0;
};

template <class T>
class TileLoss {
public:
    static constexpr Index most_rows = 64;
    virtual ~TileLoss() = default;
    // p (count, width) becomes factor * weight * slope, zero in the padding; returns the sum of weight * loss.
    virtual double slopes(const Goals<T>& goals, const std::uint32_t* rows, Index count, double factor, T* p) const = 0;
};

// A loss of one margin, for every output by itself.
template <class T, class Loss>
class SeparateLoss final : public TileLoss<T> {
public:
    explicit SeparateLoss(const Loss& loss) : loss_(loss) {}

    double slopes(const Goals<T>& goals, const std::uint32_t* rows, Index count, double factor, T* p) const override {
        alignas(64) double y[most], weight[most], margin[most];
        const Index outputs = std::min(goals.outputs, most), at_once = most / outputs;
        double total = 0.0;
        for (Index first = 0; first < goals.outputs; first += outputs) {
            const Index n = std::min(outputs, goals.outputs - first);
            for (Index i = 0; i < count; i += at_once) {
                const Index members = std::min(at_once, count - i);
                T* const part = p + i * goals.width + first;
                gather(goals, rows + i, members, first, n, part, y, weight, margin);
                total += evaluate(members * n, factor, y, weight, margin);
                for (Index m = 0; m < members; ++m)
                    for (Index k = 0; k < n; ++k) part[m * goals.width + k] = T(margin[m * n + k]);
            }
        }
        for (Index i = 0; i < count && goals.width > goals.outputs; ++i)
            std::fill(p + i * goals.width + goals.outputs, p + (i + 1) * goals.width, T(0));
        return total;
    }

private:
    static constexpr Index most = 512;  // margins at a time

    // Targets, weights and margins of outputs first, ..., first + n - 1, without padding. Numbers that lie anywhere are
    // fetched in loops of their own, so that the others are vector loops.
    static void gather(const Goals<T>& goals, const std::uint32_t* FG_RESTRICT rows, Index count, Index first, Index n,
                       const T* FG_RESTRICT p, double* FG_RESTRICT y, double* FG_RESTRICT weight,
                       double* FG_RESTRICT margin) {
        const double* const side = goals.side_weight.data() + 2 * first;
        T far[most];
        if (goals.code && goals.outputs == 1) {
            const double negative = goals.negative, outside = side[0], inside = side[1];
            for (Index i = 0; i < count; ++i) far[i] = goals.code[rows[i]];
            for (Index i = 0; i < count; ++i) {
                margin[i] = double(p[i]);
                y[i] = far[i] > T(0) ? 1.0 : negative;
                weight[i] = far[i] > T(0) ? inside : outside;
            }
        } else if (goals.code) {
            std::fill_n(y, count * n, goals.negative);
            for (Index i = 0; i < count; ++i) {
                for (Index k = 0; k < n; ++k) margin[i * n + k] = double(p[i * goals.width + k]);
                for (Index k = 0; k < n; ++k) weight[i * n + k] = side[2 * k];
                const Index inside = Index(goals.code[rows[i]]) - first;
                if (inside < 0 || inside >= n) continue;
                y[i * n + inside] = 1.0;
                weight[i * n + inside] = side[2 * inside + 1];
            }
        } else {
            for (Index i = 0; i < count; ++i) {
                const T* const goal = goals.y + rows[i] * goals.outputs + first;
                for (Index k = 0; k < n; ++k) {
                    margin[i * n + k] = double(p[i * goals.width + k]);
                    y[i * n + k] = double(goal[k]);
                    weight[i * n + k] = side[2 * k];
                }
            }
        }
        if (!goals.weight) return;
        for (Index i = 0; i < count; ++i) far[i] = goals.weight[rows[i]];
        for (Index i = 0; i < count; ++i)
            for (Index k = 0; k < n; ++k) weight[i * n + k] *= double(far[i]);
    }

    // Margins become slopes; returns the sum of the losses.
    double evaluate(Index n, double factor, const double* y, const double* weight, double* margin) const {
        constexpr int L = lanes<double>;
        Vector<double, L> sums{};
        Index k = 0;
        for (; k + L <= n; k += L) {
            const auto point = loss_.at(load<L>(y + k), load<L>(margin + k));
            const auto w = load<L>(weight + k);
            sums += w * point.value;
            store<L>(margin + k, w * point.slope * factor);
        }
        double rest = 0.0;
        for (; k < n; ++k) {
            const auto point = loss_.at(Lone{y[k], y[k]}, Lone{margin[k], margin[k]});
            rest += weight[k] * point.value[0];
            margin[k] = weight[k] * point.slope[0] * factor;
        }
        return sum<double, L>(sums) + rest;
    }

    const Loss loss_;
};

// log(sum of e^p_k) - p_y over all outputs: multinomial logistic regression. The largest margin is taken out first.
template <class T>
class Softmax final : public TileLoss<T> {
public:
    double slopes(const Goals<T>& goals, const std::uint32_t* rows, Index count, double factor, T* p) const override {
        double total = 0.0;
        for (Index i = 0; i < count; ++i) {
            T* const row = p + i * goals.width;
            const Index code = Index(goals.code[rows[i]]);
            const double weight =
                (goals.weight ? double(goals.weight[rows[i]]) : 1.0) * goals.side_weight[std::size_t(2 * code + 1)];
            double largest = double(row[0]);
            for (Index k = 1; k < goals.outputs; ++k) largest = std::max(largest, double(row[k]));
            const double at_code = double(row[code]) - largest;
            double sum = 0.0;
            for (Index k = 0; k < goals.outputs; ++k) {
                const auto [over, under] = exp_minus<double>(largest - double(row[k]));
                const double e = over / under;
                row[k] = T(e);
                sum += e;
            }
            total += weight * (std::log(sum) - at_code);
            const double scale = weight * factor / sum;
            for (Index k = 0; k < goals.outputs; ++k) row[k] = T(double(row[k]) * scale);
            row[code] -= T(weight * factor);
            for (Index k = goals.outputs; k < goals.width; ++k) row[k] = T(0);
        }
        return total;
    }
};

}  // namespace fg
