// What convolutions and pooling share: windows that slide over an image of channels, channels last.
#pragma once

#include <algorithm>
#include <vector>

#include "core/base.hpp"
#include "core/buffer.hpp"
#include "parts/layer/layer.hpp"

namespace fg {

// Sizes are in pixels; along y first. An image of one row is a sequence.
struct Window {
    Index height, width, channels;
    Index kernel[2], stride[2], dilation[2];
    Index before[2], after[2];  // padding

    Index out_height() const { return (padded_height() - reach(0)) / stride[0] + 1; }
    Index out_width() const { return (padded_width() - reach(1)) / stride[1] + 1; }
    Index padded_height() const { return height + before[0] + after[0]; }
    Index padded_width() const { return width + before[1] + after[1]; }
    Index reach(int axis) const { return (kernel[axis] - 1) * dilation[axis] + 1; }
    Index size() const { return height * width * channels; }
    Index padded_size() const { return padded_height() * padded_width() * channels; }
    Index positions() const { return out_height() * out_width(); }
    Index taps() const { return kernel[0] * kernel[1]; }
    bool pads() const { return before[0] || before[1] || after[0] || after[1]; }
    bool overlaps() const { return stride[0] < reach(0) || stride[1] < reach(1); }
    // Whether every pixel is in one window.
    bool partitions() const {
        return !overlaps() && !pads() && height == out_height() * kernel[0] && width == out_width() * kernel[1];
    }
    void check() const {
        const auto small = [](Index n) { return 0 <= n && n < most_numbers; };
        require(small(height) && small(width) && small(channels), "an image is too large");
        for (int axis = 0; axis < 2; ++axis) {
            require(kernel[axis] > 0 && stride[axis] > 0 && dilation[axis] > 0,
                    "a window's kernel, stride and dilation must be positive");
            require(small(kernel[axis]) && small(stride[axis]) && small(dilation[axis]) && small(before[axis]) &&
                        small(after[axis]),
                    "a window's kernel, stride, dilation and padding must be below 2^31");
        }
        require(small(product(product(padded_height(), padded_width()), channels)) &&
                    small(product(product(kernel[0], kernel[1]), channels)),
                "an image with its padding, or a window, has 2^31 numbers or more");
        require(padded_height() >= reach(0) && padded_width() >= reach(1), "a window is larger than the image");
    }

    // Where, in the padded image, windows begin and what they hold.
    std::vector<Index> starts() const {
        const Index rows = out_height(), columns = out_width(), line = padded_width();
        std::vector<Index> offsets;
        offsets.reserve(std::size_t(rows * columns));
        for (Index y = 0; y < rows; ++y)
            for (Index x = 0; x < columns; ++x) offsets.push_back((y * stride[0] * line + x * stride[1]) * channels);
        return offsets;
    }
    std::vector<Index> offsets() const {
        std::vector<Index> offsets;
        for (Index y = 0; y < kernel[0]; ++y)
            for (Index x = 0; x < kernel[1]; ++x)
                offsets.push_back((y * dilation[0] * padded_width() + x * dilation[1]) * channels);
        return offsets;
    }

    // The image with its padding: itself where it has none.
    template <class T>
    const T* padded(const T* image, T* to, T border) const {
        if (!pads()) return image;
        std::fill_n(to, padded_size(), border);
        inner(image, to);
        return to;
    }
    // Only what is inside the borders.
    template <class T>
    void inner(const T* image, T* to) const {
        for (Index y = 0; y < height; ++y) std::copy_n(image + y * width * channels, width * channels, to + inside(y));
    }
    template <class T>
    void unpadded(const T* from, T* image) const {
        for (Index y = 0; y < height; ++y)
            std::copy_n(from + inside(y), width * channels, image + y * width * channels);
    }

    // f(to) fills an image, padding included, which then is lost; `clear`: it begins with zeros.
    template <class T, class F>
    void collect(T* image, T* scratch, bool clear, F&& f) const {
        T* const to = pads() ? scratch : image;
        if (clear) std::fill_n(to, padded_size(), T(0));
        f(to);
        if (pads()) unpadded(to, image);
    }

private:
    Index inside(Index y) const { return ((y + before[0]) * padded_width() + before[1]) * channels; }
};

// The padded images of a batch in training, kept for the gradient; those without padding lie where they are.
template <class T>
class Images {
public:
    explicit Images(const Window& window) : window_(window) {}

    // Returns how many numbers it takes.
    Index prepare(Index rows) {
        if (!window_.pads()) return 0;
        const Index size = rows * window_.padded_size();
        kept_ = Buffer<T>(size);
        std::fill_n(kept_.data(), size, T(0));
        return size;
    }
    // Image i of x, padded; outside training in scratch.
    const T* pad(const T* x, Index i, bool training, T* scratch) {
        const T* const image = x + i * window_.size();
        if (!training || !window_.pads()) return window_.padded(image, scratch, T(0));
        window_.inner(image, kept(i));
        return kept(i);
    }
    // The same again, after `pad` in training.
    const T* padded(const T* x, Index i) const { return window_.pads() ? kept(i) : x + i * window_.size(); }

private:
    T* kept(Index i) const { return kept_.data() + i * window_.padded_size(); }

    const Window window_;
    Buffer<T> kept_;
};

}  // namespace fg
