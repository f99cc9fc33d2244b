#pragma once

#include "parts/rule/tick.hpp"

namespace fg {

// m <- momentum m + (1 - dampening) g (m = g in the first step);  w <- w - rate m,  or with nesterov
// w <- w - rate (g + momentum m). Polyak (1964); Sutskever et al. (2013). torch's form: the rate stands outside m. With
// rate_inside m gathers rate times g, as in Sutskever's paper and in scikit-learn; that differs where the rate changes.
struct Sgd {
    static constexpr const char* name = "sgd";
    static constexpr const char* doc = "gradient descent, with momentum (heavy ball) or Nesterov's momentum";
    double momentum = 0.0, dampening = 0.0, nesterov = 0.0, rate_inside = 0.0;
    static constexpr auto fields() {
        return std::tuple{
            Field<Sgd>{"momentum", &Sgd::momentum, 0.0, "share of the last step that is kept", 1.0, Ends::open_high},
            Field<Sgd>{"dampening", &Sgd::dampening, 0.0, "share of the gradient that momentum leaves out", 1.0,
                       Ends::open_high},
            Field<Sgd>{"nesterov", &Sgd::nesterov, 0.0, "whether the gradient is added once more", 1.0},
            Field<Sgd>{"rate_inside", &Sgd::rate_inside, 0.0, "whether momentum gathers steps, not gradients", 1.0}};
    }
    int slots() const { return momentum == 0.0 ? 0 : 1; }
    bool plain() const { return momentum == 0.0; }

    template <class T, class Sweep>
    void at(const Tick& tick, Sweep&& sweep) const {
        const T rate = T(tick.rate);
        if (momentum == 0.0)
            return sweep([=](T& w, T g) {
                w -= rate * g;
                return rate;
            });
        const T keep = T(tick.step == 1 ? 0.0 : momentum), add = T(tick.step == 1 ? 1.0 : 1.0 - dampening);
        const double lasting = (1.0 - dampening) / (1.0 - momentum);
        const T ahead = T(momentum);
        const T inside = T(rate_inside != 0.0 ? tick.rate : 1.0), outside = T(rate_inside != 0.0 ? 1.0 : tick.rate);
        if (nesterov != 0.0) {
            const T effective_rate = T(tick.rate * (1.0 + momentum * lasting));
            return sweep([=](T& w, T g, T& m) {
                g *= inside;
                m = keep * m + add * g;
                w -= outside * (g + ahead * m);
                return effective_rate;
            });
        }
        const T effective_rate = T(tick.rate * lasting);
        sweep([=](T& w, T g, T& m) {
            m = keep * m + add * (inside * g);
            w -= outside * m;
            return effective_rate;
        });
    }
};

}  // namespace fg
