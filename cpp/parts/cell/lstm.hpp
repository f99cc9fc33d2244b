#pragma once

#include "parts/cell/cell.hpp"

namespace fg {

// Gates i, f, g, o, in this order, as in torch: with p = x W + b + h' U + b',
//   c = sigmoid(p_f) c' + sigmoid(p_i) tanh(p_g)   h = sigmoid(p_o) tanh(c)
// Hochreiter & Schmidhuber (1997), "Long short-term memory", with the forget gate of Gers, Schmidhuber & Cummins
// (2000).
struct Lstm {
    static constexpr const char* name = "lstm";
    static constexpr int gates = 4, memories = 2;  // c, tanh(c)
    static constexpr bool carries = true, apart = false;

    template <class R>
    static FG_INLINE void forward(auto& u) {
        for (const int k : {0, 1, 3}) u.in[k] = sigmoid<R>(u.in[k]);
        u.in[2] = hyperbolic_tangent<R>(u.in[2]);
        u.memory[0] = multiply_add<R>(u.in[1], u.carried_before, u.in[0] * u.in[2]);
        u.memory[1] = hyperbolic_tangent<R>(u.memory[0]);
        u.h = u.in[3] * u.memory[1];
    }
    template <class R>
    static FG_INLINE void backward(auto& u) {
        using S = Scalar<R>;
        const R i = u.in[0], f = u.in[1], g = u.in[2], o = u.in[3], bent = u.memory[1];
        const R dc = u.dcarry + u.dh * o * (S(1) - bent * bent);
        u.in[0] = dc * g * i * (S(1) - i);
        u.in[1] = dc * u.carried_before * f * (S(1) - f);
        u.in[2] = dc * i * (S(1) - g * g);
        u.in[3] = u.dh * bent * o * (S(1) - o);
        u.dcarry = dc * f;
        u.dh = zero<R>();
    }
};

}  // namespace fg
