#pragma once

#include "parts/rule/tick.hpp"

namespace fg {

// Follow the regularised leader, proximal: with n <- n + g^2 and eta = rate / (beta + sqrt(n))
// z <- z + g - (1 / eta - 1 / eta before) w,  w <- -(z - sign(z) L1) / (1 / eta + L2), or 0 where |z| <= L1.
// McMahan et al. (2013). L1 = l1 + t times the objective's, L2 likewise; z starts at -w / eta - l2 w - l1 sign(w), so
// that training starts from the weights given.
//
// What is kept is not z but q = -z - w / eta, the slope of the penalty at w: so the rate may change between steps (in z
// it would scale the weights), and what w is rounded by is not lost. In the data's units n gathers squares of pull g,
// and eta is pull / unit times as large.
struct Ftrl {
    static constexpr const char* name = "ftrl";
    static constexpr const char* doc = "the minimiser of all gradients so far; L1 that gives exact zeros";
    static constexpr bool closed = true;
    double beta = 1.0, l1 = 0.0, l2 = 0.0;
    static constexpr auto fields() {
        return std::tuple{Field<Ftrl>{"beta", &Ftrl::beta, 0.0, "added to the root of the sum of squares",
                                      std::numeric_limits<double>::infinity(), Ends::open_low},
                          Field<Ftrl>{"l1", &Ftrl::l1, 0.0, "L1 penalty of all steps together"},
                          Field<Ftrl>{"l2", &Ftrl::l2, 0.0, "L2 penalty of all steps together"}};
    }
    int slots() const { return 2; }

    // The penalty at a step, and the step to its minimum.
    template <class T>
    struct Total {
        T l1, l2, lowest;

        // From q less the gradient.
        FG_INLINE void settle(T& w, T& q, T inverse_eta) const {
            const T z = w * inverse_eta + q, size = std::fabs(z) - l1;  // -z of the paper
            const T next = std::copysign(size <= T(0) ? T(0) : size, z) / (inverse_eta + l2);
            w = next < lowest ? lowest : next;
            q = z - w * inverse_eta;
        }
    };
    template <class T>
    Total<T> total(const Tick& tick) const {
        const double t = double(tick.step), own = tick.penalised ? 1.0 : 0.0;
        return {T(own * l1 + t * tick.l1), T(own * l2 + t * tick.l2),
                tick.positive ? T(0) : -std::numeric_limits<T>::infinity()};
    }

    // What steps without gradient did, up to and with this one, if their rates were equal.
    template <class T>
    FG_INLINE void catch_up(const Tick& tick, T& w, T& q, T n, T pull, T unit) const {
        if (tick.rate > 0.0) total<T>(tick).settle(w, q, (T(beta) + std::sqrt(n)) / T(tick.rate) * (unit / pull));
    }

    template <class T, class Sweep>
    void at(const Tick& tick, Sweep&& sweep) const {
        const T inverse_rate = T(1.0 / tick.rate), from = T(beta);
        const auto move = [=, now = total<T>(tick)](T& w, T g, T& q, T& n, T pull, T unit) {
            n += (pull * g) * (pull * g);
            q -= g;
            const T inverse_eta = (from + std::sqrt(n)) * inverse_rate * (unit / pull);
            now.settle(w, q, inverse_eta);
            return T(1) / inverse_eta;
        };
        const auto start = [one = T(l1), two = T(l2)](T w, T& q) {
            q = two * w + (w > T(0) ? one : w < T(0) ? -one : T(0));
        };
        const bool first = tick.step == 1 && tick.penalised && (l1 != 0.0 || l2 != 0.0);
        if (tick.rate == 0.0)
            return sweep([=](T& w, T, T& q, T&, T, T) {  // 1 / eta is infinite: nothing moves
                if (first) start(w, q);
                return T(0);
            });
        if (first)
            return sweep([=](T& w, T g, T& q, T& n, T pull, T unit) {
                start(w, q);
                return move(w, g, q, n, pull, unit);
            });
        sweep(move);
    }
};

}  // namespace fg
