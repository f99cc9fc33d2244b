#pragma once

#include "parts/cell/cell.hpp"

namespace fg {

// Gates r, z, n, in this order, as in torch: with p = x W + b and q = h' U + b',
//   r = sigmoid(p_r + q_r)   z = sigmoid(p_z + q_z)   n = tanh(p_n + r q_n)   h = (1 - z) n + z h'
// Cho et al. (2014), "Learning phrase representations using RNN encoder-decoder"; the reset gate acts after the product
// (version 1 of the paper; cuDNN and torch have it so, too).
struct Gru {
    static constexpr const char* name = "gru";
    static constexpr int gates = 3, memories = 1;
    static constexpr bool carries = false, apart = true;

    template <class R>
    static FG_INLINE void forward(auto& u) {
        const R r = sigmoid<R>(u.in[0] + u.apart[0]), z = sigmoid<R>(u.in[1] + u.apart[1]);
        const R n = hyperbolic_tangent<R>(u.in[2] + r * u.apart[2]);
        u.in[0] = r;
        u.in[1] = z;
        u.in[2] = n;
        u.memory[0] = u.apart[2];
        u.h = n + z * (u.h_before - n);
    }
    template <class R>
    static FG_INLINE void backward(auto& u) {
        using S = Scalar<R>;
        const R r = u.in[0], z = u.in[1], n = u.in[2];
        const R dn = u.dh * (S(1) - z) * (S(1) - n * n);
        u.in[0] = u.apart[0] = dn * u.memory[0] * r * (S(1) - r);
        u.in[1] = u.apart[1] = u.dh * (u.h_before - n) * z * (S(1) - z);
        u.in[2] = dn;
        u.apart[2] = dn * r;
        u.dh = u.dh * z;
    }
};

}  // namespace fg
