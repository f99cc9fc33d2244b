#pragma once

#include "parts/rule/tick.hpp"

namespace fg {

// v <- alpha v + (1 - alpha) g^2,  w <- w - rate g / (sqrt(v) + epsilon). Tieleman & Hinton (2012).
// centered: the root is of v - a^2 with a the mean of gradients, the variance rather than the square: Graves (2013). In
// floating point that difference is known no better than to an ulp of v, which is the least that is taken; below zero,
// torch's weights become NaN.
// momentum: m <- momentum m + g / (sqrt(v) + epsilon),  w <- w - rate m.
struct Rmsprop {
    static constexpr const char* name = "rmsprop";
    static constexpr const char* doc = "the gradient over its root mean square, with momentum where wanted";
    double alpha = 0.99, epsilon = 1e-8, momentum = 0.0, centered = 0.0;
    static constexpr auto fields() {
        return std::tuple{
            Field<Rmsprop>{"alpha", &Rmsprop::alpha, 0.0, "decay of the mean of squares", 1.0, Ends::open_high},
            Field<Rmsprop>{"epsilon", &Rmsprop::epsilon, 0.0, "added to the root"},
            Field<Rmsprop>{"momentum", &Rmsprop::momentum, 0.0, "share of the last step that is kept", 1.0,
                           Ends::open_high},
            Field<Rmsprop>{"centered", &Rmsprop::centered, 0.0, "whether the mean is taken off", 1.0}};
    }
    int slots() const { return 1 + (centered != 0.0) + (momentum != 0.0); }

    template <class T, class Sweep>
    void at(const Tick& tick, Sweep&& sweep) const {
        const T rate = T(tick.rate), lasting = T(tick.rate / (1.0 - momentum)), again = T(momentum);
        const T keep = T(alpha), add = T(1.0 - alpha), eps = beside_root<T>(epsilon);
        const auto inverse = [=](T g, T& v) {
            v = keep * v + add * g * g;
            return T(1) / (std::sqrt(v) + eps);
        };
        const auto central = [=](T g, T& v, T& a) {
            v = keep * v + add * g * g;
            a = toward(a, g, add);
            const T variance = v - a * a, least = v * std::numeric_limits<T>::epsilon();
            return T(1) / (std::sqrt(variance > least ? variance : least) + eps);
        };
        const auto move = [=](T& w, T g, T by) {
            w -= rate * g * by;
            return rate * by;
        };
        const auto roll = [=](T& w, T g, T by, T& m) {
            m = again * m + g * by;
            w -= rate * m;
            return lasting * by;
        };
        if (centered != 0.0 && momentum != 0.0)
            return sweep([=](T& w, T g, T& v, T& a, T& m) { return roll(w, g, central(g, v, a), m); });
        if (centered != 0.0) return sweep([=](T& w, T g, T& v, T& a) { return move(w, g, central(g, v, a)); });
        if (momentum != 0.0) return sweep([=](T& w, T g, T& v, T& m) { return roll(w, g, inverse(g, v), m); });
        sweep([=](T& w, T g, T& v) { return move(w, g, inverse(g, v)); });
    }
};

}  // namespace fg
