#pragma once

#include "parts/loss/point.hpp"

namespace fg {

// max(0, 1 - y p)^2 for y p >= -1, else -4 y p; y in {-1, 1}. Zhang (2004), "Solving large scale linear
// prediction problems using stochastic gradient descent algorithms".
struct ModifiedHuber {
    static constexpr const char* name = "modified_huber";
    static constexpr const char* doc = "max(0, 1 - y p)^2, linear below y p = -1: smooth, tolerant to outliers";
    static constexpr double negative = -1.0;
    static constexpr auto fields() { return std::tuple<>{}; }

    Point at(double y, double p) const {
        const double z = y * p, gap = 1.0 - z;
        if (z < -1.0) return {-4.0 * z, -4.0 * y};
        const double positive = 0.0 > gap ? 0.0 : gap;
        return {positive * positive, -2.0 * y * positive};
    }
};

}  // namespace fg
