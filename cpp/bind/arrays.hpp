// NumPy arrays as the core takes them: exact dtype, C-contiguous, never copied.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <string>

#include "bind/bind.hpp"

namespace fg {

inline Dtype dtype_of(const py::array& a) { return a.itemsize() == 4 ? Dtype::float32 : Dtype::float64; }

template <class T>
const T* data_of(const py::array& a, Index size, const char* name) {
    constexpr int aligned = py::detail::npy_api::NPY_ARRAY_ALIGNED_;
    if (!py::isinstance<py::array_t<T, py::array::c_style>>(a) || a.size() != size || (a.flags() & aligned) == 0)
        throw py::value_error(std::string(name) + ": expected an aligned, C-contiguous array of " +
                              std::to_string(size) + " elements of the model's dtype");
    return static_cast<const T*>(a.data());
}

inline const void* data_of(const py::array& a, Dtype dtype, Index size, const char* name) {
    if (dtype == Dtype::float32) return data_of<float>(a, size, name);
    return data_of<double>(a, size, name);
}

template <class T>
const T* optional_data_of(const py::object& a, Index size, const char* name) {
    return a.is_none() ? nullptr : data_of<T>(py::cast<py::array>(a), size, name);
}

inline const void* optional_data_of(const py::object& a, Dtype dtype, Index size, const char* name) {
    return a.is_none() ? nullptr : data_of(py::cast<py::array>(a), dtype, size, name);
}

template <class T>
T* mutable_data_of(py::array& a, Index size, const char* name) {
    data_of<T>(a, size, name);
    return static_cast<T*>(a.mutable_data());
}

inline void* mutable_data_of(py::array& a, Dtype dtype, Index size, const char* name) {
    data_of(a, dtype, size, name);
    return a.mutable_data();
}

// All numbers of an array that is trained.
inline Numbers numbers_of(const py::object& object, Dtype dtype, const char* name) {
    auto a = py::cast<py::array>(object);
    return {mutable_data_of(a, dtype, a.size(), name), a.size()};
}

// The same of a table, whose rows may be parts of rows that are a whole number of times as long.
inline Numbers rows_of(const py::object& object, Dtype dtype, const char* name) {
    auto a = py::cast<py::array>(object);
    const Index row = a.ndim() == 2 ? a.shape(1) * a.itemsize() : 0;
    const bool known =
        dtype == Dtype::float32 ? py::isinstance<py::array_t<float>>(a) : py::isinstance<py::array_t<double>>(a);
    if (!known || row == 0 || a.strides(1) != a.itemsize() || a.strides(0) <= row || a.strides(0) % row != 0)
        return numbers_of(object, dtype, name);
    return {a.mutable_data(), a.size(), a.strides(0) / row};
}

inline py::array empty(Dtype dtype, py::array::ShapeContainer shape) {
    if (dtype == Dtype::float32) return py::array_t<float>(std::move(shape));
    return py::array_t<double>(std::move(shape));
}

inline Matrix dense_of(const py::array& X, Dtype dtype) {
    require(X.ndim() == 2, "X: must have two dimensions");
    return {.dtype = dtype, .values = data_of(X, dtype, X.size(), "X"), .rows = X.shape(0), .cols = X.shape(1)};
}

// (data, indices, indptr, columns); checks what memory safety needs.
inline Matrix sparse_of(const py::tuple& X, Dtype dtype, int threads) {
    const auto data = py::cast<py::array>(X[0]), indices = py::cast<py::array>(X[1]),
               indptr = py::cast<py::array>(X[2]);
    const Index rows = indptr.size() - 1, stored = indices.size();
    require(rows >= 0 && data.size() >= stored, "X: not a valid CSR matrix");
    Matrix matrix{.dtype = dtype,
                  .values = data_of(data, dtype, data.size(), "X.data"),
                  .rows = rows,
                  .cols = py::cast<Index>(X[3])};
    const auto index = [&]<class I>(I) {
        const auto* const begins = data_of<I>(indptr, rows + 1, "X.indptr");
        require(begins[0] >= 0 && Index(begins[rows]) <= stored,
                "X.indptr: row pointers must not decrease and must stay within X.indices");
        matrix.columns = data_of<I>(indices, stored, "X.indices");
        matrix.begins = begins;
        matrix.index_bytes = sizeof(I);
    };
    indices.itemsize() == 4 ? index(std::int32_t()) : index(std::int64_t());
    engine().check_sparse(matrix, threads);
    return matrix;
}

inline Matrix matrix_of(const py::object& X, Dtype dtype, int threads = 1) {
    if (py::isinstance<py::tuple>(X)) return sparse_of(py::cast<py::tuple>(X), dtype, threads);
    return dense_of(py::cast<py::array>(X), dtype);
}

}  // namespace fg
