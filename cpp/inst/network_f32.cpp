#include "inst/network.hpp"

namespace fg {
FG_INSTANTIATE_NETWORK(float)
}
