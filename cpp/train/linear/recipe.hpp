// What a pass of the mini-batch engine is told.
#pragma once

#include <cstdint>
#include <vector>

#include "core/rng.hpp"
#include "kernel/penalty.hpp"
#include "parts/spec.hpp"

namespace fg {

// What a model is made of, apart from its arrays.
struct Recipe {
    PartSpec loss, rule;
    bool lazy = false;  // see kernel/waiting.hpp
    bool multinomial = false;
    Penalty penalty;
    double clip_value = no_limit, clip_norm = no_limit;
    double intercept_decay = 1.0;  // factor on the gradient of intercepts; 0 keeps them fixed
};

// The rows that all models of a pass see.
struct Stream {
    std::vector<std::uint32_t> listed;  // those to train on; empty: all
    Index batch = 1;
    Shuffle shuffle = Shuffle::blocks;
    std::uint64_t seed = 0;
};

// How far an epoch came; what it saw is in the models.
struct EpochResult {
    Index batches = 0, rows = 0;
};

}  // namespace fg
