// What a loss says about one sample: its value and its slope in the raw prediction p.
//
// A loss is a struct with
//   name, doc          how Python and the documentation know it
//   negative           how the negative class is coded (the positive class is 1)
//   fields()           a tuple of Field, its hyper-parameters
//   at(y, p)           the Point for target y and prediction p, both double
// Slopes are with respect to p; where the loss has a kink, the comment says which one-sided slope is taken.
#pragma once

#include "core/part.hpp"

namespace fg {

struct Point {
    double value, slope;
};

}  // namespace fg
