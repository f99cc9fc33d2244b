// The loss enters here: every loss of the catalog, for the storage that a file of this folder names.
#pragma once

#include "parts/losses.hpp"
#include "train/linear/sequential_job.hpp"

namespace fg {

template <class View, class Loss>
class LossJob final : public SequentialJob<View> {
public:
    template <class... Args>
    explicit LossJob(const Loss& loss, Args&&... args)
        : SequentialJob<View>(std::forward<Args>(args)...), loss_(loss) {}

protected:
    void train(const std::uint32_t* order, Index count, Index known) override {
        if constexpr (View::dense) {
            if (!this->state_.truncated)
                return train_rows<true>(this->X_, this->targets_, loss_, this->plan_.settings, this->state_, order,
                                        count, known);
        }
        train_rows<false>(this->X_, this->targets_, loss_, this->plan_.settings, this->state_, order, count, known);
    }

    double prediction(double margin) const override {
        if constexpr (requires { loss_.mean(margin); }) return loss_.mean(margin);
        return margin;
    }

    double validation_loss() const override {
        const auto& rows = *this->validation_;
        const auto& targets = this->validation_targets_;
        double sum = 0.0, total = 0.0;
        for (Index i = 0; i < rows.count; ++i) {
            const Index row = rows.row(i);
            const double weight = targets.sample_weight(row);
            sum += weight * loss_.at(targets.target(row), this->margin(*rows.X, row)).value;
            total += weight;
        }
        return sum / total;
    }

private:
    const Loss loss_;
};

template <class View>
std::unique_ptr<SequentialJob<View>> make_sequential_job(const View& X, const Targets<typename View::Scalar>& targets,
                                                         const std::uint8_t* held_out,
                                                         const Validation<View>* validation, const Plan& plan,
                                                         const Output<typename View::Scalar>& output, double t) {
    std::unique_ptr<SequentialJob<View>> job;
    with_part<Losses>(plan.loss, [&](auto loss) {
        auto own = targets;
        own.side[0] = loss.negative;
        job = std::make_unique<LossJob<View, decltype(loss)>>(loss, X, own, held_out, validation, plan, output, t);
    });
    return job;
}

#define FG_INSTANTIATE(...)                                                                                           \
    template std::unique_ptr<SequentialJob<__VA_ARGS__>> make_sequential_job(                                         \
        const __VA_ARGS__&, const Targets<__VA_ARGS__::Scalar>&, const std::uint8_t*, const Validation<__VA_ARGS__>*, \
        const Plan&, const Output<__VA_ARGS__::Scalar>&, double);

}  // namespace fg
