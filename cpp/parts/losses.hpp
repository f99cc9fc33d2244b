// The only place where losses are registered. Adding one: its file, its include, its name in the list.
#pragma once

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
#include "parts/spec.hpp"

namespace fg {

using Losses = List<Hinge, Perceptron, SquaredHinge, LogLoss, ModifiedHuber, SquaredError, Huber, EpsilonInsensitive,
                    SquaredEpsilonInsensitive, AbsoluteError, Quantile, Poisson, Gamma>;

}  // namespace fg
