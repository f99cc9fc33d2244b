// A pass over dense rows: a tile of rows gives margins, slopes and gradient while it is in the first-level cache.
#pragma once

#include "kernel/long_sum.hpp"
#include "train/curvature/pass.hpp"

namespace fg {

template <class T>
class DensePass final : public Pass<T> {
public:
    DensePass(const Dense<T>& X, PassRecipe<T> recipe)
        : Pass<T>(X.rows(), X.cols(), double(X.cols()), std::move(recipe)), X_(X) {
        const Index row = std::max<Index>(1, X.cols()) * Index(sizeof(T));
        // Several outputs read and write their gradient once a tile, which is more than the tile itself.
        tile_ = this->width_ > 1 ? this->tile : std::clamp<Index>((16 << 10) / row, 4, this->tile);
        if (tile_ > 8) tile_ = tile_ / 8 * 8;
        // Chunks of 32 rows and 16,000 multiply-adds at least, whose gradients take 16 MB at most.
        const Index weights = (X.cols() + 1) * this->width_;
        const Index least = std::max<Index>(32, 16384 / weights);
        this->cut(std::min({this->rows() / least, Index(64), std::max<Index>(2, (2 << 20) / weights)}));
    }

private:
    static constexpr bool is_wide = std::is_same_v<T, double>;

    void make_room(int members) override {
        while (int(margins_.size()) < members) {
            margins_.emplace_back(tile_ * this->width_);
            near_.emplace_back(is_wide ? 0 : X_.cols() * this->width_);
        }
    }

    void chunk(Index c, int member) override {
        if (this->width_ == 1) {
            const T* const w = this->weights_.data();
            run(
                c, member, [&](const RowTile<T>& rows, T* P) { margins_one(rows, w, this->intercepts_[0], P); },
                [](const RowTile<T>& rows, const T* S, T* G) { gradient_one(rows, S, G); });
            return;
        }
        with_lanes<T>(this->width_, [&](auto vector) {
            constexpr int N = decltype(vector)::value;
            const Index width = this->width_;
            run(
                c, member,
                [&](const RowTile<T>& rows, T* P) {
                    for (Index i = 0; i < rows.count; ++i) std::copy_n(this->intercepts_.data(), width, P + i * width);
                    add_margins<N>(rows, this->weights_.data(), width, P);
                },
                [&](const RowTile<T>& rows, const T* S, T* G) { add_gradient<N>(rows, S, width, G); });
        });
    }

    template <class Margins, class Gradient>
    void run(Index c, int member, const Margins& margins, const Gradient& gradient) {
        const Index weights = X_.cols() * this->width_;
        double* const sum = this->partial_of(c);
        std::fill_n(sum, weights + this->width_, 0.0);
        T* const P = margins_[std::size_t(member)].data();
        T* G;
        if constexpr (is_wide) {
            G = sum;
        } else {
            G = near_[std::size_t(member)].data();
            std::fill_n(G, weights, T(0));
        }
        const Rows own = this->chunk_rows(c);
        Index added = 0;
        RowTile<T> rows;
        for (Index begin = own.begin; begin < own.end; begin += tile_) {
            const Index count = std::min(tile_, own.end - begin), after = begin + count;
            const bool more = after < own.end;
            rows.advance(X_, this->rows_of(begin), count, this->rows_of(more ? after : begin),
                         more ? std::min(tile_, own.end - after) : count, begin > own.begin);
            margins(rows, P);
            this->slopes(c, begin, count, P, sum + weights);
            if (!is_wide && added + count > most_summed) {
                flush(G, weights, sum);
                added = 0;
            }
            added += count;
            gradient(rows, P, G);
        }
        if (!is_wide) flush(G, weights, sum);
    }

    static void flush(T* FG_RESTRICT G, Index n, double* FG_RESTRICT sum) {
        for (Index i = 0; i < n; ++i) sum[i] += double(G[i]);
        std::fill_n(G, n, T(0));
    }

    const Dense<T> X_;
    Index tile_ = 1;
    std::vector<Buffer<T>> margins_, near_;  // one a member: (tile, width), and a gradient whose rows are few
};

}  // namespace fg
