"""glum: iteratively reweighted least squares, with coordinate descent for absolute values, and L-BFGS.

Its objective is the race's: half the mean deviance, and the intercept is free.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from bench.quality.search import BUDGETS, Way
from bench.quality.task import Task, Weights

from . import _estimator

try:
    import glum
except ImportError:
    glum = None  # type: ignore[assignment]

NAME = "glum"
VERSION = None if glum is None else glum.__version__
TOLERANCE = 1e-12  # so that the number of iterations alone says when to stop
WIDEST = 3000  # features whose Hessian is worth a factor


def why_not(task: Task) -> str | None:
    """Return why this solver cannot run the task, or None."""
    if VERSION is None:
        return "glum is not installed"
    if task.l1 and task.features > WIDEST:
        return "coordinate descent on a dense Hessian of all columns"
    return "one output only" if task.outputs > 1 else None


def ways(task: Task) -> list[Way]:
    """Return a way for each solver and form of X."""
    names = ["irls-cd"] if task.l1 else ["irls-ls", "lbfgs"] if task.features <= WIDEST else ["lbfgs"]
    return [_way(task, name, suffix) for name in names for suffix in _estimator.forms(task)]


def _way(task: Task, solver: str, suffix: str) -> Way:
    make = partial(
        glum.GeneralizedLinearRegressor,
        family="normal" if task.loss == "squared_error" else "binomial",
        alpha=task.l1 or task.alpha,
        l1_ratio=float(task.l1 > 0),
        solver=solver,
        gradient_tol=TOLERANCE,
    )

    def fit(budget: int, seed: int, threads: int) -> Weights:
        X = _estimator.matrix(_estimator.forms(task)[suffix]())
        return _estimator.weights(make(max_iter=budget).fit(X, np.asarray(task.y, dtype=X.dtype)))

    return Way(solver + suffix, fit, BUDGETS, random=False)
