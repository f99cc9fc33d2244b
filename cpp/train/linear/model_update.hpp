// The end of a step: from the gradients of blocks to new weights of their models, clipped, penalised and swept model by
// model.
#pragma once

#include <algorithm>
#include <numeric>
#include <vector>

#include "core/barrier.hpp"
#include "train/linear/model_blocks.hpp"
#include "train/step_loop.hpp"

namespace fg {

template <class T>
class ModelUpdate {
public:
    explicit ModelUpdate(const ModelBlocks<T>& blocks) : blocks_(blocks) {
        if (blocks.clips_norm) squares_.resize(blocks.models.size() * std::size_t(norm_chunks()));
    }

    // For the blocks as they are, and for so many members.
    void make_room(int most_members) {
        scratch_.resize(std::max(scratch_.size(), std::size_t(most_members)));
        for (auto& scratch : scratch_)
            if (!scratch.data() && blocks_.several()) scratch = Buffer<T>(ModelBlocks<T>::most_gathered);
    }

    // Adds features [begin, end) of a block to what a member updates, some models at a time.
    void add_ranges(std::size_t block, Index begin, Index end, std::vector<ModelRange>& ranges) const {
        const Index at_once = std::max<Index>(1, 16 / blocks_[block].step);
        for (Index m = 0; m < blocks_[block].size() && begin < end; m += at_once)
            ranges.push_back({block, m, std::min(blocks_[block].size(), m + at_once), begin, end});
    }

    // Updates what falls to a member, from the gradients of blocks, of(block). Where a norm is clipped, members wait
    // for each other twice: for all gradients, and for their squares.
    template <class Of>
    void run(Index batch, const std::vector<ModelRange>& ranges, int member, int members, Barrier& barrier,
             const Of& of) {
        if (blocks_.clips_norm) {
            T* const scratch = scratch_[std::size_t(member)].data();
            for (const auto& range : ranges) gather_cut(range, of(blocks_[range.block]), scratch);
            barrier.wait();
            const Index chunks = norm_chunks(), all = chunks * Index(blocks_.models.size());
            const auto [first, last] = member_range(all, member, members, 1);
            for (Index k = first; k < last; ++k)
                squares_[std::size_t(k)] = square_of(blocks_.gradient_of(k / chunks), k % chunks);
            barrier.wait();
        }
        run_alone(batch, ranges, member, of, blocks_.clips_norm);
    }

    // The last part, in which members need not wait for each other: gradients that are `clipped` have been gathered.
    template <class Of>
    void run_alone(Index batch, const std::vector<ModelRange>& ranges, int member, const Of& of, bool clipped) {
        for (const auto& range : ranges) {
            const auto& block = blocks_[range.block];
            const bool gathers = !clipped && !block.alone();
            if (gathers) blocks_.gather(range, of(block), scratch_[std::size_t(member)].data());
            for (Index m = range.first; m < range.last; ++m) {
                const Index number = block.models[std::size_t(m)];
                const auto& model = blocks_.model_of(block, m);
                Gradient<T> gradient;
                if (clipped) {
                    gradient = {.g = blocks_.gradient_of(number), .scale = factor_of(number)};
                } else {
                    gradient = gathers ? Gradient<T>{.g = blocks_.gradient_of(number)} : of(block);
                    gradient.limit = model.recipe.clip_value;
                }
                sweep(model, batch, gradient, range.begin * blocks_.width, range.end * blocks_.width);
            }
            if (!block.alone()) blocks_.pack(block, range.first, range.last, range.begin, range.end);
        }
    }

private:
    // Gradients by model, cut at clip_value.
    void gather_cut(const ModelRange& range, Gradient<T> gradient, T* scratch) const {
        const auto& block = blocks_[range.block];
        if (!block.alone()) blocks_.gather(range, gradient, scratch);
        const Index begin = range.begin * blocks_.width, n = (range.end - range.begin) * blocks_.width;
        for (Index m = range.first; m < range.last; ++m) {
            T* const g = blocks_.gradient_of(block.models[std::size_t(m)]);
            const double limit = blocks_.model_of(block, m).recipe.clip_value;
            if (block.alone()) {
                gradient.limit = limit;
                gradient.collect(begin, n, g + begin);
            } else if (limit != no_limit) {
                for (Index i = begin; i < begin + n; ++i) g[i] = std::clamp(g[i], T(-limit), T(limit));
            }
        }
    }

    // Sweeps entries begin, ..., end - 1 of all parameters of a model, intercepts without penalty.
    void sweep(const Model<T>& model, Index batch, const Gradient<T>& gradient, Index begin, Index end) const {
        Tick tick = model.tick(batch);
        Flat<T> flat = model.flat;
        const Index counted = tick.step - model.average_from + 1;
        if (model.average_from <= 0 || counted < 1) flat.average = nullptr;
        flat.average_weight = counted < 1 ? 0.0 : 1.0 / double(counted);
        const Index weights = blocks_.features * blocks_.width;
        if (begin < weights)
            model.updater->sweep(tick, model.recipe.penalty, gradient, flat, begin, std::min(end, weights));
        tick.penalised = false;
        if (end > weights && model.recipe.intercept_decay != 0.0)
            model.updater->sweep(tick, Penalty{}, gradient, flat.beside(weights), std::max(begin, weights), end);
    }

    // Squared norms are added up by chunks, which are the same for any number of members.
    static constexpr Index norm_chunk = 4096;
    Index norm_chunks() const { return (blocks_.size + norm_chunk - 1) / norm_chunk; }
    double square_of(const T* g, Index chunk) const {
        const Index begin = chunk * norm_chunk;
        return sum_of_squares(g + begin, std::min(blocks_.size, begin + norm_chunk) - begin);
    }
    double factor_of(Index model) const {
        const double* const squares = squares_.data() + model * norm_chunks();
        const double square = std::accumulate(squares, squares + norm_chunks(), 0.0);
        return norm_factor(square, blocks_.models[std::size_t(model)].recipe.clip_norm);
    }

    const ModelBlocks<T>& blocks_;
    std::vector<Buffer<T>> scratch_;  // one a member, where blocks have several models
    std::vector<double> squares_;     // (models, chunks)
};

}  // namespace fg
