// A pass over sparse rows: margins, slopes and gradient of a few rows at a time.
#pragma once

#include "train/curvature/pass.hpp"

namespace fg {

template <class T, class I>
class SparsePass final : public Pass<T> {
public:
    SparsePass(const Csr<T, I>& X, bool sorted, PassRecipe<T> recipe)
        : Pass<T>(X.rows(), X.cols(), X.mean_length(), std::move(recipe)), X_(X), sorted_(sorted) {
        // A gradient costs as much as a few entries a feature, so chunks have four a feature; but there are four chunks
        // where there is work for them, or a multiple of that, which teams share evenly.
        const double entries = this->length_ * double(this->rows());
        const Index fit = 4 * std::max<Index>(1, Index(entries / (16.0 * double(X.cols() + 1))));
        this->cut(std::min({fit, Index(64), Index(entries * double(this->width_) / 8192.0)}));
    }

private:
    void make_room(int members) override {
        while (int(margins_.size()) < members) margins_.emplace_back(this->tile * this->width_);
    }

    void chunk(Index c, int member) override {
        const Index width = this->width_, weights = X_.cols() * width;
        const PartOf<T, I> X{X_, nullptr, 0};
        double* const sum = this->partial_of(c);
        std::fill_n(sum, weights + width, 0.0);
        T* const P = margins_[std::size_t(member)].data();
        const Rows own = this->chunk_rows(c);
        with_lanes<T>(width, [&](auto vector) {
            constexpr int N = decltype(vector)::value;
            for (Index begin = own.begin; begin < own.end; begin += this->tile) {
                const std::uint32_t* const rows = this->rows_of(begin);
                const Index count = std::min(this->tile, own.end - begin);
                margins<N>(X, rows, count, own.end - begin, this->weights_.data(), width, P);
                for (Index i = 0; i < count; ++i)
                    for (Index k = 0; k < width; ++k) P[i * width + k] += this->intercepts_[std::size_t(k)];
                this->slopes(c, begin, count, P, sum + weights);
                add_gradient<N>(X, rows, count, {0, 0, X_.cols(), true}, sorted_, P, width, sum);
            }
        });
    }

    const Csr<T, I> X_;
    const bool sorted_;
    std::vector<Buffer<T>> margins_;  // one a member: (tile, width)
};

}  // namespace fg
