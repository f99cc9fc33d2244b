"""NumPy: vectorised loops over mini-batches that work in place; sparse rows are SciPy's.

`bench.quality.solvers.numpy_loop` has its rules and functions from here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import scipy.sparse as sp
from fusedgrad import optimizers
from fusedgrad.layers import Dense
from numpy.typing import NDArray
from sklearn import linear_model

from bench import network
from bench.case import Case, Run, Way, on_threads
from bench.limits import BLAS
from bench.linear import THREADS, Linear
from bench.network import Network, Predict
from bench.steps import Steps

Array = NDArray[Any]
Batches = Callable[[], Iterator[tuple[Any, Any, Array]]]  # of an epoch: rows, columns, targets
Rule = Callable[[Array, float], None]  # makes a step from a gradient with a rate

BLOCK = 65_536  # parameters whose numbers stay in cache


def why_not(case: Case, dtype: str) -> str | None:
    """Return why NumPy cannot run the case with this dtype, or None."""
    if type(case) not in WAYS:
        return f"nothing for {type(case).__name__}"
    if isinstance(case, Linear):
        if dtype == "float32" and case.X.dtype == np.float64:
            return "the data are float64"
        if case.unit == "epoch" and not case.ours:
            return "a Python loop over samples; see the mini-batches"
    if isinstance(case, Steps) and _rule(case.optimizer) is None:
        return "written for Adam and SGD here"
    if isinstance(case, Network) and not all(isinstance(layer, Dense) for layer in case.layers):
        return "convolutions and recurrent layers are not written in NumPy here"
    return None


def ways(case: Case, dtype: str) -> list[Way]:
    """Return the ways to run the case."""
    return WAYS[type(case)](case, dtype)


def _threads(prepare: Callable[[], Run]) -> list[Way]:
    """The same work with BLAS on one thread, and on several."""

    def way(threads: int) -> Way:
        def limited() -> Run:
            run = prepare()

            def run_limited() -> Any:
                with BLAS.limit(limits=threads):
                    return run()

            return run_limited

        return Way(f"BLAS on {on_threads(threads)}", limited)

    return [way(threads) for threads in sorted({1, THREADS})]


# ---- Functions, in the memory of their argument ----


def sigmoid(z: Array) -> Array:
    """Return logistic functions of scores; overflow is to infinity, whose inverse is 0."""
    np.negative(z, out=z)
    np.exp(z, out=z)
    z += 1
    return np.reciprocal(z, out=z)


def softmax(z: Array) -> Array:
    """Return probabilities of scores, a row each."""
    z -= z.max(axis=1, keepdims=True)
    np.exp(z, out=z)
    z /= z.sum(axis=1, keepdims=True)
    return z


# ---- Rules, for the parameters w ----


def sgd(w: Array, *, momentum: float = 0.0, nesterov: bool = False, work: Array | None = None) -> Rule:
    """Gradient descent, with torch's momentum."""
    work = np.empty_like(w) if work is None else work
    if not momentum:

        def step(g: Array, rate: float) -> None:
            np.multiply(g, rate, out=work)
            np.subtract(w, work, out=w)

        return step

    m = np.zeros_like(w)

    def step_on(g: Array, rate: float) -> None:
        np.multiply(m, momentum, out=m)
        np.add(m, g, out=m)
        if nesterov:
            np.multiply(m, momentum, out=work)
            np.add(work, g, out=work)
            np.multiply(work, rate, out=work)
        else:
            np.multiply(m, rate, out=work)
        np.subtract(w, work, out=w)

    return step_on


def adam(
    w: Array, *, beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-8, work: Array | None = None
) -> Rule:
    """Adam."""
    m, v, t = np.zeros_like(w), np.zeros_like(w), 0
    work = np.empty_like(w) if work is None else work

    def step(g: Array, rate: float) -> None:
        nonlocal t
        t += 1
        np.multiply(m, beta_1, out=m)
        np.multiply(g, 1 - beta_1, out=work)
        np.add(m, work, out=m)
        np.multiply(v, beta_2, out=v)
        np.multiply(g, g, out=work)
        np.multiply(work, 1 - beta_2, out=work)
        np.add(v, work, out=v)
        np.sqrt(v, out=work)
        np.multiply(work, 1 / math.sqrt(1 - beta_2**t), out=work)
        np.add(work, epsilon, out=work)
        np.divide(m, work, out=work)
        np.multiply(work, rate / (1 - beta_1**t), out=work)
        np.subtract(w, work, out=w)

    return step


def adagrad(w: Array) -> Rule:
    """AdaGrad."""
    h, work = np.full_like(w, 1e-10), np.empty_like(w)

    def step(g: Array, rate: float) -> None:
        np.multiply(g, g, out=work)
        np.add(h, work, out=h)
        np.sqrt(h, out=work)
        np.divide(g, work, out=work)
        np.multiply(work, rate, out=work)
        np.subtract(w, work, out=w)

    return step


# ---- Linear models ----


def _linear(case: Linear, dtype: str) -> list[Way]:
    if case.unit == "epoch":
        if sp.issparse(case.X):
            return [Way("scipy.sparse, 1 thread", partial(_fit, case.for_subject(), dtype))]
        return _threads(partial(_fit, case.for_subject(), dtype))
    prepare = _predict if case.unit == "predict" else _partial_fit
    return [Way("a function without checks of its input", partial(prepare, case))]


def _fit(case: Linear, dtype: str) -> Run:
    """Mini-batches; the batches of adjacent rows, views of X, are made before."""
    X, targets = case.X.astype(dtype, copy=False), case.y.astype(dtype)
    if case.outputs > 1:
        targets = np.eye(case.outputs, dtype=dtype)[case.y]
    settings, rng = case.settings, np.random.default_rng(0)
    size, rate = settings["batch_size"], settings["eta0"]
    keep = 1 - rate * settings["alpha"]
    make = drawn if settings.get("shuffle") == "rows" else adjacent
    batches = make(X, targets, size, rng)

    def run() -> Array:
        w, b = np.zeros((X.shape[1], *targets.shape[1:]), dtype), np.zeros(targets.shape[1:], dtype)
        for _ in range(settings["max_iter"]):
            for rows, columns, y in batches():
                r = rows @ w
                r += b
                r = sigmoid(r)
                r -= y
                r *= -rate / len(y)
                w *= keep
                w += columns @ r
                b += r.sum(axis=0)
        return np.column_stack([np.atleast_2d(w.T), np.atleast_1d(b)])

    return run


def adjacent(X: Any, targets: Array, size: int, rng: np.random.Generator) -> Batches:
    """Return what goes through the batches of adjacent rows, in a random order; they are made here, as views."""
    slices = [slice(start, start + size) for start in range(0, X.shape[0], size)]
    parts = [(X[rows], X[rows].T, targets[rows]) for rows in slices]
    return lambda: (parts[k] for k in rng.permutation(len(parts)))


def drawn(X: Array, targets: Array, size: int, rng: np.random.Generator) -> Batches:
    """Return what goes through batches of rows that are drawn one by one, each once an epoch."""
    memory = np.empty((size, X.shape[1]), X.dtype)

    def batches() -> Iterator[tuple[Array, Array, Array]]:
        order = rng.permutation(len(X))
        for start in range(0, len(X), size):
            chosen = order[start : start + size]
            rows = X.take(chosen, axis=0, out=memory[: len(chosen)], mode="clip")  # "raise" would make a copy
            yield rows, rows.T, targets[chosen]

    return batches


def _predict(case: Linear) -> Run:
    estimator = linear_model.SGDClassifier(**case.settings).fit(case.X, case.y)
    w, b, classes = estimator.coef_[0], estimator.intercept_[0], estimator.classes_
    rows = [case.X[row] for row in case.visits]

    def predict(x: Array) -> Array:
        return classes.take(x @ w + b > 0)

    return lambda: np.concatenate([predict(x) for x in rows])


def _partial_fit(case: Linear) -> Run:
    """SGD with scikit-learn's rate "optimal"."""
    alpha = case.settings["alpha"]
    w, b, t = np.zeros(case.X.shape[1]), 0.0, alpha**-0.75  # the first rate is alpha ** -0.25
    rows = [(case.X[row], case.y[row]) for row in case.visits]

    def learn(X: Array, y: Array) -> None:
        nonlocal w, b, t
        (x,) = X
        rate = 1 / (alpha * t)
        move = rate * (y[0] - 0.5 - 0.5 * math.tanh((x @ w + b) / 2))  # the logistic function, which does not overflow
        w *= 1 - rate * alpha
        w += move * x
        b += move
        t += 1

    learn(*rows[0])

    def run() -> Array:
        for x, y in rows:
            learn(x, y)
        return np.append(w, b)[None]

    return run


# ---- Optimizer steps ----


def _rule(optimizer: optimizers.Optimizer) -> Callable[..., Rule] | None:
    """The rule above with the optimizer's settings, if it is one of them."""
    rules: list[tuple[Callable[..., Rule], optimizers.Optimizer, list[str]]] = [
        (adam, optimizers.Adam(), ["beta_1", "beta_2", "epsilon"]),
        (sgd, optimizers.SGD(), ["momentum", "nesterov"]),
    ]
    for rule, kind, names in rules:
        if type(kind) is type(optimizer):
            settings = {name: getattr(optimizer, name) for name in names}
            if replace(kind, **settings) == optimizer:  # nothing else is set
                return partial(rule, **settings)
    return None


def _steps(case: Steps, dtype: str) -> list[Way]:
    sizes = {"whole arrays": case.size, f"blocks of {BLOCK:,}": BLOCK}
    return [
        Way(f"in place, {words}, 1 thread", partial(_prepare_steps, case, dtype, size))
        for words, size in sizes.items()
        if size <= case.size
    ]


def _prepare_steps(case: Steps, dtype: str, size: int) -> Run:
    w, g = (each.astype(dtype, copy=False) for each in case.problem())
    make, rate, work = _rule(case.optimizer), case.optimizer.default_rate, np.empty(size, dtype)
    assert make is not None
    blocks = [slice(start, start + size) for start in range(0, len(w), size)]
    parts = [(make(w[block], work=work[: len(w[block])]), g[block]) for block in blocks]

    def step() -> None:
        for rule, slopes in parts:
            rule(slopes, rate)

    return case.run(step, w)


# ---- Networks ----


def _network(case: Network, dtype: str) -> list[Way]:
    if case.unit == "call":
        return [Way("a function without checks of its input", partial(_calls, case, dtype))]
    return _threads(partial(_learn, case, dtype))


class _Dense:
    """Dense layers: all parameters are one array, as are all slopes; and there is memory for a batch."""

    def __init__(self, case: Network, weights: list[Array], rows: int, dtype: str):
        weights = [np.atleast_2d(each) for each in weights]
        self.w = np.concatenate([each.ravel() for each in weights]).astype(dtype)
        self.g = np.empty_like(self.w)
        ends = np.cumsum([each.size for each in weights])[:-1]
        self.parameters, self.slopes = (
            [part.reshape(each.shape) for part, each in zip(np.split(flat, ends), weights, strict=True)]
            for flat in (self.w, self.g)
        )
        self.activations = [layer.activation for layer in case.layers]
        self.classes = case.unit != "step"
        units = [layer.units for layer in case.layers]
        self.outputs, self.errors = ([np.empty((rows, n), dtype) for n in units] for _ in range(2))
        self.positive = [np.empty((rows, n), bool) for n in units]

    def forward(self, x: Array) -> Array:
        """Return values or probabilities; the memory is this object's."""
        for k, activation in enumerate(self.activations):
            x = np.dot(x, self.parameters[2 * k], out=self.outputs[k][: len(x)])
            x += self.parameters[2 * k + 1]
            if activation == "relu":
                np.maximum(x, 0, out=x)
            elif activation == "logistic":
                sigmoid(x)
        return softmax(x) if self.classes else x

    def backward(self, x: Array, y: Array) -> None:
        """Find the slopes of the mean cross-entropy, or of half the squared error, after `forward` of x."""
        n = len(x)
        error = np.subtract(self.outputs[-1][:n], y, out=self.errors[-1][:n])
        error /= n
        for k in reversed(range(len(self.activations))):
            output = self.outputs[k][:n]
            if self.activations[k] == "relu":
                error *= np.greater(output, 0, out=self.positive[k][:n])
            elif self.activations[k] == "logistic":
                error *= output
                np.subtract(1, output, out=output)
                error *= output
            before = self.outputs[k - 1][:n] if k else x
            np.dot(before.T, error, out=self.slopes[2 * k])
            np.sum(error, axis=0, keepdims=True, out=self.slopes[2 * k + 1])
            if k:
                error = np.dot(error, self.parameters[2 * k].T, out=self.errors[k - 1][:n])

    def predict(self, X: Array) -> Array:
        """Return values or probabilities of all rows."""
        rows = len(self.outputs[0])
        return np.concatenate([self.forward(X[start : start + rows]).copy() for start in range(0, len(X), rows)])


def _learn(case: Network, dtype: str) -> Run:
    X, y = case.data()
    X = X.astype(dtype, copy=False)
    targets = y[:, None].astype(dtype) if case.unit == "step" else np.eye(case.layers[-1].units, dtype=dtype)[y]
    net = _Dense(case, network.weights(case.start()), case.batch, dtype)
    rate, step = (network.SGD_RATE, sgd(net.w)) if case.unit == "step" else (network.RATE, adam(net.w))
    batches = drawn(X, targets, case.batch, np.random.default_rng(0))

    def run() -> Predict:
        for _ in range(case.repeats):
            for rows, _, values in [(X, X.T, targets)] if case.batch >= len(X) else batches():
                net.forward(rows)
                net.backward(rows, values)
                step(net.g, rate)
        return lambda: net.predict(X)

    return run


def _calls(case: Network, dtype: str) -> Run:
    X = case.data()[0].astype(dtype, copy=False)
    net, row = _Dense(case, network.weights(case.estimator().fit(*case.data())), 1, dtype), X[:1]

    def run() -> Predict:
        for _ in range(case.repeats):
            net.forward(row)
        return lambda: net.predict(X)

    return run


WAYS = {Linear: _linear, Steps: _steps, Network: _network}
