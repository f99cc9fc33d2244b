#pragma once

#include "parts/activation/activation.hpp"

namespace fg {

// x sigmoid(x). Elfwing, Uchibe & Doya (2018), "Sigmoid-weighted linear units for neural network function approximation
// in reinforcement learning"; swish in Ramachandran, Zoph & Le (2017).
struct Silu {
    static constexpr const char* name = "silu";
    static constexpr const char* doc = "x / (1 + exp(-x)), also known as swish";
    static constexpr bool from_output = false;
    static constexpr auto fields() { return std::tuple<>{}; }

    template <class R>
    FG_INLINE R at(R x) const {
        return larger<R>(-range_end<R>, x) * sigmoid<R>(x);
    }
    template <class R>
    FG_INLINE R slope(R x) const {
        const R s = sigmoid<R>(x);
        return s * (Scalar<R>(1) + within_range<R>(x) * (Scalar<R>(1) - s));
    }
};

}  // namespace fg
