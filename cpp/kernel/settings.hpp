// What the sequential engine is told about its steps.
#pragma once

#include "kernel/schedule.hpp"

namespace fg {

struct Settings {
    Schedule schedule;
    double l2 = 0.0;               // alpha (1 - l1_ratio)
    double l1 = 0.0;               // alpha l1_ratio
    double intercept_decay = 1.0;  // factor on steps of the intercept; 0 keeps it fixed
    double offset_rate = 0.0;      // one-class SVM: nu, the slope of the objective in the intercept
    double average_from = 0.0;     // first step that is averaged; 0: no averaging
};

}  // namespace fg
