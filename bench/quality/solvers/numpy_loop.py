"""A vectorised NumPy loop over mini-batches, with SciPy's products for sparse data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from bench.quality.recipes import MOMENTUM, Recipe
from bench.quality.search import Way
from bench.quality.task import Task, Weights

NAME = "NumPy loop"
Array = NDArray[Any]


def why_not(task: Task) -> str | None:
    """Return why this solver cannot run the task, or None."""
    return None


def ways(task: Task) -> list[Way]:
    """Return a way for each recipe and form of X."""
    return [_way(task, recipe, name, form) for name, form in task.forms.items() for recipe in task.recipes]


def _way(task: Task, recipe: Recipe, suffix: str, form: Callable[[], Any]) -> Way:
    def fit(epochs: int, seed: int, threads: int) -> Weights:
        X, targets = form(), task.targets()
        batches = [(X[rows], X[rows].T, targets[rows]) for rows in recipe.slices(task.rows)]
        rates = iter(recipe.rates(task.rows, epochs).astype(X.dtype))
        rng = np.random.default_rng(seed)
        slopes = SLOPES[task.loss]
        alpha = X.dtype.type(task.alpha)
        w = np.zeros((task.features + 1, *targets.shape[1:]), dtype=X.dtype)  # intercepts last
        g = np.empty_like(w)
        step = RULES[recipe.rule](w)
        for _ in range(epochs):
            for k in rng.permutation(len(batches)):
                rows, columns, y = batches[k]
                r = rows @ w[:-1]
                r += w[-1]
                r = slopes(r)
                r -= y
                r /= len(y)
                g[:-1] = columns @ r
                g[:-1] += alpha * w[:-1]
                g[-1] = r.sum(axis=0)
                step(g, next(rates))
        return np.atleast_2d(w[:-1].T), np.atleast_1d(w[-1])

    return Way(f"{recipe}{suffix}", fit)


def _softmax(z: Array) -> Array:
    z -= z.max(axis=1, keepdims=True)
    np.exp(z, out=z)
    z /= z.sum(axis=1, keepdims=True)
    return z


def _sgd(w: Array) -> Callable[[Array, float], None]:
    def step(g: Array, rate: float) -> None:
        np.subtract(w, rate * g, out=w)

    return step


def _nesterov(w: Array) -> Callable[[Array, float], None]:
    v, mu = np.zeros_like(w), w.dtype.type(MOMENTUM)

    def step(g: Array, rate: float) -> None:
        np.multiply(v, mu, out=v)
        np.add(v, g, out=v)
        np.subtract(w, rate * (g + mu * v), out=w)

    return step


def _adam(w: Array) -> Callable[[Array, float], None]:
    m, v, t = np.zeros_like(w), np.zeros_like(w), 0
    beta_1, beta_2 = w.dtype.type(0.9), w.dtype.type(0.999)

    def step(g: Array, rate: float) -> None:
        nonlocal t
        t += 1
        np.add(m, (1 - beta_1) * (g - m), out=m)
        np.add(v, (1 - beta_2) * (g * g - v), out=v)
        size = w.dtype.type(rate * np.sqrt(1 - 0.999**t) / (1 - 0.9**t))
        np.subtract(w, size * m / (np.sqrt(v) + w.dtype.type(1e-8)), out=w)

    return step


def _adagrad(w: Array) -> Callable[[Array, float], None]:
    h = np.full_like(w, 1e-10)

    def step(g: Array, rate: float) -> None:
        np.add(h, g * g, out=h)
        np.subtract(w, rate * g / np.sqrt(h), out=w)

    return step


RULES = {"sgd": _sgd, "nesterov": _nesterov, "adam": _adam, "adagrad": _adagrad}
SLOPES = {
    "log_loss": lambda z: expit(z, out=z),
    "multinomial": _softmax,
    "squared_error": lambda z: z,
}
