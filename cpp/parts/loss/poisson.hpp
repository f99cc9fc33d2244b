#pragma once

#include <cmath>

#include "parts/loss/point.hpp"

namespace fg {

// exp(p) - y p, y >= 0: minus the log-likelihood of Poisson regression but for log(y!), where p is the logarithm of the
// mean. Nelder & Wedderburn (1972), "Generalized linear models". exp(p) is cut at p = +-708.
struct Poisson {
    static constexpr const char* name = "poisson";
    static constexpr const char* doc = "exp(p) - y p, y >= 0: Poisson regression, where p is the logarithm of the mean";
    static constexpr double negative = 0.0;
    static constexpr bool bounded = false;
    static constexpr double curvature = std::numeric_limits<double>::infinity();
    static constexpr auto fields() { return std::tuple<>{}; }

    template <class R>
    FG_INLINE R mean(R p) const {
        const auto [over, under] = exp_minus<R>(-p);
        return over / under;
    }
    double least(double y) const { return y > 0.0 ? y - y * std::log(y) : 0.0; }
    template <class R>
    FG_INLINE Point<R> at(R y, R p) const {
        const R expected = mean<R>(p);
        return {multiply_add<R>(-y, p, expected), expected - y};
    }
};

}  // namespace fg
