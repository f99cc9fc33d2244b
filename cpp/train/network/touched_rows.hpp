// The rows of tiles that a batch touches, where others stand still: their gradient, their step, and what the penalty of
// the whole tile is without a pass over it. A tile belongs to one member at a time.
#pragma once

#include <vector>

#include "train/network/recipe.hpp"
#include "train/network/training_memory.hpp"
#include "train/updater.hpp"

namespace fg {

template <class T>
class TouchedRows {
public:
    TouchedRows(const Network<T>& network, const TrainingPlan<T>& plan, BatchMemory<T>& memory)
        : network_(network), plan_(plan), memory_(memory) {
        for (const auto& tile : plan.tiles)
            sets_.emplace_back(tile.touched ? tile.count / tile.touched : 0, tile.touched);
        squares_.assign(plan.tiles.size(), unknown);
    }

    // Others may have changed the weights.
    void forget() { squares_.assign(squares_.size(), unknown); }

    // The sum of squares of a tile's weights, which the caller measures where it is not known.
    template <class Measure>
    double square(std::size_t t, const Measure& measure) {
        if (squares_[t] < 0.0) squares_[t] = measure();
        return squares_[t];
    }

    // Makes the gradients of the rows of a member's tiles that the batch touches, each where the flat gradient of its
    // tile begins, and asks for what will move: flat_of(tile).
    template <class Of>
    void gather(const NetworkStep& step, const MemberMemory<T>& own, const Of& flat_of) {
        const auto& tiles = plan_.tiles;
        for (Index t = own.tiles.begin, end; t < own.tiles.end; t = end) {
            const PlannedTile& first = tiles[std::size_t(t)];
            for (end = t; end < own.tiles.end && alike(first, tiles[std::size_t(end)]); ++end)
                sets_[std::size_t(end)].clear(memory_.gradient.data() + tiles[std::size_t(end)].offset);
            if (end == t) {
                ++end;
                continue;
            }
            network_.layer(first.node)
                .add_touched({0, step.pass.rows}, {first.number, first.number + end - t}, own.value(first.node),
                             memory_.sparse_rows(first.node), own.slope(first.node + 1), &sets_[std::size_t(t)]);
            for (Index k = t; k < end; ++k) ask_for(std::size_t(k), flat_of(tiles[std::size_t(k)]));
        }
    }

    double square_of_gradient(std::size_t t) const {
        return square_of(sets_[t].gradient(), sets_[t].count() * plan_.tiles[t].touched);
    }

    // Moves the rows gathered.
    void move(const Updater<T>& updater, const Tick& tick, const Penalty& penalty, const Scaling& scaling,
              const Flat<T>& flat, std::size_t t) {
        const bool known = squares_[t] >= 0.0;
        const double before = known ? square_of_rows(t, flat.w) : 0.0;
        updater.sweep_some(tick, penalty, scaling, flat, sets_[t].gradient(), sets_[t].rows(), sets_[t].count(),
                           plan_.tiles[t].touched);
        if (known) squares_[t] = std::max(0.0, squares_[t] + square_of_rows(t, flat.w) - before);
    }

private:
    static constexpr double unknown = -1.0;

    // Whether rows of a second tile are gathered with those of the first: a layer's arrays whose rows are touched.
    static bool alike(const PlannedTile& first, const PlannedTile& tile) {
        return tile.touched && tile.node == first.node;
    }

    void ask_for(std::size_t t, const Flat<T>& flat) const {
        for (const T* const array : {static_cast<const T*>(flat.w), static_cast<const T*>(flat.slot[0]),
                                     static_cast<const T*>(flat.slot[1]), static_cast<const T*>(flat.slot[2])})
            each(t, [&](Index at) FG_INLINED {
                if (array) prefetch_bytes(array + at, plan_.tiles[t].touched * Index(sizeof(T)));
            });
    }

    // Calls f(where it begins in the tile) for each row gathered.
    template <class F>
    FG_INLINE void each(std::size_t t, const F& f) const {
        const std::uint32_t* const rows = sets_[t].rows();
        for (Index k = 0; k < sets_[t].count(); ++k) f(Index(rows[k]) * plan_.tiles[t].touched);
    }

    static double square_of(const T* v, Index n) {
        double sum = 0.0;
#pragma omp simd reduction(+ : sum)
        for (Index i = 0; i < n; ++i) sum += double(v[i]) * double(v[i]);
        return sum;
    }
    double square_of_rows(std::size_t t, const T* w) const {
        double sum = 0.0;
        each(t, [&](Index at) { sum += square_of(w + at, plan_.tiles[t].touched); });
        return sum;
    }

    const Network<T>& network_;
    const TrainingPlan<T>& plan_;
    BatchMemory<T>& memory_;
    // By tile, written by the member that has it.
    std::vector<TouchedSet<T>> sets_;
    std::vector<double> squares_;  // of the weights as they are; below 0: not known
};

}  // namespace fg
