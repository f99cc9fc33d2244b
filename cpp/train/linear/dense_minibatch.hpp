// Dense rows. Phase 1: the batch is cut into chunks, each of which gives margins, slopes and a partial gradient of
// every block while its rows are in cache. Phase 2: the parameters are cut into ranges; each sums the partial gradients
// in the order of the chunks and is swept. (To clip the norm, the sum is a phase of its own.)
#pragma once

#include <atomic>
#include <cstdint>

#include "kernel/long_sum.hpp"
#include "train/linear/minibatch.hpp"

namespace fg {

template <class T>
class DenseMiniBatch final : public MiniBatch<T> {
public:
    DenseMiniBatch(const Dense<T>& X, Stream stream, std::vector<Model<T>> models)
        : MiniBatch<T>(TeamSize::Memory::of<DenseMiniBatch>(), X.rows(), X.cols(), double(X.cols()),
                       double(X.cols()) * sizeof(T), std::move(stream), std::move(models)),
          X_(X) {
        cut_chunks();
        std::vector<std::uint32_t> place;  // single outputs of several models, see margins_by_lanes
        if (this->blocks_.outputs == 1 && this->blocks_.models.size() > 1) {
            place.resize(std::size_t(X.cols()) + 1, std::uint32_t(X.cols()));
            std::uint32_t next = 0;
            each_by_lanes<T>(X.cols(), [&](Index j) { place[std::size_t(j)] = next++; });
        }
        this->blocks_.form([](Index) { return 0; }, std::move(place));
        all_ = (X.cols() + 1) * this->blocks_.columns();
        stride_ = (all_ + 15) / 16 * 16;
        partial_ = Buffer<T>(chunks_ * stride_);
        this->make_losses(chunks_);
        claims_ = std::vector<std::atomic<std::uint64_t>>(std::size_t(chunks_));
        cut_tiles();
        for (const auto& block : this->blocks_) widest_ = std::max(widest_, block.width);
    }

private:
    // Chunks of at least 8192 multiply-adds (about a microsecond) and 32 rows, at most 64 of them, or 256 of half a
    // million; and partial gradients of at most 16 MB, if the chunks would not be fewer than two. All that of one
    // model.
    void cut_chunks() {
        const Index batch = this->batches_.size(), weights = this->blocks_.size, bytes = weights * Index(sizeof(T));
        const auto fit = [&](Index chunks, Index multiply_adds) {
            const Index least = std::max<Index>(32, multiply_adds / weights);
            return chunks * least < batch && (chunks < 2 || 2 * chunks * bytes <= (16 << 20));
        };
        Index chunks = 1;
        while (chunks < 256 && fit(chunks, chunks < 64 ? 8192 : 1 << 20)) chunks *= 2;
        chunk_ = (batch + chunks - 1) / chunks;
        chunks_ = (batch + chunk_ - 1) / chunk_;
    }

    // A tile takes half of the first-level cache. Groups are of eight rows.
    void cut_tiles() {
        const Index row = std::max<Index>(1, X_.cols()) * Index(sizeof(T));
        tile_ = std::clamp<Index>((16 << 10) / row, 4, RowTile<T>::most_rows);
        if (tile_ > 8) tile_ = tile_ / 8 * 8;
        // Blocks take several tiles at a time, since they load and store their gradient as often.
        reach_ = tile_ * std::max<Index>(1, std::clamp<Index>((32 << 10) / row, 16, RowTile<T>::most_rows) / tile_);
        summed_ = most_summed / reach_ * reach_;  // the same rows for a model alone and for many
    }

    void begin_epoch(int most_members) override {
        while (int(margins_.size()) < most_members) {
            margins_.emplace_back(reach_ * widest_);
            intercepts_.emplace_back(this->blocks_.columns());
            wide_.emplace_back(is_long<T>(chunk_) ? (X_.cols() + 1) * widest_ : 0);
        }
        stamps_ += std::uint64_t(this->batches());
        for (const auto& block : this->blocks_) this->blocks_.pack(block);
    }

    void divide(int members) override {
        if (Index(updates_.size()) == members) return;
        updates_.assign(std::size_t(members), {});
        std::vector<ModelRange> shared;
        const bool small = chunks_ * all_ < 8192;  // too little to share
        for (std::size_t b = 0; b < this->blocks_.count(); ++b) {
            if (!this->blocks_[b].alone()) {
                for (Index j = 0; j <= X_.cols(); j += 1024)
                    this->update_.add_ranges(b, j, std::min(j + 1024, X_.cols() + 1), shared);
                continue;
            }
            for (int member = 0; member < members; ++member) {
                const auto [begin, end] = member_range(X_.cols() + 1, member, members, 16);
                this->update_.add_ranges(b, begin, end, updates_[std::size_t(small ? 0 : member)]);
            }
        }
        for (int member = 0; member < members; ++member) {
            const auto [begin, end] = member_range(Index(shared.size()), member, members, 1);
            auto& own = updates_[std::size_t(small ? 0 : member)];
            own.insert(own.end(), shared.begin() + begin, shared.begin() + end);
        }
    }

    Index loss_parts(const Batch& batch) const override { return (batch.count + chunk_ - 1) / chunk_; }

    // A chunk's partial gradient, losses and slopes are written by the member that has claimed it, before the barrier;
    // parameters by the members to which `divide` gave them, behind it.
    void step(const Batch& batch, int member, int members, Barrier& barrier) override {
        const Index chunks = loss_parts(batch);
        if (member == 0) this->measure(batch, [this](const Model<T>& model) { return this->norms(model); });
        T* const p = margins_[std::size_t(member)].data();
        double* const wide = is_long<T>(chunk_) ? wide_[std::size_t(member)].data() : nullptr;
        T* const intercepts = intercepts_[std::size_t(member)].data();
        for (const auto& block : this->blocks_) this->blocks_.intercepts_at_zero(block, intercepts + block.before);
        each_claimed(batch, chunks, member, members, [&](Index c, Index end) {
            if (this->watch_->called_off(member)) return;
            const MemberRows rows{batch, std::min(end * chunk_, batch.count), chunks * member / members * chunk_};
            for (const auto& block : this->blocks_)
                block.alone() && this->blocks_.width == 1
                    ? one_output(rows, c, block, intercepts + block.before, p, wide)
                    : many(rows, c, block, intercepts + block.before, p, wide);
        });
        barrier.wait();
        if (this->watch_->off()) return;
        this->update_.run(batch.number, updates_[std::size_t(member)], member, members, barrier,
                          [&](const ModelBlock<T>& block) {
                              return Gradient<T>{.g = partial_of(0, block), .parts = chunks, .stride = stride_};
                          });
    }

    T* partial_of(Index c, const ModelBlock<T>& block) const {
        return partial_.data() + c * stride_ + (X_.cols() + 1) * block.before;
    }

    // Calls work(chunk, end of the range) for the chunks that fall to the member: those of its own range, from the
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
    struct MemberRows {
        const Batch& batch;
        Index end, next;
    };

    // Calls f(tile, its row numbers) for chunk c, some rows at a time.
    template <class F>
    void each_tile(const MemberRows& rows_of_member, Index c, Index at_once, const F& f) const {
        const auto& [batch, member_end, next] = rows_of_member;
        const Index end = std::min(member_end, (c + 1) * chunk_);
        RowTile<T> tile;
        for (Index i = c * chunk_; i < end; i += at_once) {
            const std::uint32_t* const rows = batch.rows + i;
            const Index count = std::min(at_once, end - i);
            const std::uint32_t* coming = rows;
            Index coming_count = count;
            if (i + count < member_end) {
                coming = rows + count;
                coming_count = std::min(at_once, member_end - i - count);
            } else if (const Index left = this->batches_.rows_after(batch) - next; left > 0) {
                coming = batch.rows + batch.count + next;
                coming_count = std::min(at_once, left);
            }
            tile.advance(X_, rows, count, coming, coming_count, i > c * chunk_);
            for (Index k = 0; k < coming_count; ++k) this->blocks_.models[0].goals.prefetch(coming[k]);
            f(tile, rows);
        }
    }

    // From the gradient of weights by rows reckoned from zero to that by rows reckoned from the centre.
    void subtract_centre(const ModelBlock<T>& block, const T* FG_RESTRICT slopes, T* FG_RESTRICT G) const {
        const T* FG_RESTRICT const centre = block.centre.data();
        if (!centre) return;
        const Index width = block.width;
        if (width == 1) {
            for (Index j = 0; j < X_.cols(); ++j) G[j] = multiply_add(-centre[j], slopes[0], G[j]);
        } else {
            for (Index j = 0; j < X_.cols(); ++j)
                for (Index k = 0; k < width; ++k)
                    G[j * width + k] = multiply_add(-centre[j * width + k], slopes[k], G[j * width + k]);
        }
    }

    void one_output(const MemberRows& member_rows, Index c, const ModelBlock<T>& block, const T* intercept, T* p,
                    double* wide) {
        T* const g = partial_of(c, block);
        std::fill_n(g, this->blocks_.size, T(0));
        LongSum<T> gradient(g, wide, X_.cols(), summed_);
        const double factor = 1.0 / double(member_rows.batch.count);
        double loss = 0.0, slopes = 0.0;
        const T* const w = block.W;
        each_tile(member_rows, c, tile_, [&](const RowTile<T>& tile, const std::uint32_t* rows) {
            margins_one(tile, w, *intercept, p);
            block.loss->slopes(rows, tile.count, factor, p, &loss);
            gradient.expect(tile.count);
            gradient_one(tile, p, g);
            slopes += total(p, tile.count);
        });
        gradient.finish();
        const T sum = T(slopes);
        subtract_centre(block, &sum, g);
        g[X_.cols()] = T(slopes * this->blocks_.model_of(block, 0).recipe.intercept_decay);
        this->loss_at(c, block.models[0]) = loss;
    }

    // Several outputs of a model, or several models.
    void many(const MemberRows& member_rows, Index c, const ModelBlock<T>& block, const T* intercepts, T* P,
              double* wide) {
        const Index width = block.width, weights = X_.cols() * width;
        T* const G = partial_of(c, block);
        std::fill_n(G, weights + width, T(0));
        LongSum<T> gradient(G, wide, weights + width, summed_);
        const double factor = 1.0 / double(member_rows.batch.count);
        double loss[most_columns]{}, slopes[most_columns]{};
        const T* const W = block.W;
        const bool single = this->blocks_.outputs == 1;
        with_lanes<T>(width, [&](auto vector) {
            constexpr int N = decltype(vector)::value;
            each_tile(member_rows, c, reach_, [&](const RowTile<T>& tile, const std::uint32_t* rows) {
                if (single) {
                    margins_by_lanes<N>(tile, W, intercepts, width, P);
                } else {
                    for (Index i = 0; i < tile.count; ++i) std::copy_n(intercepts, width, P + i * width);
                    add_margins<N>(tile, W, width, P);
                }
                for (Index i = 0; i < tile.count; i += tile_) {
                    const Index n = std::min(tile_, tile.count - i);
                    block.loss->slopes(rows + i, n, factor, P + i * width, loss);
                    if (single) add_totals<N>(P + i * width, n, width, slopes);
                }
                gradient.expect(tile.count);
                add_gradient<N>(tile, P, width, G);
                if (!single) add_rows(P, tile.count, width, G + weights);
            });
        });
        gradient.finish();
        if (single) {
            T sums[most_columns];
            for (Index k = 0; k < width; ++k) sums[k] = T(slopes[k]);
            subtract_centre(block, sums, G);
        } else {
            subtract_centre(block, G + weights, G);
        }
        for (Index m = 0; m < block.size(); ++m) {
            const double decay = this->blocks_.model_of(block, m).recipe.intercept_decay;
            T* const g = G + weights + m * block.step;
            for (Index k = 0; k < block.step; ++k) g[k] = single ? T(slopes[m] * decay) : g[k] * T(decay);
            this->loss_at(c, block.models[std::size_t(m)]) = loss[m];
        }
    }

    const Dense<T> X_;
    Index chunk_ = 1, chunks_ = 1;                    // rows of a chunk, and chunks of a batch
    Index tile_ = 1, reach_ = 1;                      // rows at a time of one output, and of many
    Index summed_ = 1;                                // rows that are added up in the type of the data
    Index all_ = 0, stride_ = 0;                      // numbers of a partial gradient, and between two of them
    Index widest_ = 1;                                // columns of a block
    Buffer<T> partial_;                               // (chunks, blocks, features + 1, width)
    std::vector<Buffer<T>> margins_;                  // one a member
    std::vector<Buffer<T>> intercepts_;               // one a member: (columns,), for rows reckoned from zero
    std::vector<Buffer<double>> wide_;                // one a member: a gradient whose rows are many
    std::vector<std::vector<ModelRange>> updates_;    // by member
    std::vector<std::atomic<std::uint64_t>> claims_;  // by chunk: the stamp of the batch in which it was last taken
    std::uint64_t stamps_ = 1;                        // of the first batch of the epoch; none is given twice
};

}  // namespace fg
