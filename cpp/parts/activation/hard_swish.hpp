#pragma once

#include "parts/activation/activation.hpp"

namespace fg {

// x clip(x + 3, 0, 6) / 6. Howard et al. (2019), "Searching for MobileNetV3".
struct HardSwish {
    static constexpr const char* name = "hard_swish";
    static constexpr const char* doc = "x clip(x + 3, 0, 6) / 6";
    static constexpr bool from_output = false;
    static constexpr auto fields() { return std::tuple<>{}; }

    template <class R>
    FG_INLINE R at(R x) const {
        return x * (smaller<R>(6.0, larger<R>(0.0, x + Scalar<R>(3))) / Scalar<R>(6));
    }
    template <class R>
    FG_INLINE R slope(R x) const {
        const R inside = (x + x + Scalar<R>(3)) / Scalar<R>(6);
        return select<R>(less_equal<R>(x, -3), 0, select<R>(less_equal<R>(3, x), 1, inside));
    }
};

}  // namespace fg
