// Memory of the core's own: aligned to cache lines, so that a vector of weights is one line.
#pragma once

#include <cstdlib>
#include <limits>
#include <memory>
#include <new>

#include "core/base.hpp"

namespace fg {

// How many numbers a line of the cache holds, which is a whole number of registers.
template <class T>
inline constexpr Index cache_line = 64 / Index(sizeof(T));

// So many numbers, or some more to fill a line.
template <class T>
Index whole_lines(Index n) {
    return (n + cache_line<T> - 1) / cache_line<T> * cache_line<T>;
}

template <class T>
class Buffer {
public:
    Buffer() = default;
    explicit Buffer(Index n) {
        if (n < 0 || n > most) throw std::bad_alloc();
        const std::size_t bytes = (std::size_t(n) * sizeof(T) + 63) / 64 * 64;
        data_.reset(static_cast<T*>(std::aligned_alloc(64, bytes > 0 ? bytes : 64)));
        if (!data_) throw std::bad_alloc();
    }
    T* data() const { return data_.get(); }

private:
    static constexpr Index most = std::numeric_limits<Index>::max() / Index(sizeof(T)) - 64;

    struct Free {
        void operator()(T* p) const { std::free(p); }
    };
    std::unique_ptr<T[], Free> data_;
};

}  // namespace fg
