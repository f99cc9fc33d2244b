// Session: a fit of K outputs that share X. Arrays are borrowed, weights are trained in place, the GIL is
// released while the team works.
#include "bind/tasks.hpp"

namespace fg {

namespace {

const char* stop_name(Stop stop) {
    switch (stop) {
        case Stop::converged:
            return "converged";
        case Stop::early_stopping:
            return "early_stopping";
        case Stop::max_iter:
            return "max_iter";
        case Stop::diverged:
            return "diverged";
        default:
            return "none";
    }
}

Rate rate_of(const std::string& name) {
    static constexpr std::pair<const char*, Rate> rates[] = {
        {"constant", Rate::constant}, {"optimal", Rate::optimal}, {"invscaling", Rate::invscaling},
        {"adaptive", Rate::adaptive}, {"pa1", Rate::pa1},         {"pa2", Rate::pa2}};
    for (const auto& [known, rate] : rates)
        if (name == known) return rate;
    throw BadArgument("there is no learning rate named " + name);
}

Plan plan_of(const py::dict& d) {
    const auto number = [&](const char* key) { return py::cast<double>(d[key]); };
    const auto count = [&](const char* key) { return py::cast<Index>(d[key]); };
    const auto flag = [&](const char* key) { return py::cast<bool>(d[key]); };
    Plan plan;
    plan.loss = part_of(d["loss"], d["loss_parameters"]);
    auto& settings = plan.settings;
    settings.l2 = number("l2");
    settings.l1 = number("l1");
    settings.intercept_decay = number("intercept_decay");
    settings.offset_rate = number("offset_rate");
    settings.average_from = number("average_from");
    auto& schedule = settings.schedule;
    schedule.rate = rate_of(py::cast<std::string>(d["learning_rate"]));
    schedule.eta0 = number("eta0");
    schedule.power_t = number("power_t");
    schedule.alpha = number("alpha");
    plan.shuffle = flag("shuffle");
    plan.early_stopping = flag("early_stopping");
    plan.restore_best = flag("restore_best_weights");
    plan.regression = flag("regression");
    plan.detail = flag("detail");
    plan.max_iter = count("max_iter");
    plan.patience = count("n_iter_no_change");
    if (!d["tol"].is_none()) plan.tol = number("tol");
    return plan;
}

// One row a job and an epoch, in the order of the fields of Epoch.
py::list history_of(const std::vector<Epoch>& history, std::size_t from) {
    py::list rows;
    for (std::size_t i = from; i < history.size(); ++i) {
        const Epoch& e = history[i];
        rows.append(py::make_tuple(e.loss, e.objective, e.score, e.validation_loss, e.norm, e.nonzeros, e.intercept));
    }
    return rows;
}

SequentialTask sequential_task_of(const py::dict& a) {
    SequentialTask task;
    auto coef = py::cast<py::array>(a["coef"]);
    auto intercept = py::cast<py::array>(a["intercept"]);
    const Dtype dtype = dtype_of(coef);
    task.plan = plan_of(py::cast<py::dict>(a["plan"]));
    task.X = matrix_to_fit(a["X"], dtype, false);
    const Index rows = task.X.rows, cols = task.X.cols;
    task.y = data_of(py::cast<py::array>(a["y"]), dtype, rows, "y");
    task.sample_weight = optional_data_of(a["sample_weight"], dtype, rows, "sample_weight");
    task.held_out = reinterpret_cast<const std::uint8_t*>(optional_data_of<bool>(a["held_out"], rows, "held_out"));
    if (!a["X_val"].is_none()) {
        task.X_val = matrix_of(a["X_val"], dtype);
        task.y_val = data_of(py::cast<py::array>(a["y_val"]), dtype, task.X_val.rows, "y_val");
        task.sample_weight_val = optional_data_of(a["sample_weight_val"], dtype, task.X_val.rows, "sample_weight_val");
    }
    task.t = py::cast<double>(a["t"]);

    const auto labels = py::cast<std::vector<int>>(a["labels"]);
    const auto seeds = py::cast<std::vector<std::uint32_t>>(a["seeds"]);
    const auto weights = py::cast<std::vector<std::pair<double, double>>>(a["side_weights"]);
    const Index outputs = Index(labels.size());
    require(seeds.size() == labels.size() && weights.size() == labels.size(),
            "labels, seeds, side_weights: lengths differ");
    char* const w = static_cast<char*>(mutable_data_of(coef, dtype, outputs * cols, "coef"));
    double* const b = mutable_data_of<double>(intercept, outputs, "intercept");
    char* average = nullptr;
    double* average_b = nullptr;
    if (!a["average_coef"].is_none()) {
        auto array = py::cast<py::array>(a["average_coef"]);
        auto intercepts = py::cast<py::array>(a["average_intercept"]);
        average = static_cast<char*>(mutable_data_of(array, dtype, outputs * cols, "average_coef"));
        average_b = mutable_data_of<double>(intercepts, outputs, "average_intercept");
    }
    for (Index k = 0; k < outputs; ++k) {
        const auto& [outside, inside] = weights[std::size_t(k)];
        const Index offset = k * cols * coef.itemsize();
        task.outputs.push_back({.coef = w + offset,
                                .average = average ? average + offset : nullptr,
                                .intercept = b + k,
                                .average_intercept = average_b ? average_b + k : nullptr,
                                .seed = seeds[std::size_t(k)],
                                .label = labels[std::size_t(k)],
                                .side_weight = {outside, inside}});
    }
    return task;
}

// Keeps the arrays alive for as long as the fit points into them.
class Session {
public:
    explicit Session(const py::kwargs& arrays) : arrays_(arrays) {
        const auto task = sequential_task_of(arrays);
        fit_ = engine().sequential_fit(task);
        reported_.resize(task.outputs.size());
    }

    // callback(output, epochs) is called with what has been finished since the last call.
    const char* run(int threads, const py::object& callback, std::size_t epochs) {
        return one_at_a_time_.run([&] {
            try {
                WithoutGil unlocked;
                const bool done = fit_->run(threads, epochs, [&] { unlocked.with_gil([&] { report(callback); }); });
                return done ? "done" : "paused";
            } catch (py::error_already_set& error) {
                if (!error.matches(PyExc_KeyboardInterrupt)) throw;
                return "interrupted";
            }
        });
    }

    py::list reports() {
        return one_at_a_time_.run([&] {
            fit_->publish();
            py::list reports;
            for (std::size_t k = 0; k < reported_.size(); ++k)
                reports.append(py::make_tuple(stop_name(fit_->stop(k)), history_of(fit_->history(k), 0)));
            return reports;
        });
    }

private:
    void report(const py::object& callback) {
        if (PyErr_CheckSignals() != 0) throw py::error_already_set();
        if (callback.is_none()) return;
        for (std::size_t k = 0; k < reported_.size(); ++k) {
            const auto& history = fit_->history(k);
            if (history.size() > reported_[k]) callback(k, history_of(history, reported_[k]));
            reported_[k] = history.size();
        }
    }

    py::dict arrays_;
    std::unique_ptr<SequentialFit> fit_;
    std::vector<std::size_t> reported_;  // epochs of each output that the callback knows
    OneAtATime one_at_a_time_;
};

}  // namespace

void bind_sequential(py::module_& m) {
    py::class_<Session>(m, "Session", "A fit of one or more outputs over one matrix; see cpp/README.md.")
        .def(py::init<const py::kwargs&>())
        .def("run", &Session::run, py::arg("threads"), py::arg("callback") = py::none(), py::arg("epochs") = 0,
             "Train each output for so many epochs at most (0: to its end): \"done\", \"paused\" or \"interrupted\".")
        .def("reports", &Session::reports,
             "Leave the weights so far in their arrays; (stop reason or \"none\", history) of each output.");
}

}  // namespace fg
