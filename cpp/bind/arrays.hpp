// NumPy arrays as the core takes them: exact dtype, C-contiguous, never copied.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <algorithm>
#include <atomic>
#include <string>

#include "core/team.hpp"
#include "core/view.hpp"

namespace fg {

namespace py = pybind11;

template <class T>
const T* data_of(const py::array& a, Index size, const char* name) {
    constexpr int aligned = py::detail::npy_api::NPY_ARRAY_ALIGNED_;
    if (!py::isinstance<py::array_t<T, py::array::c_style>>(a) || a.size() != size || (a.flags() & aligned) == 0)
        throw py::value_error(std::string(name) + ": expected an aligned, C-contiguous array of " +
                              std::to_string(size) + " elements of the model's dtype");
    return static_cast<const T*>(a.data());
}

template <class T>
const T* optional_data_of(const py::object& a, Index size, const char* name) {
    return a.is_none() ? nullptr : data_of<T>(py::cast<py::array>(a), size, name);
}

template <class T>
T* mutable_data_of(py::array& a, Index size, const char* name) {
    data_of<T>(a, size, name);
    return static_cast<T*>(a.mutable_data());
}

template <class T>
Dense<T> dense_view(const py::array& X) {
    require(X.ndim() == 2, "X: must have two dimensions");
    return {data_of<T>(X, X.size(), "X"), X.shape(0), X.shape(1)};
}

// Checks what memory safety needs: row pointers that do not decrease and column indices within range.
template <class T, class I>
Csr<T, I> csr_view(const py::tuple& X, int threads = 1) {
    const auto data = py::cast<py::array>(X[0]), indices = py::cast<py::array>(X[1]),
               indptr = py::cast<py::array>(X[2]);
    const Index cols = py::cast<Index>(X[3]), rows = indptr.size() - 1, stored = indices.size();
    require(rows >= 0 && data.size() >= stored, "X: not a valid CSR matrix");
    const auto* const values = data_of<T>(data, data.size(), "X.data");
    const auto* const columns = data_of<I>(indices, stored, "X.indices");
    const auto* const begins = data_of<I>(indptr, rows + 1, "X.indptr");
    bool valid = begins[0] >= 0 && Index(begins[rows]) <= stored;
    for (Index i = 0; i < rows; ++i) valid &= begins[i] <= begins[i + 1];
    require(valid, "X.indptr: row pointers must not decrease and must stay within X.indices");
    const Index first = begins[0], count = begins[rows] - first;
    std::atomic<bool> within{true};
    static TeamSize::Memory sizes;
    const int most = Team::most(1.0 + double(count / (1 << 20)), threads);
    Team::call(sizes, most, 5e-10 * double(count), [&](int member, int members) {
        I low = 0, high = 0;
        for (Index k = first + count * member / members; k < first + count * (member + 1) / members; ++k) {
            low = std::min(low, columns[k]);
            high = std::max(high, columns[k]);
        }
        if (low < 0 || Index(high) >= std::max<Index>(cols, 1)) within = false;
    });
    require(within, "X.indices: a column index is out of range");
    return {values, columns, begins, rows, cols};
}

}  // namespace fg
