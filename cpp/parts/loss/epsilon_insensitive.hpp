#pragma once

#include "parts/loss/point.hpp"

namespace fg {

// max(0, |y - p| - epsilon). Support vector regression, Vapnik (1995). At the kink the slope is 0.
struct EpsilonInsensitive {
    static constexpr const char* name = "epsilon_insensitive";
    static constexpr const char* doc = "max(0, |y - p| - epsilon): support vector regression";
    static constexpr double negative = -1.0;
    static constexpr bool bounded = true;
    static constexpr double curvature = 0.0;
    static constexpr double jump = 1.0;
    double epsilon = 0.1;
    static constexpr auto fields() {
        return std::tuple{Field<EpsilonInsensitive>{"epsilon", &EpsilonInsensitive::epsilon, 0.0,
                                                    "errors up to this size cost nothing"}};
    }

    template <class R>
    FG_INLINE Point<R> at(R y, R p) const {
        const R r = p - y, excess = absolute<R>(r) - Scalar<R>(epsilon);
        return {larger<R>(0.0, excess), select<R>(less<R>(0, excess), with_sign<R>(all<R>(1.0), r), 0)};
    }
    template <class R>
    FG_INLINE Kinks<R, 2> kinks(R y) const {
        return {all<R>(0.0), {y - Scalar<R>(epsilon), y + Scalar<R>(epsilon)}};
    }
};

}  // namespace fg
