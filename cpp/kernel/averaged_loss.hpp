// Losses with kinks as their means over a way to both sides of each prediction: smooth, and off by jump * way / 4 at
// most.
//
// A loss of straight pieces is a line plus jump / 2 |t| for each kink, t = p - place. The mean of |t| over [t - way, t
// + way] is (t^2 + way^2) / (2 way) for |t| < way, and |t| beyond. Its slope is one of the slopes between the two
// pieces, so a point of the dual; there the loss and its conjugate exceed slope * p by jump |t| (way - |t|) / (2 way),
// the slack. (Beck & Teboulle, "Smoothing and first order methods", SIAM J. Optimization 2012.)
#pragma once

#include <algorithm>
#include <iterator>
#include <limits>
#include <memory>
#include <utility>
#include <vector>

#include "kernel/block_loss.hpp"

namespace fg {

template <class Loss>
concept HasKinks = requires { Loss::jump; };

template <class T>
class AveragedLoss : public BlockLoss<T> {
public:
    // Values and slopes are means over `way` (one a column, above 0) to both sides.
    virtual void average_over(const double* way) = 0;
    // For the margins P of all models: losses[m] grows by the m-th model's weight * loss, without averages, slacks[m]
    // by its weight * slack.
    virtual void slacks(const std::uint32_t* rows, Index count, const T* P, double* losses, double* slacks) const = 0;

    // Of a model alone, without averages; s are weighted slopes, one an output of the row, between those to the left of
    // its kinks and to their right.
    //
    // s becomes what a step leads to whose margins fall by q for each unit by which s rises: one of the slopes there.
    virtual void step(std::uint32_t row, const T* margins, double q, double* s) const = 0;
    // The loss, and by how much it and its conjugate at s exceed s * margin (Fenchel & Young: not below zero).
    virtual std::pair<double, double> gap(std::uint32_t row, const T* margins, const double* s) const = 0;
};

// One model after the other.
template <class T, class Loss>
class LossAveraged final : public AveragedLoss<T> {
public:
    LossAveraged(const Loss& loss, std::vector<Goals<T>> goals, Index width)
        : loss_(loss),
          goals_(std::move(goals)),
          outputs_(goals_[0].outputs),
          own_width_(width_of<T>(outputs_)),
          width_(width),
          way_(std::size_t(own_width_) * goals_.size(), T(1)) {}

    void average_over(const double* way) override {
        for (std::size_t m = 0; m < goals_.size(); ++m)
            for (Index k = 0; k < outputs_; ++k)
                way_[m * std::size_t(own_width_) + std::size_t(k)] = T(way[Index(m) * outputs_ + k]);
    }

    void slopes(const std::uint32_t* rows, Index count, double factor, T* P, double* sums) const override {
        const T f = T(factor);
        each_block(rows, count, P, [&](std::size_t m, Index n, Block& at) {
            Pack<T> sum = zero<Pack<T>>();
            for (Index k = 0; k < n; k += L) sum += slopes(at, k, f);
            sums[m] += double(fg::sum(sum));
        });
    }

    void slacks(const std::uint32_t* rows, Index count, const T* P, double* losses, double* slacks) const override {
        std::vector<T> margins(P, P + count * width_);
        each_block(rows, count, margins.data(), [&](std::size_t m, Index n, Block& at) {
            Pack<T> loss = zero<Pack<T>>(), slack = zero<Pack<T>>();
            for (Index k = 0; k < n; k += L) {
                const Pack<T> weight = load<L>(at.weight + k);
                loss += weight * loss_.template at<Pack<T>>(load<L>(at.y + k), load<L>(at.p + k)).value;
                slack += weight * slack_of(at, k);
            }
            losses[m] += double(fg::sum(loss));
            slacks[m] += double(fg::sum(slack));
        });
    }

    void step(std::uint32_t row, const T* margins, double q, double* s) const override {
        each_output(row, margins, [&](Index k, double weight, double z, double middle, const auto& places, T) {
            double low = weight * (middle - 0.5 * Loss::jump * double(std::size(places))), to = low;
            for (const T& place : places) {
                const double high = low + weight * Loss::jump;
                to = q > 0.0 ? s[k] + (z - double(place)) / q : z < double(place) ? low : high;
                to = std::clamp(to, low, high);
                if (to < high) break;
                low = high;
            }
            s[k] = to;
        });
    }

    std::pair<double, double> gap(std::uint32_t row, const T* margins, const double* s) const override {
        double losses = 0.0, gaps = 0.0;
        each_output(row, margins, [&](Index k, double weight, double z, double, const auto& places, T y) {
            const auto loss = [&](double p) { return weight * double(loss_.template at<T>(y, T(p)).value); };
            double conjugate = -std::numeric_limits<double>::infinity();  // a line between kinks: highest at one
            for (const T& place : places) conjugate = std::max(conjugate, s[k] * double(place) - loss(double(place)));
            losses += loss(z);
            gaps += std::max(0.0, loss(z) + conjugate - s[k] * z);
        });
        return {losses, gaps};
    }

private:
    static constexpr int L = lanes<T>;
    static constexpr Index most = TileTargets<T>::most;

    struct Block {
        alignas(64) T p[most + L], y[most + L], weight[most + L], way[most + L];
    };

    // Margins become weight * slope * factor; returns weight * value.
    FG_INLINE Pack<T> slopes(Block& at, Index k, T factor) const {
        using R = Pack<T>;
        const R y = load<L>(at.y + k), p = load<L>(at.p + k), weight = load<L>(at.weight + k),
                way = load<L>(at.way + k);
        const auto [middle, places] = loss_.template kinks<R>(y);
        R value = loss_.template at<R>(y, p).value, slope = middle;
        for (const R& place : places) {
            const R t = p - place, near = larger<R>(0.0, way - absolute<R>(t));
            value += T(0.25 * Loss::jump) * near * near / way;
            slope += T(Loss::jump) * smaller<R>(0.5, larger<R>(-0.5, T(0.5) * t / way));
        }
        store<L>(at.p + k, weight * factor * slope);
        return weight * value + T(0) * p;
    }

    FG_INLINE Pack<T> slack_of(const Block& at, Index k) const {
        using R = Pack<T>;
        const R p = load<L>(at.p + k), way = load<L>(at.way + k);
        R slack = zero<R>();
        for (const R& place : loss_.template kinks<R>(load<L>(at.y + k)).place) {
            const R far = absolute<R>(p - place);
            slack += T(0.5 * Loss::jump) * far * larger<R>(0.0, way - far) / way;
        }
        return slack;
    }

    // Calls work(model, margins, block) for blocks of margins, whose p are put back; behind them there are lanes of
    // weight 0.
    template <class Work>
    void each_block(const std::uint32_t* rows, Index count, T* P, const Work& work) const {
        Block at;
        for (std::size_t m = 0; m < goals_.size(); ++m)
            for (Index first = 0; first < own_width_; first += most) {
                const Index n = std::min(most, own_width_ - first), outputs = std::min(n, outputs_ - first);
                for (Index i = 0; i < count; i += most / n) {
                    const Index some = std::min(most / n, count - i);
                    T* const from = P + i * width_ + Index(m) * outputs_ + first;
                    load_block(m, rows + i, some, first, n, outputs, from, at);
                    work(m, some * n, at);
                    for (Index j = 0; j < some; ++j) std::copy_n(at.p + j * n, outputs, from + j * width_);
                }
            }
    }

    // Calls work(output, weight, margin, middle slope, kinks, target) for the outputs of a row.
    template <class Work>
    void each_output(std::uint32_t row, const T* margins, const Work& work) const {
        Block at;
        for (Index first = 0; first < outputs_; first += most) {
            const Index n = std::min(most, own_width_ - first), outputs = std::min(n, outputs_ - first);
            load_block(0, &row, 1, first, n, outputs, margins + first, at);
            for (Index k = 0; k < outputs; ++k) {
                const auto [middle, places] = loss_.template kinks<T>(at.y[k]);
                work(first + k, double(at.weight[k]), double(at.p[k]), double(middle), places, at.y[k]);
            }
        }
    }

    void load_block(std::size_t m, const std::uint32_t* rows, Index count, Index first, Index n, Index outputs,
                    const T* from, Block& at) const {
        TileTargets<T>::fill(goals_[m], rows, count, first, n, at.y, at.weight);
        const T* const way = way_.data() + m * std::size_t(own_width_) + first;
        for (Index j = 0; j < count; ++j) {
            std::copy_n(from + j * width_, outputs, at.p + j * n);
            std::fill_n(at.p + j * n + outputs, n - outputs, T(0));
            std::copy_n(way, n, at.way + j * n);
        }
        std::fill_n(at.p + count * n, L, T(0));
        std::fill_n(at.y + count * n, L, T(0));
        std::fill_n(at.weight + count * n, L, T(0));
        std::fill_n(at.way + count * n, L, T(1));
    }

    const Loss loss_;
    const std::vector<Goals<T>> goals_;
    const Index outputs_, own_width_, width_;
    std::vector<T> way_;  // (models, own width)
};

}  // namespace fg
