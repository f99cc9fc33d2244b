"""A vectorised NumPy loop over mini-batches, with SciPy's products for sparse data."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from scipy.special import expit

from bench.quality.recipes import MOMENTUM, Recipe
from bench.quality.search import Way
from bench.quality.task import Task, Weights
from bench.solvers._numpy import adagrad, adam, adjacent, sgd, softmax

NAME = "NumPy loop"


def why_not(task: Task) -> str | None:
    """Return why this solver cannot run the task, or None."""
    return "no absolute values" if task.l1 else None


def ways(task: Task) -> list[Way]:
    """Return a way for each recipe and form of X."""
    return [_way(task, recipe, name, form) for name, form in task.forms.items() for recipe in task.recipes]


def _way(task: Task, recipe: Recipe, suffix: str, form: Callable[[], Any]) -> Way:
    def fit(epochs: int, seed: int, threads: int) -> Weights:
        X, targets = form(), task.targets()
        batches = adjacent(X, targets, recipe.batch_size, np.random.default_rng(seed))
        rates = iter(recipe.rates(task.rows, epochs).tolist())
        slopes = SLOPES[task.loss]
        alpha = X.dtype.type(task.alpha)
        w = np.zeros((task.features + 1, *targets.shape[1:]), dtype=X.dtype)  # intercepts last
        g = np.empty_like(w)
        step = RULES[recipe.rule](w)
        for _ in range(epochs):
            for rows, columns, y in batches():
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


RULES = {"sgd": sgd, "nesterov": partial(sgd, momentum=MOMENTUM, nesterov=True), "adam": adam, "adagrad": adagrad}
SLOPES = {"log_loss": lambda z: expit(z, out=z), "multinomial": softmax, "squared_error": lambda z: z}
