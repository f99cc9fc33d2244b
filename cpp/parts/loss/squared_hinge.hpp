#pragma once

#include "parts/loss/point.hpp"

namespace fg {

// max(0, 1 - y p)^2, y in {-1, 1}. The L2-SVM.
struct SquaredHinge {
    static constexpr const char* name = "squared_hinge";
    static constexpr const char* doc = "max(0, 1 - y p)^2: the L2 support vector machine";
    static constexpr double negative = -1.0;
    static constexpr bool bounded = false;
    static constexpr double curvature = 2.0;
    static constexpr auto fields() { return std::tuple<>{}; }

    template <class R>
    FG_INLINE Point<R> at(R y, R p) const {
        using S = Scalar<R>;
        const R gap = larger<R>(0.0, S(1) - y * p);
        return {gap * gap, S(-2) * y * gap};
    }
};

}  // namespace fg
