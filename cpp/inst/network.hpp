// Layers, cells and activations enter here, for the type that a file of this folder names.
#pragma once

#include "parts/activations.hpp"
#include "parts/cell/gru.hpp"
#include "parts/cell/lstm.hpp"
#include "parts/cell/simple.hpp"
#include "parts/layer/activation_layer.hpp"
#include "parts/layer/batch_norm.hpp"
#include "parts/layer/convolution.hpp"
#include "parts/layer/dense.hpp"
#include "parts/layer/depthwise.hpp"
#include "parts/layer/dropout.hpp"
#include "parts/layer/embedding.hpp"
#include "parts/layer/layer_norm.hpp"
#include "parts/layer/pooling.hpp"
#include "parts/layer/recurrent.hpp"
#include "train/network/network.hpp"

namespace fg {

template <class T>
std::unique_ptr<Activate<T>> make_activation(const PartSpec& spec) {
    std::unique_ptr<Activate<T>> made;
    if (spec.name.empty() || spec.name == Identity::name) return made;
    with_part<Activations>(spec, [&](auto part) { made = std::make_unique<ActivateOf<T, decltype(part)>>(part); });
    return made;
}

using Cells = List<SimpleTanh, SimpleRelu, Gru, Lstm>;

template <class T>
std::unique_ptr<Layer<T>> make_layer(const NodeSpec& spec, Index number, bool first) {
    const auto whole = [&](std::string_view key) {
        const double value = spec[key];
        require(value >= 0 && value <= 0x1p53 && value == double(Index(value)),
                "a layer's sizes must be whole numbers");
        return Index(value);
    };
    const auto window = [&] {
        Window w{whole("height"), whole("width"), whole("channels"), {}, {}, {}, {}, {}};
        const auto pair = [&](Index(&into)[2], std::string_view y, std::string_view x) {
            into[0] = whole(y), into[1] = whole(x);
        };
        pair(w.kernel, "kernel_y", "kernel_x");
        pair(w.stride, "stride_y", "stride_x");
        pair(w.dilation, "dilation_y", "dilation_x");
        pair(w.before, "top", "left");
        pair(w.after, "bottom", "right");
        w.check();
        return w;
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
    if (spec.name == "convolution") {
        const Window w = window();
        const Index filters = whole("filters"), groups = whole("groups");
        require(filters > 0 && groups > 0, "a convolution needs filters and groups");
        auto activation = make_activation<T>(spec.activation);
        if (groups == w.channels && groups == filters && groups > 1)
            return std::make_unique<DepthwiseLayer<T>>(w, spec["bias"] != 0, std::move(activation));
        return std::make_unique<ConvolutionLayer<T>>(w, filters, groups, spec["bias"] != 0, std::move(activation),
                                                     first);
    }
    if (spec.name == "max_pool") return std::make_unique<MaxPoolLayer<T>>(window());
    if (spec.name == "average_pool") return std::make_unique<AveragePoolLayer<T>>(window());
    if (spec.name == "embedding")
        return std::make_unique<EmbeddingLayer<T>>(whole("codes"), whole("units"), whole("steps"));
    std::unique_ptr<Layer<T>> recurrent;
    Cells::each([&](auto cell) {
        if (spec.name != cell.name) return;
        const Recurrence time{whole("steps"),         whole("features"), whole("units"),      spec["sequences"] != 0,
                              spec["both_ways"] != 0, spec["bias"] != 0, whole("truncation"), spec["masked"] != 0};
        require(time.steps > 0 && time.units > 0, "a recurrent layer needs steps and units");
        recurrent = std::make_unique<RecurrentLayer<T, decltype(cell)>>(time, first);
    });
    if (recurrent) return recurrent;
    if (spec.name == "add") return std::make_unique<AddLayer<T>>(spec.in);
    throw BadArgument("there is no layer named " + spec.name);
}

#define FG_INSTANTIATE(T) template std::unique_ptr<Layer<T>> make_layer(const NodeSpec&, Index, bool);

}  // namespace fg
