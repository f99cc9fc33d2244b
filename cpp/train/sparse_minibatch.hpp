// Sparse rows. The features are cut into two parts, and each into shares, one a member. Whatever writes weights is done
// by the owner of the feature: so no two members meet, and the order of a sum is that of the rows. Margins are sums of
// the two parts': so two members each read the weights that they wrote themselves, from their own cache.
//
//   direct    plain SGD without L1: weights are scale * w, decay costs one multiplication, slopes go straight into w
//   waiting   rules whose untouched coordinates can wait (kernel/waiting.hpp): catch up, margins, step, in O(non-zeros)
//   dense     all others: the gradient is gathered in an array and all parameters are swept
#pragma once

#include <algorithm>
#include <iterator>
#include <numeric>

#include "train/minibatch.hpp"

namespace fg {

// Features that a batch touches, each once, and after how many steps each was up to date.
struct Touched {
    std::vector<std::uint32_t> features, from;
};

template <class T, class I>
class SparseMiniBatch final : public MiniBatch<T> {
public:
    // `sorted`: whether the indices of each row ascend.
    SparseMiniBatch(const Csr<T, I>& X, bool sorted, std::vector<std::uint32_t> rows, Goals<T> goals,
                    const Recipe& recipe, const Flat<T>& flat)
        : MiniBatch<T>(X.rows, X.cols, X.mean_length(), X.mean_length() * double(sizeof(T) + sizeof(I)),
                       std::move(rows), std::move(goals), recipe, flat),
          X_(X),
          sorted_(sorted) {
        mode_ = usual_mode();
        parts_ = sorted && X.mean_length() >= 8.0 ? 2 : 1;
        boundary_ = parts_ == 2 ? quantiles(0, X.cols, 2)[1] : X.cols;
        margins_ = Buffer<T>(parts_ * this->batch_ * this->width_);
        gradient_ = Buffer<T>(this->size_);
        const auto tiles = std::size_t((this->batch_ + tile - 1) / tile);
        losses_.resize(tiles);
        sums_.resize(tiles * std::size_t(this->width_));
        if (mode_ == Mode::waiting) {
            reached_.assign(std::size_t(X.cols), 0);
            all_.resize(std::size_t(X.cols));
            std::iota(all_.begin(), all_.end(), 0u);
        }
        if (this->clips_norm()) squares_.resize(std::size_t((this->size_ + this->norm_block - 1) / this->norm_block));
    }

private:
    enum class Mode { direct, waiting, dense };
    static constexpr Index tile = 32;
    static constexpr double smallest_scale = std::is_same_v<T, float> ? 1e-6 : 1e-9;

    void begin_epoch(int members) override {
        split_rows(members);
        own_features(members);
        touched_.resize(std::max(touched_.size(), std::size_t(members)));
        scale_ = 1.0;
        mode_now_ = must_sweep() ? Mode::dense : mode_;
        forget(std::size_t(this->batches()));
        if (mode_now_ == Mode::waiting) std::fill_n(gradient_.data(), this->size_, T(0));
    }

    // To wait has its price, about ten times that of a sweep for each feature touched; a sweep pays for every feature.
    Mode usual_mode() const {
        const auto& penalty = this->recipe_.penalty;
        const bool bare = !this->flat_.average && !this->clips_norm() && penalty.coupled == 0.0 && penalty.decay == 0.0;
        if (!bare || !this->updater_->can_wait()) return Mode::dense;
        if (this->updater_->plain() && penalty.l1 == 0.0 && !penalty.positive && this->recipe_.clip_value == no_limit)
            return Mode::direct;
        return 10.0 * this->length_ * double(this->batch_) < double(X_.cols) ? Mode::waiting : Mode::dense;
    }

    // Epochs that cannot wait: a decay by more than everything; and for FTRL rates that change within the epoch, and
    // the first step from weights that are not zero.
    bool must_sweep() const {
        const double* const rates = this->rates_;
        const double* const end = rates + this->batches();
        const double l2 = this->recipe_.penalty.l2;
        if (this->updater_->plain()) return std::any_of(rates, end, [=](double rate) { return rate * l2 >= 1.0; });
        if (!this->updater_->needs_equal_rates()) return false;
        const T* const w = this->flat_.w;
        return std::any_of(rates, end, [=](double rate) { return rate != rates[0]; }) ||
               (this->first_step() == 1 && std::any_of(w, w + X_.cols * this->width_, [](T v) { return v != T(0); }));
    }

    // Features that cut the entries between two features into so many about equal numbers, by a sample of rows; with
    // the two.
    std::vector<Index> quantiles(Index begin, Index end, Index pieces) const {
        std::vector<I> sample;
        const Index step = std::max<Index>(1, X_.rows / 256);
        for (Index i = 0; i < X_.rows && pieces > 1; i += step) {
            const auto row = X_.row(i);
            std::copy_if(row.index, row.index + row.n, std::back_inserter(sample),
                         [=](I j) { return Index(j) >= begin && Index(j) < end; });
        }
        std::sort(sample.begin(), sample.end());
        std::vector<Index> cuts(std::size_t(pieces) + 1, end);
        cuts[0] = begin;
        for (std::size_t m = 1; m < std::size_t(pieces) && !sample.empty(); ++m)
            cuts[m] = std::clamp(Index(sample[sample.size() * m / std::size_t(pieces)]) + 1, cuts[m - 1], end);
        return cuts;
    }

    // Where each row passes from the first part to the second, once for all epochs.
    void split_rows(int members) {
        if (parts_ == 1 || !split_.empty()) return;
        split_.resize(std::size_t(X_.rows));
        Team::together(members, [&](int member) {
            for (Index i = X_.rows * member / members; i < X_.rows * (member + 1) / members; ++i)
                split_[std::size_t(i)] = std::uint32_t(below(X_.row(i), boundary_));
        });
    }

    // Members own shares of the parts in turn: the first of part 0, the second of part 1, the third of part 0, ... A
    // single member owns all, and begins with the part that it read last.
    void own_features(int members) {
        if (Index(shares_.size()) == members) return;
        shares_.assign(std::size_t(members), {});
        for (Index part = parts_ - 1; part >= 0; --part) {
            const Index begin = part == 0 ? 0 : boundary_, end = part + 1 == parts_ ? X_.cols : boundary_;
            const Index owners = members == 1 ? 1 : (members - part + parts_ - 1) / parts_;
            const auto cuts = quantiles(begin, end, owners);
            for (Index q = 0; q < owners; ++q)
                shares_[std::size_t((part + q * parts_) % members)].push_back(
                    {part, cuts[std::size_t(q)], cuts[std::size_t(q) + 1], owners == 1});
        }
    }

    PartOf<T, I> part(Index k) const { return {X_, split_.empty() ? nullptr : split_.data(), k}; }

    Index tiles_of(const Batch& batch) const { return (batch.count + tile - 1) / tile; }

    void step(const Batch& batch, int member, int members, Barrier& barrier) override {
        const auto& shares = shares_[std::size_t(member)];
        const auto& penalty = this->recipe_.penalty;
        auto& touched = touched_[std::size_t(member)];
        if (mode_now_ == Mode::waiting) {
            touched.features.clear();
            touched.from.clear();
            for (const Share& share : shares) list_touched(batch, share, touched);
            this->updater_->catch_up(missed_, penalty, this->flat_, touched.features.data(), touched.from.data(),
                                     Index(touched.features.size()), missed_.steps(), this->width_);
            barrier.wait();
        }

        for (Index k = 0; k < parts_; ++k) part_margins(batch, k, member, members);
        if (member == 0) {
            this->measure(batch);
            if (mode_now_ == Mode::waiting) this->updater_->note(missed_, batch.tick, penalty);
        }
        barrier.wait();

        const double next = mode_now_ == Mode::direct ? scale_ * (1.0 - batch.tick.rate * penalty.l2) : 1.0;
        const T pull = T(mode_now_ == Mode::direct ? -batch.tick.rate / next : 1.0);
        const Index tiles = tiles_of(batch);
        for (Index t = tiles * member / members; t < tiles * (member + 1) / members; ++t) slopes(batch, t, pull);
        barrier.wait();

        const Index width = this->width_, weights = X_.cols * width;
        T* const target = mode_now_ == Mode::direct ? this->flat_.w : gradient_.data();
        for (const Share& share : shares) {
            if (mode_now_ == Mode::dense) std::fill(target + share.begin * width, target + share.end * width, T(0));
            with_lanes<T>(width, [&](auto vector) {
                add_gradient<decltype(vector)::value>(part(share.part), batch.rows, batch.count, share, sorted_,
                                                      margins_.data(), width, target);
            });
        }
        if (member == 0) intercept_gradient(tiles, gradient_.data() + weights);

        Gradient<T> gradient{.g = gradient_.data(), .limit = this->recipe_.clip_value};
        if (mode_now_ == Mode::dense) {
            if (this->clips_norm()) gradient = clipped(gradient, member, members, barrier);
            for (const Share& share : shares) this->sweep(batch.tick, gradient, share.begin * width, share.end * width);
        } else if (mode_now_ == Mode::direct) {
            const bool small = next < smallest_scale;
            for (const Share& share : shares)
                for (Index i = share.begin * width; small && i < share.end * width; ++i) target[i] *= T(next);
            if (member == 0) scale_ = small ? 1.0 : next;
        } else {
            this->updater_->sweep_some(batch.tick, penalty, this->recipe_.clip_value, this->flat_, target,
                                       touched.features.data(), Index(touched.features.size()), width);
            if (this->measures_after(batch) || missed_.full())
                for (const Share& share : shares) catch_up(share.begin, share.end);
            if (missed_.full()) {
                barrier.wait();
                if (member == 0) forget(0);
                barrier.wait();
            }
        }
        if (member == 0) this->sweep(batch.tick, gradient, weights, this->size_);
    }

    // Margins of the entries within a part, of the rows that fall to the member: those who own features of the part
    // share them.
    void part_margins(const Batch& batch, Index k, Index member, Index members) {
        if (members > 1 && member % parts_ != k) return;
        const Index sharers = members == 1 ? 1 : (members - k + parts_ - 1) / parts_, place = member / parts_;
        const Index begin = batch.count * place / sharers, end = batch.count * (place + 1) / sharers;
        const Index width = this->width_;
        T* const P = margins_.data() + (k * this->batch_ + begin) * width;
        with_lanes<T>(width, [&](auto vector) {
            margins<decltype(vector)::value>(part(k), batch.rows + begin, end - begin,
                                             batch.count - begin + this->rows_after(batch), this->flat_.w, width, P);
        });
    }

    // Slopes of tile t, and their sums. The slopes that go into weights carry the factor `pull`.
    void slopes(const Batch& batch, Index t, T pull) {
        const Index begin = t * tile, count = std::min(tile, batch.count - begin), width = this->width_;
        const std::uint32_t* const rows = batch.rows + begin;
        T* FG_RESTRICT const P = margins_.data() + begin * width;
        const T* FG_RESTRICT const Q = P + this->batch_ * width;
        const T* FG_RESTRICT const b = this->flat_.w + X_.cols * width;
        const T scale = T(scale_);
        if (parts_ == 2)
            for (Index i = 0; i < count * width; ++i) P[i] += Q[i];
        for (Index i = 0; i < count; ++i)
            for (Index k = 0; k < width; ++k) P[i * width + k] = scale * P[i * width + k] + b[k];
        losses_[std::size_t(t)] = this->loss_->slopes(this->goals_, rows, count, 1.0 / double(batch.count), P);
        T* const sums = sums_.data() + t * width;
        std::fill_n(sums, width, T(0));
        add_rows(P, count, width, sums);
        for (Index i = 0; i < count * width; ++i) P[i] *= pull;
    }

    void intercept_gradient(Index tiles, T* g) const {
        std::fill_n(g, this->width_, T(0));
        add_rows(sums_.data(), tiles, this->width_, g);
        for (Index k = 0; k < this->width_; ++k) g[k] *= T(this->recipe_.intercept_decay);
    }

    // The gradient cut at clip_value, with the factor that cuts its norm.
    Gradient<T> clipped(const Gradient<T>& gradient, int member, int members, Barrier& barrier) {
        barrier.wait();
        const auto [first, last] = this->share(Index(squares_.size()), member, members, 1);
        for (Index k = first; k < last; ++k) {
            const Index begin = k * this->norm_block;
            gradient.collect(begin, std::min(this->norm_block, this->size_ - begin), gradient_.data() + begin);
            squares_[std::size_t(k)] = this->block_square(gradient_.data(), k);
        }
        barrier.wait();
        return {.g = gradient_.data(), .scale = norm_factor(squares_, this->recipe_.clip_norm)};
    }

    // Adds the features of the share in this batch. They will be up to date after this step.
    void list_touched(const Batch& batch, const Share& share, Touched& touched) {
        const std::uint32_t after = missed_.steps() + 1;
        const auto add = [&](Index j, T) {
            if (reached_[std::size_t(j)] == after) return;
            touched.features.push_back(std::uint32_t(j));
            touched.from.push_back(reached_[std::size_t(j)]);
            reached_[std::size_t(j)] = after;
        };
        each_within(part(share.part), batch.rows, batch.count, share, sorted_, [&](Index) { return add; });
    }

    // Brings features begin, ..., end - 1 up to date.
    void catch_up(Index begin, Index end) {
        const std::uint32_t now = missed_.steps();
        this->updater_->catch_up(missed_, this->recipe_.penalty, this->flat_, all_.data() + begin,
                                 reached_.data() + begin, end - begin, now, this->width_);
        std::fill(reached_.begin() + begin, reached_.begin() + end, now);
    }

    // Begins new tables of what is missed; all features must be up to date.
    void forget(std::size_t steps_to_come) {
        missed_.clear(steps_to_come);
        std::fill(reached_.begin(), reached_.end(), 0u);
    }

    void end_epoch() override {
        if (mode_now_ == Mode::direct)
            for (Index i = 0; i < X_.cols * this->width_; ++i) this->flat_.w[i] *= T(scale_);
        if (mode_now_ == Mode::waiting) catch_up(0, X_.cols);
        scale_ = 1.0;
    }

    double loss_of(const Batch& batch) const override {
        double sum = 0.0;
        for (Index t = 0; t < tiles_of(batch); ++t) sum += losses_[std::size_t(t)];
        return sum;
    }
    double weight_scale() const override { return scale_; }

    const Csr<T, I> X_;
    const bool sorted_;
    Mode mode_ = Mode::dense, mode_now_ = Mode::dense;
    Index parts_ = 1, boundary_ = 0;    // the features of the second part begin at the boundary
    std::vector<std::uint32_t> split_;  // (rows,): how many entries lie in the first part; empty if there is no second
    std::vector<std::vector<Share>> shares_;  // by member
    Buffer<T> margins_;                       // (parts, batch, width); then slopes, in the first part
    Buffer<T> gradient_;
    std::vector<T> sums_;  // of slopes, by tile
    std::vector<double> losses_, squares_;
    double scale_ = 1.0;
    Missed missed_;
    std::vector<std::uint32_t> reached_, all_;  // reached_: after how many of its steps a feature is up to date
    std::vector<Touched> touched_;              // one a member
};

}  // namespace fg
