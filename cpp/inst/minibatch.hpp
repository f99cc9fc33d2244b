// The storage of the mini-batch engine enters here.
#pragma once

#include "train/dense_minibatch.hpp"
#include "train/sparse_minibatch.hpp"

namespace fg {

template <class T>
std::unique_ptr<MiniBatch<T>> make_minibatch(const Dense<T>& X, bool, std::vector<std::uint32_t> rows, Goals<T> goals,
                                             const Recipe& recipe, const Flat<T>& flat) {
    return std::make_unique<DenseMiniBatch<T>>(X, std::move(rows), std::move(goals), recipe, flat);
}

template <class T, class I>
std::unique_ptr<MiniBatch<T>> make_minibatch(const Csr<T, I>& X, bool sorted, std::vector<std::uint32_t> rows,
                                             Goals<T> goals, const Recipe& recipe, const Flat<T>& flat) {
    return std::make_unique<SparseMiniBatch<T, I>>(X, sorted, std::move(rows), std::move(goals), recipe, flat);
}

#define FG_INSTANTIATE_MINIBATCH(T, ...)                                                                        \
    template std::unique_ptr<MiniBatch<T>> make_minibatch(const __VA_ARGS__&, bool, std::vector<std::uint32_t>, \
                                                          Goals<T>, const Recipe&, const Flat<T>&);

}  // namespace fg
