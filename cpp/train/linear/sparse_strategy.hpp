// How blocks of models go through a step on sparse rows: what the strategies of sparse_direct.hpp, sparse_waiting.hpp
// and sparse_swept.hpp have in common.
//
// The contributions of the rows to a feature are added up in double: added one by one to a weight of type float, they
// vanish where they are below half a unit in its last place.
#pragma once

#include <functional>
#include <type_traits>
#include <utility>
#include <vector>

#include "train/linear/minibatch.hpp"
#include "train/linear/sparse_features.hpp"

namespace fg {

// The arrays of a batch, for all blocks.
template <class T, class I>
class SparseWorkspace {
public:
    // Whether sums of contributions are made where they are wanted, for that is an array of doubles.
    static constexpr bool sums_in_place = std::is_same_v<T, double>;
    static constexpr Index tile = 32;  // rows whose losses and slopes are added up by themselves

    SparseWorkspace(const ModelBlocks<T>& blocks, const Batches& batches, const FeatureOwners<T, I>& owners)
        : blocks(blocks), batches(batches), owners(owners), batch_(batches.size()) {}

    // For the blocks as they are.
    void make_room() {
        const Index features = owners.X.cols(), columns = blocks.columns();
        margins_ = Buffer<T>(owners.parts * batch_ * columns);
        gradient_ = Buffer<T>((features + 1) * columns);
        if (!sums_in_place) {
            wide_ = Buffer<double>((features + 1) * columns);
            std::fill_n(wide_.data(), (features + 1) * columns, 0.0);
        }
        slope_sums_.resize(std::size_t((batch_ + tile - 1) / tile * columns));
        factor.resize(std::size_t(columns));
        pull.resize(std::size_t(columns));
    }

    // (features + 1, width)
    T* gradient_of(const ModelBlock<T>& block) const { return gradient_.data() + (owners.X.cols() + 1) * block.before; }
    // The same in double, zero between steps; null where sums are made in place.
    double* wide_of(const ModelBlock<T>& block) const {
        return sums_in_place ? nullptr : wide_.data() + (owners.X.cols() + 1) * block.before;
    }
    // (parts, rows of a batch, width); then slopes, in the first part.
    T* margins_of(const ModelBlock<T>& block, Index part = 0) const {
        return margins_.data() + batch_ * (owners.parts * block.before + part * block.width);
    }

    // Slopes of tile t, and their sums; losses[m] becomes the m-th model's. The slopes that are added to weights carry
    // the factor `pull`.
    void slopes(const Batch& batch, const ModelBlock<T>& block, Index t, double* losses) {
        const Index begin = t * tile, count = std::min(tile, batch.count - begin), width = block.width;
        T* FG_RESTRICT const P = margins_of(block) + begin * width;
        const T* FG_RESTRICT const Q = P + batch_ * width;
        const T* FG_RESTRICT const b = block.W + owners.X.cols() * width;
        const T* FG_RESTRICT const scale = factor.data() + block.before;
        const T* FG_RESTRICT const step = pull.data() + block.before;
        if (owners.parts == 2)
            for (Index i = 0; i < count * width; ++i) P[i] += Q[i];
        const auto scaled = [&](Index columns) FG_INLINED {
            for (Index i = 0; i < count; ++i)
                for (Index k = 0; k < columns; ++k)
                    P[i * columns + k] = multiply_add(scale[k], P[i * columns + k], b[k]);
        };
        const auto pulled = [&](Index columns) FG_INLINED {
            for (Index i = 0; i < count; ++i)
                for (Index k = 0; k < columns; ++k) P[i * columns + k] *= step[k];
        };
        width == 1 ? scaled(1) : scaled(width);
        block.loss->slopes(batch.rows + begin, count, 1.0 / double(batch.count), P, losses);
        T* const sums = slope_sums_.data() + t * blocks.columns() + block.before;
        std::fill_n(sums, width, T(0));
        add_rows(P, count, width, sums);
        width == 1 ? pulled(1) : pulled(width);
    }

    void intercept_gradient(const Batch& batch, const ModelBlock<T>& block) const {
        T* const g = gradient_of(block) + owners.X.cols() * block.width;
        for (Index k = 0; k < block.width; ++k) {
            double sum = 0.0;
            for (Index t = 0; t < (batch.count + tile - 1) / tile; ++t)
                sum += double(slope_sums_[std::size_t(t * blocks.columns() + block.before + k)]);
            g[k] = T(sum);
        }
        for (Index m = 0; m < block.size(); ++m)
            for (Index k = 0; k < block.step; ++k)
                g[m * block.step + k] *= T(blocks.model_of(block, m).recipe.intercept_decay);
    }

    const ModelBlocks<T>& blocks;
    const Batches& batches;
    const FeatureOwners<T, I>& owners;
    // By column: what the products of rows and weights are multiplied by, and what slopes are multiplied by before they
    // are added up. Written by member 0 before the barrier in front of the slopes.
    std::vector<T> factor, pull;

private:
    const Index batch_;
    Buffer<T> margins_;          // (blocks, parts, batch, width)
    Buffer<T> gradient_;         // (blocks, features + 1, width)
    Buffer<double> wide_;        // the same
    std::vector<T> slope_sums_;  // (tiles, columns)
};

// Called by all members, each for the features that it owns, if not stated otherwise; in this order.
template <class T, class I>
class SparseStrategy {
public:
    SparseStrategy(SparseWorkspace<T, I>& space, ModelUpdate<T>& update) : space_(space), update_(update) {}
    virtual ~SparseStrategy() = default;
    SparseStrategy(const SparseStrategy&) = delete;
    SparseStrategy& operator=(const SparseStrategy&) = delete;

    // On the calling thread: the blocks that go this way, by their numbers.
    void adopt(std::vector<std::size_t> numbers) {
        numbers_ = std::move(numbers);
        intercepts_.clear();
        for (const auto b : numbers_) update_.add_ranges(b, features(), features() + 1, intercepts_);
    }
    bool any() const { return !numbers_.empty(); }

    // On the calling thread, when blocks have the weights of their models.
    virtual void begin_epoch(int most_members) { (void)most_members; }
    // The same, once features have been divided.
    virtual void divide(int members) { (void)members; }

    // Margins without intercepts, of the parts of which the member owns features. A watch may call them off.
    virtual void margins(const Batch& batch, int member, int members, Watch* watch) {
        each_block([&](const ModelBlock<T>& block) { margins_from(block.W, batch, block, member, members, watch); });
    }
    // By member 0, before the barrier behind which margins become slopes. `measured_next`: whether the penalty is
    // measured in the next step.
    virtual void announce(const Batch& batch, bool measured_next) { (void)batch, (void)measured_next; }
    // Behind the barrier that follows the slopes: from them to sums by feature.
    virtual void add_up(const Batch& batch, int member) = 0;
    // From the sums to new weights.
    virtual void update(const Batch& batch, int member, int members, Barrier& barrier) = 0;

    virtual void end_epoch() {}  // on the calling thread

protected:
    Index features() const { return space_.owners.X.cols(); }
    const ModelBlocks<T>& blocks() const { return space_.blocks; }
    template <class F>
    void each_block(const F& f) const {
        for (const auto b : numbers_) f(blocks()[b]);
    }
    // Calls f(block, range) for the blocks and the features that a member owns.
    template <class F>
    void each_owned(int member, const F& f) const {
        for (const auto b : numbers_)
            for (const auto& range : space_.owners.of(member)) f(blocks()[b], range);
    }

    // Margins with these weights: those who own features of a part share its rows.
    template <class W>
    void margins_from(const W* weights, const Batch& batch, const ModelBlock<T>& block, Index member, Index members,
                      Watch* watch) {
        const auto& owners = space_.owners;
        constexpr Index at_once = 4096;  // rows between two looks at the watch
        for (Index k = 0; k < owners.parts; ++k) {
            if (members > 1 && member % owners.parts != k) continue;
            const Index sharers = owners.owners_of(k, members), place = member / owners.parts;
            const Index begin = batch.count * place / sharers, end = batch.count * (place + 1) / sharers;
            for (Index i = begin; i < end && !(watch && watch->called_off(int(member))); i += at_once) {
                T* const P = space_.margins_of(block, k) + i * block.width;
                const Index some = std::min(at_once, end - i),
                            known = batch.count - i + space_.batches.rows_after(batch);
                with_lanes<T>(block.width, [&](auto vector) {
                    fg::margins<decltype(vector)::value>(owners.part(k), batch.rows + i, some, known, weights,
                                                         block.width, P);
                });
            }
        }
    }

    // sums (features, width) += X' slopes, for a range of features; feature j in row place(j).
    template <class Place = std::identity>
    void add_slopes(const Batch& batch, const ModelBlock<T>& block, const FeatureRange& range, double* sums,
                    const Place& place = {}) const {
        const auto& owners = space_.owners;
        with_lanes<T>(block.width, [&](auto vector) {
            add_gradient<decltype(vector)::value>(owners.part(range.part), batch.rows, batch.count, range,
                                                  owners.sorted, space_.margins_of(block), block.width, sums, place);
        });
    }

    // Sums of rows [begin, end) become their gradient, and are zero again.
    void hand_over(const ModelBlock<T>& block, Index begin, Index end) const {
        double* const sums = space_.wide_of(block);
        T* const g = space_.gradient_of(block);
        for (Index i = begin * block.width; i < end * block.width; ++i) g[i] = T(std::exchange(sums[i], 0.0));
    }

    // The intercepts of all blocks, by one member.
    void update_intercepts(const Batch& batch, int member) {
        update_.run_alone(
            batch.number, intercepts_, member,
            [this](const ModelBlock<T>& block) { return Gradient<T>{.g = space_.gradient_of(block)}; }, false);
    }

    SparseWorkspace<T, I>& space_;
    ModelUpdate<T>& update_;
    std::vector<std::size_t> numbers_;  // of the blocks

private:
    std::vector<ModelRange> intercepts_;
};

}  // namespace fg
