// The mini-batch engine: one epoch at a time of linear models that see the same rows in the same order, in one pass.
//
// Models may differ in all else: loss, penalty, rates, update rule, weights of the rows. Those of one loss form blocks,
// whose weights lie side by side, so that a number of X meets many models at once; what happens to a model's weights in
// a step is its own affair, in its own arrays. A model has the same bits whoever is trained beside it.
//
// A step goes through phases, with a barrier after each; every member of the team does its share of a phase. What a
// phase does depends on the storage: see dense_minibatch.hpp and sparse_minibatch.hpp. Work is cut by the data alone,
// and a coordinate is summed in the same order whoever owns it, so results are the same bits for any number of threads.
//
// A model's weights are (features + 1, width), feature-major; the last row holds the intercepts, which no penalty
// touches.
#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <memory>
#include <numeric>
#include <tuple>
#include <vector>

#include "core/buffer.hpp"
#include "core/rng.hpp"
#include "core/team.hpp"
#include "kernel/block_loss.hpp"
#include "train/updater.hpp"

namespace fg {

// What a model is made of, apart from its arrays.
struct Recipe {
    PartSpec loss, rule;
    bool multinomial = false;
    Penalty penalty;
    double clip_value = no_limit, clip_norm = no_limit;
    double intercept_decay = 1.0;  // factor on the gradient of intercepts; 0 keeps them fixed
};

// The rows that all models see, batch by batch.
struct Stream {
    std::vector<std::uint32_t> listed;  // those to train on; empty: all
    Index batch = 1;
    Shuffle shuffle = Shuffle::blocks;
    std::uint64_t seed = 0;
};

// The batch at hand. Every member has its own, because the first may be ahead.
struct Batch {
    Index number = 0;
    const std::uint32_t* rows = nullptr;
    Index count = 0;
};

// Weights, slots and average are the caller's, trained in place.
template <class T>
struct Model {
    Recipe recipe;
    Goals<T> goals;
    Flat<T> flat;
    std::unique_ptr<Updater<T>> updater{};

    // Of the epoch; `first_step` is the optimizer's step of its first batch (1, 2, ...).
    const double* rates = nullptr;
    Index first_step = 1, average_from = 0;
    double carry[2] = {1.0, 1.0};  // before batches of even and of odd numbers

    // What it saw.
    double loss = 0.0;     // sum of weight * loss over the rows
    double penalty = 0.0;  // of the objective, mean over the moments at which it was measured
    bool finite = true;

    Tick tick(const Batch& batch) const {
        Tick tick;
        tick.step = first_step + batch.number;
        tick.rate = rates[batch.number];
        tick.carry = carry[batch.number % 2];
        return tick;
    }
};

// Models whose weights lie side by side, `step` columns from one to the next: (features + 1, width). The weights of a
// model alone are its own, padding included.
template <class T>
struct Block {
    std::vector<Index> models;
    Index step = 1, width = 1;
    Index before = 0;  // columns of the blocks before this one
    std::unique_ptr<BlockLoss<T>> loss{};
    T* W = nullptr;
    Buffer<T> packed{};

    bool alone() const { return models.size() == 1; }
};

// Models [first, last) of a block and a range of features (the last one is the intercept), which a member settles.
struct Task {
    std::size_t block;
    Index first, last, begin, end;
};

// Defined in inst/: the loss enters there. It completes the goals.
template <class T>
std::unique_ptr<TileLoss<T>> make_tile_loss(const PartSpec& loss, bool multinomial, Goals<T>& goals);
template <class T>
std::unique_ptr<BlockLoss<T>> make_block_loss(const PartSpec& loss, bool multinomial, std::vector<Goals<T>> goals,
                                              Index width);

template <class T>
class MiniBatch {
public:
    virtual ~MiniBatch() = default;

    Index batches() const { return (n_ + batch_ - 1) / batch_; }
    std::vector<Model<T>>& models() { return models_; }

    struct Passed {
        Index batches = 0, rows = 0;
    };

    // One epoch with the rates that the models have, one a batch. look() is called about every 50 ms on the calling
    // thread; when it returns false the epoch ends early, after a whole step. So it does when no model is finite any
    // more.
    Passed epoch(Index number, int threads, std::function<bool()> look) {
        Watch watch(std::move(look));
        watch_ = &watch;
        passed_ = Passed{};
        for (auto& model : models_) {
            model.loss = model.penalty = 0.0;
            model.finite = true;
        }
        row_order(order_.data(), n_, batch_, row_bytes_, stream_.shuffle, stream_.seed, std::uint64_t(number));
        if (!stream_.listed.empty())
            for (auto& row : order_) row = stream_.listed[row];
        // The penalty is measured at up to 16 moments, fewer where that would cost more than the rows themselves.
        const Index moments = std::clamp<Index>(Index(8.0 * length_ * double(n_) / double(cols_)), 2, 16);
        every_ = (batches() + moments - 1) / moments;
        Index measured = 0;
        measured_ = &measured;
        const int most = Team::most(work(batch_) / 8192.0, threads);
        begin_epoch(most);
        scratch_.resize(std::max(scratch_.size(), std::size_t(most)));
        for (auto& scratch : scratch_)
            if (!scratch.data() && several_) scratch = Buffer<T>(most_gathered);
        bool finite = true;
        for (bool wanted = true; wanted && finite && passed_.batches < batches();) {
            deadline_ = Watch::Clock::now() + Watch::pause;
            while (finite && passed_.batches < batches() && Watch::Clock::now() < deadline_ && !watch.off())
                finite = some_steps(team_size_.members(most, 1e-9 * work(batch_)));
            wanted = watch.look();
        }
        end_epoch();
        for (auto& model : models_) {
            if (measured > 0) model.penalty /= double(measured);
            // A slot that has overflowed would keep its weight where it is for ever.
            model.finite = model.finite && are_finite(model.flat.w, size_);
            for (const T* slot : model.flat.slot) model.finite = model.finite && (!slot || are_finite(slot, size_));
        }
        return passed_;
    }

    double carry_after(const Model<T>& model) const { return model.carry[passed_.batches % 2]; }

protected:
    MiniBatch(TeamSize::Memory& sizes, Index all_rows, Index cols, double length, double row_bytes, Stream stream,
              std::vector<Model<T>> models)
        : models_(std::move(models)),
          stream_(std::move(stream)),
          n_(stream_.listed.empty() ? all_rows : Index(stream_.listed.size())),
          cols_(cols),
          outputs_(models_[0].goals.outputs),
          width_(models_[0].goals.width),
          size_((cols + 1) * width_),
          stride_((size_ + 15) / 16 * 16),
          batch_(std::clamp<Index>(stream_.batch, 1, n_)),
          length_(std::max(1.0, length)),
          row_bytes_(row_bytes),
          order_(std::size_t(n_)),
          team_size_(sizes) {
        for (auto& model : models_) {
            model.updater = make_updater<T>(model.recipe.rule);
            clips_norm_ = clips_norm_ || model.recipe.clip_norm != no_limit;
        }
    }

    // Puts models of one loss, and of one kind(model), into blocks; place[j] is where feature j lies in those of
    // several models.
    template <class Kind>
    void form_blocks(const Kind& kind, std::vector<std::uint32_t> place) {
        place_ = std::move(place);
        blocks_.clear();
        columns_ = 0;
        several_ = false;
        std::map<std::tuple<int, bool, std::string, decltype(PartSpec::values)>, std::vector<Index>> alike;
        for (Index m = 0; m < Index(models_.size()); ++m) {
            const auto& recipe = models_[std::size_t(m)].recipe;
            alike[{kind(m), recipe.multinomial, recipe.loss.name, recipe.loss.values}].push_back(m);
        }
        for (const auto& [key, members] : alike) {
            const auto& recipe = models_[std::size_t(members[0])].recipe;
            const Index step = recipe.multinomial ? width_ : outputs_;
            const Index most = std::max<Index>(1, most_columns / step);
            for (std::size_t first = 0; first < members.size(); first += std::size_t(most)) {
                const std::size_t last = std::min(members.size(), first + std::size_t(most));
                Block<T> block;
                block.models.assign(members.begin() + std::ptrdiff_t(first), members.begin() + std::ptrdiff_t(last));
                block.step = block.alone() ? width_ : step;
                block.width = block.alone() ? width_ : width_of<T>(Index(block.models.size()) * step);
                block.before = columns_;
                std::vector<Goals<T>> goals;
                for (const Index m : block.models) goals.push_back(models_[std::size_t(m)].goals);
                block.loss = make_block_loss<T>(recipe.loss, recipe.multinomial, std::move(goals), block.width);
                block.W = models_[std::size_t(block.models[0])].flat.w;
                if (!block.alone()) {
                    block.packed = Buffer<T>((cols_ + 1) * block.width);
                    block.W = block.packed.data();
                    std::fill_n(block.W, (cols_ + 1) * block.width, T(0));
                    several_ = true;
                }
                columns_ += block.width;
                blocks_.push_back(std::move(block));
            }
        }
        if (several_ || clips_norm_) {
            gradients_ = Buffer<T>(Index(models_.size()) * stride_);
            std::fill_n(gradients_.data(), Index(models_.size()) * stride_, T(0));
        }
        if (clips_norm_) squares_.resize(models_.size() * std::size_t(norm_blocks()));
    }

    virtual void begin_epoch(int most_members) = 0;
    // Cuts the work for so many members, at most those that the epoch has begun for; between any two steps.
    virtual void divide(int members) = 0;
    // A member's part of a step. It waits at the barrier at least once; after the last wait it writes nothing that the
    // others read. Until a barrier behind which the weights begin to change, members may ask the watch whether the step
    // is called off; behind it they ask off(), which then is the same for all, and a step that is off changes nothing.
    virtual void step(const Batch& batch, int member, int members, Barrier& barrier) = 0;
    virtual Index pieces(const Batch& batch) const = 0;  // chunks or tiles of rows, by which losses are added up
    virtual void end_epoch() {}

    Model<T>& model_of(const Block<T>& block, Index m) { return models_[std::size_t(block.models[std::size_t(m)])]; }
    const Model<T>& model_of(const Block<T>& block, Index m) const {
        return models_[std::size_t(block.models[std::size_t(m)])];
    }

    double& loss_at(Index piece, Index model) {
        return losses_[std::size_t(piece) * models_.size() + std::size_t(model)];
    }

    bool measures(const Batch& batch) const { return batch.number % every_ == 0; }
    bool measures_after(const Batch& batch) const { return (batch.number + 1) % every_ == 0; }
    // Called by member 0 while the weights of before the step stand; f(model) gives sums of squares and of sizes.
    template <class F>
    void measure(const Batch& batch, const F& f) {
        if (!measures(batch)) return;
        for (Index m = 0; m < Index(models_.size()); ++m) {
            auto& model = models_[std::size_t(m)];
            const auto& penalty = model.recipe.penalty;
            if (penalty.l2 == 0.0 && penalty.l1 == 0.0) continue;
            const auto [squares, sizes] = f(model);
            model.penalty += 0.5 * penalty.l2 * squares + penalty.l1 * sizes;
        }
        ++*measured_;
    }
    std::pair<double, double> norms(const Model<T>& model, double scale = 1.0) const {
        double squares = 0.0, sizes = 0.0;
        const T* FG_RESTRICT const w = model.flat.w;
#pragma omp simd reduction(+ : squares, sizes)
        for (Index i = 0; i < cols_ * width_; ++i) {
            squares += double(w[i]) * double(w[i]);
            sizes += std::fabs(double(w[i]));
        }
        return {squares * scale * scale, sizes * scale};
    }
    Index rows_after(const Batch& batch) const { return n_ - batch.number * batch_ - batch.count; }

    // Sweeps entries begin, ..., end - 1 of all parameters of a model, intercepts without penalty.
    void sweep(const Model<T>& model, const Batch& batch, const Gradient<T>& gradient, Index begin, Index end) const {
        const Tick tick = model.tick(batch);
        Flat<T> flat = model.flat;
        const Index counted = tick.step - model.average_from + 1;
        if (model.average_from <= 0 || counted < 1) flat.average = nullptr;
        flat.average_weight = counted < 1 ? 0.0 : 1.0 / double(counted);
        const Index weights = cols_ * width_;
        if (begin < weights)
            model.updater->sweep(tick, model.recipe.penalty, gradient, flat, begin, std::min(end, weights));
        if (end > weights && model.recipe.intercept_decay != 0.0)
            model.updater->sweep(tick, Penalty{}, gradient, flat, std::max(begin, weights), end);
    }

    // ---- between blocks and models ----

    T* gradient_of(Index model) const { return gradients_.data() + model * stride_; }

    // Weights of some models and features enter a block of several.
    void pack(const Block<T>& block, Index first, Index last, Index begin, Index end) const {
        for (Index m = first; m < last; ++m) {
            const T* FG_RESTRICT const w = model_of(block, m).flat.w;
            T* FG_RESTRICT const W = block.W + m * block.step;
            const Index width = block.width, step = block.step;
            if (!place_.empty()) {
                for (Index j = begin; j < end; ++j) W[place_[std::size_t(j)] * width] = w[j];
            } else {
                for (Index j = begin; j < end; ++j)
                    for (Index k = 0; k < step; ++k) W[j * width + k] = w[j * width_ + k];
            }
        }
    }
    void pack(const Block<T>& block) const {
        if (!block.alone()) pack(block, 0, Index(block.models.size()), 0, cols_ + 1);
    }

    // Gradients of some models and features leave a block: the sum of its parts.
    void gather(const Task& task, const Gradient<T>& gradient, T* scratch) const {
        const auto& block = blocks_[task.block];
        const Index n = (task.last - task.first) * block.step;
        for (Index from = task.begin, to = from; from < task.end; from = to) {
            to = std::min(task.end, from + most_gathered / n);
            const T* const first = gradient.g + from * block.width + task.first * block.step;
            if (gradient.parts == 1) {
                scatter(task, first, block.width, from, to);
                continue;
            }
            for (Index j = 0; j < to - from; ++j) {
                by_lanes<T>(n, [&](Index c, auto vector) FG_INLINED {
                    constexpr int N = decltype(vector)::value;
                    const T* const g = first + j * block.width + c;
                    Pack<T, N> sum = load<N>(g);
                    for (Index p = 1; p < gradient.parts; ++p) sum += load<N>(g + p * gradient.stride);
                    store<N>(scratch + j * n + c, sum);
                });
            }
            scatter(task, scratch, n, from, to);
        }
    }
    // Sums (features, models) become gradients by model.
    void scatter(const Task& task, const T* FG_RESTRICT sums, Index stride, Index from, Index to) const {
        const auto& block = blocks_[task.block];
        for (Index m = task.first; m < task.last; ++m, sums += block.step) {
            T* FG_RESTRICT const g = gradient_of(block.models[std::size_t(m)]) + from * width_;
            if (block.step == 1) {
                for (Index j = 0; j < to - from; ++j) g[j] = sums[j * stride];
            } else {
                for (Index j = 0; j < to - from; ++j) std::copy_n(sums + j * stride, block.step, g + j * width_);
            }
        }
    }

    // The same, cut at clip_value.
    void gather_cut(const Task& task, Gradient<T> gradient, T* scratch) const {
        const auto& block = blocks_[task.block];
        if (!block.alone()) gather(task, gradient, scratch);
        const Index begin = task.begin * width_, n = (task.end - task.begin) * width_;
        for (Index m = task.first; m < task.last; ++m) {
            T* const g = gradient_of(block.models[std::size_t(m)]);
            const double limit = model_of(block, m).recipe.clip_value;
            if (block.alone()) {
                gradient.limit = limit;
                gradient.collect(begin, n, g + begin);
            } else if (limit != no_limit) {
                for (Index i = begin; i < begin + n; ++i) g[i] = std::clamp(g[i], T(-limit), T(limit));
            }
        }
    }

    // A member's tasks: from the gradients of blocks, of(block), to new weights.
    template <class Of>
    void settle(const Batch& batch, const std::vector<Task>& tasks, int member, int members, Barrier& barrier,
                const Of& of) {
        if (clips_norm_) {
            T* const scratch = scratch_[std::size_t(member)].data();
            for (const Task& task : tasks) gather_cut(task, of(blocks_[task.block]), scratch);
            barrier.wait();
            const Index pieces = norm_blocks(), all = pieces * Index(models_.size());
            const auto [first, last] = share(all, member, members, 1);
            for (Index k = first; k < last; ++k) {
                const T* const g = gradient_of(k / pieces);
                squares_[std::size_t(k)] = block_square(g, k % pieces);
            }
            barrier.wait();
        }
        settle(batch, tasks, member, of, clips_norm_);
    }
    // The last part: gradients that are `clipped` have been gathered.
    template <class Of>
    void settle(const Batch& batch, const std::vector<Task>& tasks, int member, const Of& of, bool clipped) {
        for (const Task& task : tasks) {
            const auto& block = blocks_[task.block];
            const bool gathers = !clipped && !block.alone();
            if (gathers) gather(task, of(block), scratch_[std::size_t(member)].data());
            for (Index m = task.first; m < task.last; ++m) {
                const auto& model = model_of(block, m);
                const auto number = std::size_t(block.models[std::size_t(m)]), pieces = std::size_t(norm_blocks());
                Gradient<T> gradient;
                if (clipped) {
                    gradient.g = gradient_of(Index(number));
                    const double* const squares = squares_.data() + number * pieces;
                    gradient.scale =
                        norm_factor(std::accumulate(squares, squares + pieces, 0.0), model.recipe.clip_norm);
                } else {
                    gradient = gathers ? Gradient<T>{.g = gradient_of(Index(number))} : of(block);
                    gradient.limit = model.recipe.clip_value;
                }
                sweep(model, batch, gradient, task.begin * width_, task.end * width_);
            }
            if (!block.alone()) pack(block, task.first, task.last, task.begin, task.end);
        }
    }

    // The features [begin, end) of a block, some models at a time.
    void add_tasks(std::size_t block, Index begin, Index end, std::vector<Task>& tasks) const {
        const Index count = Index(blocks_[block].models.size());
        const Index at_once = std::max<Index>(1, 16 / blocks_[block].step);
        for (Index m = 0; m < count && begin < end; m += at_once)
            tasks.push_back({block, m, std::min(count, m + at_once), begin, end});
    }

    // Sum of squares of block k of a model's gradient; blocks are as they are for any number of threads.
    static constexpr Index norm_block = 4096;
    Index norm_blocks() const { return (size_ + norm_block - 1) / norm_block; }
    double block_square(const T* g, Index k) const {
        const Index begin = k * norm_block;
        return sum_of_squares(g + begin, std::min(size_, begin + norm_block) - begin);
    }
    // The piece of `total` items that a member owns, cut at multiples of `grain`.
    static std::pair<Index, Index> share(Index total, int member, int members, Index grain) {
        const Index grains = (total + grain - 1) / grain;
        const auto cut = [&](Index m) { return std::min(total, grains * m / members * grain); };
        return {cut(member), cut(member + 1)};
    }

    std::vector<Model<T>> models_;
    std::vector<Block<T>> blocks_;
    std::vector<double> losses_;  // (pieces, models)
    const Stream stream_;
    const Index n_, cols_, outputs_, width_, size_, stride_, batch_;  // width_, size_, stride_: of a model
    const double length_, row_bytes_;
    Index columns_ = 0;       // of all blocks
    Watch* watch_ = nullptr;  // of the epoch

private:
    static constexpr Index most_gathered = 4096;

    // Multiply-adds of a pass over so many rows.
    double work(Index rows) const { return length_ * double(rows) * double(columns_); }

    Batch batch_at(Index number) const {
        const Index begin = number * batch_;
        return {number, order_.data() + begin, std::min(batch_, n_ - begin)};
    }

    // Steps until the deadline, or until the team changes its size. Whether some model is finite still.
    bool some_steps(int members) {
        divide(members);
        bool finite = true;
        Barrier barrier(members);
        Team::together(members, [&](int member) {
            Batch batch = batch_at(passed_.batches);
            for (;;) {
                step(batch, member, members, barrier);
                if (member == 0) {
                    finite = close(batch);
                    go_on_ = team_size_.lap(1e-9 * work(batch.count)) && go_on_;
                }
                barrier.wait();
                if (!go_on_) break;
                batch = batch_at(batch.number + 1);
            }
        });
        return finite;
    }

    // Whether some model is finite still. A step that was called off does not count.
    bool close(const Batch& batch) {
        if (watch_->off()) {
            go_on_ = false;
            return true;
        }
        bool finite = false;
        for (Index m = 0; m < Index(models_.size()); ++m) {
            auto& model = models_[std::size_t(m)];
            double loss = 0.0;
            for (Index piece = 0; piece < pieces(batch); ++piece) loss += loss_at(piece, m);
            model.loss += loss;
            model.finite = model.finite && std::isfinite(loss);
            model.carry[(batch.number + 1) % 2] = model.updater->carry(model.tick(batch));
            finite = finite || model.finite;
        }
        passed_.rows += batch.count;
        passed_.batches = batch.number + 1;
        go_on_ = finite && passed_.batches < batches() && Watch::Clock::now() < deadline_;
        return finite;
    }

    Passed passed_;
    std::vector<std::uint32_t> order_, place_;
    std::vector<Buffer<T>> scratch_;  // one a member
    Buffer<T> gradients_;             // by model, where models share a block or a norm is clipped
    std::vector<double> squares_;
    bool several_ = false, clips_norm_ = false;
    Index every_ = 1;
    Index* measured_ = nullptr;
    Watch::Clock::time_point deadline_;
    bool go_on_ = true;
    TeamSize team_size_;
};

// Defined in inst/, one file a storage. `sorted`: whether the indices of each sparse row ascend.
template <class T>
std::unique_ptr<MiniBatch<T>> make_minibatch(const Dense<T>& X, bool sorted, Stream stream,
                                             std::vector<Model<T>> models);
template <class T, class I>
std::unique_ptr<MiniBatch<T>> make_minibatch(const Csr<T, I>& X, bool sorted, Stream stream,
                                             std::vector<Model<T>> models);

}  // namespace fg
