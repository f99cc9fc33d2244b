// Scores of many models from their margins.
#include "kernel/scores.hpp"

#include <cmath>
#include <string>

#include "bind/arrays.hpp"
#include "bind/bind.hpp"
#include "bind/gil.hpp"

namespace fg {

namespace {

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

template <class T>
py::array_t<double> scores_of(Metric metric, Link link, const py::array& margins, const py::array& y, Index outputs,
                              int threads) {
    require(margins.ndim() == 2 && margins.shape(0) > 0 && outputs > 0 && margins.shape(1) % outputs == 0,
            "margins: expected (rows, models * outputs)");
    const Margins<T> view{data_of<T>(margins, margins.size(), "margins"), margins.shape(0), margins.shape(1) / outputs,
                          outputs};
    const bool classes = metric == Metric::accuracy || metric == Metric::log_loss || metric == Metric::roc_auc;
    const T* targets = data_of<T>(y, view.rows * (classes ? 1 : outputs), "y");
    require(classes != (link == Link::identity || link == Link::exp), "link: it does not belong to the metric");
    require(metric != Metric::roc_auc || outputs == 1, "margins: the ROC is one of two classes, so of one output");
    if (classes) {
        const T top = T(std::max<Index>(outputs, 2) - 1);
        for (Index i = 0; i < view.rows; ++i)
            require(targets[i] >= 0 && targets[i] <= top && targets[i] == std::floor(targets[i]),
                    "y: expected codes of classes");
    }
    py::array_t<double> scores(view.models);
    double* out = scores.mutable_data();
    const WithoutGil unlocked;
    score_margins(metric, link, view, targets, threads, out);
    return scores;
}

py::array_t<double> score(const std::string& metric, const py::array& margins, const py::array& y, Index outputs,
                          const std::string& link, int threads) {
    const bool wide = py::isinstance<py::array_t<double>>(margins);
    return (wide ? scores_of<double> : scores_of<float>)(metric_of(metric), link_of(link), margins, y, outputs,
                                                         threads);
}

}  // namespace

void bind_scores(py::module_& m) {
    m.def("score_margins", &score, py::arg("metric"), py::arg("margins"), py::arg("y"), py::arg("outputs"),
          py::arg("link"), py::arg("threads") = 1,
          "One score a model, of margins (rows, models * outputs) and codes or targets of the same dtype.");
}

}  // namespace fg
