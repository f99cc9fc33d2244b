// Sparse data: steps for the features that a batch touches. The others wait, and are brought up to date before they are
// used again, so that a batch costs O(non-zeros). What they missed is the penalty alone, and for these rules many steps
// of it are one:
//   plain SGD   w <- soft((1 - rate l2) w, rate l1). With P the product of the factors, w / P only meets thresholds,
//               rate l1 / P, and those add up.
//   flowing     (Adagrad) the flow over the sum of the times
//   closed      (FTRL) one step without gradient makes up for many, if their rates were equal
// Other rules would move moments too. If they are asked to be lazy, coordinates that a batch does not touch stand
// still, weights and moments, and have missed nothing.
#pragma once

#include <vector>

#include "core/denormals.hpp"
#include "core/pack.hpp"
#include "kernel/sweep.hpp"

namespace fg {

// Whether coordinates without gradient can wait for their penalty, so that training is as if they had not.
template <class Rule>
bool can_wait(const Rule& rule) {
    if constexpr (flows<Rule> || closes<Rule>) return true;
    if constexpr (requires { rule.plain(); }) return rule.plain();
    return false;
}

// The steps of an epoch so far, as those who wait will need them. Entry k is after k steps.
class Missed {
public:
    std::vector<double> product{1.0}, threshold{0.0};  // plain SGD
    std::vector<double> time{0.0};                     // flowing rules
    Tick last;                                         // closed rules

    std::uint32_t steps() const { return steps_; }

    // Forgets everything, and makes room for so many steps: no reader may see a table move.
    void clear(std::size_t steps) {
        for (auto* table : {&product, &threshold, &time}) {
            table->reserve(steps + 1);
            table->resize(1);
        }
        steps_ = 0;
    }

    template <class Rule>
    void note(const Rule& rule, const Tick& tick, const Penalty& penalty) {
        if constexpr (flows<Rule>) {
            time.push_back(time.back() + rule.time(tick));
        } else if constexpr (closes<Rule>) {
            last = tick_of<Rule>(tick, penalty);
        } else {
            product.push_back(product.back() * (1.0 - tick.rate * penalty.l2));
            threshold.push_back(threshold.back() + tick.rate * penalty.l1 / product.back());
        }
        ++steps_;
    }

    // A step in which those who wait stand still.
    void note_nothing() { ++steps_; }

    // Whether the product is about to leave the range of numbers; all features should then be brought up to date.
    bool full() const { return product.back() < 1e-200; }

private:
    std::uint32_t steps_ = 0;
};

// Coordinates `at`, ..., `at + n - 1`, last up to date after `from` steps, after `to` steps.
template <class T, class Rule>
FG_INLINE void catch_up(const Rule& rule, const Missed& missed, const Penalty& penalty, const Flat<T>& flat, Index at,
                        Index n, std::size_t from, std::size_t to) {
    if (from == to) return;
    const T lowest = penalty.positive ? T(0) : -std::numeric_limits<T>::infinity();
    const auto bounded = [=](T w) { return w < lowest ? lowest : w; };
    T* const w = flat.w;
    const auto pull = [&](Index i) { return flat.unit ? flat.pull[i] : T(1); };
    const auto unit = [&](Index i) { return flat.unit ? flat.unit[i] : T(1); };
    if constexpr (flows<Rule>) {
        const double time = missed.time[to] - missed.time[from];
        for (Index i = at; i < at + n; ++i) {
            const double pace = double(rule.pace(flat.slot[0][i]) * (pull(i) / unit(i)));
            w[i] = bounded(flow(w[i], time * pace, penalty.l1, penalty.l2));
        }
    } else if constexpr (closes<Rule>) {
        for (Index i = at; i < at + n; ++i)
            rule.catch_up(missed.last, w[i], flat.slot[0][i], flat.slot[1][i], pull(i), unit(i));
    } else {
        const double shrunk = missed.product[to] / missed.product[from];
        const T threshold = T((missed.threshold[to] - missed.threshold[from]) * missed.product[from]);
        for (Index i = at; i < at + n; ++i) w[i] = bounded(T(shrunk) * soft(w[i], threshold));
    }
}

// What a gradient is multiplied by, and where its entries are cut then.
struct Scaling {
    double factor = 1.0, limit = no_limit;
};

// One step of the features listed, each `width` coordinates, with gradients g (count, width). Whether all of them are
// finite then, weights and slots.
template <class T, class Rule>
bool sweep_some(const Rule& rule, const Tick& tick, const Penalty& penalty, const Scaling& scaling, const Flat<T>& flat,
                const T* g, const std::uint32_t* features, Index count, Index width) {
    constexpr Index block = 512;
    const FlushDenormals flush;
    const T factor = T(scaling.factor), high = T(scaling.limit);
    bool finite = true;
    // Of as many numbers as a vector has. (GCC makes a call of memcpy of a loop, even where it copies one.)
    const auto copy = [](auto vector, const T* from, T* to)
                          FG_INLINED { store<decltype(vector)::value>(to, load<decltype(vector)::value>(from)); };
    rule.template at<T>(tick_of<Rule>(tick, penalty), [&](const auto& f) {
        constexpr int slots = detail::arity<std::remove_cvref_t<decltype(f)>, T>;
        // Rows a line longer than a page, or all of them would fall into one set of the cache.
        alignas(64) T near[4 + Flat<T>::most_slots][block + cache_line<T>];
        Flat<T> units = flat;
        if (flat.unit) {
            std::fill_n(near[5], 2 * (block + cache_line<T>), T(1));
            units.unit = near[5];
            units.pull = near[6];
        }
        const Index at_once = std::min(width, block), group = std::max<Index>(1, block / width);
        for (Index first = 0; first < count; first += group) {
            const Index members = std::min(group, count - first);
            for (Index c = 0; c < width; c += at_once) {
                const Index n = std::min(at_once, width - c);
                // Calls move(where w, where slots and units, where the gradient, where the copies are, how many of
                // them).
                const auto each = [&](auto&& move) FG_INLINED {
                    for (Index k = 0; k < members; ++k) {
                        const Index row = Index(features[first + k]) * width, listed = (first + k) * width + c;
                        const Index far = row + c, beside = row * flat.apart + c;
                        by_lanes<T>(n, [&](Index q, auto vector)
                                           FG_INLINED { move(far + q, beside + q, listed + q, k * n + q, vector); });
                    }
                };
                each([&](Index at, Index beside, Index listed, Index i, auto vector) FG_INLINED {
                    copy(vector, flat.w + at, near[0] + i);
                    copy(vector, g + listed, near[1] + i);
                    for (int s = 0; s < slots; ++s) copy(vector, flat.slot[s] + beside, near[2 + s] + i);
                    if (!flat.unit) return;
                    copy(vector, flat.unit + beside, near[5] + i);
                    copy(vector, flat.pull + beside, near[6] + i);
                });
                for (Index i = 0; i < members * n; ++i) {
                    const T scaled = factor * near[1][i];
                    near[1][i] = scaled > high ? high : scaled < -high ? -high : scaled;
                }
                with_penalty<T, Rule>(tick, penalty, units, [&](const auto& after) {
                    detail::move_all<T, slots>(f, near[1], near[0], {near[2], near[3], near[4]}, members * n, after);
                });
                each([&](Index at, Index beside, Index, Index i, auto vector) FG_INLINED {
                    copy(vector, near[0] + i, flat.w + at);
                    for (int s = 0; s < slots; ++s) copy(vector, near[2 + s] + i, flat.slot[s] + beside);
                });
                finite = finite && are_finite(near[0], members * n);
                for (int s = 0; s < slots; ++s) finite = finite && are_finite(near[2 + s], members * n);
            }
        }
    });
    return finite;
}

}  // namespace fg
