// The rule enters here: every rule of the catalog, for the type that a file of this folder names.
#pragma once

#include "parts/rules.hpp"
#include "train/updater.hpp"

namespace fg {

template <class T, class Rule>
class UpdaterOf final : public Updater<T> {
public:
    UpdaterOf(const Rule& rule, bool lazy) : rule_(rule), lazy_(lazy && !fg::can_wait(rule)) {
        require(!lazy_ || !answers<Rule>, "lazy: not with a rule whose answer is an average");
    }

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
    bool lazy() const override { return lazy_; }
    bool can_wait() const override { return lazy_ || fg::can_wait(rule_); }
    bool needs_equal_rates() const override { return closes<Rule>; }
    void note(Missed& missed, const Tick& tick, const Penalty& penalty) const override {
        if (lazy_) return missed.note_nothing();
        if constexpr (waits) missed.note(rule_, tick, penalty);
    }
    void catch_up(const Missed& missed, const Penalty& penalty, const Flat<T>& flat, const std::uint32_t* features,
                  const std::uint32_t* from, Index count, std::uint32_t to, Index width) const override {
        if (lazy_) return;
        if constexpr (waits)
            for (Index k = 0; k < count; ++k)
                fg::catch_up(rule_, missed, penalty, flat, Index(features[k]) * width, width, from[k], to);
    }
    bool sweep_some(const Tick& tick, const Penalty& penalty, const Scaling& scaling, const Flat<T>& flat, const T* g,
                    const std::uint32_t* features, Index count, Index width) const override {
        return fg::sweep_some(rule_, tick, penalty, scaling, flat, g, features, count, width);
    }

private:
    static constexpr bool waits = flows<Rule> || closes<Rule> || requires(const Rule& rule) { rule.plain(); };

    const Rule rule_;
    const bool lazy_;
};

template <class T>
std::unique_ptr<Updater<T>> make_updater(const PartSpec& rule, bool lazy) {
    std::unique_ptr<Updater<T>> updater;
    with_part<Rules>(rule, [&](auto part) { updater = std::make_unique<UpdaterOf<T, decltype(part)>>(part, lazy); });
    return updater;
}

#define FG_INSTANTIATE(T) template std::unique_ptr<Updater<T>> make_updater(const PartSpec&, bool);

}  // namespace fg
