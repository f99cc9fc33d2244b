#pragma once

#include "parts/loss/point.hpp"

namespace fg {

// max(0, 1 - y p)^2 for y p >= -1, else -4 y p; y in {-1, 1}. Zhang (2004), "Solving large scale linear
// prediction problems using stochastic gradient descent algorithms".
struct ModifiedHuber {
    static constexpr const char* name = "modified_huber";
    static constexpr const char* doc = "max(0, 1 - y p)^2, linear below y p = -1: smooth, tolerant to outliers";
    static constexpr double negative = -1.0;
    static constexpr bool bounded = true;
    static constexpr double curvature = 2.0;
    static constexpr auto fields() { return std::tuple<>{}; }

    template <class R>
    FG_INLINE Point<R> at(R y, R p) const {
        using S = Scalar<R>;
        const R z = y * p, gap = larger<R>(0.0, S(1) - z);
        const Mask<R> far = less<R>(z, -1);
        return {select<R>(far, S(-4) * z, gap * gap), select<R>(far, S(-4) * y, S(-2) * y * gap)};
    }
};

}  // namespace fg
