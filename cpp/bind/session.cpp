// Session: a fit of K outputs that share X. Arrays are borrowed, weights are trained in place, the GIL is
// released while the team works.
#include <pybind11/stl.h>

#include <algorithm>
#include <deque>
#include <limits>

#include "bind/arrays.hpp"
#include "bind/bind.hpp"
#include "bind/gil.hpp"
#include "parts/losses.hpp"
#include "train/linear/sequential_job.hpp"

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

// Bottou's t0 (scikit-learn's "optimal"): such that the first step is about the size of a typical weight.
double optimal_shift(const PartSpec& loss, double alpha) {
    const double typical = std::sqrt(1.0 / std::sqrt(alpha));
    double first = typical;
    with_part<Losses>(loss, [&](auto part) { first = typical / std::max(1.0, part.at(1.0, -typical).slope); });
    return 1.0 / (first * alpha);
}

Plan plan_of(const py::dict& d) {
    const auto number = [&](const char* key) { return py::cast<double>(d[key]); };
    const auto count = [&](const char* key) { return py::cast<Index>(d[key]); };
    const auto flag = [&](const char* key) { return py::cast<bool>(d[key]); };
    Plan plan;
    plan.loss.name = py::cast<std::string>(d["loss"]);
    for (const auto& [key, value] : py::cast<py::dict>(d["loss_parameters"]))
        plan.loss.values.emplace_back(py::cast<std::string>(key), py::cast<double>(value));
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
    if (schedule.rate == Rate::optimal) schedule.shift = optimal_shift(plan.loss, schedule.alpha);
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

class AnySession {
public:
    virtual ~AnySession() = default;
    virtual const char* run(int threads, const py::object& look, std::size_t epochs) = 0;
    virtual py::list reports() const = 0;
};

// A job that pauses after some epochs; 0: never.
template <class View>
class Stretch final : public Job {
public:
    Stretch(SequentialJob<View>& job, std::size_t epochs)
        : job_(job), until_(epochs > 0 ? job.history().size() + epochs : std::numeric_limits<std::size_t>::max()) {}
    bool advance() override { return job_.advance() && job_.history().size() < until_; }

private:
    SequentialJob<View>& job_;
    const std::size_t until_;
};

template <class View>
class SessionOf final : public AnySession {
    using T = typename View::Scalar;

public:
    SessionOf(const View& X, const View* X_val, const py::dict& a) : plan_(plan_of(py::cast<py::dict>(a["plan"]))) {
        require(X.rows() > 0 && X.rows() <= 0x7fffffff, "X: the number of rows must be between 1 and 2^31 - 1");
        require(X.cols() > 0, "X: must have at least one column");
        Targets<T> targets;
        targets.y = data_of<T>(py::cast<py::array>(a["y"]), X.rows(), "y");
        targets.weight = optional_data_of<T>(a["sample_weight"], X.rows(), "sample_weight");
        const auto* held_out = optional_data_of<bool>(a["held_out"], X.rows(), "held_out");
        if (X_val) {
            require(X_val->cols() == X.cols(), "X_val: must have as many columns as X");
            validation_.X.emplace(*X_val);
            validation_.count = X_val->rows();
            validation_.y = data_of<T>(py::cast<py::array>(a["y_val"]), X_val->rows(), "y_val");
            validation_.weight = optional_data_of<T>(a["sample_weight_val"], X_val->rows(), "sample_weight_val");
        } else if (held_out) {
            validation_.X.emplace(X);
            validation_.y = targets.y;
            validation_.weight = targets.weight;
            for (Index i = 0; i < X.rows(); ++i)
                if (held_out[i]) validation_.rows.push_back(std::uint32_t(i));
            validation_.count = Index(validation_.rows.size());
        }
        require(!held_out || validation_.count < X.rows(), "held_out: no row is left to train on");

        const auto labels = py::cast<std::vector<int>>(a["labels"]);
        const auto seeds = py::cast<std::vector<std::uint32_t>>(a["seeds"]);
        const auto weights = py::cast<std::vector<std::pair<double, double>>>(a["side_weights"]);
        const std::size_t outputs = labels.size();
        require(seeds.size() == outputs && weights.size() == outputs, "labels, seeds, side_weights: lengths differ");
        auto coef = py::cast<py::array>(a["coef"]);
        auto intercept = py::cast<py::array>(a["intercept"]);
        Output<T> output;
        T* const w = mutable_data_of<T>(coef, Index(outputs) * X.cols(), "coef");
        double* const b = mutable_data_of<double>(intercept, Index(outputs), "intercept");
        T* average = nullptr;
        double* average_b = nullptr;
        if (!a["average_coef"].is_none()) {
            auto array = py::cast<py::array>(a["average_coef"]);
            auto intercepts = py::cast<py::array>(a["average_intercept"]);
            average = mutable_data_of<T>(array, Index(outputs) * X.cols(), "average_coef");
            average_b = mutable_data_of<double>(intercepts, Index(outputs), "average_intercept");
        }
        reported_.resize(outputs);
        for (std::size_t k = 0; k < outputs; ++k) {
            targets.label = labels[k];
            targets.side_weight[0] = T(weights[k].first);
            targets.side_weight[1] = T(weights[k].second);
            output.coef = w + Index(k) * X.cols();
            output.intercept = b + k;
            output.seed = seeds[k];
            if (average) {
                output.average = average + Index(k) * X.cols();
                output.average_intercept = average_b + k;
            }
            jobs_.push_back(make_sequential_job(X, targets, reinterpret_cast<const std::uint8_t*>(held_out),
                                                validation_.count ? &validation_ : nullptr, plan_, output,
                                                py::cast<double>(a["t"])));
        }
    }

    // look(job, epochs) is called with what has been finished since the last call.
    const char* run(int threads, const py::object& look, std::size_t epochs) override {
        std::deque<Stretch<View>> stretches;
        std::vector<Job*> jobs;
        for (const auto& job : jobs_)
            if (job->stop() == Stop::none) jobs.push_back(&stretches.emplace_back(*job, epochs));
        try {
            WithoutGil unlocked;
            Team(threads).run(jobs, [&] {
                unlocked.with_gil([&] {
                    if (PyErr_CheckSignals() != 0) throw py::error_already_set();
                    if (look.is_none()) return;
                    for (std::size_t k = 0; k < jobs_.size(); ++k) {
                        const auto& history = jobs_[k]->history();
                        if (history.size() > reported_[k]) look(k, history_of(history, reported_[k]));
                        reported_[k] = history.size();
                    }
                });
            });
        } catch (py::error_already_set& error) {
            if (!error.matches(PyExc_KeyboardInterrupt)) throw;
            return "interrupted";
        }
        const bool done = std::all_of(jobs_.begin(), jobs_.end(), [](auto& job) { return job->stop() != Stop::none; });
        return done ? "done" : "paused";
    }

    py::list reports() const override {
        py::list reports;
        for (const auto& job : jobs_) {
            job->publish();
            reports.append(py::make_tuple(stop_name(job->stop()), history_of(job->history(), 0)));
        }
        return reports;
    }

private:
    const Plan plan_;
    Validation<View> validation_{};
    std::vector<std::unique_ptr<SequentialJob<View>>> jobs_;
    std::vector<std::size_t> reported_;
};

template <class View, class Make>
std::unique_ptr<AnySession> session_with(const py::dict& a, Make make) {
    const View X = make(a["X"]);
    if (a["X_val"].is_none()) return std::make_unique<SessionOf<View>>(X, nullptr, a);
    const View X_val = make(a["X_val"]);
    return std::make_unique<SessionOf<View>>(X, &X_val, a);
}

template <class T>
std::unique_ptr<AnySession> session_of(const py::dict& a) {
    if (!py::isinstance<py::tuple>(a["X"]))
        return session_with<Dense<T>>(a, [](const py::object& X) { return dense_view<T>(py::cast<py::array>(X)); });
    if (py::cast<py::array>(py::cast<py::tuple>(a["X"])[1]).itemsize() == 4)
        return session_with<Csr<T, std::int32_t>>(
            a, [](const py::object& X) { return csr_view<T, std::int32_t>(py::cast<py::tuple>(X)); });
    return session_with<Csr<T, std::int64_t>>(
        a, [](const py::object& X) { return csr_view<T, std::int64_t>(py::cast<py::tuple>(X)); });
}

// Keeps the arrays alive for as long as the jobs point into them.
class Session {
public:
    explicit Session(const py::kwargs& arrays)
        : arrays_(arrays),
          session_(py::cast<py::array>(arrays["coef"]).itemsize() == 4 ? session_of<float>(arrays)
                                                                       : session_of<double>(arrays)) {}
    const char* run(int threads, const py::object& look, std::size_t epochs) {
        return one_at_a_time_.run([&] { return session_->run(threads, look, epochs); });
    }
    py::list reports() {
        return one_at_a_time_.run([&] { return session_->reports(); });
    }

private:
    py::dict arrays_;
    std::unique_ptr<AnySession> session_;
    OneAtATime one_at_a_time_;
};

}  // namespace

void bind_session(py::module_& m) {
    py::class_<Session>(m, "Session", "A fit of one or more outputs over one matrix; see cpp/README.md.")
        .def(py::init<const py::kwargs&>())
        .def("run", &Session::run, py::arg("threads"), py::arg("look") = py::none(), py::arg("epochs") = 0,
             "Train each output for so many epochs at most (0: to its end): \"done\", \"paused\" or \"interrupted\".")
        .def("reports", &Session::reports,
             "Leave the weights so far in their arrays; (stop reason or \"none\", history) of each output.");
}

}  // namespace fg
