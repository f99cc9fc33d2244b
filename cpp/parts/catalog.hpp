// The only place where parts are registered. Adding one: its file, its include, its name in the list.
#pragma once

#include <string>
#include <vector>

#include "core/base.hpp"
#include "parts/activation/elu.hpp"
#include "parts/activation/gelu.hpp"
#include "parts/activation/hard_swish.hpp"
#include "parts/activation/identity.hpp"
#include "parts/activation/leaky_relu.hpp"
#include "parts/activation/logistic.hpp"
#include "parts/activation/mish.hpp"
#include "parts/activation/relu.hpp"
#include "parts/activation/selu.hpp"
#include "parts/activation/silu.hpp"
#include "parts/activation/softplus.hpp"
#include "parts/activation/tanh.hpp"
#include "parts/loss/absolute_error.hpp"
#include "parts/loss/epsilon_insensitive.hpp"
#include "parts/loss/gamma.hpp"
#include "parts/loss/hinge.hpp"
#include "parts/loss/huber.hpp"
#include "parts/loss/log_loss.hpp"
#include "parts/loss/modified_huber.hpp"
#include "parts/loss/perceptron.hpp"
#include "parts/loss/poisson.hpp"
#include "parts/loss/quantile.hpp"
#include "parts/loss/squared_epsilon_insensitive.hpp"
#include "parts/loss/squared_error.hpp"
#include "parts/loss/squared_hinge.hpp"
#include "parts/rule/adadelta.hpp"
#include "parts/rule/adagrad.hpp"
#include "parts/rule/adam.hpp"
#include "parts/rule/adamax.hpp"
#include "parts/rule/asgd.hpp"
#include "parts/rule/ftrl.hpp"
#include "parts/rule/lion.hpp"
#include "parts/rule/nadam.hpp"
#include "parts/rule/radam.hpp"
#include "parts/rule/rmsprop.hpp"
#include "parts/rule/sgd.hpp"

namespace fg {

using Losses = List<Hinge, Perceptron, SquaredHinge, LogLoss, ModifiedHuber, SquaredError, Huber, EpsilonInsensitive,
                    SquaredEpsilonInsensitive, AbsoluteError, Quantile, Poisson, Gamma>;
using Activations = List<Identity, Logistic, Tanh, Relu, LeakyRelu, Elu, Selu, Gelu, Silu, Softplus, HardSwish, Mish>;
using Rules = List<Sgd, Adagrad, Adadelta, Rmsprop, Adam, Adamax, Nadam, Radam, Lion, Ftrl, Asgd>;

// A part by name, with values for (some of) its fields.
struct PartSpec {
    std::string name;
    std::vector<std::pair<std::string, double>> values;
};

// Calls f(part) with the part of `List` that the spec describes.
template <class Parts, class F>
void with_part(const PartSpec& spec, F f) {
    bool found = false;
    Parts::each([&](auto part) {
        if (spec.name != part.name) return;
        found = true;
        std::apply(
            [&](const auto&... field) {
                for (const auto& [name, value] : spec.values) {
                    const bool known = ((name == field.name ? (part.*field.member = value, true) : false) || ...);
                    if (!known) throw BadArgument(spec.name + " has no parameter " + name);
                }
                if (sizeof...(field) == 0 && !spec.values.empty())
                    throw BadArgument(spec.name + " has no parameter " + spec.values.front().first);
            },
            decltype(part)::fields());
        f(part);
    });
    if (!found) throw BadArgument("there is no part named " + spec.name);
}

}  // namespace fg
