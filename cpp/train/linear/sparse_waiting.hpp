// Rules whose untouched coordinates can wait, or are lazy (kernel/waiting.hpp), on sparse rows: catch up, margins,
// step, in O(non-zeros).
#pragma once

#include <algorithm>
#include <numeric>
#include <utility>
#include <vector>

#include "train/linear/sparse_strategy.hpp"

namespace fg {

template <class T, class I>
class SparseWaiting final : public SparseStrategy<T, I> {
    using Workspace = SparseWorkspace<T, I>;

public:
    SparseWaiting(Workspace& space, ModelUpdate<T>& update)
        : SparseStrategy<T, I>(space, update), missed_(space.blocks.models.size()) {}

    void begin_epoch(int most_members) override {
        touched_.resize(std::max(touched_.size(), std::size_t(most_members)));
        if (!this->any()) return;
        if (all_.empty()) prepare();
        this->each_block([&](const ModelBlock<T>& block) {
            std::fill_n(this->space_.gradient_of(block), (this->features() + 1) * block.width, T(0));
            clock_ = std::size_t(block.models[0]);
        });
        owes_ = false;
        each_model([&](const Model<T>& model, const Missed&) { owes_ |= !model.updater->lazy(); });
        list_near();
        forget(std::size_t(this->space_.batches.count()));
        const auto most = std::size_t(std::min(this->features(), this->space_.batches.size() * longest_));
        for (auto& touched : touched_) {  // so that no member needs memory within a step
            touched.features.reserve(most);
            touched.from.reserve(most);
        }
    }

    // Before the margins, with a barrier in between: brings up to date the features that the batch touches.
    void catch_up_touched(const Batch& batch, int member) {
        auto& touched = touched_[std::size_t(member)];
        touched.features.clear();
        touched.from.clear();
        for (const auto& range : this->space_.owners.of(member)) list_touched(batch, range, touched);
        this->each_block([&](const ModelBlock<T>& block) {
            catch_up(block, touched.features.data(), touched.from.data(), Index(touched.features.size()));
            if (block.alone()) return;
            for (const auto j : touched.features) this->blocks().pack(block, 0, block.size(), Index(j), Index(j) + 1);
        });
    }

    void announce(const Batch& batch, bool measured_next) override {
        measured_next_ = measured_next;
        each_model([&](const Model<T>& model, Missed& missed) {
            model.updater->note(missed, model.tick(batch.number), model.recipe.penalty);
        });
    }

    void add_up(const Batch& batch, int member) override {
        const auto& touched = touched_[std::size_t(member)];
        this->each_block([&](const ModelBlock<T>& block) {
            for (const auto& range : this->space_.owners.of(member)) {
                if constexpr (Workspace::sums_in_place) {
                    this->add_slopes(batch, block, range, this->space_.gradient_of(block));
                } else {
                    this->add_slopes(batch, block, range, this->space_.wide_of(block));
                }
            }
            if (Workspace::sums_in_place) return;
            for (const auto j : touched.features) this->hand_over(block, Index(j), Index(j) + 1);
        });
    }

    void update(const Batch& batch, int member, int, Barrier& barrier) override {
        if (!this->any()) return;
        this->each_block(
            [&](const ModelBlock<T>& block) { sweep_touched(batch, block, touched_[std::size_t(member)]); });
        bool full = false;
        each_model([&](const Model<T>&, const Missed& missed) { full |= missed.full(); });
        if (owes_ && (measured_next_ || full))
            for (const auto& range : this->space_.owners.of(member)) catch_up_all(range.begin, range.end);
        if (full) {
            barrier.wait();
            if (member == 0) forget(0);
            barrier.wait();
        }
        if (member == 0) this->update_intercepts(batch, member);
    }

    void end_epoch() override {
        if (owes_ && this->any()) catch_up_all(0, this->features());
    }

private:
    // Features that a batch touches, each once, and after how many steps each was up to date.
    struct Touched {
        std::vector<std::uint32_t> features, from;
    };

    void prepare() {
        const auto& X = this->space_.owners.X;
        for (Index i = 0; i < X.rows(); ++i) longest_ = std::max(longest_, X.sample(i).n);
        reached_.assign(std::size_t(X.cols()), 0);
        all_.resize(std::size_t(X.cols()));
        std::iota(all_.begin(), all_.end(), 0u);
    }

    // Calls f(model, what those of its features have missed that wait).
    template <class F>
    void each_model(const F& f) {
        this->each_block([&](const ModelBlock<T>& block) {
            for (Index m = 0; m < block.size(); ++m)
                f(this->blocks().model_of(block, m), missed_[std::size_t(block.models[std::size_t(m)])]);
        });
    }

    // What a step reads of a feature, which lies in the cache by then if its features are many and far apart.
    void list_near() {
        near_.clear();
        this->each_block([&](const ModelBlock<T>& block) {
            const auto add = [&](const T* first, Index step) {
                if (first) near_.push_back({reinterpret_cast<const char*>(first), step * Index(sizeof(T))});
            };
            add(this->space_.gradient_of(block), block.width);
            if (const double* const wide = this->space_.wide_of(block))
                near_.push_back({reinterpret_cast<const char*>(wide), block.width * Index(sizeof(double))});
            if (!block.alone()) add(block.W, block.width);
            for (Index m = 0; m < block.size(); ++m) {
                const auto& flat = this->blocks().model_of(block, m).flat;
                const T* const arrays[] = {flat.w, flat.slot[0], flat.slot[1], flat.slot[2], flat.unit, flat.pull};
                for (const T* const array : arrays) add(array, this->blocks().width);
            }
        });
        if (near_.size() > 16) near_.clear();  // more than are fetched at once
    }

    // Adds the features of a range in this batch. They will be up to date after this step.
    void list_touched(const Batch& batch, const FeatureRange& range, Touched& touched) {
        const std::uint32_t after = missed_[clock_].steps() + 1;
        const auto add = [&](Index j, T) {
            if (reached_[std::size_t(j)] == after) return;
            for (const auto& [first, bytes] : near_) prefetch_line(first + j * bytes);
            touched.features.push_back(std::uint32_t(j));
            touched.from.push_back(reached_[std::size_t(j)]);
            reached_[std::size_t(j)] = after;
        };
        const auto& owners = this->space_.owners;
        each_within(owners.part(range.part), batch.rows, batch.count, range, owners.sorted, [&](Index) { return add; });
    }

    // Brings features up to date: feature features[k] was after from[k] steps.
    void catch_up(const ModelBlock<T>& block, const std::uint32_t* features, const std::uint32_t* from, Index count) {
        for (Index m = 0; m < block.size(); ++m) {
            const auto& model = this->blocks().model_of(block, m);
            const auto& missed = missed_[std::size_t(block.models[std::size_t(m)])];
            model.updater->catch_up(missed, model.recipe.penalty, model.flat, features, from, count, missed.steps(),
                                    this->blocks().width);
        }
    }
    void catch_up_all(Index begin, Index end) {
        this->each_block([&](const ModelBlock<T>& block) {
            catch_up(block, all_.data() + begin, reached_.data() + begin, end - begin);
        });
        std::fill(reached_.begin() + begin, reached_.begin() + end, missed_[clock_].steps());
    }

    void sweep_touched(const Batch& batch, const ModelBlock<T>& block, const Touched& touched) {
        const Index width = this->blocks().width;
        T* const G = this->space_.gradient_of(block);
        for (Index m = 0; m < block.size(); ++m) {
            const auto& model = this->blocks().model_of(block, m);
            T* g = G;
            if (!block.alone()) {
                g = this->blocks().gradient_of(block.models[std::size_t(m)]);
                for (const auto j : touched.features)
                    std::copy_n(G + Index(j) * block.width + m * block.step, block.step, g + Index(j) * width);
            }
            model.updater->sweep_some(model.tick(batch.number), model.recipe.penalty,
                                      {.limit = model.recipe.clip_value}, model.flat, g, touched.features.data(),
                                      Index(touched.features.size()), width);
        }
        if (block.alone()) return;
        for (const auto j : touched.features) std::fill_n(G + Index(j) * block.width, block.width, T(0));
    }

    // Begins new tables of what is missed; all features must be up to date.
    void forget(std::size_t steps_to_come) {
        each_model([&](const Model<T>&, Missed& missed) { missed.clear(steps_to_come); });
        std::fill(reached_.begin(), reached_.end(), 0u);
    }

    // Member 0 notes what is missed before the barrier in front of the slopes; the others read it behind the barrier.
    std::vector<Missed> missed_;  // by model
    std::size_t clock_ = 0;       // a model that waits: it counts the steps
    bool measured_next_ = false;
    bool owes_ = false;                                // whether features miss anything by waiting
    std::vector<std::pair<const char*, Index>> near_;  // arrays, and bytes of a feature
    Index longest_ = 0;                                // entries of a row
    // After how many steps a feature is up to date, written by its owner; and all features.
    std::vector<std::uint32_t> reached_, all_;
    std::vector<Touched> touched_;  // one a member
};

}  // namespace fg
