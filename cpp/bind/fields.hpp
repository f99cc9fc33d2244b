// The hyper-parameters of a part, for Python.
#pragma once

#include <pybind11/pybind11.h>

#include "core/part.hpp"

namespace fg {

namespace py = pybind11;

// (name, default, low, high, whether low is excluded, whether high is, meaning) of every field.
template <class Part>
py::list fields_of(const Part& part) {
    py::list fields;
    std::apply(
        [&](const auto&... field) {
            (fields.append(py::make_tuple(field.name, part.*field.member, field.low, field.high, field.open_low(),
                                          field.open_high(), field.doc)),
             ...);
        },
        Part::fields());
    return fields;
}

}  // namespace fg
