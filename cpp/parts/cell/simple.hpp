#pragma once

#include "parts/cell/cell.hpp"

namespace fg {

// h = tanh(x W + h' U + b). Elman (1990), "Finding structure in time".
struct SimpleTanh {
    static constexpr const char* name = "rnn_tanh";
    static constexpr int gates = 1, memories = 0;
    static constexpr bool carries = false, apart = false;

    template <class R>
    static FG_INLINE void forward(auto& u) {
        u.in[0] = u.h = hyperbolic_tangent<R>(u.in[0]);
    }
    template <class R>
    static FG_INLINE void backward(auto& u) {
        u.in[0] = u.dh * (Scalar<R>(1) - u.in[0] * u.in[0]);
        u.dh = zero<R>();
    }
};

// The same with max(0, .). Le, Jaitly & Hinton (2015), "A simple way to initialize recurrent networks of rectified
// linear units".
struct SimpleRelu {
    static constexpr const char* name = "rnn_relu";
    static constexpr int gates = 1, memories = 0;
    static constexpr bool carries = false, apart = false;

    template <class R>
    static FG_INLINE void forward(auto& u) {
        u.in[0] = u.h = larger<R>(0.0, u.in[0]);
    }
    template <class R>
    static FG_INLINE void backward(auto& u) {
        u.in[0] = select<R>(equal<R>(u.in[0], 0), 0, u.dh);
        u.dh = zero<R>();
    }
};

}  // namespace fg
