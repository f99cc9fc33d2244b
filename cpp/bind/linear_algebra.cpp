// Products that fits need between steps.
#include "kernel/linear_algebra.hpp"

#include "bind/arrays.hpp"
#include "bind/bind.hpp"
#include "bind/gil.hpp"

namespace fg {

namespace {

template <class T>
py::array_t<T> product_of(const py::array& X, const py::array& W, int threads) {
    require(X.ndim() == 2 && W.ndim() == 2 && X.shape(1) == W.shape(1), "X, W: expected (n, d) and (m, d)");
    const Index rows = X.shape(0), cols = X.shape(1), outputs = W.shape(0);
    const T *x = data_of<T>(X, rows * cols, "X"), *w = data_of<T>(W, outputs * cols, "W");
    py::array_t<T> out({rows, outputs});
    T* const to = out.mutable_data();
    const WithoutGil unlocked;
    product(x, rows, cols, w, outputs, to, threads);
    return out;
}

py::array product_with(const py::array& X, const py::array& W, int threads) {
    if (X.itemsize() == 4) return product_of<float>(X, W, threads);
    return product_of<double>(X, W, threads);
}

double eigenvalue_of(const py::array& X, const py::array& factor, double one, const py::array& start, int steps) {
    require(X.ndim() == 2 && X.shape(0) > 0, "X: expected (n, d)");
    const double *x = data_of<double>(X, X.size(), "X"), *weight = data_of<double>(factor, X.shape(0), "factor"),
                 *v = data_of<double>(start, X.shape(1), "start");
    std::vector<double> direction(v, v + X.shape(1));
    const WithoutGil unlocked;
    return largest_eigenvalue(x, X.shape(0), X.shape(1), weight, one, direction.data(), steps);
}

}  // namespace

void bind_linear_algebra(py::module_& m) {
    m.def("product", &product_with, py::arg("X"), py::arg("W"), py::arg("threads") = 1,
          "X W' for X (n, d) and W (m, d), both of one type and in C order.");
    m.def("largest_eigenvalue", &eigenvalue_of, py::arg("X"), py::arg("factor"), py::arg("one"), py::arg("start"),
          py::arg("steps"),
          "Of the mean of factor (x, one)'(x, one) over the rows x, by the power method from (start, 1).");
}

}  // namespace fg
