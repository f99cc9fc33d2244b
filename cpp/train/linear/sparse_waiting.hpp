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
        if (place_.empty()) prepare();
        this->each_block([&](const ModelBlock<T>& block) { clock_ = std::size_t(block.models[0]); });
        owes_ = false;
        each_model([&](const Model<T>& model, const Missed&) { owes_ |= !model.updater->lazy(); });
        if (owes_ && all_.empty()) prepare_to_wait();
        list_near();
        forget(std::size_t(this->space_.batches.count()));
        const auto most = std::size_t(std::min(this->features(), this->space_.batches.size() * longest_));
        for (auto& touched : touched_) {  // so that no member needs memory within a step
            touched.finite.assign(missed_.size(), 1);
            touched.features.reserve(most);
            if (owes_) touched.from.reserve(most);
        }
    }

    void divide(int members) override {
        for (int member = 0; member < members && this->any(); ++member) {
            Index first = this->features();
            for (const auto& range : this->space_.owners.of(member)) first = std::min(first, range.begin);
            touched_[std::size_t(member)].first = first;
        }
    }

    // Before the margins, with a barrier in between: brings up to date the features that the batch touches.
    void catch_up_touched(const Batch& batch, int member) {
        auto& touched = touched_[std::size_t(member)];
        touched.features.clear();
        touched.from.clear();
        for (const auto& range : this->space_.owners.of(member)) list_touched(batch, range, touched);
        this->each_block([&](const ModelBlock<T>& block) {
            if (owes_) catch_up(block, touched.features.data(), touched.from.data(), touched.count());
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
        const auto place = [this](Index j) { return Index(place_[std::size_t(j)]); };
        this->each_block([&](const ModelBlock<T>& block) {
            double* sums = this->space_.wide_of(block);
            if constexpr (Workspace::sums_in_place) {
                sums = this->space_.gradient_of(block);
                std::fill_n(sums + touched.first * block.width, touched.count() * block.width, 0.0);
            }
            for (const auto& range : this->space_.owners.of(member)) this->add_slopes(batch, block, range, sums, place);
            if (!Workspace::sums_in_place) this->hand_over(block, touched.first, touched.first + touched.count());
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

    // Whether all that an epoch's steps moved is finite.
    bool moved_to_finite(std::size_t model) const {
        return std::all_of(touched_.begin(), touched_.end(),
                           [=](const Touched& touched) { return touched.finite[model] != 0; });
    }

private:
    // Features that a batch touches, each once. The gradient of features[k] is row first + k of that of its block: no
    // more rows than the owner has features, the first of which is `first`.
    struct Touched {
        std::vector<std::uint32_t> features, from;  // from: after how many steps each was up to date, if owes_
        Index first = 0;
        std::vector<char> finite;  // by model: whether what was moved in this epoch is
        Index count() const { return Index(features.size()); }
    };

    void prepare() {
        const auto& X = this->space_.owners.X;
        for (Index i = 0; i < X.rows(); ++i) longest_ = std::max(longest_, X.sample(i).n);
        place_.assign(std::size_t(X.cols()), 0);
    }
    void prepare_to_wait() {
        reached_.assign(place_.size(), 0);
        all_.resize(place_.size());
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
            if (!block.alone()) add(block.W, block.width);
            for (Index m = 0; m < block.size(); ++m) {
                const auto& flat = this->blocks().model_of(block, m).flat;
                const Index step = this->blocks().width * flat.apart;
                add(flat.w, this->blocks().width);
                add(flat.slot[0], step);
                if (flat.apart > 1 && step <= cache_line<T>) continue;  // all the others are beside it
                for (const T* const array : {flat.slot[1], flat.slot[2]}) add(array, step);
                for (const T* const array : {flat.unit, flat.pull}) add(array, step);
            }
        });
        if (near_.size() > 16) near_.clear();  // more than are fetched at once
    }

    // Adds the features of a range in this batch. They will be up to date after this step.
    void list_touched(const Batch& batch, const FeatureRange& range, Touched& touched) {
        const std::uint32_t after = missed_[clock_].steps() + 1;
        const auto add = [&](Index j, T) {
            const std::size_t known = place_[std::size_t(j)] - std::size_t(touched.first);
            if (known < touched.features.size() && Index(touched.features[known]) == j) return;
            for (const auto& [first, bytes] : near_) prefetch_line(first + j * bytes);
            place_[std::size_t(j)] = std::uint32_t(touched.first + touched.count());
            touched.features.push_back(std::uint32_t(j));
            if (!owes_) return;
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

    void sweep_touched(const Batch& batch, const ModelBlock<T>& block, Touched& touched) {
        const Index width = this->blocks().width;
        const T* const G = this->space_.gradient_of(block) + touched.first * block.width;
        for (Index m = 0; m < block.size(); ++m) {
            const auto& model = this->blocks().model_of(block, m);
            const T* g = G;
            if (!block.alone()) {
                T* const own = this->blocks().gradient_of(block.models[std::size_t(m)]) + touched.first * width;
                for (Index k = 0; k < touched.count(); ++k)
                    std::copy_n(G + k * block.width + m * block.step, block.step, own + k * width);
                g = own;
            }
            const bool finite = model.updater->sweep_some(model.tick(batch.number), model.recipe.penalty,
                                                          {.limit = model.recipe.clip_value}, model.flat, g,
                                                          touched.features.data(), touched.count(), width);
            if (!finite) touched.finite[std::size_t(block.models[std::size_t(m)])] = 0;
        }
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
    // By feature, written by its owner: the row of its gradient when a batch touched it last. It is in the list of this
    // batch if it stands there where that says.
    std::vector<std::uint32_t> place_;
    std::vector<std::uint32_t> reached_, all_;  // if owes_: after how many steps a feature is up to date; all features
    std::vector<Touched> touched_;              // one a member
};

}  // namespace fg
