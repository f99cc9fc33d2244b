#pragma once

#include "parts/loss/point.hpp"

namespace fg {

// (p - y)^2 / 2
struct SquaredError {
    static constexpr const char* name = "squared_error";
    static constexpr const char* doc = "(p - y)^2 / 2: least squares";
    static constexpr double negative = -1.0;
    static constexpr bool bounded = false;
    static constexpr double curvature = 1.0;
    static constexpr auto fields() { return std::tuple<>{}; }

    template <class R>
    FG_INLINE Point<R> at(R y, R p) const {
        const R r = p - y;
        return {Scalar<R>(0.5) * r * r, r};
    }
};

}  // namespace fg
