"""Networks: full batches, epochs of mini-batches, and the probabilities of one row; all float32.

Everybody starts from the same weights. On full batches, and beside scikit-learn with the same `random_state`, the
steps are the same; others visit rows in an order of their own, and leave out the penalty of scikit-learn's perceptrons
(alpha is 1e-4).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from fusedgrad.layers import GRU, LSTM, Conv2D, Dense, Layer
from fusedgrad.layers._layer import walk
from fusedgrad.neural_network import MLPClassifier, NeuralClassifier, NeuralRegressor
from numpy.typing import NDArray

from . import limits
from .case import Agreement, Case, Limit
from .measure import difference

THREADS = 2
TOLERANCE = 1e-4  # of the probabilities of rows
RATE, SGD_RATE = 1e-3, 0.1  # of Adam; of SGD on half the squared error, so half of it on the squared error
STILL = 1e-30  # a rate that moves no weight

Predict = Callable[[], NDArray[Any]]  # what a run returns: predictions for all rows, made after its time is taken


def dense(*units: int) -> tuple[Layer, ...]:
    """Return layers of so many units, with relu but for the last one."""
    return (*(Dense(n, "relu") for n in units[:-1]), Dense(units[-1]))


def rows(full: int, scale: float, batch: int) -> int:
    """Return `scale` times the `full` number of rows, but a few batches."""
    return max(round(full * scale), 5 * batch)


def times(full: int, scale: float) -> int:
    """Return `scale` times the `full` number of epochs, steps or calls."""
    return max(round(full * scale), 1)


@dataclass(frozen=True, kw_only=True)
class Network(Case):
    """A network for rows of a shape, output layer included, and its data.

    The unit "step" is one of SGD on full batches, for values; "epoch" one of Adam on mini-batches, for ten classes;
    "call" is `predict_proba` of one row. A run has `repeats` of them.
    """

    shape: tuple[int, ...]
    layers: tuple[Layer, ...]
    rows: int
    batch: int
    repeats: int
    unit: Literal["step", "epoch", "call"] = "epoch"

    @property
    def count(self) -> int:
        """Steps, epochs or calls."""
        return self.repeats

    @property
    def is_image(self) -> bool:
        """Whether a row has height, width and channels."""
        return len(self.shape) == 3

    @property
    def is_perceptron(self) -> bool:
        """Whether it is a case for `MLPClassifier`."""
        return self.unit != "step" and all(isinstance(layer, Dense) for layer in self.layers)

    @property
    def perceptron(self) -> dict[str, Any]:
        """Parameters of `MLPClassifier`, ours and scikit-learn's: Adam, and no early end."""
        return {
            "hidden_layer_sizes": tuple(layer.units for layer in self.layers[:-1] if isinstance(layer, Dense)),
            "batch_size": self.batch,
            "max_iter": self.epochs,
            "random_state": 0,
            "tol": 0.0,
            "n_iter_no_change": 1_000_000,
        }

    @property
    def epochs(self) -> int:
        """Epochs of a fit: those that are timed, or a few before the calls."""
        return 2 if self.unit == "call" else self.repeats

    @property
    def flops(self) -> int:
        """Floating-point operations of an epoch: products forward and for weights, and back to all hidden numbers."""
        products = [_multiplications(*each) for _, *each in walk(self.layers, self.shape)]
        inputs, states = zip(*products, strict=True)
        first = next(filter(None, inputs))  # the input needs no slopes
        return self.rows * (6 * (sum(inputs) + sum(states)) - 2 * first)

    @property
    def limit(self) -> Limit | None:
        """The products of an epoch; the small ones of a full batch and of one row wait for other things."""
        return limits.multiplying(self.flops, "float32", THREADS) if self.unit == "epoch" else None

    def data(self) -> tuple[NDArray[np.float32], NDArray[Any]]:
        """Return rows, and values or classes."""
        return _data(self.shape, self.rows, self.unit == "step")

    def estimator(self, rate: float | None = None, epochs: int | None = None) -> Any:
        """Return our estimator."""
        epochs = self.epochs if epochs is None else epochs
        if self.is_perceptron:
            parameters = {**self.perceptron, "max_iter": epochs}
            return MLPClassifier(**parameters, learning_rate_init=rate or RATE, n_jobs=THREADS)
        # The peers' networks: of rows and targets as they are, without a penalty.
        settings = {"max_epochs": epochs, "tol": None, "random_state": 0, "n_jobs": THREADS}
        settings |= {"standardize": False, "alpha": 0.0}
        if self.unit == "step":
            sgd = {"optimizer": "sgd", "learning_rate": rate or SGD_RATE, "batch_size": "full"}
            return NeuralRegressor(self.layers, **sgd, **settings)
        return NeuralClassifier(self.layers, learning_rate=rate or RATE, batch_size=self.batch, **settings)

    def start(self) -> Any:
        """Return our estimator before its first step."""
        X, y = self.data()
        return self.estimator(STILL, epochs=1).fit(X[:1000], y[:1000])

    def loss(self, predictions: NDArray[Any]) -> float:
        """Return the mean squared error of values, or the cross-entropy of probabilities."""
        y = self.data()[1]
        if self.unit == "step":
            return float(np.square(predictions.ravel().astype(np.float64) - y).mean())
        tiny = np.finfo(np.float32).tiny
        return float(-np.log(np.maximum(predictions[np.arange(len(y)), y], tiny), dtype=np.float64).mean())

    def short(self) -> Network:
        """Return the same case with an epoch of fewer rows, or fewer steps or calls."""
        if self.unit == "epoch":
            return replace(self, rows=rows(self.rows, 0.2, self.batch), repeats=1)
        return replace(self, repeats=times(self.repeats, 0.1))

    def agree(self, mine: Predict, theirs: Predict, peer: str) -> Agreement:
        """Losses fell by about as much: 1 % apart at most, 10 % if rows came in another order. Calls: the same rows."""
        if self.unit == "call":
            apart = difference(mine(), theirs())
            return Agreement(apart <= TOLERANCE, f"probabilities differ by {apart:.0e}")
        first = self.loss(predictions(self.start(), self.data()[0]))
        ours, peers = self.loss(mine()), self.loss(theirs())
        same_steps = self.unit == "step" or peer == "scikit-learn"
        good = first > peers and abs(ours - peers) <= (0.01 if same_steps else 0.1) * (first - peers)
        return Agreement(bool(good), f"loss {first:.3g} to {ours:.4g}, peer's {peers:.4g}")

    def describe(self) -> dict[str, Any]:
        """Return sizes and settings, for the record."""
        return {
            "shape": self.shape,
            "layers": [repr(layer) for layer in self.layers],
            "rows": self.rows,
            "batch": self.batch,
            "repeats": self.repeats,
        }


def weights(estimator: Any) -> list[NDArray[Any]]:
    """Return the weights of our estimator, layer by layer: inputs by units, then the intercepts."""
    if hasattr(estimator, "weights_"):
        return list(estimator.weights_)
    return [each for pair in zip(estimator.coefs_, estimator.intercepts_, strict=True) for each in pair]


def predictions(estimator: Any, X: NDArray[Any]) -> NDArray[Any]:
    """Return probabilities of classes, or values."""
    return estimator.predict_proba(X) if hasattr(estimator, "predict_proba") else estimator.predict(X)


@functools.lru_cache(maxsize=2)
def _data(shape: tuple[int, ...], n: int, values: bool) -> tuple[NDArray[np.float32], NDArray[Any]]:
    """Return n rows with values, or with classes: the largest of a linear function's values.

    Rows of 784 numbers are 80 % zeros. Images (and sequences, as images of one channel) are patches of 4 x 4 pixels,
    whose values the classes depend on, with noise.
    """
    rng = np.random.default_rng(0)
    if values:
        X = rng.standard_normal((n, *shape), dtype=np.float32)
        return X, (0.5 + 0.3 * np.sin(X[:, 0] + X[:, 1] * X[:, 2])).astype(np.float32)
    if len(shape) > 1:
        height, width, *channels = shape
        patches = rng.standard_normal((n, height // 4, width // 4, *channels), dtype=np.float32)
        X = patches.repeat(4, axis=1).repeat(4, axis=2)
        X += 0.5 * rng.standard_normal(X.shape, dtype=np.float32)
        flat = patches.reshape(n, -1)
        return X, (flat @ rng.standard_normal((flat.shape[1], 10), dtype=np.float32)).argmax(1)
    X = rng.random((n, *shape), dtype=np.float32)
    X[X < 0.8] = 0
    linear = rng.standard_normal((*shape, 10), dtype=np.float32)
    return X, ((X - X.mean()) @ linear).argmax(1)


def _multiplications(layer: Layer, before: tuple[int, ...], after: tuple[int, ...]) -> tuple[int, int]:
    """Return the multiplications of the products of a layer for a row: with its input, and with its earlier states."""
    if isinstance(layer, Dense):
        return math.prod(before) * layer.units, 0
    if isinstance(layer, Conv2D):
        return math.prod(after) * layer.kernel_size**2 * before[-1], 0
    if isinstance(layer, (GRU, LSTM)):
        gates = before[0] * layer._gates * layer.units
        return gates * before[-1], gates * layer.units
    return 0, 0
