// Network: layers and where their parameters lie; prediction. NetworkTraining: epochs on borrowed arrays.
#include <pybind11/stl.h>

#include "bind/arrays.hpp"
#include "bind/bind.hpp"
#include "bind/fields.hpp"
#include "bind/goals.hpp"
#include "kernel/activate.hpp"
#include "parts/activations.hpp"
#include "train/network/inference.hpp"
#include "train/network/training.hpp"

namespace fg {

namespace {

py::list activation_catalog() {
    py::list catalog;
    Activations::each([&](auto activation) {
        catalog.append(py::make_tuple(activation.name, activation.doc, fields_of(activation)));
    });
    return catalog;
}

// (outputs, slopes) of an activation for an array of its inputs, in their type.
template <class T>
py::tuple activation_points(const std::string& name, const std::vector<std::pair<std::string, double>>& fields,
                            const py::array_t<T, py::array::c_style>& x) {
    py::array_t<T> y(x.size()), slope(x.size());
    std::copy_n(x.data(), x.size(), y.mutable_data());
    std::fill_n(slope.mutable_data(), x.size(), T(1));
    with_part<Activations>(PartSpec{name, fields}, [&](auto part) {
        const ActivateOf<T, decltype(part)> activate(part);
        activate.forward(y.mutable_data(), y.size());
        activate.slope(activate.from_output() ? y.data() : x.data(), slope.mutable_data(), y.size());
    });
    return py::make_tuple(y, slope);
}

using Specs = std::shared_ptr<const std::vector<NodeSpec>>;

Specs nodes_of(const py::list& list) {
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
    return std::make_shared<const std::vector<NodeSpec>>(std::move(nodes));
}

Masking masking_of(const py::object& given) {
    if (given.is_none()) return {};
    const auto [steps, features, value] = py::cast<std::tuple<Index, Index, double>>(given);
    return {steps, features, value};
}

py::list layout_of(const std::vector<Placed>& placed) {
    py::list list;
    for (const auto& one : placed)
        list.append(py::make_tuple(one.node, one.piece.name, one.offset, one.piece.rows, one.piece.columns));
    return list;
}

template <class T>
std::unique_ptr<Design<T>> design_of(const py::object& X) {
    if (!py::isinstance<py::tuple>(X)) return std::make_unique<DenseDesign<T>>(dense_view<T>(py::cast<py::array>(X)));
    const auto parts = py::cast<py::tuple>(X);
    if (py::cast<py::array>(parts[1]).itemsize() == 4)
        return std::make_unique<SparseDesign<T, std::int32_t>>(csr_view<T, std::int32_t>(parts));
    return std::make_unique<SparseDesign<T, std::int64_t>>(csr_view<T, std::int64_t>(parts));
}

template <class T>
std::vector<T*> pointers_of(const py::list& arrays, const std::vector<Placed>& placed) {
    require(arrays.size() == placed.size(), "not as many arrays as the network has");
    std::vector<T*> pointers;
    for (std::size_t i = 0; i < placed.size(); ++i)
        pointers.push_back(
            const_cast<T*>(data_of<T>(py::cast<py::array>(arrays[i]), placed[i].piece.size(), placed[i].piece.name)));
    return pointers;
}

// Layers ready for a row, between calls: to make them takes as long as a small network does.
template <class T>
struct Ready {
    Ready(const Specs& specs, const Masking& masking, Index last, bool sparse)
        : network(specs, masking), last(last), sparse(sparse) {
        require(last >= 1 && last <= network.nodes(), "layer: there is none of that number");
        network.defer_activations(last);
    }
    void bind(std::vector<T*> trained, std::vector<T*> kept) {
        if (trained == trained_ && kept == kept_) return;
        network.bind(trained, kept);
        trained_ = std::move(trained), kept_ = std::move(kept);
    }

    Network<T> network;
    const Index last;
    const bool sparse;
    std::unique_ptr<Inference<T>> inference;

private:
    std::vector<T*> trained_, kept_;
};

// What value `last` of the network is for the rows of X. Each call has layers of its own, so that calls may run side by
// side; those of a single row it takes from `ready`, and leaves there. (The GIL is held where that happens.)
template <class T>
py::array_t<T> predict(const Specs& specs, const Masking& masking, std::unique_ptr<Ready<T>>& ready,
                       TeamSize::Memory& sizes, const py::list& trained, const py::list& kept, const py::object& X,
                       Index last, int threads) {
    const auto design = design_of<T>(X);
    const bool one_row = design->rows == 1;
    auto own = one_row ? std::move(ready) : nullptr;
    if (!own || own->last != last || own->sparse != design->sparse())
        own = std::make_unique<Ready<T>>(specs, masking, last, design->sparse());
    auto& network = own->network;
    own->bind(pointers_of<T>(trained, network.trained()), pointers_of<T>(kept, network.kept()));
    require(design->cols == network.size_of(0), "X: not as many columns as the network takes");
    py::array_t<T> out({design->rows, network.size_of(last)});
    T* const to = out.mutable_data();
    bool interrupted = false;
    {
        WithoutGil unlocked;
        Watch watch(look_for_signals(unlocked, interrupted));
        for (Index k = 0; k < last; ++k) network.layer(k).refresh(design->rows);
        const auto inference = [&] { return std::make_unique<Inference<T>>(network, *design, last); };
        if (one_row) {
            if (!own->inference) own->inference = inference();
            own->inference->run(*design, 0, 1, to, watch, 0);
        } else {
            const Index block = Inference<T>::rows_at_a_time(network, last);
            const Index blocks = (design->rows + block - 1) / block;
            const double work = network.work() * double(design->rows);
            const int most = Team::most(std::min(work / 1e6, double(blocks)), threads);
            TeamSize::call(sizes, most, 1e-10 * work, [&](int members) {
                std::vector<std::unique_ptr<Inference<T>>> inferences;
                for (int m = 0; m < members; ++m) inferences.push_back(inference());
                std::atomic<Index> next{0};  // a member whose processor is taken away holds up one block
                Team::together(members, [&](int m) {
                    for (Index k = next++; k < blocks && !watch.off(); k = next++)
                        inferences[std::size_t(m)]->run(*design, k * block, std::min((k + 1) * block, design->rows),
                                                        to + k * block * network.size_of(last), watch, m);
                });
            });
        }
    }
    if (interrupted) throw py::error_already_set();
    if (one_row) ready = std::move(own);
    return out;
}

class AnyTraining {
public:
    virtual ~AnyTraining() = default;
    virtual Index batches() const = 0;
    virtual Index workspace() const = 0;
    virtual py::tuple train(Index epochs, const py::object& order, const py::array_t<double, py::array::c_style>& rates,
                            Index first_step, double carry, int threads) = 0;
    virtual py::tuple evaluate(py::array gradient, int threads) = 0;
};

template <class T>
class TrainingOf final : public AnyTraining {
public:
    explicit TrainingOf(const py::dict& a) {
        auto network = std::make_unique<Network<T>>(nodes_of(py::cast<py::list>(a["nodes"])), masking_of(a["masking"]));
        auto X = design_of<T>(a["X"]);
        require(X->rows > 0 && X->rows <= 0x7fffffff, "X: the number of rows must be between 1 and 2^31 - 1");
        rows_ = X->rows;
        auto goals = goals_of<T>(a, X->rows);
        weigh(goals, a, X->rows);
        const auto number = [&](const char* key) { return py::cast<double>(a[key]); };
        goals.smoothing = number("smoothing");
        NetworkRecipe recipe;
        recipe.loss = part_of(a["loss"], a["loss_parameters"]);
        recipe.rule = part_of(a["rule"], a["rule_parameters"]);
        recipe.multinomial = py::cast<bool>(a["multinomial"]);
        recipe.penalty = {number("l2"), 0.0, number("coupled"), number("decay"), false};
        recipe.penalty_of_batch = py::cast<bool>(a["penalty_of_batch"]);
        if (!a["clip_value"].is_none()) recipe.clip_value = number("clip_value");
        if (!a["clip_norm"].is_none()) recipe.clip_norm = number("clip_norm");
        recipe.average_share = number("average_share");
        recipe.batch = py::cast<Index>(a["batch_size"]);
        require(recipe.batch > 0, "batch_size: must be positive");
        recipe.seed = py::cast<std::uint64_t>(a["seed"]);
        size_ = network->trained_size();
        const auto flat = flat_of<T>(a, size_, recipe.rule);
        auto kept = py::cast<py::array>(a["kept"]);
        T* const statistics = mutable_data_of<T>(kept, network->kept_size(), "kept");
        training_ = std::make_unique<NetworkTraining<T>>(std::move(network), std::move(X), std::move(goals), recipe,
                                                         flat, statistics);
    }

    Index batches() const override { return training_->batches(); }
    Index workspace() const override { return training_->workspace() * Index(sizeof(T)); }

    py::tuple train(Index epochs, const py::object& order, const py::array_t<double, py::array::c_style>& rates,
                    Index first_step, double carry, int threads) override {
        require(rates.size() == epochs * training_->batches(), "rates: one for each batch of each epoch");
        const auto* const numbers = optional_data_of<std::uint32_t>(order, epochs * rows_, "order");
        for (Index i = 0; numbers && i < epochs * rows_; ++i)
            require(Index(numbers[i]) < rows_, "order: a row number is out of range");
        bool interrupted = false;
        TrainingResult result;
        {
            WithoutGil unlocked;
            result = training_->train(epochs, numbers, rates.data(), first_step, carry, threads,
                                      look_for_signals(unlocked, interrupted));
        }
        raise_unless_interrupt(interrupted);
        return py::make_tuple(result.epochs, result.batches, result.loss, result.penalty, result.carry, result.finite,
                              interrupted);
    }

    py::tuple evaluate(py::array gradient, int threads) override {
        T* const g = mutable_data_of<T>(gradient, size_, "gradient");
        std::pair<double, double> values;
        bool interrupted = false;
        {
            WithoutGil unlocked;
            values = training_->evaluate(g, threads, look_for_signals(unlocked, interrupted));
        }
        if (interrupted) throw py::error_already_set();
        return py::make_tuple(values.first, values.second);
    }

private:
    Index rows_ = 0, size_ = 0;
    std::unique_ptr<NetworkTraining<T>> training_;
};

// Keeps the arrays alive for as long as the engine points into them.
class TrainingOnArrays {
public:
    explicit TrainingOnArrays(const py::kwargs& arrays) : arrays_(arrays) {
        if (py::cast<py::array>(arrays["weights"]).itemsize() == 4) {
            engine_ = std::make_unique<TrainingOf<float>>(arrays);
        } else {
            engine_ = std::make_unique<TrainingOf<double>>(arrays);
        }
    }
    AnyTraining& engine() { return *engine_; }
    OneAtATime& one_at_a_time() { return one_at_a_time_; }

private:
    py::dict arrays_;
    std::unique_ptr<AnyTraining> engine_;
    OneAtATime one_at_a_time_;
};

// The layers by name and size.
class Layers {
public:
    Layers(const py::list& nodes, const py::object& masking) : specs_(nodes_of(nodes)), masking_(masking_of(masking)) {}

    // Lengths of the flat arrays, and where in them what lies; (node, name, offset, rows, columns) each.
    py::tuple layout(int itemsize) const { return itemsize == 4 ? layout_as<float>() : layout_as<double>(); }
    double work() const { return Network<double>(specs_, masking_).work(); }
    py::array predict_on(const py::list& trained, const py::list& kept, const py::object& X, Index last, int threads) {
        const auto values = py::cast<py::array>(
            trained.empty() ? py::isinstance<py::tuple>(X) ? py::object(py::cast<py::tuple>(X)[0]) : X
                            : py::object(trained[0]));
        if (values.itemsize() == 4)
            return predict<float>(specs_, masking_, ready32_, sizes_, trained, kept, X, last, threads);
        return predict<double>(specs_, masking_, ready64_, sizes_, trained, kept, X, last, threads);
    }

private:
    template <class T>
    py::tuple layout_as() const {
        const Network<T> network(specs_, masking_);
        return py::make_tuple(network.trained_size(), layout_of(network.trained()), network.kept_size(),
                              layout_of(network.kept()));
    }

    const Specs specs_;
    const Masking masking_;
    std::unique_ptr<Ready<float>> ready32_;
    std::unique_ptr<Ready<double>> ready64_;
    TeamSize::Memory sizes_;
};

}  // namespace

void bind_network(py::module_& m) {
    m.def("activation_catalog", &activation_catalog, "(name, doc, fields) of every activation.");
    m.def("activation_points", &activation_points<float>, py::arg("name"), py::arg("fields"), py::arg("x").noconvert());
    m.def("activation_points", &activation_points<double>, py::arg("name"), py::arg("fields"),
          py::arg("x").noconvert());
    py::class_<Layers>(m, "Network", "Layers in a row; see cpp/README.md.")
        .def(py::init<const py::list&, const py::object&>(), py::arg("nodes"), py::arg("masking"))
        .def_property_readonly("work", &Layers::work, "Multiply-adds of a row, about.")
        .def("layout", &Layers::layout, py::arg("itemsize"),
             "(length, pieces) of what is trained, then of what is kept; a piece is (node, name, offset, rows, "
             "columns).")
        .def("predict", &Layers::predict_on, py::arg("trained"), py::arg("kept"), py::arg("X"), py::arg("last"),
             py::arg("threads"), "What node `last` (1, 2, ...) makes of X.");
    py::class_<TrainingOnArrays>(m, "NetworkTraining", "Training of a network; see cpp/README.md.")
        .def(py::init<const py::kwargs&>())
        .def_property_readonly("batches", [](TrainingOnArrays& self) { return self.engine().batches(); })
        .def_property_readonly("workspace", [](TrainingOnArrays& self) { return self.engine().workspace(); })
        .def(
            "train",
            [](TrainingOnArrays& self, Index epochs, const py::object& order,
               const py::array_t<double, py::array::c_style>& rates, Index first_step, double carry, int threads) {
                return self.one_at_a_time().run(
                    [&] { return self.engine().train(epochs, order, rates, first_step, carry, threads); });
            },
            py::arg("epochs"), py::arg("order"), py::arg("rates"), py::arg("first_step"), py::arg("carry"),
            py::arg("threads"), "(epochs, batches, losses, penalties, carry, finite, interrupted)")
        .def(
            "evaluate",
            [](TrainingOnArrays& self, py::array gradient, int threads) {
                return self.one_at_a_time().run([&] { return self.engine().evaluate(std::move(gradient), threads); });
            },
            py::arg("gradient"), py::arg("threads"),
            "(loss, penalty) over all rows; writes the gradient. Raises what a signal raises.");
}

}  // namespace fg
