// Dense rows. Phase 1: the batch is cut into chunks, each of which gives margins, slopes and a partial gradient while
// its rows are in cache. Phase 2: the parameters are cut into ranges; each sums the partial gradients in the order of
// the chunks and is swept. (To clip the norm, the sum is a phase of its own.)
#pragma once

#include "train/minibatch.hpp"

namespace fg {

template <class T>
class DenseMiniBatch final : public MiniBatch<T> {
public:
    DenseMiniBatch(const Dense<T>& X, std::vector<std::uint32_t> rows, Goals<T> goals, const Recipe& recipe,
                   const Flat<T>& flat)
        : MiniBatch<T>(X.rows, X.cols, double(X.cols), double(X.cols) * sizeof(T), std::move(rows), std::move(goals),
                       recipe, flat),
          X_(X) {
        // Chunks of at least 8192 multiply-adds (about a microsecond) and 16 rows, at most 64 of them; and partial
        // gradients of at most 16 MB, if the chunks would not be fewer than two.
        const Index weights = this->size_, bytes = weights * Index(sizeof(T));
        const Index least = std::max<Index>(16, 8192 / weights);
        Index chunks = 1;
        while (chunks < 64 && chunks * least < this->batch_ && (chunks < 2 || 2 * chunks * bytes <= (16 << 20)))
            chunks *= 2;
        chunk_ = (this->batch_ + chunks - 1) / chunks;
        chunks_ = (this->batch_ + chunk_ - 1) / chunk_;
        stride_ = (weights + 15) / 16 * 16;
        partial_ = Buffer<T>(chunks_ * stride_);
        losses_.resize(std::size_t(chunks_));
        tile_ = std::clamp<Index>((16 << 10) / (X.cols * Index(sizeof(T))), 4, TileLoss<T>::most_rows);
        if (this->clips_norm()) {
            sum_ = Buffer<T>(stride_);
            squares_.resize(std::size_t((weights + this->norm_block - 1) / this->norm_block));
        }
    }

private:
    void begin_epoch(int members) override {
        while (int(margins_.size()) < members) margins_.emplace_back(tile_ * this->width_);
    }

    Index chunks_of(const Batch& batch) const { return (batch.count + chunk_ - 1) / chunk_; }

    void step(const Batch& batch, int member, int members, Barrier& barrier) override {
        const Index chunks = chunks_of(batch);
        if (member == 0) this->measure(batch);
        for (Index c = chunks * member / members; c < chunks * (member + 1) / members; ++c) {
            if (this->width_ == 1) {
                one_output(batch, c, margins_[std::size_t(member)].data());
            } else {
                several_outputs(batch, c, margins_[std::size_t(member)].data());
            }
        }
        barrier.wait();
        Gradient<T> gradient{
            .g = partial_.data(), .parts = chunks, .stride = stride_, .limit = this->recipe_.clip_value};
        const bool alone = this->size_ < 4096;  // too few parameters to share
        if (this->clips_norm()) {
            const auto [first, last] = this->share(Index(squares_.size()), member, members, 1);
            for (Index k = first; k < last; ++k) {
                const Index begin = k * this->norm_block;
                gradient.collect(begin, std::min(this->norm_block, this->size_ - begin), sum_.data() + begin);
                squares_[std::size_t(k)] = this->block_square(sum_.data(), k);
            }
            barrier.wait();
            gradient = {.g = sum_.data(), .scale = this->norm_factor(squares_)};
        }
        const auto [begin, end] = this->share(this->size_, alone ? 0 : member, alone ? 1 : members, 16);
        if (!alone || member == 0) this->sweep(batch.tick, gradient, begin, end);
    }

    double loss_of(const Batch& batch) const override {
        double sum = 0.0;
        for (Index c = 0; c < chunks_of(batch); ++c) sum += losses_[std::size_t(c)];
        return sum;
    }

    // Calls tile(rows, count, rows known from there on) for the tiles of chunk c.
    template <class F>
    void each_tile(const Batch& batch, Index c, const F& tile) const {
        const Index begin = c * chunk_, end = std::min(batch.count, begin + chunk_);
        for (Index i = begin; i < end; i += tile_) tile(batch.rows + i, std::min(tile_, end - i), end - i);
    }

    void one_output(const Batch& batch, Index c, T* p) {
        T* const g = partial_.data() + c * stride_;
        std::fill_n(g, this->size_, T(0));
        double loss = 0.0, total = 0.0;
        const T* const w = this->flat_.w;
        each_tile(batch, c, [&](const std::uint32_t* rows, Index count, Index known) {
            margins_one(X_, rows, count, known, w, w[X_.cols], p);
            loss += this->loss_->slopes(this->goals_, rows, count, 1.0 / double(batch.count), p);
            gradient_one(X_, rows, count, p, g);
            for (Index i = 0; i < count; ++i) total += double(p[i]);
        });
        g[X_.cols] = T(total * this->recipe_.intercept_decay);
        losses_[std::size_t(c)] = loss;
    }

    void several_outputs(const Batch& batch, Index c, T* P) {
        const Index width = this->width_, weights = X_.cols * width;
        T* const G = partial_.data() + c * stride_;
        std::fill_n(G, this->size_, T(0));
        double loss = 0.0;
        const T* const W = this->flat_.w;
        with_lanes<T>(width, [&](auto vector) {
            constexpr int N = decltype(vector)::value;
            each_tile(batch, c, [&](const std::uint32_t* rows, Index count, Index) {
                for (Index i = 0; i < count; ++i) std::copy_n(W + weights, width, P + i * width);
                add_margins<N>(X_, rows, count, W, width, P);
                loss += this->loss_->slopes(this->goals_, rows, count, 1.0 / double(batch.count), P);
                add_gradient<N>(X_, rows, count, P, width, G);
                add_rows(P, count, width, G + weights);
            });
        });
        for (Index k = 0; k < width; ++k) G[weights + k] *= T(this->recipe_.intercept_decay);
        losses_[std::size_t(c)] = loss;
    }

    const Dense<T> X_;
    Index chunk_ = 1, chunks_ = 1, stride_ = 0, tile_ = 1;
    Buffer<T> partial_, sum_;
    std::vector<Buffer<T>> margins_;  // one a member
    std::vector<double> losses_, squares_;
};

}  // namespace fg
