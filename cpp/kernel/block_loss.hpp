// The losses of a block of models that see the same rows: their margins lie side by side and become slopes together.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "kernel/tile_loss.hpp"

namespace fg {

template <class T>
class BlockLoss {
public:
    virtual ~BlockLoss() = default;
    // As TileLoss::slopes, for the margins P of all models; sums[m] grows by the m-th model's weight * loss.
    virtual void slopes(const std::uint32_t* rows, Index count, double factor, T* P, double* sums) const = 0;
};

// One model.
template <class T>
class LossAlone final : public BlockLoss<T> {
public:
    LossAlone(std::unique_ptr<TileLoss<T>> loss, const Goals<T>& goals) : loss_(std::move(loss)), goals_(goals) {}
    void slopes(const std::uint32_t* rows, Index count, double factor, T* P, double* sums) const override {
        sums[0] += loss_->slopes(goals_, rows, count, factor, P);
    }

private:
    const std::unique_ptr<TileLoss<T>> loss_;
    const Goals<T> goals_;
};

// Models whose rows need all outputs at once: one after the other, as if alone.
template <class T>
class LossInTurn final : public BlockLoss<T> {
public:
    LossInTurn(std::unique_ptr<TileLoss<T>> loss, std::vector<Goals<T>> goals, Index width)
        : loss_(std::move(loss)), goals_(std::move(goals)), width_(width) {}
    void slopes(const std::uint32_t* rows, Index count, double factor, T* P, double* sums) const override {
        alignas(64) T own[RowTile<T>::most_rows * most_columns];
        const Index width = goals_[0].width;
        for (std::size_t m = 0; m < goals_.size(); ++m) {
            T* const first = P + Index(m) * width;
            for (Index i = 0; i < count; ++i) std::copy_n(first + i * width_, width, own + i * width);
            sums[m] += loss_->slopes(goals_[m], rows, count, factor, own);
            for (Index i = 0; i < count; ++i) std::copy_n(own + i * width, width, first + i * width_);
        }
    }

private:
    const std::unique_ptr<TileLoss<T>> loss_;
    const std::vector<Goals<T>> goals_;
    const Index width_;
};

// A loss of one margin, for every output of every model by itself. Targets and weights of the classes are tables with
// the columns of the block. Slopes have the bits that SeparateLoss gives them; so has the sum of a single output, which
// is one over lanes of rows there and here.
template <class T, class Loss>
class LossesTogether final : public BlockLoss<T> {
public:
    LossesTogether(const Loss& loss, std::vector<Goals<T>> goals, Index width)
        : loss_(loss), goals_(std::move(goals)), outputs_(goals_[0].outputs), width_(width) {
        const Index codes = goals_[0].code ? std::max<Index>(2, outputs_) : 1;
        target_.assign(std::size_t(codes * width), T(0));
        side_.assign(std::size_t(codes * width), T(0));
        for (Index code = 0; code < codes; ++code) {
            for (Index c = 0; c < columns(); ++c) {
                const Index output = c % outputs_;
                const bool inside = goals_[0].code && code == (outputs_ == 1 ? 1 : output);
                const auto& side = goals_[std::size_t(c / outputs_)].side_weight;
                target_[std::size_t(code * width + c)] = inside ? T(1) : T(goals_[0].negative);
                side_[std::size_t(code * width + c)] = T(side[std::size_t(2 * output + inside)]);
            }
        }
        for (const auto& each : goals_) same_weight_ = same_weight_ && each.weight == goals_[0].weight;
    }

    void slopes(const std::uint32_t* rows, Index count, double factor, T* P, double* sums) const override {
        with_lanes<T>(width_, [&](auto vector) {
            constexpr int N = decltype(vector)::value;
            if constexpr (N > 1) some<N>(rows, count, T(factor), P, sums);  // several models have several columns
        });
    }

private:
    Index columns() const { return Index(goals_.size()) * outputs_; }

    template <int N>
    void some(const std::uint32_t* rows, Index count, T factor, T* P, double* sums) const {
        constexpr int L = lanes<T>;
        alignas(64) T lane[L][most_columns], own_y[most_columns], own_weight[most_columns];
        for (auto& each : lane) std::fill_n(each, width_, T(0));
        std::fill_n(own_y, width_, T(0));
        for (Index i = 0; i < count; ++i) {
            const Index row = rows[i];
            const auto [y, weight] = of_row(row, own_y, own_weight);
            T* const p = P + i * width_;
            T* const values = lane[i % L];
            for (Index c = 0; c < width_; c += N) {
                const Pack<T, N> margin = load<N>(p + c), w = load<N>(weight + c);
                const Point<Pack<T, N>> point = loss_.template at<Pack<T, N>>(load<N>(y + c), margin);
                store<N>(p + c, w * factor * point.slope);
                store<N>(values + c, load<N>(values + c) + (w * point.value + T(0) * margin));
            }
        }
        for (int n = L / 2; n >= 1; n /= 2)
            for (int l = 0; l < n; ++l)
                for (Index c = 0; c < width_; ++c) lane[l][c] += lane[l + n][c];
        for (Index c = 0; c < columns(); ++c) sums[c / outputs_] += double(lane[0][c]);
    }

    // Targets and weights of a row in all columns.
    FG_INLINE std::pair<const T*, const T*> of_row(Index row, T* own_y, T* own_weight) const {
        const auto& goals = goals_[0];
        const Index code = goals.code ? Index(goals.code[row]) : 0;
        const T* y = target_.data() + code * width_;
        const T* weight = side_.data() + code * width_;
        if (!goals.code && outputs_ == 1) {
            std::fill_n(own_y, columns(), goals.y[row]);
            y = own_y;
        } else if (!goals.code) {
            for (Index c = 0; c < columns(); c += outputs_) std::copy_n(goals.y + row * outputs_, outputs_, own_y + c);
            y = own_y;
        }
        if (!same_weight_) {
            for (Index c = 0; c < width_; ++c) {
                const auto& of_model = goals_[std::size_t(std::min(c, columns() - 1) / outputs_)];
                own_weight[c] = weight[c] * (of_model.weight ? of_model.weight_of(row) : T(1));
            }
            weight = own_weight;
        } else if (goals.weight) {
            const T row_weight = goals.weight_of(row);
            for (Index c = 0; c < width_; ++c) own_weight[c] = weight[c] * row_weight;
            weight = own_weight;
        }
        return {y, weight};
    }

    const Loss loss_;
    const std::vector<Goals<T>> goals_;
    const Index outputs_, width_;
    bool same_weight_ = true;
    std::vector<T> target_, side_;  // (codes, width)
};

}  // namespace fg
