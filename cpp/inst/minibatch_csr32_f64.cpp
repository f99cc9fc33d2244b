#include "inst/minibatch.hpp"

namespace fg {
FG_INSTANTIATE_MINIBATCH(double, Csr<double, std::int32_t>)
}
