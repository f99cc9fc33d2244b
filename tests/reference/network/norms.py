"""Normalisation over a batch and over a row."""

import numpy as np

from .layer import Layer


class BatchNorm(Layer):
    """Ioffe & Szegedy (2015), algorithm 1; the slopes are those of its section 3."""

    def __init__(self, weights, kept, momentum=0.1, epsilon=1e-5):
        self.weights, self.kept = list(weights), [np.array(r) for r in kept]
        self.momentum, self.epsilon = momentum, epsilon

    @classmethod
    def of(cls, layer, shape, given):
        affine = [given.weight(), given.weight()] if layer.affine else []
        return cls(affine, [given.kept(), given.kept()], layer.momentum, layer.epsilon)

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

    @classmethod
    def of(cls, layer, shape, given):
        return cls([given.weight(), given.weight()] if layer.affine else [], layer.epsilon)

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
