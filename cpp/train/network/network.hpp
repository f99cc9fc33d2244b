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

#include "core/buffer.hpp"
#include "core/team.hpp"
#include "parts/layer/add.hpp"
#include "parts/layer/layer.hpp"
#include "train/network/recipe.hpp"

namespace fg {

// Defined in inst/: layers and activations enter there. `first`: whether nobody wants the slope of its input.
template <class T>
std::unique_ptr<Layer<T>> make_layer(const NodeSpec& spec, Index number, bool first);

// An array of parameters, and where it lies among all.
struct Placed {
    Index node, offset;
    ParameterArray array;
};

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
            if (first_trained_ < 0 && !layer.parameters().empty()) first_trained_ = k;
            place(layer.parameters(), k, trained_, trained_size_);
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
    bool takes_sparse() const { return layer(0).capabilities().takes_sparse && !joined(0) && masking_.steps == 0; }
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

    // Flat arrays: lengths, and what lies where. A array begins with a line of memory.
    Index trained_size() const { return trained_size_; }
    Index kept_size() const { return kept_size_; }
    const std::vector<Placed>& trained() const { return trained_; }
    const std::vector<Placed>& kept() const { return kept_; }

    // One array a array, wherever it lies.
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
        const auto pointers_of = [](const std::vector<Placed>& all, T* flat) {
            std::vector<T*> pointers;
            for (const auto& placed : all) pointers.push_back(flat + placed.offset);
            return pointers;
        };
        bind(pointers_of(trained_, trained), pointers_of(kept_, kept));
    }

    // Activations of the first layers act behind max-pooling where they may; nobody must want what lies between.
    void defer_activations(Index last) {
        for (Index k = 1; k < last; ++k)
            if (layer(k).capabilities().takes_activation && !joined(k))
                layer(k).take_activation(layer(k - 1).give_activation());
    }

    double work() const {
        double sum = 0.0;
        for (const auto& layer : layers_) sum += layer->work();
        return sum;
    }

private:
    static void place(const std::vector<ParameterArray>& parameters, Index k, std::vector<Placed>& all, Index& size) {
        for (const auto& array : parameters) {
            all.push_back({k, size, array});
            size += whole_lines<T>(array.size());
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

}  // namespace fg
