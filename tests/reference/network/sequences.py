"""Layers of sequences: padding, codes, and cells that run through time."""

import numpy as np
from scipy.special import expit

from ..activations import ACTIVATIONS
from .layer import Layer


class Masking(Layer):
    """Steps whose numbers all are `value` are padding."""

    nodes = 0

    def __init__(self, value=0.0):
        self.value = value

    @classmethod
    def of(cls, layer, shape, given):
        return cls(layer.value)

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

    @classmethod
    def of(cls, layer, shape, given):
        return cls(given.weight(), layer.padding)

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

    @classmethod
    def of(cls, layer, shape, given, **own):
        weights = [given.weight() for _ in range((4 if layer.bias else 2) * (2 if layer.bidirectional else 1))]
        options = {"bias": layer.bias, "sequences": layer.return_sequences, "truncate": layer.truncate}
        return cls(weights, both_ways=layer.bidirectional, **options, **own)

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

    @classmethod
    def of(cls, layer, shape, given):
        return super().of(layer, shape, given, activation=layer.activation)

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
