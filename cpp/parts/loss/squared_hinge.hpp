#pragma once

#include "parts/loss/point.hpp"

namespace fg {

// max(0, 1 - y p)^2, y in {-1, 1}. The L2-SVM.
struct SquaredHinge {
    static constexpr const char* name = "squared_hinge";
    static constexpr const char* doc = "max(0, 1 - y p)^2: the L2 support vector machine";
    static constexpr double negative = -1.0;
    static constexpr auto fields() { return std::tuple<>{}; }

    Point at(double y, double p) const {
        const double z = 1.0 - y * p;
        const double positive = 0.0 > z ? 0.0 : z;
        return {positive * positive, -2.0 * y * positive};
    }
};

}  // namespace fg
