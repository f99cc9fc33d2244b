"""Convolutions and pooling: windows over images of channels, channels last. A sequence is an image of one row."""

import math

import numpy as np

from .dense import Activation
from .layer import Layer


def pair(value):
    """The number for each axis."""
    return tuple(value) if isinstance(value, (tuple, list)) else (value, value)


class Window:
    """Windows over images: where they begin, and the padding around the image, axis by axis."""

    def __init__(self, kernel, stride=1, padding="valid", dilation=1):
        self.kernel, self.stride, self.padding, self.dilation = pair(kernel), pair(stride), padding, pair(dilation)

    def around(self, size, axis):
        """Padding before and after an axis; 'same' makes ``ceil(size / stride)`` windows, an odd one comes after."""
        if self.padding == "valid":
            return 0, 0
        if self.padding != "same":
            return pair(self.padding)[axis], pair(self.padding)[axis]
        reach = (self.kernel[axis] - 1) * self.dilation[axis] + 1
        windows = math.ceil(size / self.stride[axis])
        total = max(0, (windows - 1) * self.stride[axis] + reach - size)
        return total // 2, total - total // 2

    def padded(self, x, border):
        around = [self.around(x.shape[1 + axis], axis) for axis in (0, 1)]
        return np.pad(x, [(0, 0), *around, (0, 0)], constant_values=border)

    def inside(self, padded, shape):
        """The image without its padding; `shape`: of its batch."""
        (top, _), (left, _) = self.around(shape[1], 0), self.around(shape[2], 1)
        return padded[:, top : top + shape[1], left : left + shape[2]]

    def taps(self, padded):
        """For each pixel of a window, (ky, kx): where it lies in the padded images, one place for each window."""

        def places(axis, k):
            reach = (self.kernel[axis] - 1) * self.dilation[axis] + 1
            windows = (padded.shape[1 + axis] - reach) // self.stride[axis] + 1
            first = k * self.dilation[axis]
            return slice(first, first + (windows - 1) * self.stride[axis] + 1, self.stride[axis])

        return {
            (ky, kx): (slice(None), places(0, ky), places(1, kx))
            for ky in range(self.kernel[0])
            for kx in range(self.kernel[1])
        }


class Conv2D(Layer):
    """f(sum over the pixels of a window of x W, plus b), group by group: LeCun et al. (1998), section II.A.

    W is (kernel height * kernel width * channels of a group, filters).
    """

    def __init__(self, W, b, kernel, activation="identity", stride=1, padding="valid", dilation=1, groups=1):
        self.weights = [W] if b is None else [W, b]
        self.window, self.groups = Window(kernel, stride, padding, dilation), groups
        self.activation = Activation(activation)

    @classmethod
    def of(cls, layer, shape, given):
        W, b = given.weight(), given.weight() if layer.bias else None
        places = layer.stride, layer.padding, layer.dilation, layer.groups
        return cls(W, b, layer.kernel_size, layer.activation or "identity", *places)

    def parts(self):
        """Channels, filters of each group."""
        filters = self.weights[0].shape[1] // self.groups
        channels = self.weights[0].shape[0] // math.prod(self.window.kernel)
        for g in range(self.groups):
            yield slice(g * channels, (g + 1) * channels), slice(g * filters, (g + 1) * filters)

    def by_taps(self, W):
        return W.reshape(*self.window.kernel, -1, W.shape[1])

    def forward(self, x, training):
        self.shape, self.x = x.shape, self.window.padded(x, 0.0)
        W, z = self.by_taps(self.weights[0]), 0.0
        for tap, at in self.window.taps(self.x).items():
            pixels = self.x[at]
            z = z + np.concatenate([pixels[..., c] @ W[tap][:, f] for c, f in self.parts()], axis=-1)
        if len(self.weights) == 2:
            z = z + self.weights[1][0]
        return self.activation.forward(z, training)

    def backward(self, dy):
        dz = self.activation.backward(dy)
        W, dW, dx = self.by_taps(self.weights[0]), np.zeros_like(self.weights[0]), np.zeros_like(self.x)
        for tap, at in self.window.taps(self.x).items():
            for c, f in self.parts():
                slope, pixels = dz[..., f], self.x[at][..., c]
                self.by_taps(dW)[tap][:, f] = np.tensordot(pixels, slope, ((0, 1, 2), (0, 1, 2)))
                dx[at][..., c] += slope @ W[tap][:, f].T
        self.gradients = [dW, dz.sum(axis=(0, 1, 2))[None]][: len(self.weights)]
        return self.window.inside(dx, self.shape)

    def matrices(self):
        return self.weights[:1]

    def told(self, mask):
        return None

    def gaps(self):
        return self.activation.gaps()


class Conv1D(Conv2D):
    """The same of an image of one row: Waibel et al. (1989)."""

    def __init__(self, W, b, kernel, activation="identity", stride=1, padding="valid", dilation=1, groups=1):
        padding = padding if isinstance(padding, str) else (0, padding)
        super().__init__(W, b, (1, kernel), activation, (1, stride), padding, (1, dilation), groups)

    def forward(self, x, training):
        return super().forward(x[:, None], training)[:, 0]

    def backward(self, dy):
        return super().backward(dy[:, None])[:, 0]


class MaxPool2D(Layer):
    """The largest number of each window; padding never is. The slope goes to the first that is as large."""

    def __init__(self, kernel, stride=None, padding="valid"):
        self.window = Window(kernel, kernel if stride is None else stride, padding)

    @classmethod
    def of(cls, layer, shape, given):
        return cls(layer.pool_size, layer.stride, layer.padding)

    def forward(self, x, training):
        self.shape, self.x = x.shape, self.window.padded(x, -np.inf)
        self.seen = np.stack([self.x[at] for at in self.window.taps(self.x).values()])
        self.first = self.seen.argmax(axis=0)
        return self.seen.max(axis=0)

    def backward(self, dy):
        dx = np.zeros_like(self.x)
        for number, at in enumerate(self.window.taps(self.x).values()):
            dx[at] += np.where(self.first == number, dy, 0.0)
        return self.window.inside(dx, self.shape)

    def told(self, mask):
        return None

    def gaps(self):
        """How much larger the largest is than the next."""
        if len(self.seen) == 1:
            return np.empty(0)
        next_, largest = np.sort(self.seen, axis=0)[-2:]
        return (largest - next_).ravel()


class AvgPool2D(Layer):
    """The mean of each window; padding does not count."""

    def __init__(self, kernel, stride=None, padding="valid"):
        self.window = Window(kernel, kernel if stride is None else stride, padding)

    @classmethod
    def of(cls, layer, shape, given):
        return cls(layer.pool_size, layer.stride, layer.padding)

    def forward(self, x, training):
        self.shape, self.x = x.shape, self.window.padded(x, 0.0)
        inside = self.window.padded(np.ones_like(x), 0.0)
        taps = self.window.taps(self.x).values()
        self.count = sum(inside[at] for at in taps)
        return sum(self.x[at] for at in taps) / self.count

    def backward(self, dy):
        dx = np.zeros_like(self.x)
        for at in self.window.taps(self.x).values():
            dx[at] += dy / self.count
        return self.window.inside(dx, self.shape)

    def told(self, mask):
        return None


class GlobalAvgPool2D(Layer):
    """Lin, Chen & Yan (2014), section 3.2."""

    def forward(self, x, training):
        self.shape = x.shape
        return x.mean(axis=(1, 2))

    def backward(self, dy):
        return np.broadcast_to(dy[:, None, None] / (self.shape[1] * self.shape[2]), self.shape)

    def told(self, mask):
        return None
