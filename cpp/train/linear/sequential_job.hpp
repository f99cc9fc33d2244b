// One output (a class of one-vs-rest, a regression) trained by the sequential engine, epoch by epoch, a
// slice of rows at a time: shuffling, history, validation, stopping.
#pragma once

#include <Eigen/Core>
#include <limits>
#include <memory>
#include <numeric>
#include <optional>
#include <span>
#include <vector>

#include "core/buffer.hpp"
#include "core/rng.hpp"
#include "core/team.hpp"
#include "kernel/sequential.hpp"
#include "train/linear/plan.hpp"

namespace fg {

// Rows kept aside: either some rows of X (then `rows` lists them) or all rows of a matrix of their own.
template <class View>
struct Validation {
    std::optional<View> X;
    const typename View::Scalar* y = nullptr;
    const typename View::Scalar* weight = nullptr;
    std::vector<std::uint32_t> rows;
    Index count = 0;

    Index row(Index i) const { return rows.empty() ? i : Index(rows[i]); }
};

// Where an output starts and where it ends.
template <class T>
struct Output {
    T *coef = nullptr, *average = nullptr;
    double *intercept = nullptr, *average_intercept = nullptr;
    std::uint32_t seed = 0;
};

template <class View>
class SequentialJob : public Job {
public:
    using T = typename View::Scalar;

    // `held_out[i]` marks the rows of X that are not trained on; null: none.
    SequentialJob(const View& X, const Targets<T>& targets, const std::uint8_t* held_out,
                  const Validation<View>* validation, const Plan& plan, const Output<T>& output, double t)
        : X_(X), targets_(targets), held_out_(held_out), validation_(validation), plan_(plan), output_(output) {
        state_.cols = X.cols();
        state_.intercept = *output.intercept;
        if (output.average) state_.average_intercept = *output.average_intercept;
        state_.t = t;
        state_.eta = plan.settings.schedule.eta0;
        if (validation) {
            validation_targets_ = targets;
            validation_targets_.y = validation->y;
            validation_targets_.weight = validation->weight;
        }
        slice_ = std::clamp<Index>(Index((1 << 20) / std::max(1.0, X.mean_length())), 1, 1 << 14);
    }

    bool advance() final {
        if (stop_ != Stop::none) return false;
        if (at_ == 0) begin_epoch();
        const Index left = Index(training_.size()) - at_, count = std::min(slice_, left);
        if (count > 0) train(training_.data() + at_, count, left);
        at_ += count;
        if (at_ == Index(training_.size())) end_epoch();
        if (stop_ != Stop::none) finish();
        return stop_ == Stop::none;
    }

    // Leaves the weights of the moment, or the best ones, in the output's arrays. Training can go on.
    void publish() {
        if (stop_ == Stop::none && !kept_ && !order_.empty()) write();
    }

    Stop stop() const { return stop_; }
    const std::vector<Epoch>& history() const { return history_; }

protected:
    virtual void train(const std::uint32_t* order, Index count, Index known) = 0;
    virtual double validation_loss() const = 0;
    virtual double prediction(double margin) const = 0;  // of a regression

    double margin(const View& X, Index row) const {
        return double(X.sample(row).dot_square(state_.w)[0]) * state_.scale + state_.intercept;
    }

    const View X_;
    const Targets<T> targets_;
    const std::uint8_t* held_out_;
    const Validation<View>* validation_;
    Targets<T> validation_targets_;
    const Plan& plan_;
    State<T> state_;

private:
    Buffer<T> copy_of(const T* values) const {
        Buffer<T> copy(X_.cols());
        std::copy_n(values, X_.cols(), copy.data());
        return copy;
    }

    void begin_epoch() {
        if (order_.empty()) {
            // A single epoch trains where its weights are wanted: a copy of a million of them takes longer than a row.
            const bool in_place = plan_.max_iter == 1;
            if (!in_place) weights_ = copy_of(output_.coef);
            state_.w = in_place ? output_.coef : weights_.data();
            if (output_.average) {
                if (!in_place) average_ = copy_of(output_.average);
                state_.average = in_place ? output_.average : average_.data();
            }
            order_.resize(std::size_t(X_.rows()));
            std::iota(order_.begin(), order_.end(), 0u);
            if (plan_.settings.l1 > 0.0) {
                truncated_ = Buffer<T>(X_.cols());
                state_.truncated = truncated_.data();
                std::fill_n(state_.truncated, X_.cols(), T(0));
            }
        }
        if (plan_.shuffle) shuffle_rows(order_.data(), X_.rows(), output_.seed);
        if (held_out_) {
            training_own_.clear();
            for (const auto row : order_)
                if (!held_out_[row]) training_own_.push_back(row);
            training_ = training_own_;
        } else {
            training_ = order_;
        }
        if (plan_.settings.l1 > 0.0 || plan_.settings.l2 > 0.0) state_.measure();
        state_.loss = state_.penalty = 0.0;
    }

    void end_epoch() {
        at_ = 0;
        const Eigen::Map<const Eigen::Array<T, Eigen::Dynamic, 1>> w(state_.w, state_.cols);
        const double n = double(training_.size());
        Epoch epoch{
            .loss = state_.loss / n, .objective = (state_.loss + state_.penalty) / n, .intercept = state_.intercept};
        if (plan_.detail) {
            epoch.norm = std::sqrt(w.template cast<double>().square().sum()) * state_.scale;
            epoch.nonzeros = (w != T(0)).count();
        }
        const bool finite = std::isfinite(state_.intercept) && w.isFinite().all();
        if (finite && validation_) {
            epoch.score = score();
            epoch.validation_loss = validation_loss();
            if (plan_.restore_best && (history_.empty() || epoch.score > best_score_)) {
                kept_ = true;
                write();
            }
        }
        history_.push_back(epoch);
        stop_ = finite ? decide(epoch) : Stop::diverged;
    }

    // Whether training ends with an epoch. Without progress for too long, "adaptive" rates fall first.
    Stop decide(const Epoch& epoch) {
        const bool timed = plan_.tol > -std::numeric_limits<double>::infinity();
        bool improved;
        if (plan_.early_stopping) {
            improved = !timed || epoch.score >= best_score_ + plan_.tol;  // NaN is no progress
        } else {
            improved = !timed || epoch.objective <= best_objective_ - plan_.tol;
        }
        best_score_ = std::max(best_score_, epoch.score);
        best_objective_ = std::min(best_objective_, epoch.objective);
        idle_ = improved ? 0 : idle_ + 1;
        if (idle_ >= plan_.patience) {
            if (plan_.settings.schedule.rate != Rate::adaptive || !(state_.eta > 1e-6))
                return plan_.early_stopping ? Stop::early_stopping : Stop::converged;
            state_.eta /= 5.0;
            idle_ = 0;
        }
        return Index(history_.size()) == plan_.max_iter ? Stop::max_iter : Stop::none;
    }

    // Accuracy, or R^2 as scikit-learn defines it for a constant target (1 when perfect, else 0).
    double score() const {
        const auto& rows = *validation_;
        const auto& targets = validation_targets_;
        double total = 0.0, mean = 0.0, right = 0.0;
        for (Index i = 0; i < rows.count; ++i) {
            const Index row = rows.row(i);
            total += targets.sample_weight(row);
            mean += targets.sample_weight(row) * targets.target(row);
        }
        if (!plan_.regression) {
            for (Index i = 0; i < rows.count; ++i) {
                const Index row = rows.row(i);
                const bool hit = (margin(*rows.X, row) > 0.0) == (targets.target(row) > 0.0);
                right += hit ? targets.sample_weight(row) : 0.0;
            }
            return right / total;
        }
        if (rows.count < 2) return std::numeric_limits<double>::quiet_NaN();
        mean /= total;
        double residual = 0.0, spread = 0.0;
        for (Index i = 0; i < rows.count; ++i) {
            const Index row = rows.row(i);
            const double weight = targets.sample_weight(row), y = targets.target(row);
            const double error = y - prediction(margin(*rows.X, row));
            residual += weight * error * error;
            spread += weight * (y - mean) * (y - mean);
        }
        if (spread == 0.0) return residual == 0.0 ? 1.0 : 0.0;
        return 1.0 - residual / spread;
    }

    // The state itself stays as it is, for folding its scale away would change the bits of what follows; unless it is
    // trained in place, when nothing follows.
    void write() {
        State<T> copy = state_;
        copy.w = output_.coef;
        if (copy.w != state_.w) std::copy_n(state_.w, state_.cols, copy.w);
        if (state_.average) {
            copy.average = output_.average;
            if (copy.average != state_.average) std::copy_n(state_.average, state_.cols, copy.average);
            *output_.average_intercept = state_.average_intercept;
        }
        copy.fold();
        *output_.intercept = state_.intercept;
        if (copy.w == state_.w) state_ = copy;
    }

    void finish() {
        if (!kept_) write();
        weights_ = {};
        average_ = {};
        truncated_ = {};
        order_ = training_own_ = {};
    }

    const Output<T> output_;
    Index slice_ = 1, at_ = 0, idle_ = 0;
    bool kept_ = false;  // the output's arrays hold the best weights
    Stop stop_ = Stop::none;
    std::vector<std::uint32_t> order_, training_own_;
    Buffer<T> weights_, average_, truncated_;
    double best_score_ = -std::numeric_limits<double>::infinity();
    double best_objective_ = std::numeric_limits<double>::infinity();
    std::vector<Epoch> history_;
    std::span<const std::uint32_t> training_;  // the rows to train on, in this epoch's order
};

// Defined in inst/, one file a storage, so that the kernels compile in parallel.
template <class View>
std::unique_ptr<SequentialJob<View>> make_sequential_job(const View& X, const Targets<typename View::Scalar>& targets,
                                                         const std::uint8_t* held_out,
                                                         const Validation<View>* validation, const Plan& plan,
                                                         const Output<typename View::Scalar>& output, double t);

}  // namespace fg
