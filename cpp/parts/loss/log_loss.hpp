#pragma once

#include "parts/loss/point.hpp"

namespace fg {

// log(1 + e^p) - y p, y in {0, 1}: minus the log-likelihood of logistic regression.
// Written without branches on the sign of p: log(1 + e^p) = max(p, 0) + log(1 + e^-|p|).
struct LogLoss {
    static constexpr const char* name = "log_loss";
    static constexpr const char* doc = "log(1 + exp(p)) - y p, y in {0, 1}: logistic regression";
    static constexpr double negative = 0.0;
    static constexpr bool bounded = true;
    static constexpr double curvature = 0.25;
    static constexpr auto fields() { return std::tuple<>{}; }

    template <class R>
    FG_INLINE Point<R> at(R y, R p) const {
        const auto [over, under] = exp_minus<R>(p);
        const Mask<R> positive = less<R>(over, under);
        const Quotient<R> small{select<R>(positive, over, under), select<R>(positive, under, over)};
        // sigmoid(p) - y, without cancellation for y = 1
        return {add_log1p<R>(larger<R>(0.0, p) - y * p, small),
                ((Scalar<R>(1) - y) * under - y * over) / (over + under)};
    }
};

}  // namespace fg
