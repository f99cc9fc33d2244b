// What an activation says: what a neuron makes of its input x.
//
// An activation is a struct with
//   name, doc     how Python and the documentation know it
//   from_output   whether the slope can be told from the output alone; then the input need not be kept
//   keeps_order   (not all have it) that it never falls, is flat only where its slope is 0, and has `from_output`: then
//                 it may act behind a max-pooling
//   fields()      a tuple of Field, its parameters
//   at(x)         the output
//   slope(v)      its derivative, where v is the output if from_output, else the input
// `at` and `slope` are written for a pack R of floats or doubles (core/pack.hpp). At a kink the slope is
// scikit-learn's and torch's, which is the one from the left (at 3, hard_swish's is the one from the right).
#pragma once

#include "core/math.hpp"
#include "core/part.hpp"

namespace fg {

// 1 / (1 + e^-x)
template <class R>
FG_INLINE R sigmoid(R x) {
    const auto [over, under] = exp_minus<R>(x);
    return under / (over + under);
}

// Up to here e^-|x| is a normal number. Beyond, exp_minus stays where it is, and what multiplies by x would go wrong.
template <class R>
inline constexpr double range_end = sizeof(Scalar<R>) == 8 ? 708.0 : 87.0;

template <class R>
FG_INLINE R within_range(R x) {
    return smaller<R>(range_end<R>, larger<R>(-range_end<R>, x));
}

// Near zero a continued fraction (Lambert 1770; its ninth convergent, error below 1e-20 for |x| < 0.55), else by the
// exponential.
template <class R>
FG_INLINE R hyperbolic_tangent(R x) {
    using S = Scalar<R>;
    const R z = x * x;
    const R over9 = S(34459425) + z * (S(4729725) + z * (S(135135) + z * (S(990) + z)));
    const R under9 = S(34459425) + z * (S(16216200) + z * (S(945945) + z * (S(13860) + z * S(45))));
    const R near = x * (over9 / under9);
    const R size = absolute<R>(x);
    const auto [over, under] = exp_minus<R>(size + size);
    const R far = with_sign<R>((under - over) / (under + over), x);
    return select<R>(less<R>(size, S(0.55)), near, far);
}

// e^x - 1 for x <= 0, without cancellation
template <class R>
FG_INLINE R exp_less_one(R x) {
    const R t = hyperbolic_tangent<R>(x * Scalar<R>(0.5));
    return (t + t) / (Scalar<R>(1) - t);
}

}  // namespace fg
