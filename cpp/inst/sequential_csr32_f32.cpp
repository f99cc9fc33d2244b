#include "inst/sequential.hpp"

namespace fg {
FG_INSTANTIATE_SEQUENTIAL(Csr<float, std::int32_t>)
}
