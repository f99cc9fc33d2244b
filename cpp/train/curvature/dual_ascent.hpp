// Stochastic dual coordinate ascent for linear models of sparse rows with an L2 penalty, a row at a time
// (Shalev-Shwartz & Zhang, "Stochastic dual coordinate ascent methods for regularized loss minimization", JMLR 2013).
//
// The dual variable of a row and an output is a slope of its loss, and W = -sum(slope x) / (strength rows) at all
// times. A step makes the slope that of the margin to which the step leads. Outputs do not see each other: members of a
// team have columns of their own, and results are the same bits for any number of threads.
//
// A free intercept would make the dual an equality. Here it is the weight of a column of the same number in all rows,
// reckoned from where the epoch before has led.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <limits>
#include <memory>
#include <numeric>
#include <utility>
#include <vector>

#include "core/rng.hpp"
#include "core/team.hpp"
#include "kernel/products.hpp"
#include "train/curvature/pass.hpp"

namespace fg {

struct AscentRecipe {
    double strength;          // of the penalty
    double square;            // of the column of the intercept; 0: there is none
    std::vector<double> way;  // (outputs,): second derivatives are differences of slopes over it
};

template <class T>
class Ascent {
public:
    virtual ~Ascent() = default;

    // Every row once, in an order that follows from the epoch's number. The sum over rows and outputs of what the dual
    // has risen by, about; negative if it has been called off, which leaves nothing of use.
    virtual double epoch(std::uint64_t number, int threads, std::function<bool()> callback) = 0;
    // Slopes (rows, outputs) and W (features + 1, outputs), with the intercepts.
    virtual void read(double* slopes, double* W) const = 0;
    virtual void write(const double* slopes, const double* W) = 0;
    // Of losses with kinks: at W, sums over the rows of losses and of what they and their conjugates at the slopes
    // exceed slope * margin by. False if it has been called off.
    virtual bool gap(int threads, std::function<bool()> callback, double* losses, double* gaps) const = 0;
};

// The slope that a row's loss has where the step to that slope leads: a root of a - slope(z - q (a - before)), which
// rises with a, between `before` and the slope at z. Newton's method, or halves of what holds the root, where Newton's
// steps do not shrink so.
class SlopeSearch {
public:
    // `before` and `slope`, `bend`, second derivative, at z.
    void begin(double before, double slope, double bend, double q) {
        before_ = at = before;
        low_ = std::min(before, slope);
        high_ = std::max(before, slope);
        q_ = q;
        last_ = std::numeric_limits<double>::infinity();
        move(slope, bend);
    }
    // With slope and second derivative where z is now.
    void move(double slope, double bend) {
        bend_ = bend;
        (at < slope ? low_ : high_) = at;
        double to = at + (slope - at) / (1.0 + q_ * bend);
        const bool inside = to > low_ && to < high_ && std::fabs(to - at) <= 0.5 * last_;
        if (slope != at && !inside) to = 0.5 * (low_ + high_);
        last_ = std::fabs(to - at);
        at = to;
    }
    // By how much z is less there.
    double shift() const { return q_ * (at - before_); }
    bool near() const { return last_ <= 0.01 * std::fabs(at - before_); }
    // What the dual rises by, about: the slope's own way is a line, and its margin moves `farthest` at most.
    double rise(double farthest) const {
        const double step = std::fabs(at - before_);
        return 0.5 * step * (q_ * step + (bend_ > 0.0 ? std::min(step / bend_, farthest) : 0.0));
    }

    double at = 0.0;

private:
    double before_ = 0.0, low_ = 0.0, high_ = 0.0, q_ = 0.0, bend_ = 0.0, last_ = 0.0;
};

template <class T, class I>
class SparseAscent final : public Ascent<T> {
public:
    SparseAscent(const Csr<T, I>& X, PassRecipe<T> recipe, AscentRecipe ascent)
        : X_(X),
          own_(std::move(ascent)),
          listed_(std::move(recipe.listed)),
          outputs_(recipe.goals[0].outputs),
          width_(width_of<T>(outputs_)) {
        if (listed_.empty()) {
            listed_.resize(std::size_t(X.rows()));
            std::iota(listed_.begin(), listed_.end(), 0u);
        }
        loss_ = make_block_loss<T>(recipe.loss, false, recipe.goals, width_);
        averaged_ = make_averaged_loss<T>(recipe.loss, std::move(recipe.goals), width_);
        own_.way.resize(std::size_t(width_), 1.0);
        order_.resize(listed_.size());
        squares_.assign(listed_.size(), 0.0);
        for (std::size_t i = 0; i < listed_.size(); ++i) {
            const auto row = X_.sample(Index(listed_[i]));
            for (Index k = 0; k < row.n; ++k) squares_[i] += double(row.x[k]) * double(row.x[k]);
        }
        slopes_ = Buffer<double>(rows() * width_);
        weights_ = Buffer<double>((X_.cols() + 1) * width_);
        std::fill_n(slopes_.data(), rows() * width_, 0.0);
        std::fill_n(weights_.data(), (X_.cols() + 1) * width_, 0.0);
    }

    double epoch(std::uint64_t number, int threads, std::function<bool()> callback) override {
        Watch watch(std::move(callback));
        row_order(order_.data(), rows(), 1, 0.0, Shuffle::rows, 0, number);
        turn();
        std::vector<double> risen(std::size_t(width_), 0.0);
        with_lanes<T>(width_, [&](auto vector) {
            constexpr Index N = decltype(vector)::value;
            const Index blocks = width_ / N;
            const int most = Team::most(std::min(double(blocks), work() / 5e4), threads);
            Team::call(TeamSize::Memory::of<SparseAscent>(), most, 1e-9 * work(), [&](int member, int members) {
                const Index begin = blocks * member / members * N, end = blocks * (member + 1) / members * N;
                if (begin < end) climb<N>(begin, end, member, watch, risen.data());
            });
        });
        if (watch.off() || !watch.poll()) return -1.0;
        return std::accumulate(risen.begin(), risen.begin() + outputs_, 0.0);
    }

    void read(double* slopes, double* W) const override {
        for (Index i = 0; i < rows(); ++i) std::copy_n(slopes_.data() + i * width_, outputs_, slopes + i * outputs_);
        for (Index j = 0; j <= X_.cols(); ++j) std::copy_n(weights_.data() + j * width_, outputs_, W + j * outputs_);
    }

    void write(const double* slopes, const double* W) override {
        for (Index i = 0; i < rows(); ++i) std::copy_n(slopes + i * outputs_, outputs_, slopes_.data() + i * width_);
        for (Index j = 0; j <= X_.cols(); ++j) std::copy_n(W + j * outputs_, outputs_, weights_.data() + j * width_);
    }

    bool gap(int threads, std::function<bool()> callback, double* losses, double* gaps) const override {
        require(averaged_ != nullptr, "loss: it has no kinks");
        constexpr Index parts = 16;
        Watch watch(std::move(callback));
        std::array<std::pair<double, double>, parts> found{};
        const int most = Team::most(std::min(double(parts), work() / 5e4), threads);
        Team::call(TeamSize::Memory::of<Ascent<T>>(), most, 5e-10 * work(), [&](int member, int members) {
            for (Index p = parts * member / members; p < parts * (member + 1) / members; ++p)
                if (!watch.called_off(member))
                    with_lanes<T>(width_, [&](auto vector) {
                        found[std::size_t(p)] =
                            gap_of<decltype(vector)::value>({rows() * p / parts, rows() * (p + 1) / parts});
                    });
        });
        *losses = *gaps = 0.0;
        for (const auto& [loss, gap] : found) {
            *losses += loss;
            *gaps += gap;
        }
        return !watch.off() && watch.poll();
    }

private:
    static constexpr int evaluations = 30;    // of a loss at a row, at most
    static constexpr double farthest = 20.0;  // ways that a margin moves, for the estimate of the rise
    static constexpr Index between = 256;     // rows between looks at the watch

    Index rows() const { return Index(listed_.size()); }
    double work() const { return 4.0 * X_.mean_length() * double(rows()) * double(width_); }
    double per_slope() const { return 1.0 / (own_.strength * double(rows())); }

    // Intercepts are reckoned from where they are now: the multiplier method's step for the equality of a free one.
    // (Bertsekas, "Constrained Optimization and Lagrange Multiplier Methods", Academic Press 1982, section 2.2.)
    void turn() {
        double* const intercepts = weights_.data() + X_.cols() * width_;
        for (Index c = 0; c < outputs_; ++c) {
            double sum = 0.0;
            for (Index i = 0; i < rows(); ++i) sum += slopes_.data()[i * width_ + c];
            intercepts[c] -= own_.square * per_slope() * sum;
        }
    }

    // Of the columns from `begin` to `end`, by themselves.
    template <int N>
    void margins_of(const CsrRow<T, I>& row, Index begin, Index end, T* margins) const {
        const double *const weights = weights_.data(), *const intercepts = weights + X_.cols() * width_;
        row_margins<N>(row, weights + begin, stride<N>(), N == 1 ? 1 : end - begin, margins + begin);
        for (Index c = begin; c < end; ++c) margins[c] += T(intercepts[c]);
    }

    template <int N>
    std::pair<double, double> gap_of(Rows own) const {
        std::vector<T> margins(static_cast<std::size_t>(width_));
        std::pair<double, double> sum{0.0, 0.0};
        for (Index i = own.begin; i < own.end; ++i) {
            const std::uint32_t listed = listed_[std::size_t(i)];
            margins_of<N>(X_.sample(Index(listed)), 0, width_, margins.data());
            const auto [loss, gap] = averaged_->gap(listed, margins.data(), slopes_.data() + i * width_);
            sum.first += loss;
            sum.second += gap;
        }
        return sum;
    }

    // The columns from `begin` to `end` of all rows: nobody else reads or writes them.
    template <int N>
    void climb(Index begin, Index end, int member, Watch& watch, double* risen) {
        const Index lead = X_.lead(), columns = end - begin;
        double *const weights = weights_.data() + begin, *const intercepts = weights + X_.cols() * width_;
        std::vector<T> margins(static_cast<std::size_t>(width_), T(0));
        std::vector<double> to(static_cast<std::size_t>(width_)), step(static_cast<std::size_t>(columns));
        Search search{std::vector<SlopeSearch>(static_cast<std::size_t>(columns)),
                      std::vector<T>(static_cast<std::size_t>(2 * width_), T(0))};
        for (Index k = 0; k < rows() && !(k % between == 0 && watch.called_off(member)); ++k) {
            prefetch(k, lead);
            const Index i = Index(order_[std::size_t(k)]);
            const std::uint32_t listed = listed_[std::size_t(i)];
            const auto row = X_.sample(Index(listed));
            margins_of<N>(row, begin, end, margins.data());
            double* const slopes = slopes_.data() + i * width_;
            const double q = (squares_[std::size_t(i)] + own_.square) * per_slope();
            std::copy_n(slopes + begin, columns, to.data() + begin);
            if (averaged_)
                averaged_->step(listed, margins.data(), q, to.data());
            else
                find(listed, q, begin, margins.data(), to.data(), search);
            for (Index c = 0; c < columns; ++c) {
                const double by = to[std::size_t(begin + c)] - slopes[begin + c];
                risen[begin + c] +=
                    averaged_ ? 0.5 * q * by * by : search.rise(c, farthest * own_.way[std::size_t(begin + c)]);
                step[std::size_t(c)] = -per_slope() * by;
                slopes[begin + c] += by;
                intercepts[c] += own_.square * step[std::size_t(c)];
            }
            add_row<N>(row, step.data(), columns, weights);
        }
    }

    // Weights of a row, in a table of the columns that there are; one column spares multiplications.
    template <int N>
    Index stride() const {
        return N == 1 ? 1 : width_;
    }

    template <int N>
    void add_row(const CsrRow<T, I>& row, const double* FG_RESTRICT step, Index columns,
                 double* FG_RESTRICT weights) const {
        for (Index e = 0; e < row.n; ++e) {
            double* FG_RESTRICT const w = weights + Index(row.index[e]) * stride<N>();
            const double x = double(row.x[e]);
            for (Index c = 0; c < (N == 1 ? 1 : columns); c += N)
                for (int l = 0; l < N; ++l) w[c + l] += x * step[c + l];
        }
    }

    void prefetch(Index k, Index lead) const {
        const PartOf<T, I> X{X_, nullptr, 0};
        const auto at = [&](Index place) { return Index(listed_[std::size_t(order_[std::size_t(place)])]); };
        if (k + 2 * lead >= rows()) return;
        X.prefetch_place(at(k + 2 * lead));
        X.prefetch(at(k + lead));
    }

    // What a member needs to look for slopes: one an own column, and two rows of margins.
    struct Search {
        std::vector<SlopeSearch> columns;
        std::vector<T> P;
        double rise(Index c, double far) const { return columns[std::size_t(c)].rise(far); }
    };

    // Of a smooth loss: the slopes of the columns from `begin` on become those to go to.
    void find(std::uint32_t row, double q, Index begin, const T* margins, double* slopes, Search& search) const {
        const std::uint32_t twice[2] = {row, row};
        T *const P = search.P.data() + begin, *const ahead = P + width_;
        const double* const way = own_.way.data() + begin;
        double unused = 0.0;
        bool near = false;
        for (int evaluation = 0; evaluation < evaluations && !near; ++evaluation) {
            Index c = 0;
            for (const SlopeSearch& each : search.columns) {
                P[c] = margins[begin + c] - T(evaluation == 0 ? 0.0 : each.shift());
                ahead[c] = P[c] + T(way[c]);
                ++c;
            }
            loss_->slopes(twice, 2, 1.0, search.P.data(), &unused);
            near = true;
            c = 0;
            for (SlopeSearch& each : search.columns) {
                const double slope = double(P[c]), bend = std::max(0.0, double(ahead[c]) - slope) / way[c];
                if (evaluation == 0)
                    each.begin(slopes[begin + c], slope, bend, q);
                else if (!each.near())  // others' evaluations change nothing
                    each.move(slope, bend);
                near = near && each.near();
                ++c;
            }
        }
        Index c = begin;
        for (const SlopeSearch& each : search.columns) slopes[c++] = each.at;
    }

    const Csr<T, I> X_;
    AscentRecipe own_;
    std::vector<std::uint32_t> listed_, order_;
    const Index outputs_, width_;
    std::vector<double> squares_;      // of the rows
    Buffer<double> slopes_, weights_;  // (rows, width), (features + 1, width); a member writes its columns
    std::unique_ptr<BlockLoss<T>> loss_;
    std::unique_ptr<AveragedLoss<T>> averaged_;  // null: the loss has no kinks
};

// Defined in inst/, one file a storage. Dense rows are refused.
template <class T>
std::unique_ptr<Ascent<T>> make_ascent(const Dense<T>& X, PassRecipe<T> recipe, AscentRecipe ascent);
template <class T, class I>
std::unique_ptr<Ascent<T>> make_ascent(const Csr<T, I>& X, PassRecipe<T> recipe, AscentRecipe ascent);

}  // namespace fg
