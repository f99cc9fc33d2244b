// What a fit of the sequential engine is told, and what it tells of each epoch.
#pragma once

#include <limits>

#include "kernel/settings.hpp"
#include "parts/spec.hpp"

namespace fg {

enum class Stop { none, converged, early_stopping, max_iter, diverged };

// What all outputs of a fit share.
struct Plan {
    Settings settings;
    PartSpec loss;
    bool shuffle = true;
    bool early_stopping = false;
    bool restore_best = false;
    bool regression = false;  // validation score: R^2, else accuracy
    bool detail = false;      // norms in the history, for verbose output
    Index max_iter = 1;
    Index patience = 5;  // n_iter_no_change
    double tol = -std::numeric_limits<double>::infinity();
};

// Mean over the rows trained on, each at its own time.
struct Epoch {
    double loss = 0.0, objective = 0.0;
    double score = 0.0, validation_loss = 0.0;
    double norm = 0.0, intercept = 0.0;
    Index nonzeros = 0;
};

}  // namespace fg
