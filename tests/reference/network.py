"""Layers of networks in float64 NumPy, forward and back by the formulas of the papers.

A layer has `forward(x, training)` and `backward(dy)`, which returns dx and leaves the slopes of its parameters in
`gradients`, in the order of `weights`; `kept` holds what is not trained. A row of x may have any number of dimensions,
the last of which are the features: images are (height, width, channels), sequences (time, features). At a kink the
slope is torch's: the one from the left, but for hard_swish at 3; of equal numbers in a window the first is the largest.

Padding of sequences: `told(mask)` tells a layer which steps of its input are padding, (rows, steps) or None, and
returns that of its output.
"""

import inspect
import math

import numpy as np
from scipy.special import expit, logsumexp, ndtr, softmax

from .losses import LOSSES

SELU_SCALE, SELU_ALPHA = 1.0507009873554804934, 1.6732632423543772848  # Klambauer et al. (2017), to 19 digits


# ---- activations: output and slope for an input x ----


def identity(x):
    return x, np.ones_like(x)


def logistic(x):
    return expit(x), expit(x) * expit(-x)


def tanh(x):
    return np.tanh(x), 4 * expit(2 * x) * expit(-2 * x)


def relu(x):
    return np.maximum(x, 0), np.where(x > 0, 1.0, 0.0)


def leaky_relu(x, alpha=0.01):
    """Maas, Hannun & Ng (2013)."""
    return np.where(x > 0, x, alpha * x), np.where(x > 0, 1.0, alpha)


def elu(x, alpha=1.0):
    """Clevert, Unterthiner & Hochreiter (2016), equation 15."""
    left = np.minimum(x, 0)
    return np.where(x > 0, x, alpha * np.expm1(left)), np.where(x > 0, 1.0, alpha * np.exp(left))


def selu(x):
    """Klambauer et al. (2017), equation 2."""
    y, slope = elu(x, SELU_ALPHA)
    return SELU_SCALE * y, SELU_SCALE * slope


def gelu(x):
    """Hendrycks & Gimpel (2016): x times the normal distribution function."""
    return x * ndtr(x), ndtr(x) + x * np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi)


def silu(x):
    """Elfwing, Uchibe & Doya (2018), equations 5 and 6."""
    return x * expit(x), expit(x) * (1 + x * expit(-x))


def softplus(x):
    """Dugas et al. (2001)."""
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))), expit(x)


def hard_swish(x):
    """Howard et al. (2019), section 5.2: x ReLU6(x + 3) / 6."""
    inside = (2 * x + 3) / 6
    return x * np.clip(x + 3, 0, 6) / 6, np.where(x <= -3, 0.0, np.where(x < 3, inside, 1.0))


def mish(x):
    """Misra (2019): x tanh(softplus(x))."""
    gate, slope = tanh(softplus(x)[0])
    return x * gate, gate + x * slope * expit(x)


ACTIVATIONS = {
    function.__name__: function
    for function in (
        identity,
        logistic,
        tanh,
        relu,
        leaky_relu,
        elu,
        selu,
        gelu,
        silu,
        softplus,
        hard_swish,
        mish,
    )
}

# Inputs where the slope jumps.
KINKS = {"relu": [0.0], "leaky_relu": [0.0], "elu": [0.0], "selu": [0.0], "hard_swish": [-3.0, 3.0]}


def fields_of(name):
    """Names of the parameters of an activation."""
    return list(inspect.signature(ACTIVATIONS[name]).parameters)[1:]


# ---- layers ----


class Layer:
    weights, gradients, kept, skipped = (), (), (), None

    def all(self):
        """This layer and those inside, in the order in which parameters are listed."""
        return [self]

    def matrices(self):
        """What of the weights is penalised."""
        return []

    def told(self, mask):
        self.skipped = mask
        return mask

    def gaps(self):
        """How far the numbers of the last pass were from where the slope jumps."""
        return np.empty(0)

    def to_kink(self):
        """How near the last pass came to a place where the slope jumps."""
        return self.gaps().min(initial=np.inf)


class Dense(Layer):
    """f(x W + b): Rumelhart, Hinton & Williams (1986)."""

    def __init__(self, W, b=None, activation="identity"):
        self.weights = [W] if b is None else [W, b]
        self.activation = Activation(activation)

    def forward(self, x, training):
        self.x = x
        z = x @ self.weights[0]
        return self.activation.forward(z if len(self.weights) == 1 else z + self.weights[1][0], training)

    def backward(self, dy):
        dz = self.activation.backward(dy)
        flat_x, flat_dz = self.x.reshape(-1, self.x.shape[-1]), dz.reshape(-1, dz.shape[-1])
        self.gradients = [flat_x.T @ flat_dz, flat_dz.sum(axis=0, keepdims=True)][: len(self.weights)]
        return dz @ self.weights[0].T

    def matrices(self):
        return self.weights[:1]

    def gaps(self):
        return self.activation.gaps()


class Activation(Layer):
    def __init__(self, name, **fields):
        self.name, self.fields = name, fields

    def forward(self, x, training):
        y, self.slope = ACTIVATIONS[self.name](x, **self.fields)
        self.x = x
        return y

    def backward(self, dy):
        return dy * self.slope

    def gaps(self):
        return np.array([np.abs(self.x - kink) for kink in KINKS.get(self.name, [])]).ravel()


class Dropout(Layer):
    """Srivastava et al. (2014), scaled in training; `mask` is 1 where a number stays, of the shape of the batch."""

    def __init__(self, rate, mask=None):
        self.rate, self.mask = rate, mask

    def forward(self, x, training):
        return x * self.mask / (1 - self.rate) if training else x

    def backward(self, dy):
        return dy * self.mask / (1 - self.rate)


class BatchNorm(Layer):
    """Ioffe & Szegedy (2015), algorithm 1; the slopes are those of its section 3."""

    def __init__(self, weights, kept, momentum=0.1, epsilon=1e-5):
        self.weights, self.kept = list(weights), [np.array(r) for r in kept]
        self.momentum, self.epsilon = momentum, epsilon

    def forward(self, x, training):
        self.shape = x.shape
        x = x.reshape(-1, x.shape[-1])
        if training:
            mean, variance = x.mean(axis=0), x.var(axis=0)
            unbiased = variance * len(x) / max(1, len(x) - 1)
            self.kept[0] += self.momentum * (mean - self.kept[0])
            self.kept[1] += self.momentum * (unbiased - self.kept[1])
        else:
            mean, variance = self.kept[0][0], self.kept[1][0]
        self.centred, self.variance = x - mean, variance + self.epsilon
        self.hat = self.centred / np.sqrt(self.variance)
        y = self.hat * self.weights[0] + self.weights[1] if self.weights else self.hat
        return y.reshape(self.shape)

    def backward(self, dy):
        dy = dy.reshape(-1, dy.shape[-1])
        n = len(dy)
        self.gradients = [(dy * self.hat).sum(axis=0, keepdims=True), dy.sum(axis=0, keepdims=True)]
        self.gradients = self.gradients[: len(self.weights)]
        dhat = dy * self.weights[0] if self.weights else dy
        dvariance = (dhat * self.centred).sum(axis=0) * -0.5 * self.variance**-1.5
        dmean = -dhat.sum(axis=0) / np.sqrt(self.variance) - 2 * dvariance * self.centred.mean(axis=0)
        dx = dhat / np.sqrt(self.variance) + dvariance * 2 * self.centred / n + dmean / n
        return dx.reshape(self.shape)


class LayerNorm(Layer):
    """Ba, Kiros & Hinton (2016), equation 4, over the features of a row; back as batch normalisation, along rows."""

    def __init__(self, weights, epsilon=1e-5):
        self.weights, self.epsilon = list(weights), epsilon

    def forward(self, x, training):
        self.centred = x - x.mean(axis=-1, keepdims=True)
        self.variance = x.var(axis=-1, keepdims=True) + self.epsilon
        self.hat = self.centred / np.sqrt(self.variance)
        return self.hat * self.weights[0][0] + self.weights[1][0] if self.weights else self.hat

    def backward(self, dy):
        d = dy.shape[-1]
        flat_dy, flat_hat = dy.reshape(-1, d), self.hat.reshape(-1, d)
        self.gradients = [(flat_dy * flat_hat).sum(axis=0, keepdims=True), flat_dy.sum(axis=0, keepdims=True)]
        self.gradients = self.gradients[: len(self.weights)]
        dhat = dy * self.weights[0][0] if self.weights else dy
        dvariance = (dhat * self.centred).sum(axis=-1, keepdims=True) * -0.5 * self.variance**-1.5
        dmean = -dhat.sum(axis=-1, keepdims=True) / np.sqrt(self.variance)
        return dhat / np.sqrt(self.variance) + dvariance * 2 * self.centred / d + dmean / d


class Flatten(Layer):
    def forward(self, x, training):
        self.shape = x.shape
        return x.reshape(len(x), -1)

    def backward(self, dy):
        return dy.reshape(self.shape)

    def told(self, mask):
        return None


class Residual(Layer):
    """x + f(x): He et al. (2016)."""

    def __init__(self, layers):
        self.layers = list(layers)

    def forward(self, x, training):
        y = x
        for layer in self.layers:
            y = layer.forward(y, training)
        return x + y

    def backward(self, dy):
        dx = dy
        for layer in reversed(self.layers):
            dx = layer.backward(dx)
        return dy + dx

    def all(self):
        return [self, *(inner for layer in self.layers for inner in layer.all())]

    def told(self, mask):
        for layer in self.layers:
            mask = layer.told(mask)
        return mask


# ---- windows over images ----


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


# ---- sequences ----


class Masking(Layer):
    """Steps whose numbers all are `value` are padding."""

    def __init__(self, value=0.0):
        self.value = value

    def marks(self, X):
        """Which steps of X, (rows, time, features), are padding."""
        return (self.value == X).all(axis=2)

    def forward(self, x, training):
        return x

    def backward(self, dy):
        return dy


class Embedding(Layer):
    """A row of W for each code: Bengio et al. (2003). The code `padding` marks padding."""

    def __init__(self, W, padding=None):
        self.weights, self.padding = [W], padding

    def marks(self, X):
        return None if self.padding is None else self.padding == X

    def forward(self, x, training):
        self.codes = x.astype(int)
        return self.weights[0][self.codes]

    def backward(self, dy):
        self.gradients = [np.zeros_like(self.weights[0])]
        for at in np.ndindex(self.codes.shape):
            self.gradients[0][self.codes[at]] += dy[at]
        return np.zeros(self.codes.shape)

    def matrices(self):
        return self.weights


class Recurrent(Layer):
    """A cell, step after step from a state of zeros; where a step is padding the state stays, and a sequence has zeros.

    A subclass has `gates`, `step(p, q, h, c)`, which returns the next (h, c) and what the way back needs, and
    `step_back(known, dh, dc)`, which returns the slopes of p, q, h and c; p = x W + b, q = h U + b', and c is a
    second state, if the cell has one.

    Back: Werbos (1990). `truncate`: no slope goes back into a step 0, k, 2k, ...; with `hold` a pass begins these steps
    with the states that it had in the pass before, so that such slopes are those of a function.

    Weights: W, U, and with `bias` b and b'; with `both_ways` the same again for the way from the last step to the first
    (Schuster & Paliwal 1997).
    """

    hold = False

    def __init__(self, weights, *, bias=True, sequences=False, both_ways=False, truncate=None):
        self.weights, self.bias, self.sequences, self.truncate = list(weights), bias, sequences, truncate
        self.ways = 2 if both_ways else 1
        self.cuts = {}

    def told(self, mask):
        self.skipped = mask
        return mask if self.sequences else None

    def matrices(self):
        return [w for way in range(self.ways) for w in self.of_way(way)[:2]]

    def of_way(self, way):
        each = len(self.weights) // self.ways
        return self.weights[way * each : (way + 1) * each]

    def padding(self, t):
        """Which rows have padding there, (rows, 1)."""
        return np.zeros((self.x.shape[0], 1), dtype=bool) if self.skipped is None else self.skipped[:, t : t + 1]

    def order(self, way):
        steps = range(self.x.shape[1])
        return list(steps if way == 0 else reversed(steps))

    def begins_anew(self, s):
        return self.truncate is not None and s > 0 and s % self.truncate == 0

    def forward(self, x, training):
        self.x, self.known, outputs = x, {}, []
        for way in range(self.ways):
            W, U, *biases = self.of_way(way)
            b, inner = biases if biases else (0.0, 0.0)
            h, c = np.zeros((len(x), len(U))), np.zeros((len(x), len(U)))
            states = np.zeros((*x.shape[:2], len(U)))
            for s, t in enumerate(self.order(way)):
                if self.begins_anew(s):
                    if self.hold:
                        h, c = self.cuts[way, s]
                    self.cuts[way, s] = h, c
                skip = self.padding(t)
                new_h, new_c, known = self.step(x[:, t] @ W + b, h @ U + inner, h, c)
                self.known[way, t] = h, known
                states[:, t] = np.where(skip, 0.0, new_h)
                h, c = np.where(skip, h, new_h), np.where(skip, c, new_c)
            outputs.append(states if self.sequences else h)
        return np.concatenate(outputs, axis=-1)

    def backward(self, dy):
        dx, self.gradients = np.zeros_like(self.x), []
        for way, slope in enumerate(np.split(dy, self.ways, axis=-1)):
            W, U, *biases = self.of_way(way)
            dW, dU, db, dinner = np.zeros_like(W), np.zeros_like(U), 0.0, 0.0
            dh = np.zeros((len(dy), len(U))) if self.sequences else slope
            dc = np.zeros((len(dy), len(U)))
            for s, t in reversed(list(enumerate(self.order(way)))):
                skip = self.padding(t)
                if self.sequences:
                    dh = dh + np.where(skip, 0.0, slope[:, t])
                h, known = self.known[way, t]
                dp, dq, dh_before, dc_before = self.step_back(known, np.where(skip, 0.0, dh), np.where(skip, 0.0, dc))
                dx[:, t] += dp @ W.T
                dW, dU = dW + self.x[:, t].T @ dp, dU + h.T @ dq
                db, dinner = db + dp.sum(axis=0, keepdims=True), dinner + dq.sum(axis=0, keepdims=True)
                dh, dc = np.where(skip, dh, dh_before + dq @ U.T), np.where(skip, dc, dc_before)
                if self.begins_anew(s):
                    dh, dc = np.zeros_like(dh), np.zeros_like(dc)
            self.gradients += [dW, dU, db, dinner] if biases else [dW, dU]
        return dx


class SimpleRNN(Recurrent):
    """h = f(p + q): Elman (1990)."""

    def __init__(self, weights, activation="tanh", **more):
        super().__init__(weights, **more)
        self.activation = activation

    def step(self, p, q, h, c):
        y, slope = ACTIVATIONS[self.activation](p + q)
        return y, c, (p + q, slope)

    def step_back(self, known, dh, dc):
        dz = dh * known[1]
        return dz, dz, 0.0, dc

    def gaps(self):
        if self.activation != "relu":
            return np.empty(0)
        counted = [np.abs(known[0])[~self.padding(t)[:, 0]] for (_, t), (_, known) in self.known.items()]
        return np.concatenate(counted).ravel()


class GRU(Recurrent):
    """Cho et al. (2014), equations 5 to 8, the reset gate after the product; gates r, z, n side by side."""

    def step(self, p, q, h, c):
        (p_r, p_z, p_n), (q_r, q_z, q_n) = np.split(p, 3, axis=1), np.split(q, 3, axis=1)
        r, z = expit(p_r + q_r), expit(p_z + q_z)
        n = np.tanh(p_n + r * q_n)
        return (1 - z) * n + z * h, c, (r, z, n, q_n, h)

    def step_back(self, known, dh, dc):
        r, z, n, q_n, h = known
        dn = dh * (1 - z) * (1 - n**2)
        dr, dz = dn * q_n * r * (1 - r), dh * (h - n) * z * (1 - z)
        return np.hstack([dr, dz, dn]), np.hstack([dr, dz, dn * r]), dh * z, dc


class LSTM(Recurrent):
    """Hochreiter & Schmidhuber (1997), with Gers, Schmidhuber & Cummins' forget gate (2000); gates i, f, g, o."""

    def step(self, p, q, h, c):
        i, f, g, o = np.split(p + q, 4, axis=1)
        i, f, g, o = expit(i), expit(f), np.tanh(g), expit(o)
        new = f * c + i * g
        return o * np.tanh(new), new, (i, f, g, o, c, new)

    def step_back(self, known, dh, dc):
        i, f, g, o, c, new = known
        bent = np.tanh(new)
        dc = dc + dh * o * (1 - bent**2)
        slopes = dc * g * i * (1 - i), dc * c * f * (1 - f), dc * i * (1 - g**2), dh * bent * o * (1 - o)
        return np.hstack(slopes), np.hstack(slopes), 0.0, dc * f


# ---- networks ----


class Network:
    """Layers in a row, for rows of a shape."""

    def __init__(self, layers, shape):
        self.layers, self.shape = list(layers), tuple(shape)

    def all(self):
        return [inner for layer in self.layers for inner in layer.all()]

    @property
    def weights(self):
        return [w for layer in self.all() for w in layer.weights]

    @property
    def gradients(self):
        return [g for layer in self.all() for g in layer.gradients]

    @property
    def kept(self):
        return [r for layer in self.all() for r in layer.kept]

    def matrices(self):
        """What is penalised: what is multiplied or looked up, but not what is added."""
        return [matrix for layer in self.all() for matrix in layer.matrices()]

    def forward(self, X, training=False):
        """The last layer's output, (rows, numbers)."""
        y = np.asarray(X, dtype=float).reshape(len(X), *self.shape)
        mask = self.layers[0].marks(y) if isinstance(self.layers[0], (Masking, Embedding)) else None
        for layer in self.layers:
            mask = layer.told(mask)
        for layer in self.layers:
            y = layer.forward(y, training)
        self.last = y.shape
        return y.reshape(len(X), -1)

    def backward(self, dy):
        dy = dy.reshape(self.last)
        for layer in reversed(self.layers):
            dy = layer.backward(dy)
        return dy.reshape(len(dy), -1)

    def to_kink(self):
        """How near the last pass came to a place where the slope jumps."""
        return min((layer.to_kink() for layer in self.all()), default=np.inf)

    def rounding_decides(self, room=1e-9):
        """Whether it came so near to one, without being there, that rounding decides on which side it was."""
        return any(((gaps > 0) & (gaps <= room)).any() for gaps in (layer.gaps() for layer in self.all()))

    def loss_gradient(self, X, y, *, loss, smoothing=0.0, weight=None, l2=0.0, l2_of_batch=False, fields=None):
        """(loss, penalty, gradients) of a batch in training.

        The loss is ``sum_i s_i loss_i / sum_i s_i``, where loss_i is summed over the outputs; the penalty
        ``l2 / 2 ||W||²``, with `l2_of_batch` over ``sum_i s_i``.
        """
        value, slope = score(self.forward(X, training=True), y, loss, smoothing, **(fields or {}))
        weight = np.ones(len(X)) if weight is None else np.asarray(weight, dtype=float)
        total = weight.sum()
        if l2_of_batch:
            l2 = l2 / total
        self.backward(weight[:, None] * slope / total)
        penalised = {id(W) for W in self.matrices()}
        gradients = [g + l2 * w if id(w) in penalised else g for w, g in zip(self.weights, self.gradients, strict=True)]
        return weight @ value / total, l2 / 2 * sum(np.sum(W**2) for W in self.matrices()), gradients


# ---- losses ----


def cross_entropy(P, codes, smoothing=0.0):
    """Of a softmax; targets are smoothed as by Szegedy et al. (2016), section 7. Value of each row, and slopes."""
    outputs = P.shape[1]
    target = (1 - smoothing) * np.eye(outputs)[np.asarray(codes, dtype=int)] + smoothing / outputs
    return logsumexp(P, axis=1) - np.sum(target * P, axis=1), softmax(P, axis=1) - target


def score(P, y, loss, smoothing=0.0, **fields):
    """Value of each row, summed over the outputs, and the slopes of the outputs."""
    if loss == "softmax":
        return cross_entropy(P, y, smoothing)
    value, slope = LOSSES[loss](np.asarray(y, dtype=float).reshape(P.shape), P, **fields)
    return value.sum(axis=1), slope
