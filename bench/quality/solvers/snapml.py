"""Snap ML: coordinate descent on the dual and on the primal problem.

Its intercept is the weight of a constant column, and penalised like any other. With a large constant next to nothing is
left of that penalty, but the problem is harder to solve, so several are tried. We make the column ourselves: on the
primal its `fit_intercept` returns no intercept.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import scipy.sparse as sp

from bench.quality.search import BUDGETS, Way
from bench.quality.task import Task, Weights

from . import _estimator

try:
    import snapml
except ImportError:
    snapml = None  # type: ignore[assignment]

NAME = "Snap ML"
VERSION = None if snapml is None else _estimator.version("snapml")
CONSTANTS = (1.0, 3.0, 10.0, 100.0)


def why_not(task: Task) -> str | None:
    """Return why this solver cannot run the task, or None."""
    if VERSION is None:
        return "snapml is not installed"
    return "one against the rest only" if task.outputs > 1 else None


def ways(task: Task) -> list[Way]:
    """Return a way for each problem, constant column and form of X."""
    return [
        _way(task, dual, constant, suffix)
        for dual in ((False,) if task.l1 else (True, False))
        for suffix in task.forms
        for constant in CONSTANTS
    ]


def _way(task: Task, dual: bool, constant: float, suffix: str) -> Way:
    make = partial(
        snapml.LinearRegression if task.loss == "squared_error" else snapml.LogisticRegression,
        regularizer=task.rows * (task.l1 or task.alpha),
        penalty="l1" if task.l1 else "l2",
        dual=dual,
        tol=0.0,
        fit_intercept=False,
    )

    def fit(passes: int, seed: int, threads: int) -> Weights:
        X = _with_column(_estimator.matrix(task.forms[suffix]()), constant)
        W = _estimator.weights(make(max_iter=passes, n_jobs=threads, random_state=seed).fit(X, task.y))[0]
        return W[:, :-1], constant * W[:, -1]

    return Way(f"{'dual' if dual else 'primal'}, constant column {constant:g}{suffix}", fit, BUDGETS)


def _with_column(X: Any, constant: float) -> Any:
    column = np.full((X.shape[0], 1), constant, dtype=X.dtype)
    return sp.csr_matrix(sp.hstack([X, column], format="csr")) if sp.issparse(X) else np.hstack([X, column])
