#pragma once

#include "parts/loss/point.hpp"

namespace fg {

// max(0, 1 - y p), y in {-1, 1}. Cortes & Vapnik (1995). At the kink the slope is -y, as in scikit-learn.
struct Hinge {
    static constexpr const char* name = "hinge";
    static constexpr const char* doc = "max(0, 1 - y p): the linear support vector machine";
    static constexpr double negative = -1.0;
    static constexpr auto fields() { return std::tuple<>{}; }

    Point at(double y, double p) const {
        const double z = y * p;
        return z <= 1.0 ? Point{1.0 - z, -y} : Point{0.0, 0.0};
    }
};

}  // namespace fg
