// Sparse rows. The features are cut into two parts, and each into shares, one a member. Whatever writes weights is done
// by the owner of the feature: so no two members meet, and the order of a sum is that of the rows. Margins are sums of
// the two parts': so two members each read the weights that they wrote themselves, from their own cache.
//
// A block of models goes one of three ways:
//   direct    plain SGD without L1: weights are scale * w, decay costs one multiplication, the step is added to w
//   waiting   rules whose untouched coordinates can wait (kernel/waiting.hpp): catch up, margins, step, in O(non-zeros)
//   dense     all others: the gradient is gathered in an array and all parameters are swept
//
// The contributions of the rows to a feature are added up in double: added one by one to a weight of type float, they
// vanish where they are below half a unit in its last place. So weights that go the direct way are doubles during an
// epoch, and the gradients of the other ways are sums of doubles that meet the rule as one number.
#pragma once

#include <algorithm>
#include <iterator>
#include <map>
#include <numeric>
#include <utility>

#include "train/minibatch.hpp"

namespace fg {

// How many entries the rows to train on have.
template <class T, class I>
double mean_length(const Csr<T, I>& X, const std::vector<std::uint32_t>& listed) {
    if (listed.empty()) return X.mean_length();
    double entries = 0.0;
    for (const auto row : listed) entries += double(X.sample(Index(row)).n);
    return entries / double(listed.size());
}

// Features that a batch touches, each once, and after how many steps each was up to date.
struct Touched {
    std::vector<std::uint32_t> features, from;
};

template <class T, class I>
class SparseMiniBatch final : public MiniBatch<T> {
public:
    // `sorted`: whether the indices of each row ascend.
    SparseMiniBatch(const Csr<T, I>& X, bool sorted, Stream stream, std::vector<Model<T>> models)
        : SparseMiniBatch(X, sorted, mean_length(X, stream.listed), stream, std::move(models)) {}

private:
    enum class Way { direct, waiting, dense };
    static constexpr Index tile = 32;
    static constexpr double smallest_scale = std::is_same_v<T, float> ? 1e-6 : 1e-9;
    static constexpr bool is_wide = std::is_same_v<T, double>;

    SparseMiniBatch(const Csr<T, I>& X, bool sorted, double length, Stream stream, std::vector<Model<T>> models)
        : MiniBatch<T>(TeamSize::Memory::of<SparseMiniBatch>(), X.rows(), X.cols(), length,
                       length * double(sizeof(T) + sizeof(I)), std::move(stream), std::move(models)),
          X_(X),
          sorted_(sorted) {
        parts_ = sorted && length >= 8.0 ? 2 : 1;
        boundary_ = parts_ == 2 ? quantiles(0, X.cols(), 2)[1] : X.cols();
        const auto tiles = std::size_t((this->batch_ + tile - 1) / tile), count = this->models_.size();
        this->losses_.resize(tiles * count);
        scale_.assign(count, 1.0);
        next_.assign(count, 1.0);
        missed_.resize(count);
        std::vector<Way> usual;
        for (const auto& model : this->models_) usual.push_back(usual_way(model));
        form(usual);
        if (std::find(usual.begin(), usual.end(), Way::waiting) != usual.end()) {
            for (Index i = 0; i < X.rows(); ++i) longest_ = std::max(longest_, X.sample(i).n);
            reached_.assign(std::size_t(X.cols()), 0);
            all_.resize(std::size_t(X.cols()));
            std::iota(all_.begin(), all_.end(), 0u);
        }
    }

    // Makes blocks of models that go the same way.
    void form(const std::vector<Way>& ways) {
        if (ways == ways_) return;
        ways_ = ways;
        this->form_blocks([this](Index m) { return int(ways_[std::size_t(m)]); }, {});
        margins_ = Buffer<T>(parts_ * this->batch_ * this->columns_);
        gradient_ = Buffer<T>((X_.cols() + 1) * this->columns_);
        if (!is_wide) {
            wide_ = Buffer<double>((X_.cols() + 1) * this->columns_);
            std::fill_n(wide_.data(), (X_.cols() + 1) * this->columns_, 0.0);
        }
        sums_.resize(this->losses_.size() / this->models_.size() * std::size_t(this->columns_));
        factor_.resize(std::size_t(this->columns_));
        pull_.resize(std::size_t(this->columns_));
    }
    Way way_of(const Block<T>& block) const { return ways_[std::size_t(block.models[0])]; }

    void begin_epoch(int most_members) override {
        std::vector<Way> ways;
        for (const auto& model : this->models_) ways.push_back(must_sweep(model) ? Way::dense : usual_way(model));
        form(ways);
        split_rows(most_members);
        touched_.resize(std::max(touched_.size(), std::size_t(most_members)));
        std::fill(scale_.begin(), scale_.end(), 1.0);
        std::fill(factor_.begin(), factor_.end(), T(1));
        std::fill(pull_.begin(), pull_.end(), T(1));
        waiting_ = false;
        for (const auto& block : this->blocks_) {
            this->pack(block);
            if (!is_wide && way_of(block) == Way::direct)
                std::copy_n(block.W, X_.cols() * block.width, direct_of(block));
            if (way_of(block) != Way::waiting) continue;
            std::fill_n(gradient_of(block), (X_.cols() + 1) * block.width, T(0));
            clock_ = std::size_t(block.models[0]);
            waiting_ = true;
        }
        forget(std::size_t(this->batches()));
        if (waiting_) {  // so that no member needs memory within a step
            const auto most = std::size_t(std::min(X_.cols(), this->batch_ * longest_));
            for (auto& touched : touched_) {
                touched.features.reserve(most);
                touched.from.reserve(most);
            }
        }
    }

    void divide(int members) override {
        own_features(members);
        own_tasks(members);
    }

    // To wait has its price, about ten times that of a sweep for each feature touched; a sweep pays for every feature.
    Way usual_way(const Model<T>& model) const {
        const auto& recipe = model.recipe;
        const auto& penalty = recipe.penalty;
        const bool bare =
            !model.flat.average && recipe.clip_norm == no_limit && penalty.coupled == 0.0 && penalty.decay == 0.0;
        if (!bare || !model.updater->can_wait()) return Way::dense;
        if (model.updater->plain() && penalty.l1 == 0.0 && !penalty.positive && recipe.clip_value == no_limit)
            return Way::direct;
        return 10.0 * this->length_ * double(this->batch_) < double(X_.cols()) ? Way::waiting : Way::dense;
    }

    // Epochs that cannot wait: a decay by more than everything; and for FTRL rates that change within the epoch, and
    // the first step from weights that are not zero.
    bool must_sweep(const Model<T>& model) const {
        const double* const rates = model.rates;
        const double* const end = rates + this->batches();
        const double l2 = model.recipe.penalty.l2;
        if (model.updater->plain()) return std::any_of(rates, end, [=](double rate) { return rate * l2 >= 1.0; });
        if (!model.updater->needs_equal_rates()) return false;
        const T* const w = model.flat.w;
        return std::any_of(rates, end, [=](double rate) { return rate != rates[0]; }) ||
               (model.first_step == 1 && std::any_of(w, w + X_.cols() * this->width_, [](T v) { return v != T(0); }));
    }

    // Features that cut the entries between two features into so many about equal numbers, by a sample of the rows to
    // train on; with the two.
    std::vector<Index> quantiles(Index begin, Index end, Index pieces) const {
        std::vector<I> sample;
        const auto& listed = this->stream_.listed;
        const Index step = std::max<Index>(1, this->n_ / 256);
        for (Index i = 0; i < this->n_ && pieces > 1; i += step) {
            const auto row = X_.sample(listed.empty() ? i : Index(listed[std::size_t(i)]));
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
    void split_rows(int most_members) {
        if (parts_ == 1 || !split_.empty()) return;
        split_.resize(std::size_t(X_.rows()));
        static TeamSize::Memory sizes;
        Team::call(sizes, most_members, 5e-8 * double(X_.rows()), [&](int member, int members) {
            for (Index i = X_.rows() * member / members; i < X_.rows() * (member + 1) / members; ++i)
                split_[std::size_t(i)] = std::uint32_t(below(X_.sample(i), boundary_));
        });
    }

    // Members own shares of the parts in turn: the first of part 0, the second of part 1, the third of part 0, ... A
    // single member owns all, and begins with the part that it read last.
    void own_features(int members) {
        auto& shares = cuts_[members];
        shares_ = shares.data();
        if (!shares.empty()) return;
        shares.resize(std::size_t(members));
        shares_ = shares.data();
        for (Index part = parts_ - 1; part >= 0; --part) {
            const Index begin = part == 0 ? 0 : boundary_, end = part + 1 == parts_ ? X_.cols() : boundary_;
            const Index owners = members == 1 ? 1 : (members - part + parts_ - 1) / parts_;
            const auto cuts = quantiles(begin, end, owners);
            for (Index q = 0; q < owners; ++q)
                shares[std::size_t((part + q * parts_) % members)].push_back(
                    {part, cuts[std::size_t(q)], cuts[std::size_t(q) + 1], owners == 1});
        }
    }

    // The sweeps of blocks that go the dense way: every member its own features, and the first the intercepts.
    void own_tasks(int members) {
        tasks_.assign(std::size_t(members), {});
        intercepts_.clear();
        for (std::size_t b = 0; b < this->blocks_.size(); ++b) {
            const bool dense = way_of(this->blocks_[b]) == Way::dense;
            for (std::size_t member = 0; member < std::size_t(members) && dense; ++member)
                for (const Share& share : shares_[member]) this->add_tasks(b, share.begin, share.end, tasks_[member]);
            this->add_tasks(b, X_.cols(), X_.cols() + 1, dense ? tasks_[0] : intercepts_);
        }
    }

    PartOf<T, I> part(Index k) const { return {X_, split_.empty() ? nullptr : split_.data(), k}; }

    Index pieces(const Batch& batch) const override { return (batch.count + tile - 1) / tile; }

    T* gradient_of(const Block<T>& block) const { return gradient_.data() + (X_.cols() + 1) * block.before; }
    T* margins_of(const Block<T>& block) const { return margins_.data() + parts_ * this->batch_ * block.before; }

    void step(const Batch& batch, int member, int members, Barrier& barrier) override {
        const auto& shares = shares_[member];
        auto& touched = touched_[std::size_t(member)];
        if (waiting_) {
            touched.features.clear();
            touched.from.clear();
            for (const Share& share : shares) list_touched(batch, share, touched);
            each_waiting([&](const Block<T>& block) {
                catch_up(block, touched.features.data(), touched.from.data(), Index(touched.features.size()));
                enter(block, touched);
            });
            barrier.wait();
        }

        for (const auto& block : this->blocks_)
            for (Index k = 0; k < parts_; ++k) part_margins(batch, block, k, member, members);
        if (member == 0) look_ahead(batch);
        barrier.wait();

        const Index tiles = pieces(batch);
        for (const auto& block : this->blocks_)
            for (Index t = tiles * member / members; t < tiles * (member + 1) / members; ++t)
                if (t % 64 != 0 || !called_off(member)) slopes(batch, block, t);
        barrier.wait();
        if (this->watch_->off()) return;

        for (const auto& block : this->blocks_) {
            double* const sums = sums_of(block);
            for (const Share& share : shares) {
                if (is_wide && way_of(block) == Way::dense)
                    std::fill(sums + share.begin * block.width, sums + share.end * block.width, 0.0);
                with_lanes<T>(block.width, [&](auto vector) {
                    add_gradient<decltype(vector)::value>(part(share.part), batch.rows, batch.count, share, sorted_,
                                                          margins_of(block), block.width, sums);
                });
                if (!is_wide && way_of(block) == Way::dense) hand_over(block, share);
            }
            if (!is_wide && way_of(block) == Way::waiting) hand_over(block, touched);
            if (member == 0) intercept_gradient(tiles, block);
        }
        const auto of = [this](const Block<T>& block) { return Gradient<T>{.g = gradient_of(block)}; };
        this->settle(batch, tasks_[std::size_t(member)], member, members, barrier, of);
        for (const auto& block : this->blocks_)
            if (way_of(block) == Way::direct) rescale(block, shares, member);
        if (waiting_) {
            each_waiting([&](const Block<T>& block) { sweep_touched(batch, block, touched); });
            bool full = false;
            for (const auto& missed : missed_) full |= missed.full();
            if (this->measures_after(batch) || full)
                for (const Share& share : shares) catch_up_all(share.begin, share.end);
            if (full) {
                barrier.wait();
                if (member == 0) forget(0);
                barrier.wait();
            }
        }
        if (member == 0) this->settle(batch, intercepts_, 0, of, false);
    }

    // Models that wait have noted the step when its margins are made: it cannot be called off any more.
    bool called_off(int member) { return !waiting_ && this->watch_->called_off(member); }

    // Weights that go the direct way, without intercepts; and where the contributions of the rows are added up. Wide
    // sums are zero between steps.
    double* direct_of(const Block<T>& block) const {
        if constexpr (is_wide) {
            return block.W;
        } else {
            return wide_.data() + (X_.cols() + 1) * block.before;
        }
    }
    double* sums_of(const Block<T>& block) const {
        if constexpr (is_wide) {
            return way_of(block) == Way::direct ? block.W : gradient_of(block);
        } else {
            return wide_.data() + (X_.cols() + 1) * block.before;
        }
    }
    // Wide sums become the gradient of a share, or of the features that are touched.
    void hand_over(const Block<T>& block, const Share& share) {
        double* const sums = sums_of(block);
        T* const g = gradient_of(block);
        for (Index i = share.begin * block.width; i < share.end * block.width; ++i)
            g[i] = T(std::exchange(sums[i], 0.0));
    }
    void hand_over(const Block<T>& block, const Touched& touched) {
        double* const sums = sums_of(block);
        T* const g = gradient_of(block);
        for (const auto j : touched.features)
            for (Index i = Index(j) * block.width; i < (Index(j) + 1) * block.width; ++i)
                g[i] = T(std::exchange(sums[i], 0.0));
    }

    template <class F>
    void each_waiting(const F& f) {
        for (const auto& block : this->blocks_)
            if (way_of(block) == Way::waiting) f(block);
    }

    // What member 0 sees to while the others have yet to see the slopes: the penalty, and scales after the step.
    void look_ahead(const Batch& batch) {
        this->measure(batch, [this](const Model<T>& model) { return norms_of(model); });
        for (const auto& block : this->blocks_) {
            const Way way = way_of(block);
            for (Index m = 0; m < Index(block.models.size()); ++m) {
                const auto& model = this->model_of(block, m);
                const auto number = std::size_t(block.models[std::size_t(m)]);
                const Tick tick = model.tick(batch);
                if (way == Way::waiting) model.updater->note(missed_[number], tick, model.recipe.penalty);
                if (way != Way::direct) continue;
                next_[number] = scale_[number] * (1.0 - tick.rate * model.recipe.penalty.l2);
                const Index first = block.before + m * block.step;
                for (Index c = first; c < first + block.step; ++c) {
                    factor_[std::size_t(c)] = T(scale_[number]);
                    pull_[std::size_t(c)] = T(-tick.rate / next_[number]);
                }
            }
        }
    }

    std::pair<double, double> norms_of(const Model<T>& model) const {
        const auto number = std::size_t(&model - this->models_.data());
        for (const auto& block : this->blocks_) {
            if (way_of(block) != Way::direct || (is_wide && block.alone())) continue;
            const auto found = std::find(block.models.begin(), block.models.end(), Index(number));
            if (found == block.models.end()) continue;
            const double* const w = direct_of(block) + (found - block.models.begin()) * block.step;
            double squares = 0.0, sizes = 0.0;
            for (Index j = 0; j < X_.cols(); ++j) {
                for (Index k = 0; k < block.step; ++k) {
                    squares += w[j * block.width + k] * w[j * block.width + k];
                    sizes += std::fabs(w[j * block.width + k]);
                }
            }
            return {squares * scale_[number] * scale_[number], sizes * scale_[number]};
        }
        return this->norms(model, scale_[number]);
    }

    // Margins of the entries within a part, of the rows that fall to the member: those who own features of the part
    // share them.
    void part_margins(const Batch& batch, const Block<T>& block, Index k, Index member, Index members) {
        if (members > 1 && member % parts_ != k) return;
        const Index sharers = members == 1 ? 1 : (members - k + parts_ - 1) / parts_, place = member / parts_;
        const Index begin = batch.count * place / sharers, end = batch.count * (place + 1) / sharers;
        constexpr Index at_once = 4096;  // rows between two looks at the watch
        for (Index i = begin; i < end && !called_off(int(member)); i += at_once) {
            T* const P = margins_of(block) + (k * this->batch_ + i) * block.width;
            const Index some = std::min(at_once, end - i), known = batch.count - i + this->rows_after(batch);
            with_lanes<T>(block.width, [&](auto vector) {
                constexpr int N = decltype(vector)::value;
                if (way_of(block) == Way::direct) {
                    margins<N>(part(k), batch.rows + i, some, known, direct_of(block), block.width, P);
                } else {
                    margins<N>(part(k), batch.rows + i, some, known, block.W, block.width, P);
                }
            });
        }
    }

    // Slopes of tile t, and their sums. The slopes that go into weights carry the factor `pull`.
    void slopes(const Batch& batch, const Block<T>& block, Index t) {
        const Index begin = t * tile, count = std::min(tile, batch.count - begin), width = block.width;
        const std::uint32_t* const rows = batch.rows + begin;
        T* FG_RESTRICT const P = margins_of(block) + begin * width;
        const T* FG_RESTRICT const Q = P + this->batch_ * width;
        const T* FG_RESTRICT const b = block.W + X_.cols() * width;
        const T* FG_RESTRICT const factor = factor_.data() + block.before;
        const T* FG_RESTRICT const pull = pull_.data() + block.before;
        if (parts_ == 2)
            for (Index i = 0; i < count * width; ++i) P[i] += Q[i];
        const auto scaled = [&](Index columns) FG_INLINED {
            for (Index i = 0; i < count; ++i)
                for (Index k = 0; k < columns; ++k)
                    P[i * columns + k] = multiply_add(factor[k], P[i * columns + k], b[k]);
        };
        const auto pulled = [&](Index columns) FG_INLINED {
            for (Index i = 0; i < count; ++i)
                for (Index k = 0; k < columns; ++k) P[i * columns + k] *= pull[k];
        };
        width == 1 ? scaled(1) : scaled(width);
        double loss[most_columns]{};
        block.loss->slopes(rows, count, 1.0 / double(batch.count), P, loss);
        for (std::size_t m = 0; m < block.models.size(); ++m) this->loss_at(t, block.models[m]) = loss[m];
        T* const sums = sums_.data() + t * this->columns_ + block.before;
        std::fill_n(sums, width, T(0));
        add_rows(P, count, width, sums);
        width == 1 ? pulled(1) : pulled(width);
    }

    void intercept_gradient(Index tiles, const Block<T>& block) const {
        T* const g = gradient_of(block) + X_.cols() * block.width;
        for (Index k = 0; k < block.width; ++k) {
            double sum = 0.0;
            for (Index t = 0; t < tiles; ++t) sum += double(sums_[std::size_t(t * this->columns_ + block.before + k)]);
            g[k] = T(sum);
        }
        const Index its = block.step;
        for (Index m = 0; m < Index(block.models.size()); ++m)
            for (Index k = 0; k < its; ++k) g[m * its + k] *= T(this->model_of(block, m).recipe.intercept_decay);
    }

    // Where a scale is about to vanish it enters the weights.
    void rescale(const Block<T>& block, const std::vector<Share>& shares, int member) {
        const Index its = block.step;
        for (Index m = 0; m < Index(block.models.size()); ++m) {
            const auto number = std::size_t(block.models[std::size_t(m)]);
            const bool small = next_[number] < smallest_scale;
            for (const Share& share : shares)
                for (Index j = share.begin; small && j < share.end; ++j)
                    for (Index k = 0; k < its; ++k) direct_of(block)[j * block.width + m * its + k] *= next_[number];
            if (member == 0) scale_[number] = small ? 1.0 : next_[number];
        }
    }

    // Adds the features of the share in this batch. They will be up to date after this step.
    void list_touched(const Batch& batch, const Share& share, Touched& touched) {
        const std::uint32_t after = missed_[clock_].steps() + 1;
        const auto add = [&](Index j, T) {
            if (reached_[std::size_t(j)] == after) return;
            touched.features.push_back(std::uint32_t(j));
            touched.from.push_back(reached_[std::size_t(j)]);
            reached_[std::size_t(j)] = after;
        };
        each_within(part(share.part), batch.rows, batch.count, share, sorted_, [&](Index) { return add; });
    }

    // Brings features up to date: feature features[k] was after from[k] steps.
    void catch_up(const Block<T>& block, const std::uint32_t* features, const std::uint32_t* from, Index count) {
        for (Index m = 0; m < Index(block.models.size()); ++m) {
            const auto& model = this->model_of(block, m);
            const auto& missed = missed_[std::size_t(block.models[std::size_t(m)])];
            model.updater->catch_up(missed, model.recipe.penalty, model.flat, features, from, count, missed.steps(),
                                    this->width_);
        }
    }
    void catch_up_all(Index begin, Index end) {
        each_waiting(
            [&](const Block<T>& block) { catch_up(block, all_.data() + begin, reached_.data() + begin, end - begin); });
        std::fill(reached_.begin() + begin, reached_.begin() + end, missed_[clock_].steps());
    }

    // Weights of the features that are touched enter a block of several; their gradients leave it.
    void enter(const Block<T>& block, const Touched& touched) const {
        if (block.alone()) return;
        for (const auto j : touched.features) this->pack(block, 0, Index(block.models.size()), Index(j), Index(j) + 1);
    }
    void sweep_touched(const Batch& batch, const Block<T>& block, const Touched& touched) {
        const Index count = Index(touched.features.size());
        T* const G = gradient_of(block);
        for (Index m = 0; m < Index(block.models.size()); ++m) {
            const auto& model = this->model_of(block, m);
            T* g = G;
            if (!block.alone()) {
                g = MiniBatch<T>::gradient_of(block.models[std::size_t(m)]);
                for (const auto j : touched.features)
                    std::copy_n(G + Index(j) * block.width + m * block.step, block.step, g + Index(j) * this->width_);
            }
            model.updater->sweep_some(model.tick(batch), model.recipe.penalty, model.recipe.clip_value, model.flat, g,
                                      touched.features.data(), count, this->width_);
        }
        if (block.alone()) return;
        for (const auto j : touched.features) std::fill_n(G + Index(j) * block.width, block.width, T(0));
    }

    // Begins new tables of what is missed; all features must be up to date.
    void forget(std::size_t steps_to_come) {
        for (auto& missed : missed_) missed.clear(steps_to_come);
        std::fill(reached_.begin(), reached_.end(), 0u);
    }

    void end_epoch() override {
        for (const auto& block : this->blocks_) {
            for (Index m = 0; m < Index(block.models.size()) && way_of(block) == Way::direct; ++m) {
                const double scale = scale_[std::size_t(block.models[std::size_t(m)])];
                const Index its = block.step;
                T* const w = this->model_of(block, m).flat.w;
                for (Index j = 0; j < X_.cols(); ++j)
                    for (Index k = 0; k < its; ++k)
                        w[j * this->width_ + k] = T(scale * direct_of(block)[j * block.width + m * its + k]);
            }
        }
        if (waiting_) catch_up_all(0, X_.cols());
        std::fill(scale_.begin(), scale_.end(), 1.0);
    }

    const Csr<T, I> X_;
    const bool sorted_;
    std::vector<Way> ways_;             // of the models
    Index parts_ = 1, boundary_ = 0;    // the features of the second part begin at the boundary
    std::vector<std::uint32_t> split_;  // (rows,): how many entries lie in the first part; empty if there is no second
    std::map<int, std::vector<std::vector<Share>>> cuts_;  // by number of members: the shares of each
    const std::vector<Share>* shares_ = nullptr;           // by member
    std::vector<std::vector<Task>> tasks_;                 // by member
    std::vector<Task> intercepts_;                         // of the blocks that do not go the dense way
    Buffer<T> margins_;                 // (blocks, parts, batch, width); then slopes, in the first part
    Buffer<T> gradient_;                // (blocks, features + 1, width)
    Buffer<double> wide_;               // the same, where weights are of type float
    std::vector<T> sums_;               // of slopes: (tiles, columns)
    std::vector<double> scale_, next_;  // of the models, before and after the step
    std::vector<T> factor_, pull_;      // of the columns: scale, and the factor of slopes
    std::vector<Missed> missed_;        // by model
    std::size_t clock_ = 0;             // a model that waits, if any does: it counts the steps
    bool waiting_ = false;
    Index longest_ = 0;                         // entries of a row, where models wait
    std::vector<std::uint32_t> reached_, all_;  // reached_: after how many steps a feature is up to date
    std::vector<Touched> touched_;              // one a member
};

}  // namespace fg
