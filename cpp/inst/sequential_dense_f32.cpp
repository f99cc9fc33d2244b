#include "inst/sequential.hpp"

namespace fg {
FG_INSTANTIATE_SEQUENTIAL(Dense<float>)
}
