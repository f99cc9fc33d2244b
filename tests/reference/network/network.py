"""Layers in a row, and the loss at their end."""

import numpy as np
from scipy.special import logsumexp, softmax

from ..losses import LOSSES
from .sequences import Embedding, Masking


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
