#pragma once

#include "parts/rule/tick.hpp"

namespace fg {

// v <- rho v + (1 - rho) g^2,  d = g sqrt(u + epsilon) / sqrt(v + epsilon),  u <- rho u + (1 - rho) d^2,
// w <- w - rate d. Zeiler (2012). epsilon stands under the roots; without it nothing would move for long.
struct Adadelta {
    static constexpr const char* name = "adadelta";
    static constexpr const char* doc =
        "steps of the size of the steps before, by the gradient over its root mean square";
    double rho = 0.9, epsilon = 1e-6;
    static constexpr auto fields() {
        return std::tuple{
            Field<Adadelta>{"rho", &Adadelta::rho, 0.0, "decay of both means of squares", 1.0, Ends::open_high},
            Field<Adadelta>{"epsilon", &Adadelta::epsilon, 0.0, "added under the roots"}};
    }
    int slots() const { return 2; }

    template <class T, class Sweep>
    void at(const Tick& tick, Sweep&& sweep) const {
        const T rate = T(tick.rate), keep = T(rho), add = T(1.0 - rho);
        const T eps = T(std::max(epsilon, double(std::numeric_limits<T>::min())));  // as beside_root, under the root
        sweep([=](T& w, T g, T& v, T& u) {
            v = keep * v + add * g * g;
            const T ratio = std::sqrt((u + eps) / (v + eps)), d = ratio * g;
            u = keep * u + add * d * d;
            w -= rate * d;
            return rate * ratio;
        });
    }
};

}  // namespace fg
