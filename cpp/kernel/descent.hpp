// The minimum of a quadratic model with an L1 penalty, by coordinate descent (Friedman, Hastie & Tibshirani,
// "Regularization paths for generalized linear models via coordinate descent", J. Statistical Software 2010).
//
// The model of weights v (size, outputs) around u is g'(v - u) + (v - u)'B(v - u) / 2 + sum of strength |v|. B is a
// curvature (one of the structs below), plus terms of rank one that later steps have shown: sum of sign p p'.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

#include "core/buffer.hpp"
#include "core/view.hpp"

namespace fg {

// A coordinate c is that of row c / outputs and output c % outputs; the last row holds the intercepts.
struct Model {
    Index size, outputs;
    const double* gradient;                      // (size, outputs)
    const double* strength;                      // (size,): of L1; 0 for intercepts
    bool positive;                               // v >= 0, but for intercepts
    std::span<const std::uint32_t> coordinates;  // that may move, in the order of the sweeps
    const double* terms;                         // (coordinates, rank)
    const double* signs;                         // (rank,)
    Index rank;
};

// What a move of the weights, by `moved`, does to the slopes, as a curvature keeps it.
struct Bent {
    std::vector<double> sums, moved;
    void operator+=(const Bent& other) {
        for (std::size_t i = 0; i < sums.size(); ++i) sums[i] += other.sums[i];
        for (std::size_t i = 0; i < moved.size(); ++i) moved[i] += other.moved[i];
    }
};

// A matrix for each output, or one for all, times a number for each.
class DenseCurvature {
public:
    DenseCurvature(const double* blocks, Index count, const double* multiple, Index size, Index outputs)
        : blocks_(blocks), multiple_(multiple), size_(size), outputs_(outputs), alike_(count == 1) {}

    Bent none() const { return {std::vector<double>(std::size_t(size_ * outputs_), 0.0), {}}; }
    double diagonal(Index j, Index k) const { return multiple_[k] * block(k)[j * size_ + j]; }
    double slope(const Bent& bent, Index j, Index k) const { return bent.sums[std::size_t(k * size_ + j)]; }
    void move(Bent& bent, Index j, Index k, double step) const {
        const double* FG_RESTRICT const row = block(k) + j * size_;
        double* FG_RESTRICT const sums = bent.sums.data() + k * size_;
        const double by = step * multiple_[k];
        for (Index i = 0; i < size_; ++i) sums[i] += by * row[i];
    }

private:
    const double* block(Index k) const { return alike_ ? blocks_ : blocks_ + k * size_ * size_; }

    const double *blocks_, *multiple_;
    const Index size_, outputs_;
    const bool alike_;
};

// Mean of bend (x, 1)(x, 1)' over rows, plus a ridge; by the columns of X, which are the rows of `columns`.
template <class View>
class ColumnCurvature {
public:
    // bends (rows, outputs); ridge (size, outputs)
    ColumnCurvature(const View& columns, const double* bends, const double* ridge, Index outputs)
        : columns_(columns),
          ridge_(ridge),
          rows_(columns.cols()),
          outputs_(outputs),
          bends_(std::size_t(rows_ * outputs)) {
        for (Index i = 0; i < rows_; ++i)
            for (Index k = 0; k < outputs; ++k)
                bends_[std::size_t(k * rows_ + i)] = bends[i * outputs + k] / double(rows_);
    }

    // sums (outputs, rows): bends times rows times the move
    Bent none() const {
        return {std::vector<double>(bends_.size(), 0.0),
                std::vector<double>(std::size_t((columns_.rows() + 1) * outputs_), 0.0)};
    }
    double diagonal(Index j, Index k) const {
        const double* FG_RESTRICT const bends = bends_.data() + k * rows_;
        double sum = ridge_[j * outputs_ + k];
        visit(j, [&](Index i, double x) FG_INLINED { sum += bends[i] * x * x; });
        return sum;
    }
    double slope(const Bent& bent, Index j, Index k) const {
        const double* FG_RESTRICT const sums = bent.sums.data() + k * rows_;
        double sum = ridge_[j * outputs_ + k] * bent.moved[std::size_t(j * outputs_ + k)];
        visit(j, [&](Index i, double x) FG_INLINED { sum += sums[i] * x; });
        return sum;
    }
    void move(Bent& bent, Index j, Index k, double step) const {
        const double* FG_RESTRICT const bends = bends_.data() + k * rows_;
        double* FG_RESTRICT const sums = bent.sums.data() + k * rows_;
        bent.moved[std::size_t(j * outputs_ + k)] += step;
        visit(j, [&](Index i, double x) FG_INLINED { sums[i] += step * x * bends[i]; });
    }

private:
    template <class F>
    FG_INLINE void visit(Index j, F f) const {
        if (j == columns_.rows()) {
            for (Index i = 0; i < rows_; ++i) f(i, 1.0);
            return;
        }
        const auto column = columns_.sample(j);
        if constexpr (View::dense) {
            for (Index i = 0; i < rows_; ++i) f(i, double(column.x[i]));
        } else {
            for (Index e = 0; e < column.n; ++e) f(Index(column.index[e]), double(column.x[e]));
        }
    }

    const View columns_;
    const double* const ridge_;
    const Index rows_, outputs_;
    std::vector<double> bends_;  // (outputs, rows), over the number of rows
};

// Weights on their way to the minimum.
template <class Curvature>
class Descent {
public:
    // v is u at first.
    Descent(const Model& model, const Curvature& curvature, double* v)
        : model_(model),
          curvature_(curvature),
          v_(v),
          diagonal_(model.coordinates.size()),
          here_(position()),
          there_(position()) {
        for (std::size_t at = 0; at < diagonal_.size(); ++at) {
            const Index c = coordinate(at);
            diagonal_[at] = curvature.diagonal(c / model.outputs, c % model.outputs);
            for (Index r = 0; r < model.rank; ++r) diagonal_[at] += model.signs[r] * term(at)[r] * term(at)[r];
        }
    }

    // Until a sweep over all coordinates shows that less than a share `tol` of how deep the model is here is left to
    // find, or after so many sweeps. Between those over all are some over coordinates that are not zero; where these go
    // on and on, conjugate gradients take over for a while. Returns how deep the model is here.
    double run(double tol, Index sweeps) {
        std::vector<std::size_t> active;
        bool refines = true;
        while (sweeps > 0) {
            const double before = depth_;
            active.clear();
            for (std::size_t at = 0; at < diagonal_.size(); ++at) {
                visit(at);
                if (v_[coordinate(at)] != 0.0) active.push_back(at);
            }
            --sweeps;
            if (!(depth_ - before > tol * depth_)) break;
            double left = depth_, last = depth_ - before;
            for (Index count = 1; sweeps > 0 && left > 0.3 * tol * depth_; ++count, --sweeps) {
                if (count % patience == 0 && refines) {
                    const double start = depth_;
                    refines = refine(active, tol, sweeps) && depth_ - start > last;
                }
                const double start = depth_;
                for (const auto at : active) visit(at);
                const double fell = depth_ - start;
                left = fell < 0.99 * last ? fell * fell / (last - fell) : 99.0 * fell;
                left = std::max(left, fell);
                last = fell;
            }
        }
        return depth_;
    }

private:
    static constexpr Index patience = 10;  // sweeps over the same coordinates
    static constexpr Index products = 50;  // of conjugate gradients at a time

    struct Position {
        Bent bent;
        std::vector<double> along;  // (rank,): signs times terms times the move
    };

    Position position() const { return {curvature_.none(), std::vector<double>(std::size_t(model_.rank), 0.0)}; }
    Index coordinate(std::size_t at) const { return Index(model_.coordinates[at]); }
    const double* term(std::size_t at) const { return model_.terms + Index(at) * model_.rank; }
    double strength(Index c) const { return model_.strength[c / model_.outputs]; }
    bool bounded(Index c) const { return model_.positive && c / model_.outputs < model_.size - 1; }

    // B times a move, at one of the coordinates.
    double bent(const Position& of, std::size_t at) const {
        const Index c = coordinate(at);
        double sum = curvature_.slope(of.bent, c / model_.outputs, c % model_.outputs);
        for (Index r = 0; r < model_.rank; ++r) sum += term(at)[r] * of.along[std::size_t(r)];
        return sum;
    }
    void move(Position& of, std::size_t at, double step) const {
        const Index c = coordinate(at);
        curvature_.move(of.bent, c / model_.outputs, c % model_.outputs, step);
        for (Index r = 0; r < model_.rank; ++r) of.along[std::size_t(r)] += model_.signs[r] * term(at)[r] * step;
    }

    // One coordinate goes where the model is least along it.
    void visit(std::size_t at) {
        const Index c = coordinate(at);
        const double bend = diagonal_[at], from = v_[c];
        if (!(bend > 0.0)) return;
        const double slope = model_.gradient[c] + bent(here_, at), free = from - slope / bend;
        double to = std::copysign(std::max(0.0, std::fabs(free) - strength(c) / bend), free) + 0.0;  // -0 is 0
        if (bounded(c)) to = std::max(0.0, to);
        const double step = to - from;
        if (step == 0.0 || !std::isfinite(step)) return;
        v_[c] = to;
        move(here_, at, step);
        depth_ -= step * (slope + 0.5 * bend * step) + strength(c) * (std::fabs(to) - std::fabs(from));
    }

    // Conjugate gradients over the coordinates that are not zero, as if their signs were to stay; those that would
    // change theirs end at zero. Whether the model is deeper there; if not, all stays.
    bool refine(const std::vector<std::size_t>& active, double tol, Index& sweeps) {
        std::vector<std::size_t> free;
        for (const auto at : active)
            if (v_[coordinate(at)] != 0.0 && diagonal_[at] > 0.0) free.push_back(at);
        const std::size_t n = free.size();
        std::vector<double> slope(n), rest(n), way(n), image(n), step(n, 0.0), actual(n);
        double size = 0.0, fell = 0.0;
        for (std::size_t i = 0; i < n; ++i) {
            const Index c = coordinate(free[i]);
            slope[i] = model_.gradient[c] + bent(here_, free[i]);
            rest[i] = -slope[i] - std::copysign(strength(c), v_[c]);
            way[i] = rest[i] / diagonal_[free[i]];
            size += rest[i] * way[i];
        }
        for (Index product = 0; product < products && sweeps > 1 && size > 0.0; ++product, --sweeps) {
            go_there(free, way);
            double along = 0.0, next = 0.0;
            for (std::size_t i = 0; i < n; ++i) {
                image[i] = bent(there_, free[i]);
                along += way[i] * image[i];
            }
            if (!(along > 0.0)) break;
            const double part = size / along, gained = 0.5 * part * size;
            for (std::size_t i = 0; i < n; ++i) {
                step[i] += part * way[i];
                rest[i] -= part * image[i];
                next += rest[i] * rest[i] / diagonal_[free[i]];
            }
            fell += gained;
            for (std::size_t i = 0; i < n; ++i) way[i] = rest[i] / diagonal_[free[i]] + next / size * way[i];
            size = next;
            if (gained <= 0.01 * tol * (depth_ + fell)) break;
        }
        for (int halvings = 0; halvings < 4; ++halvings) {
            for (std::size_t i = 0; i < n; ++i) {
                const Index c = coordinate(free[i]);
                const double from = v_[c], to = from + step[i];
                const bool crosses = (strength(c) > 0.0 || bounded(c)) && (to > 0.0) != (from > 0.0);
                actual[i] = crosses ? -from : step[i];
                step[i] *= 0.5;
            }
            go_there(free, actual);
            double change = 0.0;
            for (std::size_t i = 0; i < n; ++i) {
                const Index c = coordinate(free[i]);
                change += actual[i] * (slope[i] + 0.5 * bent(there_, free[i])) +
                          strength(c) * (std::fabs(v_[c] + actual[i]) - std::fabs(v_[c]));
            }
            if (!(change < 0.0)) continue;
            for (std::size_t i = 0; i < n; ++i) v_[coordinate(free[i])] += actual[i];
            here_.bent += there_.bent;
            for (std::size_t r = 0; r < here_.along.size(); ++r) here_.along[r] += there_.along[r];
            depth_ -= change;
            return true;
        }
        return false;
    }

    // From u by a step.
    void go_there(const std::vector<std::size_t>& free, const std::vector<double>& step) {
        std::fill(there_.bent.sums.begin(), there_.bent.sums.end(), 0.0);
        std::fill(there_.bent.moved.begin(), there_.bent.moved.end(), 0.0);
        std::fill(there_.along.begin(), there_.along.end(), 0.0);
        for (std::size_t i = 0; i < free.size(); ++i)
            if (step[i] != 0.0) move(there_, free[i], step[i]);
    }

    const Model& model_;
    const Curvature& curvature_;
    double* const v_;
    std::vector<double> diagonal_;  // of B, at each of the coordinates
    Position here_;                 // of v, from u
    Position there_;                // of conjugate gradients
    double depth_ = 0.0;
};

// v, at first u, moves to the minimum, about; see Descent::run. Returns how deep the model is there.
template <class Curvature>
double descend(const Model& model, const Curvature& curvature, double tol, Index sweeps, double* v) {
    return Descent<Curvature>(model, curvature, v).run(tol, sweeps);
}

}  // namespace fg
