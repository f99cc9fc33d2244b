"""scikit-learn's LogisticRegression and Ridge, with every solver that they have; liblinear is a solver of its own."""

from __future__ import annotations

from functools import partial

from sklearn.linear_model import LogisticRegression, Ridge

from bench.quality.search import BUDGETS, Way
from bench.quality.task import Task

from . import _estimator

NAME = "scikit-learn LogisticRegression or Ridge"
TOLERANCE = 1e-12  # so that the number of iterations alone says when to stop
LARGEST_HESSIAN = 2000  # parameters


def why_not(task: Task) -> str | None:
    """Return why this solver cannot run the task, or None."""
    return None


def ways(task: Task) -> list[Way]:
    """Return a way for each of the estimator's solvers."""
    if task.loss == "squared_error":
        ridge = partial(Ridge, alpha=task.alpha * task.rows, tol=TOLERANCE)
        direct = {"auto": (1,), "cholesky": (1,), "svd": (1,)}
        names = ["cholesky", "auto", "sparse_cg", "lsqr", "sag", "saga", "svd"]
        return [
            way
            for name in names
            for way in _estimator.ways(
                task,
                f"Ridge, {name}",
                partial(ridge, solver=name),
                random=name in ("sag", "saga"),
                budgets=direct.get(name, BUDGETS),
            )
        ]
    if task.l1:
        saga = partial(LogisticRegression, solver="saga", l1_ratio=1.0, C=1 / (task.l1 * task.rows), tol=TOLERANCE)
        return _estimator.ways(task, "LogisticRegression, saga", saga, random=True)
    names = ["lbfgs", "newton-cg", "sag", "saga"]
    if task.outputs * (task.features + 1) <= LARGEST_HESSIAN:
        names.insert(1, "newton-cholesky")
    logistic = partial(LogisticRegression, C=1 / (task.alpha * task.rows), tol=TOLERANCE)
    return [
        way
        for name in names
        for way in _estimator.ways(
            task, f"LogisticRegression, {name}", partial(logistic, solver=name), random=name in ("sag", "saga")
        )
    ]
