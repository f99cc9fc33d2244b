// Steps of a rule on arrays of the caller's, swept as if they were one.
#include <algorithm>
#include <numeric>

#include "core/team.hpp"
#include "engine/kernel_engine.hpp"
#include "train/updater.hpp"

namespace fg {

namespace {

// Some numbers of an array.
struct ArrayRange {
    const StepArray& array;
    Index first_block;  // blocks of the arrays before
    Index begin, end;
};

class StepperOfRule final : public Stepper {
public:
    StepperOfRule(const PartSpec& rule, const Penalty& penalty, double clip_value, double clip_norm)
        : narrow_(make_updater<float>(rule)),
          wide_(make_updater<double>(rule)),
          penalty_(penalty),
          clip_value_(clip_value),
          clip_norm_(clip_norm) {}

    int slots() const override { return narrow_->slots(); }

    double step(std::span<const StepArray> arrays, Index number, double rate, double carry,
                int threads) const override {
        const Tick tick{number, rate, carry};
        Index numbers = 0, blocks = 0;
        for (const auto& array : arrays) {
            numbers += array.n;
            blocks += blocks_of(array);
        }
        if (numbers > 0) {
            const int limit = threads > 0 ? threads : numbers < enough ? 1 : allowed_threads();
            const int most = Team::most(double(blocks), limit);
            TeamSize::call(sizes_, most, 1e-9 * double(numbers),
                           [&](int members) { move(arrays, tick, blocks, members); });
        }
        return narrow_->carry(tick);
    }

private:
    static constexpr Index block = 4096;      // threads, and the sums of clip_norm, cut arrays at multiples of it
    static constexpr Index enough = 100'000;  // numbers for which waking a team pays

    static Index blocks_of(const StepArray& array) { return (array.n + block - 1) / block; }

    void move(std::span<const StepArray> arrays, const Tick& tick, Index blocks, int members) const {
        // Calls f(range) for what a member has of all blocks.
        const auto each = [&](int member, const auto& f) {
            const Index low = blocks * member / members, high = blocks * (member + 1) / members;
            Index before = 0;
            for (const auto& array : arrays) {
                const Index begin = std::max<Index>(0, low - before) * block;
                const Index end = std::min(array.n, (high - before) * block);
                if (begin < end) f(ArrayRange{array, before, begin, end});
                before += blocks_of(array);
            }
        };
        double factor = 1.0;
        if (clip_norm_ < no_limit) {
            std::vector<double> squares(std::size_t(blocks), 0.0);
            Team::together(members, [&](int member) {
                each(member, [&](const ArrayRange& range) { add_squares(range, squares); });
            });
            factor = norm_factor(std::accumulate(squares.begin(), squares.end(), 0.0), clip_norm_);
        }
        Team::together(members, [&](int member) {
            each(member, [&](const ArrayRange& range) {
                range.array.dtype == Dtype::float32 ? sweep(*narrow_, tick, factor, range)
                                                    : sweep(*wide_, tick, factor, range);
            });
        });
    }

    void add_squares(const ArrayRange& range, std::vector<double>& squares) const {
        const auto& array = range.array;
        for (Index i = range.begin; i < range.end; i += block) {
            const Index n = std::min(block, range.end - i);
            squares[std::size_t(range.first_block + i / block)] =
                array.dtype == Dtype::float32 ? sum_of_squares(static_cast<const float*>(array.g) + i, n, clip_value_)
                                              : sum_of_squares(static_cast<const double*>(array.g) + i, n, clip_value_);
        }
    }

    // min(max(g, -limit), limit) * factor, as the sweep takes it: scaled first.
    template <class T>
    void sweep(const Updater<T>& updater, const Tick& tick, double factor, const ArrayRange& range) const {
        const auto& array = range.array;
        Gradient<T> gradient{static_cast<const T*>(array.g)};
        gradient.scale = factor;
        gradient.limit = clip_value_ == no_limit ? no_limit : clip_value_ * factor;
        Flat<T> flat;
        flat.w = static_cast<T*>(array.w);
        for (int s = 0; s < 3; ++s) flat.slot[s] = static_cast<T*>(array.slot[s]);
        updater.sweep(tick, penalty_, gradient, flat, range.begin, range.end);
    }

    const std::unique_ptr<Updater<float>> narrow_;
    const std::unique_ptr<Updater<double>> wide_;
    const Penalty penalty_;
    const double clip_value_, clip_norm_;
    mutable TeamSize::Memory sizes_;
};

}  // namespace

std::unique_ptr<Stepper> KernelEngine::stepper(const PartSpec& rule, const Penalty& penalty, double clip_value,
                                               double clip_norm) const {
    return std::make_unique<StepperOfRule>(rule, penalty, clip_value, clip_norm);
}

}  // namespace fg
