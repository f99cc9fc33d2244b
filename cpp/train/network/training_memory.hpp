// What the phases of a step work with: the step, the arrays of its batch, and those of each member.
#pragma once

#include <vector>

#include "kernel/tile_loss.hpp"
#include "parts/rule/tick.hpp"
#include "train/network/design.hpp"
#include "train/network/training_plan.hpp"
#include "train/step_loop.hpp"

namespace fg {

struct NetworkStep {
    Index batch = 0;                       // its number in its epoch
    const std::uint32_t* order = nullptr;  // null: rows first, first + 1, ...
    Index first = 0;
    double total = 1.0;  // weight of the rows
    Tick tick;
    Pass pass;

    Index row(Index i) const { return order ? Index(order[i]) : first + i; }
};

// Calls f(rows) for so many rows after the other.
template <class F>
void each_few(Rows rows, Index at_once, F&& f) {
    for (Index i = rows.begin; i < rows.end; i += at_once) f(Rows{i, std::min(rows.end, i + at_once)});
}

// All values, or all slopes: where the first row of the batch is, or would be.
template <class T>
class BatchArrays {
public:
    // Of the whole batch; null where each member has its own.
    BatchArrays(const std::vector<Place>& places, Index batch) {
        for (const auto& place : places) {
            const bool own = Index(at.size()) == place.first;
            memory_.push_back(own && place.wanted && place.local_rows == 0 ? Buffer<T>(batch * place.size)
                                                                           : Buffer<T>());
            at.push_back(own ? memory_.back().data() : at[std::size_t(place.first)]);
        }
    }
    // As a member has them.
    BatchArrays(const std::vector<Place>& places, const BatchArrays& whole) : at(whole.at) {
        for (std::size_t v = 0; v < places.size(); ++v)
            memory_.push_back(Index(v) == places[v].first ? Buffer<T>(places[v].local_rows * places[v].size)
                                                          : Buffer<T>());
    }
    // What a member has for itself, it has for rows from `begin` on.
    void begin_at(const std::vector<Place>& places, Index begin) {
        for (std::size_t v = 0; v < places.size(); ++v) {
            const auto& place = places[v];
            if (place.local_rows > 0) at[v] = memory_[std::size_t(place.first)].data() - begin * place.size;
        }
    }

    std::vector<T*> at;

private:
    std::vector<Buffer<T>> memory_;
};

// What a member of the team has for itself.
template <class T>
struct MemberMemory {
    // `scratch`: numbers that the layers want.
    MemberMemory(int number, const TrainingPlan<T>& plan, const BatchArrays<T>& values, const BatchArrays<T>& slopes,
                 Index scratch)
        : number(number), scratch(scratch), values(plan.values, values), slopes(plan.slopes, slopes) {
        const auto is_long = [&](const PlannedTile& tile) { return plan.batch > tile.rows_summed; };
        const bool is_cut = std::is_same_v<T, float> && std::any_of(plan.tiles.begin(), plan.tiles.end(), is_long);
        gradient = Buffer<T>((is_cut ? 2 : 1) * plan.largest_tile);
        wide = Buffer<double>(is_cut ? plan.largest_tile : 0);
    }

    // Value v, and its slope, of the batch: where the first row is, or would be.
    const T* value(Index v) const { return v == 0 ? input : values.at[std::size_t(v)]; }
    T* slope(Index v) const { return slopes.at[std::size_t(v)]; }

    int number;
    Buffer<T> scratch;
    const T* input = nullptr;  // value 0: rows of X, or copies; null where they are sparse
    BatchArrays<T> values, slopes;
    Buffer<T> gradient;  // of a tile; then of some rows, where sums are long
    Buffer<double> wide;
    ItemRange tiles{0, 0};  // that it updates
};

// What the team shares. Between two barriers a member writes what belongs to its rows, or to its tiles.
template <class T>
struct BatchMemory {
    BatchMemory(const TrainingPlan<T>& plan, Index width, Index mask_steps, Index trained)
        : values(plan.values, plan.batch),
          slopes(plan.slopes, plan.batch),
          margins(plan.batch * width),
          mask(std::size_t(plan.batch * mask_steps)),
          sparse(std::size_t(plan.sparse_input ? plan.batch : 0)),
          losses(std::size_t(granules_of(plan.batch))),
          penalties(plan.tiles.size()),
          squares(plan.tiles.size()) {
        if (plan.by_blocks()) partial = Buffer<T>(plan.blocks * plan.partial_size);
        if (plan.keeps_gradient || plan.touches_some) gradient = Buffer<T>(trained);
    }

    // Those that are the input of a node; null: its input is dense.
    const SparseRow<T>* sparse_rows(Index node) const { return node == 0 && !sparse.empty() ? sparse.data() : nullptr; }

    BatchArrays<T> values, slopes;
    // By row.
    Buffer<T> margins;  // (rows, width)
    std::vector<unsigned char> mask;
    std::vector<SparseRow<T>> sparse;
    std::vector<double> losses;  // by granule
    Buffer<T> partial;           // (blocks of rows, partial size)
    // By tile.
    Buffer<T> gradient;                      // flat, if it is kept or some tiles are not moved whole
    std::vector<double> penalties, squares;  // of the weights before the step; of the gradient
};

// The gradient of a tile.
template <class T>
class TileGradient {
public:
    TileGradient(const Network<T>& network, const TrainingPlan<T>& plan, const BatchMemory<T>& memory)
        : network_(network), plan_(plan), memory_(memory) {}

    // What comes from some rows, into g. Sums of many rows are cut as in long_sum.hpp.
    void make(const NetworkStep& step, const MemberMemory<T>& own, Rows rows, const PlannedTile& tile, T* g) const {
        if constexpr (!std::is_same_v<T, float>) return add_up(step, own, rows, tile, g);
        if (rows.count() <= tile.rows_summed) return add_up(step, own, rows, tile, g);
        T* const near = own.gradient.data() + plan_.largest_tile;
        double* const wide = own.wide.data();
        std::fill_n(wide, tile.count, 0.0);
        each_few(rows, tile.rows_summed, [&](Rows few) {
            add_up(step, own, few, tile, near);
            for (Index i = 0; i < tile.count; ++i) wide[i] += double(near[i]);
        });
        for (Index i = 0; i < tile.count; ++i) g[i] = T(wide[i]);
    }

    // The parts of a gradient that was made by blocks of rows.
    Gradient<T> parts(const NetworkStep& step, const PlannedTile& tile) const {
        const Index blocks = (step.pass.rows + plan_.block - 1) / plan_.block;
        return {.g = memory_.partial.data() + tile.part, .parts = blocks, .stride = plan_.partial_size};
    }

private:
    void add_up(const NetworkStep& step, const MemberMemory<T>& own, Rows rows, const PlannedTile& tile, T* g) const {
        network_.layer(tile.node).gradient(step.pass, rows, tile.number, own.value(tile.node),
                                           memory_.sparse_rows(tile.node), own.slope(tile.node + 1), g);
    }

    const Network<T>& network_;
    const TrainingPlan<T>& plan_;
    const BatchMemory<T>& memory_;
};

}  // namespace fg
