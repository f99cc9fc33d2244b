#pragma once

#include "parts/rule/tick.hpp"

namespace fg {

// m <- beta_1 m + (1 - beta_1) g,  v <- beta_2 v + (1 - beta_2) g^2,
// w <- w - rate (m / (1 - beta_1^t)) / (sqrt(v / (1 - beta_2^t)) + epsilon). Kingma & Ba (2015), algorithm 1; epsilon
// is added after the correction of v, as in torch; with epsilon_hat before it, as at the end of their section 2 and in
// scikit-learn. With amsgrad v is its own maximum so far: Reddi, Kale & Kumar (2018).
struct Adam {
    static constexpr const char* name = "adam";
    static constexpr const char* doc = "steps of the size of the rate, by running means of the gradient and its square";
    double beta_1 = 0.9, beta_2 = 0.999, epsilon = 1e-8, amsgrad = 0.0, epsilon_hat = 0.0;
    static constexpr auto fields() {
        return std::tuple{
            Field<Adam>{"beta_1", &Adam::beta_1, 0.0, "decay of the mean of gradients", 1.0, Ends::open_high},
            Field<Adam>{"beta_2", &Adam::beta_2, 0.0, "decay of the mean of squares", 1.0, Ends::open_high},
            Field<Adam>{"epsilon", &Adam::epsilon, 0.0, "added to the root"},
            Field<Adam>{"amsgrad", &Adam::amsgrad, 0.0, "whether to divide by the largest mean so far", 1.0},
            Field<Adam>{"epsilon_hat", &Adam::epsilon_hat, 0.0, "whether epsilon is added before the correction", 1.0}};
    }
    int slots() const { return amsgrad != 0.0 ? 3 : 2; }

    template <class T, class Sweep>
    void at(const Tick& tick, Sweep&& sweep) const {
        const double t = double(tick.step);
        const double correction = 1.0 / std::sqrt(1.0 - std::pow(beta_2, t));
        const T unbias = T(correction);
        const T rate = T(tick.rate), step = T(tick.rate / (1.0 - std::pow(beta_1, t)));
        const T new_1 = T(1.0 - beta_1), keep_2 = T(beta_2), new_2 = T(1.0 - beta_2),
                eps = beside_root<T>(epsilon_hat != 0.0 ? epsilon * correction : epsilon);
        if (amsgrad != 0.0)
            return sweep([=](T& w, T g, T& m, T& v, T& top) {
                m = toward(m, g, new_1);
                v = keep_2 * v + new_2 * g * g;
                top = v > top ? v : top;
                const T inverse = T(1) / (std::sqrt(top) * unbias + eps);
                w -= step * m * inverse;
                return rate * inverse;
            });
        sweep([=](T& w, T g, T& m, T& v) {
            m = toward(m, g, new_1);
            v = keep_2 * v + new_2 * g * g;
            const T inverse = T(1) / (std::sqrt(v) * unbias + eps);
            w -= step * m * inverse;
            return rate * inverse;
        });
    }
};

}  // namespace fg
