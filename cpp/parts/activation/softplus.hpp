#pragma once

#include "parts/activation/activation.hpp"

namespace fg {

// log(1 + e^x) = max(x, 0) + log(1 + e^-|x|). Dugas et al. (2001), "Incorporating second-order functional knowledge for
// better option pricing".
struct Softplus {
    static constexpr const char* name = "softplus";
    static constexpr const char* doc = "log(1 + exp(x))";
    static constexpr bool from_output = false;
    static constexpr auto fields() { return std::tuple<>{}; }

    template <class R>
    FG_INLINE R at(R x) const {
        return add_log1p<R>(larger<R>(0.0, x), exp_minus<R>(absolute<R>(x)));
    }
    template <class R>
    FG_INLINE R slope(R x) const {
        return sigmoid<R>(x);
    }
};

}  // namespace fg
