"""Extension for scikit-learn (scikit-learn-intelex): the solvers that it has code of its own for, on dense data."""

from __future__ import annotations

from functools import partial

import scipy.sparse as sp

from bench.quality.search import BUDGETS, Way
from bench.quality.task import Task, Weights

from . import _estimator

try:
    import sklearnex
    from sklearnex.linear_model import LogisticRegression, Ridge
except ImportError:
    sklearnex = None  # type: ignore[assignment]

NAME = "scikit-learn-intelex"
VERSION = None if sklearnex is None else _estimator.version("scikit-learn-intelex")
TOLERANCE = 1e-12  # so that the number of iterations alone says when to stop


def why_not(task: Task) -> str | None:
    """Return why this solver cannot run the task, or None."""
    if VERSION is None:
        return "scikit-learn-intelex is not installed"
    if task.l1:
        return "scikit-learn's own code for absolute values"
    return None if _forms(task) else "scikit-learn's own code for sparse data"


def ways(task: Task) -> list[Way]:
    """Return a way for each solver and dense form of X."""
    if task.loss == "squared_error":
        return [_way(task, "Ridge", partial(Ridge, alpha=task.alpha * task.rows), form, (1,)) for form in _forms(task)]
    logistic = partial(LogisticRegression, C=1 / (task.alpha * task.rows), tol=TOLERANCE)
    return [
        _way(task, f"LogisticRegression, {solver}", partial(logistic, solver=solver), form, BUDGETS)
        for solver in ("lbfgs", "newton-cg")
        for form in _forms(task)
    ]


def _forms(task: Task) -> list[str]:
    return [name for name in _estimator.forms(task) if name or not sp.issparse(task.X)]


def _way(task: Task, name: str, make: partial[LogisticRegression | Ridge], form: str, budgets: tuple[int, ...]) -> Way:
    def fit(iterations: int, seed: int, threads: int) -> Weights:
        return _estimator.weights(make(max_iter=iterations, n_jobs=threads).fit(_estimator.forms(task)[form](), task.y))

    return Way(name + form, fit, budgets, random=False)
