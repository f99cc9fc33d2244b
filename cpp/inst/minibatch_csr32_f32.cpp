#include "inst/minibatch.hpp"

namespace fg {
FG_INSTANTIATE_MINIBATCH(float, Csr<float, std::int32_t>)
}
