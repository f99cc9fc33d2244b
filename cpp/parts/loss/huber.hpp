#pragma once

#include <cmath>

#include "parts/loss/point.hpp"

namespace fg {

// r^2 / 2 for |r| <= epsilon, else epsilon (|r| - epsilon / 2), r = p - y. Huber (1964).
struct Huber {
    static constexpr const char* name = "huber";
    static constexpr const char* doc = "(p - y)^2 / 2, linear beyond epsilon: robust regression";
    static constexpr double negative = -1.0;
    double epsilon = 0.1;
    static constexpr auto fields() {
        return std::tuple{Field<Huber>{"epsilon", &Huber::epsilon, 0.0, "where the loss becomes linear"}};
    }

    Point at(double y, double p) const {
        const double r = p - y, size = std::fabs(r);
        if (size <= epsilon) return {0.5 * r * r, r};
        return {epsilon * (size - 0.5 * epsilon), std::copysign(epsilon, r)};
    }
};

}  // namespace fg
