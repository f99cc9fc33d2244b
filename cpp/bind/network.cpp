// Network: layers and where their parameters lie; prediction. NetworkTraining: epochs on borrowed arrays.
#include "bind/tasks.hpp"

namespace fg {

namespace {

std::vector<NodeSpec> nodes_of(const py::list& list) {
    std::vector<NodeSpec> nodes;
    for (const auto& item : list) {
        const auto d = py::cast<py::dict>(item);
        NodeSpec node;
        node.name = py::cast<std::string>(d["name"]);
        node.in = py::cast<Index>(d["in"]);
        node.out = py::cast<Index>(d["out"]);
        for (const auto& [key, value] : py::cast<py::dict>(d["values"]))
            node.values.emplace_back(py::cast<std::string>(key), py::cast<double>(value));
        if (d.contains("activation")) node.activation = part_of(d["activation"], d["activation_parameters"]);
        if (d.contains("earlier")) node.earlier = py::cast<Index>(d["earlier"]);
        nodes.push_back(std::move(node));
    }
    return nodes;
}

Masking masking_of(const py::object& given) {
    if (given.is_none()) return {};
    const auto [steps, features, value] = py::cast<std::tuple<Index, Index, double>>(given);
    return {steps, features, value};
}

// (node, name, offset, rows, columns) of each.
py::list list_of(const std::vector<PlacedArray>& arrays) {
    py::list list;
    for (const auto& one : arrays) list.append(py::make_tuple(one.node, one.name, one.offset, one.rows, one.columns));
    return list;
}

std::vector<Numbers> numbers_of_all(const py::list& arrays, Dtype dtype, const char* name) {
    std::vector<Numbers> all;
    for (const auto& item : arrays) {
        const auto array = py::cast<py::array>(item);
        all.push_back({const_cast<void*>(data_of(array, dtype, array.size(), name)), array.size()});
    }
    return all;
}

// The layers by name and size.
class Layers {
public:
    Layers(const py::list& nodes, const py::object& masking)
        : layers_(engine().network_layers(nodes_of(nodes), masking_of(masking))) {}

    // Lengths of the flat arrays, and where in them what lies.
    py::tuple layout(int itemsize) const {
        const auto layout = layers_->layout(itemsize == 4 ? Dtype::float32 : Dtype::float64);
        return py::make_tuple(layout.trained_size, list_of(layout.trained), layout.kept_size, list_of(layout.kept));
    }
    double work() const { return layers_->work(); }

    py::array predict(const py::list& trained, const py::list& kept, const py::object& X, Index last, int threads) {
        const auto values = py::cast<py::array>(
            trained.empty() ? py::isinstance<py::tuple>(X) ? py::object(py::cast<py::tuple>(X)[0]) : X
                            : py::object(trained[0]));
        const Dtype dtype = dtype_of(values);
        const Matrix matrix = matrix_of(X, dtype);
        // Made, and left, with the GIL: so the network's layers are taken and given back by one at a time.
        const auto prediction = layers_->predict(numbers_of_all(trained, dtype, "weights"),
                                                 numbers_of_all(kept, dtype, "statistics"), matrix, last);
        auto out = empty(dtype, {matrix.rows, prediction->columns()});
        void* const to = out.mutable_data();
        bool interrupted = false;
        {
            WithoutGil unlocked;
            prediction->run(to, threads, check_signals(unlocked, interrupted));
        }
        if (interrupted) throw py::error_already_set();
        return out;
    }

private:
    const std::unique_ptr<NetworkLayers> layers_;
};

NetworkTask network_task_of(const py::dict& a) {
    NetworkTask task;
    const Dtype dtype = dtype_of(py::cast<py::array>(a["weights"]));
    const auto number = [&](const char* key) { return py::cast<double>(a[key]); };
    task.nodes = nodes_of(py::cast<py::list>(a["nodes"]));
    task.masking = masking_of(a["masking"]);
    task.X = matrix_to_fit(a["X"], dtype, true);
    task.targets = targets_of(a, dtype, task.X.rows);
    task.weights = weights_of(a, dtype, task.X.rows);
    task.smoothing = number("smoothing");
    auto& recipe = task.recipe;
    recipe.loss = part_of(a["loss"], a["loss_parameters"]);
    recipe.rule = part_of(a["rule"], a["rule_parameters"]);
    recipe.lazy = py::cast<bool>(a["lazy"]);
    recipe.multinomial = py::cast<bool>(a["multinomial"]);
    recipe.penalty = {number("l2"), 0.0, number("coupled"), number("decay"), false};
    recipe.penalty_of_batch = py::cast<bool>(a["penalty_of_batch"]);
    if (!a["clip_value"].is_none()) recipe.clip_value = number("clip_value");
    if (!a["clip_norm"].is_none()) recipe.clip_norm = number("clip_norm");
    recipe.average_share = number("average_share");
    recipe.batch = py::cast<Index>(a["batch_size"]);
    recipe.seed = py::cast<std::uint64_t>(a["seed"]);
    task.trained = trained_of(a, dtype);
    task.kept = numbers_of(a["kept"], dtype, "kept");
    return task;
}

// Keeps the arrays alive for as long as the fit points into them.
class NetworkTraining {
public:
    explicit NetworkTraining(const py::kwargs& arrays) : arrays_(arrays) {
        const auto task = network_task_of(arrays);
        dtype_ = task.X.dtype;
        rows_ = task.X.rows;
        size_ = task.trained.weights.size;
        fit_ = engine().network_fit(task);
    }

    Index batches() const { return fit_->batches(); }
    Index workspace() const { return fit_->workspace(); }

    py::tuple train(Index epochs, const py::object& order, const py::array_t<double, py::array::c_style>& rates,
                    Index first_step, double carry, int threads) {
        return one_at_a_time_.run([&] {
            require(rates.size() == epochs * batches(), "rates: one for each batch of each epoch");
            const auto* const numbers = optional_data_of<std::uint32_t>(order, epochs * rows_, "order");
            for (Index i = 0; numbers && i < epochs * rows_; ++i)
                require(Index(numbers[i]) < rows_, "order: a row number is out of range");
            bool interrupted = false;
            const TrainingResult result = run_interruptibly(interrupted, nullptr, [&](Callback callback) {
                return fit_->train(epochs, numbers, rates.data(), first_step, carry, threads, std::move(callback));
            });
            return py::make_tuple(result.epochs, result.batches, result.loss, result.penalty, result.carry,
                                  result.finite, interrupted);
        });
    }

    py::tuple evaluate(py::array gradient, int threads) {
        return one_at_a_time_.run([&] {
            void* const g = mutable_data_of(gradient, dtype_, size_, "gradient");
            std::pair<double, double> values;
            bool interrupted = false;
            {
                WithoutGil unlocked;
                values = fit_->evaluate(g, threads, check_signals(unlocked, interrupted));
            }
            if (interrupted) throw py::error_already_set();
            return py::make_tuple(values.first, values.second);
        });
    }

private:
    py::dict arrays_;
    std::unique_ptr<NetworkFit> fit_;
    Dtype dtype_{};
    Index rows_ = 0, size_ = 0;
    OneAtATime one_at_a_time_;
};

}  // namespace

void bind_network(py::module_& m) {
    py::class_<Layers>(m, "Network", "Layers in a row; see cpp/README.md.")
        .def(py::init<const py::list&, const py::object&>(), py::arg("nodes"), py::arg("masking"))
        .def_property_readonly("work", &Layers::work, "Multiply-adds of a row, about.")
        .def("layout", &Layers::layout, py::arg("itemsize"),
             "(length, arrays) of what is trained, then of what is kept; an array is (node, name, offset, rows, "
             "columns).")
        .def("predict", &Layers::predict, py::arg("trained"), py::arg("kept"), py::arg("X"), py::arg("last"),
             py::arg("threads"), "What node `last` (1, 2, ...) makes of X.");
    py::class_<NetworkTraining>(m, "NetworkTraining", "Training of a network; see cpp/README.md.")
        .def(py::init<const py::kwargs&>())
        .def_property_readonly("batches", &NetworkTraining::batches)
        .def_property_readonly("workspace", &NetworkTraining::workspace, "Bytes besides parameters.")
        .def("train", &NetworkTraining::train, py::arg("epochs"), py::arg("order"), py::arg("rates"),
             py::arg("first_step"), py::arg("carry"), py::arg("threads"),
             "(epochs, batches, losses, penalties, carry, finite, interrupted)")
        .def("evaluate", &NetworkTraining::evaluate, py::arg("gradient"), py::arg("threads"),
             "(loss, penalty) over all rows; writes the gradient. Raises what a signal raises.");
}

}  // namespace fg
