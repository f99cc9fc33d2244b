// Models that see the same rows, in blocks: the weights of those of one loss lie side by side, so that a number of X
// meets many models at once. What happens to a model's weights in a step is its own affair, in its own arrays.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "core/buffer.hpp"
#include "train/linear/model.hpp"
#include "train/losses.hpp"

namespace fg {

// Weights are (features + 1, width), with `step` columns from one model to the next. Those of a model alone are its
// own, padding included.
template <class T>
struct ModelBlock {
    std::vector<Index> models;
    Index step = 1, width = 1;
    Index before = 0;  // columns of the blocks before this one
    std::unique_ptr<BlockLoss<T>> loss{};
    T* W = nullptr;
    Buffer<T> packed{};  // where W lies, if it is not a model's own
    Buffer<T> centre{};  // (features, width), as the gradient: the models' centres; empty: they have none

    bool alone() const { return models.size() == 1; }
    Index size() const { return Index(models.size()); }
};

// Models [first, last) of a block and a range of features, of which the last one is the intercept.
struct ModelRange {
    std::size_t block;
    Index first, last, begin, end;
};

template <class T>
class ModelBlocks {
public:
    ModelBlocks(std::vector<Model<T>> given, Index features)
        : models(std::move(given)),
          features(features),
          outputs(models[0].goals.outputs),
          width(models[0].goals.width),
          size((features + 1) * width),
          clips_norm(std::any_of(models.begin(), models.end(),
                                 [](const Model<T>& model) { return model.recipe.clip_norm != no_limit; })),
          stride_((size + 15) / 16 * 16) {
        for (auto& model : models) model.updater = make_updater<T>(model.recipe.rule, model.recipe.lazy);
    }

    std::vector<Model<T>> models;
    const Index features, outputs, width, size;  // of a model
    const bool clips_norm;                       // some model's gradient

    std::size_t count() const { return blocks_.size(); }
    const ModelBlock<T>& operator[](std::size_t number) const { return blocks_[number]; }
    auto begin() const { return blocks_.begin(); }
    auto end() const { return blocks_.end(); }
    Index columns() const { return columns_; }  // of all blocks
    bool several() const { return several_; }   // whether some block has several models
    Model<T>& model_of(const ModelBlock<T>& block, Index m) {
        return models[std::size_t(block.models[std::size_t(m)])];
    }
    const Model<T>& model_of(const ModelBlock<T>& block, Index m) const {
        return models[std::size_t(block.models[std::size_t(m)])];
    }

    // Puts models of one loss, and of one kind(model), into blocks of up to `most_columns`; place[j] is where feature j
    // lies in blocks of several models (none: where it always lies).
    template <class Kind>
    void form(const Kind& kind, std::vector<std::uint32_t> place) {
        place_ = std::move(place);
        blocks_.clear();
        columns_ = 0;
        several_ = false;
        std::map<std::tuple<int, bool, std::string, decltype(PartSpec::values)>, std::vector<Index>> alike;
        for (Index m = 0; m < Index(models.size()); ++m) {
            const auto& recipe = models[std::size_t(m)].recipe;
            alike[{kind(m), recipe.multinomial, recipe.loss.name, recipe.loss.values}].push_back(m);
        }
        for (const auto& [key, members] : alike) {
            const Index step = models[std::size_t(members[0])].recipe.multinomial ? width : outputs;
            const Index most = std::max<Index>(1, most_columns / step);
            for (Index first = 0; first < Index(members.size()); first += most) {
                const Index last = std::min(Index(members.size()), first + most);
                add({members.begin() + first, members.begin() + last}, step);
            }
        }
        if (several_ || clips_norm) {
            gradients_ = Buffer<T>(Index(models.size()) * stride_);
            std::fill_n(gradients_.data(), Index(models.size()) * stride_, T(0));
        }
    }

    // The gradient of a model: of one that shares its block, or whose norm is clipped.
    T* gradient_of(Index model) const { return gradients_.data() + model * stride_; }

    // Weights of some models and features enter a block of several.
    void pack(const ModelBlock<T>& block, Index first, Index last, Index begin, Index end) const {
        for (Index m = first; m < last; ++m) {
            const T* FG_RESTRICT const w = model_of(block, m).flat.w;
            T* FG_RESTRICT const W = block.W + m * block.step;
            const Index columns = block.width, step = block.step;
            if (!place_.empty()) {
                for (Index j = begin; j < end; ++j) W[place_[std::size_t(j)] * columns] = w[j];
            } else {
                for (Index j = begin; j < end; ++j)
                    for (Index k = 0; k < step; ++k) W[j * columns + k] = w[j * width + k];
            }
        }
    }
    void pack(const ModelBlock<T>& block) const {
        if (!block.alone()) pack(block, 0, block.size(), 0, features + 1);
    }

    // Numbers of the scratch memory that `gather` takes.
    static constexpr Index most_gathered = 4096;

    // (width,): the intercepts of a block for rows reckoned from zero. Each is summed from its model's own weights.
    void intercepts_at_zero(const ModelBlock<T>& block, T* out) const {
        std::copy_n(block.W + features * block.width, block.width, out);
        double shift[most_columns];
        for (Index m = 0; m < block.size(); ++m) {
            const auto& model = model_of(block, m);
            if (!model.centre) continue;
            const T* FG_RESTRICT const c = model.centre;
            const T* FG_RESTRICT const w = model.flat.w;
            for (Index k = 0, n; k < block.step; k += n) {
                n = std::min(block.step - k, most_columns);
                shifts(c, w + k, n, shift);
                for (Index i = 0; i < n; ++i)
                    out[m * block.step + k + i] = T(double(w[features * width + k + i]) - shift[i]);
            }
        }
    }

    // Gradients of some models and features leave a block: the sum of its parts.
    void gather(const ModelRange& range, const Gradient<T>& gradient, T* scratch) const {
        const auto& block = blocks_[range.block];
        const Index n = (range.last - range.first) * block.step;
        for (Index from = range.begin, to = from; from < range.end; from = to) {
            to = std::min(range.end, from + most_gathered / n);
            const T* const first = gradient.g + from * block.width + range.first * block.step;
            if (gradient.parts == 1) {
                scatter(range, first, block.width, from, to);
                continue;
            }
            for (Index j = 0; j < to - from; ++j) {
                by_lanes<T>(n, [&](Index c, auto vector) FG_INLINED {
                    constexpr int N = decltype(vector)::value;
                    const T* const g = first + j * block.width + c;
                    auto sum = load<N>(g);
                    for (Index p = 1; p < gradient.parts; ++p) sum += load<N>(g + p * gradient.stride);
                    store<N>(scratch + j * n + c, sum);
                });
            }
            scatter(range, scratch, n, from, to);
        }
    }

private:
    // A block of the models listed.
    void add(std::vector<Index> members, Index step) {
        ModelBlock<T> block;
        block.models = std::move(members);
        block.step = block.alone() ? width : step;
        block.width = block.alone() ? width : width_of<T>(block.size() * step);
        block.before = columns_;
        std::vector<Goals<T>> goals;
        for (const Index m : block.models) goals.push_back(models[std::size_t(m)].goals);
        const auto& first = models[std::size_t(block.models[0])];
        block.loss = make_block_loss<T>(first.recipe.loss, first.recipe.multinomial, std::move(goals), block.width);
        block.W = first.flat.w;
        if (!block.alone()) {
            block.packed = Buffer<T>((features + 1) * block.width);
            block.W = block.packed.data();
            std::fill_n(block.W, (features + 1) * block.width, T(0));
            several_ = true;
        }
        centre(block);
        columns_ += block.width;
        blocks_.push_back(std::move(block));
    }

    // What the centre c adds to n outputs with weights w.
    void shifts(const T* FG_RESTRICT c, const T* FG_RESTRICT w, Index n, double* FG_RESTRICT shift) const {
        std::fill_n(shift, n, 0.0);
        if (width == 1) {
            double sum = 0.0;
#pragma omp simd reduction(+ : sum)
            for (Index j = 0; j < features; ++j) sum += double(c[j]) * double(w[j]);
            shift[0] = sum;
        } else {
            for (Index j = 0; j < features; ++j)
                for (Index k = 0; k < n; ++k) shift[k] += double(c[j]) * double(w[j * width + k]);
        }
    }

    void centre(ModelBlock<T>& block) const {
        const auto has_centre = [this](Index m) { return models[std::size_t(m)].centre != nullptr; };
        if (std::none_of(block.models.begin(), block.models.end(), has_centre)) return;
        block.centre = Buffer<T>(features * block.width);
        std::fill_n(block.centre.data(), features * block.width, T(0));
        for (Index m = 0; m < block.size(); ++m) {
            const T* const c = model_of(block, m).centre;
            for (Index j = 0; c && j < features; ++j)
                std::fill_n(block.centre.data() + j * block.width + m * block.step, block.step, c[j]);
        }
    }

    // Sums (features, models) become gradients by model.
    void scatter(const ModelRange& range, const T* FG_RESTRICT sums, Index stride, Index from, Index to) const {
        const auto& block = blocks_[range.block];
        for (Index m = range.first; m < range.last; ++m, sums += block.step) {
            T* FG_RESTRICT const g = gradient_of(block.models[std::size_t(m)]) + from * width;
            if (block.step == 1) {
                for (Index j = 0; j < to - from; ++j) g[j] = sums[j * stride];
            } else {
                for (Index j = 0; j < to - from; ++j) std::copy_n(sums + j * stride, block.step, g + j * width);
            }
        }
    }

    const Index stride_;  // between the gradients of models
    std::vector<ModelBlock<T>> blocks_;
    std::vector<std::uint32_t> place_;
    Index columns_ = 0;
    bool several_ = false;
    Buffer<T> gradients_;
};

}  // namespace fg
