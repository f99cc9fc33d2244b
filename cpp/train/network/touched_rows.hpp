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
        for (const auto& tile : plan.tiles) sets_.emplace_back(tile.touched ? tile.count / tile.touched : 0);
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

    // Makes the gradient of what the batch touches, in the flat gradient. The rest of it means nothing.
    void gather(const NetworkStep& step, const MemberMemory<T>& own, std::size_t t) {
        const PlannedTile& tile = plan_.tiles[t];
        const auto& layer = network_.layer(tile.node);
        const SparseRow<T>* const sparse = memory_.sparse_rows(tile.node);
        const Rows rows{0, step.pass.rows};
        const T* const x = own.value(tile.node);
        sets_[t].clear();
        layer.list_touched(rows, tile.number, x, sparse, sets_[t]);
        each(t, [&](Index at) { std::fill_n(gradient(tile) + at, tile.touched, T(0)); });
        layer.add_gradient(rows, tile.number, x, sparse, own.slope(tile.node + 1), gradient(tile));
    }

    double square_of_gradient(std::size_t t) const { return square_of(t, gradient(plan_.tiles[t])); }

    // Moves the rows gathered.
    void move(const Updater<T>& updater, const Tick& tick, const Penalty& penalty, const Scaling& scaling,
              const Flat<T>& flat, std::size_t t) {
        const PlannedTile& tile = plan_.tiles[t];
        const auto& touched = sets_[t].rows();
        const bool known = squares_[t] >= 0.0;
        const double before = known ? square_of(t, flat.w) : 0.0;
        updater.sweep_some(tick, penalty, scaling, flat, gradient(tile), touched.data(), Index(touched.size()),
                           tile.touched);
        if (known) squares_[t] = std::max(0.0, squares_[t] + square_of(t, flat.w) - before);
    }

private:
    static constexpr double unknown = -1.0;

    T* gradient(const PlannedTile& tile) const { return memory_.gradient.data() + tile.offset; }

    // Calls f(where it begins in the tile) for each row gathered.
    template <class F>
    void each(std::size_t t, const F& f) const {
        for (const auto row : sets_[t].rows()) f(Index(row) * plan_.tiles[t].touched);
    }

    double square_of(std::size_t t, const T* v) const {
        double sum = 0.0;
        each(t, [&](Index at) {
            for (Index i = at; i < at + plan_.tiles[t].touched; ++i) sum += double(v[i]) * double(v[i]);
        });
        return sum;
    }

    const Network<T>& network_;
    const TrainingPlan<T>& plan_;
    BatchMemory<T>& memory_;
    // By tile, written by the member that has it.
    std::vector<RowSet> sets_;
    std::vector<double> squares_;  // of the weights as they are; below 0: not known
};

}  // namespace fg
