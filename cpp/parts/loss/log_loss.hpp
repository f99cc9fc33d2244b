#pragma once

#include "core/math.hpp"
#include "parts/loss/point.hpp"

namespace fg {

// log(1 + e^p) - y p, y in {0, 1}: minus the log-likelihood of logistic regression.
// Written without branches on the sign of p: log(1 + e^p) = max(p, 0) + log(1 + e^-|p|).
struct LogLoss {
    static constexpr const char* name = "log_loss";
    static constexpr const char* doc = "log(1 + exp(p)) - y p, y in {0, 1}: logistic regression";
    static constexpr double negative = 0.0;
    static constexpr auto fields() { return std::tuple<>{}; }

    Point at(double y, double p) const {
        const double e = exp_bounded(-p), inverse = 1.0 / e;
        const double small = e < inverse ? e : inverse;
        const double positive = 0.0 > p ? 0.0 : p;
        // sigmoid(p) - y, without cancellation for y = 1
        return {positive - y * p + log1p_unit(small), ((1.0 - y) - y * e) * (1.0 / (1.0 + e))};
    }
};

}  // namespace fg
