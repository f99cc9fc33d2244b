#include "inst/minibatch.hpp"

namespace fg {
FG_INSTANTIATE_MINIBATCH(double, Dense<double>)
}
