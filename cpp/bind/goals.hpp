// What networks and linear models are given alike: parts by name, targets, and what a rule moves.
#pragma once

#include <pybind11/stl.h>

#include "bind/arrays.hpp"
#include "bind/gil.hpp"
#include "kernel/tile_loss.hpp"
#include "train/updater.hpp"

namespace fg {

inline PartSpec part_of(const py::object& name, const py::object& values) {
    PartSpec part;
    part.name = py::cast<std::string>(name);
    for (const auto& [key, value] : py::cast<py::dict>(values))
        part.values.emplace_back(py::cast<std::string>(key), py::cast<double>(value));
    return part;
}

// Targets of `rows` rows: y, coded and outputs of the arguments.
template <class T>
Goals<T> goals_of(const py::dict& a, Index rows) {
    Goals<T> goals;
    goals.outputs = py::cast<Index>(a["outputs"]);
    goals.width = width_of<T>(goals.outputs);
    const auto y = py::cast<py::array>(a["y"]);
    if (py::cast<bool>(a["coded"])) {
        goals.code = data_of<T>(y, rows, "y");
        for (Index i = 0; i < rows; ++i)
            require(goals.code[i] >= T(0) && goals.code[i] < T(std::max<Index>(goals.outputs, 2)),
                    "y: a class code is out of range");
    } else {
        goals.y = data_of<T>(y, rows * goals.outputs, "y");
    }
    return goals;
}

// Their weights: side_weight, and sample_weight, which may be a column of a matrix.
template <class T>
void weigh(Goals<T>& goals, const py::dict& a, Index rows) {
    goals.side_weight = py::cast<std::vector<double>>(a["side_weight"]);
    require(Index(goals.side_weight.size()) == 2 * goals.outputs, "side_weight: two numbers an output");
    if (a["sample_weight"].is_none()) return;
    const auto weight = py::cast<py::array>(a["sample_weight"]);
    require(py::isinstance<py::array_t<T>>(weight) && weight.ndim() == 1 && weight.size() == rows &&
                weight.strides(0) % Index(sizeof(T)) == 0,
            "sample_weight: expected one number of the model's dtype for each row");
    goals.weight = static_cast<const T*>(weight.data());
    goals.weight_stride = weight.strides(0) / Index(sizeof(T));
}

// Weights, slots and average of the arguments, `size` numbers each.
template <class T>
Flat<T> flat_of(const py::dict& a, Index size, const PartSpec& rule) {
    const auto data = [size](const py::object& object, const char* name) {
        auto array = py::cast<py::array>(object);
        return mutable_data_of<T>(array, size, name);
    };
    Flat<T> flat;
    flat.w = data(a["weights"], "weights");
    const auto slots = py::cast<py::list>(a["slots"]);
    require(int(slots.size()) == make_updater<T>(rule)->slots(), "slots: not as many as the rule has");
    for (std::size_t s = 0; s < slots.size(); ++s) flat.slot[s] = data(slots[s], "slots");
    if (!a["average"].is_none()) flat.average = data(a["average"], "average");
    return flat;
}

// Looks for signals; `interrupted` says whether there was one. Signals come to Python's main thread only; what it wants
// to tell an engine on another thread, it says by `stop`.
inline auto look_for_signals(WithoutGil& unlocked, bool& interrupted, const std::atomic<bool>* stop = nullptr) {
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

}  // namespace fg
