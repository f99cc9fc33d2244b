// Learning rates of the sequential engine, as functions of the step. They do not depend on the data, so a
// block of them is computed ahead of use. (The passive-aggressive rates do depend on it: see sequential.hpp.)
#pragma once

#include <cmath>

#include "core/base.hpp"

namespace fg {

enum class Rate { constant, optimal, invscaling, adaptive, pa1, pa2 };

struct Schedule {
    Rate rate = Rate::constant;
    double eta0 = 0.01;
    double power_t = 0.5;
    double alpha = 0.0001;
    double shift = 0.0;  // "optimal": 1 / (alpha (shift + t - 1)), Bottou's heuristic t0

    // out[i] = rate at step t + i; `eta` is the current rate of the schedules that do not follow t.
    void fill(double t, double eta, int n, double* out) const {
        switch (rate) {
            case Rate::optimal:
                for (int i = 0; i < n; ++i) out[i] = 1.0 / (alpha * (shift + (t + double(i)) - 1.0));
                break;
            case Rate::invscaling:
                if (power_t == 0.25)
                    for (int i = 0; i < n; ++i) out[i] = eta0 / std::sqrt(std::sqrt(t + double(i)));
                else if (power_t == 0.5)
                    for (int i = 0; i < n; ++i) out[i] = eta0 / std::sqrt(t + double(i));
                else
                    for (int i = 0; i < n; ++i) out[i] = eta0 / std::pow(t + double(i), power_t);
                break;
            default:
                for (int i = 0; i < n; ++i) out[i] = eta;
        }
    }
};

}  // namespace fg
