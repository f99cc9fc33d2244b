#include "inst/updater.hpp"

namespace fg {
FG_INSTANTIATE_UPDATER(float)
}
