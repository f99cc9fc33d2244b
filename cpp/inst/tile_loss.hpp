// The loss of the mini-batch engine enters here: every loss of the catalog, for the type that a file of this folder
// names.
#pragma once

#include "parts/losses.hpp"
#include "train/losses.hpp"

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

template <class T>
std::unique_ptr<BlockLoss<T>> make_block_loss(const PartSpec& loss, bool multinomial, std::vector<Goals<T>> goals,
                                              Index width) {
    auto first = make_tile_loss<T>(loss, multinomial, goals[0]);
    // Several outputs of a model alone are added up as those of several models are: the same bits.
    const bool has_room = width <= most_columns, together = goals[0].outputs > 1 && !multinomial && has_room;
    if (goals.size() == 1 && !together) return std::make_unique<LossAlone<T>>(std::move(first), goals[0]);
    if (multinomial) return std::make_unique<LossInTurn<T>>(std::move(first), std::move(goals), width);
    std::unique_ptr<BlockLoss<T>> made;
    with_part<Losses>(loss, [&](auto part) {
        made = std::make_unique<LossesTogether<T, decltype(part)>>(part, std::move(goals), width);
    });
    return made;
}

template <class T>
std::unique_ptr<AveragedLoss<T>> make_averaged_loss(const PartSpec& loss, std::vector<Goals<T>> goals, Index width) {
    std::unique_ptr<AveragedLoss<T>> made;
    with_part<Losses>(loss, [&](auto part) {
        if constexpr (HasKinks<decltype(part)>) {
            for (auto& each : goals) each.negative = part.negative;
            made = std::make_unique<LossAveraged<T, decltype(part)>>(part, std::move(goals), width);
        }
    });
    return made;
}

#define FG_INSTANTIATE(T)                                                                                        \
    template std::unique_ptr<TileLoss<T>> make_tile_loss(const PartSpec&, bool, Goals<T>&);                      \
    template std::unique_ptr<BlockLoss<T>> make_block_loss(const PartSpec&, bool, std::vector<Goals<T>>, Index); \
    template std::unique_ptr<AveragedLoss<T>> make_averaged_loss(const PartSpec&, std::vector<Goals<T>>, Index);

}  // namespace fg
