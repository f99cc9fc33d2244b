// The storage of the mini-batch engine enters here.
#pragma once

#include "train/linear/dense_minibatch.hpp"
#include "train/linear/sparse_minibatch.hpp"

namespace fg {

template <class T>
std::unique_ptr<MiniBatch<T>> make_minibatch(const Dense<T>& X, bool, Stream stream, std::vector<Model<T>> models) {
    return std::make_unique<DenseMiniBatch<T>>(X, std::move(stream), std::move(models));
}

template <class T, class I>
std::unique_ptr<MiniBatch<T>> make_minibatch(const Csr<T, I>& X, bool sorted, Stream stream,
                                             std::vector<Model<T>> models) {
    return std::make_unique<SparseMiniBatch<T, I>>(X, sorted, std::move(stream), std::move(models));
}

#define FG_INSTANTIATE(T, ...) \
    template std::unique_ptr<MiniBatch<T>> make_minibatch(const __VA_ARGS__&, bool, Stream, std::vector<Model<T>>);

}  // namespace fg
