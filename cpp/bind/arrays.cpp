// What is asked of arrays between steps.
#include "bind/arrays.hpp"

#include <vector>

#include "bind/gil.hpp"

namespace fg {

namespace {

bool all_finite(const py::array& x, int threads) {
    const bool wide = py::isinstance<py::array_t<double, py::array::c_style>>(x);
    const Dtype dtype = wide ? Dtype::float64 : Dtype::float32;
    const void* const data = wide ? x.data() : data_of<float>(x, x.size(), "x");
    const WithoutGil unlocked;
    return engine().all_finite(dtype, data, x.size(), threads);
}

py::array product_with(const py::array& X, const py::array& W, int threads) {
    require(X.ndim() == 2 && W.ndim() == 2 && X.shape(1) == W.shape(1), "X, W: expected (n, d) and (m, d)");
    const Dtype dtype = dtype_of(X);
    const Matrix x = dense_of(X, dtype);
    const void* const w = data_of(W, dtype, W.size(), "W");
    auto out = empty(dtype, {X.shape(0), W.shape(0)});
    void* const to = out.mutable_data();
    const WithoutGil unlocked;
    engine().product(x, w, W.shape(0), to, threads);
    return out;
}

double largest_eigenvalue(const py::array& X, const py::array& factor, double one, const py::array& start, int steps) {
    require(X.ndim() == 2 && X.shape(0) > 0, "X: expected (n, d)");
    const Matrix x = dense_of(X, Dtype::float64);
    const double *weight = data_of<double>(factor, x.rows, "factor"), *v = data_of<double>(start, x.cols, "start");
    const WithoutGil unlocked;
    return engine().largest_eigenvalue(x, weight, one, v, steps);
}

py::array_t<double> column_moments(const py::array& X, const py::object& rows, const py::array& shift, int threads) {
    const Matrix x = dense_of(X, py::isinstance<py::array_t<float>>(X) ? Dtype::float32 : Dtype::float64);
    std::span<const std::uint32_t> listed;
    if (!rows.is_none()) {
        const auto given = py::cast<py::array>(rows);
        listed = {data_of<std::uint32_t>(given, given.size(), "rows"), std::size_t(given.size())};
    }
    const double* const from = data_of<double>(shift, x.cols, "shift");
    py::array_t<double> out(py::array::ShapeContainer{Index(4), x.cols});
    double* const to = out.mutable_data();
    const WithoutGil unlocked;
    engine().column_moments(x, listed, from, threads, to);
    return out;
}

ColumnType column_type_of(const py::array& column) {
    using enum ColumnType;
    const bool plain = column.ndim() == 1 && (column.strides(0) == column.itemsize() || column.size() <= 1) &&
                       (column.flags() & py::detail::npy_api::NPY_ARRAY_ALIGNED_) && column.dtype().byteorder() != '>';
    const int step = column.itemsize() == 1 ? 0 : column.itemsize() == 2 ? 1 : column.itemsize() == 4 ? 2 : 3;
    constexpr ColumnType whole[] = {int8, int16, int32, int64}, natural[] = {uint8, uint16, uint32, uint64};
    const char kind = column.dtype().kind();
    require(
        plain && (kind == 'i' || kind == 'u' || (kind == 'f' && (step == 3 || step == 2) && column.itemsize() <= 8)),
        "columns: expected aligned one-dimensional arrays in one piece, of float32, float64 or integers");
    if (kind == 'f') return step == 2 ? float32 : float64;
    return kind == 'i' ? whole[step] : natural[step];
}

py::array rows_of_columns(const py::list& columns, const py::dtype& dtype, int threads) {
    require(dtype.kind() == 'f' && (dtype.itemsize() == 4 || dtype.itemsize() == 8), "dtype: float32 or float64");
    require(!columns.empty(), "columns: there is none");
    const Index rows = py::cast<py::array>(columns[0]).size();
    std::vector<py::array> kept;
    std::vector<Column> given;
    for (const auto& each : columns) {
        kept.push_back(py::cast<py::array>(each));
        given.push_back({column_type_of(kept.back()), kept.back().data()});
        require(kept.back().size() == rows, "columns: they must have the same number of rows");
    }
    const Dtype to = dtype.itemsize() == 4 ? Dtype::float32 : Dtype::float64;
    auto out = empty(to, {rows, Index(given.size())});
    void* const values = out.mutable_data();
    const WithoutGil unlocked;
    engine().rows_of_columns(given, rows, to, values, threads);
    return out;
}

py::array_t<double> transposed_product(const py::array& X, const py::array& S) {
    const Matrix x = dense_of(X, py::isinstance<py::array_t<float>>(X) ? Dtype::float32 : Dtype::float64);
    require(S.ndim() == 2 && S.shape(0) == x.rows, "S: expected a row for each row of X");
    const Index outputs = S.shape(1);
    const double* const s = data_of<double>(S, x.rows * outputs, "S");
    py::array_t<double> out(py::array::ShapeContainer{x.cols, outputs});
    double* const to = out.mutable_data();
    const WithoutGil unlocked;
    engine().transposed_product(x, s, outputs, to);
    return out;
}

py::array_t<double> weighted_gram(const py::array& X, const py::array& factor) {
    const Matrix x = dense_of(X, Dtype::float64);
    const double* const weight = data_of<double>(factor, x.rows, "factor");
    py::array_t<double> out(py::array::ShapeContainer{x.cols, x.cols});
    double* const to = out.mutable_data();
    const WithoutGil unlocked;
    engine().weighted_gram(x, weight, to);
    return out;
}

py::array_t<double> solve_positive(const py::array& H, const py::array& g) {
    const Index size = g.size();
    const double *h = data_of<double>(H, size * size, "H"), *right = data_of<double>(g, size, "g");
    py::array_t<double> out(size);
    double* const to = out.mutable_data();
    const WithoutGil unlocked;
    engine().solve_positive(h, size, right, to);
    return out;
}

Metric metric_of(const std::string& name) {
    if (name == "accuracy") return Metric::accuracy;
    if (name == "log_loss") return Metric::log_loss;
    if (name == "roc_auc") return Metric::roc_auc;
    if (name == "r2") return Metric::r2;
    if (name == "mse") return Metric::mse;
    if (name == "rmse") return Metric::rmse;
    throw BadArgument("metric: no such metric: " + name);
}

Link link_of(const std::string& name) {
    if (name == "identity") return Link::identity;
    if (name == "exp") return Link::exp;
    if (name == "sigmoid") return Link::sigmoid;
    if (name == "modified_huber") return Link::modified_huber;
    if (name == "softmax") return Link::softmax;
    throw BadArgument("link: no such link: " + name);
}

py::array_t<double> score_margins(const std::string& metric_name, const py::array& margins, const py::array& y,
                                  Index outputs, const std::string& link_name, int threads) {
    const Metric metric = metric_of(metric_name);
    const Link link = link_of(link_name);
    require(margins.ndim() == 2 && margins.shape(0) > 0 && outputs > 0 && margins.shape(1) % outputs == 0,
            "margins: expected (rows, models * outputs)");
    const Dtype dtype = py::isinstance<py::array_t<double>>(margins) ? Dtype::float64 : Dtype::float32;
    const Matrix view{.dtype = dtype,
                      .values = data_of(margins, dtype, margins.size(), "margins"),
                      .rows = margins.shape(0),
                      .cols = margins.shape(1)};
    const bool classes = metric == Metric::accuracy || metric == Metric::log_loss || metric == Metric::roc_auc;
    const void* const targets = data_of(y, dtype, view.rows * (classes ? 1 : outputs), "y");
    py::array_t<double> scores(view.cols / outputs);
    double* const out = scores.mutable_data();
    const WithoutGil unlocked;
    engine().score(metric, link, view, targets, outputs, threads, out);
    return scores;
}

}  // namespace

void bind_arrays(py::module_& m) {
    m.def("all_finite", &all_finite, py::arg("x"), py::arg("threads") = 1, "Whether no number is NaN or infinite.");
    m.def("product", &product_with, py::arg("X"), py::arg("W"), py::arg("threads") = 1,
          "X W' for X (n, d) and W (m, d), both of one type and in C order.");
    m.def("largest_eigenvalue", &largest_eigenvalue, py::arg("X"), py::arg("factor"), py::arg("one"), py::arg("start"),
          py::arg("steps"),
          "Of the mean of factor (x, one)'(x, one) over the rows x, by the power method from (start, 1).");
    m.def("column_moments", &column_moments, py::arg("X"), py::arg("rows"), py::arg("shift"), py::arg("threads") = 1,
          "(4, d): least, largest, sum of x - shift and of its square, of the columns of a dense X; rows None: all.");
    m.def("rows_of_columns", &rows_of_columns, py::arg("columns"), py::arg("dtype"), py::arg("threads") = 1,
          "(rows, columns), in C order, of a list of one-dimensional arrays of numbers.");
    m.def("transposed_product", &transposed_product, py::arg("X"), py::arg("S"), "X' S of a dense X, in float64.");
    m.def("weighted_gram", &weighted_gram, py::arg("X"), py::arg("factor"), "X' diag(factor) X / n of X (n, d).");
    m.def("solve_positive", &solve_positive, py::arg("H"), py::arg("g"),
          "H^-1 g for a positive semidefinite H; directions of nothing but rounding are damped.");
    m.def("score_margins", &score_margins, py::arg("metric"), py::arg("margins"), py::arg("y"), py::arg("outputs"),
          py::arg("link"), py::arg("threads") = 1,
          "One score a model, of margins (rows, models * outputs) and codes or targets of the same dtype.");
}

}  // namespace fg
