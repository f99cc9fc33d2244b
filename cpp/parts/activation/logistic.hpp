#pragma once

#include "parts/activation/activation.hpp"

namespace fg {

// 1 / (1 + e^-x)
struct Logistic {
    static constexpr const char* name = "logistic";
    static constexpr const char* doc = "1 / (1 + exp(-x))";
    static constexpr bool from_output = true;
    static constexpr auto fields() { return std::tuple<>{}; }

    template <class R>
    FG_INLINE R at(R x) const {
        return sigmoid<R>(x);
    }
    template <class R>
    FG_INLINE R slope(R y) const {
        return y * (Scalar<R>(1) - y);
    }
};

}  // namespace fg
