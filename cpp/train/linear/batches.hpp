// The rows that all models of a pass see, batch by batch.
#pragma once

#include <algorithm>
#include <utility>
#include <vector>

#include "core/rng.hpp"
#include "train/linear/recipe.hpp"

namespace fg {

// The batch at hand. Every member has its own, because the first may be ahead.
struct Batch {
    Index number = 0;
    const std::uint32_t* rows = nullptr;
    Index count = 0;
};

// The order of rows in an epoch, cut into batches.
class Batches {
public:
    // Of so many rows, each of about so many bytes.
    Batches(Stream stream, Index all_rows, double row_bytes)
        : stream_(std::move(stream)),
          rows_(stream_.listed.empty() ? all_rows : Index(stream_.listed.size())),
          size_(std::clamp<Index>(stream_.batch, 1, rows_)),
          row_bytes_(row_bytes),
          order_(std::size_t(rows_)) {}

    Index rows() const { return rows_; }  // of an epoch
    Index size() const { return size_; }  // rows of a batch; the last may have fewer
    Index count() const { return (rows_ + size_ - 1) / size_; }

    // Row i of those to train on, in the order in which they are listed.
    Index listed(Index i) const { return stream_.listed.empty() ? i : Index(stream_.listed[std::size_t(i)]); }

    void begin_epoch(std::uint64_t number) {
        row_order(order_.data(), rows_, size_, row_bytes_, stream_.shuffle, stream_.seed, number);
        if (!stream_.listed.empty())
            for (auto& row : order_) row = stream_.listed[row];
    }

    Batch operator[](Index number) const {
        const Index begin = number * size_;
        return {number, order_.data() + begin, std::min(size_, rows_ - begin)};
    }
    // How many rows follow a batch in this epoch.
    Index rows_after(const Batch& batch) const { return rows_ - batch.number * size_ - batch.count; }

private:
    const Stream stream_;
    const Index rows_, size_;
    const double row_bytes_;
    std::vector<std::uint32_t> order_;
};

}  // namespace fg
