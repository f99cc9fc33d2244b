#pragma once

#include <cmath>

#include "parts/loss/point.hpp"

namespace fg {

// y exp(-p) + p, y > 0: minus the log-likelihood of Gamma regression but for what does not depend on p, where p is the
// logarithm of the mean. McCullagh & Nelder (1989), "Generalized linear models", chapter 8. exp(-p) is cut at p =
// +-708.
struct Gamma {
    static constexpr const char* name = "gamma";
    static constexpr const char* doc = "y exp(-p) + p, y > 0: Gamma regression, where p is the logarithm of the mean";
    static constexpr double negative = 0.0;
    static constexpr bool bounded = false;
    static constexpr double curvature = std::numeric_limits<double>::infinity();
    static constexpr auto fields() { return std::tuple<>{}; }

    template <class R>
    FG_INLINE R mean(R p) const {
        const auto [over, under] = exp_minus<R>(-p);
        return over / under;
    }
    double least(double y) const { return 1.0 + std::log(y); }
    template <class R>
    FG_INLINE Point<R> at(R y, R p) const {
        const auto [over, under] = exp_minus<R>(p);
        const R inverse = over / under;
        return {multiply_add<R>(y, inverse, p), multiply_add<R>(-y, inverse, all<R>(1.0))};
    }
};

}  // namespace fg
