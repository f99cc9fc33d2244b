// One function a concept; core.cpp calls them all.
#pragma once

#include <pybind11/pybind11.h>

namespace fg {

void bind_losses(pybind11::module_& m);
void bind_optimizers(pybind11::module_& m);
void bind_session(pybind11::module_& m);
void bind_network(pybind11::module_& m);
void bind_minibatch(pybind11::module_& m);
void bind_scores(pybind11::module_& m);
void bind_linear_algebra(pybind11::module_& m);
void bind_config(pybind11::module_& m);

}  // namespace fg
