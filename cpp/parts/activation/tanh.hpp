#pragma once

#include "parts/activation/activation.hpp"

namespace fg {

// The hyperbolic tangent.
struct Tanh {
    static constexpr const char* name = "tanh";
    static constexpr const char* doc = "the hyperbolic tangent";
    static constexpr bool from_output = true;
    static constexpr auto fields() { return std::tuple<>{}; }

    template <class R>
    FG_INLINE R at(R x) const {
        return hyperbolic_tangent<R>(x);
    }
    template <class R>
    FG_INLINE R slope(R y) const {
        return Scalar<R>(1) - y * y;
    }
};

}  // namespace fg
