// The parts of the extension module, and the engine behind them.
#pragma once

#include <pybind11/pybind11.h>

#include "engine.hpp"

namespace fg {

namespace py = pybind11;

// The kernels in use.
const Engine& engine();

void bind_catalogs(py::module_& m);
void bind_stepper(py::module_& m);
void bind_sequential(py::module_& m);
void bind_network(py::module_& m);
void bind_minibatch(py::module_& m);
void bind_arrays(py::module_& m);
void bind_curvature(py::module_& m);
void bind_config(py::module_& m);

}  // namespace fg
