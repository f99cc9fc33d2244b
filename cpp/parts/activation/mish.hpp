#pragma once

#include "parts/activation/activation.hpp"

namespace fg {

// x tanh(log(1 + e^x)). With t = e^-|x| the tangent is (1 + 2 t) / (1 + 2 t + 2 t^2) for x > 0, else (t^2 + 2 t) / (t^2
// + 2 t + 2). Misra (2019), "Mish: a self regularized non-monotonic activation function".
struct Mish {
    static constexpr const char* name = "mish";
    static constexpr const char* doc = "x tanh(log(1 + exp(x)))";
    static constexpr bool from_output = false;
    static constexpr auto fields() { return std::tuple<>{}; }

    template <class R>
    FG_INLINE R gate(R x) const {
        const auto [over, under] = exp_minus<R>(absolute<R>(x));
        const R t = over / under, two = t + t;
        const R right = (Scalar<R>(1) + two) / (Scalar<R>(1) + two + t * two);
        const R left = (t * t + two) / (t * t + two + Scalar<R>(2));
        return select<R>(less<R>(0, x), right, left);
    }
    template <class R>
    FG_INLINE R at(R x) const {
        return larger<R>(-range_end<R>, x) * gate<R>(x);
    }
    template <class R>
    FG_INLINE R slope(R x) const {
        const R w = gate<R>(x);
        return w + within_range<R>(x) * (Scalar<R>(1) - w * w) * sigmoid<R>(x);
    }
};

}  // namespace fg
