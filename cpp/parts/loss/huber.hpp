#pragma once

#include "parts/loss/point.hpp"

namespace fg {

// r^2 / 2 for |r| <= epsilon, else epsilon (|r| - epsilon / 2), r = p - y. Huber (1964).
struct Huber {
    static constexpr const char* name = "huber";
    static constexpr const char* doc = "(p - y)^2 / 2, linear beyond epsilon: robust regression";
    static constexpr double negative = -1.0;
    static constexpr bool bounded = false;
    static constexpr double curvature = 1.0;
    double epsilon = 0.1;
    static constexpr auto fields() {
        return std::tuple{Field<Huber>{"epsilon", &Huber::epsilon, 0.0, "where the loss becomes linear"}};
    }

    template <class R>
    FG_INLINE Point<R> at(R y, R p) const {
        using S = Scalar<R>;
        const R r = p - y, size = absolute<R>(r), limit = all<R>(epsilon);
        const Mask<R> near = less_equal<R>(size, limit);
        return {select<R>(near, S(0.5) * r * r, limit * (size - S(0.5) * limit)),
                select<R>(near, r, with_sign<R>(limit, r))};
    }
};

}  // namespace fg
