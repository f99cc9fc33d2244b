// Losses by name, behind the virtual calls of kernel/tile_loss.hpp and kernel/block_loss.hpp.
#pragma once

#include <memory>
#include <vector>

#include "kernel/averaged_loss.hpp"
#include "parts/spec.hpp"

namespace fg {

// Defined in inst/, one file a type: the losses enter there. Both complete the goals.
template <class T>
std::unique_ptr<TileLoss<T>> make_tile_loss(const PartSpec& loss, bool multinomial, Goals<T>& goals);
// Goals are those of the models of a block, whose margins have `width` columns.
template <class T>
std::unique_ptr<BlockLoss<T>> make_block_loss(const PartSpec& loss, bool multinomial, std::vector<Goals<T>> goals,
                                              Index width);
// Null where the loss has no kinks.
template <class T>
std::unique_ptr<AveragedLoss<T>> make_averaged_loss(const PartSpec& loss, std::vector<Goals<T>> goals, Index width);

}  // namespace fg
