// The vocabulary of the core: index type, error type, sizes. Knows no machine learning.
#pragma once

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>

#include "core/compiler.hpp"

namespace fg {

using Index = std::ptrdiff_t;

// Rows begin, ..., end - 1.
struct Rows {
    Index begin, end;
    Index count() const { return end - begin; }
};

// Thrown for arguments that the Python layer should have refused; it reaches Python as ValueError.
struct BadArgument : std::invalid_argument {
    using std::invalid_argument::invalid_argument;
};

inline void require(bool ok, const char* what) {
    if (!ok) throw BadArgument(what);
}

// a b, for numbers that are not negative.
inline Index product(Index a, Index b) {
    Index result = 0;
    require(multiplies(a, b, result), "sizes are too large: their product overflows");
    return result;
}

}  // namespace fg
