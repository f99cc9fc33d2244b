// The catalogs of parts, and values and slopes on arrays.
#include <pybind11/stl.h>

#include "bind/arrays.hpp"

namespace fg {

namespace {

using Fields = std::vector<std::pair<std::string, double>>;

// (name, default, low, high, whether low is excluded, whether high is, meaning) of every field.
py::list fields_of(const PartDescription& part) {
    py::list fields;
    for (const auto& field : part.fields)
        fields.append(
            py::make_tuple(field.name, field.value, field.low, field.high, field.open_low, field.open_high, field.doc));
    return fields;
}

py::list loss_catalog() {
    py::list catalog;
    for (const auto& loss : engine().losses())
        catalog.append(py::make_tuple(loss.name, loss.doc, loss.negative, loss.curvature, fields_of(loss)));
    return catalog;
}

py::list catalog_of(const std::vector<PartDescription>& parts) {
    py::list catalog;
    for (const auto& part : parts) catalog.append(py::make_tuple(part.name, part.doc, fields_of(part)));
    return catalog;
}

// (value, slope) of the loss at each pair of targets and predictions.
py::tuple loss_points(const std::string& name, const Fields& fields, const py::array_t<double, py::array::c_style>& y,
                      const py::array_t<double, py::array::c_style>& p) {
    const Index n = y.size();
    require(p.size() == n, "y and p must have the same length");
    py::array_t<double> value(n), slope(n);
    engine().loss_points({name, fields}, n, y.data(), p.data(), value.mutable_data(), slope.mutable_data());
    return py::make_tuple(value, slope);
}

// (outputs, slopes) of an activation for an array of its inputs, in their type.
py::tuple activation_points(const std::string& name, const Fields& fields, const py::array& x) {
    const Dtype dtype = dtype_of(x);
    const void* const inputs = data_of(x, dtype, x.size(), "x");
    auto value = empty(dtype, {x.size()}), slope = empty(dtype, {x.size()});
    engine().activation_points({name, fields}, dtype, x.size(), inputs, value.mutable_data(), slope.mutable_data());
    return py::make_tuple(value, slope);
}

}  // namespace

void bind_catalogs(py::module_& m) {
    m.def("loss_catalog", &loss_catalog, "(name, doc, code of the negative class, curvature, fields) of every loss.");
    m.def("rule_catalog", [] { return catalog_of(engine().rules()); }, "(name, doc, fields) of every update rule.");
    m.def(
        "activation_catalog", [] { return catalog_of(engine().activations()); },
        "(name, doc, fields) of every activation.");
    m.def("loss_points", &loss_points, py::arg("name"), py::arg("fields"), py::arg("y"), py::arg("p"));
    m.def("activation_points", &activation_points, py::arg("name"), py::arg("fields"), py::arg("x"));
}

}  // namespace fg
