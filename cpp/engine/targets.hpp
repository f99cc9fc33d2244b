// Targets and trained arrays of the seam, as the mini-batch engine and networks want them.
#pragma once

#include "engine.hpp"
#include "kernel/tile_loss.hpp"
#include "train/updater.hpp"

namespace fg {

template <class T>
Goals<T> goals_of(const TargetsTask& task, Index rows) {
    Goals<T> goals;
    goals.outputs = task.outputs;
    goals.width = width_of<T>(task.outputs);
    goals.y = static_cast<const T*>(task.y);
    goals.code = static_cast<const T*>(task.code);
    for (Index i = 0; goals.code && i < rows; ++i)
        require(goals.code[i] >= T(0) && goals.code[i] < T(std::max<Index>(goals.outputs, 2)),
                "y: a class code is out of range");
    return goals;
}

template <class T>
void weigh(Goals<T>& goals, const WeightsTask& task) {
    require(Index(task.of_sides.size()) == 2 * goals.outputs, "side_weight: two numbers an output");
    goals.side_weight = task.of_sides;
    goals.weight = static_cast<const T*>(task.of_rows);
    goals.weight_stride = task.stride;
}

// Weights, slots and average, `size` numbers each.
template <class T>
Flat<T> flat_of(const Trained& trained, Index size, const PartSpec& rule) {
    require(int(trained.slots.size()) == make_updater<T>(rule)->slots(), "slots: not as many as the rule has");
    const auto data = [size](const Numbers& numbers, const char* what) {
        require(numbers.size == size, what);
        return static_cast<T*>(numbers.data);
    };
    Flat<T> flat;
    flat.w = data(trained.weights, "weights: not as many as the model has");
    if (!trained.slots.empty()) flat.apart = trained.slots[0].apart;
    for (std::size_t s = 0; s < trained.slots.size(); ++s) {
        require(trained.slots[s].apart == flat.apart, "slots: rows as far apart in all");
        flat.slot[s] = data(trained.slots[s], "slots: not as many numbers as weights");
    }
    if (trained.average.data) flat.average = data(trained.average, "average: not as many numbers as weights");
    return flat;
}

}  // namespace fg
