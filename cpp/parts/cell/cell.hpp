// What a cell says: what a recurrent layer does at a time step, one hidden unit at a time.
//
// A cell is a struct with
//   name          how nodes name it
//   gates         products of a unit with the input and with the state before
//   memories      numbers of a unit that it wants to find again on the way back; the first may be a state of its own
//   carries       whether that is so; it is handed on from step to step, beside the output
//   apart         whether the products with the state must not simply be added to those with the input: then their
//                 slopes are arrays of their own
//   forward(u)    from u.in (u.apart) and the states before to u.in (now what the way back needs), u.memory and u.h
//   backward(u)   from u.dh and u.dcarry to the slopes u.in (u.apart) of the products, and to what of u.dh and u.dcarry
//                 reaches the step before directly, not by way of products
// `forward` and `backward` are written for packs R of units.
#pragma once

#include "core/math.hpp"
#include "parts/activation/activation.hpp"

namespace fg {

// One unit, or a register of them, at a time step.
template <class R, int gates, int memories>
struct Unit {
    R in[gates];         // products with the input, bias included; then the gates; then their slopes
    R apart[gates];      // products with the state before, where they are apart; then their slopes
    R memory[memories];  // see above
    R h_before, h;       // states
    R carried_before;    // of memory[0]
    R dh, dcarry;        // slopes of the states
};

}  // namespace fg
