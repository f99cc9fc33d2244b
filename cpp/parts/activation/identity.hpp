#pragma once

#include "parts/activation/activation.hpp"

namespace fg {

// x
struct Identity {
    static constexpr const char* name = "identity";
    static constexpr const char* doc = "x";
    static constexpr bool from_output = true;
    static constexpr auto fields() { return std::tuple<>{}; }

    template <class R>
    FG_INLINE R at(R x) const {
        return x;
    }
    template <class R>
    FG_INLINE R slope(R) const {
        return all<R>(1.0);
    }
};

}  // namespace fg
