// From dtypes of the seam to types of the kernels.
#pragma once

#include "core/view.hpp"
#include "engine.hpp"

namespace fg {

// Calls f with a number of the type.
template <class F>
decltype(auto) with_type(Dtype dtype, const F& f) {
    return dtype == Dtype::float32 ? f(float()) : f(double());
}

template <class T>
Dense<T> dense_view(const Matrix& X) {
    return {static_cast<const T*>(X.values), X.rows, X.cols};
}

template <class T, class I>
Csr<T, I> csr_view(const Matrix& X) {
    return {static_cast<const T*>(X.values), static_cast<const I*>(X.columns), static_cast<const I*>(X.begins), X.rows,
            X.cols};
}

// Calls f with a view of X, whose numbers are of type T.
template <class T, class F>
decltype(auto) with_view(const Matrix& X, const F& f) {
    if (X.index_bytes == 0) return f(dense_view<T>(X));
    return X.index_bytes == 4 ? f(csr_view<T, std::int32_t>(X)) : f(csr_view<T, std::int64_t>(X));
}

template <class F>
decltype(auto) with_view(const Matrix& X, const F& f) {
    return with_type(X.dtype, [&](auto number) -> decltype(auto) { return with_view<decltype(number)>(X, f); });
}

}  // namespace fg
