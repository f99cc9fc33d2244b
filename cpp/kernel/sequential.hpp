// The sequential engine: one sample, one step, in scikit-learn's order of operations (batch_size=1).
//
//   p = w·x + b, the loss and the penalty of the moment enter the objective
//   w *= max(0, 1 - l2 eta)                  the decay comes before the step and ignores sample weights
//   w -= eta slope(y, p) weight x            losses without a largest curvature (Poisson, Gamma): eta weight is at most
//                                            (loss - least loss) / |gradient|^2, the truncated model of Asi & Duchi
//                                            (2019), "The importance of better models in stochastic optimization"
//   b -= (eta slope(y, p) weight + eta offset_rate) intercept_decay
//   average of w and b from step average_from on (Bottou 2012, "SGD tricks", section 5.1)
//   L1: cumulative truncation of the coordinates that x touches (Tsuruoka, Tsujii & Ananiadou 2009)
//
// w is kept as scale * w, so that decay costs O(1). Sums and scale are doubles; weights, and the single decay factor
// and step that meet them, are rounded to the data's type, as scikit-learn rounds them.
//
// What takes the time is the chain from one margin to the next: step, row update, product, slope. For dense
// rows without L1 it is cut: from w_i, the product with the *next* row and the product of the two rows are
// taken while the slope is still being computed, because
//   w_{i+1}·x_{i+1} = w_i·x_{i+1} + step (x_i·x_{i+1}),
// so that only a multiply-add, the slope and a few scalars remain in the chain.
#pragma once

#include <algorithm>
#include <type_traits>

#include "core/view.hpp"
#include "kernel/settings.hpp"
#include "parts/loss/point.hpp"

namespace fg {

// Targets of one output. With label < 0 they stand in y; else y holds class codes, and the target is 1 where
// y == label and `side[0]` elsewhere.
template <class T>
struct Targets {
    const T* y = nullptr;
    const T* weight = nullptr;  // sample weights; null: all 1
    int label = -1;
    double side[2] = {-1.0, 1.0};  // the targets of other classes and of `label`
    T side_weight[2] = {1, 1};     // class weights: of targets <= 0, of targets > 0

    // By index, not by branch: which class comes next cannot be predicted.
    double target(Index i) const { return label < 0 ? double(y[i]) : side[y[i] == T(label)]; }
    FG_INLINE void prefetch(Index i) const {
        prefetch_line(y + i);
        if (weight) prefetch_line(weight + i);
    }
    double sample_weight(Index i) const { return weight ? double(weight[i]) : 1.0; }
};

// Everything that changes while one output is trained.
template <class T>
struct State {
    T* w = nullptr;
    T* average = nullptr;    // null: no averaging
    T* truncated = nullptr;  // L1 already applied to each coordinate (Tsuruoka's q); null: no L1
    Index cols = 0;
    double scale = 1.0;
    double intercept = 0.0, average_intercept = 0.0;
    double t = 1.0;
    double eta = 0.0;                         // the rate of schedules that do not follow t
    double truncation = 0.0;                  // L1 that a coordinate should have received (Tsuruoka's u)
    double average_a = 0.0, average_b = 1.0;  // the mean is (average + a w) / b
    double square = 0.0, absolute = 0.0;      // ||w||^2 and ||w||_1 of the scaled weights
    double loss = 0.0, penalty = 0.0;         // sums over the epoch so far

    static constexpr double smallest_scale = std::is_same_v<T, float> ? 1e-6 : 1e-9;

    // Scale enters w, and the running mean `average`.
    void fold() {
        if (average) {
            const T a = T(average_a), inverse = T(1.0 / average_b);
            for (Index j = 0; j < cols; ++j) average[j] = (average[j] + a * w[j]) * inverse;
            average_a = 0.0;
            average_b = 1.0;
        }
        const T factor = T(scale);
        for (Index j = 0; j < cols; ++j) w[j] *= factor;
        scale = 1.0;
    }

    // The norms afresh: a row at a time they are carried along, and rounding would add up.
    void measure() {
        double squares = 0.0, sizes = 0.0;
#pragma omp simd reduction(+ : squares, sizes)
        for (Index j = 0; j < cols; ++j) {
            squares += double(w[j]) * double(w[j]);
            sizes += std::fabs(double(w[j]));
        }
        square = squares * scale * scale;
        absolute = sizes * scale;
    }
};

// One step of L1 on the touched coordinates, together with w += k x. Keeps the norms up to date.
template <class T, class Row>
FG_INLINE void add_truncated(State<T>& s, const Row& row, T k) {
    T* const w = s.w;
    T* const truncated = s.truncated;
    const double u = s.truncation, scale = s.scale, inverse = 1.0 / scale;
    const auto [squares, sizes] = row.fold([=](Index j, T x, T& square, T& absolute) {
        const T old = w[j];
        const T z = old + k * x;
        const double q = double(truncated[j]);
        const double down = double(z) - (u + q) * inverse, up = double(z) + (u - q) * inverse;
        const double towards_zero = z > T(0) ? (down > 0.0 ? down : 0.0) : (up < 0.0 ? up : 0.0);
        const T v = z == T(0) ? z : T(towards_zero);
        w[j] = v;
        truncated[j] = T(q + scale * (double(v) - double(z)));
        square += v * v - old * old;
        absolute += std::fabs(v) - std::fabs(old);
    });
    s.square += scale * scale * double(squares);
    s.absolute += scale * double(sizes);
}

// What is known of the next samples before they are trained on, and their margins once they have been.
// Preparing some at a time keeps lookups and divisions out of the loop over samples.
template <class T>
struct Samples {
    static constexpr Index size = 64;
    double y[size], eta[size];
    double pull[size];   // minus the rate (1 for the passive-aggressive ones) times the sample's weight
    double decay[size];  // factor on w, rounded to T
    double margin[size];

    void prepare(const Settings& settings, const Targets<T>& targets, bool passive, double t, double rate,
                 const std::uint32_t* order, int n) {
        settings.schedule.fill(t, rate, n, eta);
        for (int k = 0; k < n; ++k) {
            const double shrunk = 1.0 - settings.l2 * eta[k];
            decay[k] = double(T(0.0 > shrunk ? 0.0 : shrunk));
        }
        for (int k = 0; k < n; ++k) {
            y[k] = targets.target(order[k]);
            const double weight = double(targets.side_weight[y[k] > 0.0]) * targets.sample_weight(order[k]);
            pull[k] = passive ? -weight : -eta[k] * weight;
        }
    }

    // Sum of the losses of the first n samples. Apart from the loop over samples, which waits for slopes only.
    template <class Loss>
    double total(const Loss& loss, int n) const {
        constexpr int L = lanes<double>;
        Pack<double> sums = zero<Pack<double>>();
        int k = 0;
        for (; k + L <= n; k += L) sums += loss.template at<Pack<double>>(load<L>(y + k), load<L>(margin + k)).value;
        double rest = 0.0;
        for (; k < n; ++k) rest += loss.at(all<Lone>(y[k]), all<Lone>(margin[k])).value[0];
        return sum(sums) + rest;
    }
};

// Rows that come in any order are asked for in stages; see core/view.hpp. order[0..known) may be.
template <class View>
FG_INLINE void prefetch_samples(const View& X, const Targets<typename View::Scalar>& targets,
                                const std::uint32_t* order, Index i, Index known, Index lead, bool in_cache) {
    constexpr Index size = Samples<typename View::Scalar>::size;
    if (i + 3 * lead < known) {
        X.prefetch_place(order[i + 3 * lead]);
        if (!in_cache) X.prefetch_far(order[i + 2 * lead]);
        X.prefetch(order[i + lead]);
    }
    if (i + size < known) targets.prefetch(order[i + size]);
}

// What a sample asks for: w moves by slope * pull along x.
struct Move {
    double slope, pull;
};

// The move of sample k, at its margin, with the square of its row. The penalty of the moment enters the objective.
template <class T, class Loss>
FG_INLINE Move move_of(const Loss& loss, const Settings& settings, bool passive, const Samples<T>& samples, int k,
                       double margin, double square, State<T>& s) {
    constexpr double largest_slope = 1e12;
    const Point<Lone> point = loss.at(all<Lone>(samples.y[k]), all<Lone>(margin));
    double slope, pull = samples.pull[k];
    if (passive) {
        // Crammer et al. (2006), PA-I and PA-II; the size of the slope is 1
        const double eta0 = settings.schedule.eta0;
        slope = point.slope[0];
        pull *= settings.schedule.rate == Rate::pa1 ? std::min(eta0, point.value[0] / square)
                                                    : point.value[0] / (square + 0.5 / eta0);
    } else {
        s.penalty += 0.5 * settings.l2 * s.square + settings.l1 * s.absolute + settings.offset_rate * s.intercept;
        slope =
            Loss::bounded ? point.slope[0] : smaller<Lone>(largest_slope, larger<Lone>(-largest_slope, point.slope))[0];
    }
    if constexpr (requires { loss.least(0.0); }) {
        slope = point.slope[0];
        const double excess = std::max(0.0, point.value[0] - loss.least(samples.y[k]));
        const double most = excess / slope / slope / (square + settings.intercept_decay);
        if (pull < -most) pull = -most;  // NaN, where the slope is 0, changes nothing
    }
    return {slope, pull};
}

// The running mean of w and b after a step along x.
template <class T, class Row>
FG_INLINE void average_step(State<T>& s, const Row& x, T step, double update, double average_from) {
    const double steps = s.t - average_from + 1.0;
    if (update != 0.0) x.axpy(T(-s.average_a) * step, s.average);
    if (steps > 1.0) s.average_b /= 1.0 - 1.0 / steps;
    s.average_a += s.average_b * s.scale / steps;
    s.average_intercept += (s.intercept - s.average_intercept) / steps;
}

// Trains on rows order[0..count); order[0..known) may be prefetched. Ahead: cut the chain (see above).
template <bool Ahead, class View, class Loss>
void train_rows(const View& X, const Targets<typename View::Scalar>& targets, const Loss& loss, const Settings& given,
                State<typename View::Scalar>& state, const std::uint32_t* order, Index count, Index known) {
    using T = typename View::Scalar;
    const Settings settings = given;  // nobody else has this copy, so it may stay in registers
    const Rate rate = settings.schedule.rate;
    const bool passive = rate == Rate::pa1 || rate == Rate::pa2;
    const Index lead = X.lead();
    const bool in_cache = X.bytes() <= (8 << 20);  // the near ones then do

    State<T> s = state;
    Samples<T> samples;
    double margin = 0.0, square = 0.0;
    const auto look_at = [&](const auto& row) FG_INLINED {
        margin = double(row[0]) * s.scale + s.intercept;
        square = double(row[1]);
    };
    if constexpr (Ahead) look_at(X.sample(order[0]).dot_square(s.w));

    for (Index begin = 0; begin < count; begin += Samples<T>::size) {
        const int n = int(std::min(Samples<T>::size, count - begin));
        samples.prepare(given, targets, passive, s.t, s.eta, order + begin, n);
        for (int k = 0; k < n; ++k) {
            const Index i = begin + k;
            prefetch_samples(X, targets, order, i, known, lead, in_cache);
            const auto x = X.sample(order[i]);
            [[maybe_unused]] std::array<T, 3> next;
            if constexpr (Ahead) {
                next = X.sample(order[i + 1 < count ? i + 1 : i]).dot_square_cross(s.w, x);
            } else {
                look_at(x.dot_square(s.w));
            }

            samples.margin[k] = margin;
            if (rate == Rate::pa1 && square == 0.0) {  // an empty row is no step
                if constexpr (Ahead) look_at(next);
                continue;
            }
            const auto [slope, pull] = move_of(loss, settings, passive, samples, k, margin, square, s);
            const double update = slope * pull;

            const double decay = samples.decay[k];
            const double product = (margin - s.intercept) * decay;
            s.square *= decay * decay;
            s.absolute *= decay;
            s.scale *= decay;
            if (s.scale < State<T>::smallest_scale) {
                if constexpr (Ahead) next[0] *= T(s.scale);
                s.fold();
            }

            const T step = T(update) / T(s.scale);
            if (s.truncated) {
                s.truncation += settings.l1 * samples.eta[k];
                add_truncated(s, x, step);
            } else if (update != 0.0) {
                x.axpy(step, s.w);
                s.square += update * (2.0 * product + update * square);
            }

            const double offset_step = samples.eta[k] * settings.offset_rate;
            if constexpr (Ahead) {
                const double fixed = double(next[0]) * s.scale + (s.intercept - offset_step * settings.intercept_decay);
                margin = fixed + slope * (pull * (double(next[2]) + settings.intercept_decay));
                square = double(next[1]);
            }
            // not fused: a step there and one back end where they began
            s.intercept += rounded((update - offset_step) * settings.intercept_decay);

            if (s.average && settings.average_from <= s.t) average_step(s, x, step, update, settings.average_from);
            s.t += 1.0;
        }
        s.loss += samples.total(loss, n);
    }
    state = s;
}

}  // namespace fg
