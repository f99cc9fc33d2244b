#pragma once

#include <cmath>

#include "parts/activation/activation.hpp"

namespace fg {

// x Phi(x), exact (not by the hyperbolic tangent). Hendrycks & Gimpel (2016), "Gaussian error linear units".
struct Gelu {
    static constexpr const char* name = "gelu";
    static constexpr const char* doc = "x Phi(x), with the normal distribution function";
    static constexpr bool from_output = false;
    static constexpr auto fields() { return std::tuple<>{}; }

    // Phi(x), number by number: the error function has no series that is short and exact everywhere.
    template <class R>
    FG_INLINE static R distribution(const R& x) {
        using S = Scalar<R>;
        return x.unaryExpr([](S each) { return S(0.5) * std::erfc(each * S(-0.70710678118654752440)); });
    }
    template <class R>
    FG_INLINE R at(R x) const {
        return x * distribution<R>(x);
    }
    template <class R>
    FG_INLINE R slope(R x) const {
        constexpr double far = sizeof(Scalar<R>) == 8 ? 37.0 : 13.0;  // beyond it the density is next to nothing
        const R near = smaller<R>(far, larger<R>(-far, x));
        const auto [over, under] = exp_minus<R>(near * near * Scalar<R>(0.5));
        return multiply_add<R>(near * Scalar<R>(0.39894228040143267794), over / under, distribution<R>(x));
    }
};

}  // namespace fg
