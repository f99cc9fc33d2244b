// Plain SGD without L1, on sparse rows: weights are scale * w, decay costs one multiplication, and the contributions of
// the rows are added to w. During an epoch w are doubles.
#pragma once

#include <cmath>
#include <optional>
#include <utility>
#include <vector>

#include "train/linear/sparse_strategy.hpp"

namespace fg {

template <class T, class I>
class SparseDirect final : public SparseStrategy<T, I> {
    using Workspace = SparseWorkspace<T, I>;

public:
    SparseDirect(Workspace& space, ModelUpdate<T>& update)
        : SparseStrategy<T, I>(space, update),
          scale_(space.blocks.models.size(), 1.0),
          next_(space.blocks.models.size(), 1.0) {}

    static bool suits(const Model<T>& model) {
        const auto& recipe = model.recipe;
        return model.updater->plain() && recipe.penalty.l1 == 0.0 && !recipe.penalty.positive &&
               recipe.clip_value == no_limit;
    }

    void begin_epoch(int) override {
        if (Workspace::sums_in_place) return;
        this->each_block([&](const ModelBlock<T>& block) {
            std::copy_n(block.W, this->features() * block.width, weights_of(block));
        });
    }

    void margins(const Batch& batch, int member, int members, Watch* watch) override {
        this->each_block([&](const ModelBlock<T>& block) {
            this->margins_from(static_cast<const double*>(weights_of(block)), batch, block, member, members, watch);
        });
    }

    void announce(const Batch& batch, bool) override {
        each_model([&](const ModelBlock<T>& block, Index m, std::size_t number) {
            const auto& model = this->blocks().model_of(block, m);
            const double rate = model.tick(batch.number).rate;
            next_[number] = scale_[number] * (1.0 - rate * model.recipe.penalty.l2);
            const Index first = block.before + m * block.step;
            for (Index c = first; c < first + block.step; ++c) {
                this->space_.factor[std::size_t(c)] = T(scale_[number]);
                this->space_.pull[std::size_t(c)] = T(-rate / next_[number]);
            }
        });
    }

    void add_up(const Batch& batch, int member) override {
        this->each_owned(member, [&](const ModelBlock<T>& block, const FeatureRange& range) {
            this->add_slopes(batch, block, range, weights_of(block));
        });
    }

    // Where a scale is about to vanish it enters the weights.
    void update(const Batch& batch, int member, int, Barrier&) override {
        each_model([&](const ModelBlock<T>& block, Index m, std::size_t number) {
            const bool small = next_[number] < smallest_scale;
            double* const w = weights_of(block) + m * block.step;
            for (const auto& range : this->space_.owners.of(member))
                for (Index j = range.begin; small && j < range.end; ++j)
                    for (Index k = 0; k < block.step; ++k) w[j * block.width + k] *= next_[number];
            if (member == 0) scale_[number] = small ? 1.0 : next_[number];
        });
        if (member == 0) this->update_intercepts(batch, member);
    }

    void end_epoch() override {
        each_model([&](const ModelBlock<T>& block, Index m, std::size_t number) {
            const double scale = std::exchange(scale_[number], 1.0);
            const Index width = this->blocks().width;
            const double* const from = weights_of(block) + m * block.step;
            T* const w = this->blocks().model_of(block, m).flat.w;
            for (Index j = 0; j < this->features(); ++j)
                for (Index k = 0; k < block.step; ++k) w[j * width + k] = T(scale * from[j * block.width + k]);
        });
    }

    double scale_of(Index model) const { return scale_[std::size_t(model)]; }
    // Sums of squares and of sizes of a model's weights; none where the model's own array has them, without scale.
    std::optional<std::pair<double, double>> norms(Index model) const {
        std::optional<std::pair<double, double>> found;
        each_model([&](const ModelBlock<T>& block, Index m, std::size_t number) {
            if (Index(number) != model || (Workspace::sums_in_place && block.alone())) return;
            const double* const w = weights_of(block) + m * block.step;
            double squares = 0.0, sizes = 0.0;
            for (Index j = 0; j < this->features(); ++j) {
                for (Index k = 0; k < block.step; ++k) {
                    squares += w[j * block.width + k] * w[j * block.width + k];
                    sizes += std::fabs(w[j * block.width + k]);
                }
            }
            found = {squares * scale_[number] * scale_[number], sizes * scale_[number]};
        });
        return found;
    }

private:
    static constexpr double smallest_scale = std::is_same_v<T, float> ? 1e-6 : 1e-9;

    // Without intercepts.
    double* weights_of(const ModelBlock<T>& block) const {
        if constexpr (Workspace::sums_in_place) {
            return block.W;
        } else {
            return this->space_.wide_of(block);
        }
    }
    // Calls f(block, number in it, number of all) for every model.
    template <class F>
    void each_model(const F& f) const {
        this->each_block([&](const ModelBlock<T>& block) {
            for (Index m = 0; m < block.size(); ++m) f(block, m, std::size_t(block.models[std::size_t(m)]));
        });
    }

    // By model, before and after the step. Member 0 writes `next_` before the slopes' barrier and `scale_` after the
    // last; the others read `next_` alone, in between.
    std::vector<double> scale_, next_;
};

}  // namespace fg
