// Passes over the rows in their order: losses and gradient of linear models at given weights, and what their curvature
// is made of. The loop that decides where to go next is in Python (_training/curvature).
//
// Rows are cut into chunks by the data alone; each has a partial gradient of its own, and these are added up in their
// order. So results are the same bits for any number of threads. A pass keeps the margins, from which losses, slopes
// and second derivatives at other intercepts are found without X.
#pragma once

#include <algorithm>
#include <atomic>
#include <cmath>
#include <memory>
#include <numeric>
#include <utility>
#include <vector>

#include "core/team.hpp"
#include "kernel/products.hpp"
#include "train/losses.hpp"

namespace fg {

// What the models of a pass have in common: they differ in the weights of their rows.
template <class T>
struct PassRecipe {
    PartSpec loss;
    bool multinomial = false;
    std::vector<Goals<T>> goals;        // of the models
    std::vector<std::uint32_t> listed;  // the rows; empty: all
    const double* centre = nullptr;     // (features,): intercepts are those of rows reckoned from here; null: from 0
};

template <class T>
class Pass {
public:
    virtual ~Pass() = default;

    Index rows() const { return Index(listed_.size()); }
    Index columns() const { return Index(goals_.size()) * goals_[0].outputs; }
    Index models() const { return Index(goals_.size()); }

    // At W (features + 1, columns): the sum of losses of each model, and their gradient, of the same shape as W. False
    // if it has been called off, which leaves nothing of use.
    bool evaluate(const double* W, int threads, std::function<bool()> callback, double* losses, double* gradient) {
        Watch watch(std::move(callback));
        load(W);
        std::atomic<Index> next{0};
        const int most = most_members(threads);
        make_room(most);
        Team::call(sizes(), most, 1e-9 * work(), [&](int member, int) {
            for (Index c = next++; c < chunks_ && !watch.called_off(member); c = next++) chunk(c, member);
        });
        if (watch.off() || !watch.poll()) return false;
        add_up(most, gradient);
        std::fill_n(losses, models(), 0.0);
        for (Index c = 0; c < chunks_; ++c)
            for (Index m = 0; m < models(); ++m) losses[m] += losses_[std::size_t(c * models() + m)];
        return true;
    }

    // The margins of the last pass plus `shift` (columns,): sums over the rows of losses (models,), of slopes
    // (columns,), and of second derivatives: (columns,), or (columns, columns) of one softmax.
    void shifted(const double* shift, const double* way, int threads, double* losses, double* slopes, double* bends) {
        const Index C = columns(), square = multinomial_ ? C * C : C;
        const Index parts = std::min<Index>(chunks_, 16);
        std::vector<double> partial(std::size_t(parts * (models() + C + square)), 0.0);
        const int most = Team::most(std::min(double(parts), double(rows() * width_) / 2e4), threads);
        Team::call(sizes(), most, 5e-9 * double(rows() * width_), [&](int member, int members) {
            for (Index p = parts * member / members; p < parts * (member + 1) / members; ++p) {
                double* const at = partial.data() + p * (models() + C + square);
                sum_shifted({rows() * p / parts, rows() * (p + 1) / parts}, shift, way, at, at + models(),
                            at + models() + C);
            }
        });
        std::fill_n(losses, models(), 0.0);
        std::fill_n(slopes, C, 0.0);
        std::fill_n(bends, square, 0.0);
        for (Index p = 0; p < parts; ++p) {
            const double* const at = partial.data() + p * (models() + C + square);
            for (Index k = 0; k < models(); ++k) losses[k] += at[k];
            for (Index k = 0; k < C; ++k) slopes[k] += at[models() + k];
            for (Index k = 0; k < square; ++k) bends[k] += at[models() + C + k];
        }
    }

    // From now on losses and slopes are means over `way` (columns,) to both sides, of losses with kinks; null: they are
    // not. Second derivatives are means over a way of their own.
    void average_over(const double* way) {
        require(!way || averaged_, "loss: it has no kinks");
        averages_ = way != nullptr;
        if (way) averaged_->average_over(way);
    }

    // At the last margins: sums over the rows of the losses themselves and of their slacks, (models,) each; see
    // kernel/averaged_loss.hpp.
    void slacks(int threads, double* losses, double* slacks) const {
        require(averages_, "way: losses are no averages");
        const Index parts = std::min<Index>(chunks_, 16);
        std::vector<double> partial(std::size_t(2 * parts * models()), 0.0);
        const int most = Team::most(std::min(double(parts), double(rows() * width_) / 2e4), threads);
        Team::call(sizes(), most, 2e-9 * double(rows() * width_), [&](int member, int members) {
            for (Index p = parts * member / members; p < parts * (member + 1) / members; ++p) {
                double* const at = partial.data() + 2 * p * models();
                const Index end = rows() * (p + 1) / parts;
                for (Index begin = rows() * p / parts; begin < end; begin += tile)
                    averaged_->slacks(rows_of(begin), std::min(tile, end - begin), margins_.data() + begin * width_, at,
                                      at + models());
            }
        });
        for (Index m = 0; m < models(); ++m) losses[m] = slacks[m] = 0.0;
        for (Index p = 0; p < parts; ++p)
            for (Index m = 0; m < models(); ++m) {
                losses[m] += partial[std::size_t(2 * p * models() + m)];
                slacks[m] += partial[std::size_t((2 * p + 1) * models() + m)];
            }
    }

    // Second derivatives (rows, columns) of the losses at the last margins, weights of the rows included: mean slopes
    // of the slopes over `way` (columns,) to both sides; of a softmax, p (1 - p).
    void bends(const double* way, int threads, T* out) const {
        const Index tiles = (rows() + tile - 1) / tile;
        const int most = Team::most(double(rows() * width_) / 2e4, threads);
        Team::call(sizes(), most, 5e-9 * double(rows() * width_), [&](int member, int members) {
            std::vector<T> bend(std::size_t(tile * width_)), scratch(std::size_t(tile * width_));
            for (Index t = tiles * member / members; t < tiles * (member + 1) / members; ++t) {
                const Index begin = t * tile, count = std::min(tile, rows() - begin);
                std::copy_n(margins_.data() + begin * width_, count * width_, bend.data());
                bend_tile(begin, count, way, bend.data(), scratch.data());
                for (Index i = 0; i < count; ++i)
                    std::copy_n(bend.data() + i * width_, columns(), out + (begin + i) * columns());
            }
        });
    }

protected:
    static constexpr Index tile = 32;  // rows at a time, at most

    Pass(Index all_rows, Index features, double length, PassRecipe<T> recipe)
        : features_(features),
          length_(std::max(1.0, length)),
          goals_(std::move(recipe.goals)),
          listed_(std::move(recipe.listed)),
          centre_(recipe.centre),
          multinomial_(recipe.multinomial),
          width_(width_of<T>(columns())) {
        if (listed_.empty()) {
            listed_.resize(std::size_t(all_rows));
            std::iota(listed_.begin(), listed_.end(), 0u);
        }
        loss_ = make_block_loss<T>(recipe.loss, multinomial_, goals_, width_);
        if (!multinomial_) averaged_ = make_averaged_loss<T>(recipe.loss, goals_, width_);
        margins_ = Buffer<T>(rows() * width_);
        weights_ = Buffer<T>(features_ * width_);
        intercepts_.assign(std::size_t(width_), T(0));
    }

    // `chunks` with partial gradients.
    void cut(Index chunks) {
        chunks_ = std::clamp<Index>(chunks, 1, rows());
        stride_ = whole_lines<double>((features_ + 1) * width_);
        partial_ = Buffer<double>(chunks_ * stride_);
        losses_.resize(std::size_t(chunks_ * models()));
    }

    virtual void make_room(int members) = 0;
    // Margins, losses and the partial gradient of chunk c.
    virtual void chunk(Index c, int member) = 0;

    const std::uint32_t* rows_of(Index begin) const { return listed_.data() + begin; }
    Rows chunk_rows(Index c) const { return {rows() * c / chunks_, rows() * (c + 1) / chunks_}; }
    double* partial_of(Index c) const { return partial_.data() + c * stride_; }

    // P, margins of `count` rows from `begin` on, become slopes; `sums` (width,) grows by theirs.
    void slopes(Index c, Index begin, Index count, T* P, double* sums) {
        std::copy_n(P, count * width_, margins_.data() + begin * width_);
        smooth().slopes(rows_of(begin), count, 1.0, P, losses_.data() + c * models());
        with_lanes<T>(width_, [&](auto vector) { add_totals<decltype(vector)::value>(P, count, width_, sums); });
    }

    static TeamSize::Memory& sizes() { return TeamSize::Memory::of<Pass>(); }
    double work() const { return 2.0 * length_ * double(rows()) * double(width_); }
    int most_members(int threads) const { return Team::most(std::min(double(chunks_), work() / 5e4), threads); }

    const Index features_;
    const double length_;  // entries of a row, on average
    const std::vector<Goals<T>> goals_;
    std::vector<std::uint32_t> listed_;
    const double* const centre_;
    const bool multinomial_;
    const Index width_;
    Index chunks_ = 1, stride_ = 0;
    Buffer<T> margins_, weights_;  // (rows, width), (features, width)
    std::vector<T> intercepts_;    // (width,), for rows reckoned from zero
    Buffer<double> partial_;       // (chunks, features + 1, width); a member writes those of its chunks
    std::vector<double> losses_;   // (chunks, models)
    std::unique_ptr<BlockLoss<T>> loss_;
    std::unique_ptr<AveragedLoss<T>> averaged_;  // null: the loss has no kinks
    bool averages_ = false;

private:
    const BlockLoss<T>& smooth() const { return averages_ ? *averaged_ : *loss_; }

    void load(const double* W) {
        const Index C = columns();
        std::vector<double> shift(W + features_ * C, W + (features_ + 1) * C);
        for (Index j = 0; j < features_; ++j) {
            for (Index k = 0; k < width_; ++k) weights_.data()[j * width_ + k] = k < C ? T(W[j * C + k]) : T(0);
            for (Index k = 0; centre_ && k < C; ++k)
                shift[std::size_t(k)] -= centre_[j] * double(weights_.data()[j * width_ + k]);
        }
        for (Index k = 0; k < C; ++k) intercepts_[std::size_t(k)] = T(shift[std::size_t(k)]);
        std::fill(losses_.begin(), losses_.end(), 0.0);
    }

    // Partial gradients in the order of the chunks, then from rows reckoned from zero to rows from the centre.
    void add_up(int most, double* gradient) {
        const Index C = columns(), all = (features_ + 1) * width_;
        Team::call(sizes(), most, 1e-9 * double(chunks_ * all), [&](int member, int members) {
            const auto [begin, end] = Rows{all * member / members, all * (member + 1) / members};
            double* FG_RESTRICT const sum = partial_.data();
            for (Index c = 1; c < chunks_; ++c) {
                const double* FG_RESTRICT const part = partial_of(c);
                for (Index i = begin; i < end; ++i) sum[i] += part[i];
            }
        });
        const double* const sum = partial_.data();
        for (Index j = 0; j <= features_; ++j)
            for (Index k = 0; k < C; ++k) gradient[j * C + k] = sum[j * width_ + k];
        for (Index j = 0; centre_ && j < features_; ++j)
            for (Index k = 0; k < C; ++k) gradient[j * C + k] -= centre_[j] * sum[features_ * width_ + k];
    }

    T weight_of(Index row) const {
        const auto& goals = goals_[0];
        const T side = T(goals.side_weight[2 * std::size_t(goals.code[row]) + 1]);
        return goals.weight ? side * goals.weight_of(row) : side;
    }

    // P (count, width), margins, become second derivatives; `scratch` is as large.
    void bend_tile(Index begin, Index count, const double* way, T* P, T* scratch) const {
        std::vector<double> unused(goals_.size());
        if (multinomial_) {
            loss_->slopes(rows_of(begin), count, 1.0, P, unused.data());
            for (Index i = 0; i < count; ++i) {
                const T weight = weight_of(Index(rows_of(begin)[i]));
                for (Index k = 0; k < width_; ++k) {
                    const T size = std::fabs(P[i * width_ + k]);
                    P[i * width_ + k] = weight > T(0) ? size * (T(1) - size / weight) : T(0);
                }
            }
            return;
        }
        for (Index i = 0; i < count; ++i)
            for (Index k = 0; k < width_; ++k) {
                const T far = k < columns() ? T(way[k]) : T(0), at = P[i * width_ + k];
                scratch[i * width_ + k] = at - far;
                P[i * width_ + k] = at + far;
            }
        loss_->slopes(rows_of(begin), count, 1.0, P, unused.data());
        loss_->slopes(rows_of(begin), count, 1.0, scratch, unused.data());
        for (Index i = 0; i < count; ++i)
            for (Index k = 0; k < width_; ++k) {
                const T difference = P[i * width_ + k] - scratch[i * width_ + k];
                P[i * width_ + k] = k < columns() ? std::max(T(0), difference / T(2 * way[k])) : T(0);
            }
    }

    void sum_shifted(Rows some, const double* shift, const double* way, double* losses, double* slopes,
                     double* bends) const {
        const Index C = columns();
        std::vector<T> P(std::size_t(tile * width_)), bend(P.size()), scratch(P.size());
        std::vector<double> sums(std::size_t(width_), 0.0), curved(std::size_t(width_), 0.0);
        const auto add = [&](const T* values, Index count, std::vector<double>& to) {
            with_lanes<T>(width_,
                          [&](auto vector) { add_totals<decltype(vector)::value>(values, count, width_, to.data()); });
        };
        for (Index begin = some.begin; begin < some.end; begin += tile) {
            const Index count = std::min(tile, some.end - begin);
            const T* const from = margins_.data() + begin * width_;
            for (Index i = 0; i < count; ++i)
                for (Index k = 0; k < width_; ++k)
                    P[std::size_t(i * width_ + k)] = from[i * width_ + k] + (k < C ? T(shift[k]) : T(0));
            std::copy_n(P.data(), count * width_, bend.data());
            smooth().slopes(rows_of(begin), count, 1.0, P.data(), losses);
            add(P.data(), count, sums);
            if (multinomial_) {
                add_softmax_bends(begin, count, P.data(), bends);
            } else {
                bend_tile(begin, count, way, bend.data(), scratch.data());
                add(bend.data(), count, curved);
            }
        }
        std::copy_n(sums.data(), C, slopes);
        if (!multinomial_) std::copy_n(curved.data(), C, bends);
    }

    // bends (columns, columns) += weight (diag p - p p'), from the slopes weight (p - target).
    void add_softmax_bends(Index begin, Index count, const T* S, double* bends) const {
        const Index C = columns();
        std::vector<double> p(static_cast<std::size_t>(C));
        for (Index i = 0; i < count; ++i) {
            const Index row = Index(rows_of(begin)[i]);
            const double weight = double(weight_of(row));
            if (weight <= 0.0) continue;
            for (Index k = 0; k < C; ++k) p[std::size_t(k)] = double(S[i * width_ + k]) / weight;
            p[std::size_t(goals_[0].code[row])] += 1.0;
            for (Index k = 0; k < C; ++k) {
                bends[k * C + k] += weight * p[std::size_t(k)];
                for (Index l = 0; l < C; ++l) bends[k * C + l] -= weight * p[std::size_t(k)] * p[std::size_t(l)];
            }
        }
    }
};

// Defined in inst/, one file a storage.
template <class T>
std::unique_ptr<Pass<T>> make_pass(const Dense<T>& X, bool sorted, PassRecipe<T> recipe);
template <class T, class I>
std::unique_ptr<Pass<T>> make_pass(const Csr<T, I>& X, bool sorted, PassRecipe<T> recipe);

}  // namespace fg
