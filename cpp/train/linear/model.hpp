// A linear model of the mini-batch engine.
#pragma once

#include <memory>

#include "kernel/tile_loss.hpp"
#include "train/linear/recipe.hpp"
#include "train/updater.hpp"

namespace fg {

// Weights, slots and average are the caller's, trained in place: (features + 1, width), feature-major. The last row
// holds the intercepts, which no penalty touches.
template <class T>
struct Model {
    Recipe recipe;
    Goals<T> goals;
    Flat<T> flat;
    // (features,): the intercepts in `flat` are those of rows reckoned from here, of dense rows alone; null: from zero.
    const T* centre = nullptr;
    std::unique_ptr<Updater<T>> updater{};

    // Of the epoch; `first_step` is the optimizer's step of its first batch (1, 2, ...).
    const double* rates = nullptr;
    Index first_step = 1, average_from = 0;
    // Before batches of even and of odd numbers: member 0 writes the one while others may still read the other.
    double carry[2] = {1.0, 1.0};

    // What the epoch saw.
    double loss = 0.0;     // sum of weight * loss over the rows
    double penalty = 0.0;  // of the objective, mean over the moments at which it was measured
    bool finite = true;

    Tick tick(Index batch) const {
        Tick tick;
        tick.step = first_step + batch;
        tick.rate = rates[batch];
        tick.carry = carry[batch % 2];
        return tick;
    }
};

}  // namespace fg
