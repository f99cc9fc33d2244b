// The rule enters here: every rule of the catalog, for the type that a file of this folder names.
#pragma once

#include "parts/rules.hpp"
#include "train/updater.hpp"

namespace fg {

template <class T, class Rule>
class UpdaterOf final : public Updater<T> {
public:
    explicit UpdaterOf(const Rule& rule) : rule_(rule) {}

    int slots() const override { return rule_.slots(); }
    int answer() const override {
        if constexpr (answers<Rule>) return Rule::answer;
        return -1;
    }
    double carry(const Tick& tick) const override {
        if constexpr (requires { rule_.carry(tick); }) return rule_.carry(tick);
        return 1.0;
    }
    void sweep(const Tick& tick, const Penalty& penalty, const Gradient<T>& gradient, const Flat<T>& flat, Index begin,
               Index end) const override {
        fg::sweep(rule_, tick, penalty, gradient, flat, begin, end);
    }

    bool plain() const override {
        if constexpr (requires { rule_.plain(); }) return rule_.plain();
        return false;
    }
    bool can_wait() const override { return fg::can_wait(rule_); }
    bool needs_equal_rates() const override { return closes<Rule>; }
    void note(Missed& missed, const Tick& tick, const Penalty& penalty) const override {
        if constexpr (waits) missed.note(rule_, tick, penalty);
    }
    void catch_up(const Missed& missed, const Penalty& penalty, const Flat<T>& flat, const std::uint32_t* features,
                  const std::uint32_t* from, Index count, std::uint32_t to, Index width) const override {
        if constexpr (waits)
            for (Index k = 0; k < count; ++k)
                fg::catch_up(rule_, missed, penalty, flat, Index(features[k]) * width, width, from[k], to);
    }
    void sweep_some(const Tick& tick, const Penalty& penalty, double limit, const Flat<T>& flat, T* g,
                    const std::uint32_t* features, Index count, Index width) const override {
        if constexpr (waits) fg::sweep_some(rule_, tick, penalty, limit, flat, g, features, count, width);
    }

private:
    static constexpr bool waits = flows<Rule> || closes<Rule> || requires(const Rule& rule) { rule.plain(); };

    const Rule rule_;
};

template <class T>
std::unique_ptr<Updater<T>> make_updater(const PartSpec& rule) {
    std::unique_ptr<Updater<T>> updater;
    with_part<Rules>(rule, [&](auto part) { updater = std::make_unique<UpdaterOf<T, decltype(part)>>(part); });
    return updater;
}

#define FG_INSTANTIATE(T) template std::unique_ptr<Updater<T>> make_updater(const PartSpec&);

}  // namespace fg
