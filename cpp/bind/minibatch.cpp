// MiniBatch: the mini-batch engine on borrowed arrays, an epoch a call.
#include <pybind11/stl.h>

#include "bind/arrays.hpp"
#include "bind/bind.hpp"
#include "bind/goals.hpp"
#include "train/linear/minibatch.hpp"

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
    recipe.multinomial = py::cast<bool>(d["multinomial"]);
    recipe.penalty = {number("l2"), number("l1"), number("coupled"), number("decay"), py::cast<bool>(d["positive"])};
    if (!d["clip_value"].is_none()) recipe.clip_value = number("clip_value");
    if (!d["clip_norm"].is_none()) recipe.clip_norm = number("clip_norm");
    recipe.intercept_decay = number("intercept_decay");
    return recipe;
}

// What a model begins an epoch with: (first step, carry, rates, first step of its average).
using Begins = std::vector<std::tuple<Index, double, py::array_t<double, py::array::c_style>, Index>>;

class AnyMiniBatch {
public:
    virtual ~AnyMiniBatch() = default;
    virtual Index batches() const = 0;
    virtual py::tuple epoch(Index number, const Begins& begins, int threads) = 0;
    void stop() { stopped_ = true; }

protected:
    std::atomic<bool> stopped_{false};
};

template <class View>
class MiniBatchOf final : public AnyMiniBatch {
    using T = typename View::Scalar;

public:
    MiniBatchOf(const View& X, const py::dict& a) {
        require(X.rows() > 0 && X.rows() <= 0x7fffffff, "X: the number of rows must be between 1 and 2^31 - 1");
        require(X.cols() > 0, "X: must have at least one column");
        Stream stream;
        if (!a["rows"].is_none()) {
            const auto listed = py::cast<py::array>(a["rows"]);
            const auto* const first = data_of<std::uint32_t>(listed, listed.size(), "rows");
            stream.listed.assign(first, first + listed.size());
            require(!stream.listed.empty(), "rows: none is left to train on");
            for (const auto row : stream.listed) require(Index(row) < X.rows(), "rows: a number is out of range");
        }
        stream.batch = py::cast<Index>(a["batch_size"]);
        stream.shuffle = shuffle_of(py::cast<int>(a["shuffle"]));
        stream.seed = py::cast<std::uint64_t>(a["seed"]);
        const auto goals = goals_of<T>(a, X.rows());
        const Index size = (X.cols() + 1) * goals.width;
        std::vector<Model<T>> models;
        for (const auto& each : py::cast<py::list>(a["models"])) {
            const auto d = py::cast<py::dict>(each);
            Model<T> model{recipe_of(d), goals, {}};
            weigh(model.goals, d, X.rows());
            model.flat = flat_of<T>(d, size, model.recipe.rule);
            models.push_back(std::move(model));
        }
        require(!models.empty(), "models: there is none");
        engine_ = make_minibatch(X, py::cast<bool>(a["sorted"]), std::move(stream), std::move(models));
    }

    Index batches() const override { return engine_->batches(); }

    py::tuple epoch(Index number, const Begins& begins, int threads) override {
        auto& models = engine_->models();
        require(begins.size() == models.size(), "begins: one for each model");
        for (std::size_t m = 0; m < models.size(); ++m) {
            const auto& [first_step, carry, rates, average_from] = begins[m];
            require(rates.size() == engine_->batches(), "rates: one for each batch");
            models[m].first_step = first_step;
            models[m].carry[0] = carry;
            models[m].rates = rates.data();
            models[m].average_from = average_from;
        }
        bool interrupted = false;
        EpochResult result;
        {
            WithoutGil unlocked;
            result = engine_->epoch(number, threads, look_for_signals(unlocked, interrupted, &stopped_));
        }
        raise_unless_interrupt(interrupted);
        py::list seen;
        for (const auto& model : models)
            seen.append(py::make_tuple(model.loss, model.penalty, engine_->carry_after(model), model.finite));
        return py::make_tuple(result.batches, result.rows, interrupted, seen);
    }

private:
    std::unique_ptr<MiniBatch<T>> engine_;
};

template <class T>
std::unique_ptr<AnyMiniBatch> minibatch_of(const py::dict& a) {
    const py::object X = a["X"];
    if (!py::isinstance<py::tuple>(X))
        return std::make_unique<MiniBatchOf<Dense<T>>>(dense_view<T>(py::cast<py::array>(X)), a);
    const auto parts = py::cast<py::tuple>(X);
    const int threads = py::cast<int>(a["threads"]);
    if (py::cast<py::array>(parts[1]).itemsize() == 4)
        return std::make_unique<MiniBatchOf<Csr<T, std::int32_t>>>(csr_view<T, std::int32_t>(parts, threads), a);
    return std::make_unique<MiniBatchOf<Csr<T, std::int64_t>>>(csr_view<T, std::int64_t>(parts, threads), a);
}

// Keeps the arrays alive for as long as the engine points into them.
class MiniBatchOnArrays {
public:
    explicit MiniBatchOnArrays(const py::kwargs& arrays)
        : arrays_(arrays),
          engine_(py::cast<py::array>(arrays["y"]).itemsize() == 4 ? minibatch_of<float>(arrays)
                                                                   : minibatch_of<double>(arrays)) {}
    AnyMiniBatch& engine() { return *engine_; }
    OneAtATime& one_at_a_time() { return one_at_a_time_; }

private:
    py::dict arrays_;
    std::unique_ptr<AnyMiniBatch> engine_;
    OneAtATime one_at_a_time_;
};

py::array_t<std::uint32_t> order_of(Index n, Index batch, double row_bytes, int shuffle, std::uint64_t seed,
                                    std::uint64_t epoch) {
    require(n >= 0 && n <= 0x7fffffff, "n: must be between 0 and 2^31 - 1");
    py::array_t<std::uint32_t> order(n);
    row_order(order.mutable_data(), n, std::clamp<Index>(batch, 1, std::max<Index>(n, 1)), row_bytes,
              shuffle_of(shuffle), seed, epoch);
    return order;
}

}  // namespace

void bind_minibatch(py::module_& m) {
    py::class_<MiniBatchOnArrays>(m, "MiniBatch", "The mini-batch engine; see cpp/README.md.")
        .def(py::init<const py::kwargs&>())
        .def_property_readonly("batches", [](MiniBatchOnArrays& self) { return self.engine().batches(); })
        .def(
            "epoch",
            [](MiniBatchOnArrays& self, Index number, const Begins& begins, int threads) {
                return self.one_at_a_time().run([&] { return self.engine().epoch(number, begins, threads); });
            },
            py::arg("number"), py::arg("begins"), py::arg("threads"),
            "(batches, rows, interrupted, [(sum of losses, mean penalty, carry, finite) of each model]); each begins "
            "with (first step, carry, rates, first step of its average).")
        .def(
            "stop", [](MiniBatchOnArrays& self) { self.engine().stop(); },
            "Break off the epoch that another thread is in, and all that may follow.");
    m.def(
        "outputs_width",
        [](Index outputs, int itemsize) {
            return itemsize == 4 ? width_of<float>(outputs) : width_of<double>(outputs);
        },
        py::arg("outputs"), py::arg("itemsize"), "How many columns the engine's weights have for so many outputs.");
    m.def(
        "rule_slots",
        [](const std::string& name, const py::dict& values) {
            const auto updater = make_updater<double>(part_of(py::str(name), values));
            return py::make_tuple(updater->slots(), updater->answer());
        },
        py::arg("name"), py::arg("values"), "(number of slots, slot of the weights to use or -1) of a rule.");
    m.def("row_order", &order_of, py::arg("n"), py::arg("batch_size"), py::arg("row_bytes"), py::arg("shuffle"),
          py::arg("seed"), py::arg("epoch"),
          "Order of rows in an epoch of the mini-batch engine; shuffle: 0 none, 1 blocks, 2 rows.");
}

}  // namespace fg
