// What a loss says about one sample: its value and its slope in the raw prediction p.
//
// A loss is a struct with
//   name, doc          how Python and the documentation know it
//   negative           how the negative class is coded (the positive class is 1)
//   bounded            whether slopes stay small whatever the prediction; others are cut at 1e12
//   curvature          the largest second derivative in p: 0 for straight pieces (kinks aside), infinity where there is
//                      none
//   fields()           a tuple of Field, its hyper-parameters
//   at(y, p)           the Point for target y and prediction p
// and, where predictions are not p itself,
//   mean(p)            the mean of y that the raw prediction p stands for (the inverse of the link function)
// and, where the curvature is infinite, so that no rate is small enough for all steps,
//   least(y)           the smallest value that the loss has for target y, at any p: steps of single samples are cut
//   there
// and, where the loss is made of straight pieces,
//   jump               by how much the slope grows at a kink
//   kinks(y)           where the kinks are, for target y, and the mean of the slopes far to both sides
// Value and slope are exact to about 1e-13 of what they are, near zero too (in double); exp, log1p and their kin are in
// core/math.hpp. Slopes are with respect to p; where the loss has a kink, the comment says which one-sided slope is
// taken. `at` is written for a type R, a number or a pack of doubles or floats (core/pack.hpp): choices are
// select<R>(mask, a, b) with less<R>, equal<R>, ... for masks, and constants and hyper-parameters have the type
// Scalar<R>.
#pragma once

#include <limits>

#include "core/math.hpp"
#include "core/part.hpp"

namespace fg {

template <class R>
struct Point {
    R value, slope;
};

template <class R, int n>
struct Kinks {
    R middle;  // the mean of the least and the largest slope
    R place[n];
};

}  // namespace fg
