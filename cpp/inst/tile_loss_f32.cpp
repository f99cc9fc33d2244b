#include "inst/tile_loss.hpp"

namespace fg {
FG_INSTANTIATE_TILE_LOSS(float)
}
