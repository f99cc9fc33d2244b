#pragma once

#include "parts/activation/activation.hpp"

namespace fg {

// x for x > 0, else alpha x. Maas, Hannun & Ng (2013), "Rectifier nonlinearities improve neural network acoustic
// models".
struct LeakyRelu {
    static constexpr const char* name = "leaky_relu";
    static constexpr const char* doc = "x, for negative x alpha x";
    static constexpr bool from_output = false;
    double alpha = 0.01;
    static constexpr auto fields() {
        return std::tuple{Field<LeakyRelu>{"alpha", &LeakyRelu::alpha, 0.0, "slope of the negative side"}};
    }

    template <class R>
    FG_INLINE R at(R x) const {
        return select<R>(less<R>(0, x), x, x * Scalar<R>(alpha));
    }
    template <class R>
    FG_INLINE R slope(R x) const {
        return select<R>(less<R>(0, x), all<R>(1.0), all<R>(alpha));
    }
};

}  // namespace fg
