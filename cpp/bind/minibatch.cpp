// MiniBatch: the mini-batch engine on borrowed arrays, an epoch a call.
#include <algorithm>

#include "bind/tasks.hpp"

namespace fg {

namespace {

Shuffle shuffle_of(int number) {
    require(number >= 0 && number <= 2, "shuffle: 0 (none), 1 (blocks) or 2 (rows)");
    return Shuffle(number);
}

Recipe recipe_of(const py::dict& d) {
    const auto number = [&](const char* key) { return py::cast<double>(d[key]); };
    Recipe recipe;
    recipe.loss = part_of(d["loss"], d["loss_parameters"]);
    recipe.rule = part_of(d["rule"], d["rule_parameters"]);
    recipe.lazy = py::cast<bool>(d["lazy"]);
    recipe.multinomial = py::cast<bool>(d["multinomial"]);
    recipe.penalty = {number("l2"), number("l1"), number("coupled"), number("decay"), py::cast<bool>(d["positive"])};
    if (!d["clip_value"].is_none()) recipe.clip_value = number("clip_value");
    if (!d["clip_norm"].is_none()) recipe.clip_norm = number("clip_norm");
    recipe.intercept_decay = number("intercept_decay");
    return recipe;
}

UnitsTask units_of(const py::dict& d, Dtype dtype) {
    UnitsTask units;
    const auto numbers = [&](const char* name, Numbers& numbers) {
        if (!d[name].is_none()) numbers = rows_of(d[name], dtype, name);
    };
    numbers("unit", units.unit);
    numbers("pull", units.pull);
    numbers("centre", units.centre);
    if (!d["limit"].is_none()) units.limit = py::cast<double>(d["limit"]);
    return units;
}

// What a model begins an epoch with: (first step, carry, rates, first step of its average).
using Begins = std::vector<std::tuple<Index, double, py::array_t<double, py::array::c_style>, Index>>;

MiniBatchTask minibatch_task_of(const py::dict& a) {
    const Dtype dtype = dtype_of(py::cast<py::array>(a["y"]));
    MiniBatchTask task;
    task.X = matrix_to_fit(a["X"], dtype, false, py::cast<int>(a["threads"]));
    task.sorted = py::cast<bool>(a["sorted"]);
    auto& stream = task.stream;
    if (!a["rows"].is_none()) {
        const auto listed = py::cast<py::array>(a["rows"]);
        const auto* const first = data_of<std::uint32_t>(listed, listed.size(), "rows");
        stream.listed.assign(first, first + listed.size());
        require(!stream.listed.empty(), "rows: none is left to train on");
    }
    stream.batch = py::cast<Index>(a["batch_size"]);
    stream.shuffle = shuffle_of(py::cast<int>(a["shuffle"]));
    stream.seed = py::cast<std::uint64_t>(a["seed"]);
    task.targets = targets_of(a, dtype, task.X.rows);
    for (const auto& each : py::cast<py::list>(a["models"])) {
        const auto d = py::cast<py::dict>(each);
        task.models.push_back(
            {recipe_of(d), weights_of(d, dtype, task.X.rows), trained_of(d, dtype), units_of(d, dtype)});
        require(!task.models.back().units.centre.data || task.X.index_bytes == 0, "centre: sparse rows have none");
    }
    return task;
}

// Keeps the arrays alive for as long as the fit points into them.
class MiniBatch {
public:
    explicit MiniBatch(const py::kwargs& arrays)
        : arrays_(arrays), fit_(engine().minibatch_fit(minibatch_task_of(arrays))) {}

    Index batches() const { return fit_->batches(); }
    void stop() { stopped_ = true; }

    py::tuple epoch(Index number, const Begins& begins, int threads) {
        return one_at_a_time_.run([&] {
            require(begins.size() == fit_->models(), "begins: one for each model");
            std::vector<ModelStart> starts;
            for (const auto& [first_step, carry, rates, average_from] : begins) {
                require(rates.size() == batches(), "rates: one for each batch");
                starts.push_back({first_step, carry, rates.data(), average_from});
            }
            bool interrupted = false;
            const EpochResult result = run_interruptibly(interrupted, &stopped_, [&](Callback callback) {
                return fit_->epoch(number, starts, threads, std::move(callback));
            });
            py::list seen;
            for (std::size_t m = 0; m < starts.size(); ++m) {
                const auto report = fit_->report(m);
                seen.append(py::make_tuple(report.loss, report.penalty, report.carry, report.finite));
            }
            return py::make_tuple(result.batches, result.rows, interrupted, seen);
        });
    }

private:
    py::dict arrays_;
    std::unique_ptr<MiniBatchFit> fit_;
    std::atomic<bool> stopped_{false};
    OneAtATime one_at_a_time_;
};

py::array_t<std::uint32_t> order_of(Index n, Index batch, double row_bytes, int shuffle, std::uint64_t seed,
                                    std::uint64_t epoch) {
    require(n >= 0 && n <= 0x7fffffff, "n: must be between 0 and 2^31 - 1");
    py::array_t<std::uint32_t> order(n);
    engine().row_order(order.mutable_data(), n, std::clamp<Index>(batch, 1, std::max<Index>(n, 1)), row_bytes,
                       shuffle_of(shuffle), seed, epoch);
    return order;
}

}  // namespace

void bind_minibatch(py::module_& m) {
    py::class_<MiniBatch>(m, "MiniBatch", "The mini-batch engine; see cpp/README.md.")
        .def(py::init<const py::kwargs&>())
        .def_property_readonly("batches", &MiniBatch::batches)
        .def("epoch", &MiniBatch::epoch, py::arg("number"), py::arg("begins"), py::arg("threads"),
             "(batches, rows, interrupted, [(sum of losses, mean penalty, carry, finite) of each model]); each begins "
             "with (first step, carry, rates, first step of its average).")
        .def("stop", &MiniBatch::stop, "Break off the epoch that another thread is in, and all that may follow.");
    m.def(
        "outputs_width",
        [](Index outputs, int itemsize) {
            return engine().outputs_width(outputs, itemsize == 4 ? Dtype::float32 : Dtype::float64);
        },
        py::arg("outputs"), py::arg("itemsize"), "How many columns the engine's weights have for so many outputs.");
    m.def(
        "rule_slots",
        [](const std::string& name, const py::dict& values) {
            return engine().rule_slots(part_of(py::str(name), values));
        },
        py::arg("name"), py::arg("values"),
        "(number of slots, slot of the weights to use or -1, whether coordinates without gradient can wait as if they "
        "had not) of a rule.");
    m.def("row_order", &order_of, py::arg("n"), py::arg("batch_size"), py::arg("row_bytes"), py::arg("shuffle"),
          py::arg("seed"), py::arg("epoch"),
          "Order of rows in an epoch of the mini-batch engine; shuffle: 0 none, 1 blocks, 2 rows.");
}

}  // namespace fg
