// An update rule behind a virtual call, one call for a range of parameters or a list of features.
#pragma once

#include <memory>

#include "kernel/waiting.hpp"
#include "parts/spec.hpp"

namespace fg {

template <class T>
class Updater {
public:
    virtual ~Updater() = default;
    virtual int slots() const = 0;
    virtual int answer() const = 0;                    // the slot that holds the weights to use; -1: they are w
    virtual double carry(const Tick& tick) const = 0;  // what the next step gets as its carry
    virtual bool plain() const = 0;                    // w -= rate g, and nothing else
    virtual void sweep(const Tick& tick, const Penalty& penalty, const Gradient<T>& gradient, const Flat<T>& flat,
                       Index begin, Index end) const = 0;

    // Sparse data: see kernel/waiting.hpp.
    virtual bool lazy() const = 0;               // coordinates that are not touched must stand still
    virtual bool can_wait() const = 0;           // lazy, or as if they had not waited
    virtual bool needs_equal_rates() const = 0;  // to wait
    virtual void note(Missed& missed, const Tick& tick, const Penalty& penalty) const = 0;
    // Feature features[k] was up to date after from[k] steps.
    virtual void catch_up(const Missed& missed, const Penalty& penalty, const Flat<T>& flat,
                          const std::uint32_t* features, const std::uint32_t* from, Index count, std::uint32_t to,
                          Index width) const = 0;
    // Whether what it moved is finite.
    virtual bool sweep_some(const Tick& tick, const Penalty& penalty, const Scaling& scaling, const Flat<T>& flat,
                            const T* g, const std::uint32_t* features, Index count, Index width) const = 0;
};

// Defined in inst/, one file a type. A rule whose coordinates can wait anyway is not made lazy.
template <class T>
std::unique_ptr<Updater<T>> make_updater(const PartSpec& rule, bool lazy = false);

}  // namespace fg
