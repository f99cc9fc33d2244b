// A layer: from the rows of one array to the rows of the next, and back.
//
// A layer is a class with `forward` and `backward`; all else has a default. One without parameters (a pooling) adds
// what differs in `capabilities`. One with parameters adds `parameters` and `gradient`; if they are many, it cuts
// them into `tiles`; if it multiplies with weights in panels, it packs them in `prepare`, `changed`, `refresh` and
// `moved`.
//
// The calls, in their order:
//   training      bind, prepare; in each step sum_up, conclude (some layers), forward of all rows; sum_up_back,
//                 conclude_back (some), backward of all rows; gradient and moved of every tile. `changed` where others
//                 have changed the weights between two steps.
//   prediction    bind, refresh, forward
//
// Layers work on the rows of a batch. A member of the team calls them for its own rows, of which it cuts no granule in
// two; what is summed over rows is summed granule by granule and then in the order of the granules, so sums do not
// depend on who did what. The gradient of parameters comes later, in tiles of parameters: a layer writes the gradient
// of a tile, the update rule moves it, and the layer hears of it.
//
// Members call a layer at the same time. In `forward` and `backward` it writes what belongs to the rows that it is
// called for, in its own arrays too; in `gradient` and `moved`, what belongs to the tile; and the member's scratch
// memory. A layer never allocates after `prepare`. Outside training several members may call the same layer side by
// side, so then it writes to the member's scratch alone.
#pragma once

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "core/buffer.hpp"
#include "core/view.hpp"
#include "kernel/activate.hpp"

namespace fg {

// A row, and a padded image, have fewer numbers than this: so numbers of a batch can be counted.
inline constexpr Index most_numbers = Index(1) << 31;

// Rows for which a layer keeps sums of their own.
inline constexpr Index granule = 8;

// An array of parameters, (rows, columns).
struct ParameterArray {
    const char* name;
    Index rows, columns;
    bool penalised;
    Index size() const { return product(rows, columns); }
};

// A tile of parameters: entries begin, ..., begin + count - 1 of an array.
struct ParameterTile {
    Index array, begin, count;
};

// What a layer lets others do, and what it asks of them. A layer states what differs.
struct Capabilities {
    bool sums_over_batch = false;   // in training rows need each other: sum_up, conclude, sum_up_back, conclude_back
    bool takes_sparse = false;      // as the first layer it also goes forward from sparse rows
    bool takes_activation = false;  // take_activation: a max-pooling
    bool wants_many_rows = false;   // many rows at once are better than a few
    bool in_place = false;          // y may be x, and dx dy
    bool reads_output = false;      // `backward` reads y
    bool reads_input = true;        // `backward` or `gradient` read x
};

// What layers are told of a pass.
struct Pass {
    bool training = false;
    Index rows = 0;                       // of the whole batch
    std::uint64_t key = 0;                // for random numbers: of this step
    const unsigned char* mask = nullptr;  // (rows, steps): 0 where a time step is padding; null: none is
    void* scratch = nullptr;              // memory of the member's own, as much as the layer wants
};

// A sparse row whose indices have 32 or 64 bits.
template <class T>
struct SparseRow {
    const T* x;
    const void* index;
    Index n;
    bool wide, sorted;  // sorted: indices ascend

    template <class F>
    FG_INLINE void each(F&& f) const {
        if (wide) {
            for (Index k = 0; k < n; ++k) f(Index(static_cast<const std::int64_t*>(index)[k]), x[k]);
        } else {
            for (Index k = 0; k < n; ++k) f(Index(static_cast<const std::int32_t*>(index)[k]), x[k]);
        }
    }
    // Only the entries with first <= index < end.
    template <class F>
    FG_INLINE void each_within(Index first, Index end, F&& f) const {
        wide ? within(static_cast<const std::int64_t*>(index), first, end, f)
             : within(static_cast<const std::int32_t*>(index), first, end, f);
    }

private:
    template <class I, class F>
    FG_INLINE void within(const I* at, Index first, Index end, F&& f) const {
        Index k = sorted ? std::lower_bound(at, at + n, I(first)) - at : 0;
        for (; k < n && !(sorted && Index(at[k]) >= end); ++k)
            if (const Index j = Index(at[k]); j >= first && j < end) f(j, x[k]);
    }
};

// Rows 0, ..., most - 1, each once, in the order in which they were added; and the gradient of each, at its place in
// that order. To forget them all takes no time: a row is in the set if it stands where its place says (Briggs and
// Torczon 1993, "An efficient representation for sparse sets").
template <class T>
class TouchedSet {
public:
    TouchedSet(Index most, Index width) : width_(width), place_(std::size_t(most), 0u) {
        rows_.reserve(std::size_t(most));
    }

    Index count() const { return Index(rows_.size()); }
    const std::uint32_t* rows() const { return rows_.data(); }
    T* gradient() const { return gradient_; }  // (count, width)

    // `gradient`: memory for that of all rows.
    void clear(T* gradient) {
        rows_.clear();
        gradient_ = gradient;
    }
    // Where the gradient of a row is, zeros if it is new.
    T* gradient_of(Index row) {
        std::uint32_t& place = place_[std::size_t(row)];
        if (place >= rows_.size() || Index(rows_[place]) != row) {
            place = std::uint32_t(rows_.size());
            rows_.push_back(std::uint32_t(row));
            std::fill_n(gradient_ + Index(place) * width_, width_, T(0));
        }
        return gradient_ + Index(place) * width_;
    }

private:
    const Index width_;
    std::vector<std::uint32_t> rows_, place_;
    T* gradient_ = nullptr;
};

template <class T>
class Layer {
public:
    Layer(Index in, Index out) : in(in), out(out) {}
    virtual ~Layer() = default;

    const Index in, out;  // numbers of a row

    virtual std::vector<ParameterArray> parameters() const { return {}; }  // what is trained
    virtual std::vector<ParameterArray> kept() const { return {}; }        // what is not, but belongs to the model
    // Where they lie, in the order of `parameters` and `kept`.
    void bind(std::vector<T*> trained, std::vector<T*> kept) {
        w_ = std::move(trained);
        kept_ = std::move(kept);
    }

    // Before training in batches of at most `rows`, which are sparse or not.
    virtual void prepare(Index rows, bool sparse) { (void)rows, (void)sparse; }
    // All weights may have changed; training goes on.
    virtual void changed() {}
    // Before `forward`, outside training, with weights that stay as they are for so many rows.
    virtual void refresh(Index rows) { (void)rows; }

    // May change when an activation is given away or taken, and by nothing else.
    virtual Capabilities capabilities() const { return {}; }

    // Layers that sum over the batch (batch normalisation). First every member sums up its rows, perhaps in several
    // calls for parts of a granule, in order; when all have, one of them concludes. So before `forward`, and before
    // `backward`.
    virtual void sum_up(const T* x, Rows rows) { (void)x, (void)rows; }
    virtual void conclude(const Pass&) {}
    virtual void sum_up_back(const T* x, const T* dy, Rows rows) { (void)x, (void)dy, (void)rows; }
    virtual void conclude_back(const Pass&) {}

    // x, y, dy and dx point to the first row of the batch; y and dx of `rows` are written, all of them.
    virtual void forward(const Pass& pass, const T* x, T* y, Rows rows) = 0;
    // dy may be overwritten; dx null: not wanted.
    virtual void backward(const Pass& pass, const T* x, const T* y, T* dy, T* dx, Rows rows) = 0;

    // As the first layer of sparse rows, if it takes them.
    virtual void forward(const Pass&, const SparseRow<T>*, T*, Rows) {}

    // Parameters are cut into tiles; as it is here, each array is one. `cost`: of a tile, about, in multiply-adds a
    // row.
    virtual Index tiles() const { return Index(parameters().size()); }
    virtual double cost() const { return 1.0; }
    virtual ParameterTile tile(Index number) const { return {number, 0, parameters()[std::size_t(number)].size()}; }
    // After `backward` of some rows, which begin and end with granules: g, all of it, becomes what they bring to the
    // gradient of a tile.
    virtual void gradient(const Pass&, Rows rows, Index number, const T* x, const SparseRow<T>* sparse, const T* dy,
                          T* g) {
        (void)rows, (void)number, (void)x, (void)sparse, (void)dy, (void)g;
    }
    // Where a batch touches few rows of a tile's array, rows of `width` numbers each: lazy rules then move those alone.
    // `add_touched` adds to the gradients of those, for tiles begin, ..., end - 1 of one array in one pass over the
    // rows: to touched[0] that of tile `begin`, whose rows are reckoned from its first one, and so on. Width 0: a batch
    // touches all.
    virtual Index touched_width(Index number, bool sparse) const { return (void)number, (void)sparse, 0; }
    virtual void add_touched(Rows rows, Rows tiles, const T* x, const SparseRow<T>* sparse, const T* dy,
                             TouchedSet<T>* touched) const {
        (void)rows, (void)tiles, (void)x, (void)sparse, (void)dy, (void)touched;
    }
    // The update rule has changed the weights of a tile.
    virtual void moved(Index number) { (void)number; }

    virtual double work() const { return double(in + out); }  // of a row, in multiply-adds
    virtual Index workspace() const { return 0; }             // numbers that `prepare` has taken
    // Numbers of the member's own memory for a pass over so many rows.
    virtual Index scratch(Index rows, bool training) const { return (void)rows, (void)training, 0; }

    // In training an activation may act behind the layer after, which then has it, if it is a max-pooling: there are
    // fewer numbers there. A layer gives its own away (null: it has none, or wants it), or takes that of the layer
    // before.
    virtual std::unique_ptr<Activate<T>> give_activation() { return nullptr; }
    virtual void take_activation(std::unique_ptr<Activate<T>>) {}

protected:
    static T* scratch_of(const Pass& pass) { return static_cast<T*>(pass.scratch); }

    std::vector<T*> w_, kept_;
};

inline Index granules_of(Index rows) { return (rows + granule - 1) / granule; }

}  // namespace fg
