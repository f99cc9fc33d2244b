// The sweep: gradient, clipping, penalty, update rule and average in one pass over flat arrays.
//
//   g = scale * (sum of the partial gradients), cut at +-limit
//   g += l2 w                            L2, and weight decay that is coupled
//   w *= 1 - rate decay                  decoupled decay
//   rule(w, g, slots)
//   soft threshold by l1 times the effective rate of the coordinate; max(w, 0) if positive
//   average += (w - average) * weight
//
// A rule may step in the data's own units: it then sees u = unit w and pull g in place of w and g (penalties stay those
// of w), and a rate of u is pull / unit times as large for w.
//
// Any range of the arrays can be swept by itself, so threads share a step by cutting it, and results do not depend on
// how it is cut: all coordinates go through the same vector instructions, the last ones of a range in a line aside.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <type_traits>
#include <utility>

#include "core/base.hpp"
#include "core/buffer.hpp"
#include "core/denormals.hpp"
#include "core/math.hpp"
#include "kernel/clip.hpp"
#include "kernel/penalty.hpp"
#include "parts/rule/tick.hpp"

namespace fg {

// The gradient as a sum of `parts` arrays that lie `stride` numbers apart.
template <class T>
struct Gradient {
    const T* g = nullptr;
    Index parts = 1, stride = 0;
    double scale = 1.0;
    double limit = no_limit;

    bool plain() const { return parts == 1 && scale == 1.0 && limit == no_limit; }

    // out[0..n) = entries begin, ..., begin + n - 1; summed in the order of the parts.
    void collect(Index begin, Index n, T* FG_RESTRICT out) const {
        const T* FG_RESTRICT first = g + begin;
        for (Index i = 0; i < n; ++i) out[i] = first[i];
        for (Index p = 1; p < parts; ++p) {
            const T* FG_RESTRICT part = g + p * stride + begin;
            for (Index i = 0; i < n; ++i) out[i] += part[i];
        }
        const T factor = T(scale);
        for (Index i = 0; i < n; ++i) out[i] *= factor;
        if (limit == no_limit) return;
        const T high = T(limit);
        for (Index i = 0; i < n; ++i) out[i] = out[i] > high ? high : out[i] < -high ? -high : out[i];
    }
};

// Weights and everything that moves with them.
template <class T>
struct Flat {
    static constexpr int most_slots = 3;
    T* w = nullptr;
    T* slot[most_slots] = {};
    T* average = nullptr;  // null: none
    double average_weight = 0.0;
    // The units of the steps; null: 1. The gradient of the loss is cut at +-limit, in units.
    const T* unit = nullptr;
    const T* pull = nullptr;
    double limit = no_limit;
    // Rows of slots and units lie so many times as far apart as those of weights: 1, or more where they lie side by
    // side, so that a row has all of its own in one line of memory. Then only a lazy rule moves them, row by row.
    Index apart = 1;

    // The same, where the numbers of a row are found at its place among the weights, which is `at`.
    Flat beside(Index at) const {
        Flat moved = *this;
        const Index further = at * (apart - 1);
        for (T*& first : moved.slot) first = first ? first + further : nullptr;
        moved.unit = unit ? unit + further : nullptr;
        moved.pull = pull ? pull + further : nullptr;
        return moved;
    }
};

template <class T>
FG_INLINE T soft(T w, T threshold) {
    const T size = std::fabs(w) - threshold;
    return size <= T(0) ? T(0) : std::copysign(size, w);  // NaN stays NaN
}

// mean += share (w - mean); with share 1 exactly w.
template <class T>
FG_INLINE void follow(const T* FG_RESTRICT w, T share, T* FG_RESTRICT mean, Index n) {
    if (share == T(1)) {
        std::copy_n(w, n, mean);
    } else {
        for (Index i = 0; i < n; ++i) mean[i] += share * (w[i] - mean[i]);
    }
}

// The penalty's own flow over time r: dw/dr = -(l2 w + l1 sign w), which ends at zero.
template <class T>
FG_INLINE T flow(T w, double r, double l1, double l2) {
    const double x = l2 * r;
    const auto [over, under] = exp_minus(x);
    const double kept = over / under;
    // l1 (1 - kept) / l2; where kept is nearly one, by its series
    const double series = r * (1.0 - x * (1.0 / 2) * (1.0 - x * (1.0 / 3) * (1.0 - x * (1.0 / 4))));
    const double taken = x < 1e-3 ? l1 * series : (l1 / l2) * (1.0 - kept);
    const double size = std::fabs(double(w)) * kept - taken;
    return size <= 0.0 ? T(0) : T(std::copysign(size, double(w)));
}

namespace detail {

template <class F, class T, int Slots>
inline constexpr bool takes = []<std::size_t... S>(std::index_sequence<S...>) {
    return std::is_invocable_v<const F&, T&, T, decltype((void)S, std::declval<T&>())...>;
}(std::make_index_sequence<Slots>{});
template <class F, class T>
inline constexpr bool takes_units = std::is_invocable_v<const F&, T&, T, T&, T&, T, T>;

// How many slots a rule's function takes.
template <class F, class T>
inline constexpr int arity = takes<F, T, 0>      ? 0
                             : takes<F, T, 1>    ? 1
                             : takes<F, T, 2>    ? 2
                             : takes_units<F, T> ? 2
                                                 : 3;

// Moves n coordinates, and those after them that belong to the same line. `after` says what happens before and after
// the rule to coordinate i.
template <class T, int Slots, class F, class After>
FG_INLINE void move_all(const F f, const T* FG_RESTRICT g, T* FG_RESTRICT w, const std::array<T*, 3>& slot, Index n,
                        const After after) {
    T* FG_RESTRICT const a = slot[0];
    T* FG_RESTRICT const b = slot[1];
    T* FG_RESTRICT const c = slot[2];
    const Index whole = whole_lines<T>(n);
#pragma omp simd
    for (Index i = 0; i < whole; ++i) {
        T v = w[i];
        const T gradient = after.before(i, v, g[i]);
        T effective_rate;
        if constexpr (Slots == 0) {
            effective_rate = f(v, gradient);
        } else if constexpr (Slots == 1) {
            T p = a[i];
            effective_rate = f(v, gradient, p);
            a[i] = p;
        } else if constexpr (Slots == 2) {
            T p = a[i], q = b[i];
            if constexpr (takes_units<F, T>) {
                effective_rate = f(v, gradient, p, q, after.pull_of(i), after.unit_of(i));
            } else {
                effective_rate = f(v, gradient, p, q);
            }
            a[i] = p;
            b[i] = q;
        } else {
            T p = a[i], q = b[i], r = c[i];
            effective_rate = f(v, gradient, p, q, r);
            a[i] = p;
            b[i] = q;
            c[i] = r;
        }
        w[i] = after(i, v, effective_rate);
    }
}

// What rules see that do not step in units.
template <class T>
struct Plain {
    FG_INLINE T pull_of(Index) const { return T(1); }
    FG_INLINE T unit_of(Index) const { return T(1); }
};

template <class T>
struct Nothing : Plain<T> {
    FG_INLINE T before(Index, T&, T g) const { return g; }
    FG_INLINE T operator()(Index, T w, T) const { return w; }
};

template <class T, bool Signs>
struct Penalised : Plain<T> {
    T l2, kept, l1, lowest;
    Penalised(T l2, T kept, T l1, T lowest) : l2(l2), kept(kept), l1(l1), lowest(lowest) {}
    FG_INLINE T before(Index, T& w, T g) const {
        g += l2 * w;
        if constexpr (Signs) g += w > T(0) ? l1 : w < T(0) ? -l1 : T(0);
        w *= kept;
        return g;
    }
    FG_INLINE T operator()(Index, T w, T effective_rate) const {
        if constexpr (!Signs) w = soft(w, l1 * effective_rate);
        return w < lowest ? lowest : w;
    }
};

template <class T>
struct Flowing : Plain<T> {
    double l1, l2;
    T coupled, kept, lowest;
    Flowing(double l1, double l2, T coupled, T kept, T lowest)
        : l1(l1), l2(l2), coupled(coupled), kept(kept), lowest(lowest) {}
    FG_INLINE T before(Index, T& w, T g) const {
        g += coupled * w;
        w *= kept;
        return g;
    }
    FG_INLINE T operator()(Index, T w, T effective_rate) const {
        w = flow(w, double(effective_rate), l1, l2);
        return w < lowest ? lowest : w;
    }
};

// Steps in units, with the penalty of `Inner`. A rule that is `Closed` keeps to w and g, and is told pull and unit.
template <class T, bool Closed, class Inner>
struct InUnits {
    Inner inner;
    const T* FG_RESTRICT unit;
    const T* FG_RESTRICT pull;
    T limit;
    FG_INLINE T pull_of(Index i) const { return pull[i]; }
    FG_INLINE T unit_of(Index i) const { return unit[i]; }
    FG_INLINE T before(Index i, T& w, T g) const {
        g *= pull[i];
        g = g > limit ? limit : g < -limit ? -limit : g;
        const T penalty = inner.before(i, w, T(0));
        if constexpr (Closed) return g / pull[i] + penalty;
        w *= unit[i];
        return g + pull[i] * penalty;
    }
    FG_INLINE T operator()(Index i, T w, T effective_rate) const {
        if constexpr (Closed) return inner(i, w, effective_rate);
        return inner(i, w / unit[i], effective_rate * (pull[i] / unit[i]));
    }
};

}  // namespace detail

// What a rule declares beyond the necessary.
template <class Rule>
inline constexpr bool flows = requires { requires Rule::flow; };
template <class Rule>
inline constexpr bool closes = requires { requires Rule::closed; };
template <class Rule>
inline constexpr bool sees_signs = requires { requires Rule::signs; };
template <class Rule>
inline constexpr bool answers = requires { Rule::answer; };

// Calls act(after) with what the penalty does before and after the rule; in units, if there are some for the
// coordinates: unit[0], pull[0] are those of the first.
template <class T, class Rule, class F>
FG_INLINE void with_penalty(const Tick& tick, const Penalty& penalty, const Flat<T>& units, F&& act) {
    const T lowest = penalty.positive ? T(0) : -std::numeric_limits<T>::infinity();
    const T kept = T(1.0 - tick.rate * penalty.decay), coupled = T(penalty.coupled);
    const auto as_asked = [&](const auto& inner) FG_INLINED {
        using Inner = std::remove_cvref_t<decltype(inner)>;
        if (units.unit) {
            act(detail::InUnits<T, closes<Rule>, Inner>{inner, units.unit, units.pull, T(units.limit)});
        } else {
            act(inner);
        }
    };
    if (penalty.none() && !units.unit) {
        act(detail::Nothing<T>{});
    } else if constexpr (closes<Rule>) {
        as_asked(detail::Penalised<T, false>{coupled, kept, T(0), lowest});
    } else if (flows<Rule> && penalty.l2 != 0.0) {
        if constexpr (flows<Rule>) as_asked(detail::Flowing<T>{penalty.l1, penalty.l2, coupled, kept, lowest});
    } else {
        as_asked(detail::Penalised<T, sees_signs<Rule>>{T(penalty.l2 + penalty.coupled), kept, T(penalty.l1), lowest});
    }
}

// The tick as the rule wants it.
template <class Rule>
Tick tick_of(Tick tick, const Penalty& penalty) {
    if constexpr (closes<Rule>) {
        tick.l1 = penalty.l1;
        tick.l2 = penalty.l2;
        tick.positive = penalty.positive;
    }
    return tick;
}

// One step of coordinates begin, ..., end - 1.
template <class T, class Rule>
void sweep(const Rule& rule, const Tick& tick, const Penalty& penalty, const Gradient<T>& gradient, const Flat<T>& flat,
           Index begin, Index end) {
    constexpr Index block = 512;
    const FlushDenormals flush;
    rule.template at<T>(tick_of<Rule>(tick, penalty), [&](const auto& f) {
        constexpr int slots = detail::arity<std::remove_cvref_t<decltype(f)>, T>;
        alignas(64) T sum[block], aside[1 + Flat<T>::most_slots][cache_line<T>];
        alignas(64) T unit[cache_line<T>], pull[cache_line<T>];  // of the last ones, beside them
        std::fill_n(unit, cache_line<T>, T(1));
        std::fill_n(pull, cache_line<T>, T(1));
        for (Index i = begin, n; i < end; i += n) {
            n = std::min(block, end - i);
            const bool whole = n >= cache_line<T>;
            if (whole) n -= n % cache_line<T>;
            const T* g = gradient.g + i;
            if (!whole || !gradient.plain()) {
                std::fill_n(sum, cache_line<T>, T(0));
                gradient.collect(i, n, sum);
                g = sum;
            }
            T* const w = flat.w + i;
            std::array<T*, 1 + Flat<T>::most_slots> far{w}, near{};
            for (int s = 0; s < slots; ++s) far[std::size_t(s) + 1] = flat.slot[s] + i;
            for (std::size_t k = 0; k <= slots; ++k) near[k] = whole ? far[k] : std::copy_n(far[k], n, aside[k]) - n;
            Flat<T> units = flat;
            if (flat.unit) {
                units.unit = whole ? flat.unit + i : std::copy_n(flat.unit + i, n, unit) - n;
                units.pull = whole ? flat.pull + i : std::copy_n(flat.pull + i, n, pull) - n;
            }
            with_penalty<T, Rule>(tick, penalty, units, [&](const auto& after) {
                detail::move_all<T, slots>(f, g, near[0], {near[1], near[2], near[3]}, n, after);
            });
            for (std::size_t k = 0; !whole && k <= slots; ++k) std::copy_n(aside[k], n, far[k]);
            if constexpr (answers<Rule>) follow(w, T(rule.share(tick)), flat.slot[Rule::answer] + i, n);
            if (flat.average) follow(w, T(flat.average_weight), flat.average + i, n);
        }
    });
}

}  // namespace fg
