#pragma once

#include "parts/activation/activation.hpp"

namespace fg {

// scale x for x > 0, else scale alpha (e^x - 1), which drive activations to mean 0 and variance 1. Klambauer et al.
// (2017), "Self-normalizing neural networks".
struct Selu {
    static constexpr const char* name = "selu";
    static constexpr const char* doc = "the self-normalising elu";
    static constexpr bool from_output = true;
    static constexpr auto fields() { return std::tuple<>{}; }

    static constexpr double scale = 1.0507009873554804934, alpha = 1.6732632423543772848;

    template <class R>
    FG_INLINE R at(R x) const {
        return select<R>(less<R>(0, x), x, exp_less_one<R>(smaller<R>(0.0, x)) * Scalar<R>(alpha)) * Scalar<R>(scale);
    }
    template <class R>
    FG_INLINE R slope(R y) const {
        return select<R>(less<R>(0, y), all<R>(scale), y + Scalar<R>(scale * alpha));
    }
};

}  // namespace fg
