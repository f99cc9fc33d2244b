// The storage of passes enters here.
#pragma once

#include "train/curvature/dense_pass.hpp"
#include "train/curvature/sparse_pass.hpp"

namespace fg {

template <class T>
std::unique_ptr<Pass<T>> make_pass(const Dense<T>& X, bool, PassRecipe<T> recipe) {
    return std::make_unique<DensePass<T>>(X, std::move(recipe));
}

template <class T, class I>
std::unique_ptr<Pass<T>> make_pass(const Csr<T, I>& X, bool sorted, PassRecipe<T> recipe) {
    return std::make_unique<SparsePass<T, I>>(X, sorted, std::move(recipe));
}

#define FG_INSTANTIATE(T, ...) template std::unique_ptr<Pass<T>> make_pass(const __VA_ARGS__&, bool, PassRecipe<T>);

}  // namespace fg
