#pragma once

#include "parts/rule/tick.hpp"

namespace fg {

// m <- beta_1 m + (1 - beta_1) g,  u <- max(beta_2 u, |g| + epsilon),  w <- w - rate / (1 - beta_1^t) m / u.
// Kingma & Ba (2015), algorithm 2; epsilon is torch's.
struct Adamax {
    static constexpr const char* name = "adamax";
    static constexpr const char* doc = "Adam with the largest gradient, slowly forgotten, for the root mean square";
    double beta_1 = 0.9, beta_2 = 0.999, epsilon = 1e-8;
    static constexpr auto fields() {
        return std::tuple{
            Field<Adamax>{"beta_1", &Adamax::beta_1, 0.0, "decay of the mean of gradients", 1.0, Ends::open_high},
            Field<Adamax>{"beta_2", &Adamax::beta_2, 0.0, "decay of the largest gradient", 1.0, Ends::open_high},
            Field<Adamax>{"epsilon", &Adamax::epsilon, 0.0, "added to the size of the gradient"}};
    }
    int slots() const { return 2; }

    template <class T, class Sweep>
    void at(const Tick& tick, Sweep&& sweep) const {
        const T rate = T(tick.rate), step = T(tick.rate / (1.0 - std::pow(beta_1, double(tick.step))));
        const T new_1 = T(1.0 - beta_1), keep_2 = T(beta_2), eps = beside_root<T>(epsilon);
        sweep([=](T& w, T g, T& m, T& u) {
            m = toward(m, g, new_1);
            const T kept = keep_2 * u, size = std::fabs(g) + eps;
            u = kept > size ? kept : size;
            const T inverse = T(1) / u;
            w -= step * m * inverse;
            return rate * inverse;
        });
    }
};

}  // namespace fg
