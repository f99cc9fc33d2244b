// Memory of the core's own: aligned to cache lines, so that a vector of weights is one line. Large memory asks for
// large pages, as NumPy's does: who reads here and there in it would wait for a page's address at each number.
#pragma once

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include <algorithm>
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
        const std::size_t wanted = std::size_t(n) * sizeof(T), unit = wanted >= 2 * page ? page : 64;
        const std::size_t bytes = std::max(unit, (wanted + unit - 1) / unit * unit);
        data_.reset(static_cast<T*>(std::aligned_alloc(unit, bytes)));
        if (!data_) throw std::bad_alloc();
#if defined(__linux__)
        if (unit == page) madvise(data_.get(), bytes, MADV_HUGEPAGE);
#endif
    }
    T* data() const { return data_.get(); }

private:
    static constexpr std::size_t page = std::size_t(2) << 20;  // a large one
    static constexpr Index most = (std::numeric_limits<Index>::max() - Index(page)) / Index(sizeof(T));

    struct Free {
        void operator()(T* p) const { std::free(p); }
    };
    std::unique_ptr<T[], Free> data_;
};

}  // namespace fg
