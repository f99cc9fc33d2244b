// Sparse rows. The batch is cut into tiles of rows for margins and slopes, and the features into shares, one a member,
// for everything that writes weights: so no two members meet, and the order of a sum is that of the rows.
//
//   direct    plain SGD without L1: weights are scale * w, decay costs one multiplication, slopes go straight into w
//   waiting   rules whose untouched coordinates can wait (kernel/waiting.hpp): catch up, margins, step, in O(non-zeros)
//   dense     all others: the gradient is gathered in an array and all parameters are swept
#pragma once

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
        slopes_ = Buffer<T>(this->batch_ * this->width_);
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
        cut_features(members);
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

    // Shares of about equal numbers of entries, by a sample of rows.
    void cut_features(int members) {
        if (int(cuts_.size()) == members + 1) return;
        std::vector<I> sample;
        const Index step = std::max<Index>(1, X_.rows / 256);
        for (Index i = 0; i < X_.rows && members > 1; i += step) {
            const auto row = X_.row(i);
            sample.insert(sample.end(), row.index, row.index + row.n);
        }
        std::sort(sample.begin(), sample.end());
        cuts_.assign(std::size_t(members) + 1, X_.cols);
        cuts_[0] = 0;
        for (int m = 1; m < members && !sample.empty(); ++m) {
            const Index cut = Index(sample[sample.size() * std::size_t(m) / std::size_t(members)]) + 1;
            cuts_[std::size_t(m)] = std::clamp(cut, cuts_[std::size_t(m) - 1], X_.cols);
        }
    }

    Index tiles_of(const Batch& batch) const { return (batch.count + tile - 1) / tile; }

    void step(const Batch& batch, int member, int members, Barrier& barrier) override {
        const Share share{cuts_[std::size_t(member)], cuts_[std::size_t(member) + 1]};
        const auto& penalty = this->recipe_.penalty;
        auto& touched = touched_[std::size_t(member)];
        if (mode_now_ == Mode::waiting) {
            list_touched(batch, share, touched);
            this->updater_->catch_up(missed_, penalty, this->flat_, touched.features.data(), touched.from.data(),
                                     Index(touched.features.size()), missed_.steps(), this->width_);
            barrier.wait();
        }

        const double next = mode_now_ == Mode::direct ? scale_ * (1.0 - batch.tick.rate * penalty.l2) : 1.0;
        const T pull = T(mode_now_ == Mode::direct ? -batch.tick.rate / next : 1.0);
        const Index tiles = tiles_of(batch);
        for (Index t = tiles * member / members; t < tiles * (member + 1) / members; ++t) slopes(batch, t, pull);
        if (member == 0) {
            this->measure(batch);
            if (mode_now_ == Mode::waiting) this->updater_->note(missed_, batch.tick, penalty);
        }
        barrier.wait();

        const Index width = this->width_, weights = X_.cols * width;
        T* const target = mode_now_ == Mode::direct ? this->flat_.w : gradient_.data();
        if (mode_now_ == Mode::dense) std::fill(target + share.begin * width, target + share.end * width, T(0));
        with_lanes<T>(width, [&](auto vector) {
            add_gradient<decltype(vector)::value>(X_, batch.rows, batch.count, share, sorted_, slopes_.data(), width,
                                                  target);
        });
        if (member == 0) intercept_gradient(tiles, gradient_.data() + weights);

        Gradient<T> gradient{.g = gradient_.data(), .limit = this->recipe_.clip_value};
        if (mode_now_ == Mode::dense) {
            if (this->clips_norm()) gradient = clipped(gradient, member, members, barrier);
            this->sweep(batch.tick, gradient, share.begin * width, share.end * width);
        } else if (mode_now_ == Mode::direct) {
            const bool small = next < smallest_scale;
            for (Index i = share.begin * width; small && i < share.end * width; ++i) target[i] *= T(next);
            if (member == 0) scale_ = small ? 1.0 : next;
        } else {
            this->updater_->sweep_some(batch.tick, penalty, this->recipe_.clip_value, this->flat_, target,
                                       touched.features.data(), Index(touched.features.size()), width);
            if (this->measures_after(batch) || missed_.full()) catch_up(share);
            if (missed_.full()) {
                barrier.wait();
                if (member == 0) forget(0);
                barrier.wait();
            }
        }
        if (member == 0) this->sweep(batch.tick, gradient, weights, this->size_);
    }

    // Margins and slopes of tile t, and its sums of slopes. The slopes that go into weights carry the factor `pull`.
    void slopes(const Batch& batch, Index t, T pull) {
        const Index begin = t * tile, count = std::min(tile, batch.count - begin), width = this->width_;
        const std::uint32_t* const rows = batch.rows + begin;
        T* const P = slopes_.data() + begin * width;
        const T* const b = this->flat_.w + X_.cols * width;
        std::fill_n(P, count * width, T(0));
        with_lanes<T>(width, [&](auto vector) {
            add_margins<decltype(vector)::value>(X_, rows, count, batch.count - begin, this->flat_.w, width, P);
        });
        const T scale = T(scale_);
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
        return {.g = gradient_.data(), .scale = this->norm_factor(squares_)};
    }

    // The features of the share in this batch. They will be up to date after this step.
    void list_touched(const Batch& batch, const Share& share, Touched& touched) {
        const std::uint32_t after = missed_.steps() + 1;
        touched.features.clear();
        touched.from.clear();
        each_within(X_, batch.rows, batch.count, share, sorted_, [&](Index, Index j, T) {
            if (reached_[std::size_t(j)] == after) return;
            touched.features.push_back(std::uint32_t(j));
            touched.from.push_back(reached_[std::size_t(j)]);
            reached_[std::size_t(j)] = after;
        });
    }

    // Brings all features of the share up to date.
    void catch_up(const Share& share) {
        const std::uint32_t now = missed_.steps();
        this->updater_->catch_up(missed_, this->recipe_.penalty, this->flat_, all_.data() + share.begin,
                                 reached_.data() + share.begin, share.end - share.begin, now, this->width_);
        std::fill(reached_.begin() + share.begin, reached_.begin() + share.end, now);
    }

    // Begins new tables of what is missed; all features must be up to date.
    void forget(std::size_t steps_to_come) {
        missed_.clear(steps_to_come);
        std::fill(reached_.begin(), reached_.end(), 0u);
    }

    void end_epoch() override {
        if (mode_now_ == Mode::direct)
            for (Index i = 0; i < X_.cols * this->width_; ++i) this->flat_.w[i] *= T(scale_);
        if (mode_now_ == Mode::waiting) catch_up(Share{0, X_.cols});
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
    Buffer<T> slopes_, gradient_;
    std::vector<T> sums_;  // of slopes, by tile
    std::vector<double> losses_, squares_;
    std::vector<Index> cuts_;
    double scale_ = 1.0;
    Missed missed_;
    std::vector<std::uint32_t> reached_, all_;  // reached_: after how many of its steps a feature is up to date
    std::vector<Touched> touched_;              // one a member
};

}  // namespace fg
