// A fit of one or more outputs that share X, by the sequential engine.
#include <algorithm>
#include <deque>
#include <limits>

#include "engine/dispatch.hpp"
#include "engine/kernel_engine.hpp"
#include "parts/losses.hpp"
#include "train/linear/sequential_job.hpp"

namespace fg {

namespace {

// Bottou's t0 (scikit-learn's "optimal"): such that the first step is about the size of a typical weight.
double optimal_shift(const PartSpec& loss, double alpha) {
    const double typical = std::sqrt(1.0 / std::sqrt(alpha));
    double first = typical;
    with_part<Losses>(loss, [&](auto part) { first = typical / std::max(1.0, part.at(1.0, -typical).slope); });
    return 1.0 / (first * alpha);
}

Plan completed(Plan plan) {
    auto& schedule = plan.settings.schedule;
    if (schedule.rate == Rate::optimal) schedule.shift = optimal_shift(plan.loss, schedule.alpha);
    return plan;
}

// A job that pauses after some epochs; 0: never.
template <class View>
class SomeEpochs final : public Job {
public:
    SomeEpochs(SequentialJob<View>& job, std::size_t epochs)
        : job_(job), until_(epochs > 0 ? job.history().size() + epochs : std::numeric_limits<std::size_t>::max()) {}
    bool advance() override { return job_.advance() && job_.history().size() < until_; }

private:
    SequentialJob<View>& job_;
    const std::size_t until_;
};

template <class View>
class SequentialFitOf final : public SequentialFit {
    using T = typename View::Scalar;

public:
    SequentialFitOf(const View& X, const View* X_val, const SequentialTask& task) : plan_(completed(task.plan)) {
        Targets<T> targets;
        targets.y = static_cast<const T*>(task.y);
        targets.weight = static_cast<const T*>(task.sample_weight);
        if (X_val) {
            require(X_val->cols() == X.cols(), "X_val: must have as many columns as X");
            validation_.X.emplace(*X_val);
            validation_.count = X_val->rows();
            validation_.y = static_cast<const T*>(task.y_val);
            validation_.weight = static_cast<const T*>(task.sample_weight_val);
        } else if (task.held_out) {
            validation_.X.emplace(X);
            validation_.y = targets.y;
            validation_.weight = targets.weight;
            for (Index i = 0; i < X.rows(); ++i)
                if (task.held_out[i]) validation_.rows.push_back(std::uint32_t(i));
            validation_.count = Index(validation_.rows.size());
        }
        require(!task.held_out || validation_.count < X.rows(), "held_out: no row is left to train on");
        for (const auto& given : task.outputs) {
            targets.label = given.label;
            targets.side_weight[0] = T(given.side_weight[0]);
            targets.side_weight[1] = T(given.side_weight[1]);
            const Output<T> output{.coef = static_cast<T*>(given.coef),
                                   .average = static_cast<T*>(given.average),
                                   .intercept = given.intercept,
                                   .average_intercept = given.average_intercept,
                                   .seed = given.seed};
            jobs_.push_back(make_sequential_job(X, targets, task.held_out, validation_.count ? &validation_ : nullptr,
                                                plan_, output, task.t));
        }
    }

    bool run(int threads, std::size_t epochs, const std::function<void()>& between) override {
        std::deque<SomeEpochs<View>> parts;
        std::vector<Job*> jobs;
        for (const auto& job : jobs_)
            if (job->stop() == Stop::none) jobs.push_back(&parts.emplace_back(*job, epochs));
        Team(threads).run(jobs, between);
        return std::all_of(jobs_.begin(), jobs_.end(), [](const auto& job) { return job->stop() != Stop::none; });
    }

    void publish() override {
        for (const auto& job : jobs_) job->publish();
    }
    Stop stop(std::size_t output) const override { return jobs_[output]->stop(); }
    const std::vector<Epoch>& history(std::size_t output) const override { return jobs_[output]->history(); }

private:
    const Plan plan_;
    Validation<View> validation_{};
    std::vector<std::unique_ptr<SequentialJob<View>>> jobs_;
};

}  // namespace

std::unique_ptr<SequentialFit> KernelEngine::sequential_fit(const SequentialTask& task) const {
    return with_view(task.X, [&]<class View>(const View& X) -> std::unique_ptr<SequentialFit> {
        if (!task.X_val.values) return std::make_unique<SequentialFitOf<View>>(X, nullptr, task);
        return with_view<typename View::Scalar>(task.X_val,
                                                [&]<class Other>(const Other& X_val) -> std::unique_ptr<SequentialFit> {
                                                    if constexpr (std::is_same_v<View, Other>)
                                                        return std::make_unique<SequentialFitOf<View>>(X, &X_val, task);
                                                    throw BadArgument("X_val: must be stored as X is");
                                                });
    });
}

}  // namespace fg
