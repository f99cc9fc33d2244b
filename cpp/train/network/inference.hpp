// Prediction: what a node of a network makes of rows.
#pragma once

#include <algorithm>
#include <vector>

#include "core/team.hpp"
#include "train/network/design.hpp"
#include "train/network/network.hpp"

namespace fg {

// What node `last` makes of rows begin, ..., end - 1 of X, into out (rows, size). Weights must be bound, and layers
// refreshed.
template <class T>
class Inference {
public:
    // For rows as X has them, so many of them at least.
    Inference(const Network<T>& network, const Design<T>& X, Index last)
        : network_(network), sparse_input_(X.sparse()), last_(last), block_(rows_at_a_time(network, last)) {
        const Index rows = std::min(block_, X.rows);
        Index size = network.scratch(last, rows, false);
        std::vector<Index> places;
        for (Index v = 0; v < last; ++v) {
            size = whole_lines<T>(size);
            places.push_back(size);
            size += needs_copy(v) ? rows * network.size_of(v) : 0;
        }
        memory_ = Buffer<T>(size);
        for (const Index place : places) values_.push_back(memory_.data() + place);
        sparse_.resize(std::size_t(takes_sparse() ? rows : 0));
        mask_.resize(std::size_t(rows * network.masking().steps));
    }

    // A multiple of the groups of any product; fewer where rows are long, so that they stay in the cache.
    static Index rows_at_a_time(const Network<T>& network, Index last) {
        Index longest = 1;
        for (Index v = 0; v <= last; ++v) longest = std::max(longest, network.size_of(v));
        const Index scratch = std::max<Index>(1, network.scratch(last, 1, false));
        return std::clamp<Index>(std::min(Index(1 << 17) / longest, Index(1 << 20) / scratch) / 12, 1, 8) * 12;
    }

    // As a member of a team; unfinished if the watch calls it off.
    void run(const Design<T>& X, Index begin, Index end, T* out, Watch& watch, int member) {
        for (Index i = begin; i < end && !watch.called_off(member); i += block_)
            some(X, i, std::min(end, i + block_), out + (i - begin) * network_.size_of(last_));
    }

private:
    bool takes_sparse() const { return sparse_input_ && network_.takes_sparse(); }
    bool needs_copy(Index value) const { return value > 0 || (sparse_input_ && !takes_sparse()); }

    void some(const Design<T>& X, Index begin, Index end, T* out) {
        const Rows rows{0, end - begin};
        Pass pass{.rows = rows.count(), .scratch = memory_.data()};
        const T* input = sparse_input_ ? nullptr : X.dense(begin);
        if (takes_sparse()) {
            for (Index i = begin; i < end; ++i) sparse_[std::size_t(i - begin)] = X.sparse_row(i);
        } else if (sparse_input_) {
            for (Index i = begin; i < end; ++i) X.copy(i, values_[0] + (i - begin) * X.cols);
            input = values_[0];
        }
        if (!mask_.empty()) {
            network_.masking().mark(input, rows, mask_.data());
            pass.mask = mask_.data();
        }
        const auto value = [&](Index v) -> const T* { return v == 0 ? input : values_[std::size_t(v)]; };
        for (Index k = 0; k < last_; ++k) {
            T* const y = k + 1 == last_ ? out : values_[std::size_t(k) + 1];
            auto& layer = network_.layer(k);
            if (k == 0 && takes_sparse()) {
                layer.forward(pass, sparse_.data(), y, rows);
            } else if (network_.adder(k)) {
                const T* const earlier = value(network_.earlier(k));
                const T* const x = value(k);
                for (Index i = 0; i < rows.count() * layer.out; ++i) y[i] = x[i] + earlier[i];
            } else {
                layer.forward(pass, value(k), y, rows);
            }
        }
    }

    const Network<T>& network_;
    const bool sparse_input_;
    const Index last_, block_;
    Buffer<T> memory_;  // scratch, then the values
    std::vector<T*> values_;
    std::vector<SparseRow<T>> sparse_;
    std::vector<unsigned char> mask_;
};

}  // namespace fg
