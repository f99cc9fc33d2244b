// What the training of a network is told, and what it tells.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base.hpp"
#include "kernel/penalty.hpp"
#include "parts/spec.hpp"

namespace fg {

// A layer by name, with numbers for what it needs to know; and which activation it has, if any.
struct NodeSpec {
    std::string name;
    Index in = 0, out = 0;  // numbers of a row
    std::vector<std::pair<std::string, double>> values;
    PartSpec activation;  // without a name: none
    Index earlier = -1;   // the value that is added, where it is

    double operator[](std::string_view key) const {
        for (const auto& [name, value] : values)
            if (name == key) return value;
        throw BadArgument(name + ": " + std::string(key) + " is missing");
    }
};

// Time steps of the input whose numbers all have one value are padding. No steps: there is no padding.
struct Masking {
    Index steps = 0, features = 0;
    double value = 0.0;

    // Writes 0 for padding, else 1; x points to the first row.
    template <class T>
    void mark(const T* x, Rows rows, unsigned char* mask) const {
        for (Index i = rows.begin * steps; i < rows.end * steps; ++i)
            mask[i] = std::any_of(x + i * features, x + (i + 1) * features, [&](T v) { return v != T(value); });
    }
};

struct NetworkRecipe {
    PartSpec loss, rule;
    bool lazy = false;  // see kernel/waiting.hpp
    bool multinomial = false;
    Penalty penalty;                // on what is penalised; without l1
    bool penalty_of_batch = false;  // l2 is divided by the weight of the batch: scikit-learn's networks
    double clip_value = no_limit, clip_norm = no_limit;
    double average_share = 0.0;  // of the weights in their running mean, a step; 0: no mean
    Index batch = 1;
    std::uint64_t seed = 0;
};

// How far training came, and what an epoch saw.
struct TrainingResult {
    Index epochs = 0, batches = 0;
    double carry = 1.0;
    bool finite = true;
    std::vector<double> loss, penalty;  // of each epoch: means over its batches, by their numbers of rows
};

}  // namespace fg
