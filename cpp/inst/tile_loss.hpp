// The loss of the mini-batch engine enters here: every loss of the catalog, for the type that a file of this folder
// names.
#pragma once

#include "train/minibatch.hpp"

namespace fg {

template <class T>
std::unique_ptr<TileLoss<T>> make_tile_loss(const PartSpec& loss, bool multinomial, Goals<T>& goals) {
    if (multinomial) return std::make_unique<Softmax<T>>();
    std::unique_ptr<TileLoss<T>> made;
    with_part<Losses>(loss, [&](auto part) {
        goals.negative = part.negative;
        made = std::make_unique<SeparateLoss<T, decltype(part)>>(part);
    });
    return made;
}

#define FG_INSTANTIATE_TILE_LOSS(T) \
    template std::unique_ptr<TileLoss<T>> make_tile_loss(const PartSpec&, bool, Goals<T>&);

}  // namespace fg
