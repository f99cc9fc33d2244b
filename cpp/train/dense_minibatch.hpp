// Dense rows. Phase 1: the batch is cut into chunks, each of which gives margins, slopes and a partial gradient while
// its rows are in cache. Phase 2: the parameters are cut into ranges; each sums the partial gradients in the order of
// the chunks and is swept. (To clip the norm, the sum is a phase of its own.)
#pragma once

#include <atomic>
#include <cstdint>

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
        // Chunks of at least 8192 multiply-adds (about a microsecond) and 32 rows, at most 64 of them; and partial
        // gradients of at most 16 MB, if the chunks would not be fewer than two.
        const Index weights = this->size_, bytes = weights * Index(sizeof(T));
        const Index least = std::max<Index>(32, 8192 / weights);
        Index chunks = 1;
        while (chunks < 64 && chunks * least < this->batch_ && (chunks < 2 || 2 * chunks * bytes <= (16 << 20)))
            chunks *= 2;
        chunk_ = (this->batch_ + chunks - 1) / chunks;
        chunks_ = (this->batch_ + chunk_ - 1) / chunk_;
        stride_ = (weights + 15) / 16 * 16;
        partial_ = Buffer<T>(chunks_ * stride_);
        losses_.resize(std::size_t(chunks_));
        claims_ = std::vector<std::atomic<std::uint64_t>>(std::size_t(chunks_));
        // Two tiles, the one at hand and the next, in half of the first-level cache. Groups are of eight rows.
        tile_ = std::clamp<Index>((8 << 10) / (X.cols * Index(sizeof(T))), 4, Tile<T>::most_rows);
        if (tile_ > 8) tile_ = tile_ / 8 * 8;
        if (this->clips_norm()) {
            sum_ = Buffer<T>(stride_);
            squares_.resize(std::size_t((weights + this->norm_block - 1) / this->norm_block));
        }
    }

private:
    void begin_epoch(int members) override {
        while (int(margins_.size()) < members) margins_.emplace_back(tile_ * this->width_);
        stamps_ += std::uint64_t(this->batches());
    }

    Index chunks_of(const Batch& batch) const { return (batch.count + chunk_ - 1) / chunk_; }

    void step(const Batch& batch, int member, int members, Barrier& barrier) override {
        const Index chunks = chunks_of(batch);
        if (member == 0) this->measure(batch);
        T* const p = margins_[std::size_t(member)].data();
        each_claimed(batch, chunks, member, members, [&](Index c, Index end) {
            const Portion portion{batch, std::min(end * chunk_, batch.count), chunks * member / members * chunk_};
            this->width_ == 1 ? one_output(portion, c, p) : several_outputs(portion, c, p);
        });
        barrier.wait();
        Gradient<T> gradient{
            .g = partial_.data(), .parts = chunks, .stride = stride_, .limit = this->recipe_.clip_value};
        const bool alone = chunks * this->size_ < 8192;  // too little to share
        if (this->clips_norm()) {
            const auto [first, last] = this->share(Index(squares_.size()), member, members, 1);
            for (Index k = first; k < last; ++k) {
                const Index begin = k * this->norm_block;
                gradient.collect(begin, std::min(this->norm_block, this->size_ - begin), sum_.data() + begin);
                squares_[std::size_t(k)] = this->block_square(sum_.data(), k);
            }
            barrier.wait();
            gradient = {.g = sum_.data(), .scale = norm_factor(squares_, this->recipe_.clip_norm)};
        }
        const auto [begin, end] = this->share(this->size_, alone ? 0 : member, alone ? 1 : members, 16);
        if (!alone || member == 0) this->sweep(batch.tick, gradient, begin, end);
    }

    double loss_of(const Batch& batch) const override {
        double sum = 0.0;
        for (Index c = 0; c < chunks_of(batch); ++c) sum += losses_[std::size_t(c)];
        return sum;
    }

    // Calls work(chunk, end of the share) for the chunks that fall to the member: those of its own share, from the
    // front; then what others have not come to, from their backs. Processors of equal name are not equally fast at all
    // times.
    template <class F>
    void each_claimed(const Batch& batch, Index chunks, int member, int members, const F& work) {
        const std::uint64_t stamp = stamps_ + std::uint64_t(batch.number);
        const auto claim = [&](Index c) {
            auto& last = claims_[std::size_t(c)];
            return last.load(std::memory_order_relaxed) != stamp &&
                   last.exchange(stamp, std::memory_order_relaxed) != stamp;
        };
        const Index end = chunks * (member + 1) / members;
        for (Index c = chunks * member / members; c < end; ++c)
            if (claim(c)) work(c, end);
        for (int k = 1; k < members; ++k) {
            const int other = (member + k) % members;
            for (Index c = chunks * (other + 1) / members - 1; c >= chunks * other / members && claim(c); --c)
                work(c, c + 1);
        }
    }

    // Rows of a batch up to `end` that a member has, and where its rows of the next batch begin.
    struct Portion {
        const Batch& batch;
        Index end, next;
    };

    // Calls f(tile, its row numbers) for the tiles of chunk c.
    template <class F>
    void each_tile(const Portion& portion, Index c, const F& f) const {
        const Index end = std::min(portion.end, (c + 1) * chunk_);
        Tile<T> tile;
        for (Index i = c * chunk_; i < end; i += tile_) {
            const std::uint32_t* const rows = portion.batch.rows + i;
            const Index count = std::min(tile_, end - i);
            const std::uint32_t* coming = rows;
            Index coming_count = count;
            if (i + count < portion.end) {
                coming = rows + count;
                coming_count = std::min(tile_, portion.end - i - count);
            } else if (const Index left = this->rows_after(portion.batch) - portion.next; left > 0) {
                coming = portion.batch.rows + portion.batch.count + portion.next;
                coming_count = std::min(tile_, left);
            }
            tile.advance(X_, rows, count, coming, coming_count, i > c * chunk_);
            for (Index k = 0; k < coming_count; ++k) this->goals_.prefetch(coming[k]);
            f(tile, rows);
        }
    }

    void one_output(const Portion& portion, Index c, T* p) {
        T* const g = partial_.data() + c * stride_;
        std::fill_n(g, this->size_, T(0));
        const double share = 1.0 / double(portion.batch.count);
        double loss = 0.0, total = 0.0;
        const T* const w = this->flat_.w;
        each_tile(portion, c, [&](const Tile<T>& tile, const std::uint32_t* rows) {
            margins_one(tile, w, w[tile.cols], p);
            loss += this->loss_->slopes(this->goals_, rows, tile.count, share, p);
            gradient_one(tile, p, g);
#pragma omp simd reduction(+ : total)
            for (Index i = 0; i < tile.count; ++i) total += double(p[i]);
        });
        g[X_.cols] = T(total * this->recipe_.intercept_decay);
        losses_[std::size_t(c)] = loss;
    }

    void several_outputs(const Portion& portion, Index c, T* P) {
        const Index width = this->width_, weights = X_.cols * width;
        T* const G = partial_.data() + c * stride_;
        std::fill_n(G, this->size_, T(0));
        const double share = 1.0 / double(portion.batch.count);
        double loss = 0.0;
        const T* const W = this->flat_.w;
        with_lanes<T>(width, [&](auto vector) {
            constexpr int N = decltype(vector)::value;
            each_tile(portion, c, [&](const Tile<T>& tile, const std::uint32_t* rows) {
                for (Index i = 0; i < tile.count; ++i) std::copy_n(W + weights, width, P + i * width);
                add_margins<N>(tile, W, width, P);
                loss += this->loss_->slopes(this->goals_, rows, tile.count, share, P);
                add_gradient<N>(tile, P, width, G);
                add_rows(P, tile.count, width, G + weights);
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
    std::vector<std::atomic<std::uint64_t>> claims_;  // by chunk: the stamp of the batch in which it was last taken
    std::uint64_t stamps_ = 1;                        // of the first batch of the epoch; none is given twice
};

}  // namespace fg
