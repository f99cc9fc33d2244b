// Layers and activations enter here, for the type that a file of this folder names.
#pragma once

#include "parts/layer/activation_layer.hpp"
#include "parts/layer/batch_norm.hpp"
#include "parts/layer/dense.hpp"
#include "parts/layer/dropout.hpp"
#include "parts/layer/layer_norm.hpp"
#include "train/network.hpp"

namespace fg {

template <class T>
std::unique_ptr<Activate<T>> make_activation(const PartSpec& spec) {
    std::unique_ptr<Activate<T>> made;
    if (spec.name.empty() || spec.name == Identity::name) return made;
    with_part<Activations>(spec, [&](auto part) { made = std::make_unique<ActivateOf<T, decltype(part)>>(part); });
    return made;
}

template <class T>
std::unique_ptr<Layer<T>> make_layer(const NodeSpec& spec, Index number, bool first) {
    const auto whole = [&](const char* key) {
        const double value = spec[key];
        require(value >= 0 && value == double(Index(value)), "a layer's sizes must be whole numbers");
        return Index(value);
    };
    if (spec.name == "dense")
        return std::make_unique<DenseLayer<T>>(whole("features"), whole("units"), whole("positions"), spec["bias"] != 0,
                                               make_activation<T>(spec.activation), first);
    if (spec.name == "activation") {
        const auto& given = spec.activation;
        auto activation = make_activation<T>(given);
        if (!activation) activation = std::make_unique<ActivateOf<T, Identity>>(Identity{});
        return std::make_unique<ActivationLayer<T>>(spec.in, std::move(activation));
    }
    if (spec.name == "dropout") return std::make_unique<DropoutLayer<T>>(spec.in, spec["rate"], number);
    if (spec.name == "batch_norm")
        return std::make_unique<BatchNormLayer<T>>(whole("features"), whole("positions"), spec["epsilon"],
                                                   spec["momentum"], spec["affine"] != 0);
    if (spec.name == "layer_norm")
        return std::make_unique<LayerNormLayer<T>>(whole("features"), whole("positions"), spec["epsilon"],
                                                   spec["affine"] != 0);
    if (spec.name == "add") return std::make_unique<AddLayer<T>>(spec.in);
    throw BadArgument("there is no layer named " + spec.name);
}

#define FG_INSTANTIATE_NETWORK(T) template std::unique_ptr<Layer<T>> make_layer(const NodeSpec&, Index, bool);

}  // namespace fg
