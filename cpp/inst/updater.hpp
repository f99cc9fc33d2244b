// The rule enters here: every rule of the catalog, for the type that a file of this folder names.
#pragma once

#include "train/updater.hpp"

namespace fg {

template <class T, class Rule>
class UpdaterOf final : public Updater<T> {
public:
    explicit UpdaterOf(const Rule& rule) : rule_(rule) {}

    int slots() const override { return rule_.slots(); }
    int answer() const override {
        if constexpr (requires { Rule::answer; }) return Rule::answer;
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

private:
    const Rule rule_;
};

template <class T>
std::unique_ptr<Updater<T>> make_updater(const PartSpec& rule) {
    std::unique_ptr<Updater<T>> updater;
    with_part<Rules>(rule, [&](auto part) { updater = std::make_unique<UpdaterOf<T, decltype(part)>>(part); });
    return updater;
}

#define FG_INSTANTIATE_UPDATER(T) template std::unique_ptr<Updater<T>> make_updater(const PartSpec&);

}  // namespace fg
