#pragma once

#include "parts/activation/activation.hpp"

namespace fg {

// max(x, 0); NaN stays NaN. Nair & Hinton (2010), "Rectified linear units improve restricted Boltzmann machines".
struct Relu {
    static constexpr const char* name = "relu";
    static constexpr const char* doc = "max(x, 0)";
    static constexpr bool from_output = true;
    static constexpr bool keeps_order = true;
    static constexpr auto fields() { return std::tuple<>{}; }

    template <class R>
    FG_INLINE R at(R x) const {
        return larger<R>(0.0, x);
    }
    template <class R>
    FG_INLINE R slope(R y) const {
        return select<R>(equal<R>(y, 0), 0, 1);
    }
};

}  // namespace fg
