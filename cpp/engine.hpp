// The seam: what the bindings ask of the kernels of an instruction set.
//
// Every set of kernels is a library of its own (engine/ and all below it, compiled with the flags of the set), and one
// is loaded. They are not linked together: the linker keeps one copy of an inline template, the standard library's and
// Eigen's too, and it might be one that the processor cannot run. The bindings are compiled once, for any processor.
//
// Only abstract classes and plain types cross. One compiler makes both sides in one build, so classes of the standard
// library and exceptions may cross, too. Arrays are the caller's: C-contiguous, of the Dtype that is named, and alive
// for as long as something that was made of them. A wrong argument is answered by BadArgument, before anything has
// changed.
//
// A Callback is called about every 50 ms, on the calling thread, and says whether to go on.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "core/base.hpp"
#include "kernel/metric.hpp"
#include "train/linear/plan.hpp"
#include "train/linear/recipe.hpp"
#include "train/network/recipe.hpp"

namespace fg {

enum class Dtype { float32, float64 };

using Callback = std::function<bool()>;

// A design matrix: (rows, cols) numbers; or in CSR, with indices of 4 or 8 bytes.
struct Matrix {
    Dtype dtype = Dtype::float64;
    const void* values = nullptr;
    const void* columns = nullptr;
    const void* begins = nullptr;
    int index_bytes = 0;  // 0: dense
    Index rows = 0, cols = 0;
};

// So many numbers of a dtype that is known from elsewhere. Rows of a table may lie `apart` times as far apart as they
// are long.
struct Numbers {
    void* data = nullptr;
    Index size = 0;
    Index apart = 1;
};

// A column of a table, its numbers in one piece.
enum class ColumnType { float32, float64, int8, int16, int32, int64, uint8, uint16, uint32, uint64 };
struct Column {
    ColumnType type = ColumnType::float64;
    const void* values = nullptr;
};

// ---- the sequential engine ----

struct SequentialOutput {
    void *coef = nullptr, *average = nullptr;
    double *intercept = nullptr, *average_intercept = nullptr;
    std::uint32_t seed = 0;
    int label = -1;  // see Targets
    double side_weight[2] = {1.0, 1.0};
};

struct SequentialTask {
    Plan plan;
    Matrix X, X_val;  // X_val without values: no matrix of its own to validate on
    const void *y = nullptr, *sample_weight = nullptr, *y_val = nullptr, *sample_weight_val = nullptr;
    const std::uint8_t* held_out = nullptr;  // marks the rows of X to validate on; null: none
    std::vector<SequentialOutput> outputs;
    double t = 1.0;
};

class SequentialFit {
public:
    virtual ~SequentialFit() = default;
    // Trains every output for so many epochs at most (0: to its end). `between` is called on the calling thread while
    // no output is trained, and may throw. Whether all outputs have come to their end.
    virtual bool run(int threads, std::size_t epochs, const std::function<void()>& between) = 0;
    // Leaves the weights of the moment in their arrays; training can go on.
    virtual void publish() = 0;
    virtual Stop stop(std::size_t output) const = 0;
    virtual const std::vector<Epoch>& history(std::size_t output) const = 0;
};

// ---- the mini-batch engine ----

// What the rows are to predict: y (rows, outputs), or `code` (rows,); one of them is null. See Goals.
struct TargetsTask {
    const void *y = nullptr, *code = nullptr;
    Index outputs = 1;
};

struct WeightsTask {
    const void* of_rows = nullptr;  // `stride` numbers apart; null: all 1
    Index stride = 1;
    std::vector<double> of_sides;  // (outputs, 2): of rows outside and inside the class; they include 1 / mean
};

// What a rule moves.
struct Trained {
    Numbers weights;
    std::vector<Numbers> slots;
    Numbers average;  // without data: none
};

// The data's own units, in which the rule steps (see kernel/sweep.hpp): `unit` and `pull` as many as weights, `centre`
// one a column of a dense X. Without data: none.
struct UnitsTask {
    Numbers unit, pull, centre;
    double limit = no_limit;
};

struct ModelTask {
    Recipe recipe;
    WeightsTask weights;
    Trained trained;
    UnitsTask units;
};

struct MiniBatchTask {
    Matrix X;
    bool sorted = false;  // whether the indices of each sparse row ascend
    Stream stream;
    TargetsTask targets;
    std::vector<ModelTask> models;
};

// What a model begins an epoch with: a rate for each batch.
struct ModelStart {
    Index first_step = 1;
    double carry = 1.0;
    const double* rates = nullptr;
    Index average_from = 0;
};

// What an epoch saw of a model.
struct ModelReport {
    double loss = 0.0, penalty = 0.0, carry = 1.0;
    bool finite = true;
};

class MiniBatchFit {
public:
    virtual ~MiniBatchFit() = default;
    virtual Index batches() const = 0;
    virtual std::size_t models() const = 0;
    virtual EpochResult epoch(Index number, std::span<const ModelStart> starts, int threads, Callback callback) = 0;
    virtual ModelReport report(std::size_t model) const = 0;  // of the last epoch
};

// ---- passes over rows, for solvers that see all of them at each step ----

struct PassTask {
    Matrix X;
    bool sorted = false;                // see MiniBatchTask
    std::vector<std::uint32_t> listed;  // the rows, in this order; empty: all
    TargetsTask targets;
    PartSpec loss;
    bool multinomial = false;
    std::vector<WeightsTask> models;
    const double* centre = nullptr;  // one a column of a dense X, from which rows are reckoned; null: from 0
};

// See train/curvature/pass.hpp. Sums over the rows; a column is an output of a model.
class RowPass {
public:
    virtual ~RowPass() = default;
    virtual Index rows() const = 0;
    virtual Index columns() const = 0;
    virtual Index models() const = 0;
    // At W (features + 1, columns), and a gradient of that shape; false if the callback has called it off.
    virtual bool evaluate(const double* W, int threads, Callback callback, double* losses, double* gradient) = 0;
    // At the margins of the last evaluation, and shifted.
    virtual void shifted(const double* shift, const double* way, int threads, double* losses, double* slopes,
                         double* bends) = 0;
    virtual void bends(const double* way, int threads, void* out) = 0;
    virtual void average_over(const double* way) = 0;
    virtual void slacks(int threads, double* losses, double* slacks) = 0;
};

struct AscentTask {
    PassTask pass;            // of one model, no softmax; X is sparse
    double strength = 0.0;    // of the L2 penalty
    double square = 0.0;      // of the column of the intercept
    std::vector<double> way;  // (columns,)
};

// See train/curvature/dual_ascent.hpp.
class DualAscent {
public:
    virtual ~DualAscent() = default;
    virtual Index rows() const = 0;
    virtual Index columns() const = 0;
    // What the dual has risen by, about; negative if the callback has called it off.
    virtual double epoch(std::uint64_t number, int threads, Callback callback) = 0;
    virtual void read(double* slopes, double* W) const = 0;
    virtual void write(const double* slopes, const double* W) = 0;
    virtual bool gap(int threads, Callback callback, double* losses, double* gaps) const = 0;
};

// A positive definite matrix, factored.
class Factor {
public:
    virtual ~Factor() = default;
    virtual bool positive() const = 0;  // whether it is; else there is nothing to solve
    virtual Index size() const = 0;
    // G (count, size) becomes H^-1 g of each row g; half: L^-1 g of H = L L'.
    virtual void solve(double* G, Index count, bool half) const = 0;
};

// Some rows of X, with weights for each output; see kernel/curvature_sums.hpp.
struct RowsTask {
    std::span<const std::uint32_t> rows;
    const double* weight = nullptr;
    const double* centre = nullptr;
    const double* unit = nullptr;
};

// The minimum of a quadratic model with L1, from `weights` (size, outputs) on; see kernel/descent.hpp.
struct DescentTask {
    Index size = 0, outputs = 1;
    const double *gradient = nullptr, *strength = nullptr;  // (size, outputs), (size,)
    bool positive = false;
    std::span<const std::uint32_t> coordinates;
    const double *terms = nullptr, *signs = nullptr;  // (coordinates, rank), (rank,)
    Index rank = 0;
    double tol = 0.0;
    Index sweeps = 1;
    double* weights = nullptr;
};

// ---- networks ----

// An array of parameters, (rows, columns), and where it lies among all.
struct PlacedArray {
    Index node;
    const char* name;
    Index offset, rows, columns;
};

struct Layout {
    Index trained_size, kept_size;
    std::vector<PlacedArray> trained, kept;
};

// What a node makes of the rows of a matrix. It is made, and ends, with the network's owner on the same thread.
class Prediction {
public:
    virtual ~Prediction() = default;
    virtual Index columns() const = 0;
    virtual void run(void* out, int threads, Callback callback) = 0;  // out (rows, columns)
};

class NetworkLayers {
public:
    virtual ~NetworkLayers() = default;
    virtual Layout layout(Dtype dtype) const = 0;
    virtual double work() const = 0;  // multiply-adds of a row, about
    // Of node `last`, by arrays in the order of the layout.
    virtual std::unique_ptr<Prediction> predict(const std::vector<Numbers>& trained, const std::vector<Numbers>& kept,
                                                const Matrix& X, Index last) = 0;
};

struct NetworkTask {
    std::vector<NodeSpec> nodes;
    Masking masking;
    Matrix X;
    TargetsTask targets;
    WeightsTask weights;
    double smoothing = 0.0;  // of the softmax
    NetworkRecipe recipe;
    Trained trained;
    Numbers kept;
};

class NetworkFit {
public:
    virtual ~NetworkFit() = default;
    virtual Index batches() const = 0;
    virtual Index workspace() const = 0;  // bytes besides parameters
    // `order` (epochs, rows), or null; a rate for each batch of each epoch.
    virtual TrainingResult train(Index epochs, const std::uint32_t* order, const double* rates, Index first_step,
                                 double carry, int threads, Callback callback) = 0;
    // Loss and penalty over all rows as one batch; `gradient` has as many numbers as weights.
    virtual std::pair<double, double> evaluate(void* gradient, int threads, Callback callback) = 0;
};

// ---- steps on arrays ----

// An array of parameters with all that moves with it.
struct StepArray {
    Dtype dtype = Dtype::float64;
    Index n = 0;
    void* w = nullptr;
    const void* g = nullptr;
    void* slot[3] = {};
};

class Stepper {
public:
    virtual ~Stepper() = default;
    virtual int slots() const = 0;
    // Moves all arrays, as if they were one, by step `number` (1, 2, ...); returns what the next step gets as its
    // carry. Zero threads: as many as pay.
    virtual double step(std::span<const StepArray> arrays, Index number, double rate, double carry,
                        int threads) const = 0;
};

// ---- the catalogs ----

struct FieldDescription {
    const char* name;
    double value, low, high;  // value: the default
    bool open_low, open_high;
    const char* doc;
};

struct PartDescription {
    const char *name, *doc;
    std::vector<FieldDescription> fields;
    double negative = 0.0, curvature = 0.0;  // of losses
};

struct BuildDescription {
    const char *isa, *compiler, *eigen;
    int register_bits, openmp;
};

// ---- all of it ----

class Engine {
public:
    virtual ~Engine() = default;

    virtual BuildDescription build() const = 0;
    virtual std::vector<PartDescription> losses() const = 0;
    virtual std::vector<PartDescription> rules() const = 0;
    virtual std::vector<PartDescription> activations() const = 0;

    virtual std::unique_ptr<SequentialFit> sequential_fit(const SequentialTask& task) const = 0;
    virtual std::unique_ptr<MiniBatchFit> minibatch_fit(const MiniBatchTask& task) const = 0;
    virtual std::unique_ptr<RowPass> row_pass(const PassTask& task) const = 0;
    virtual std::unique_ptr<DualAscent> dual_ascent(const AscentTask& task) const = 0;
    virtual std::unique_ptr<Factor> factor(const double* H, Index size) const = 0;
    // See kernel/curvature_sums.hpp.
    virtual void gram(const Matrix& X, const RowsTask& task, std::span<const std::uint32_t> features, int threads,
                      double* out) const = 0;
    virtual void weighted_squares(const Matrix& X, const RowsTask& task, Index outputs, int threads,
                                  double* out) const = 0;
    // By blocks (count, size, size), one for each output or for all, times multiple (outputs,); or by the columns of X,
    // which are the rows of `columns`, with bends (rows of X, outputs) and ridge (size, outputs). How deep it is there.
    virtual double descend(const DescentTask& task, const double* blocks, Index count,
                           const double* multiple) const = 0;
    virtual double descend_columns(const DescentTask& task, const Matrix& columns, const double* bends,
                                   const double* ridge) const = 0;
    virtual std::unique_ptr<NetworkLayers> network_layers(std::vector<NodeSpec> nodes,
                                                          const Masking& masking) const = 0;
    virtual std::unique_ptr<NetworkFit> network_fit(const NetworkTask& task) const = 0;
    virtual std::unique_ptr<Stepper> stepper(const PartSpec& rule, const Penalty& penalty, double clip_value,
                                             double clip_norm) const = 0;

    // Number of slots, the slot that holds the weights to use (-1: the weights themselves), and whether coordinates
    // without gradient can wait as if they had not.
    virtual std::tuple<int, int, bool> rule_slots(const PartSpec& rule) const = 0;
    // Columns of the mini-batch engine's weights.
    virtual Index outputs_width(Index outputs, Dtype dtype) const = 0;
    virtual void row_order(std::uint32_t* order, Index n, Index batch, double row_bytes, Shuffle shuffle,
                           std::uint64_t seed, std::uint64_t epoch) const = 0;

    // Refuses what would read beside the arrays: row pointers that fall, column indices out of range.
    virtual void check_sparse(const Matrix& X, int threads) const = 0;
    virtual bool all_finite(Dtype dtype, const void* x, Index n, int threads) const = 0;

    // Values and slopes at n points.
    virtual void loss_points(const PartSpec& loss, Index n, const double* y, const double* p, double* values,
                             double* slopes) const = 0;
    virtual void activation_points(const PartSpec& activation, Dtype dtype, Index n, const void* x, void* values,
                                   void* slopes) const = 0;

    // X W' of a dense X (n, d) and W (outputs, d).
    virtual void product(const Matrix& X, const void* W, Index outputs, void* out, int threads) const = 0;
    // Of a dense X: see kernel/column_moments.hpp; `listed` without data: all rows.
    virtual void column_moments(const Matrix& X, std::span<const std::uint32_t> listed, const double* shift,
                                int threads, double* out) const = 0;
    // out (rows, columns), in C order and of the dtype, of columns with so many rows each.
    virtual void rows_of_columns(std::span<const Column> columns, Index rows, Dtype dtype, void* out,
                                 int threads) const = 0;
    // out (cols, outputs) = X' S of a dense X and S (rows, outputs).
    virtual void transposed_product(const Matrix& X, const double* S, Index outputs, double* out) const = 0;
    // out (cols, cols) = X' diag(factor) X / rows of a dense X in float64.
    virtual void weighted_gram(const Matrix& X, const double* factor, double* out) const = 0;
    // out = H^-1 g for a positive semidefinite H (size, size), whose directions of nothing but rounding are damped.
    virtual void solve_positive(const double* H, Index size, const double* g, double* out) const = 0;
    // Of the mean of factor (x, one)'(x, one) over the rows x of a dense X in float64, by the power method from (start,
    // 1).
    virtual double largest_eigenvalue(const Matrix& X, const double* factor, double one, const double* start,
                                      int steps) const = 0;
    // One score a model, of margins (rows, models * outputs) and codes or targets y.
    virtual void score(Metric metric, Link link, const Matrix& margins, const void* y, Index outputs, int threads,
                       double* scores) const = 0;

    virtual int openmp_threads() const = 0;
    virtual int allowed_threads() const = 0;  // within what set_usable_threads said
    virtual void set_usable_threads(int threads) const = 0;
    // How large teams are: "measured", "whole" or "random".
    virtual const char* team_policy() const = 0;
    virtual void set_team_policy(const std::string& name) const = 0;
};

}  // namespace fg

// The one name that a library of kernels exports. The engine lives as long as the process.
extern "C" FG_EXPORT const fg::Engine* fusedgrad_engine();
using FusedgradEngine = const fg::Engine* (*)();
