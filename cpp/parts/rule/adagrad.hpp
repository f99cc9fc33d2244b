#pragma once

#include "parts/rule/tick.hpp"

namespace fg {

// h <- h + g^2,  w <- w - rate / (1 + lr_decay (t - 1)) g / (sqrt(h + initial_accumulator) + epsilon). Duchi, Hazan &
// Singer (2011). The initial accumulator stands beside h, so that h may wait for its first gradient (sparse data).
struct Adagrad {
    static constexpr const char* name = "adagrad";
    static constexpr const char* doc = "steps that shrink with the root of all squared gradients so far";
    static constexpr bool flow = true;
    double lr_decay = 0.0, epsilon = 1e-10, initial_accumulator = 0.0;
    static constexpr auto fields() {
        return std::tuple{Field<Adagrad>{"lr_decay", &Adagrad::lr_decay, 0.0, "how fast the rate falls with the step"},
                          Field<Adagrad>{"epsilon", &Adagrad::epsilon, 0.0, "added to the root"},
                          Field<Adagrad>{"initial_accumulator", &Adagrad::initial_accumulator, 0.0,
                                         "where the sum of squares starts"}};
    }
    int slots() const { return 1; }
    double time(const Tick& tick) const { return tick.rate / (1.0 + lr_decay * double(tick.step - 1)); }
    template <class T>
    T pace(T h) const {
        return T(1) / (std::sqrt(h + T(initial_accumulator)) + beside_root<T>(epsilon));
    }

    template <class T, class Sweep>
    void at(const Tick& tick, Sweep&& sweep) const {
        const T rate = T(time(tick)), start = T(initial_accumulator), eps = beside_root<T>(epsilon);
        sweep([=](T& w, T g, T& h) {
            h += g * g;
            const T effective_rate = rate / (std::sqrt(h + start) + eps);
            w -= effective_rate * g;
            return effective_rate;
        });
    }
};

}  // namespace fg
