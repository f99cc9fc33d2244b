"""Dense layers, activations, dropout, and what changes no number: flat rows, blocks."""

import numpy as np

from ..activations import ACTIVATIONS, KINKS
from .layer import Layer


class Dense(Layer):
    """f(x W + b): Rumelhart, Hinton & Williams (1986)."""

    def __init__(self, W, b=None, activation="identity"):
        self.weights = [W] if b is None else [W, b]
        self.activation = Activation(activation)

    @classmethod
    def of(cls, layer, shape, given):
        return cls(given.weight(), given.weight() if layer.bias else None, layer.activation or "identity")

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

    @classmethod
    def of(cls, layer, shape, given):
        return cls(layer.name, **({} if layer.alpha is None else {"alpha": layer.alpha}))

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

    @classmethod
    def of(cls, layer, shape, given):
        return cls(layer.rate, given.mask(layer.rate, shape))

    def forward(self, x, training):
        return x * self.mask / (1 - self.rate) if training else x

    def backward(self, dy):
        return dy * self.mask / (1 - self.rate)


class Flatten(Layer):
    nodes = 0

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

    @classmethod
    def of(cls, layer, shape, given):
        return cls(given.several(layer.layers, shape))

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
