#include "inst/sequential.hpp"

namespace fg {
FG_INSTANTIATE_SEQUENTIAL(Csr<double, std::int64_t>)
}
