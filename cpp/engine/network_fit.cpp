// Epochs of a network.
#include "engine/design.hpp"
#include "engine/kernel_engine.hpp"
#include "engine/targets.hpp"
#include "train/network/training.hpp"

namespace fg {

namespace {

template <class T>
class NetworkFitOf final : public NetworkFit {
public:
    explicit NetworkFitOf(const NetworkTask& task) {
        auto network =
            std::make_unique<Network<T>>(std::make_shared<const std::vector<NodeSpec>>(task.nodes), task.masking);
        require(task.recipe.batch > 0, "batch_size: must be positive");
        auto goals = goals_of<T>(task.targets, task.X.rows);
        weigh(goals, task.weights);
        goals.smoothing = task.smoothing;
        const auto flat = flat_of<T>(task.trained, network->trained_size(), task.recipe.rule);
        require(task.kept.size == network->kept_size(), "kept: not as many numbers as the network keeps");
        training_ = std::make_unique<NetworkTraining<T>>(std::move(network), design_of<T>(task.X), std::move(goals),
                                                         task.recipe, flat, static_cast<T*>(task.kept.data));
    }

    Index batches() const override { return training_->batches(); }
    Index workspace() const override { return training_->workspace() * Index(sizeof(T)); }
    TrainingResult train(Index epochs, const std::uint32_t* order, const double* rates, Index first_step, double carry,
                         int threads, Callback callback) override {
        return training_->train(epochs, order, rates, first_step, carry, threads, std::move(callback));
    }
    std::pair<double, double> evaluate(void* gradient, int threads, Callback callback) override {
        return training_->evaluate(static_cast<T*>(gradient), threads, std::move(callback));
    }

private:
    std::unique_ptr<NetworkTraining<T>> training_;
};

}  // namespace

std::unique_ptr<NetworkFit> KernelEngine::network_fit(const NetworkTask& task) const {
    return with_type(task.X.dtype, [&](auto number) -> std::unique_ptr<NetworkFit> {
        return std::make_unique<NetworkFitOf<decltype(number)>>(task);
    });
}

}  // namespace fg
