// What training in batches of a size decides once, before the first step: which rows go through which layers at once,
// where values and their slopes lie, which gradients are made when, and how much memory that takes.
//
// A step has two phases (training.hpp): rows, then parameters. The decisions:
//   tiles    parameters are cut into tiles; the gradient of a tile is made, moved and used up while it is in the cache
//   blocks   where a batch has many rows and the network few parameters, the values of the rows are more than the
//            parameters, and should stay with the member that has them: then gradients of such layers are made in the
//            first phase, a part for each block of rows, and summed in the second in the order of the blocks
//   stages   where rows are long (images), layers do not take all rows of the member at once, but a few rows after the
//            others go through as many layers as they can, while they are in the cache
//   places   values that a stage makes and uses up again exist for those few rows alone, once a member
// All are properties of the data and the network, never of the team: the order of summation depends on them.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <vector>

#include "kernel/long_sum.hpp"
#include "train/network/network.hpp"

namespace fg {

// A tile of parameters of a node, and where it lies in the flat array.
struct PlannedTile {
    Index node, number, offset, count;
    bool penalised;
    double work;        // multiply-adds a row
    Index rows_summed;  // rows that are added up in the type of the data
    Index touched = 0;  // numbers of a row of its array, if a lazy rule moves touched rows alone
    Index part = -1;    // where it lies in the gradient of a block of rows, if it is made by blocks
};

// Layers begin, ..., end - 1, which rows go through at once, forward or back: in blocks, and in blocks some rows at a
// time. A stage whose first layer (in its direction) sums over the batch begins with a meeting of the team.
struct Stage {
    Index begin, end;
    Index block, rows;
    bool meets;
};

// Where a value of the network lies, or its slope: in the place of value `first`, which may be itself.
struct Place {
    Index first;
    Index size;        // numbers of a row
    bool wanted;       // whether there is a place at all
    Index local_rows;  // rows for which each member has memory of its own; 0: the whole batch has memory
};

// The slope of value `to` is added to that of value `from`, where a residual block begins.
struct Join {
    Index from, to;
};

template <class T>
class TrainingPlan {
public:
    // Layers must be prepared for so many rows. `first_entries`: the share of its inputs that a row brings to the first
    // layer (sparse rows: less than 1). `clips_norm`: whether the norm of the whole gradient is wanted. `lazy`: whether
    // the rule is.
    TrainingPlan(const Network<T>& network, Index batch, bool sparse_input, double first_entries, bool clips_norm,
                 bool lazy)
        : batch(batch), sparse_input(sparse_input), network_(network) {
        for (Index k = 0; k < network.nodes(); ++k)
            if (network.adder(k)) joins.push_back({network.earlier(k), k + 1});
        for (Index k = 0; k < network.nodes(); ++k) plan_tiles(k, k == 0 ? first_entries : 1.0, lazy);
        plan_blocks();
        plan_stages();
        plan_places();
        keeps_gradient = clips_norm || network.work() * double(batch) > long_step;
    }

    const Index batch;  // rows
    const bool sparse_input;

    std::vector<PlannedTile> tiles;
    Index largest_tile = 0;
    bool touches_some = false;  // whether some are not moved whole
    // Gradients of a step that takes long are a phase of their own, so that it may be called off until weights begin to
    // move.
    bool keeps_gradient = false;

    Index block = granule;   // rows of a block
    Index blocks = 0;        // of a batch, if gradients are made by blocks; else 0
    Index partial_size = 0;  // parameters whose gradients are

    std::vector<Stage> forward, backward;
    std::vector<Place> values, slopes;
    std::vector<Join> joins;
    Index numbers = 0;  // of memory that the batch, and each member, needs by this plan

    bool by_blocks() const { return blocks > 0; }

private:
    static constexpr double long_step = 5e8;  // multiply-adds of a pass forward, some 10 ms
    static constexpr Index most_parts = 16;   // of a gradient; four times as many if each has 256 rows
    static constexpr Index many_values = (1 << 17) / Index(sizeof(T));
    static constexpr Index long_row = 1 << 12;  // numbers of a row, into and out of a layer, that fill the cache soon

    Index parameters_of(Index k) const {
        Index parameters = 0;
        for (const auto& array : network_.layer(k).parameters()) parameters += array.size();
        return parameters;
    }

    // `entries`: the share of its inputs that a row brings.
    void plan_tiles(Index k, double entries, bool lazy) {
        const auto& layer = network_.layer(k);
        for (Index t = 0; t < layer.tiles(); ++t) {
            const auto tile = layer.tile(t);
            const Placed* found = nullptr;
            Index number = 0;
            for (const auto& placed : network_.trained())
                if (placed.node == k && number++ == tile.array) found = &placed;
            const double meetings = layer.work() / double(parameters_of(k));
            tiles.push_back({k, t, found->offset + tile.begin, tile.count, found->array.penalised, layer.cost(),
                             rows_summed(meetings, double(tile.count), entries * layer.cost()),
                             lazy ? layer.touched_width(t, k == 0 && sparse_input) : 0});
            touches_some |= tiles.back().touched > 0;
            largest_tile = std::max(largest_tile, tile.count);
        }
    }
    // Sums over rows are cut as in long_sum.hpp. A row counts as often as it meets a parameter (positions of a
    // convolution, time steps); but where most parameters do not meet it (codes, sparse rows), what is summed has at
    // least as many multiply-adds as parameters.
    static Index rows_summed(double meetings, double parameters, double multiply_adds) {
        const double rows =
            std::max(double(2 * most_summed) / std::max(1.0, meetings), parameters / std::max(1e-3, multiply_adds));
        return std::max(granule, Index(std::min(rows, 1e15)) / granule * granule);
    }

    // Which layers' gradients are made by blocks of rows: those whose values are many more than the parameters, if they
    // have most of the work.
    void plan_blocks() {
        const double work = network_.work(), small = std::clamp(5e4 / std::max(work, 1.0), 8.0, 64.0);
        const auto parts_of = [this](Index rows) { return (batch + rows - 1) / rows; };
        block = Index(std::ceil(small / granule)) * granule;
        while (parts_of(block) > (block < 256 ? most_parts : 4 * most_parts)) block += granule;
        const Index parts = parts_of(block);
        if (parts < 2) return;
        std::vector<bool> chosen(std::size_t(network_.nodes()));
        double chosen_work = 0.0;
        for (Index k = 0; k < network_.nodes(); ++k) {
            const auto& layer = network_.layer(k);
            const Index parameters = parameters_of(k);
            const double values_of_rows = double(batch * (layer.in + layer.out) + layer.workspace());
            const bool whole = std::none_of(tiles.begin(), tiles.end(),
                                            [k](const PlannedTile& tile) { return tile.node == k && tile.touched; });
            chosen[std::size_t(k)] = whole && parameters > 0 && double(parts * parameters) <= 0.5 * values_of_rows;
            if (chosen[std::size_t(k)]) chosen_work += layer.work();
        }
        if (chosen_work < 0.5 * work) return;
        blocks = parts;
        for (auto& tile : tiles) {
            if (!chosen[std::size_t(tile.node)]) continue;
            tile.part = partial_size;
            partial_size += tile.count;
        }
        numbers += parts * partial_size;
    }

    // Meetings interrupt stages, for all rows must have come so far. Where rows are long, stages go by blocks, and in
    // blocks by as many rows as fill the cache about once. They cut granules at the same places whoever has them.
    void plan_stages() {
        const auto is_long = [&](Index k) {
            const auto& layer = network_.layer(k);
            return layer.in + layer.out >= long_row && !layer.capabilities().wants_many_rows;
        };
        const auto add = [&](std::vector<Stage>& stages, Index k, bool is_first, Index before) {
            const bool meets = network_.layer(k).capabilities().sums_over_batch;
            if (is_first || meets || is_long(k) != is_long(before)) stages.push_back({k, k, batch, batch, meets});
            auto& stage = stages.back();
            stage.begin = std::min(stage.begin, k);
            stage.end = std::max(stage.end, k + 1);
            if (!is_long(k)) return;
            const Index fit = many_values / (network_.layer(k).in + network_.layer(k).out);
            const Index whole = fit >= granule ? fit / granule * granule : Index(std::bit_floor(std::uint64_t(fit)));
            stage.block = block;
            stage.rows = std::clamp<Index>(whole, 1, stage.rows);
        };
        const Index last = network_.nodes() - 1;
        for (Index k = 0; k <= last; ++k) add(forward, k, k == 0, k - 1);
        for (Index k = last; k >= network_.first_trained(); --k) add(backward, k, k == last, k + 1);
    }

    // Whether layer k may write its output where its input was: nobody else wants that.
    bool in_place(Index k) const {
        return k > 0 && network_.layer(k).capabilities().in_place &&
               !network_.layer(k - 1).capabilities().reads_output && !network_.joined(k);
    }

    // Values, and their slopes, have memory for the whole batch; or, where a stage makes and uses them up, for as many
    // rows as it takes at once, or a block of them, which stays in the cache of each member.
    void plan_places() {
        const auto within = [&](const std::vector<Stage>& stages, Index v, Index last) -> const Stage* {
            for (const auto& stage : stages)
                if (stage.rows < batch && stage.begin < v && last < stage.end) return &stage;
            return nullptr;
        };
        const auto made_by_blocks = [&](Index k) {
            return std::all_of(tiles.begin(), tiles.end(),
                               [&](const PlannedTile& tile) { return tile.node != k || tile.part >= 0; });
        };
        for (Index v = 0; v <= network_.nodes();) {
            // Values v, ..., last lie in one place, since the layers between work in place.
            Index last = v;
            while (last < network_.nodes() && in_place(last)) ++last;
            bool local = v > 0 && last < network_.nodes(), used_up = true;
            for (Index u = v; local && u <= last; ++u) {
                local = !network_.joined(u);
                used_up &=
                    !network_.layer(u - 1).capabilities().reads_output && !network_.layer(u).capabilities().reads_input;
            }
            const auto* const ahead = local && used_up ? within(forward, v, last) : nullptr;
            const auto* const back = local && made_by_blocks(v - 1) ? within(backward, v, last) : nullptr;
            const bool has_slope = last > network_.first_trained();
            place(values, v, last, v > 0 || !sparse_input, ahead ? ahead->rows : 0);
            place(slopes, v, last, has_slope, back && has_slope ? back->block : 0);
            v = last + 1;
        }
    }
    void place(std::vector<Place>& places, Index first, Index last, bool wanted, Index local_rows) {
        const Index size = network_.size_of(first);
        for (Index v = first; v <= last; ++v) places.push_back({first, size, wanted, local_rows});
        numbers += wanted && local_rows == 0 ? batch * size : local_rows * size;
    }

    const Network<T>& network_;
};

}  // namespace fg
