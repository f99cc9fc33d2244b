#include "inst/sequential.hpp"

namespace fg {
FG_INSTANTIATE_SEQUENTIAL(Csr<double, std::int32_t>)
}
