// What networks and linear models are given alike: parts by name, targets, and what a rule moves.
#pragma once

#include <pybind11/stl.h>

#include "bind/arrays.hpp"
#include "bind/gil.hpp"

namespace fg {

inline PartSpec part_of(const py::object& name, const py::object& values) {
    PartSpec part;
    part.name = py::cast<std::string>(name);
    for (const auto& [key, value] : py::cast<py::dict>(values))
        part.values.emplace_back(py::cast<std::string>(key), py::cast<double>(value));
    return part;
}

// X of a fit; that of a network may be without columns, as its layers say.
inline Matrix matrix_to_fit(const py::object& X, Dtype dtype, bool may_be_empty, int threads = 1) {
    const Matrix matrix = matrix_of(X, dtype, threads);
    require(matrix.rows > 0 && matrix.rows <= 0x7fffffff, "X: the number of rows must be between 1 and 2^31 - 1");
    require(matrix.cols > 0 || may_be_empty, "X: must have at least one column");
    return matrix;
}

// Targets of `rows` rows: y, coded and outputs of the arguments.
inline TargetsTask targets_of(const py::dict& a, Dtype dtype, Index rows) {
    TargetsTask targets;
    targets.outputs = py::cast<Index>(a["outputs"]);
    const auto y = py::cast<py::array>(a["y"]);
    if (py::cast<bool>(a["coded"])) {
        targets.code = data_of(y, dtype, rows, "y");
    } else {
        targets.y = data_of(y, dtype, rows * targets.outputs, "y");
    }
    return targets;
}

// Weights of rows: side_weight, and sample_weight, which may be a column of a matrix.
inline WeightsTask weights_of(const py::dict& a, Dtype dtype, Index rows) {
    WeightsTask weights{.of_sides = py::cast<std::vector<double>>(a["side_weight"])};
    if (a["sample_weight"].is_none()) return weights;
    const auto weight = py::cast<py::array>(a["sample_weight"]);
    const bool known = dtype == Dtype::float32 ? py::isinstance<py::array_t<float>>(weight)
                                               : py::isinstance<py::array_t<double>>(weight);
    require(known && weight.ndim() == 1 && weight.size() == rows && weight.strides(0) % weight.itemsize() == 0,
            "sample_weight: expected one number of the model's dtype for each row");
    weights.of_rows = weight.data();
    weights.stride = weight.strides(0) / weight.itemsize();
    return weights;
}

// Weights, slots and average of the arguments.
inline Trained trained_of(const py::dict& a, Dtype dtype) {
    Trained trained{numbers_of(a["weights"], dtype, "weights"), {}, {}};
    for (const auto& slot : py::cast<py::list>(a["slots"]))
        trained.slots.push_back(rows_of(py::reinterpret_borrow<py::object>(slot), dtype, "slots"));
    if (!a["average"].is_none()) trained.average = numbers_of(a["average"], dtype, "average");
    return trained;
}

// Checks for signals; `interrupted` says whether there was one. Signals come to Python's main thread only; what it
// wants to tell an engine on another thread, it says by `stop`.
inline Callback check_signals(WithoutGil& unlocked, bool& interrupted, const std::atomic<bool>* stop = nullptr) {
    return [&unlocked, &interrupted, stop] {
        interrupted = unlocked.with_gil([] { return PyErr_CheckSignals() != 0; }) || (stop && *stop);
        return !interrupted;
    };
}
// Raises what a signal handler has raised, but for KeyboardInterrupt, which the caller is told of otherwise.
inline void raise_unless_interrupt(bool interrupted) {
    if (!interrupted || !PyErr_Occurred()) return;
    py::error_already_set error;
    if (!error.matches(PyExc_KeyboardInterrupt)) throw error;
}
// Calls work(callback) without the GIL; `interrupted` says whether KeyboardInterrupt or `stop` has called it off.
template <class Work>
auto run_interruptibly(bool& interrupted, const std::atomic<bool>* stop, const Work& work) {
    interrupted = false;
    auto result = [&] {
        WithoutGil unlocked;
        return work(check_signals(unlocked, interrupted, stop));
    }();
    raise_unless_interrupt(interrupted);
    return result;
}

}  // namespace fg
