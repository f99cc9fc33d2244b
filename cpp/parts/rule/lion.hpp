#pragma once

#include "parts/rule/tick.hpp"

namespace fg {

// w <- w - rate sign(beta_1 m + (1 - beta_1) g),  m <- beta_2 m + (1 - beta_2) g. Chen et al. (2023). The sign of zero
// is zero, so a coordinate that never had a gradient stays.
struct Lion {
    static constexpr const char* name = "lion";
    static constexpr const char* doc =
        "steps of the size of the rate in the direction of the sign of a mean of gradients";
    static constexpr bool signs = true;
    double beta_1 = 0.9, beta_2 = 0.99;
    static constexpr auto fields() {
        return std::tuple{
            Field<Lion>{"beta_1", &Lion::beta_1, 0.0, "share of the mean in the direction", 1.0, Ends::open_high},
            Field<Lion>{"beta_2", &Lion::beta_2, 0.0, "decay of the mean of gradients", 1.0, Ends::open_high}};
    }
    int slots() const { return 1; }

    template <class T, class Sweep>
    void at(const Tick& tick, Sweep&& sweep) const {
        const T rate = T(tick.rate), new_1 = T(1.0 - beta_1), new_2 = T(1.0 - beta_2);
        sweep([=](T& w, T g, T& m) {
            const T way = toward(m, g, new_1);
            w -= way > T(0) ? rate : way < T(0) ? -rate : way;  // NaN goes on
            m = toward(m, g, new_2);
            return rate;
        });
    }
};

}  // namespace fg
