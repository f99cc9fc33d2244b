#pragma once

#include "parts/loss/point.hpp"

namespace fg {

// max(0, -y p), y in {-1, 1}. Rosenblatt (1958). At p = 0 the slope is -y, so training can leave zero.
struct Perceptron {
    static constexpr const char* name = "perceptron";
    static constexpr const char* doc = "max(0, -y p): the perceptron";
    static constexpr double negative = -1.0;
    static constexpr bool bounded = true;
    static constexpr double curvature = 0.0;
    static constexpr double jump = 1.0;
    static constexpr auto fields() { return std::tuple<>{}; }

    template <class R>
    FG_INLINE Point<R> at(R y, R p) const {
        const R gap = -y * p;
        return {larger<R>(0.0, gap), select<R>(less_equal<R>(0, gap), -y, 0)};
    }
    template <class R>
    FG_INLINE Kinks<R, 1> kinks(R y) const {
        return {Scalar<R>(-0.5) * y, {all<R>(0.0)}};
    }
};

}  // namespace fg
