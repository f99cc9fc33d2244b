// Sums over many rows.
//
// A chain of n additions in float loses up to n / 2 units in the last place (equal terms lose the same bits again and
// again), and a batch may have millions of rows. So at most `most_summed` rows are added up in float; their sums are
// added up in double. The bound is in DECISIONS.md.
#pragma once

#include <type_traits>

#include "core/base.hpp"

namespace fg {

inline constexpr Index most_summed = 128;

// Whether a sum of so many rows is cut.
template <class T>
constexpr bool is_long(Index rows) {
    return std::is_same_v<T, float> && rows > most_summed;
}

// The n sums in `near`, zero at first, to which others add; `wide` (n numbers, or null where the sum is not long) takes
// over what has been added of every `most` rows.
template <class T>
class LongSum {
public:
    LongSum(T* near, double* wide, Index n, Index most) : near_(near), wide_(wide), n_(n), most_(most) {
        for (Index i = 0; wide_ && i < n_; ++i) wide_[i] = 0.0;
    }
    // So many rows are about to be added, at most `most`.
    void expect(Index rows) {
        if (wide_ && rows_ + rows > most_) {
            for (Index i = 0; i < n_; ++i) wide_[i] += double(near_[i]);
            for (Index i = 0; i < n_; ++i) near_[i] = T(0);
            rows_ = 0;
        }
        rows_ += rows;
    }
    void finish() {
        for (Index i = 0; wide_ && i < n_; ++i) near_[i] = T(wide_[i] + double(near_[i]));
    }

private:
    T* FG_RESTRICT const near_;
    double* FG_RESTRICT const wide_;
    const Index n_, most_;
    Index rows_ = 0;
};

}  // namespace fg
