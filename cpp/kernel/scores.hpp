// Scores of many linear models on the same rows, from their margins. A row of margins holds the outputs of the first
// model, then those of the second, and so on.
//
// The conventions are those of sklearn.metrics: classes are predicted as the estimators predict them, the log loss
// clips probabilities to [eps, 1 - eps] with the eps of their type, R2 of a constant target is 1 for exact and 0 for
// other predictions, and errors of several outputs are averaged. Sums run over the rows in their order, so the number
// of threads does not change a bit.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "core/base.hpp"
#include "core/buffer.hpp"
#include "core/team.hpp"
#include "kernel/metric.hpp"

namespace fg {

template <class T>
struct Margins {
    const T* values;
    Index rows, models, outputs;

    const T* at(Index row, Index model) const { return values + (row * models + model) * outputs; }
};

// ---- of one row ----

template <class T>
bool is_hit(const T* margins, Index outputs, Index code) {
    if (outputs == 1) return Index(margins[0] > 0) == code;
    return std::max_element(margins, margins + outputs) - margins == code;
}

// log(1 + exp(x)) without overflow.
inline double softplus(double x) { return std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x))); }

inline double probability(Link link, double margin) {
    if (link == Link::modified_huber) return (std::clamp(margin, -1.0, 1.0) + 1) / 2;
    return 1 / (1 + std::exp(-margin));
}

// -log of the probability of the row's class, which is found from the margin where 1 - p would cancel.
template <class T>
double log_loss(Link link, const T* margins, Index outputs, Index code) {
    constexpr double eps = std::numeric_limits<T>::epsilon();
    const double least = -std::log1p(-eps), most = -std::log(eps);
    if (outputs == 1 && link != Link::modified_huber) {
        return std::clamp(softplus(code ? -double(margins[0]) : double(margins[0])), least, most);
    }
    if (link == Link::softmax) {
        const double top = *std::max_element(margins, margins + outputs);
        double sum = 0;
        for (Index k = 0; k < outputs; ++k) sum += std::exp(margins[k] - top);
        return std::clamp(std::log(sum) + top - margins[code], least, most);
    }
    double p;
    if (outputs == 1) {
        p = probability(link, code ? margins[0] : -margins[0]);
    } else {
        double sum = 0;
        for (Index k = 0; k < outputs; ++k) sum += probability(link, margins[k]);
        p = sum == 0 ? 1.0 / outputs : probability(link, margins[code]) / sum;
    }
    return -std::log(std::clamp(p, eps, 1 - eps));
}

// ---- of some models over all rows ----

// `sums` has room for the models, on lines that nobody else writes.
template <class T, class OfRow>
void row_means(const Margins<T>& margins, Index first, Index last, double* sums, double* scores, OfRow of_row) {
    std::fill_n(sums, last - first, 0.0);
    for (Index row = 0; row < margins.rows; ++row)
        for (Index model = first; model < last; ++model) sums[model - first] += of_row(margins.at(row, model), row);
    for (Index model = first; model < last; ++model) scores[model] = sums[model - first] / double(margins.rows);
}

// The share of pairs of a positive and a negative row in which the positive one has the larger margin, ties counted
// half (Mann and Whitney): exact in doubles. `scratch` holds a number a row. NaN where it is not defined.
template <class T>
double roc_auc(const Margins<T>& margins, Index model, const T* y, T* scratch) {
    T *negatives = scratch, *negatives_end = scratch, *end = scratch + margins.rows, *positives = end;
    for (Index row = 0; row < margins.rows; ++row) {
        const T margin = *margins.at(row, model);
        if (std::isnan(margin)) return margin;  // numbers without an order cannot be sorted
        (y[row] > 0 ? *--positives : *negatives_end++) = margin;
    }
    std::sort(negatives, negatives_end);
    std::sort(positives, end);
    const T *below = negatives, *upto = negatives;
    double wins = 0;
    for (const T* p = positives; p < end; ++p) {
        while (below < negatives_end && *below < *p) ++below;
        while (upto < negatives_end && *upto <= *p) ++upto;
        wins += 0.5 * double((below - negatives) + (upto - negatives));
    }
    return wins / (double(end - positives) * double(negatives_end - negatives));  // 0 / 0 without pairs
}

// Squared distance of each output of y from its mean. The first value is taken off, so that a constant gives 0.
template <class T>
std::vector<double> spread(const T* y, Index rows, Index outputs) {
    std::vector<double> squares(outputs);
    for (Index k = 0; k < outputs; ++k) {
        double mean = 0;
        for (Index row = 0; row < rows; ++row) mean += double(y[row * outputs + k]) - y[k];
        mean /= double(rows);
        for (Index row = 0; row < rows; ++row) {
            const double distance = (double(y[row * outputs + k]) - y[k]) - mean;
            squares[k] += distance * distance;
        }
    }
    return squares;
}

// `errors` are the sums of squares of every output of one model.
inline double regression_score(Metric metric, const double* errors, const std::vector<double>& spread, Index rows) {
    double sum = 0;
    for (std::size_t k = 0; k < spread.size(); ++k) {
        const double mse = errors[k] / double(rows);
        if (metric == Metric::mse) sum += mse;
        if (metric == Metric::rmse) sum += std::sqrt(mse);
        if (metric == Metric::r2) sum += spread[k] > 0 ? 1 - errors[k] / spread[k] : errors[k] == 0 ? 1.0 : 0.0;
    }
    return sum / double(spread.size());
}

// `errors` has room for the outputs of the models, on lines that nobody else writes. The exponent is cut as in
// training.
template <class T>
void regression_scores(Metric metric, Link link, const Margins<T>& margins, Index first, Index last, const T* y,
                       const std::vector<double>& spread, double* errors, double* scores) {
    const Index outputs = margins.outputs;
    std::fill_n(errors, (last - first) * outputs, 0.0);
    for (Index row = 0; row < margins.rows; ++row) {
        for (Index model = first; model < last; ++model) {
            const T* m = margins.at(row, model);
            for (Index k = 0; k < outputs; ++k) {
                const double p = link == Link::exp ? std::exp(std::clamp(double(m[k]), -708.0, 708.0)) : m[k];
                const double error = p - y[row * outputs + k];
                errors[(model - first) * outputs + k] += error * error;
            }
        }
    }
    for (Index model = first; model < last; ++model)
        scores[model] = regression_score(metric, errors + (model - first) * outputs, spread, margins.rows);
}

// Models first, ..., last - 1; y holds a code of a class a row, or a target an output. Scratch: a number a row, and a
// double for each output of the models.
template <class T>
void score_some(Metric metric, Link link, const Margins<T>& margins, Index first, Index last, const T* y,
                const std::vector<double>& spread, T* numbers, double* sums, double* scores) {
    switch (metric) {
        case Metric::accuracy:
            return row_means(margins, first, last, sums, scores,
                             [&](const T* m, Index row) { return double(is_hit(m, margins.outputs, Index(y[row]))); });
        case Metric::log_loss:
            return row_means(margins, first, last, sums, scores,
                             [&](const T* m, Index row) { return log_loss(link, m, margins.outputs, Index(y[row])); });
        case Metric::roc_auc:
            for (Index model = first; model < last; ++model) scores[model] = roc_auc(margins, model, y, numbers);
            return;
        default:
            return regression_scores(metric, link, margins, first, last, y, spread, sums, scores);
    }
}

// One score a model; codes must be valid. Members of the team take models side by side.
template <class T>
void score_margins(Metric metric, Link link, const Margins<T>& margins, const T* y, int threads, double* scores) {
    const bool classes = metric == Metric::accuracy || metric == Metric::log_loss || metric == Metric::roc_auc;
    const Index models = margins.models, sums = models * margins.outputs + 16;
    const int most = Team::most(double(models), threads);
    std::vector<double> squares;
    if (!classes) squares = spread(y, margins.rows, margins.outputs);
    // A member must not throw, so memory is taken before.
    std::vector<Buffer<T>> numbers;
    std::vector<Buffer<double>> own;
    for (int member = 0; member < most; ++member) {
        numbers.emplace_back(metric == Metric::roc_auc ? margins.rows : 0);
        own.emplace_back(sums);
    }
    static TeamSize::Memory sizes;
    const double work = double(models) * double(margins.outputs) * double(margins.rows);
    Team::call(sizes, most, 5e-9 * work, [&](int member, int members) {
        score_some(metric, link, margins, models * member / members, models * (member + 1) / members, y, squares,
                   numbers[std::size_t(member)].data(), own[std::size_t(member)].data(), scores);
    });
}

}  // namespace fg
