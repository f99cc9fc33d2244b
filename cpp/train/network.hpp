// A network: layers in a row, their parameters in one flat array, and what happens to a batch.
//
// Value 0 is the input, value k + 1 the output of node k. A node that ends a residual block also takes an earlier
// value.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/team.hpp"
#include "parts/layer/add.hpp"
#include "parts/layer/layer.hpp"
#include "parts/spec.hpp"

namespace fg {

// A layer by name, with numbers for what it needs to know; and which activation it has, if any.
struct NodeSpec {
    std::string name;
    Index in = 0, out = 0;  // numbers of a row
    std::vector<std::pair<std::string, double>> values;
    PartSpec activation;  // without a name: none
    Index earlier = -1;   // the value that is added, where it is

    double operator[](std::string_view key) const {
        for (const auto& [name, value] : values)
            if (name == key) return value;
        throw BadArgument(name + ": " + std::string(key) + " is missing");
    }
};

// Defined in inst/: layers and activations enter there. `first`: whether nobody wants the slope of its input.
template <class T>
std::unique_ptr<Layer<T>> make_layer(const NodeSpec& spec, Index number, bool first);

// Time steps of the input whose numbers all have one value are padding. No steps: there is no padding.
struct Masking {
    Index steps = 0, features = 0;
    double value = 0.0;

    // Writes 0 for padding, else 1; x points to the first row.
    template <class T>
    void mark(const T* x, Rows rows, unsigned char* mask) const {
        for (Index i = rows.begin * steps; i < rows.end * steps; ++i)
            mask[i] = std::any_of(x + i * features, x + (i + 1) * features, [&](T v) { return v != T(value); });
    }
};

// An array of parameters, and where it lies among all.
struct Placed {
    Index node, offset;
    Piece piece;
};

// So many numbers, or some more to fill a line of memory.
template <class T>
Index whole_lines(Index n) {
    constexpr Index line = 64 / Index(sizeof(T));
    return (n + line - 1) / line * line;
}

template <class T>
class Network {
public:
    explicit Network(std::shared_ptr<const std::vector<NodeSpec>> specs, const Masking& masking = {})
        : shared_(std::move(specs)), specs_(*shared_), masking_(masking) {
        require(!specs_.empty(), "a network needs a layer");
        require(masking.steps >= 0 && masking.features >= 0 &&
                    (masking.steps == 0 || product(masking.steps, masking.features) == specs_[0].in),
                "the mask does not fit the input");
        for (Index k = 0; k < nodes(); ++k) {
            const auto& spec = specs_[std::size_t(k)];
            layers_.push_back(make_layer<T>(spec, k, first_trained_ < 0));
            auto& layer = *layers_.back();
            require(layer.in == spec.in && layer.out == spec.out, "a layer's sizes differ from what they should be");
            require(layer.in < most_numbers && layer.out < most_numbers, "a row has 2^31 numbers or more");
            require(k == 0 || layers_[std::size_t(k) - 1]->out == layer.in, "layers do not fit");
            require(spec.earlier <= k && (spec.earlier < 0 || size_of(spec.earlier) == layer.out),
                    "what is added does not fit");
            if (first_trained_ < 0 && !layer.pieces().empty()) first_trained_ = k;
            place(layer.pieces(), k, trained_, trained_size_);
            place(layer.kept(), k, kept_, kept_size_);
            adders_.push_back(dynamic_cast<AddLayer<T>*>(&layer));
            require((adders_.back() != nullptr) == (spec.earlier >= 0),
                    "only a layer that adds takes an earlier value");
        }
    }

    Index nodes() const { return Index(specs_.size()); }
    const Masking& masking() const { return masking_; }
    Index size_of(Index value) const { return value == 0 ? specs_[0].in : specs_[std::size_t(value) - 1].out; }
    Layer<T>& layer(Index k) const { return *layers_[std::size_t(k)]; }
    Index earlier(Index k) const { return specs_[std::size_t(k)].earlier; }
    AddLayer<T>* adder(Index k) const { return adders_[std::size_t(k)]; }
    Index first_trained() const { return first_trained_; }
    // Whether rows may stay sparse: the first layer takes them so, and nobody else wants them.
    bool takes_sparse() const { return layer(0).takes_sparse() && !joined(0) && masking_.steps == 0; }
    // Whether a residual block begins or ends with a value.
    bool joined(Index value) const {
        return (value > 0 && adder(value - 1)) ||
               std::any_of(specs_.begin(), specs_.end(), [&](const NodeSpec& spec) { return spec.earlier == value; });
    }
    // The most that one of the first layers wants, for so many rows.
    Index scratch(Index last, Index rows, bool training) const {
        Index most = 0;
        for (Index k = 0; k < last; ++k) most = std::max(most, layer(k).scratch(rows, training));
        return most;
    }

    // Flat arrays: lengths, and what lies where. A piece begins with a line of memory.
    Index trained_size() const { return trained_size_; }
    Index kept_size() const { return kept_size_; }
    const std::vector<Placed>& trained() const { return trained_; }
    const std::vector<Placed>& kept() const { return kept_; }

    // One array a piece, wherever it lies.
    void bind(const std::vector<T*>& trained, const std::vector<T*>& kept) {
        const auto of_node = [](const std::vector<Placed>& all, Index k, const std::vector<T*>& arrays) {
            std::vector<T*> found;
            for (std::size_t i = 0; i < all.size(); ++i)
                if (all[i].node == k) found.push_back(arrays[i]);
            return found;
        };
        for (Index k = 0; k < nodes(); ++k) layer(k).bind(of_node(trained_, k, trained), of_node(kept_, k, kept));
    }
    void bind(T* trained, T* kept) {
        const auto pieces = [](const std::vector<Placed>& all, T* flat) {
            std::vector<T*> pointers;
            for (const auto& placed : all) pointers.push_back(flat + placed.offset);
            return pointers;
        };
        bind(pieces(trained_, trained), pieces(kept_, kept));
    }

    // Activations of the first layers act behind max-pooling where they may; nobody must want what lies between.
    void defer_activations(Index last) {
        for (Index k = 1; k < last; ++k)
            if (layer(k).takes_activation() && !joined(k)) layer(k).take_activation(layer(k - 1).give_activation());
    }

    double work() const {
        double sum = 0.0;
        for (const auto& layer : layers_) sum += layer->work();
        return sum;
    }

private:
    static void place(const std::vector<Piece>& pieces, Index k, std::vector<Placed>& all, Index& size) {
        for (const auto& piece : pieces) {
            all.push_back({k, size, piece});
            size += whole_lines<T>(piece.size());
        }
    }

    const std::shared_ptr<const std::vector<NodeSpec>> shared_;
    const std::vector<NodeSpec>& specs_;
    const Masking masking_;
    std::vector<std::unique_ptr<Layer<T>>> layers_;
    std::vector<AddLayer<T>*> adders_;
    std::vector<Placed> trained_, kept_;
    Index trained_size_ = 0, kept_size_ = 0, first_trained_ = -1;
};

// Rows of X, dense or sparse, by their numbers.
template <class T>
class Design {
public:
    virtual ~Design() = default;
    Index rows = 0, cols = 0;
    virtual bool sparse() const = 0;
    // Row i, dense: where it begins; null where rows are sparse.
    virtual const T* dense(Index i) const = 0;
    virtual SparseRow<T> sparse_row(Index i) const = 0;

    // Copies a row, sparse ones with their zeros.
    void copy(Index i, T* to) const {
        if (!sparse()) {
            std::copy_n(dense(i), cols, to);
            return;
        }
        std::fill_n(to, cols, T(0));
        sparse_row(i).each([&](Index j, T x) { to[j] += x; });
    }
};

template <class T>
class DenseDesign final : public Design<T> {
public:
    explicit DenseDesign(const Dense<T>& X) : X_(X) {
        this->rows = X.rows();
        this->cols = X.cols();
    }
    bool sparse() const override { return false; }
    const T* dense(Index i) const override { return X_.sample(i).x; }
    SparseRow<T> sparse_row(Index) const override { return {}; }

private:
    const Dense<T> X_;
};

template <class T, class I>
class SparseDesign final : public Design<T> {
public:
    explicit SparseDesign(const Csr<T, I>& X) : X_(X) {
        this->rows = X.rows();
        this->cols = X.cols();
        for (Index i = 0; i < X.rows() && sorted_; ++i) {
            const auto row = X.sample(i);
            sorted_ = std::is_sorted(row.index, row.index + row.n);
        }
    }
    bool sparse() const override { return true; }
    const T* dense(Index) const override { return nullptr; }
    SparseRow<T> sparse_row(Index i) const override {
        const auto row = X_.sample(i);
        return {row.x, row.index, row.n, sizeof(I) == 8, sorted_};
    }

private:
    const Csr<T, I> X_;
    bool sorted_ = true;
};

// What node `last` makes of rows begin, ..., end - 1 of X, into out (rows, size). Weights must be bound, and layers
// refreshed.
template <class T>
class Inference {
public:
    // For rows as X has them, so many of them at least.
    Inference(const Network<T>& network, const Design<T>& X, Index last)
        : network_(network), sparse_input_(X.sparse()), last_(last), block_(rows_at_a_time(network, last)) {
        const Index rows = std::min(block_, X.rows);
        Index size = network.scratch(last, rows, false);
        std::vector<Index> places;
        for (Index v = 0; v < last; ++v) {
            size = whole_lines<T>(size);
            places.push_back(size);
            size += needs_copy(v) ? rows * network.size_of(v) : 0;
        }
        memory_ = Buffer<T>(size);
        for (const Index place : places) values_.push_back(memory_.data() + place);
        sparse_.resize(std::size_t(takes_sparse() ? rows : 0));
        mask_.resize(std::size_t(rows * network.masking().steps));
    }

    // A multiple of the groups of any product; fewer where rows are long, so that they stay in the cache.
    static Index rows_at_a_time(const Network<T>& network, Index last) {
        Index longest = 1;
        for (Index v = 0; v <= last; ++v) longest = std::max(longest, network.size_of(v));
        const Index scratch = std::max<Index>(1, network.scratch(last, 1, false));
        return std::clamp<Index>(std::min(Index(1 << 17) / longest, Index(1 << 20) / scratch) / 12, 1, 8) * 12;
    }

    // As a member of a team; unfinished if the watch calls it off.
    void run(const Design<T>& X, Index begin, Index end, T* out, Watch& watch, int member) {
        for (Index i = begin; i < end && !watch.called_off(member); i += block_)
            some(X, i, std::min(end, i + block_), out + (i - begin) * network_.size_of(last_));
    }

private:
    bool takes_sparse() const { return sparse_input_ && network_.takes_sparse(); }
    bool needs_copy(Index value) const { return value > 0 || (sparse_input_ && !takes_sparse()); }

    void some(const Design<T>& X, Index begin, Index end, T* out) {
        const Rows rows{0, end - begin};
        Pass pass{.rows = rows.count(), .scratch = memory_.data()};
        const T* input = sparse_input_ ? nullptr : X.dense(begin);
        if (takes_sparse()) {
            for (Index i = begin; i < end; ++i) sparse_[std::size_t(i - begin)] = X.sparse_row(i);
        } else if (sparse_input_) {
            for (Index i = begin; i < end; ++i) X.copy(i, values_[0] + (i - begin) * X.cols);
            input = values_[0];
        }
        if (!mask_.empty()) {
            network_.masking().mark(input, rows, mask_.data());
            pass.mask = mask_.data();
        }
        const auto value = [&](Index v) -> const T* { return v == 0 ? input : values_[std::size_t(v)]; };
        for (Index k = 0; k < last_; ++k) {
            T* const y = k + 1 == last_ ? out : values_[std::size_t(k) + 1];
            auto& layer = network_.layer(k);
            if (k == 0 && takes_sparse()) {
                layer.forward(pass, sparse_.data(), y, rows);
            } else if (network_.adder(k)) {
                const T* const earlier = value(network_.earlier(k));
                const T* const x = value(k);
                for (Index i = 0; i < rows.count() * layer.out; ++i) y[i] = x[i] + earlier[i];
            } else {
                layer.forward(pass, value(k), y, rows);
            }
        }
    }

    const Network<T>& network_;
    const bool sparse_input_;
    const Index last_, block_;
    Buffer<T> memory_;  // scratch, then the values
    std::vector<T*> values_;
    std::vector<SparseRow<T>> sparse_;
    std::vector<unsigned char> mask_;
};

}  // namespace fg
