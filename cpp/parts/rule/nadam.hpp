#pragma once

#include "parts/rule/tick.hpp"

namespace fg {

// Adam with Nesterov's momentum, Dozat (2016), with mu_t = beta_1 (1 - 0.96^(t momentum_decay) / 2):
// m <- beta_1 m + (1 - beta_1) g,  v <- beta_2 v + (1 - beta_2) g^2,
// w <- w - rate [(1 - mu_t) / (1 - mu_1 ... mu_t) g + mu_t+1 / (1 - mu_1 ... mu_t+1) m] / (sqrt(v / (1 - beta_2^t)) +
// epsilon). What is carried is the product mu_1 ... mu_t.
struct Nadam {
    static constexpr const char* name = "nadam";
    static constexpr const char* doc = "Adam that looks ahead, as Nesterov's momentum does";
    double beta_1 = 0.9, beta_2 = 0.999, epsilon = 1e-8, momentum_decay = 4e-3;
    static constexpr auto fields() {
        return std::tuple{
            Field<Nadam>{"beta_1", &Nadam::beta_1, 0.0, "decay of the mean of gradients", 1.0, Ends::open_high},
            Field<Nadam>{"beta_2", &Nadam::beta_2, 0.0, "decay of the mean of squares", 1.0, Ends::open_high},
            Field<Nadam>{"epsilon", &Nadam::epsilon, 0.0, "added to the root"},
            Field<Nadam>{"momentum_decay", &Nadam::momentum_decay, 0.0, "how fast momentum grows to its full size"}};
    }
    int slots() const { return 2; }
    double mu(Index step) const { return beta_1 * (1.0 - 0.5 * std::pow(0.96, double(step) * momentum_decay)); }
    double carry(const Tick& tick) const { return tick.carry * mu(tick.step); }

    template <class T, class Sweep>
    void at(const Tick& tick, Sweep&& sweep) const {
        const double t = double(tick.step), now = mu(tick.step), next = mu(tick.step + 1);
        const double share_g = (1.0 - now) / (1.0 - carry(tick)), share_m = next / (1.0 - carry(tick) * next);
        const T unbias = T(1.0 / std::sqrt(1.0 - std::pow(beta_2, t)));
        const T by_g = T(tick.rate * share_g), by_m = T(tick.rate * share_m);
        const T lasting = T(tick.rate * (share_g + share_m * (1.0 - std::pow(beta_1, t))));
        const T new_1 = T(1.0 - beta_1), keep_2 = T(beta_2), new_2 = T(1.0 - beta_2), eps = beside_root<T>(epsilon);
        sweep([=](T& w, T g, T& m, T& v) {
            m = toward(m, g, new_1);
            v = keep_2 * v + new_2 * g * g;
            const T inverse = T(1) / (std::sqrt(v) * unbias + eps);
            w -= (by_g * g + by_m * m) * inverse;
            return lasting * inverse;
        });
    }
};

}  // namespace fg
