// A matrix of the seam as networks read it.
#pragma once

#include <memory>

#include "engine/dispatch.hpp"
#include "train/network/design.hpp"

namespace fg {

template <class T>
std::unique_ptr<Design<T>> design_of(const Matrix& X) {
    return with_view<T>(X, []<class View>(const View& view) -> std::unique_ptr<Design<T>> {
        if constexpr (View::dense) {
            return std::make_unique<DenseDesign<T>>(view);
        } else {
            return std::make_unique<SparseDesign<T, typename View::StorageIndex>>(view);
        }
    });
}

}  // namespace fg
