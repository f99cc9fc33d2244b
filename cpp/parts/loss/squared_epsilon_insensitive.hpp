#pragma once

#include <cmath>

#include "parts/loss/point.hpp"

namespace fg {

// max(0, |y - p| - epsilon)^2
struct SquaredEpsilonInsensitive {
    static constexpr const char* name = "squared_epsilon_insensitive";
    static constexpr const char* doc = "max(0, |y - p| - epsilon)^2: smooth support vector regression";
    static constexpr double negative = -1.0;
    double epsilon = 0.1;
    static constexpr auto fields() {
        return std::tuple{Field<SquaredEpsilonInsensitive>{
            "epsilon", &SquaredEpsilonInsensitive::epsilon, 0.0, "errors up to this size cost nothing"}};
    }

    Point at(double y, double p) const {
        const double r = p - y, gap = std::fabs(r) - epsilon;
        const double excess = 0.0 > gap ? 0.0 : gap;
        return {excess * excess, std::copysign(2.0 * excess, r)};
    }
};

}  // namespace fg
