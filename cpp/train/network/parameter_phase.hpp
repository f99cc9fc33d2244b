// The second phase of a step: gradients of tiles of parameters over all rows of the batch, clipping, penalty, update
// rule, packing for the next step; a member its tiles.
#pragma once

#include <memory>
#include <numeric>

#include "train/network/recipe.hpp"
#include "train/network/touched_rows.hpp"
#include "train/updater.hpp"

namespace fg {

template <class T>
class ParameterPhase {
public:
    // Flat arrays are trained in place.
    ParameterPhase(const Network<T>& network, const NetworkRecipe& recipe, const Flat<T>& flat,
                   const TrainingPlan<T>& plan, BatchMemory<T>& memory)
        : network_(network),
          recipe_(recipe),
          flat_(flat),
          plan_(plan),
          memory_(memory),
          gradient_(network, plan, memory),
          touched_(network, plan, memory),
          updater_(make_updater<T>(recipe.rule, recipe.lazy)) {
        require(!recipe.lazy || !flat.average, "lazy: not with an average");
    }

    // Before steps: others may have changed the weights.
    void begin() { touched_.forget(); }

    double carry(const Tick& tick) const { return updater_->carry(tick); }

    // Before weights move: what the penalty of a member's tiles is.
    void measure(const MemberMemory<T>& own) {
        each_tile(own, [&](std::size_t t, const PlannedTile& tile) {
            const double l2 = tile.penalised ? recipe_.penalty.l2 : 0.0;
            const auto square = [&] { return square_of(flat_.w + tile.offset, tile.count); };
            memory_.penalties[t] = l2 == 0.0 ? 0.0 : 0.5 * l2 * (tile.touched ? touched_.square(t, square) : square());
        });
    }

    // A member's part of a training step, behind the barrier that ends the first phase.
    void run(const NetworkStep& step, const MemberMemory<T>& own, Watch& watch, Barrier& barrier) {
        const auto flats = [this](const PlannedTile& tile) { return flat_of(tile); };
        if (!plan_.keeps_gradient) {
            if (watch.off()) return;
            touched_.gather(step, own, flats);
            each_tile(own, [&](std::size_t t, const PlannedTile& tile) {
                if (tile.touched) return move_touched(step, t, tile, 1.0);
                move(step, tile, gradient_of(step, own, tile));
            });
            return;
        }
        touched_.gather(step, own, flats);
        each_tile(own, [&](std::size_t t, const PlannedTile& tile) {
            if (watch.called_off(own.number)) return;
            if (tile.touched) {
                memory_.squares[t] = touched_.square_of_gradient(t);
            } else {
                T* const g = memory_.gradient.data() + tile.offset;
                make_gradient(step, own, tile, g);
                memory_.squares[t] = square_of(g, tile.count);
            }
        });
        barrier.wait();
        if (watch.off()) return;
        const double square = std::accumulate(memory_.squares.begin(), memory_.squares.end(), 0.0);
        const double factor = norm_factor(square, recipe_.clip_norm);
        each_tile(own, [&](std::size_t t, const PlannedTile& tile) {
            if (tile.touched) return move_touched(step, t, tile, factor);
            move(step, tile, {.g = memory_.gradient.data() + tile.offset, .scale = factor});
        });
    }

    // Instead: the gradient of loss and penalty, for a member's tiles; the weights stay.
    void evaluate(const NetworkStep& step, const MemberMemory<T>& own, Watch& watch, T* gradient) {
        each_tile(own, [&](std::size_t, const PlannedTile& tile) {
            if (watch.called_off(own.number)) return;
            T* const g = gradient + tile.offset;
            make_gradient(step, own, tile, g);
            const T l2 = T(penalty_on(step, tile).l2);
            for (Index i = 0; i < tile.count; ++i) g[i] += l2 * flat_.w[tile.offset + i];
        });
    }

    // Of the objective, for the weights that have been measured.
    double penalty(const NetworkStep& step) const {
        double sum = 0.0;
        for (const double penalty : memory_.penalties) sum += penalty;
        if (!recipe_.penalty_of_batch) return sum;
        return step.total > 0.0 ? sum / step.total : 0.0;
    }

private:
    // Calls f(number, tile) for a member's tiles.
    template <class F>
    void each_tile(const MemberMemory<T>& own, const F& f) const {
        for (Index t = own.tiles.begin; t < own.tiles.end; ++t) f(std::size_t(t), plan_.tiles[std::size_t(t)]);
    }

    // Of a tile, into g.
    void make_gradient(const NetworkStep& step, const MemberMemory<T>& own, const PlannedTile& tile, T* g) const {
        if (tile.part >= 0) return gradient_.parts(step, tile).collect(0, tile.count, g);
        gradient_.make(step, own, {0, step.pass.rows}, tile, g);
    }

    // As a sweep reads it: its parts, or the member's own array.
    Gradient<T> gradient_of(const NetworkStep& step, const MemberMemory<T>& own, const PlannedTile& tile) const {
        if (tile.part >= 0) return gradient_.parts(step, tile);
        gradient_.make(step, own, {0, step.pass.rows}, tile, own.gradient.data());
        return {.g = own.gradient.data()};
    }

    void move(const NetworkStep& step, const PlannedTile& tile, Gradient<T> gradient) {
        gradient.limit = recipe_.clip_value;
        Flat<T> flat = flat_of(tile);
        if (flat_.average && recipe_.average_share > 0.0) {
            flat.average = flat_.average + tile.offset;
            flat.average_weight = step.tick.step == 1 ? 1.0 : recipe_.average_share;
        }
        updater_->sweep(step.tick, penalty_on(step, tile), gradient, flat, 0, tile.count);
        network_.layer(tile.node).moved(tile.number);
    }
    void move_touched(const NetworkStep& step, std::size_t t, const PlannedTile& tile, double factor) {
        touched_.move(*updater_, step.tick, penalty_on(step, tile), {factor, recipe_.clip_value}, flat_of(tile), t);
        network_.layer(tile.node).moved(tile.number);
    }
    Flat<T> flat_of(const PlannedTile& tile) const {
        Flat<T> flat;
        flat.w = flat_.w + tile.offset;
        for (int s = 0; s < Flat<T>::most_slots; ++s)
            flat.slot[s] = flat_.slot[s] ? flat_.slot[s] + tile.offset : nullptr;
        return flat;
    }

    Penalty penalty_on(const NetworkStep& step, const PlannedTile& tile) const {
        if (!tile.penalised) return {};
        Penalty penalty = recipe_.penalty;
        if (recipe_.penalty_of_batch) penalty.l2 = step.total > 0.0 ? penalty.l2 / step.total : 0.0;
        return penalty;
    }

    // In the type of the data, which is a sum of lanes and so loses little, then in double. sum_of_squares of clip.hpp,
    // which linear models use, adds up in double at once: it has other bits, and takes up to half as long again on
    // these tiles, all of which are measured in every step with L2.
    static double square_of(const T* v, Index n) {
        constexpr Index some = 1024;
        double sum = 0.0;
        for (Index i = 0; i < n; i += some) {
            T part = 0;
            const Index end = std::min(n, i + some);
#pragma omp simd reduction(+ : part)
            for (Index k = i; k < end; ++k) part += v[k] * v[k];
            sum += double(part);
        }
        return sum;
    }

    const Network<T>& network_;
    const NetworkRecipe& recipe_;
    const Flat<T> flat_;
    const TrainingPlan<T>& plan_;
    BatchMemory<T>& memory_;
    const TileGradient<T> gradient_;
    TouchedRows<T> touched_;
    const std::unique_ptr<Updater<T>> updater_;
};

}  // namespace fg
