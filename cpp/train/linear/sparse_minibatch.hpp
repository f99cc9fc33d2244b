// Sparse rows. A block of models goes one of three ways:
//   direct    plain SGD without L1: weights are scale * w, decay costs one multiplication, the step is added to w
//   waiting   rules whose untouched coordinates can wait, or stand still: catch up, margins, step, in O(non-zeros)
//   swept     all others: the gradient is gathered in an array and all parameters are swept
//
// Phases: (features that waited catch up,) margins, slopes, gradient and new weights by their owners; a barrier after
// each.
#pragma once

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "train/linear/sparse_direct.hpp"
#include "train/linear/sparse_swept.hpp"
#include "train/linear/sparse_waiting.hpp"

namespace fg {

// How many entries the rows to train on have.
template <class T, class I>
double mean_length(const Csr<T, I>& X, const std::vector<std::uint32_t>& listed) {
    if (listed.empty()) return X.mean_length();
    double entries = 0.0;
    for (const auto row : listed) entries += double(X.sample(Index(row)).n);
    return entries / double(listed.size());
}

template <class T, class I>
class SparseMiniBatch final : public MiniBatch<T> {
public:
    // `sorted`: whether the indices of each row ascend.
    SparseMiniBatch(const Csr<T, I>& X, bool sorted, Stream stream, std::vector<Model<T>> models)
        : SparseMiniBatch(X, sorted, mean_length(X, stream.listed), stream, std::move(models)) {}

private:
    enum class Way : std::size_t { direct, waiting, swept };
    using Workspace = SparseWorkspace<T, I>;

    SparseMiniBatch(const Csr<T, I>& X, bool sorted, double length, Stream stream, std::vector<Model<T>> models)
        : MiniBatch<T>(TeamSize::Memory::of<SparseMiniBatch>(), X.rows(), X.cols(), length,
                       length * double(sizeof(T) + sizeof(I)), std::move(stream), std::move(models)),
          owners_(X, sorted, length, this->batches_),
          space_(this->blocks_, this->batches_, owners_),
          direct_(space_, this->update_),
          waiting_(space_, this->update_),
          swept_(space_, this->update_),
          looked_at_(this->blocks_.models.size()) {
        this->make_losses((this->batches_.size() + Workspace::tile - 1) / Workspace::tile);
        std::vector<Way> usual;
        for (const auto& model : this->models()) {
            require(!model.updater->lazy() || (!model.flat.average && model.recipe.clip_norm == no_limit),
                    "lazy: not with an average or clip_norm");
            require(model.flat.apart == 1 || model.updater->lazy(), "slots: side by side for lazy rules alone");
            usual.push_back(usual_way(model));
        }
        form(usual);
    }

    // Makes blocks of models that go the same way.
    void form(const std::vector<Way>& ways) {
        if (ways == ways_) return;
        ways_ = ways;
        this->blocks_.form([this](Index m) { return int(ways_[std::size_t(m)]); }, {});
        space_.make_room();
        for (std::size_t way = 0; way < strategies_.size(); ++way) {
            std::vector<std::size_t> numbers;
            for (std::size_t b = 0; b < this->blocks_.count(); ++b)
                if (ways_[std::size_t(this->blocks_[b].models[0])] == Way(way)) numbers.push_back(b);
            strategies_[way]->adopt(std::move(numbers));
        }
    }

    // To wait has its price, about ten times that of a sweep for each feature touched; a sweep pays for every feature.
    Way usual_way(const Model<T>& model) const {
        if (model.updater->lazy()) return Way::waiting;
        const auto& recipe = model.recipe;
        const bool bare = !model.flat.average && recipe.clip_norm == no_limit && recipe.penalty.coupled == 0.0 &&
                          recipe.penalty.decay == 0.0;
        if (!bare || !model.updater->can_wait() || (model.updater->plain() && model.flat.unit)) return Way::swept;
        if (SparseDirect<T, I>::suits(model)) return Way::direct;
        return 10.0 * this->length_ * double(this->batches_.size()) < double(owners_.X.cols()) ? Way::waiting
                                                                                               : Way::swept;
    }

    // Epochs that cannot wait: a decay by more than everything; and for FTRL rates that change within the epoch, and
    // the first step from weights that are not zero.
    bool must_sweep(const Model<T>& model) const {
        const double* const rates = model.rates;
        const double* const end = rates + this->batches();
        const double l2 = model.recipe.penalty.l2;
        if (model.updater->lazy()) return false;
        if (model.updater->plain())
            return model.flat.unit || std::any_of(rates, end, [=](double rate) { return rate * l2 >= 1.0; });
        if (!model.updater->needs_equal_rates()) return false;
        const T* const w = model.flat.w;
        return std::any_of(rates, end, [=](double rate) { return rate != rates[0]; }) ||
               (model.first_step == 1 &&
                std::any_of(w, w + owners_.X.cols() * this->blocks_.width, [](T v) { return v != T(0); }));
    }

    void begin_epoch(int most_members) override {
        std::vector<Way> ways;
        for (const auto& model : this->models()) ways.push_back(must_sweep(model) ? Way::swept : usual_way(model));
        form(ways);
        owners_.split_rows(most_members);
        std::fill(space_.factor.begin(), space_.factor.end(), T(1));
        std::fill(space_.pull.begin(), space_.pull.end(), T(1));
        for (const auto& block : this->blocks_) this->blocks_.pack(block);
        for (auto* strategy : strategies_) strategy->begin_epoch(most_members);
    }

    void divide(int members) override {
        owners_.divide(members);
        for (auto* strategy : strategies_) strategy->divide(members);
    }

    Index loss_parts(const Batch& batch) const override {
        return (batch.count + Workspace::tile - 1) / Workspace::tile;
    }

    void step(const Batch& batch, int member, int members, Barrier& barrier) override {
        // Models that wait note the step when its margins are made: it cannot be called off any more.
        Watch* const watch = waiting_.any() ? nullptr : this->watch_;
        if (waiting_.any()) {
            waiting_.catch_up_touched(batch, member);
            barrier.wait();
        }
        for (auto* strategy : strategies_) strategy->margins(batch, member, members, watch);
        if (member == 0) {
            this->measure(batch, [this](const Model<T>& model) { return norms_of(model); });
            for (auto* strategy : strategies_) strategy->announce(batch, this->measures_after(batch));
        }
        barrier.wait();

        const Index tiles = loss_parts(batch);
        for (const auto& block : this->blocks_)
            for (Index t = tiles * member / members; t < tiles * (member + 1) / members; ++t)
                if (t % 64 != 0 || !watch || !watch->called_off(member)) slopes(batch, block, t);
        barrier.wait();
        if (this->watch_->off()) return;

        for (auto* strategy : strategies_) strategy->add_up(batch, member);
        if (member == 0)
            for (const auto& block : this->blocks_) space_.intercept_gradient(batch, block);
        for (auto* strategy : strategies_) strategy->update(batch, member, members, barrier);
    }

    void slopes(const Batch& batch, const ModelBlock<T>& block, Index t) {
        double losses[most_columns]{};
        space_.slopes(batch, block, t, losses);
        for (Index m = 0; m < block.size(); ++m) this->loss_at(t, block.models[std::size_t(m)]) = losses[m];
    }

    std::pair<double, double> norms_of(const Model<T>& model) const {
        const Index number = &model - this->blocks_.models.data();
        if (const auto norms = direct_.norms(number)) return *norms;
        return this->norms(model, direct_.scale_of(number));
    }

    void end_epoch() override {
        for (auto* strategy : strategies_) strategy->end_epoch();
    }

    // What a lazy rule has not moved is as it was, and looked at once.
    bool ends_finite(const Model<T>& model) override {
        const auto number = std::size_t(&model - this->blocks_.models.data());
        if (looked_at_[number]) return waiting_.moved_to_finite(number) && this->is_finite(model, owners_.X.cols());
        const bool finite = this->is_finite(model, 0);
        looked_at_[number] = finite && model.updater->lazy();
        return finite;
    }

    FeatureOwners<T, I> owners_;
    Workspace space_;
    SparseDirect<T, I> direct_;
    SparseWaiting<T, I> waiting_;
    SparseSwept<T, I> swept_;
    const std::array<SparseStrategy<T, I>*, 3> strategies_{&direct_, &waiting_, &swept_};  // by way
    std::vector<Way> ways_;                                                                // of the models
    std::vector<bool> looked_at_;  // by model: lazy, and all was finite after an epoch
};

}  // namespace fg
