// Any rule, on sparse rows: the gradient is gathered in an array, and all parameters are swept.
#pragma once

#include <algorithm>
#include <vector>

#include "train/linear/sparse_strategy.hpp"

namespace fg {

template <class T, class I>
class SparseSwept final : public SparseStrategy<T, I> {
    using Workspace = SparseWorkspace<T, I>;

public:
    using SparseStrategy<T, I>::SparseStrategy;

    // Every member sweeps its own features, and the first the intercepts.
    void divide(int members) override {
        ranges_.assign(std::size_t(members), {});
        for (const auto b : this->numbers_) {
            for (int member = 0; member < members; ++member)
                for (const auto& range : this->space_.owners.of(member))
                    this->update_.add_ranges(b, range.begin, range.end, ranges_[std::size_t(member)]);
            this->update_.add_ranges(b, this->features(), this->features() + 1, ranges_[0]);
        }
    }

    void add_up(const Batch& batch, int member) override {
        this->each_owned(member, [&](const ModelBlock<T>& block, const FeatureRange& range) {
            if constexpr (Workspace::sums_in_place) {
                double* const g = this->space_.gradient_of(block);
                std::fill(g + range.begin * block.width, g + range.end * block.width, 0.0);
                this->add_slopes(batch, block, range, g);
            } else {
                this->add_slopes(batch, block, range, this->space_.wide_of(block));
                this->hand_over(block, range.begin, range.end);
            }
        });
    }

    void update(const Batch& batch, int member, int members, Barrier& barrier) override {
        this->update_.run(
            batch.number, ranges_[std::size_t(member)], member, members, barrier,
            [this](const ModelBlock<T>& block) { return Gradient<T>{.g = this->space_.gradient_of(block)}; });
    }

private:
    std::vector<std::vector<ModelRange>> ranges_;  // by member
};

}  // namespace fg
