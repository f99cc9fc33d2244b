// The first phase of a step: forward, loss and backward, a member its rows. Members meet where a layer needs sums over
// the batch.
#pragma once

#include <algorithm>

#include "train/network/training_memory.hpp"

namespace fg {

template <class T>
class RowPhase {
public:
    RowPhase(const Network<T>& network, const Design<T>& X, const Goals<T>& goals, const TileLoss<T>& loss,
             const TrainingPlan<T>& plan, BatchMemory<T>& memory)
        : network_(network),
          X_(X),
          goals_(goals),
          loss_(loss),
          plan_(plan),
          memory_(memory),
          gradient_(network, plan, memory) {}

    // The rows of a batch that fall to a member, in whole granules or blocks.
    Rows rows_of(Index rows, int member, int members) const {
        const auto [begin, end] = member_range(rows, member, members, plan_.by_blocks() ? plan_.block : granule);
        return {begin, end};
    }

    // A member's part. Until the next barrier other members may still be in theirs.
    void run(const NetworkStep& step, Rows rows, MemberMemory<T>& own, Watch& watch, Barrier& barrier) {
        own.input = fetch(step, rows);
        if (step.pass.mask) network_.masking().mark(own.input, rows, memory_.mask.data());
        forward(step, rows, own, watch, barrier);
        if (rows.count() > 0 && !watch.called_off(own.number)) score(step, rows);
        backward(step, rows, own, watch, barrier);
    }

private:
    // Value 0: the rows themselves where they lie side by side, otherwise copies.
    const T* fetch(const NetworkStep& step, Rows rows) {
        if (plan_.sparse_input) {
            for (Index i = rows.begin; i < rows.end; ++i) memory_.sparse[std::size_t(i)] = X_.sparse_row(step.row(i));
            return nullptr;
        }
        if (!step.order && !X_.sparse() && !network_.joined(0)) return X_.dense(step.first);
        T* const copies = memory_.values.at[0];
        for (Index i = rows.begin; i < rows.end; ++i) {
            if (i + 4 < rows.end && !X_.sparse()) prefetch_bytes(X_.dense(step.row(i + 4)), X_.cols * Index(sizeof(T)));
            X_.copy(step.row(i), copies + i * X_.cols);
        }
        return copies;
    }

    // Calls f(rows) for some rows after the other, as long as the step is not called off.
    template <class F>
    void between_polls(Rows rows, const MemberMemory<T>& own, Watch& watch, F&& f) {
        each_few(rows, 6144, [&](Rows few) {
            if (!watch.called_off(own.number)) f(few);
        });
    }

    // In front of a stage that meets: all members have summed up their rows, and the first concludes.
    template <class Conclude>
    void meet(const MemberMemory<T>& own, Barrier& barrier, const Conclude& conclude) {
        barrier.wait();
        if (own.number == 0) conclude();
        barrier.wait();
    }

    void forward(const NetworkStep& step, Rows rows, MemberMemory<T>& own, Watch& watch, Barrier& barrier) {
        for (std::size_t s = 0; s < plan_.forward.size(); ++s) {
            const Stage& stage = plan_.forward[s];
            if (stage.meets) {
                auto& first = network_.layer(stage.begin);
                if (s == 0) first.sum_up(own.value(0), rows);
                meet(own, barrier, [&] { first.conclude(step.pass); });
            }
            const bool meets_next = s + 1 < plan_.forward.size() && plan_.forward[s + 1].meets;
            each_few(rows, stage.rows, [&](Rows some) {
                own.values.begin_at(plan_.values, some.begin);
                for (Index k = stage.begin; k < stage.end; ++k)
                    between_polls(some, own, watch, [&](Rows few) { forward(step, k, few, own); });
                if (meets_next) network_.layer(stage.end).sum_up(own.value(stage.end), some);
            });
        }
    }
    void forward(const NetworkStep& step, Index k, Rows rows, const MemberMemory<T>& own) {
        auto& layer = network_.layer(k);
        T* const y = own.values.at[std::size_t(k) + 1];
        if (k == 0 && plan_.sparse_input) {
            layer.forward(step.pass, memory_.sparse.data(), y, rows);
        } else {
            layer.forward(step.pass, own.value(k), y, rows);
        }
    }

    // Losses of the rows, and the slopes of the last value.
    void score(const NetworkStep& step, Rows rows) {
        const Index outputs = goals_.outputs, width = goals_.width;
        const T* const raw = memory_.values.at.back();
        T* const slopes = memory_.slopes.at.back();
        T* const p = memory_.margins.data();
        const double factor = step.total > 0.0 ? 1.0 / step.total : 0.0;
        each_few(rows, granule, [&](Rows few) {
            std::uint32_t numbers[granule];
            for (Index r = few.begin; r < few.end; ++r) {
                numbers[r - few.begin] = std::uint32_t(step.row(r));
                std::copy_n(raw + r * outputs, outputs, p + r * width);
                std::fill_n(p + r * width + outputs, width - outputs, T(0));
            }
            memory_.losses[std::size_t(few.begin / granule)] =
                loss_.slopes(goals_, numbers, few.count(), factor, p + few.begin * width);
            for (Index r = few.begin; r < few.end; ++r) std::copy_n(p + r * width, outputs, slopes + r * outputs);
        });
    }

    void backward(const NetworkStep& step, Rows rows, MemberMemory<T>& own, Watch& watch, Barrier& barrier) {
        for (std::size_t s = 0; s < plan_.backward.size(); ++s) {
            const Stage& stage = plan_.backward[s];
            if (stage.meets) {
                if (s == 0) sum_up_back(stage.end - 1, rows, own);
                meet(own, barrier, [&] { network_.layer(stage.end - 1).conclude_back(step.pass); });
            }
            const bool meets_next = s + 1 < plan_.backward.size() && plan_.backward[s + 1].meets;
            each_few(rows, stage.block, [&](Rows block) {
                own.slopes.begin_at(plan_.slopes, block.begin);
                each_few(block, stage.rows, [&](Rows some) {
                    for (Index k = stage.end - 1; k >= stage.begin; --k)
                        between_polls(some, own, watch, [&](Rows few) { backward(step, k, few, own); });
                    if (meets_next) sum_up_back(stage.begin - 1, some, own);
                });
                if (plan_.by_blocks()) make_partial_gradients(step, stage, block, own, watch);
            });
        }
    }
    void backward(const NetworkStep& step, Index k, Rows rows, const MemberMemory<T>& own) {
        T* const dx = k > network_.first_trained() ? own.slope(k) : nullptr;
        network_.layer(k).backward(step.pass, own.value(k), own.value(k + 1), own.slope(k + 1), dx, rows);
        if (!dx) return;
        for (const auto& join : plan_.joins) {
            if (join.from != k) continue;
            const T* const more = own.slope(join.to);
            const Index n = network_.size_of(k);
            for (Index i = rows.begin * n; i < rows.end * n; ++i) dx[i] += more[i];
        }
    }
    void sum_up_back(Index k, Rows rows, const MemberMemory<T>& own) {
        network_.layer(k).sum_up_back(own.value(k), own.slope(k + 1), rows);
    }

    // Of the layers of a stage that make their gradients by blocks of rows.
    void make_partial_gradients(const NetworkStep& step, const Stage& stage, Rows rows, const MemberMemory<T>& own,
                                Watch& watch) {
        each_few(rows, plan_.block, [&](Rows block) {
            T* const partial = memory_.partial.data() + block.begin / plan_.block * plan_.partial_size;
            for (const auto& tile : plan_.tiles)
                if (tile.part >= 0 && tile.node >= stage.begin && tile.node < stage.end &&
                    !watch.called_off(own.number))
                    gradient_.make(step, own, block, tile, partial + tile.part);
        });
    }

    const Network<T>& network_;
    const Design<T>& X_;
    const Goals<T>& goals_;
    const TileLoss<T>& loss_;
    const TrainingPlan<T>& plan_;
    BatchMemory<T>& memory_;
    const TileGradient<T> gradient_;
};

}  // namespace fg
