#pragma once

#include "parts/loss/point.hpp"

namespace fg {

// max(0, -y p), y in {-1, 1}. Rosenblatt (1958). At p = 0 the slope is -y, so training can leave zero.
struct Perceptron {
    static constexpr const char* name = "perceptron";
    static constexpr const char* doc = "max(0, -y p): the perceptron";
    static constexpr double negative = -1.0;
    static constexpr auto fields() { return std::tuple<>{}; }

    Point at(double y, double p) const {
        const double z = y * p;
        return z <= 0.0 ? Point{-z, -y} : Point{0.0, 0.0};
    }
};

}  // namespace fg
