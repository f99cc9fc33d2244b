#pragma once

#include <algorithm>

#include "parts/rule/tick.hpp"

namespace fg {

// eta = rate / (1 + lambd rate (t - 1))^alpha,  w <- (1 - lambd eta) w - eta g; the answer is the mean of w after each
// step from step t0 + 2 on. Polyak & Juditsky (1992); torch's form, in which lambd both decays the weights and the
// rate.
struct Asgd {
    static constexpr const char* name = "asgd";
    static constexpr const char* doc = "gradient descent whose answer is the mean of the weights on the way";
    static constexpr int answer = 0;
    double lambd = 1e-4, alpha = 0.75, t0 = 1e6;
    static constexpr auto fields() {
        return std::tuple{Field<Asgd>{"lambd", &Asgd::lambd, 0.0, "decay of the weights and of the rate"},
                          Field<Asgd>{"alpha", &Asgd::alpha, 0.0, "power with which the rate falls"},
                          Field<Asgd>{"t0", &Asgd::t0, 0.0, "step after which averaging starts"}};
    }
    int slots() const { return 1; }
    double share(const Tick& tick) const { return 1.0 / std::max(1.0, double(tick.step - 1) - t0); }

    template <class T, class Sweep>
    void at(const Tick& tick, Sweep&& sweep) const {
        const double eta = tick.rate / std::pow(1.0 + lambd * tick.rate * double(tick.step - 1), alpha);
        const T rate = T(eta), kept = T(tick.penalised ? 1.0 - lambd * eta : 1.0);
        sweep([=](T& w, T g) {
            w = kept * w - rate * g;
            return rate;
        });
    }
};

}  // namespace fg
