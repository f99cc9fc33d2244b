#pragma once

#include "kernel/gather.hpp"
#include "parts/layer/layer.hpp"
#include "parts/layer/window.hpp"

namespace fg {

// y = f(x * W + b): at each position of a window, a product of the pixels in it with the weights of a filter
// (cross-correlation, as everywhere in this field). In groups: the channels are cut in so many parts, each with filters
// of its own. LeCun et al. (1998), "Gradient-based learning applied to document recognition".
//
// Weights are (kernel height * kernel width * channels of a group, filters). Forward and the gradient of weights read
// the padded image where it lies. So does the way back where windows follow each other pixel by pixel: dx is the
// convolution of dz, padded in its turn, with the weights of the taps in reverse order. Otherwise the products of all
// windows are made for some positions at a time, and added to where they belong: dx = sum over windows of dz W'.
template <class T>
class ConvolutionLayer final : public Layer<T> {
public:
    ConvolutionLayer(const Window& window, Index filters, Index groups, bool bias,
                     std::unique_ptr<Activate<T>> activation, bool first)
        : Layer<T>(window.size(), window.positions() * filters),
          window_(window),
          images_(window),
          filters_(filters),
          groups_(groups),
          bias_(bias),
          first_(first),
          activation_(std::move(activation)),
          starts_(window.starts()),
          positions_(window.positions()),
          channels_(window.channels / groups),
          outputs_(filters / groups),
          depth_(window.taps() * channels_),
          chunk_(std::clamp<Index>((32 << 10) / Index(sizeof(T)) / depth_ / group_rows, 1, 16) * group_rows) {
        require(window.channels % groups == 0 && filters % groups == 0,
                "a convolution's channels and filters must be multiples of its groups");
        taps_.reserve(std::size_t(depth_));
        for (const Index tap : window.offsets())
            for (Index c = 0; c < channels_; ++c) taps_.push_back(tap + c);
        const auto within = [&](int axis) {
            return std::max(window.before[axis], window.after[axis]) < window.reach(axis);
        };
        direct_ = window.stride[0] == 1 && window.stride[1] == 1 && within(0) && within(1);
    }

    std::vector<ParameterArray> parameters() const override {
        std::vector<ParameterArray> parameters{{"coef", depth_, filters_, true}};
        if (bias_) parameters.push_back({"intercept", 1, filters_, false});
        return parameters;
    }

    void prepare(Index rows, bool) override {
        workspace_ = images_.prepare(rows);
        if (direct_) reflect();
        if (!lies_in_panels()) {
            const Index size = rows * groups_ * panels_size<T>(positions_, outputs_);
            slopes_ = Buffer<T>(size);
            workspace_ += size;
        }
        workspace_ += activation_.prepare(rows * this->out);
        pack(true);
    }
    void changed() override { pack(true); }
    void refresh(Index) override { pack(false); }

    Index scratch(Index, bool training) const override {
        if (!training) return window_.pads() ? window_.padded_size() : 0;
        if (first_) return 0;
        if (direct_) return mirror_.pads() ? mirror_.padded_size() : 0;
        return (window_.pads() ? window_.padded_size() : 0) + chunk_ * depth_;
    }

    void forward(const Pass& pass, const T* x, T* y, Rows rows) override {
        for (Index i = rows.begin; i < rows.end; ++i) {
            const T* const image = images_.pad(x, i, pass.training, this->scratch_of(pass));
            T* const z = y + i * this->out;
            for (Index g = 0; g < groups_; ++g)
                multiply_gathered<T>(image + g * channels_, starts_.data(), taps_.data(), weights_of(g), positions_,
                                     outputs_, depth_, {bias_ ? this->w_[1] + g * outputs_ : nullptr, 0},
                                     z + g * outputs_, filters_);
            activation_.forward(pass.training, y, i * this->out, this->out);
        }
    }

    void backward(const Pass& pass, const T*, const T* y, T* dy, T* dx, Rows rows) override {
        for (Index i = rows.begin; i < rows.end; ++i) {
            T* const dz = dy + i * this->out;
            activation_.slope(y, dy, i * this->out, this->out);
            if (!lies_in_panels())
                for (Index g = 0; g < groups_; ++g)
                    pack_rows(dz + g * outputs_, filters_, positions_, outputs_, 0, positions_, slopes_of(i, g));
            if (!dx) continue;
            direct_ ? mirror(dz, dx + i * this->in, this->scratch_of(pass))
                    : scatter(dz, dx + i * this->in, this->scratch_of(pass));
        }
    }

    // A tile has the weights of some taps; the last one is the bias.
    Index tiles() const override { return blocks() + bias_; }
    double cost() const override { return double(std::min(block, depth_) * filters_ * positions_); }
    ParameterTile tile(Index number) const override {
        if (number == blocks()) return {1, 0, filters_};
        return {0, number * block * filters_, taps_of(number).count() * filters_};
    }
    void gradient(const Pass&, Rows rows, Index number, const T* x, const SparseRow<T>*, const T* dz, T* g) override {
        if (number == blocks()) {
            sum_rows(dz + rows.begin * this->out, rows.count() * positions_, filters_, g);
            return;
        }
        const auto [begin, end] = taps_of(number);
        for (Index i = rows.begin; i < rows.end; ++i) {
            const T* const image = images_.padded(x, i);
            for (Index group = 0; group < groups_; ++group) {
                T* const to = g + group * outputs_;
                const T* const slopes = lies_in_panels() ? dz + i * this->out : slopes_of(i, group);
                multiply_gathered<T>(image + group * channels_, taps_.data() + begin, starts_.data(),
                                     {slopes, positions_}, end - begin, outputs_, positions_,
                                     {i > rows.begin ? to : nullptr, filters_}, to, filters_);
            }
        }
    }
    void moved(Index number) override {
        if (number == blocks()) return;
        const auto [begin, end] = taps_of(number);
        pack(begin, end, true);
    }

    double work() const override { return double(positions_ * depth_ * filters_); }
    Index workspace() const override { return workspace_; }
    Capabilities capabilities() const override { return {.reads_output = activation_.reads_output()}; }
    std::unique_ptr<Activate<T>> give_activation() override { return activation_.give(); }

private:
    static constexpr Index block = 4 * group_rows;  // taps of a tile

    Index blocks() const { return (depth_ + block - 1) / block; }
    Rows taps_of(Index number) const { return {number * block, std::min(depth_, (number + 1) * block)}; }
    // Whether the slopes of an image are a panel as they are.
    bool lies_in_panels() const { return groups_ == 1 && (filters_ == lanes<T> || filters_ == panel_columns<T>); }
    T* slopes_of(Index i, Index group) const {
        return slopes_.data() + (i * groups_ + group) * panels_size<T>(positions_, outputs_);
    }
    Panels<T> weights_of(Index group) const {
        return {weights_.data() + group * panels_size<T>(depth_, outputs_), depth_};
    }

    void reflect() {
        mirror_ = {window_.out_height(), window_.out_width(), filters_, {}, {1, 1}, {}, {}, {}};
        for (int axis = 0; axis < 2; ++axis) {
            mirror_.kernel[axis] = window_.kernel[axis];
            mirror_.dilation[axis] = window_.dilation[axis];
            mirror_.before[axis] = window_.reach(axis) - 1 - window_.before[axis];
            mirror_.after[axis] = window_.reach(axis) - 1 - window_.after[axis];
        }
        mirror_starts_ = mirror_.starts();
        mirror_taps_.clear();
        const auto offsets = mirror_.offsets();
        for (auto tap = offsets.rbegin(); tap != offsets.rend(); ++tap)
            for (Index f = 0; f < outputs_; ++f) mirror_taps_.push_back(*tap + f);
    }
    void mirror(const T* dz, T* dx, T* scratch) {
        const T* const slopes = mirror_.padded(dz, scratch, T(0));
        for (Index g = 0; g < groups_; ++g)
            multiply_gathered<T>(slopes + g * outputs_, mirror_starts_.data(), mirror_taps_.data(), back_of(g),
                                 Index(mirror_starts_.size()), channels_, back_depth(), {}, dx + g * channels_,
                                 window_.channels);
    }
    void scatter(const T* dz, T* dx, T* scratch) {
        T* const products = scratch + (window_.pads() ? window_.padded_size() : 0);
        // Taps that lie side by side in the image are added in one go.
        const bool whole = groups_ == 1 && window_.dilation[1] == 1;
        const Index length = whole ? window_.kernel[1] * channels_ : channels_;
        const auto add = [&](T* image, Index group) {
            for (Index first = 0; first < positions_; first += chunk_) {
                const Index count = std::min(chunk_, positions_ - first);
                multiply<T>({dz + first * filters_ + group * outputs_, filters_, 1}, back_of(group), count, depth_,
                            outputs_, {}, products, depth_);
                for (Index p = 0; p < count; ++p) {
                    T* const to = image + group * channels_ + starts_[std::size_t(first + p)];
                    const T* const from = products + p * depth_;
                    for (Index q = 0; q < depth_; q += length) axpy(T(1), from + q, to + taps_[std::size_t(q)], length);
                }
            }
        };
        window_.collect(dx, scratch, true, [&](T* image) {
            for (Index group = 0; group < groups_; ++group) add(image, group);
        });
    }

    void pack(bool back) {
        if (!weights_.data()) weights_ = Buffer<T>(groups_ * panels_size<T>(depth_, outputs_));
        if (back && !first_ && !transposed_.data()) transposed_ = Buffer<T>(groups_ * back_size());
        pack(0, depth_, back);
    }
    void pack(Index begin, Index end, bool back) {
        for (Index g = 0; g < groups_; ++g) {
            const T* const W = this->w_[0] + g * outputs_;
            pack_rows(W, filters_, depth_, outputs_, begin, end,
                      weights_.data() + g * panels_size<T>(depth_, outputs_));
            if (!back || first_) continue;
            T* const to = transposed_.data() + g * back_size();
            if (!direct_) {
                pack_transposed(W, filters_, outputs_, depth_, begin, end, to);
                continue;
            }
            for (Index tap = begin / channels_; tap * channels_ < end; ++tap) {
                const Index first = tap * channels_;
                pack_transposed(W + first * filters_, filters_, outputs_, channels_, std::max<Index>(0, begin - first),
                                std::min(channels_, end - first), to, back_depth(), tap * outputs_);
            }
        }
    }

    // What is multiplied with on the way back, in panels: (filters, taps and channels), or, if direct, (taps and
    // filters, channels).
    Index back_depth() const { return direct_ ? window_.taps() * outputs_ : outputs_; }
    Index back_size() const { return panels_size<T>(back_depth(), direct_ ? channels_ : depth_); }
    Panels<T> back_of(Index group) const { return {transposed_.data() + group * back_size(), back_depth()}; }

    const Window window_;
    Images<T> images_;
    const Index filters_, groups_;
    const bool bias_, first_;  // first: nobody wants dx
    OutputActivation<T> activation_;
    const std::vector<Index> starts_;
    const Index positions_, channels_, outputs_;  // channels and filters of a group
    const Index depth_, chunk_;                   // taps times channels; positions at a time on the way back
    std::vector<Index> taps_;
    bool direct_;    // whether the way back is a convolution, too
    Window mirror_;  // if so: its windows, in the slopes
    std::vector<Index> mirror_starts_, mirror_taps_;
    Index workspace_ = 0;
    Buffer<T> weights_, transposed_;  // in panels, group by group
    Buffer<T> slopes_;                // dz of the batch, in panels, image by image
};

}  // namespace fg
