#pragma once

#include "parts/loss/point.hpp"

namespace fg {

// |y - p|: the median of y. Laplace's first law of error (1774). At the kink the slope is 0.
struct AbsoluteError {
    static constexpr const char* name = "absolute_error";
    static constexpr const char* doc = "|y - p|: regression on the median";
    static constexpr double negative = -1.0;
    static constexpr bool bounded = true;
    static constexpr double curvature = 0.0;
    static constexpr double jump = 2.0;
    static constexpr auto fields() { return std::tuple<>{}; }

    template <class R>
    FG_INLINE Point<R> at(R y, R p) const {
        const R r = p - y;
        return {absolute<R>(r), select<R>(equal<R>(r, 0), 0, with_sign<R>(all<R>(1.0), r))};
    }
    template <class R>
    FG_INLINE Kinks<R, 1> kinks(R y) const {
        return {all<R>(0.0), {y}};
    }
};

}  // namespace fg
