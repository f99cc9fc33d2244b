// The engine of this instruction set. Its members stand in the files of this folder, one a topic.
#pragma once

#include "engine.hpp"

namespace fg {

class KernelEngine final : public Engine {
public:
    // build.cpp
    BuildDescription build() const override;
    int openmp_threads() const override;
    int allowed_threads() const override;
    void set_usable_threads(int threads) const override;
    const char* team_policy() const override;
    void set_team_policy(const std::string& name) const override;

    // catalogs.cpp
    std::vector<PartDescription> losses() const override;
    std::vector<PartDescription> rules() const override;
    std::vector<PartDescription> activations() const override;
    void loss_points(const PartSpec& loss, Index n, const double* y, const double* p, double* values,
                     double* slopes) const override;
    void activation_points(const PartSpec& activation, Dtype dtype, Index n, const void* x, void* values,
                           void* slopes) const override;

    // sequential.cpp, minibatch.cpp, network.cpp, network_fit.cpp, stepper.cpp
    std::unique_ptr<SequentialFit> sequential_fit(const SequentialTask& task) const override;
    std::unique_ptr<MiniBatchFit> minibatch_fit(const MiniBatchTask& task) const override;
    std::unique_ptr<NetworkLayers> network_layers(std::vector<NodeSpec> nodes, const Masking& masking) const override;
    std::unique_ptr<NetworkFit> network_fit(const NetworkTask& task) const override;
    std::unique_ptr<Stepper> stepper(const PartSpec& rule, const Penalty& penalty, double clip_value,
                                     double clip_norm) const override;

    // curvature.cpp
    std::unique_ptr<RowPass> row_pass(const PassTask& task) const override;
    std::unique_ptr<DualAscent> dual_ascent(const AscentTask& task) const override;
    std::unique_ptr<Factor> factor(const double* H, Index size) const override;
    void gram(const Matrix& X, const RowsTask& task, std::span<const std::uint32_t> features, int threads,
              double* out) const override;
    void weighted_squares(const Matrix& X, const RowsTask& task, Index outputs, int threads,
                          double* out) const override;
    double descend(const DescentTask& task, const double* blocks, Index count, const double* multiple) const override;
    double descend_columns(const DescentTask& task, const Matrix& columns, const double* bends,
                           const double* ridge) const override;

    // minibatch.cpp
    std::tuple<int, int, bool> rule_slots(const PartSpec& rule) const override;
    Index outputs_width(Index outputs, Dtype dtype) const override;
    void row_order(std::uint32_t* order, Index n, Index batch, double row_bytes, Shuffle shuffle, std::uint64_t seed,
                   std::uint64_t epoch) const override;

    // arrays.cpp
    void check_sparse(const Matrix& X, int threads) const override;
    bool all_finite(Dtype dtype, const void* x, Index n, int threads) const override;
    void product(const Matrix& X, const void* W, Index outputs, void* out, int threads) const override;
    void column_moments(const Matrix& X, std::span<const std::uint32_t> listed, const double* shift, int threads,
                        double* out) const override;
    void rows_of_columns(std::span<const Column> columns, Index rows, Dtype dtype, void* out,
                         int threads) const override;
    void transposed_product(const Matrix& X, const double* S, Index outputs, double* out) const override;
    void weighted_gram(const Matrix& X, const double* factor, double* out) const override;
    void solve_positive(const double* H, Index size, const double* g, double* out) const override;
    double largest_eigenvalue(const Matrix& X, const double* factor, double one, const double* start,
                              int steps) const override;
    void score(Metric metric, Link link, const Matrix& margins, const void* y, Index outputs, int threads,
               double* scores) const override;
};

}  // namespace fg
