#pragma once

#include "parts/loss/point.hpp"

namespace fg {

// max(0, |y - p| - epsilon)^2
struct SquaredEpsilonInsensitive {
    static constexpr const char* name = "squared_epsilon_insensitive";
    static constexpr const char* doc = "max(0, |y - p| - epsilon)^2: smooth support vector regression";
    static constexpr double negative = -1.0;
    static constexpr bool bounded = false;
    static constexpr double curvature = 2.0;
    double epsilon = 0.1;
    static constexpr auto fields() {
        return std::tuple{Field<SquaredEpsilonInsensitive>{"epsilon", &SquaredEpsilonInsensitive::epsilon, 0.0,
                                                           "errors up to this size cost nothing"}};
    }

    template <class R>
    FG_INLINE Point<R> at(R y, R p) const {
        const R r = p - y, excess = larger<R>(0.0, absolute<R>(r) - Scalar<R>(epsilon));
        return {excess * excess, with_sign<R>(Scalar<R>(2) * excess, r)};
    }
};

}  // namespace fg
