// Rows of X, dense or sparse, by their numbers.
#pragma once

#include <algorithm>

#include "parts/layer/layer.hpp"

namespace fg {

template <class T>
class Design {
public:
    virtual ~Design() = default;
    Index rows = 0, cols = 0;
    virtual bool sparse() const = 0;
    // Row i, dense: where it begins; null where rows are sparse.
    virtual const T* dense(Index i) const = 0;
    virtual SparseRow<T> sparse_row(Index i) const = 0;

    // Copies a row, sparse ones with their zeros.
    void copy(Index i, T* to) const {
        if (!sparse()) {
            std::copy_n(dense(i), cols, to);
            return;
        }
        std::fill_n(to, cols, T(0));
        sparse_row(i).each([&](Index j, T x) { to[j] += x; });
    }
};

template <class T>
class DenseDesign final : public Design<T> {
public:
    explicit DenseDesign(const Dense<T>& X) : X_(X) {
        this->rows = X.rows();
        this->cols = X.cols();
    }
    bool sparse() const override { return false; }
    const T* dense(Index i) const override { return X_.sample(i).x; }
    SparseRow<T> sparse_row(Index) const override { return {}; }

private:
    const Dense<T> X_;
};

template <class T, class I>
class SparseDesign final : public Design<T> {
public:
    explicit SparseDesign(const Csr<T, I>& X) : X_(X) {
        this->rows = X.rows();
        this->cols = X.cols();
        for (Index i = 0; i < X.rows() && sorted_; ++i) {
            const auto row = X.sample(i);
            sorted_ = std::is_sorted(row.index, row.index + row.n);
        }
    }
    bool sparse() const override { return true; }
    const T* dense(Index) const override { return nullptr; }
    SparseRow<T> sparse_row(Index i) const override {
        const auto row = X_.sample(i);
        return {row.x, row.index, row.n, sizeof(I) == 8, sorted_};
    }

private:
    const Csr<T, I> X_;
    bool sorted_ = true;
};

}  // namespace fg
