// Which member of the team owns which features of sparse rows.
#pragma once

#include <algorithm>
#include <iterator>
#include <map>
#include <vector>

#include "core/team.hpp"
#include "kernel/products.hpp"
#include "train/linear/batches.hpp"

namespace fg {

// The features are cut into two parts, and each into ranges, one a member. Whatever writes weights is done by the owner
// of the feature: so no two members meet, and the order of a sum is that of the rows. Margins are sums of the two
// parts': so two members each read the weights that they wrote themselves, from their own cache.
template <class T, class I>
class FeatureOwners {
public:
    // `sorted`: whether the indices of each row ascend; `length`: entries of a row to train on, on average.
    FeatureOwners(const Csr<T, I>& X, bool sorted, double length, const Batches& batches)
        : X(X), sorted(sorted), parts(sorted && length >= 8.0 ? 2 : 1), batches_(batches) {
        boundary_ = parts == 2 ? quantiles(0, X.cols(), 2)[1] : X.cols();
    }

    const Csr<T, I> X;
    const bool sorted;
    const Index parts;

    // The entries of rows within a part.
    PartOf<T, I> part(Index k) const { return {X, split_.empty() ? nullptr : split_.data(), k}; }

    // Finds out where each row passes from the first part to the second, once for all epochs.
    void split_rows(int most_members) {
        if (parts == 1 || !split_.empty()) return;
        split_.resize(std::size_t(X.rows()));
        static TeamSize::Memory sizes;
        Team::call(sizes, most_members, 5e-8 * double(X.rows()), [&](int member, int members) {
            for (Index i = X.rows() * member / members; i < X.rows() * (member + 1) / members; ++i)
                split_[std::size_t(i)] = std::uint32_t(below(X.sample(i), boundary_));
        });
    }

    // Members own ranges of the parts in turn: the first of part 0, the second of part 1, the third of part 0, ... A
    // single member owns all, and begins with the part that it read last.
    void divide(int members) {
        auto& ranges = cuts_[members];
        ranges_ = &ranges;
        if (!ranges.empty()) return;
        ranges.resize(std::size_t(members));
        for (Index part = parts - 1; part >= 0; --part) {
            const Index begin = part == 0 ? 0 : boundary_, end = part + 1 == parts ? X.cols() : boundary_;
            const Index owners = owners_of(part, members);
            const auto cuts = quantiles(begin, end, owners);
            for (Index q = 0; q < owners; ++q)
                ranges[std::size_t((part + q * parts) % members)].push_back(
                    {part, cuts[std::size_t(q)], cuts[std::size_t(q) + 1], owners == 1});
        }
    }
    const std::vector<FeatureRange>& of(int member) const { return (*ranges_)[std::size_t(member)]; }

    // How many members own features of a part, and share its margins.
    Index owners_of(Index part, Index members) const { return members == 1 ? 1 : (members - part + parts - 1) / parts; }

private:
    // Features that cut the entries between two features into so many about equal numbers, by a sample of the rows to
    // train on; with the two.
    std::vector<Index> quantiles(Index begin, Index end, Index ranges) const {
        std::vector<I> sample;
        const Index step = std::max<Index>(1, batches_.rows() / 256);
        for (Index i = 0; i < batches_.rows() && ranges > 1; i += step) {
            const auto row = X.sample(batches_.listed(i));
            std::copy_if(row.index, row.index + row.n, std::back_inserter(sample),
                         [=](I j) { return Index(j) >= begin && Index(j) < end; });
        }
        std::sort(sample.begin(), sample.end());
        std::vector<Index> cuts(std::size_t(ranges) + 1, end);
        cuts[0] = begin;
        for (std::size_t m = 1; m < std::size_t(ranges) && !sample.empty(); ++m)
            cuts[m] = std::clamp(Index(sample[sample.size() * m / std::size_t(ranges)]) + 1, cuts[m - 1], end);
        return cuts;
    }

    const Batches& batches_;
    Index boundary_ = 0;                // where the features of the second part begin
    std::vector<std::uint32_t> split_;  // (rows,): how many entries lie in the first part; empty if there is no second
    std::map<int, std::vector<std::vector<FeatureRange>>> cuts_;  // by number of members: the ranges of each
    const std::vector<std::vector<FeatureRange>>* ranges_ = nullptr;
};

}  // namespace fg
