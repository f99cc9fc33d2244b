// The mini-batch engine: one epoch at a time of a linear model with any number of outputs, any loss, rule and storage.
//
// A step goes through phases, with a barrier after each; every member of the team does its share of a phase. What a
// phase does depends on the storage: see dense_minibatch.hpp and sparse_minibatch.hpp. Work is cut by the data alone,
// and a coordinate is summed in the same order whoever owns it, so results are the same bits for any number of threads.
//
// Weights are (features + 1, width), feature-major; the last row holds the intercepts, which no penalty touches.
#pragma once

#include <algorithm>
#include <chrono>
#include <cmath>
#include <memory>
#include <vector>

#include "core/buffer.hpp"
#include "core/rng.hpp"
#include "core/team.hpp"
#include "kernel/products.hpp"
#include "kernel/tile_loss.hpp"
#include "train/updater.hpp"

namespace fg {

inline constexpr double no_limit = std::numeric_limits<double>::infinity();

// What a fit is made of, apart from its arrays.
struct Recipe {
    PartSpec loss, rule;
    bool multinomial = false;
    Penalty penalty;
    double clip_value = no_limit, clip_norm = no_limit;
    double intercept_decay = 1.0;  // factor on the gradient of intercepts; 0 keeps them fixed
    Index batch = 1;
    Shuffle shuffle = Shuffle::blocks;
    std::uint64_t seed = 0;
};

// What shortens a gradient to a norm, as in torch's clip_grad_norm_; given are sums of squares of its pieces.
inline double norm_factor(const std::vector<double>& squares, double limit) {
    double sum = 0.0;
    for (const double square : squares) sum += square;
    return std::min(1.0, limit / (std::sqrt(sum) + 1e-6));
}

// How far an epoch came, and what it saw.
struct Passed {
    Index batches = 0, rows = 0;
    double loss = 0.0;     // sum of weight * loss over the rows
    double penalty = 0.0;  // of the objective, mean over the moments at which it was measured
    double carry = 1.0;
    bool finite = true;
};

// The batch at hand. Every member has its own, because the first may be ahead.
struct Batch {
    Index number = 0;
    const std::uint32_t* rows = nullptr;
    Index count = 0;
    Tick tick;
};

// Defined in inst/: the loss enters there.
template <class T>
std::unique_ptr<TileLoss<T>> make_tile_loss(const PartSpec& loss, bool multinomial, Goals<T>& goals);

template <class T>
class MiniBatch {
public:
    virtual ~MiniBatch() = default;

    Index batches() const { return (n_ + batch_ - 1) / batch_; }

    // One epoch with the given rates, one a batch; `first_step` is the optimizer's step of the first batch (1, 2, ...).
    // look() is called about every 50 ms on the calling thread; when it returns false the epoch ends early.
    template <class Look>
    Passed epoch(Index number, Index first_step, double carry, const double* rates, Index average_from, int threads,
                 Look look) {
        passed_ = Passed{};
        passed_.carry = carry;
        rates_ = rates;
        first_step_ = first_step;
        average_from_ = average_from;
        row_order(order_.data(), n_, batch_, row_bytes_, recipe_.shuffle, recipe_.seed, std::uint64_t(number));
        if (!rows_.empty())
            for (auto& row : order_) row = rows_[row];
        // The penalty is measured at up to 16 moments, fewer where that would cost more than the rows themselves.
        const Index moments = std::clamp<Index>(Index(8.0 * length_ * double(n_) / double(cols_)), 2, 16);
        every_ = (batches() + moments - 1) / moments;
        Index measured = 0;
        measured_ = &measured;
        const double work = length_ * double(batch_) * double(width_);
        const int members = int(std::clamp(work / 8192.0, 1.0, double(std::clamp(threads, 1, most_threads))));
        begin_epoch(members);
        for (bool wanted = true; wanted && passed_.finite && passed_.batches < batches();) {
            deadline_ = Clock::now() + std::chrono::milliseconds(50);
            Barrier barrier(members);
            Team::together(members, [&](int member) {
                Batch batch = batch_at(passed_.batches, passed_.carry);
                for (;;) {
                    step(batch, member, members, barrier);
                    const double carry_on = updater_->carry(batch.tick);
                    if (member == 0) close(batch, carry_on);
                    barrier.wait();
                    if (!go_on_) break;
                    batch = batch_at(batch.number + 1, carry_on);
                }
            });
            wanted = look();
        }
        end_epoch();
        if (measured > 0) passed_.penalty /= double(measured);
        for (Index i = 0; i < size_ && passed_.finite; ++i) passed_.finite = std::isfinite(flat_.w[i]);
        return passed_;
    }

protected:
    using Clock = std::chrono::steady_clock;
    static constexpr int most_threads = 256;

    // `rows` lists the rows to train on; empty: all. Weights, slots and average are the caller's, trained in place.
    MiniBatch(Index all_rows, Index cols, double length, double row_bytes, std::vector<std::uint32_t> rows,
              Goals<T> goals, const Recipe& recipe, const Flat<T>& flat)
        : goals_(std::move(goals)),
          recipe_(recipe),
          flat_(flat),
          updater_(make_updater<T>(recipe.rule)),
          rows_(std::move(rows)),
          n_(rows_.empty() ? all_rows : Index(rows_.size())),
          cols_(cols),
          width_(goals_.width),
          size_((cols + 1) * goals_.width),
          batch_(std::clamp<Index>(recipe.batch, 1, n_)),
          length_(std::max(1.0, length)),
          row_bytes_(row_bytes),
          order_(std::size_t(n_)) {
        loss_ = make_tile_loss<T>(recipe.loss, recipe.multinomial, goals_);
    }

    virtual void begin_epoch(int members) = 0;
    // A member's part of a step. It waits at the barrier at least once; after the last wait it writes nothing that the
    // others read.
    virtual void step(const Batch& batch, int member, int members, Barrier& barrier) = 0;
    virtual double loss_of(const Batch& batch) const = 0;  // after the step
    virtual void end_epoch() {}
    virtual double weight_scale() const { return 1.0; }

    // Called by member 0 while the weights of before the step stand.
    void measure(const Batch& batch) {
        if (batch.number % every_ != 0) return;
        double squares = 0.0, sizes = 0.0;
        const T* FG_RESTRICT const w = flat_.w;
#pragma omp simd reduction(+ : squares, sizes)
        for (Index i = 0; i < cols_ * width_; ++i) {
            squares += double(w[i]) * double(w[i]);
            sizes += std::fabs(double(w[i]));
        }
        const double scale = weight_scale();
        passed_.penalty += 0.5 * recipe_.penalty.l2 * squares * scale * scale + recipe_.penalty.l1 * sizes * scale;
        ++*measured_;
    }
    Index first_step() const { return first_step_; }
    Index rows_after(const Batch& batch) const { return n_ - batch.number * batch_ - batch.count; }
    bool measures_after(const Batch& batch) const { return (batch.number + 1) % every_ == 0; }

    // Sweeps entries begin, ..., end - 1 of all parameters, intercepts without penalty.
    void sweep(const Tick& tick, const Gradient<T>& gradient, Index begin, Index end) const {
        Flat<T> flat = flat_;
        const Index counted = tick.step - average_from_ + 1;
        if (average_from_ <= 0 || counted < 1) flat.average = nullptr;
        flat.average_weight = counted < 1 ? 0.0 : 1.0 / double(counted);
        const Index weights = cols_ * width_;
        if (begin < weights) updater_->sweep(tick, recipe_.penalty, gradient, flat, begin, std::min(end, weights));
        if (end > weights && recipe_.intercept_decay != 0.0)
            updater_->sweep(tick, Penalty{}, gradient, flat, std::max(begin, weights), end);
    }

    bool clips_norm() const { return recipe_.clip_norm != no_limit; }

    // Sum of squares of block k of the gradient; blocks are as they are for any number of threads.
    static constexpr Index norm_block = 4096;
    double block_square(const T* g, Index k) const {
        double sum = 0.0;
        const Index end = std::min(size_, (k + 1) * norm_block);
#pragma omp simd reduction(+ : sum)
        for (Index i = k * norm_block; i < end; ++i) sum += double(g[i]) * double(g[i]);
        return sum;
    }
    // The piece of `total` items that a member owns, cut at multiples of `grain`.
    static std::pair<Index, Index> share(Index total, int member, int members, Index grain) {
        const Index grains = (total + grain - 1) / grain;
        const auto cut = [&](Index m) { return std::min(total, grains * m / members * grain); };
        return {cut(member), cut(member + 1)};
    }

    Goals<T> goals_;
    const Recipe recipe_;
    const Flat<T> flat_;
    const std::unique_ptr<Updater<T>> updater_;
    std::unique_ptr<TileLoss<T>> loss_;
    const std::vector<std::uint32_t> rows_;
    const Index n_, cols_, width_, size_, batch_;
    const double length_, row_bytes_;

    const double* rates_ = nullptr;

private:
    Batch batch_at(Index number, double carry) const {
        const Index begin = number * batch_;
        Batch batch{number, order_.data() + begin, std::min(batch_, n_ - begin), {}};
        batch.tick.step = first_step_ + number;
        batch.tick.rate = number < batches() ? rates_[number] : 0.0;
        batch.tick.carry = carry;
        return batch;
    }

    void close(const Batch& batch, double carry) {
        const double loss = loss_of(batch);
        passed_.loss += loss;
        passed_.finite = std::isfinite(loss);
        passed_.carry = carry;
        passed_.rows += batch.count;
        passed_.batches = batch.number + 1;
        go_on_ = passed_.finite && passed_.batches < batches() && Clock::now() < deadline_;
    }

    Passed passed_;
    std::vector<std::uint32_t> order_;
    Index first_step_ = 1, average_from_ = 0, every_ = 1;
    Index* measured_ = nullptr;
    Clock::time_point deadline_;
    bool go_on_ = true;
};

// Defined in inst/, one file a storage. `sorted`: whether the indices of each sparse row ascend.
template <class T>
std::unique_ptr<MiniBatch<T>> make_minibatch(const Dense<T>& X, bool sorted, std::vector<std::uint32_t> rows,
                                             Goals<T> goals, const Recipe& recipe, const Flat<T>& flat);
template <class T, class I>
std::unique_ptr<MiniBatch<T>> make_minibatch(const Csr<T, I>& X, bool sorted, std::vector<std::uint32_t> rows,
                                             Goals<T> goals, const Recipe& recipe, const Flat<T>& flat);

}  // namespace fg
