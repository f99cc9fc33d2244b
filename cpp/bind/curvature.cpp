// RowPass and DualAscent: passes over borrowed rows; Factor, and what it is made of.
#include "bind/tasks.hpp"

namespace fg {

namespace {

using Doubles = py::array_t<double>;

PassTask pass_task_of(const py::dict& a) {
    const Dtype dtype = dtype_of(py::cast<py::array>(a["y"]));
    PassTask task;
    task.X = matrix_to_fit(a["X"], dtype, false, py::cast<int>(a["threads"]));
    task.sorted = py::cast<bool>(a["sorted"]);
    if (!a["rows"].is_none()) {
        const auto listed = py::cast<py::array>(a["rows"]);
        const auto* const first = data_of<std::uint32_t>(listed, listed.size(), "rows");
        task.listed.assign(first, first + listed.size());
        require(!task.listed.empty(), "rows: none is left to train on");
    }
    task.targets = targets_of(a, dtype, task.X.rows);
    task.loss = part_of(a["loss"], a["loss_parameters"]);
    task.multinomial = py::cast<bool>(a["multinomial"]);
    for (const auto& each : py::cast<py::list>(a["models"]))
        task.models.push_back(weights_of(py::cast<py::dict>(each), dtype, task.X.rows));
    task.centre = optional_data_of<double>(a["centre"], task.X.cols, "centre");
    require(!task.centre || task.X.index_bytes == 0, "centre: sparse rows have none");
    return task;
}

const double* positive(const py::array& way, Index size) {
    const double* const first = data_of<double>(way, size, "way");
    for (Index k = 0; k < size; ++k) require(first[k] > 0.0, "way: expected numbers above 0");
    return first;
}

// Keeps the arrays alive for as long as the pass points into them.
class RowPassOfArrays {
public:
    explicit RowPassOfArrays(const py::kwargs& arrays) : arrays_(arrays) {
        const PassTask task = pass_task_of(arrays);
        features_ = task.X.cols;
        dtype_ = task.X.dtype;
        multinomial_ = task.multinomial;
        pass_ = engine().row_pass(task);
    }

    Index rows() const { return pass_->rows(); }
    void stop() { stopped_ = true; }

    py::object evaluate(const py::array& W, int threads) {
        return one_at_a_time_.run([&]() -> py::object {
            const Index columns = pass_->columns();
            const double* const w = data_of<double>(W, (features_ + 1) * columns, "W");
            Doubles losses(pass_->models()), gradient(py::array::ShapeContainer{features_ + 1, columns});
            double *const l = losses.mutable_data(), *const g = gradient.mutable_data();
            bool interrupted = false;
            const bool complete = run_interruptibly(interrupted, &stopped_, [&](Callback callback) {
                return pass_->evaluate(w, threads, std::move(callback), l, g);
            });
            if (!complete) return py::none();
            return py::make_tuple(losses, gradient);
        });
    }

    py::tuple shifted(const py::array& shift, const py::array& way, int threads) {
        return one_at_a_time_.run([&] {
            const Index columns = pass_->columns();
            const double *const s = data_of<double>(shift, columns, "shift"), *const far = way_of(way);
            Doubles losses(pass_->models()), slopes(columns), bends(multinomial_ ? columns * columns : columns);
            double *const l = losses.mutable_data(), *const g = slopes.mutable_data(), *const h = bends.mutable_data();
            {
                const WithoutGil unlocked;
                pass_->shifted(s, far, threads, l, g, h);
            }
            return py::make_tuple(losses, slopes, bends);
        });
    }

    py::array bends(const py::array& way, int threads) {
        return one_at_a_time_.run([&] {
            const double* const far = way_of(way);
            auto out = empty(dtype_, {pass_->rows(), pass_->columns()});
            void* const to = out.mutable_data();
            const WithoutGil unlocked;
            pass_->bends(far, threads, to);
            return out;
        });
    }

    void average_over(const py::object& way) {
        one_at_a_time_.run([&] {
            pass_->average_over(way.is_none() ? nullptr : positive(py::cast<py::array>(way), pass_->columns()));
        });
    }

    py::tuple slacks(int threads) {
        return one_at_a_time_.run([&] {
            Doubles losses(pass_->models()), slacks(pass_->models());
            double *const l = losses.mutable_data(), *const s = slacks.mutable_data();
            {
                const WithoutGil unlocked;
                pass_->slacks(threads, l, s);
            }
            return py::make_tuple(losses, slacks);
        });
    }

private:
    const double* way_of(const py::array& way) const { return data_of<double>(way, pass_->columns(), "way"); }

    py::dict arrays_;
    std::unique_ptr<RowPass> pass_;
    Index features_ = 0;
    Dtype dtype_ = Dtype::float64;
    bool multinomial_ = false;
    std::atomic<bool> stopped_{false};
    OneAtATime one_at_a_time_;
};

// Keeps the arrays alive, as a pass does.
class DualAscentOfArrays {
public:
    DualAscentOfArrays(const py::array& way, double strength, double square, const py::kwargs& arrays)
        : arrays_(arrays) {
        AscentTask task{pass_task_of(arrays), strength, square, {}};
        require(strength > 0.0, "strength: expected a number above 0");
        require(square >= 0.0, "square: expected a number of at least 0");
        const double* const first = positive(way, way.size());
        task.way.assign(first, first + way.size());
        features_ = task.pass.X.cols;
        ascent_ = engine().dual_ascent(task);
    }

    void stop() { stopped_ = true; }

    py::object epoch(std::uint64_t number, int threads) {
        return one_at_a_time_.run([&]() -> py::object {
            bool interrupted = false;
            const double risen = run_interruptibly(interrupted, &stopped_, [&](Callback callback) {
                return ascent_->epoch(number, threads, std::move(callback));
            });
            if (risen < 0.0) return py::none();
            return py::float_(risen);
        });
    }

    py::tuple read() {
        return one_at_a_time_.run([&] {
            Doubles slopes(py::array::ShapeContainer{ascent_->rows(), ascent_->columns()});
            Doubles W(py::array::ShapeContainer{features_ + 1, ascent_->columns()});
            ascent_->read(slopes.mutable_data(), W.mutable_data());
            return py::make_tuple(slopes, W);
        });
    }

    py::object gap(int threads) {
        return one_at_a_time_.run([&]() -> py::object {
            bool interrupted = false;
            double losses = 0.0, gaps = 0.0;
            const bool complete = run_interruptibly(interrupted, &stopped_, [&](Callback callback) {
                return ascent_->gap(threads, std::move(callback), &losses, &gaps);
            });
            if (!complete) return py::none();
            return py::make_tuple(losses, gaps);
        });
    }

    void write(const py::array& slopes, const py::array& W) {
        one_at_a_time_.run([&] {
            ascent_->write(data_of<double>(slopes, ascent_->rows() * ascent_->columns(), "slopes"),
                           data_of<double>(W, (features_ + 1) * ascent_->columns(), "W"));
        });
    }

private:
    py::dict arrays_;
    std::unique_ptr<DualAscent> ascent_;
    Index features_ = 0;
    std::atomic<bool> stopped_{false};
    OneAtATime one_at_a_time_;
};

class FactorOfArray {
public:
    explicit FactorOfArray(const py::array& H) {
        require(H.ndim() == 2 && H.shape(0) == H.shape(1) && H.shape(0) > 0, "H: expected a square matrix");
        const double* const h = data_of<double>(H, H.size(), "H");
        const WithoutGil unlocked;
        factor_ = engine().factor(h, H.shape(0));
    }

    bool positive() const { return factor_->positive(); }
    Doubles solve(const Doubles& G, bool half) const {
        require(factor_->positive(), "H: it is not positive definite");
        require(G.ndim() == 2 && G.shape(1) == factor_->size(), "G: expected rows as long as those of H");
        Doubles out(py::array::ShapeContainer{G.shape(0), G.shape(1)});
        double* const to = out.mutable_data();
        std::copy_n(data_of<double>(G, G.size(), "G"), G.size(), to);
        const WithoutGil unlocked;
        factor_->solve(to, G.shape(0), half);
        return out;
    }

private:
    std::unique_ptr<Factor> factor_;
};

// X (any storage), rows and their weights (rows, outputs) in float64.
struct RowsArgument {
    Matrix X;
    RowsTask task;
    Index outputs = 1;

    RowsArgument(const py::object& x, const py::array& rows, const py::array& weight, const py::object& centre,
                 const py::array& unit) {
        const auto values = py::cast<py::array>(py::isinstance<py::tuple>(x) ? py::cast<py::tuple>(x)[0] : x);
        X = matrix_of(x, dtype_of(values));
        task.rows = {data_of<std::uint32_t>(rows, rows.size(), "rows"), std::size_t(rows.size())};
        for (const auto row : task.rows) require(Index(row) < X.rows, "rows: a number is out of range");
        require(weight.ndim() == 2 && weight.shape(0) == rows.size(), "weight: expected one of each row and output");
        outputs = weight.shape(1);
        task.weight = data_of<double>(weight, weight.size(), "weight");
        task.centre = optional_data_of<double>(centre, X.cols, "centre");
        task.unit = data_of<double>(unit, X.cols, "unit");
        require(!task.centre || X.index_bytes == 0, "centre: sparse rows have none");
    }
};

Doubles gram(const py::object& X, const py::array& rows, const py::array& weight, const py::array& features,
             const py::object& centre, const py::array& unit, int threads) {
    const RowsArgument of(X, rows, weight, centre, unit);
    require(of.outputs == 1, "weight: expected those of one output");
    const std::span<const std::uint32_t> chosen{data_of<std::uint32_t>(features, features.size(), "features"),
                                                std::size_t(features.size())};
    for (const auto feature : chosen) require(Index(feature) < of.X.cols, "features: a number is out of range");
    Doubles out(py::array::ShapeContainer{features.size() + 1, features.size() + 1});
    double* const to = out.mutable_data();
    const WithoutGil unlocked;
    engine().gram(of.X, of.task, chosen, threads, to);
    return out;
}

Doubles weighted_squares(const py::object& X, const py::array& rows, const py::array& weight, const py::object& centre,
                         const py::array& unit, int threads) {
    const RowsArgument of(X, rows, weight, centre, unit);
    Doubles out(py::array::ShapeContainer{of.X.cols + 1, of.outputs});
    double* const to = out.mutable_data();
    const WithoutGil unlocked;
    engine().weighted_squares(of.X, of.task, of.outputs, threads, to);
    return out;
}

// What is minimised, and where: a copy of `weights`, (size, outputs).
struct DescentArguments {
    DescentTask task;
    Doubles weights;

    DescentArguments(const py::array& gradient, const py::array& from, const py::array& strength, bool positive,
                     const py::array& terms, const py::array& signs, const py::array& coordinates, double tol,
                     Index sweeps) {
        require(from.ndim() == 2 && from.shape(0) > 0 && from.shape(1) > 0, "weights: expected (size, outputs)");
        task.size = from.shape(0);
        task.outputs = from.shape(1);
        const Index all = from.size();
        task.gradient = data_of<double>(gradient, all, "gradient");
        task.strength = data_of<double>(strength, task.size, "strength");
        task.positive = positive;
        task.rank = signs.size();
        task.terms = data_of<double>(terms, coordinates.size() * task.rank, "terms");
        task.signs = data_of<double>(signs, task.rank, "signs");
        task.coordinates = {data_of<std::uint32_t>(coordinates, coordinates.size(), "coordinates"),
                            std::size_t(coordinates.size())};
        for (const auto c : task.coordinates) require(Index(c) < all, "coordinates: a number is out of range");
        task.tol = tol;
        task.sweeps = sweeps;
        weights = Doubles(py::array::ShapeContainer{task.size, task.outputs});
        task.weights = weights.mutable_data();
        std::copy_n(data_of<double>(from, all, "weights"), all, task.weights);
    }
};

py::tuple descend(const py::array& blocks, const py::array& multiple, const py::array& gradient,
                  const py::array& weights, const py::array& strength, bool positive, const py::array& terms,
                  const py::array& signs, const py::array& coordinates, double tol, Index sweeps) {
    const DescentArguments of(gradient, weights, strength, positive, terms, signs, coordinates, tol, sweeps);
    const Index size = of.task.size, outputs = of.task.outputs, count = blocks.ndim() == 3 ? blocks.shape(0) : 0;
    require(count == 1 || count == outputs, "blocks: expected one, or one for each output");
    const double* const b = data_of<double>(blocks, count * size * size, "blocks");
    const double* const m = data_of<double>(multiple, outputs, "multiple");
    double depth;
    {
        const WithoutGil unlocked;
        depth = engine().descend(of.task, b, count, m);
    }
    return py::make_tuple(of.weights, depth);
}

py::tuple descend_columns(const py::object& columns, const py::array& bends, const py::array& ridge,
                          const py::array& gradient, const py::array& weights, const py::array& strength, bool positive,
                          const py::array& terms, const py::array& signs, const py::array& coordinates, double tol,
                          Index sweeps) {
    const DescentArguments of(gradient, weights, strength, positive, terms, signs, coordinates, tol, sweeps);
    const auto values =
        py::cast<py::array>(py::isinstance<py::tuple>(columns) ? py::cast<py::tuple>(columns)[0] : columns);
    const Matrix view = matrix_of(columns, dtype_of(values));
    require(view.rows + 1 == of.task.size, "columns: expected one for each row of weights but the last");
    const double* const h = data_of<double>(bends, view.cols * of.task.outputs, "bends");
    const double* const r = data_of<double>(ridge, of.task.size * of.task.outputs, "ridge");
    double depth;
    {
        const WithoutGil unlocked;
        depth = engine().descend_columns(of.task, view, h, r);
    }
    return py::make_tuple(of.weights, depth);
}

}  // namespace

void bind_curvature(py::module_& m) {
    py::class_<RowPassOfArrays>(m, "RowPass", "Passes over rows, for solvers that see all of them; see cpp/README.md.")
        .def(py::init<const py::kwargs&>())
        .def_property_readonly("rows", &RowPassOfArrays::rows)
        .def("evaluate", &RowPassOfArrays::evaluate, py::arg("W"), py::arg("threads"),
             "(losses of the models, gradient), sums over the rows, at W (features + 1, columns); None: broken off.")
        .def("shifted", &RowPassOfArrays::shifted, py::arg("shift"), py::arg("way"), py::arg("threads"),
             "(losses, slopes, second derivatives), sums over the rows at the last margins plus `shift`.")
        .def("bends", &RowPassOfArrays::bends, py::arg("way"), py::arg("threads"),
             "Second derivatives (rows, columns) at the last margins, means over `way` to both sides.")
        .def("average_over", &RowPassOfArrays::average_over, py::arg("way"),
             "From now on, losses with kinks are means over `way` to both sides; None: they are what they are.")
        .def("slacks", &RowPassOfArrays::slacks, py::arg("threads"),
             "(losses themselves, slacks of their averages), sums over the rows at the last margins.")
        .def("stop", &RowPassOfArrays::stop, "Break off the pass that another thread is in, and all that may follow.");
    py::class_<DualAscentOfArrays>(m, "DualAscent",
                                   "Stochastic dual coordinate ascent; see cpp/train/curvature/dual_ascent.hpp.")
        .def(py::init<const py::array&, double, double, const py::kwargs&>(), py::arg("way"), py::arg("strength"),
             py::arg("square"))
        .def("epoch", &DualAscentOfArrays::epoch, py::arg("number"), py::arg("threads"),
             "Sum over the rows of what the dual has risen by, about; None: broken off.")
        .def("read", &DualAscentOfArrays::read, "(slopes (rows, columns), W (features + 1, columns)).")
        .def("write", &DualAscentOfArrays::write, py::arg("slopes"), py::arg("W"), "What `read` returned, or a start.")
        .def("gap", &DualAscentOfArrays::gap, py::arg("threads"),
             "Of losses with kinks: sums over the rows of losses, and of what they and their conjugates at the slopes "
             "exceed slope * margin by; None: broken off.")
        .def("stop", &DualAscentOfArrays::stop, "Break off the epoch that another thread is in, and all others.");
    py::class_<FactorOfArray>(m, "Factor", "The Cholesky factor of a matrix.")
        .def(py::init<const py::array&>(), py::arg("H"))
        .def_property_readonly("positive", &FactorOfArray::positive)
        .def("solve", &FactorOfArray::solve, py::arg("G"), py::arg("half") = false,
             "H^-1 g for each row g of G (count, n); half: L^-1 g of H = L L'.");
    m.def("descend", &descend, py::arg("blocks"), py::arg("multiple"), py::arg("gradient"), py::arg("weights"),
          py::arg("strength"), py::arg("positive"), py::arg("terms"), py::arg("signs"), py::arg("coordinates"),
          py::arg("tol"), py::arg("sweeps"),
          "(weights at the minimum of a quadratic model with L1, its depth); see cpp/kernel/descent.hpp.");
    m.def("descend_columns", &descend_columns, py::arg("columns"), py::arg("bends"), py::arg("ridge"),
          py::arg("gradient"), py::arg("weights"), py::arg("strength"), py::arg("positive"), py::arg("terms"),
          py::arg("signs"), py::arg("coordinates"), py::arg("tol"), py::arg("sweeps"),
          "As descend, of a Hessian that is known by the columns of X, which are the rows of `columns`.");
    m.def("gram", &gram, py::arg("X"), py::arg("rows"), py::arg("weight"), py::arg("features"), py::arg("centre"),
          py::arg("unit"), py::arg("threads") = 1,
          "Sum of weight (x, 1)'(x, 1) over rows, for some columns of X; weight (rows, 1).");
    m.def("weighted_squares", &weighted_squares, py::arg("X"), py::arg("rows"), py::arg("weight"), py::arg("centre"),
          py::arg("unit"), py::arg("threads") = 1,
          "(features + 1, outputs): sum of weight x^2 over rows; weight (rows, outputs).");
}

}  // namespace fg
