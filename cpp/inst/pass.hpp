// The storage of passes enters here.
#pragma once

#include "train/curvature/dense_pass.hpp"
#include "train/curvature/dual_ascent.hpp"
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

template <class T>
std::unique_ptr<Ascent<T>> make_ascent(const Dense<T>&, PassRecipe<T>, AscentRecipe) {
    require(false, "X: dual ascent expects sparse rows");
    return nullptr;
}

template <class T, class I>
std::unique_ptr<Ascent<T>> make_ascent(const Csr<T, I>& X, PassRecipe<T> recipe, AscentRecipe ascent) {
    return std::make_unique<SparseAscent<T, I>>(X, std::move(recipe), std::move(ascent));
}

#define FG_INSTANTIATE(T, ...)                                                            \
    template std::unique_ptr<Pass<T>> make_pass(const __VA_ARGS__&, bool, PassRecipe<T>); \
    template std::unique_ptr<Ascent<T>> make_ascent(const __VA_ARGS__&, PassRecipe<T>, AscentRecipe);

}  // namespace fg
