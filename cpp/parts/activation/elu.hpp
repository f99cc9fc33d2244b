#pragma once

#include "parts/activation/activation.hpp"

namespace fg {

// x for x > 0, else alpha (e^x - 1). Clevert, Unterthiner & Hochreiter (2016), "Fast and accurate deep network learning
// by exponential linear units".
struct Elu {
    static constexpr const char* name = "elu";
    static constexpr const char* doc = "x, for negative x alpha (exp(x) - 1)";
    static constexpr bool from_output = false;
    double alpha = 1.0;
    static constexpr auto fields() {
        return std::tuple{Field<Elu>{"alpha", &Elu::alpha, 0.0, "minus the value far to the left"}};
    }

    template <class R>
    FG_INLINE R at(R x) const {
        return select<R>(less<R>(0, x), x, exp_less_one<R>(smaller<R>(0.0, x)) * Scalar<R>(alpha));
    }
    template <class R>
    FG_INLINE R slope(R x) const {
        return select<R>(less<R>(0, x), all<R>(1.0),
                         (exp_less_one<R>(smaller<R>(0.0, x)) + Scalar<R>(1)) * Scalar<R>(alpha));
    }
};

}  // namespace fg
