// The catalog of losses, and their values and slopes on arrays.
#include <pybind11/stl.h>

#include "bind/arrays.hpp"
#include "bind/bind.hpp"
#include "bind/fields.hpp"
#include "parts/losses.hpp"

namespace fg {

namespace {

py::list loss_catalog() {
    py::list catalog;
    Losses::each([&](auto loss) {
        catalog.append(py::make_tuple(loss.name, loss.doc, loss.negative, loss.curvature, fields_of(loss)));
    });
    return catalog;
}

// (value, slope) of the loss at each pair of targets and predictions.
py::tuple loss_points(const std::string& name, const std::vector<std::pair<std::string, double>>& fields,
                      const py::array_t<double, py::array::c_style>& y,
                      const py::array_t<double, py::array::c_style>& p) {
    const py::ssize_t n = y.size();
    require(p.size() == n, "y and p must have the same length");
    py::array_t<double> value(n), slope(n);
    const double *targets = y.data(), *predictions = p.data();
    double *values = value.mutable_data(), *slopes = slope.mutable_data();
    with_part<Losses>(PartSpec{name, fields}, [&](auto loss) {
        for (py::ssize_t i = 0; i < n; ++i) {
            const auto point = loss.at(targets[i], predictions[i]);
            values[i] = point.value;
            slopes[i] = point.slope;
        }
    });
    return py::make_tuple(value, slope);
}

}  // namespace

void bind_losses(py::module_& m) {
    m.def("loss_catalog", &loss_catalog, "(name, doc, code of the negative class, curvature, fields) of every loss.");
    m.def("loss_points", &loss_points, py::arg("name"), py::arg("fields"), py::arg("y"), py::arg("p"));
}

}  // namespace fg
