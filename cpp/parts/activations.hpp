// The only place where activations are registered. Adding one: its file, its include, its name in the list.
#pragma once

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
#include "parts/spec.hpp"

namespace fg {

using Activations = List<Identity, Logistic, Tanh, Relu, LeakyRelu, Elu, Selu, Gelu, Silu, Softplus, HardSwish, Mish>;

}  // namespace fg
