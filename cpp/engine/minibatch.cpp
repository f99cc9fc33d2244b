// Epochs of the mini-batch engine.
#include "train/linear/minibatch.hpp"
#include "engine/dispatch.hpp"
#include "engine/kernel_engine.hpp"
#include "engine/targets.hpp"

namespace fg {

namespace {

template <class T>
void measure(Model<T>& model, const UnitsTask& task, Index size, Index columns) {
    const auto numbers = [](const Numbers& given, Index expected) {
        require(!given.data || given.size == expected, "units: not as many as weights, or centres as columns");
        return static_cast<const T*>(given.data);
    };
    for (const auto* const units : {&task.unit, &task.pull})
        require(!units->data || units->apart == model.flat.apart, "units: rows as far apart as those of slots");
    model.flat.unit = numbers(task.unit, size);
    model.flat.pull = numbers(task.pull, size);
    model.flat.limit = task.limit;
    model.centre = numbers(task.centre, columns);
    require(!model.flat.unit == !model.flat.pull, "units: unit and pull belong together");
}

template <class T>
class MiniBatchFitOf final : public MiniBatchFit {
public:
    template <class View>
    MiniBatchFitOf(const View& X, const MiniBatchTask& task) {
        for (const auto row : task.stream.listed) require(Index(row) < X.rows(), "rows: a number is out of range");
        require(!task.models.empty(), "models: there is none");
        const auto goals = goals_of<T>(task.targets, X.rows());
        const Index size = (X.cols() + 1) * goals.width;
        std::vector<Model<T>> models;
        for (const auto& given : task.models) {
            models.push_back({given.recipe, goals, flat_of<T>(given.trained, size, given.recipe.rule)});
            weigh(models.back().goals, given.weights);
            measure(models.back(), given.units, size, X.cols());
            require(models.back().flat.apart == 1 || task.X.index_bytes != 0,
                    "slots: side by side for sparse rows alone");
        }
        engine_ = make_minibatch(X, task.sorted, task.stream, std::move(models));
    }

    Index batches() const override { return engine_->batches(); }
    std::size_t models() const override { return engine_->models().size(); }

    EpochResult epoch(Index number, std::span<const ModelStart> starts, int threads, Callback callback) override {
        auto& models = engine_->models();
        for (std::size_t m = 0; m < models.size(); ++m) {
            models[m].first_step = starts[m].first_step;
            models[m].carry[0] = starts[m].carry;
            models[m].rates = starts[m].rates;
            models[m].average_from = starts[m].average_from;
        }
        return engine_->epoch(number, threads, std::move(callback));
    }

    ModelReport report(std::size_t model) const override {
        const auto& seen = engine_->models()[model];
        return {seen.loss, seen.penalty, engine_->carry_after(seen), seen.finite};
    }

private:
    std::unique_ptr<MiniBatch<T>> engine_;
};

}  // namespace

std::unique_ptr<MiniBatchFit> KernelEngine::minibatch_fit(const MiniBatchTask& task) const {
    return with_view(task.X, [&]<class View>(const View& X) -> std::unique_ptr<MiniBatchFit> {
        return std::make_unique<MiniBatchFitOf<typename View::Scalar>>(X, task);
    });
}

std::tuple<int, int, bool> KernelEngine::rule_slots(const PartSpec& rule) const {
    const auto updater = make_updater<double>(rule);
    return {updater->slots(), updater->answer(), updater->can_wait()};
}

Index KernelEngine::outputs_width(Index outputs, Dtype dtype) const {
    return with_type(dtype, [&](auto number) { return width_of<decltype(number)>(outputs); });
}

void KernelEngine::row_order(std::uint32_t* order, Index n, Index batch, double row_bytes, Shuffle shuffle,
                             std::uint64_t seed, std::uint64_t epoch) const {
    fg::row_order(order, n, batch, row_bytes, shuffle, seed, epoch);
}

}  // namespace fg
