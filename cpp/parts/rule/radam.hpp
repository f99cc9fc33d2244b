#pragma once

#include "parts/rule/tick.hpp"

namespace fg {

// Adam's m and v; with r = 2 / (1 - beta_2) - 1 and r_t = r - 2 t beta_2^t / (1 - beta_2^t)
// w <- w - rate / (1 - beta_1^t) m                                                        while r_t <= 5, then
// w <- w - rate / (1 - beta_1^t) m sqrt(1 - beta_2^t) / (sqrt(v) + epsilon) * sqrt((r_t - 4) (r_t - 2) r / ((r - 4) (r
// - 2) r_t)). Liu et al. (2020). epsilon is added before the correction of v, and the threshold is 5, as in torch.
struct Radam {
    static constexpr const char* name = "radam";
    static constexpr const char* doc = "Adam that waits with dividing until its mean of squares can be trusted";
    double beta_1 = 0.9, beta_2 = 0.999, epsilon = 1e-8;
    static constexpr auto fields() {
        return std::tuple{
            Field<Radam>{"beta_1", &Radam::beta_1, 0.0, "decay of the mean of gradients", 1.0, Ends::open_high},
            Field<Radam>{"beta_2", &Radam::beta_2, 0.0, "decay of the mean of squares", 1.0, Ends::open_high},
            Field<Radam>{"epsilon", &Radam::epsilon, 0.0, "added to the root"}};
    }
    int slots() const { return 2; }

    template <class T, class Sweep>
    void at(const Tick& tick, Sweep&& sweep) const {
        const double t = double(tick.step), power = std::pow(beta_2, t), unbias = 1.0 / (1.0 - std::pow(beta_1, t));
        const double all = 2.0 / (1.0 - beta_2) - 1.0, seen = all - 2.0 * t * power / (1.0 - power);
        const T new_1 = T(1.0 - beta_1), keep_2 = T(beta_2), new_2 = T(1.0 - beta_2), eps = beside_root<T>(epsilon);
        if (seen <= 5.0) {
            const T rate = T(tick.rate), step = T(tick.rate * unbias);
            return sweep([=](T& w, T g, T& m, T& v) {
                m = toward(m, g, new_1);
                v = keep_2 * v + new_2 * g * g;
                w -= step * m;
                return rate;
            });
        }
        const double certain = (seen - 4.0) * (seen - 2.0) * all / ((all - 4.0) * (all - 2.0) * seen);
        const double shrunk = tick.rate * std::sqrt(certain * (1.0 - power));
        const T rate = T(shrunk), step = T(shrunk * unbias);
        sweep([=](T& w, T g, T& m, T& v) {
            m = toward(m, g, new_1);
            v = keep_2 * v + new_2 * g * g;
            const T inverse = T(1) / (std::sqrt(v) + eps);
            w -= step * m * inverse;
            return rate * inverse;
        });
    }
};

}  // namespace fg
