"""LIBLINEAR, as it comes with scikit-learn.

Its intercept is the weight of a constant column, and penalised like any other. With a large constant
(`intercept_scaling`) next to nothing is left of that penalty, but the problem is harder to solve, so both are tried.
"""

from __future__ import annotations

from functools import partial

from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVR

from bench.quality.search import Way
from bench.quality.task import Task

from . import _estimator

NAME = "LIBLINEAR"
TOLERANCE = 1e-12  # so that the number of iterations alone says when to stop


def why_not(task: Task) -> str | None:
    """Return why this solver cannot run the task, or None."""
    return "one against the rest only" if task.outputs > 1 else None


def ways(task: Task) -> list[Way]:
    """Return Newton's method in a trust region and coordinate descent on the dual, each with two constant columns.

    LinearSVR with `epsilon` 0 has squared errors, which it does not halve. Absolute values have a coordinate descent on
    the primal of their own.
    """
    if task.loss == "squared_error":
        strength = 1 / (2 * task.alpha * task.rows)
        make = partial(LinearSVR, loss="squared_epsilon_insensitive", epsilon=0.0, C=strength, tol=TOLERANCE)
    else:
        strength = 1 / ((task.l1 or task.alpha) * task.rows)
        ratio = float(task.l1 > 0)
        make = partial(LogisticRegression, solver="liblinear", C=strength, l1_ratio=ratio, tol=TOLERANCE)
    return [
        way
        for scaling in (1, 100)
        for dual in ((False,) if task.l1 else (False, True))
        for way in _estimator.ways(
            task,
            f"{make.func.__name__}, dual={dual}, intercept_scaling={scaling}",
            partial(make, dual=dual, intercept_scaling=scaling),
            random=dual or task.l1 > 0,
        )
    ]
