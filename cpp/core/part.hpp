// A part (loss, later: update rule, layer) describes itself: its name, one line of documentation and its
// fields. Bindings, documentation tables, tests and benchmarks are driven by that description.
#pragma once

#include <limits>
#include <tuple>

namespace fg {

// Which ends of a range do not belong to it. An infinite end never does.
enum class Ends { closed, open_low, open_high, open };

// A hyper-parameter and its range.
template <class Part>
struct Field {
    const char* name;
    double Part::* member;
    double low;
    const char* doc;
    double high = std::numeric_limits<double>::infinity();
    Ends ends = Ends::closed;

    constexpr bool open_low() const { return ends == Ends::open_low || ends == Ends::open || low == -infinity; }
    constexpr bool open_high() const { return ends == Ends::open_high || ends == Ends::open || high == infinity; }

private:
    static constexpr double infinity = std::numeric_limits<double>::infinity();
};

template <class... Parts>
struct List {
    template <class F>
    static void each(F f) {
        (f(Parts{}), ...);
    }
};

}  // namespace fg
