#pragma once

#include "parts/loss/point.hpp"

namespace fg {

// q (y - p) for y > p, else (1 - q) (p - y): the pinball loss, least at the q-quantile of y. Koenker & Bassett (1978),
// "Regression quantiles". At the kink the slope is 0.
struct Quantile {
    static constexpr const char* name = "quantile";
    static constexpr const char* doc = "q (y - p) for y > p, else (1 - q) (p - y): regression on the quantile q";
    static constexpr double negative = -1.0;
    static constexpr bool bounded = true;
    static constexpr double curvature = 0.0;
    static constexpr double jump = 1.0;
    double quantile = 0.5;
    static constexpr auto fields() {
        return std::tuple{
            Field<Quantile>{"quantile", &Quantile::quantile, 0.0, "the quantile to predict", 1.0, Ends::open}};
    }

    template <class R>
    FG_INLINE Point<R> at(R y, R p) const {
        const R r = p - y, slope = select<R>(less<R>(r, 0), -quantile, 1.0 - quantile);
        return {slope * r, select<R>(equal<R>(r, 0), 0, slope)};
    }
    template <class R>
    FG_INLINE Kinks<R, 1> kinks(R y) const {
        return {all<R>(0.5 - quantile), {y}};
    }
};

}  // namespace fg
