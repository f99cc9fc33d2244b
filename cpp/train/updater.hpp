// An update rule behind a virtual call, one call for a range of parameters.
#pragma once

#include <memory>

#include "kernel/sweep.hpp"
#include "parts/catalog.hpp"

namespace fg {

template <class T>
class Updater {
public:
    virtual ~Updater() = default;
    virtual int slots() const = 0;
    virtual int answer() const = 0;  // the slot that holds the weights to use; -1: they are w
    virtual double carry(const Tick& tick) const = 0;  // what the next step gets as its carry
    virtual void sweep(const Tick& tick, const Penalty& penalty, const Gradient<T>& gradient, const Flat<T>& flat,
                       Index begin, Index end) const = 0;
};

// Defined in inst/, one file a type.
template <class T>
std::unique_ptr<Updater<T>> make_updater(const PartSpec& rule);

}  // namespace fg
