// The catalog of rules, and their steps on NumPy arrays. Everything is checked before anything changes; then all arrays
// are swept as if they were one, with the GIL released.
#include <pybind11/stl.h>

#include <algorithm>
#include <numeric>

#include "bind/arrays.hpp"
#include "bind/bind.hpp"
#include "bind/fields.hpp"
#include "bind/gil.hpp"
#include "core/team.hpp"
#include "parts/rules.hpp"
#include "train/updater.hpp"

namespace fg {

namespace {

py::list rule_catalog() {
    py::list catalog;
    Rules::each([&](auto rule) { catalog.append(py::make_tuple(rule.name, rule.doc, fields_of(rule))); });
    return catalog;
}

std::string text(const py::handle& object) { return py::cast<std::string>(py::str(object)); }
std::string type_name(const py::handle& object) { return text(py::type::of(object).attr("__name__")); }

// An array, or the arrays of a list or tuple.
struct Arrays {
    const char* name;
    std::vector<py::object> items;
    bool single = false;

    Arrays(const char* name, const py::object& given) : name(name), single(py::isinstance<py::array>(given)) {
        const auto take = [&](const auto& sequence) {
            items.reserve(sequence.size());
            for (const py::handle item : sequence) items.push_back(py::reinterpret_borrow<py::object>(item));
        };
        if (single) {
            items.push_back(given);
        } else if (py::isinstance<py::list>(given)) {
            take(py::reinterpret_borrow<py::list>(given));
        } else if (py::isinstance<py::tuple>(given)) {
            take(py::reinterpret_borrow<py::tuple>(given));
        } else {
            throw py::type_error(std::string(name) + " is of type " + type_name(given) +
                                 "; it must be an array of numpy, or a list or tuple of them.");
        }
    }

    std::string label(std::size_t i) const {
        return single ? std::string(name) : std::string(name) + "[" + std::to_string(i) + "]";
    }
    std::string count() const { return single ? "one array" : "a list of " + std::to_string(items.size()); }
};

// 4 for float32, 8 for float64, 0 for all else.
int bytes_of(const py::array& a) {
    using api = py::detail::npy_api;
    const py::dtype type = a.dtype();
    if (type.byteorder() != '=') return 0;
    return type.num() == api::NPY_FLOAT_ ? 4 : type.num() == api::NPY_DOUBLE_ ? 8 : 0;
}

bool same_shape(const py::array& a, const py::array& b) {
    return a.ndim() == b.ndim() && std::equal(a.shape(), a.shape() + a.ndim(), b.shape());
}

std::string shape_of(const py::array& a) { return text(a.attr("shape")); }
std::string dtype_of(const py::array& a) { return text(a.dtype()); }

// `label()` is only asked for its name if there is something to say about it.
template <class Label>
const py::array& checked(const py::object& object, const Label& label, bool writes) {
    using api = py::detail::npy_api;
    if (!py::isinstance<py::array>(object))
        throw py::type_error(label() + " is of type " + type_name(object) + "; it must be an array of numpy.");
    const auto& a = static_cast<const py::array&>(object);
    if (bytes_of(a) == 0)
        throw py::value_error(label() + " has dtype " + dtype_of(a) + "; it must be float32 or float64.");
    constexpr int orderly = api::NPY_ARRAY_C_CONTIGUOUS_ | api::NPY_ARRAY_ALIGNED_;
    if ((a.flags() & orderly) != orderly)
        throw py::value_error(label() + " is not contiguous in C order (or not aligned); make it so once, by " +
                              "numpy.ascontiguousarray.");
    if (writes && !a.writeable())
        throw py::value_error(label() + " is read-only; it must be writeable, because steps are made in place.");
    return a;
}

// An array of parameters with all that moves with it.
struct Piece {
    int bytes = 0;
    Index n = 0;
    Index first_block = 0;  // blocks of the pieces before
    char* w = nullptr;
    const char* g = nullptr;
    char* slot[3] = {};

    const char* end_of(const char* data) const { return data + n * bytes; }
};

// A rule with its weight decay and its clipping.
class Stepper {
public:
    Stepper(const std::string& rule, const std::vector<std::pair<std::string, double>>& fields, double coupled,
            double decay, double clip_value, double clip_norm)
        : narrow_(make_updater<float>({rule, fields})),
          wide_(make_updater<double>({rule, fields})),
          clip_value_(clip_value),
          clip_norm_(clip_norm) {
        penalty_.coupled = coupled;
        penalty_.decay = decay;
    }

    int slots() const { return narrow_->slots(); }

    // The arrays to train, as a list.
    py::list arrays(const py::object& given) const {
        const Arrays params("params", given);
        py::list list;
        for (std::size_t i = 0; i < params.items.size(); ++i)
            list.append(checked(params.items[i], [&] { return params.label(i); }, true));
        return list;
    }

    // Moves params and slots by step `number` (1, 2, ...); returns what the next step gets as its carry. Zero threads:
    // as many as pay.
    double step(const py::object& params, const py::object& grads, const py::object& slots, Index number, double rate,
                double carry, int threads) const {
        const Arrays w("params", params), g("grads", grads), state("state.slots", slots);
        const auto pieces = pieces_of(w, g, state);
        const Tick tick{number, rate, carry};
        {
            const WithoutGil unlocked;
            move(pieces, tick, threads);
        }
        return narrow_->carry(tick);
    }

private:
    static constexpr Index block = 4096;      // threads, and the sums of clip_norm, cut arrays at multiples of it
    static constexpr Index enough = 100'000;  // numbers for which waking a team pays

    std::vector<Piece> pieces_of(const Arrays& params, const Arrays& grads, const Arrays& state) const {
        const std::size_t count = params.items.size();
        if (grads.items.size() != count || grads.single != params.single)
            throw py::value_error("grads is " + grads.count() + ", but params is " + params.count() +
                                  "; there must be a gradient for each array.");
        if (state.items.size() != count)
            throw py::value_error("state was made for " + std::to_string(state.items.size()) +
                                  " arrays, but params is " + params.count() + "; make one for these by init.");
        std::vector<Piece> pieces(count);
        Index blocks = 0;
        for (std::size_t i = 0; i < count; ++i) {
            Piece& piece = pieces[i];
            const auto label = [&] { return params.label(i); };
            const py::array& w = checked(params.items[i], label, true);
            const auto alike = [&](const py::object& object, const auto& name, bool writes) -> const py::array& {
                const py::array& a = checked(object, name, writes);
                if (bytes_of(a) != bytes_of(w))
                    throw py::value_error(name() + " has dtype " + dtype_of(a) + ", but " + label() + " has dtype " +
                                          dtype_of(w) + "; they must be equal.");
                if (!same_shape(a, w))
                    throw py::value_error(name() + " has shape " + shape_of(a) + ", but " + label() + " has shape " +
                                          shape_of(w) + "; they must be equal.");
                return a;
            };
            piece.bytes = bytes_of(w);
            piece.n = w.size();
            piece.first_block = blocks;
            blocks += (piece.n + block - 1) / block;
            piece.w = data_of(w);
            piece.g = data_of(alike(grads.items[i], [&] { return grads.label(i); }, false));
            const auto own = Arrays("state.slots", state.items[i]);
            if (int(own.items.size()) != this->slots())
                throw py::value_error("state has " + std::to_string(own.items.size()) + " slots for " + label() +
                                      ", but this optimizer has " + std::to_string(this->slots()) +
                                      "; make a state by its init.");
            for (std::size_t s = 0; s < own.items.size(); ++s)
                piece.slot[s] =
                    data_of(alike(own.items[s], [&] { return state.label(i) + "[" + std::to_string(s) + "]"; }, true));
        }
        if (count > 1) refuse_twins(params, pieces);
        refuse_foreign(params, grads, state, pieces);
        return pieces;
    }

    static char* data_of(const py::array& a) { return static_cast<char*>(const_cast<void*>(a.data())); }

    // Arrays that share memory would move twice.
    static void refuse_twins(const Arrays& params, const std::vector<Piece>& pieces) {
        std::vector<std::size_t> order;
        for (std::size_t i = 0; i < pieces.size(); ++i)
            if (pieces[i].n > 0) order.push_back(i);
        std::sort(order.begin(), order.end(), [&](auto a, auto b) { return pieces[a].w < pieces[b].w; });
        for (std::size_t k = 1; k < order.size(); ++k)
            if (pieces[order[k]].w < pieces[order[k - 1]].end_of(pieces[order[k - 1]].w))
                throw py::value_error(params.label(std::max(order[k], order[k - 1])) + " shares memory with " +
                                      params.label(std::min(order[k], order[k - 1])) +
                                      "; each number must be given once.");
    }

    // A gradient that shares memory with what moves (the parameters and slots of other arrays too) would be used after
    // it has changed. What moves shares no memory: its places in memory ascend as their ends do.
    void refuse_foreign(const Arrays& params, const Arrays& grads, const Arrays& state,
                        const std::vector<Piece>& pieces) const {
        struct Moving {
            const char *begin, *end;
            std::size_t piece;
            int slot;  // -1: the parameters themselves
        };
        std::vector<Moving> all;
        for (std::size_t i = 0; i < pieces.size(); ++i) {
            if (pieces[i].n == 0) continue;
            all.push_back({pieces[i].w, pieces[i].end_of(pieces[i].w), i, -1});
            for (int s = 0; s < slots(); ++s)
                all.push_back({pieces[i].slot[s], pieces[i].end_of(pieces[i].slot[s]), i, s});
        }
        std::sort(all.begin(), all.end(), [](const Moving& a, const Moving& b) { return a.begin < b.begin; });
        for (std::size_t i = 0; i < pieces.size(); ++i) {
            if (pieces[i].n == 0) continue;
            const char *const begin = pieces[i].g, *const end = pieces[i].end_of(begin);
            const auto next =
                std::partition_point(all.begin(), all.end(), [=](const Moving& m) { return m.begin < end; });
            if (next == all.begin() || std::prev(next)->end <= begin) continue;
            const Moving& met = *std::prev(next);
            const std::string other =
                met.slot < 0 ? params.label(met.piece) : state.label(met.piece) + "[" + std::to_string(met.slot) + "]";
            throw py::value_error(grads.label(i) + " shares memory with " + other + "; pass a copy.");
        }
    }

    void move(const std::vector<Piece>& pieces, const Tick& tick, int wanted) const {
        Index numbers = 0;
        for (const Piece& piece : pieces) numbers += piece.n;
        if (numbers == 0) return;
        const Piece& last = pieces.back();
        const Index blocks = last.first_block + (last.n + block - 1) / block;
        const int limit = wanted > 0 ? wanted : numbers < enough ? 1 : allowed_threads();
        const int most = Team::most(double(blocks), limit);
        TeamSize::call(sizes_, most, 1e-9 * double(numbers), [&](int members) { move(pieces, tick, blocks, members); });
    }

    void move(const std::vector<Piece>& pieces, const Tick& tick, Index blocks, int members) const {
        // Calls f(piece, begin, end) for a member's share of all blocks.
        const auto share = [&](int member, const auto& f) {
            const Index low = blocks * member / members, high = blocks * (member + 1) / members;
            for (const Piece& piece : pieces) {
                const Index begin = std::max<Index>(0, low - piece.first_block) * block;
                const Index end = std::min(piece.n, (high - piece.first_block) * block);
                if (begin < end) f(piece, begin, end);
            }
        };
        double factor = 1.0;
        if (clip_norm_ < no_limit) {
            std::vector<double> squares(std::size_t(blocks), 0.0);
            Team::together(members, [&](int member) {
                share(member,
                      [&](const Piece& piece, Index begin, Index end) { add_squares(piece, begin, end, squares); });
            });
            factor = norm_factor(std::accumulate(squares.begin(), squares.end(), 0.0), clip_norm_);
        }
        Team::together(members, [&](int member) {
            share(member, [&](const Piece& piece, Index begin, Index end) {
                if (piece.bytes == 4) {
                    sweep<float>(*narrow_, tick, factor, piece, begin, end);
                } else {
                    sweep<double>(*wide_, tick, factor, piece, begin, end);
                }
            });
        });
    }

    void add_squares(const Piece& piece, Index begin, Index end, std::vector<double>& squares) const {
        for (Index i = begin; i < end; i += block) {
            const Index n = std::min(block, end - i);
            squares[std::size_t(piece.first_block + i / block)] =
                piece.bytes == 4 ? sum_of_squares(reinterpret_cast<const float*>(piece.g) + i, n, clip_value_)
                                 : sum_of_squares(reinterpret_cast<const double*>(piece.g) + i, n, clip_value_);
        }
    }

    // min(max(g, -limit), limit) * factor, as the sweep takes it: scaled first.
    template <class T>
    void sweep(const Updater<T>& updater, const Tick& tick, double factor, const Piece& piece, Index begin,
               Index end) const {
        Gradient<T> gradient{reinterpret_cast<const T*>(piece.g)};
        gradient.scale = factor;
        gradient.limit = clip_value_ == no_limit ? no_limit : clip_value_ * factor;
        Flat<T> flat;
        flat.w = reinterpret_cast<T*>(piece.w);
        for (int s = 0; s < 3; ++s) flat.slot[s] = reinterpret_cast<T*>(piece.slot[s]);
        updater.sweep(tick, penalty_, gradient, flat, begin, end);
    }

    const std::unique_ptr<Updater<float>> narrow_;
    const std::unique_ptr<Updater<double>> wide_;
    Penalty penalty_;
    const double clip_value_, clip_norm_;
    mutable TeamSize::Memory sizes_;
};

}  // namespace

void bind_optimizers(py::module_& m) {
    m.def("rule_catalog", &rule_catalog, "(name, doc, fields) of every update rule.");
    py::class_<Stepper>(m, "Stepper")
        .def(py::init<const std::string&, const std::vector<std::pair<std::string, double>>&, double, double, double,
                      double>(),
             py::arg("rule"), py::arg("fields"), py::arg("coupled"), py::arg("decay"), py::arg("clip_value"),
             py::arg("clip_norm"))
        .def_property_readonly("slots", &Stepper::slots)
        .def("arrays", &Stepper::arrays, py::arg("params"))
        .def("step", &Stepper::step, py::arg("params"), py::arg("grads"), py::arg("slots"), py::arg("number"),
             py::arg("rate"), py::arg("carry"), py::arg("threads"));
}

}  // namespace fg
