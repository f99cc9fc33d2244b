// Steps of a rule on NumPy arrays. Everything is checked before anything changes; then all arrays are swept as if they
// were one, with the GIL released.
#include <pybind11/stl.h>

#include <algorithm>

#include "bind/arrays.hpp"
#include "bind/gil.hpp"

namespace fg {

namespace {

std::string text(const py::handle& object) { return py::cast<std::string>(py::str(object)); }
std::string type_name(const py::handle& object) { return text(py::type::of(object).attr("__name__")); }

// An array, or the arrays of a list or tuple.
struct Arrays {
    const char* name;
    std::vector<py::object> items;
    bool single = false;

    Arrays(const char* name, const py::object& given) : name(name), single(py::isinstance<py::array>(given)) {
        const auto take = [&](const auto& sequence) {
            items.reserve(sequence.size());
            for (const py::handle item : sequence) items.push_back(py::reinterpret_borrow<py::object>(item));
        };
        if (single) {
            items.push_back(given);
        } else if (py::isinstance<py::list>(given)) {
            take(py::reinterpret_borrow<py::list>(given));
        } else if (py::isinstance<py::tuple>(given)) {
            take(py::reinterpret_borrow<py::tuple>(given));
        } else {
            throw py::type_error(std::string(name) + " is of type " + type_name(given) +
                                 "; it must be an array of numpy, or a list or tuple of them.");
        }
    }

    std::string label(std::size_t i) const {
        return single ? std::string(name) : std::string(name) + "[" + std::to_string(i) + "]";
    }
    std::string count() const { return single ? "one array" : "a list of " + std::to_string(items.size()); }
};

// 4 for float32, 8 for float64, 0 for all else.
int bytes_of(const py::array& a) {
    using api = py::detail::npy_api;
    const py::dtype type = a.dtype();
    if (type.byteorder() != '=') return 0;
    return type.num() == api::NPY_FLOAT_ ? 4 : type.num() == api::NPY_DOUBLE_ ? 8 : 0;
}

bool same_shape(const py::array& a, const py::array& b) {
    return a.ndim() == b.ndim() && std::equal(a.shape(), a.shape() + a.ndim(), b.shape());
}

std::string shape_of(const py::array& a) { return text(a.attr("shape")); }
std::string dtype_name(const py::array& a) { return text(a.dtype()); }

// `label()` is only asked for its name if there is something to say about it.
template <class Label>
const py::array& checked(const py::object& object, const Label& label, bool writes) {
    using api = py::detail::npy_api;
    if (!py::isinstance<py::array>(object))
        throw py::type_error(label() + " is of type " + type_name(object) + "; it must be an array of numpy.");
    const auto& a = static_cast<const py::array&>(object);
    if (bytes_of(a) == 0)
        throw py::value_error(label() + " has dtype " + dtype_name(a) + "; it must be float32 or float64.");
    constexpr int orderly = api::NPY_ARRAY_C_CONTIGUOUS_ | api::NPY_ARRAY_ALIGNED_;
    if ((a.flags() & orderly) != orderly)
        throw py::value_error(label() + " is not contiguous in C order (or not aligned); make it so once, by " +
                              "numpy.ascontiguousarray.");
    if (writes && !a.writeable())
        throw py::value_error(label() + " is read-only; it must be writeable, because steps are made in place.");
    return a;
}

const char* begin_of(const void* data) { return static_cast<const char*>(data); }
// Where memory that holds as many numbers as an array of the seam ends.
const char* end_of(const void* begin, const StepArray& array) {
    return begin_of(begin) + array.n * (array.dtype == Dtype::float32 ? 4 : 8);
}

// A rule with its weight decay and its clipping.
class StepperOnArrays {
public:
    StepperOnArrays(const std::string& rule, const std::vector<std::pair<std::string, double>>& fields, double coupled,
                    double decay, double clip_value, double clip_norm)
        : stepper_(
              engine().stepper({rule, fields}, Penalty{.coupled = coupled, .decay = decay}, clip_value, clip_norm)) {}

    int slots() const { return stepper_->slots(); }

    // The arrays to train, as a list.
    py::list arrays(const py::object& given) const {
        const Arrays params("params", given);
        py::list list;
        for (std::size_t i = 0; i < params.items.size(); ++i)
            list.append(checked(params.items[i], [&] { return params.label(i); }, true));
        return list;
    }

    // Moves params and slots by step `number` (1, 2, ...); returns what the next step gets as its carry. Zero threads:
    // as many as pay.
    double step(const py::object& params, const py::object& grads, const py::object& slots, Index number, double rate,
                double carry, int threads) const {
        const Arrays w("params", params), g("grads", grads), state("state.slots", slots);
        const auto arrays = checked_arrays(w, g, state);
        const WithoutGil unlocked;
        return stepper_->step(arrays, number, rate, carry, threads);
    }

private:
    std::vector<StepArray> checked_arrays(const Arrays& params, const Arrays& grads, const Arrays& state) const {
        const std::size_t count = params.items.size();
        if (grads.items.size() != count || grads.single != params.single)
            throw py::value_error("grads is " + grads.count() + ", but params is " + params.count() +
                                  "; there must be a gradient for each array.");
        if (state.items.size() != count)
            throw py::value_error("state was made for " + std::to_string(state.items.size()) +
                                  " arrays, but params is " + params.count() + "; make one for these by init.");
        std::vector<StepArray> arrays(count);
        for (std::size_t i = 0; i < count; ++i) {
            StepArray& array = arrays[i];
            const auto label = [&] { return params.label(i); };
            const py::array& w = checked(params.items[i], label, true);
            const auto alike = [&](const py::object& object, const auto& name, bool writes) -> const py::array& {
                const py::array& a = checked(object, name, writes);
                if (bytes_of(a) != bytes_of(w))
                    throw py::value_error(name() + " has dtype " + dtype_name(a) + ", but " + label() + " has dtype " +
                                          dtype_name(w) + "; they must be equal.");
                if (!same_shape(a, w))
                    throw py::value_error(name() + " has shape " + shape_of(a) + ", but " + label() + " has shape " +
                                          shape_of(w) + "; they must be equal.");
                return a;
            };
            array.dtype = dtype_of(w);
            array.n = w.size();
            array.w = data_of(w);
            array.g = data_of(alike(grads.items[i], [&] { return grads.label(i); }, false));
            const auto own = Arrays("state.slots", state.items[i]);
            if (int(own.items.size()) != this->slots())
                throw py::value_error("state has " + std::to_string(own.items.size()) + " slots for " + label() +
                                      ", but this optimizer has " + std::to_string(this->slots()) +
                                      "; make a state by its init.");
            for (std::size_t s = 0; s < own.items.size(); ++s)
                array.slot[s] =
                    data_of(alike(own.items[s], [&] { return state.label(i) + "[" + std::to_string(s) + "]"; }, true));
        }
        if (count > 1) refuse_twins(params, arrays);
        refuse_foreign(params, grads, state, arrays);
        return arrays;
    }

    static void* data_of(const py::array& a) { return const_cast<void*>(a.data()); }

    // Arrays that share memory would move twice.
    static void refuse_twins(const Arrays& params, const std::vector<StepArray>& arrays) {
        std::vector<std::size_t> order;
        for (std::size_t i = 0; i < arrays.size(); ++i)
            if (arrays[i].n > 0) order.push_back(i);
        std::sort(order.begin(), order.end(),
                  [&](auto a, auto b) { return begin_of(arrays[a].w) < begin_of(arrays[b].w); });
        for (std::size_t k = 1; k < order.size(); ++k)
            if (begin_of(arrays[order[k]].w) < end_of(arrays[order[k - 1]].w, arrays[order[k - 1]]))
                throw py::value_error(params.label(std::max(order[k], order[k - 1])) + " shares memory with " +
                                      params.label(std::min(order[k], order[k - 1])) +
                                      "; each number must be given once.");
    }

    // A gradient that shares memory with what moves (the parameters and slots of other arrays too) would be used after
    // it has changed. What moves shares no memory: its places in memory ascend as their ends do.
    void refuse_foreign(const Arrays& params, const Arrays& grads, const Arrays& state,
                        const std::vector<StepArray>& arrays) const {
        struct Moving {
            const char *begin, *end;
            std::size_t array;
            int slot;  // -1: the parameters themselves
        };
        std::vector<Moving> all;
        for (std::size_t i = 0; i < arrays.size(); ++i) {
            if (arrays[i].n == 0) continue;
            all.push_back({begin_of(arrays[i].w), end_of(arrays[i].w, arrays[i]), i, -1});
            for (int s = 0; s < slots(); ++s)
                all.push_back({begin_of(arrays[i].slot[s]), end_of(arrays[i].slot[s], arrays[i]), i, s});
        }
        std::sort(all.begin(), all.end(), [](const Moving& a, const Moving& b) { return a.begin < b.begin; });
        for (std::size_t i = 0; i < arrays.size(); ++i) {
            if (arrays[i].n == 0) continue;
            const char *const begin = begin_of(arrays[i].g), *const end = end_of(begin, arrays[i]);
            const auto next =
                std::partition_point(all.begin(), all.end(), [=](const Moving& m) { return m.begin < end; });
            if (next == all.begin() || std::prev(next)->end <= begin) continue;
            const Moving& met = *std::prev(next);
            const std::string other =
                met.slot < 0 ? params.label(met.array) : state.label(met.array) + "[" + std::to_string(met.slot) + "]";
            throw py::value_error(grads.label(i) + " shares memory with " + other + "; pass a copy.");
        }
    }

    const std::unique_ptr<Stepper> stepper_;
};

}  // namespace

void bind_stepper(py::module_& m) {
    py::class_<StepperOnArrays>(m, "Stepper")
        .def(py::init<const std::string&, const std::vector<std::pair<std::string, double>>&, double, double, double,
                      double>(),
             py::arg("rule"), py::arg("fields"), py::arg("coupled"), py::arg("decay"), py::arg("clip_value"),
             py::arg("clip_norm"))
        .def_property_readonly("slots", &StepperOnArrays::slots)
        .def("arrays", &StepperOnArrays::arrays, py::arg("params"))
        .def("step", &StepperOnArrays::step, py::arg("params"), py::arg("grads"), py::arg("slots"), py::arg("number"),
             py::arg("rate"), py::arg("carry"), py::arg("threads"));
}

}  // namespace fg
