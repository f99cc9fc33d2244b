// The only place where rules are registered. Adding one: its file, its include, its name in the list.
#pragma once

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
#include "parts/spec.hpp"

namespace fg {

using Rules = List<Sgd, Adagrad, Adadelta, Rmsprop, Adam, Adamax, Nadam, Radam, Lion, Ftrl, Asgd>;

}  // namespace fg
