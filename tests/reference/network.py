"""Layers of networks in float64 NumPy, forward and back by the formulas of the papers.

A layer has `forward(x, training)` and `backward(dy)`, which returns dx and leaves the slopes of its parameters in
`gradients`, in the order of `weights`; `kept` holds what is not trained. A row of x may have any number of dimensions,
the last of which are the features. At a kink the slope is torch's: the one from the left, but for hard_swish at 3.
"""

import inspect

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
    weights, gradients, kept = (), (), ()

    def all(self):
        """This layer and those inside, in the order in which parameters are listed."""
        return [self]


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


class Activation(Layer):
    def __init__(self, name, **fields):
        self.name, self.fields = name, fields

    def forward(self, x, training):
        y, self.slope = ACTIVATIONS[self.name](x, **self.fields)
        self.x = x
        return y

    def backward(self, dy):
        return dy * self.slope

    def to_kink(self):
        """How near the last input came to a place where the slope jumps."""
        gaps = [np.abs(self.x - kink).min(initial=np.inf) for kink in KINKS.get(self.name, [])]
        return min(gaps, default=np.inf)


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
        """What is penalised: the weights of dense layers, but not what is added."""
        return [layer.weights[0] for layer in self.all() if isinstance(layer, Dense)]

    def forward(self, X, training=False):
        """The last layer's output, (rows, numbers)."""
        y = np.asarray(X, dtype=float).reshape(len(X), *self.shape)
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
        """How near the last inputs of activations came to a place where the slope jumps."""
        found = [layer.activation if isinstance(layer, Dense) else layer for layer in self.all()]
        return min((one.to_kink() for one in found if isinstance(one, Activation)), default=np.inf)

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
