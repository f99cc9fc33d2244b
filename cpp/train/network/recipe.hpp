// What a network is trained with, apart from its layers and arrays.
#pragma once

#include "kernel/sweep.hpp"
#include "parts/spec.hpp"

namespace fg {

struct NetworkRecipe {
    PartSpec loss, rule;
    bool multinomial = false;
    Penalty penalty;                // on what is penalised; without l1
    bool penalty_of_batch = false;  // l2 is divided by the weight of the batch: scikit-learn's networks
    double clip_value = no_limit, clip_norm = no_limit;
    double average_share = 0.0;  // of the weights in their running mean, a step; 0: no mean
    Index batch = 1;
    std::uint64_t seed = 0;
};

}  // namespace fg
