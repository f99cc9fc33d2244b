// Training of a network in mini-batches.
//
// A step goes through phases, with a barrier after each; every member of the team does its share of a phase:
//   1  rows: forward, loss, backward (with meetings where layers need sums over the batch)
//   2  tiles of parameters: gradient over all rows of the batch, penalty, update rule, packing for the next step. The
//      gradient of a tile never leaves the cache. (To clip the norm, gradients are a phase of their own; so they are in
//      steps that take long, which may be called off until weights begin to move.)
// Where a batch has many rows and the network few parameters, the values of the rows are more than the parameters, and
// should stay with the member that has them: then gradients of such layers are made in phase 1, a part for each block
// of rows, and summed in phase 2 in the order of the blocks. Where rows are long (images), layers do not take all rows
// of the member at once, but a block after the other goes through as many layers as it can, while it is in the cache.
// What belongs to a row or to a parameter does not depend on who does it, and sums over rows are made granule by
// granule; so results are the same bits for any number of threads.
#pragma once

#include <bit>
#include <cmath>
#include <functional>
#include <memory>
#include <numeric>
#include <vector>

#include "core/denormals.hpp"
#include "kernel/long_sum.hpp"
#include "kernel/random.hpp"
#include "train/minibatch.hpp"
#include "train/network.hpp"

namespace fg {

struct NetworkRecipe {
    PartSpec loss, rule;
    bool multinomial = false;
    Penalty penalty;                // on what is penalised; without l1
    bool penalty_of_batch = false;  // l2 is divided by the weight of the batch: scikit-learn's networks
    double clip_value = no_limit, clip_norm = no_limit;
    double average_share = 0.0;  // of the weights in their running mean, a step; 0: no mean
    Index batch = 1;
    std::uint64_t seed = 0;
};

// How far training came, and what an epoch saw.
struct NetworkPassed {
    Index epochs = 0, batches = 0;
    double carry = 1.0;
    bool finite = true;
    std::vector<double> loss, penalty;  // of each epoch: means over its batches, by their numbers of rows
};

template <class T>
class NetworkTraining {
public:
    // Flat arrays are the caller's, trained in place; `gradient`, if given, receives the gradient of the last step
    // instead of it being made.
    NetworkTraining(std::unique_ptr<Network<T>> network, std::unique_ptr<Design<T>> X, Goals<T> goals,
                    const NetworkRecipe& recipe, const Flat<T>& flat, T* kept)
        : network_(std::move(network)),
          X_(std::move(X)),
          goals_(std::move(goals)),
          recipe_(recipe),
          flat_(flat),
          updater_(make_updater<T>(recipe.rule)),
          batch_(std::min(recipe.batch, X_->rows)) {
        auto& net = *network_;
        require(net.size_of(0) == X_->cols, "X: not as many columns as the network takes");
        require(net.size_of(net.nodes()) == goals_.outputs,
                "the network's last layer has not as many units as outputs");
        net.bind(flat.w, kept);
        loss_ = make_tile_loss<T>(recipe.loss, recipe.multinomial, goals_);
        sparse_input_ = X_->sparse() && net.takes_sparse();
        if (sparse_input_) sparse_.resize(std::size_t(batch_));
        for (Index k = 0; k < net.nodes(); ++k)
            if (net.adder(k)) joins_.push_back({net.earlier(k), k + 1});
        net.defer_activations(net.nodes());
        masks_.resize(std::size_t(batch_ * net.masking().steps));
        margins_ = Buffer<T>(batch_ * goals_.width);
        for (Index k = 0; k < net.nodes(); ++k) {
            auto& layer = net.layer(k);
            layer.prepare(batch_, k == 0 && sparse_input_);
            workspace_ += layer.workspace();
            Index parameters = 0;
            for (const auto& piece : layer.pieces()) parameters += piece.size();
            const double entries = k == 0 && sparse_input_ ? mean_length() / double(layer.in) : 1.0;
            for (Index t = 0; t < layer.tiles(); ++t) {
                const auto at = layer.tile(t);
                const Placed* found = nullptr;
                Index piece = 0;
                for (const auto& placed : net.trained())
                    if (placed.node == k && piece++ == at.piece) found = &placed;
                tiles_.push_back(
                    {k, t, found->offset + at.begin, at.count, found->piece.penalised, layer.cost(),
                     rows_summed(layer.work() / double(parameters), double(at.count), entries * layer.cost())});
                largest_tile_ = std::max(largest_tile_, at.count);
            }
        }
        require(net.first_trained() >= 0, "the network has nothing to train");
        losses_.resize(std::size_t(granules_of(batch_)));
        squares_.resize(tiles_.size());
        norms_.resize(tiles_.size());
        plan_blocks();
        plan_stages();
        place_values();
        if (recipe.clip_norm != no_limit || net.work() * double(batch_) > long_step)
            gradient_ = Buffer<T>(net.trained_size());
        kept_ = kept;
        kept_before_.resize(std::size_t(net.kept_size()));
    }

    Index batches() const { return (X_->rows + batch_ - 1) / batch_; }
    Index workspace() const { return workspace_; }

    // Epochs with the given orders of rows (`order` (epochs, rows); null: as they are) and rates (one a batch). look()
    // is called about every 50 ms on the calling thread; when it returns false training ends early, after a whole step.
    // An epoch that is not finite ends training.
    NetworkPassed train(Index epochs, const std::uint32_t* order, const double* rates, Index first_step, double carry,
                        int threads, std::function<bool()> look) {
        Watch watch(std::move(look));
        watch_ = &watch;
        passed_ = NetworkPassed{};
        passed_.carry = carry;
        order_ = order;
        rates_ = rates;
        first_step_ = first_step;
        const int most = make_room(threads);
        last_ = epochs * batches();
        loss_sum_ = penalty_sum_ = 0.0;
        passed_.loss.reserve(std::size_t(epochs));
        passed_.penalty.reserve(std::size_t(epochs));
        number_ = 0;
        next_carry_ = carry;
        const auto unfinished = [&] { return passed_.finite && number_ < last_; };
        for (bool wanted = true; wanted && unfinished();) {
            deadline_ = Watch::Clock::now() + Watch::pause;
            while (unfinished() && Watch::Clock::now() < deadline_ && !watch.off())
                some_steps(team_size_.members(most, expected()));
            wanted = watch.look();
        }
        passed_.batches = number_;
        return passed_;
    }

    // Loss and gradient over all rows, as of one batch; the weights stay. Returns {loss, penalty}, which mean nothing
    // if look() has returned false.
    std::pair<double, double> evaluate(T* gradient, int threads, std::function<bool()> look) {
        require(batch_ == X_->rows, "batch: must be all rows");
        Watch watch(std::move(look));
        watch_ = &watch;
        passed_ = NetworkPassed{};
        order_ = nullptr;
        rates_ = nullptr;
        first_step_ = 1;
        wanted_gradient_ = gradient;
        const int members = team_size_.members(make_room(threads), expected());
        divide(members);
        for (Index k = 0; k < network_->nodes(); ++k) network_->layer(k).changed();
        Barrier barrier(members);
        Team::together(members, [&](int member) {
            const FlushDenormals flush;
            const Step step = step_at(0, 1.0);
            run(step, member, members, barrier);
            barrier.wait();
        });
        team_size_.lap(expected());
        wanted_gradient_ = nullptr;
        return {loss_of(step_at(0, 1.0)), penalty_of(step_at(0, 1.0))};
    }

private:
    static constexpr double long_step = 5e8;  // multiply-adds of a pass forward, some 10 ms
    static constexpr Index most_parts = 16;   // of a gradient; four times as many if each has 256 rows
    static constexpr Index many_values = (1 << 17) / Index(sizeof(T));
    static constexpr Index long_row = 1 << 12;  // numbers of a row, into and out of a layer, that fill the cache soon

    struct Step {
        Index number = 0, batch = 0;           // since training began; in its epoch
        const std::uint32_t* order = nullptr;  // null: rows first, first + 1, ...
        Index first = 0;
        double total = 1.0;  // weight of the rows
        Tick tick;
        Pass pass;
    };
    struct Join {
        Index from, to;  // values
    };
    struct FlatTile {
        Index node, number, offset, count;
        bool penalised;
        double cost;
        Index at_once;    // rows that are added up in the type of the data
        Index part = -1;  // where its parts lie, if its gradient is made by blocks of rows
    };
    // Where a value lies, or its slope: the first row of the batch; or as many numbers as `brief` of each member. It
    // may share the place of an earlier one.
    struct Place {
        Buffer<T> memory;
        T* data;
        Index shared, brief;
    };
    // All values, or all slopes, as a member has them: where the first row of the batch is, or would be.
    struct Side {
        std::vector<Buffer<T>> brief;  // what is the member's own
        std::vector<T*> at;
    };
    struct Member {
        Buffer<T> gradient, scratch;
        Buffer<double> wide;
        Rows tiles{0, 0};
        Side values, slopes;
    };
    // Layers begin, ..., end - 1, which rows go through at once, forward or back.
    struct Stage {
        Index begin, end;
        Index block, piece;  // rows
    };

    static Side side_of(const std::vector<Place>& places) {
        Side side;
        for (const auto& place : places) {
            side.brief.push_back(Buffer<T>(place.brief));
            side.at.push_back(place.data);
        }
        return side;
    }

    // Steps until the deadline, or until the team changes its size.
    void some_steps(int members) {
        divide(members);
        Barrier barrier(members);
        const Index begin = number_;
        Team::together(members, [&](int member) {
            const FlushDenormals flush;
            double carried = passed_.carry;
            for (Index k = begin;; ++k) {
                const Step step = step_at(k, carried);
                run(step, member, members, barrier);
                carried = updater_->carry(step.tick);
                if (member == 0) {
                    go_on_ = !watch_->off();
                    if (go_on_) {
                        close(step);
                        number_ = k + 1;
                        next_carry_ = carried;
                        go_on_ = team_size_.lap(expected(step.pass.rows)) && passed_.finite && number_ < last_ &&
                                 Watch::Clock::now() < deadline_;
                    }
                }
                barrier.wait();
                if (!go_on_) break;
            }
        });
        passed_.carry = next_carry_;
    }

    // Seconds of a step on one processor, about.
    double expected(Index rows) const { return 3e-10 * network_->work() * double(rows); }
    double expected() const { return expected(batch_); }

    // Memory for as many members as pay, each with some 10 microseconds of work in a step; how many those are.
    int make_room(int threads) {
        const int members = Team::most(3.0 * network_->work() * double(batch_) / 3e5, threads);
        const auto is_long = [&](const FlatTile& tile) { return batch_ > tile.at_once; };
        const bool is_cut = std::is_same_v<T, float> && std::any_of(tiles_.begin(), tiles_.end(), is_long);
        while (int(team_.size()) < members) {
            team_.emplace_back();
            auto& own = team_.back();
            own.gradient = Buffer<T>((is_cut ? 2 : 1) * largest_tile_);
            own.wide = Buffer<double>(is_cut ? largest_tile_ : 0);
            own.scratch = Buffer<T>(network_->scratch(network_->nodes(), batch_, true));
            own.values = side_of(values_);
            own.slopes = side_of(slopes_);
        }
        return members;
    }

    // Cuts the tiles for so many members, between any two steps.
    void divide(int members) {
        double all = 0.0, so_far = 0.0;
        const auto cost = [&](const FlatTile& tile) {
            return (tile.part < 0 ? tile.cost * double(batch_) : 0.0) + 20.0 * double(tile.count);
        };
        for (const auto& tile : tiles_) all += cost(tile);
        Index next = 0;
        for (int m = 0; m < members; ++m) {
            auto& own = team_[std::size_t(m)].tiles;
            own.begin = next;
            while (next < Index(tiles_.size()) &&
                   (m + 1 == members || so_far + 0.5 * cost(tiles_[std::size_t(next)]) < all * (m + 1) / members))
                so_far += cost(tiles_[std::size_t(next++)]);
            own.end = next;
        }
    }

    // Whether layer k may write its output where its input was: nobody else wants that.
    bool in_place(Index k) const {
        if (k == 0 || !network_->layer(k).in_place() || network_->layer(k - 1).keeps_output()) return false;
        return !network_->joined(k);
    }

    // Which layers' gradients are made by blocks of rows: those whose values are many more than the parameters, if they
    // have most of the work. Properties of the data, for the order of summation depends on them.
    void plan_blocks() {
        const auto& net = *network_;
        const double work = net.work(), small = std::clamp(5e4 / std::max(work, 1.0), 8.0, 64.0);
        Index block = Index(std::ceil(small / granule)) * granule;
        const auto parts_of = [this](Index rows) { return (batch_ + rows - 1) / rows; };
        while (parts_of(block) > (block < 256 ? most_parts : 4 * most_parts)) block += granule;
        block_ = block;
        const Index parts = parts_of(block);
        if (parts < 2) return;
        std::vector<bool> chosen(std::size_t(net.nodes()));
        double share = 0.0;
        for (Index k = 0; k < net.nodes(); ++k) {
            const auto& layer = net.layer(k);
            Index parameters = 0;
            for (const auto& piece : layer.pieces()) parameters += piece.size();
            const double values = double(batch_ * (layer.in + layer.out) + layer.workspace());
            chosen[std::size_t(k)] = parameters > 0 && double(parts * parameters) <= 0.5 * values;
            if (chosen[std::size_t(k)]) share += layer.work();
        }
        if (share < 0.5 * work) return;
        for (auto& tile : tiles_) {
            if (!chosen[std::size_t(tile.node)]) continue;
            tile.part = parts_size_;
            parts_size_ += tile.count;
        }
        partial_ = Buffer<T>(parts * parts_size_);
        workspace_ += parts * parts_size_;
    }

    // Memory for the values, and for their slopes: of the whole batch, or, where a stage makes and uses them up, of a
    // piece or a block of each member, which stays in its cache.
    void place_values() {
        const auto& net = *network_;
        const auto within = [&](const std::vector<Stage>& stages, Index v, Index last) -> const Stage* {
            for (const auto& stage : stages)
                if (stage.piece < batch_ && stage.begin < v && last < stage.end) return &stage;
            return nullptr;
        };
        const auto has_parts = [&](Index k) {
            return std::all_of(tiles_.begin(), tiles_.end(),
                               [&](const FlatTile& tile) { return tile.node != k || tile.part >= 0; });
        };
        for (Index v = 0; v <= net.nodes();) {
            // Values v, ..., last lie in one place, since the layers between work in place.
            Index last = v;
            while (last < net.nodes() && in_place(last)) ++last;
            bool brief = v > 0 && last < net.nodes(), used_up = true;
            for (Index u = v; brief && u <= last; ++u) {
                brief = !net.joined(u);
                used_up &= !net.layer(u - 1).keeps_output() && !net.layer(u).reads_input();
            }
            const auto* const forward = brief && used_up ? within(forward_, v, last) : nullptr;
            const auto* const backward = brief && has_parts(v - 1) ? within(backward_, v, last) : nullptr;
            const Index size = net.size_of(v);
            const auto place = [&](bool wanted, Index rows_of_stage, std::vector<Place>& places) {
                Place first{{}, nullptr, v, rows_of_stage * size};
                if (wanted && rows_of_stage == 0) {
                    first.memory = Buffer<T>(batch_ * size);
                    first.data = first.memory.data();
                    workspace_ += batch_ * size;
                }
                workspace_ += first.brief;
                T* const data = first.data;
                places.push_back(std::move(first));
                for (Index u = v; u < last; ++u) places.push_back({{}, data, v, 0});
            };
            const bool has_slope = last > net.first_trained();
            place(v > 0 || !sparse_input_, forward ? forward->piece : 0, values_);
            place(has_slope, backward && has_slope ? backward->block : 0, slopes_);
            v = last + 1;
        }
        for (Index k = 0; k < net.nodes(); ++k)
            if (net.adder(k)) net.adder(k)->earlier(values_[std::size_t(net.earlier(k))].data);
    }

    // Meetings interrupt stages, for all rows must have come so far. Where rows are long, stages go by blocks, and in
    // blocks by pieces whose values fill the cache about once. Pieces cut granules at the same places whoever has them.
    void plan_stages() {
        const auto is_long = [&](Index k) {
            const auto& layer = network_->layer(k);
            return layer.in + layer.out >= long_row && !layer.wants_rows();
        };
        const auto add = [&](std::vector<Stage>& stages, Index k, bool cut) {
            if (cut) stages.push_back({k, k, batch_, batch_});
            auto& stage = stages.back();
            stage.begin = std::min(stage.begin, k);
            stage.end = std::max(stage.end, k + 1);
            if (!is_long(k)) return;
            const Index fit = many_values / (network_->layer(k).in + network_->layer(k).out);
            stage.block = block_;
            const Index whole = fit >= granule ? fit / granule * granule : Index(std::bit_floor(std::uint64_t(fit)));
            stage.piece = std::clamp<Index>(whole, 1, stage.piece);
        };
        const Index last = network_->nodes() - 1;
        for (Index k = 0; k <= last; ++k)
            add(forward_, k, k == 0 || network_->layer(k).meets() || is_long(k) != is_long(k - 1));
        for (Index k = last; k >= network_->first_trained(); --k)
            add(backward_, k, k == last || network_->layer(k).meets() || is_long(k) != is_long(k + 1));
    }

    Step step_at(Index number, double carry) const {
        const Index n = X_->rows, epoch = number / batches(), k = number % batches();
        Step step;
        step.number = number;
        step.batch = k;
        step.first = k * batch_;
        step.order = order_ ? order_ + epoch * n + step.first : nullptr;
        step.pass = {.training = true,
                     .rows = std::min(batch_, n - step.first),
                     .key = key_of(recipe_.seed, std::uint64_t(first_step_ + number)),
                     .mask = masks_.empty() ? nullptr : masks_.data()};
        step.tick = {first_step_ + number, rates_ ? rates_[number] : 0.0, carry};
        step.total = double(step.pass.rows);
        if (goals_.weight) {
            step.total = 0.0;
            for (Index i = 0; i < step.pass.rows; ++i) step.total += double(goals_.weight[row_of(step, i)]);
        }
        return step;
    }
    Index row_of(const Step& step, Index i) const { return step.order ? Index(step.order[i]) : step.first + i; }

    // The rows of a batch that a member has, in whole granules or blocks.
    Rows share(Index rows, int member, int members) const {
        const Index unit = partial_.data() ? block_ : granule, units = (rows + unit - 1) / unit;
        const auto cut = [&](Index m) { return std::min(rows, units * m / members * unit); };
        return {cut(member), cut(member + 1)};
    }

    void run(Step step, int member, int members, Barrier& barrier) {
        auto& own = team_[std::size_t(member)];
        step.pass.scratch = own.scratch.data();
        if (member == 0) std::copy_n(kept_, kept_before_.size(), kept_before_.data());
        const Rows rows = share(step.pass.rows, member, members);
        const T* const input = fetch(step, rows);
        if (step.pass.mask) network_->masking().mark(input, rows, masks_.data());
        forward(step, rows, input, own, barrier);
        if (rows.count() > 0 && !called_off(own)) score(step, rows);
        backward(step, rows, input, own, barrier);
        for (Index t = own.tiles.begin; t < own.tiles.end; ++t)
            norms_[std::size_t(t)] = norm_of(tiles_[std::size_t(t)]);
        barrier.wait();
        update(step, input, member, barrier);
        if (member == 0 && watch_->off()) std::copy_n(kept_before_.data(), kept_before_.size(), kept_);
    }

    // Only before weights move: until the barrier before `move`.
    bool called_off(const Member& own) { return watch_->called_off(int(&own - team_.data())); }
    // Calls f(rows) for some rows after the other, as long as the step is not called off.
    template <class F>
    void between_looks(const Member& own, Rows rows, F&& f) {
        in_pieces(rows, 6144, [&](Rows few) {
            if (!called_off(own)) f(few);
        });
    }

    // Calls f(rows) for so many rows after the other.
    template <class F>
    static void in_pieces(Rows rows, Index piece, F&& f) {
        for (Index i = rows.begin; i < rows.end; i += piece) f(Rows{i, std::min(rows.end, i + piece)});
    }

    // Value 0: the rows themselves where they lie side by side, otherwise copies.
    const T* fetch(const Step& step, Rows rows) {
        T* const copies = values_[0].data;
        if (sparse_input_) {
            for (Index i = rows.begin; i < rows.end; ++i) sparse_[std::size_t(i)] = X_->sparse_row(row_of(step, i));
            return nullptr;
        }
        if (!step.order && !X_->sparse() && !network_->joined(0)) return X_->dense(step.first);
        for (Index i = rows.begin; i < rows.end; ++i) {
            if (i + 4 < rows.end && !X_->sparse())
                prefetch_bytes(X_->dense(row_of(step, i + 4)), X_->cols * Index(sizeof(T)));
            X_->copy(row_of(step, i), copies + i * X_->cols);
        }
        return copies;
    }

    static const T* value(const Member& own, Index v, const T* input) {
        return v == 0 ? input : own.values.at[std::size_t(v)];
    }
    // What a member has for itself, it has for rows from `begin` on.
    void at_rows(Side& own, const std::vector<Place>& places, Index begin) const {
        for (std::size_t v = 0; v < places.size(); ++v)
            own.at[v] = places[v].brief > 0 ? own.brief[v].data() - begin * network_->size_of(Index(v))
                                            : own.at[std::size_t(places[v].shared)];
    }

    void forward(const Step& step, Rows rows, const T* input, Member& own, Barrier& barrier) {
        for (std::size_t s = 0; s < forward_.size(); ++s) {
            const Stage& stage = forward_[s];
            auto& first = network_->layer(stage.begin);
            if (first.meets()) {
                if (s == 0) first.sum_up(value(own, 0, input), rows);
                barrier.wait();
                if (&own == &team_[0]) first.conclude(step.pass);
                barrier.wait();
            }
            auto* const next = s + 1 < forward_.size() ? &network_->layer(stage.end) : nullptr;
            in_pieces(rows, stage.piece, [&](Rows some) {
                at_rows(own.values, values_, some.begin);
                for (Index k = stage.begin; k < stage.end; ++k) {
                    auto& layer = network_->layer(k);
                    T* const y = own.values.at[std::size_t(k) + 1];
                    between_looks(own, some, [&](Rows few) {
                        if (k == 0 && sparse_input_) {
                            layer.forward(step.pass, sparse_.data(), y, few);
                        } else {
                            layer.forward(step.pass, value(own, k, input), y, few);
                        }
                    });
                }
                if (next && next->meets()) next->sum_up(value(own, stage.end, input), some);
            });
        }
    }

    // Losses of the rows, and the slopes of the last value.
    void score(const Step& step, Rows rows) {
        const Index outputs = goals_.outputs, width = goals_.width, last = network_->nodes();
        const T* const raw = values_[std::size_t(last)].data;
        T* const slopes = slopes_[std::size_t(last)].data;
        T* const p = margins_.data();
        const double factor = step.total > 0.0 ? 1.0 / step.total : 0.0;
        for (Index i = rows.begin; i < rows.end; i += granule) {
            const Index end = std::min(rows.end, i + granule);
            std::uint32_t numbers[granule];
            for (Index r = i; r < end; ++r) {
                numbers[r - i] = std::uint32_t(row_of(step, r));
                std::copy_n(raw + r * outputs, outputs, p + r * width);
                std::fill_n(p + r * width + outputs, width - outputs, T(0));
            }
            losses_[std::size_t(i / granule)] = loss_->slopes(goals_, numbers, end - i, factor, p + i * width);
            for (Index r = i; r < end; ++r) std::copy_n(p + r * width, outputs, slopes + r * outputs);
        }
    }

    void backward(const Step& step, Rows rows, const T* input, Member& own, Barrier& barrier) {
        for (std::size_t s = 0; s < backward_.size(); ++s) {
            const Stage& stage = backward_[s];
            const Index top = stage.end - 1;
            auto& first = network_->layer(top);
            if (first.meets()) {
                if (s == 0) first.sum_up_back(value(own, top, input), own.slopes.at[std::size_t(top) + 1], rows);
                barrier.wait();
                if (&own == &team_[0]) first.conclude_back(step.pass);
                barrier.wait();
            }
            auto* const next = s + 1 < backward_.size() ? &network_->layer(stage.begin - 1) : nullptr;
            in_pieces(rows, stage.block, [&](Rows block) {
                at_rows(own.slopes, slopes_, block.begin);
                in_pieces(block, stage.piece, [&](Rows some) {
                    for (Index k = top; k >= stage.begin; --k)
                        between_looks(own, some, [&](Rows few) { back(step, own, k, few, input); });
                    if (next && next->meets())
                        next->sum_up_back(value(own, stage.begin - 1, input), own.slopes.at[std::size_t(stage.begin)],
                                          some);
                });
                if (!partial_.data()) return;
                in_pieces(block, block_, [&](Rows part) {
                    for (const auto& tile : tiles_)
                        if (tile.part >= 0 && tile.node >= stage.begin && tile.node < stage.end && !called_off(own))
                            gradient_of(step, own, part, tile, input,
                                        partial_.data() + part.begin / block_ * parts_size_ + tile.part);
                });
            });
        }
    }

    void back(const Step& step, const Member& own, Index k, Rows rows, const T* input) {
        T* const dx = k > network_->first_trained() ? own.slopes.at[std::size_t(k)] : nullptr;
        network_->layer(k).backward(step.pass, value(own, k, input), own.values.at[std::size_t(k) + 1],
                                    own.slopes.at[std::size_t(k) + 1], dx, rows);
        if (!dx) return;
        for (const auto& join : joins_) {
            if (join.from != k) continue;
            const T* const more = own.slopes.at[std::size_t(join.to)];
            const Index n = network_->size_of(k);
            for (Index i = rows.begin * n; i < rows.end * n; ++i) dx[i] += more[i];
        }
    }

    void update(const Step& step, const T* input, int member, Barrier& barrier) {
        auto& own = team_[std::size_t(member)];
        const bool whole = wanted_gradient_ || gradient_.data();
        if (!whole && watch_->off()) return;
        for (Index t = own.tiles.begin; t < own.tiles.end && !(whole && called_off(own)); ++t) {
            const auto& tile = tiles_[std::size_t(t)];
            if (!whole) {
                Gradient<T> gradient = parts_of(step, tile);
                if (!gradient.g) {
                    gradient_of(step, own, {0, step.pass.rows}, tile, input, own.gradient.data());
                    gradient.g = own.gradient.data();
                }
                move(step, tile, gradient);
                continue;
            }
            T* const g = (wanted_gradient_ ? wanted_gradient_ : gradient_.data()) + tile.offset;
            if (tile.part >= 0) {
                parts_of(step, tile).collect(0, tile.count, g);
            } else {
                gradient_of(step, own, {0, step.pass.rows}, tile, input, g);
            }
            if (wanted_gradient_) {
                const Penalty penalty = penalty_on(step, tile);
                for (Index i = 0; i < tile.count; ++i) g[i] += T(penalty.l2) * flat_.w[tile.offset + i];
            } else {
                squares_[std::size_t(t)] = square_of(g, tile.count);
            }
        }
        if (!gradient_.data() || wanted_gradient_) return;
        barrier.wait();
        if (watch_->off()) return;
        const double factor = norm_factor(std::accumulate(squares_.begin(), squares_.end(), 0.0), recipe_.clip_norm);
        for (Index t = own.tiles.begin; t < own.tiles.end; ++t) {
            const auto& tile = tiles_[std::size_t(t)];
            move(step, tile, {.g = gradient_.data() + tile.offset, .scale = factor});
        }
    }

    double mean_length() const {
        const Index rows = std::min<Index>(X_->rows, 1024);
        double entries = 0.0;
        for (Index i = 0; i < rows; ++i) entries += double(X_->sparse_row(i).n);
        return std::max(1.0, entries / double(rows));
    }
    // Sums over rows are cut as in long_sum.hpp. A row counts as often as it meets a parameter (positions of a
    // convolution, time steps); but where most parameters do not meet it (codes, sparse rows), a piece has at least as
    // many multiply-adds as parameters.
    static Index rows_summed(double meetings, double parameters, double multiply_adds) {
        const double rows =
            std::max(double(2 * most_summed) / std::max(1.0, meetings), parameters / std::max(1e-3, multiply_adds));
        return std::max(granule, Index(std::min(rows, 1e15)) / granule * granule);
    }
    void gradient_of(const Step& step, const Member& own, Rows rows, const FlatTile& tile, const T* input, T* g) {
        const auto of = [&](Rows some, T* to) {
            network_->layer(tile.node).gradient(step.pass, some, tile.number, value(own, tile.node, input),
                                                tile.node == 0 && sparse_input_ ? sparse_.data() : nullptr,
                                                own.slopes.at[std::size_t(tile.node) + 1], to);
        };
        if constexpr (!std::is_same_v<T, float>) return of(rows, g);
        if (rows.count() <= tile.at_once) return of(rows, g);
        T* const near = own.gradient.data() + largest_tile_;
        double* const wide = own.wide.data();
        std::fill_n(wide, tile.count, 0.0);
        in_pieces(rows, tile.at_once, [&](Rows some) {
            of(some, near);
            for (Index i = 0; i < tile.count; ++i) wide[i] += double(near[i]);
        });
        for (Index i = 0; i < tile.count; ++i) g[i] = T(wide[i]);
    }
    Gradient<T> parts_of(const Step& step, const FlatTile& tile) const {
        if (tile.part < 0) return {};
        const Index blocks = (step.pass.rows + block_ - 1) / block_;
        return {.g = partial_.data() + tile.part, .parts = blocks, .stride = parts_size_};
    }

    void move(const Step& step, const FlatTile& tile, Gradient<T> gradient) {
        gradient.limit = recipe_.clip_value;
        Flat<T> flat;
        flat.w = flat_.w + tile.offset;
        for (int s = 0; s < Flat<T>::most_slots; ++s)
            flat.slot[s] = flat_.slot[s] ? flat_.slot[s] + tile.offset : nullptr;
        if (flat_.average && recipe_.average_share > 0.0) {
            flat.average = flat_.average + tile.offset;
            flat.average_weight = step.tick.step == 1 ? 1.0 : recipe_.average_share;
        }
        updater_->sweep(step.tick, penalty_on(step, tile), gradient, flat, 0, tile.count);
        network_->layer(tile.node).moved(tile.number);
    }

    Penalty penalty_on(const Step& step, const FlatTile& tile) const {
        Penalty penalty = recipe_.penalty;
        if (recipe_.penalty_of_batch) penalty.l2 = step.total > 0.0 ? penalty.l2 / step.total : 0.0;
        if (!tile.penalised) {
            penalty = Penalty{};
        }
        return penalty;
    }
    double norm_of(const FlatTile& tile) const {
        const double l2 = tile.penalised ? recipe_.penalty.l2 : 0.0;
        return l2 == 0.0 ? 0.0 : 0.5 * l2 * square_of(flat_.w + tile.offset, tile.count);
    }
    // In the type of the data, which is a sum of lanes and so loses little, then in double.
    static double square_of(const T* v, Index n) {
        constexpr Index piece = 1024;
        double sum = 0.0;
        for (Index i = 0; i < n; i += piece) {
            T part = 0;
            const Index end = std::min(n, i + piece);
#pragma omp simd reduction(+ : part)
            for (Index k = i; k < end; ++k) part += v[k] * v[k];
            sum += double(part);
        }
        return sum;
    }

    double loss_of(const Step& step) const {
        double sum = 0.0;
        for (Index g = 0; g < granules_of(step.pass.rows); ++g) sum += losses_[std::size_t(g)];
        return step.total > 0.0 ? sum / step.total : 0.0;
    }
    double penalty_of(const Step& step) const {
        double sum = 0.0;
        for (const double norm : norms_) sum += norm;
        if (!recipe_.penalty_of_batch) return sum;
        return step.total > 0.0 ? sum / step.total : 0.0;
    }

    // Called by member 0 when the step is done.
    void close(const Step& step) {
        const double share = double(step.pass.rows) / double(X_->rows), loss = loss_of(step);
        passed_.finite = std::isfinite(loss);
        loss_sum_ += share * loss;
        penalty_sum_ += share * penalty_of(step);
        if (step.batch + 1 < batches()) return;
        passed_.loss.push_back(loss_sum_);
        passed_.penalty.push_back(penalty_sum_);
        loss_sum_ = penalty_sum_ = 0.0;
        ++passed_.epochs;
    }

    const std::unique_ptr<Network<T>> network_;
    const std::unique_ptr<Design<T>> X_;
    Goals<T> goals_;
    const NetworkRecipe recipe_;
    const Flat<T> flat_;
    const std::unique_ptr<Updater<T>> updater_;
    std::unique_ptr<TileLoss<T>> loss_;
    const Index batch_;

    bool sparse_input_ = false;
    std::vector<SparseRow<T>> sparse_;
    std::vector<Place> values_, slopes_;
    std::vector<unsigned char> masks_;
    Buffer<T> margins_, gradient_;
    Index block_ = granule;  // rows of a block
    Buffer<T> partial_;      // gradients of blocks of rows, of the layers that make them so
    Index parts_size_ = 0;
    std::vector<Stage> forward_, backward_;
    std::vector<Join> joins_;
    std::vector<FlatTile> tiles_;
    Index largest_tile_ = 0, workspace_ = 0;
    T* kept_ = nullptr;  // the caller's statistics, and what they were before the step
    std::vector<T> kept_before_;
    Watch* watch_ = nullptr;
    std::vector<Member> team_;
    std::vector<double> losses_, squares_, norms_;

    NetworkPassed passed_;
    Index number_ = 0, last_ = 0;  // of the next step, and how many there are
    const std::uint32_t* order_ = nullptr;
    const double* rates_ = nullptr;
    Index first_step_ = 1;
    T* wanted_gradient_ = nullptr;
    double loss_sum_ = 0.0, penalty_sum_ = 0.0, next_carry_ = 1.0;
    Watch::Clock::time_point deadline_;
    bool go_on_ = true;
    TeamSize team_size_{TeamSize::Memory::of<NetworkTraining>()};
};

}  // namespace fg
