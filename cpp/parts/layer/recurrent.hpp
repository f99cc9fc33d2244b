#pragma once

#include <array>

#include "kernel/gemm.hpp"
#include "parts/cell/cell.hpp"
#include "parts/layer/layer.hpp"

namespace fg {

// How a recurrent layer runs through time.
struct Recurrence {
    Index steps, features, units;
    bool sequences = false;  // an output for each step, or only the last
    bool both_ways = false;  // a second set of weights runs from the end; outputs side by side
    bool bias = true;
    Index truncation = 0;  // slopes go back across no multiple of so many steps; 0: across all
    bool masked = false;   // whether the pass's mask speaks of these steps
};

// A cell, step after step: its state h begins with 0, and is its output. Back-propagation through time: Werbos (1990);
// truncated: Williams & Peng (1990). Both ways: Schuster & Paliwal (1997), "Bidirectional recurrent neural networks".
//
// Products with the input are made for all steps at once, before; their slopes are gathered, and so are the products
// with them, after. Only h U is left for each step.
//
// A step that is padding (`mask`) leaves the state as it was and has output 0.
//
// Weights: (features, gates * units), (units, gates * units), and two biases, which belong to the one and the other
// product, as in torch; they have the same slopes unless the cell keeps products apart.
template <class T, class Cell>
class RecurrentLayer final : public Layer<T> {
    static constexpr int L = lanes<T>, gates = Cell::gates, memories = Cell::memories;

public:
    RecurrentLayer(const Recurrence& time, bool first)
        : Layer<T>(time.steps * time.features,
                   (time.sequences ? time.steps : 1) * (time.both_ways ? 2 : 1) * time.units),
          time_(time),
          steps_(time.steps),
          features_(time.features),
          units_(time.units),
          width_(gates * time.units),
          ways_(time.both_ways ? 2 : 1),
          first_(first) {
        for (Index way = 0; way < ways_; ++way) {
            const Index array = way * (time.bias ? 4 : 2);
            for (Index i = 0; i < features_; i += block)
                tiles_.push_back({way, kernel, array, i, std::min(features_, i + block)});
            for (Index i = 0; i < units_; i += block)
                tiles_.push_back({way, recurrent, array + 1, i, std::min(units_, i + block)});
            for (Index k = 0; time.bias && k < 2; ++k)
                tiles_.push_back({way, k == 0 ? intercept : inner_intercept, array + 2 + k, 0, 1});
        }
    }

    std::vector<ParameterArray> parameters() const override {
        std::vector<ParameterArray> parameters;
        for (Index way = 0; way < ways_; ++way) {
            parameters.push_back({"coef", features_, width_, true});
            parameters.push_back({"recurrent", units_, width_, true});
            if (time_.bias) {
                parameters.push_back({"intercept", 1, width_, false});
                parameters.push_back({"recurrent_intercept", 1, width_, false});
            }
        }
        return parameters;
    }

    void prepare(Index rows, bool) override {
        const Index n = rows * steps_;
        workspace_ = 0;
        const auto wants = [&](Index size) {
            workspace_ += size;
            return Buffer<T>(size);
        };
        for (Index way = 0; way < ways_; ++way) {
            auto& own = way_[std::size_t(way)];
            own.memory = wants(room(rows));
            own.panels = wants(panels_size<T>(n, width_));
            if (Cell::apart) {
                own.apart = wants(n * width_);
                own.apart_panels = wants(panels_size<T>(n, width_));
            }
            own.dh = wants(rows * units_);
            if (Cell::carries) own.dcarry = wants(rows * units_);
        }
        rows_ = rows;
        pack(true);
    }
    void changed() override { pack(true); }
    void refresh(Index) override { pack(false); }
    Index scratch(Index rows, bool training) const override { return width_ + (training ? 0 : room(rows)); }

    void forward(const Pass& pass, const T* x, T* y, Rows rows) override {
        for (Index way = 0; way < ways_; ++way) {
            if (pass.training) {
                run(pass, way, x, y, rows, views(way_[std::size_t(way)].memory.data(), rows_));
            } else {  // rows begin with 0
                run(pass, way, x, y, rows, views(this->scratch_of(pass) + width_, rows.count()));
            }
        }
    }

    void backward(const Pass& pass, const T*, const T*, T* dy, T* dx, Rows rows) override {
        for (Index way = 0; way < ways_; ++way) {
            run_back(pass, way, dy, rows);
            auto& own = way_[std::size_t(way)];
            const Index begin = rows.begin * steps_, end = rows.end * steps_, all = pass.rows * steps_;
            const T* const slopes = views(own.memory.data(), rows_).gates;
            pack_rows(slopes, width_, all, width_, begin, end, own.panels.data());
            if (Cell::apart) pack_rows(own.apart.data(), width_, all, width_, begin, end, own.apart_panels.data());
            if (!dx) continue;
            T* const to = dx + begin * features_;
            multiply<T>({slopes + begin * width_, width_, 1}, {own.kernel_back.data(), width_}, end - begin, features_,
                        width_, {way > 0 ? to : nullptr, features_}, to, features_);
        }
    }

    // Tiles of both matrices, then the biases, way after way.
    Index tiles() const override { return Index(tiles_.size()); }
    double cost() const override { return double(std::min(block, std::max(features_, units_)) * width_ * steps_); }
    ParameterTile tile(Index number) const override {
        const auto& tile = tiles_[std::size_t(number)];
        return {tile.array, tile.begin * width_, (tile.end - tile.begin) * width_};
    }
    void gradient(const Pass& pass, Rows rows, Index number, const T* x, const SparseRow<T>*, const T*, T* g) override {
        const auto& tile = tiles_[std::size_t(number)];
        auto& own = way_[std::size_t(tile.way)];
        const Index from = rows.begin * steps_, n = rows.count() * steps_, all = pass.rows * steps_;
        const auto memory = views(own.memory.data(), rows_);
        const bool inner = tile.part == recurrent || tile.part == inner_intercept, apart = inner && Cell::apart;
        const T* const panels = apart ? own.apart_panels.data() : own.panels.data();
        if (tile.part == intercept || tile.part == inner_intercept) {
            sum_rows((apart ? own.apart.data() : memory.gates) + from * width_, n, width_, g);
        } else {
            const Left<T> left = inner ? Left<T>{memory.before + from * units_ + tile.begin, 1, units_}
                                       : Left<T>{x + from * features_ + tile.begin, 1, features_};
            multiply<T>(left, {panels, all, from}, tile.end - tile.begin, width_, n, {}, g, width_);
        }
    }
    void moved(Index number) override { pack(tiles_[std::size_t(number)], true); }

    double work() const override { return double(ways_ * steps_ * width_ * (features_ + units_)); }
    Index workspace() const override { return workspace_; }
    Capabilities capabilities() const override { return {.wants_many_rows = true}; }

private:
    enum Part { kernel, recurrent, intercept, inner_intercept };
    struct OwnTile {
        Index way;
        Part part;
        Index array, begin, end;
    };
    struct Way {
        Buffer<T> kernel, recurrent, kernel_back, recurrent_back;  // weights in panels
        Buffer<T> memory;                                          // of the batch; see Memory
        Buffer<T> panels;                                          // slopes of the products with the input
        Buffer<T> apart, apart_panels;                             // those of the others, where they are apart
        Buffer<T> dh, dcarry;                                      // slopes of the states, while going back
    };
    // What is known of rows and steps; `before`: the state that a step begins with.
    struct Memory {
        T *gates, *before, *memory, *apart;
    };
    static constexpr Index block = 4 * group_rows;

    Index room(Index rows) const {
        return rows * (steps_ * (width_ + units_ + memories * units_) + (Cell::apart ? width_ : 0));
    }
    Memory views(T* at, Index rows) const {
        const Index n = rows * steps_;
        return {at, at + n * width_, at + n * (width_ + units_), at + n * (width_ + units_ + memories * units_)};
    }
    const T* weights(Index way, Index array) const { return this->w_[std::size_t(way * (time_.bias ? 4 : 2) + array)]; }
    Index output() const { return ways_ * units_; }

    void run(const Pass& pass, Index way, const T* x, T* y, Rows rows, const Memory& memory) {
        const auto& own = way_[std::size_t(way)];
        const Index m = rows.count(), begin = rows.begin * steps_;
        T* const all = memory.gates + begin * width_;
        const T* start = time_.bias ? weights(way, 2) : nullptr;
        const T* const inner_start = time_.bias ? weights(way, 3) : nullptr;
        if (start && !Cell::apart) {
            T* const sum = this->scratch_of(pass);
            for (Index k = 0; k < width_; ++k) sum[k] = start[k] + inner_start[k];
            start = sum;
        }
        multiply<T>({x + begin * features_, features_, 1}, {own.kernel.data(), features_}, m * steps_, width_,
                    features_, {start, 0}, all, width_);
        for (Index s = 0; s < steps_; ++s) {
            const Index t = way == 0 ? s : steps_ - 1 - s, next = way == 0 ? t + 1 : t - 1;
            const Left<T> state{memory.before + (begin + t) * units_, steps_ * units_, 1};
            for (Index i = 0; s == 0 && i < m; ++i)
                std::fill_n(memory.before + (begin + i * steps_ + t) * units_, units_, T(0));
            T* const apart = memory.apart + rows.begin * width_;
            if (Cell::apart) {
                multiply<T>(state, {own.recurrent.data(), units_}, m, width_, units_, {inner_start, 0}, apart, width_);
            } else if (s > 0) {
                multiply<T>(state, {own.recurrent.data(), units_}, m, width_, units_,
                            {all + t * width_, steps_ * width_}, all + t * width_, steps_ * width_);
            }
            for (Index i = 0; i < m; ++i) {
                const Index at = begin + i * steps_ + t;
                T* const after = s + 1 < steps_ ? memory.before + (at + next - t) * units_ : nullptr;
                T* out = nullptr;
                if (time_.sequences) {
                    out = y + at * output() + way * units_;
                } else if (s + 1 == steps_) {
                    out = y + (rows.begin + i) * output() + way * units_;
                }
                if (padding(pass, at)) {
                    const T* const before = memory.before + at * units_;
                    if (after) std::copy_n(before, units_, after);
                    if (Cell::carries) copy_carried(memory, at, s == 0 ? -1 : at + t - next);
                    if (out && time_.sequences) std::fill_n(out, units_, T(0));
                    if (out && !time_.sequences) std::copy_n(before, units_, out);
                    continue;
                }
                each([&](auto load_at, auto store_at, Index k) FG_INLINED {
                    Unit<Pack<T>, gates, std::max(memories, 1)> u;
                    for (int g = 0; g < gates; ++g) {
                        u.in[g] = load_at(memory.gates + at * width_ + g * units_ + k);
                        if (Cell::apart) u.apart[g] = load_at(apart + i * width_ + g * units_ + k);
                    }
                    u.h_before = load_at(memory.before + at * units_ + k);
                    u.carried_before = Cell::carries && s > 0
                                           ? load_at(memory.memory + (at + t - next) * memories * units_ + k)
                                           : zero<Pack<T>>();
                    Cell::template forward<Pack<T>>(u);
                    for (int g = 0; g < gates; ++g) store_at(memory.gates + at * width_ + g * units_ + k, u.in[g]);
                    for (int q = 0; q < memories; ++q)
                        store_at(memory.memory + (at * memories + q) * units_ + k, u.memory[q]);
                    if (after) store_at(after + k, u.h);
                    if (out) store_at(out + k, u.h);
                });
            }
        }
    }

    void run_back(const Pass& pass, Index way, const T* dy, Rows rows) {
        auto& own = way_[std::size_t(way)];
        const auto memory = views(own.memory.data(), rows_);
        const Index m = rows.count(), begin = rows.begin * steps_;
        T* const dh = own.dh.data() + rows.begin * units_;
        T* const dcarry = Cell::carries ? own.dcarry.data() + rows.begin * units_ : nullptr;
        std::fill_n(dh, m * units_, T(0));
        if (dcarry) std::fill_n(dcarry, m * units_, T(0));
        T* const slopes = Cell::apart ? own.apart.data() : memory.gates;
        for (Index s = steps_ - 1; s >= 0; --s) {
            const Index t = way == 0 ? s : steps_ - 1 - s, next = way == 0 ? t + 1 : t - 1;
            for (Index i = 0; i < m; ++i) {
                const Index at = begin + i * steps_ + t;
                const bool skipped = padding(pass, at);
                const T* more = nullptr;  // the slope of the output
                if (time_.sequences) {
                    if (!skipped) more = dy + at * output() + way * units_;
                } else if (s + 1 == steps_) {
                    more = dy + (rows.begin + i) * output() + way * units_;
                }
                if (skipped) {
                    if (more) axpy(T(1), more, dh + i * units_, units_);
                    std::fill_n(memory.gates + at * width_, width_, T(0));
                    if (Cell::apart) std::fill_n(own.apart.data() + at * width_, width_, T(0));
                    continue;
                }
                each([&](auto load_at, auto store_at, Index k) FG_INLINED {
                    Unit<Pack<T>, gates, std::max(memories, 1)> u;
                    for (int g = 0; g < gates; ++g) u.in[g] = load_at(memory.gates + at * width_ + g * units_ + k);
                    for (int q = 0; q < memories; ++q)
                        u.memory[q] = load_at(memory.memory + (at * memories + q) * units_ + k);
                    u.h_before = load_at(memory.before + at * units_ + k);
                    u.carried_before = Cell::carries && s > 0
                                           ? load_at(memory.memory + (at + t - next) * memories * units_ + k)
                                           : zero<Pack<T>>();
                    u.dh = load_at(dh + i * units_ + k);
                    if (more) u.dh += load_at(more + k);
                    if (Cell::carries) u.dcarry = load_at(dcarry + i * units_ + k);
                    Cell::template backward<Pack<T>>(u);
                    for (int g = 0; g < gates; ++g) {
                        store_at(memory.gates + at * width_ + g * units_ + k, u.in[g]);
                        if (Cell::apart) store_at(own.apart.data() + at * width_ + g * units_ + k, u.apart[g]);
                    }
                    store_at(dh + i * units_ + k, u.dh);
                    if (Cell::carries) store_at(dcarry + i * units_ + k, u.dcarry);
                });
            }
            if (s == 0) break;
            if (time_.truncation > 0 && s % time_.truncation == 0) {
                std::fill_n(dh, m * units_, T(0));
                if (dcarry) std::fill_n(dcarry, m * units_, T(0));
            } else {
                multiply<T>({slopes + (begin + t) * width_, steps_ * width_, 1}, {own.recurrent_back.data(), width_}, m,
                            units_, width_, {dh, units_}, dh, units_);
            }
        }
    }

    bool padding(const Pass& pass, Index at) const { return time_.masked && pass.mask && !pass.mask[at]; }
    void copy_carried(const Memory& memory, Index at, Index from) {
        T* const to = memory.memory + at * memories * units_;
        if (from < 0) {
            std::fill_n(to, units_, T(0));
        } else {
            std::copy_n(memory.memory + from * memories * units_, units_, to);
        }
    }

    // Calls f(load, store, first unit) for registers of units; the last may be partly empty.
    template <class F>
    FG_INLINE void each(F&& f) const {
        Index k = 0;
        for (; k + L <= units_; k += L)
            f([](const T* p) FG_INLINED { return load<L>(p); },
              [](T* p, const Pack<T>& v) FG_INLINED { store<L>(p, v); }, k);
        if (const Index rest = units_ - k; rest > 0)
            f([rest](const T* p) FG_INLINED { return load_some(p, rest); },
              [rest](T* p, const Pack<T>& v) FG_INLINED { store_some(p, v, rest); }, k);
    }

    void pack(bool back) {
        for (Index way = 0; way < ways_; ++way) {
            auto& own = way_[std::size_t(way)];
            if (!own.kernel.data()) {
                own.kernel = Buffer<T>(panels_size<T>(features_, width_));
                own.recurrent = Buffer<T>(panels_size<T>(units_, width_));
            }
            if (back && !own.recurrent_back.data()) {
                own.recurrent_back = Buffer<T>(panels_size<T>(width_, units_));
                if (!first_) own.kernel_back = Buffer<T>(panels_size<T>(width_, features_));
            }
        }
        for (const auto& tile : tiles_) pack(tile, back);
    }
    void pack(const OwnTile& tile, bool back) {
        auto& own = way_[std::size_t(tile.way)];
        const T* const w = this->w_[std::size_t(tile.array)];
        if (tile.part == kernel) {
            pack_rows(w, width_, features_, width_, tile.begin, tile.end, own.kernel.data());
            if (back && !first_)
                pack_transposed(w, width_, width_, features_, tile.begin, tile.end, own.kernel_back.data());
        } else if (tile.part == recurrent) {
            pack_rows(w, width_, units_, width_, tile.begin, tile.end, own.recurrent.data());
            if (back) pack_transposed(w, width_, width_, units_, tile.begin, tile.end, own.recurrent_back.data());
        }
    }

    const Recurrence time_;
    const Index steps_, features_, units_, width_, ways_;
    const bool first_;  // nobody wants dx
    std::vector<OwnTile> tiles_;
    Index rows_ = 0, workspace_ = 0;
    std::array<Way, 2> way_;
};

}  // namespace fg
