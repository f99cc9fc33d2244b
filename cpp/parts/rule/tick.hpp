// What an update rule says: how one coordinate moves in one step.
//
// A rule is a struct with
//   name, doc     how Python and the documentation know it
//   fields()      a tuple of Field, its hyper-parameters; flags are numbers too, 0 or 1
//   slots()       numbers of state that a coordinate has, all zero at first
//   at<T>(tick, sweep)
//                 computes in double, once a step, what changes with the step, and hands sweep a function
//                 T f(T& w, T g, T& slot, ...) that moves one coordinate.
// f returns the effective rate of the coordinate: what a lasting gradient of 1 would move it by in a step. A proximal
// step (L1) must use that rate, or training ends elsewhere than at the optimum of the objective.
//
// Optional:
//   carry(tick)   a number that is carried from step to step (it is 1 before the first)
//   plain()       whether the rule is w -= rate g
//   flow          the penalty acts after the step as an exact flow over the effective rate of the coordinate; because
//                 flows compose, coordinates without gradient can wait for theirs (sparse data). That rate is
//                 time(tick) * pace(first slot)
//   closed        the rule takes the penalty, tick.l1, tick.l2 and tick.positive, into its own formula, and the data's
//                 units: f(w, g, slot, slot, pull, unit), see kernel/sweep.hpp; its catch_up(tick, w, slots ..., pull,
//                 unit) makes up for steps without gradient at the rate of this one
//   signs         the rule sees only the gradient's sign, and L1 enters as a subgradient
//   answer        the slot that holds the weights to use, rather than w: their mean (ASGD). After a step, penalty
//                 included, it moves towards w by share(tick); f does not take it
//
// Formulas and defaults are those of torch.optim where torch has the rule.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/base.hpp"
#include "core/part.hpp"

namespace fg {

struct Tick {
    Index step = 1;  // 1, 2, ...
    double rate = 0.0;
    double carry = 1.0;         // the number carried so far
    double l1 = 0.0, l2 = 0.0;  // the penalty, for rules that are `closed`
    bool positive = false;      // whether weights must not be negative, likewise
    bool penalised = true;      // whether penalties of the rule's own apply; they do not to intercepts
};

// A running mean: m moves towards g by a share of their distance; reckoned from the nearer end, as torch's lerp is, so
// that share 1 gives g itself.
template <class T>
FG_INLINE T toward(T m, T g, T share) {
    const T distance = g - m;
    return share < T(0.5) ? m + share * distance : g - (T(1) - share) * distance;
}

// What is added to a root of squares of type T: epsilon, but at least the root of the smallest normal number. Squares
// below that number count as zero in a sweep (core/denormals.hpp), and their roots must not be divided by less; with
// epsilon 0 it makes 0 / 0 zero.
template <class T>
T beside_root(double epsilon) {
    return T(std::max(epsilon, std::sqrt(double(std::numeric_limits<T>::min()))));
}

}  // namespace fg
