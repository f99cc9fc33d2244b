// A part (loss, later: update rule, layer) describes itself: its name, one line of documentation and its
// fields. Bindings, documentation tables, tests and benchmarks are driven by that description.
#pragma once

#include <tuple>

namespace fg {

template <class Part>
struct Field {
    const char* name;
    double Part::* member;
    double low;  // smallest value allowed
    const char* doc;
};

template <class... Parts>
struct List {
    template <class F>
    static void each(F f) {
        (f(Parts{}), ...);
    }
};

}  // namespace fg
