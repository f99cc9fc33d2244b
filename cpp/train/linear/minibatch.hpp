// The mini-batch engine: one epoch at a time of linear models that see the same rows in the same order, in one pass.
//
// Models may differ in all else: loss, penalty, rates, update rule, weights of the rows. Those of one loss form blocks
// (model_blocks.hpp). A model has the same bits whoever is trained beside it.
//
// A step goes through phases, with a barrier after each; every member of the team does its part of a phase. What a
// phase does depends on the storage: see dense_minibatch.hpp and sparse_minibatch.hpp. Work is cut by the data alone,
// and a coordinate is summed in the same order whoever owns it, so results are the same bits for any number of threads.
#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "core/team.hpp"
#include "train/linear/batches.hpp"
#include "train/linear/model_blocks.hpp"
#include "train/linear/model_update.hpp"
#include "train/step_loop.hpp"

namespace fg {

template <class T>
class MiniBatch {
public:
    virtual ~MiniBatch() = default;

    Index batches() const { return batches_.count(); }
    std::vector<Model<T>>& models() { return blocks_.models; }

    // One epoch with the rates that the models have, one a batch. callback() is called about every 50 ms on the calling
    // thread; when it returns false the epoch ends early, after a whole step. So it does when no model is finite any
    // more.
    EpochResult epoch(Index number, int threads, std::function<bool()> callback) {
        Watch watch(std::move(callback));
        watch_ = &watch;
        result_ = {};
        for (auto& model : models()) {
            model.loss = model.penalty = 0.0;
            model.finite = true;
        }
        batches_.begin_epoch(std::uint64_t(number));
        // The penalty is measured at up to 16 moments, fewer where that would cost more than the rows themselves.
        const double rows = double(batches_.rows());
        const Index moments = std::clamp<Index>(Index(8.0 * length_ * rows / double(blocks_.features)), 2, 16);
        every_ = (batches() + moments - 1) / moments;
        measured_ = 0;
        const int most_members = Team::most(work(batches_.size()) / 8192.0, threads);
        begin_epoch(most_members);
        update_.make_room(most_members);
        loop_.run(*this, batches(), most_members, watch);
        end_epoch();
        for (auto& model : models()) {
            if (measured_ > 0) model.penalty /= double(measured_);
            model.finite = model.finite && ends_finite(model);
        }
        return result_;
    }

    double carry_after(const Model<T>& model) const { return model.carry[result_.batches % 2]; }

protected:
    // `length`: entries of a row, on average.
    MiniBatch(TeamSize::Memory& sizes, Index all_rows, Index features, double length, double row_bytes, Stream stream,
              std::vector<Model<T>> models)
        : blocks_(std::move(models), features),
          batches_(std::move(stream), all_rows, row_bytes),
          length_(std::max(1.0, length)),
          update_(blocks_),
          loop_(sizes) {}

    virtual void begin_epoch(int most_members) = 0;
    // Cuts the work for so many members, at most those that the epoch has begun for; between any two steps.
    virtual void divide(int members) = 0;
    // A member's part of a step, as StepLoop wants it. Until a barrier behind which the weights begin to change,
    // members may ask the watch whether the step is called off; behind it they ask off(), which then is the same for
    // all.
    virtual void step(const Batch& batch, int member, int members, Barrier& barrier) = 0;
    // Parts of a batch whose losses are added up by themselves, then in their order.
    virtual Index loss_parts(const Batch& batch) const = 0;
    virtual void end_epoch() {}
    // Whether weights and slots are finite after an epoch. A slot that has overflowed would keep its weight where it is
    // for ever.
    virtual bool ends_finite(const Model<T>& model) { return is_finite(model, 0); }
    // Those of features from the first one on, and of intercepts.
    bool is_finite(const Model<T>& model, Index first) const {
        const Index begin = first * blocks_.width, n = blocks_.size - begin, apart = model.flat.apart;
        const auto finite = [&](const T* v) {
            if (!v) return true;
            v += begin * apart;
            if (apart == 1) return are_finite(v, n);
            for (Index i = 0; i < n; i += blocks_.width)
                if (!are_finite(v + i * apart, blocks_.width)) return false;
            return true;
        };
        return are_finite(model.flat.w + begin, n) &&
               std::all_of(std::begin(model.flat.slot), std::end(model.flat.slot), finite);
    }

    double& loss_at(Index part, Index model) {
        return losses_[std::size_t(part) * blocks_.models.size() + std::size_t(model)];
    }
    void make_losses(Index most_parts) { losses_.resize(std::size_t(most_parts) * blocks_.models.size()); }

    // Whether the penalty is measured in the step after this one.
    bool measures_after(const Batch& batch) const { return (batch.number + 1) % every_ == 0; }
    // Called by member 0 while the weights of before the step stand; f(model) gives sums of squares and of sizes.
    template <class F>
    void measure(const Batch& batch, const F& f) {
        if (batch.number % every_ != 0) return;
        for (auto& model : models()) {
            const auto& penalty = model.recipe.penalty;
            if (penalty.l2 == 0.0 && penalty.l1 == 0.0) continue;
            const auto [squares, sizes] = f(model);
            model.penalty += 0.5 * penalty.l2 * squares + penalty.l1 * sizes;
        }
        ++measured_;
    }
    // Sums of squares and of sizes of scale * weights, without intercepts.
    std::pair<double, double> norms(const Model<T>& model, double scale = 1.0) const {
        double squares = 0.0, sizes = 0.0;
        const T* FG_RESTRICT const w = model.flat.w;
#pragma omp simd reduction(+ : squares, sizes)
        for (Index i = 0; i < blocks_.features * blocks_.width; ++i) {
            squares += double(w[i]) * double(w[i]);
            sizes += std::fabs(double(w[i]));
        }
        return {squares * scale * scale, sizes * scale};
    }

    ModelBlocks<T> blocks_;
    Batches batches_;
    const double length_;
    ModelUpdate<T> update_;
    Watch* watch_ = nullptr;  // of the epoch

private:
    friend StepLoop;

    // Multiply-adds of a pass over so many rows.
    double work(Index rows) const { return length_ * double(rows) * double(blocks_.columns()); }

    double expected(Index number) const { return 1e-9 * work(batches_[number].count); }
    void step(Index number, int member, int members, Barrier& barrier) {
        step(batches_[number], member, members, barrier);
    }
    // Whether some model is finite still.
    bool close(Index number) {
        const Batch batch = batches_[number];
        const Index parts = loss_parts(batch);
        bool finite = false;
        for (Index m = 0; m < Index(models().size()); ++m) {
            auto& model = models()[std::size_t(m)];
            double loss = 0.0;
            for (Index part = 0; part < parts; ++part) loss += loss_at(part, m);
            model.loss += loss;
            model.finite = model.finite && std::isfinite(loss);
            model.carry[(number + 1) % 2] = model.updater->carry(model.tick(number));
            finite = finite || model.finite;
        }
        result_.rows += batch.count;
        result_.batches = number + 1;
        return finite;
    }

    StepLoop loop_;
    EpochResult result_;
    std::vector<double> losses_;  // (parts, models); a member writes those of its parts
    Index every_ = 1, measured_ = 0;
};

// Defined in inst/, one file a storage. `sorted`: whether the indices of each sparse row ascend.
template <class T>
std::unique_ptr<MiniBatch<T>> make_minibatch(const Dense<T>& X, bool sorted, Stream stream,
                                             std::vector<Model<T>> models);
template <class T, class I>
std::unique_ptr<MiniBatch<T>> make_minibatch(const Csr<T, I>& X, bool sorted, Stream stream,
                                             std::vector<Model<T>> models);

}  // namespace fg
