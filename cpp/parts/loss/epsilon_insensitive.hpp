#pragma once

#include <cmath>

#include "parts/loss/point.hpp"

namespace fg {

// max(0, |y - p| - epsilon). Support vector regression, Vapnik (1995). At the kink the slope is 0.
struct EpsilonInsensitive {
    static constexpr const char* name = "epsilon_insensitive";
    static constexpr const char* doc = "max(0, |y - p| - epsilon): support vector regression";
    static constexpr double negative = -1.0;
    double epsilon = 0.1;
    static constexpr auto fields() {
        return std::tuple{Field<EpsilonInsensitive>{"epsilon", &EpsilonInsensitive::epsilon, 0.0,
                                                    "errors up to this size cost nothing"}};
    }

    Point at(double y, double p) const {
        const double r = p - y, excess = std::fabs(r) - epsilon;
        return excess > 0.0 ? Point{excess, std::copysign(1.0, r)} : Point{0.0, 0.0};
    }
};

}  // namespace fg
