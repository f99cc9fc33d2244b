// What pulls weights to zero, besides the loss; and the limit that gradients have if they have none.
#pragma once

#include <limits>

namespace fg {

inline constexpr double no_limit = std::numeric_limits<double>::infinity();

struct Penalty {
    double l2 = 0.0, l1 = 0.0;  // of the objective
    double coupled = 0.0;       // an optimizer's own weight decay, as a gradient (torch's weight_decay)
    double decay = 0.0;         // the same, decoupled: w shrinks by rate * decay
    bool positive = false;

    bool none() const { return l2 == 0.0 && l1 == 0.0 && coupled == 0.0 && decay == 0.0 && !positive; }
};

}  // namespace fg
