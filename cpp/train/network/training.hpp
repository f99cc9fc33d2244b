// Training of a network in mini-batches.
//
// A step has two phases, with a barrier after each; every member of the team does its part of a phase:
//   1  rows: forward, loss, backward, with meetings where layers need sums over the batch (row_phase.hpp)
//   2  tiles of parameters: gradient over all rows of the batch, penalty, update rule, packing for the next step
//      (parameter_phase.hpp); where the whole gradient is wanted before weights move, in two phases
// training_plan.hpp decides which rows and which parameters are worked on at once. What belongs to a row or to a
// parameter does not depend on who does it, and sums over rows are made granule by granule; so results are the same
// bits for any number of threads.
#pragma once

#include <cmath>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "core/denormals.hpp"
#include "kernel/random.hpp"
#include "train/losses.hpp"
#include "train/network/parameter_phase.hpp"
#include "train/network/row_phase.hpp"

namespace fg {

template <class T>
class NetworkTraining {
public:
    // Flat arrays are the caller's, trained in place.
    NetworkTraining(std::unique_ptr<Network<T>> network, std::unique_ptr<Design<T>> X, Goals<T> goals,
                    const NetworkRecipe& recipe, const Flat<T>& flat, T* kept)
        : network_(std::move(network)),
          X_(std::move(X)),
          goals_(std::move(goals)),
          recipe_(recipe),
          batch_(std::min(recipe.batch, X_->rows)),
          loss_(make_tile_loss<T>(recipe.loss, recipe.multinomial, goals_)),
          kept_(kept),
          kept_before_(std::size_t(network_->kept_size())),
          plan_(prepared(flat)),
          memory_(plan_, goals_.width, network_->masking().steps, network_->trained_size()),
          rows_(*network_, *X_, goals_, *loss_, plan_, memory_),
          parameters_(*network_, recipe_, flat, plan_, memory_) {
        for (Index k = 0; k < network_->nodes(); ++k)
            if (network_->adder(k)) network_->adder(k)->earlier(memory_.values.at[std::size_t(network_->earlier(k))]);
    }

    Index batches() const { return (X_->rows + batch_ - 1) / batch_; }
    // Numbers of memory besides parameters.
    Index workspace() const {
        Index numbers = plan_.numbers;
        for (Index k = 0; k < network_->nodes(); ++k) numbers += network_->layer(k).workspace();
        return numbers;
    }

    // Epochs with the given orders of rows (`order` (epochs, rows); null: as they are) and rates (one a batch).
    // callback() is called about every 50 ms on the calling thread; when it returns false training ends early, after a
    // whole step. An epoch that is not finite ends training.
    TrainingResult train(Index epochs, const std::uint32_t* order, const double* rates, Index first_step, double carry,
                         int threads, std::function<bool()> callback) {
        Watch watch(std::move(callback));
        begin(watch, order, rates, first_step);
        carry_[0] = carry;
        result_.loss.reserve(std::size_t(epochs));
        result_.penalty.reserve(std::size_t(epochs));
        loss_sum_ = penalty_sum_ = 0.0;
        result_.batches = loop_.run(*this, epochs * batches(), make_room(threads), watch);
        result_.carry = carry_[result_.batches % 2];
        return result_;
    }

    // Loss and gradient over all rows, as of one batch; the weights stay. Returns {loss, penalty}, which mean nothing
    // if callback() has returned false.
    std::pair<double, double> evaluate(T* gradient, int threads, std::function<bool()> callback) {
        require(batch_ == X_->rows, "batch: must be all rows");
        Watch watch(std::move(callback));
        begin(watch, nullptr, nullptr, 1);
        for (Index k = 0; k < network_->nodes(); ++k) network_->layer(k).changed();
        wanted_gradient_ = gradient;
        loop_.run_once(*this, make_room(threads));
        wanted_gradient_ = nullptr;
        return {loss_of(current_), parameters_.penalty(current_)};
    }

private:
    friend StepLoop;

    // The layers, ready for training; and the plan.
    TrainingPlan<T> prepared(const Flat<T>& flat) {
        auto& net = *network_;
        require(net.size_of(0) == X_->cols, "X: not as many columns as the network takes");
        require(net.size_of(net.nodes()) == goals_.outputs,
                "the network's last layer has not as many units as outputs");
        require(net.first_trained() >= 0, "the network has nothing to train");
        net.bind(flat.w, kept_);
        net.defer_activations(net.nodes());
        const bool sparse_input = X_->sparse() && net.takes_sparse();
        for (Index k = 0; k < net.nodes(); ++k) net.layer(k).prepare(batch_, k == 0 && sparse_input);
        const double first_entries = sparse_input ? mean_length() / double(net.size_of(0)) : 1.0;
        return {net, batch_, sparse_input, first_entries, recipe_.clip_norm != no_limit, recipe_.lazy};
    }
    double mean_length() const {
        const Index rows = std::min<Index>(X_->rows, 1024);
        double entries = 0.0;
        for (Index i = 0; i < rows; ++i) entries += double(X_->sparse_row(i).n);
        return std::max(1.0, entries / double(rows));
    }

    void begin(Watch& watch, const std::uint32_t* order, const double* rates, Index first_step) {
        watch_ = &watch;
        parameters_.begin();
        result_ = {};
        order_ = order;
        rates_ = rates;
        first_step_ = first_step;
    }

    // Memory for as many members as pay, each with some 10 microseconds of work in a step; how many those are.
    int make_room(int threads) {
        const int members = Team::most(3.0 * network_->work() * double(batch_) / 3e5, threads);
        const Index scratch = network_->scratch(network_->nodes(), batch_, true);
        while (int(team_.size()) < members)
            team_.emplace_back(int(team_.size()), plan_, memory_.values, memory_.slopes, scratch);
        return members;
    }

    // ---- as StepLoop wants them ----

    double expected(Index number) const { return 3e-10 * network_->work() * double(rows_of_batch(number % batches())); }

    // Cuts the tiles by their costs.
    void divide(int members) {
        const auto& tiles = plan_.tiles;
        const auto cost = [&](const PlannedTile& tile) {
            const double moved = tile.touched ? 0.0 : 20.0 * double(tile.count);
            return (tile.part < 0 ? tile.work * double(batch_) : 0.0) + moved;
        };
        double all = 0.0, so_far = 0.0;
        for (const auto& tile : tiles) all += cost(tile);
        Index next = 0;
        for (int m = 0; m < members; ++m) {
            auto& own = team_[std::size_t(m)].tiles;
            own.begin = next;
            while (next < Index(tiles.size()) &&
                   (m + 1 == members || so_far + 0.5 * cost(tiles[std::size_t(next)]) < all * (m + 1) / members))
                so_far += cost(tiles[std::size_t(next++)]);
            own.end = next;
        }
    }

    void step(Index number, int member, int members, Barrier& barrier) {
        const FlushDenormals flush;
        auto& own = team_[std::size_t(member)];
        NetworkStep step = step_at(number);
        step.pass.scratch = own.scratch.data();
        if (member == 0) {
            current_ = step;
            std::copy_n(kept_, kept_before_.size(), kept_before_.data());
        }
        rows_.run(step, rows_.rows_of(step.pass.rows, member, members), own, *watch_, barrier);
        parameters_.measure(own);
        barrier.wait();
        if (wanted_gradient_) {
            parameters_.evaluate(step, own, *watch_, wanted_gradient_);
        } else {
            parameters_.run(step, own, *watch_, barrier);
        }
        if (member == 0 && watch_->off()) std::copy_n(kept_before_.data(), kept_before_.size(), kept_);
    }

    bool close(Index number) {
        const NetworkStep& step = current_;
        const double weight = double(step.pass.rows) / double(X_->rows), loss = loss_of(step);
        result_.finite = std::isfinite(loss);
        carry_[(number + 1) % 2] = parameters_.carry(step.tick);
        loss_sum_ += weight * loss;
        penalty_sum_ += weight * parameters_.penalty(step);
        if (step.batch + 1 == batches()) {
            result_.loss.push_back(std::exchange(loss_sum_, 0.0));
            result_.penalty.push_back(std::exchange(penalty_sum_, 0.0));
            ++result_.epochs;
        }
        return result_.finite;
    }

    // ----

    Index rows_of_batch(Index batch) const { return std::min(batch_, X_->rows - batch * batch_); }

    NetworkStep step_at(Index number) const {
        const Index epoch = number / batches();
        NetworkStep step;
        step.batch = number % batches();
        step.first = step.batch * batch_;
        step.order = order_ ? order_ + epoch * X_->rows + step.first : nullptr;
        step.pass = {.training = true,
                     .rows = rows_of_batch(step.batch),
                     .key = key_of(recipe_.seed, std::uint64_t(first_step_ + number)),
                     .mask = memory_.mask.empty() ? nullptr : memory_.mask.data()};
        step.tick = {first_step_ + number, rates_ ? rates_[number] : 0.0, carry_[number % 2]};
        step.total = double(step.pass.rows);
        if (goals_.weight) {
            step.total = 0.0;
            for (Index i = 0; i < step.pass.rows; ++i) step.total += double(goals_.weight_of(step.row(i)));
        }
        return step;
    }

    double loss_of(const NetworkStep& step) const {
        double sum = 0.0;
        for (Index g = 0; g < granules_of(step.pass.rows); ++g) sum += memory_.losses[std::size_t(g)];
        return step.total > 0.0 ? sum / step.total : 0.0;
    }

    const std::unique_ptr<Network<T>> network_;
    const std::unique_ptr<Design<T>> X_;
    Goals<T> goals_;
    const NetworkRecipe recipe_;
    const Index batch_;
    const std::unique_ptr<TileLoss<T>> loss_;  // completes the goals
    T* const kept_;                            // the caller's statistics, and what they were before the step
    std::vector<T> kept_before_;
    const TrainingPlan<T> plan_;
    BatchMemory<T> memory_;
    std::vector<MemberMemory<T>> team_;
    RowPhase<T> rows_;
    ParameterPhase<T> parameters_;

    Watch* watch_ = nullptr;
    const std::uint32_t* order_ = nullptr;
    const double* rates_ = nullptr;
    Index first_step_ = 1;
    T* wanted_gradient_ = nullptr;  // steps make it, and move nothing
    TrainingResult result_;
    NetworkStep current_;           // of member 0
    double carry_[2] = {1.0, 1.0};  // into steps of even and of odd numbers: one may be read while the other is written
    double loss_sum_ = 0.0, penalty_sum_ = 0.0;  // of the epoch so far
    StepLoop loop_{TeamSize::Memory::of<NetworkTraining>()};
};

}  // namespace fg
