// Passes over rows, and what preconditioners are made of.
#include <Eigen/Cholesky>

#include "engine/dispatch.hpp"
#include "engine/kernel_engine.hpp"
#include "engine/targets.hpp"
#include "kernel/curvature_sums.hpp"
#include "kernel/descent.hpp"
#include "train/curvature/dual_ascent.hpp"
#include "train/curvature/pass.hpp"

namespace fg {

namespace {

template <class T, class View>
PassRecipe<T> recipe_of(const View& X, const PassTask& task) {
    for (const auto row : task.listed) require(Index(row) < X.rows(), "rows: a number is out of range");
    require(!task.models.empty(), "models: there is none");
    require(!task.multinomial || task.models.size() == 1, "models: a softmax is one");
    const auto goals = goals_of<T>(task.targets, X.rows());
    PassRecipe<T> recipe{task.loss, task.multinomial, {}, task.listed, task.centre};
    for (const auto& weights : task.models) {
        recipe.goals.push_back(goals);
        weigh(recipe.goals.back(), weights);
    }
    return recipe;
}

template <class T>
class RowPassOf final : public RowPass {
public:
    template <class View>
    RowPassOf(const View& X, const PassTask& task) : pass_(make_pass(X, task.sorted, recipe_of<T>(X, task))) {}

    Index rows() const override { return pass_->rows(); }
    Index columns() const override { return pass_->columns(); }
    Index models() const override { return pass_->models(); }
    bool evaluate(const double* W, int threads, Callback callback, double* losses, double* gradient) override {
        return pass_->evaluate(W, threads, std::move(callback), losses, gradient);
    }
    void shifted(const double* shift, const double* way, int threads, double* losses, double* slopes,
                 double* bends) override {
        pass_->shifted(shift, way, threads, losses, slopes, bends);
    }
    void bends(const double* way, int threads, void* out) override { pass_->bends(way, threads, static_cast<T*>(out)); }
    void average_over(const double* way) override { pass_->average_over(way); }
    void slacks(int threads, double* losses, double* slacks) override { pass_->slacks(threads, losses, slacks); }

private:
    std::unique_ptr<Pass<T>> pass_;
};

template <class T>
class DualAscentOf final : public DualAscent {
public:
    template <class View>
    DualAscentOf(const View& X, const AscentTask& task) {
        auto recipe = recipe_of<T>(X, task.pass);
        require(!task.pass.multinomial && recipe.goals.size() == 1, "models: expected one, without a softmax");
        rows_ = recipe.listed.empty() ? X.rows() : Index(recipe.listed.size());
        columns_ = recipe.goals[0].outputs;
        require(Index(task.way.size()) == columns_, "way: expected one number an output");
        ascent_ = make_ascent(X, std::move(recipe), {task.strength, task.square, task.way});
    }

    Index rows() const override { return rows_; }
    Index columns() const override { return columns_; }
    double epoch(std::uint64_t number, int threads, Callback callback) override {
        return ascent_->epoch(number, threads, std::move(callback));
    }
    void read(double* slopes, double* W) const override { ascent_->read(slopes, W); }
    void write(const double* slopes, const double* W) override { ascent_->write(slopes, W); }
    bool gap(int threads, Callback callback, double* losses, double* gaps) const override {
        return ascent_->gap(threads, std::move(callback), losses, gaps);
    }

private:
    Index rows_ = 0, columns_ = 0;
    std::unique_ptr<Ascent<T>> ascent_;
};

class FactorOf final : public Factor {
public:
    FactorOf(const double* H, Index size) : factors_(Eigen::Map<const Eigen::MatrixXd>(H, size, size)) {}

    bool positive() const override { return factors_.info() == Eigen::Success; }
    Index size() const override { return factors_.rows(); }
    void solve(double* G, Index count, bool half) const override {
        Eigen::Map<Eigen::MatrixXd> right(G, size(), count);
        half ? factors_.matrixL().solveInPlace(right) : factors_.solveInPlace(right);
    }

private:
    const Eigen::LLT<Eigen::MatrixXd> factors_;
};

Model model_of(const DescentTask& task) {
    return {task.size,        task.outputs, task.gradient, task.strength, task.positive,
            task.coordinates, task.terms,   task.signs,    task.rank};
}

}  // namespace

std::unique_ptr<RowPass> KernelEngine::row_pass(const PassTask& task) const {
    return with_view(task.X, [&]<class View>(const View& X) -> std::unique_ptr<RowPass> {
        return std::make_unique<RowPassOf<typename View::Scalar>>(X, task);
    });
}

std::unique_ptr<DualAscent> KernelEngine::dual_ascent(const AscentTask& task) const {
    return with_view(task.pass.X, [&]<class View>(const View& X) -> std::unique_ptr<DualAscent> {
        return std::make_unique<DualAscentOf<typename View::Scalar>>(X, task);
    });
}

std::unique_ptr<Factor> KernelEngine::factor(const double* H, Index size) const {
    return std::make_unique<FactorOf>(H, size);
}

void KernelEngine::gram(const Matrix& X, const RowsTask& task, std::span<const std::uint32_t> features, int threads,
                        double* out) const {
    with_view(X, [&](const auto& view) {
        fg::gram(view, {task.rows, task.weight, task.centre, task.unit}, features, threads, out);
    });
}

void KernelEngine::weighted_squares(const Matrix& X, const RowsTask& task, Index outputs, int threads,
                                    double* out) const {
    with_view(X, [&](const auto& view) {
        fg::weighted_squares(view, {task.rows, task.weight, task.centre, task.unit}, outputs, threads, out);
    });
}

double KernelEngine::descend(const DescentTask& task, const double* blocks, Index count, const double* multiple) const {
    const DenseCurvature curvature(blocks, count, multiple, task.size, task.outputs);
    return fg::descend(model_of(task), curvature, task.tol, task.sweeps, task.weights);
}

double KernelEngine::descend_columns(const DescentTask& task, const Matrix& columns, const double* bends,
                                     const double* ridge) const {
    return with_view(columns, [&]<class View>(const View& view) {
        const ColumnCurvature<View> curvature(view, bends, ridge, task.outputs);
        return fg::descend(model_of(task), curvature, task.tol, task.sweeps, task.weights);
    });
}

}  // namespace fg
