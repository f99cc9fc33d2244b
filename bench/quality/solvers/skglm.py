"""skglm: proximal Newton steps and accelerated coordinate descent on working sets; one thread.

Its objective is the race's, and the intercept is free. Its L-BFGS fits none. Numba compiles before the clock runs.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from bench.quality.search import BUDGETS, Way
from bench.quality.task import Task, Weights

from . import _estimator

try:
    import skglm
    from skglm import datafits, penalties, solvers
except ImportError:
    skglm = None  # type: ignore[assignment]

NAME = "skglm"
VERSION = None if skglm is None else _estimator.version("skglm")
TOLERANCE = 1e-12  # so that the number of iterations alone says when to stop
FEW = 200  # rows to compile for
EPOCHS = 200  # on a working set; its default, 50,000, can take minutes


def why_not(task: Task) -> str | None:
    """Return why this solver cannot run the task, or None."""
    if VERSION is None:
        return "skglm is not installed"
    return "one output only" if task.outputs > 1 else None


def ways(task: Task) -> list[Way]:
    """Return a way for each solver and form of X."""
    d = task.features
    made: dict[str, Callable[[int], Any]] = {
        "AndersonCD": lambda epochs: solvers.AndersonCD(max_iter=1, max_epochs=epochs, p0=d, tol=TOLERANCE),
        "AndersonCD, working sets": lambda sets: solvers.AndersonCD(max_iter=sets, max_epochs=EPOCHS, tol=TOLERANCE),
    }
    if task.loss == "log_loss":
        made = {
            "ProxNewton": lambda steps: solvers.ProxNewton(max_iter=steps, p0=d, tol=TOLERANCE),
            "ProxNewton, working sets": lambda sets: solvers.ProxNewton(max_iter=sets, tol=TOLERANCE),
            **made,
        }
    return [_way(task, name, solver, suffix) for suffix in task.forms for name, solver in made.items()]


def _way(task: Task, name: str, solver: Callable[[int], Any], suffix: str) -> Way:
    def model(X: Any, y: Any, budget: int) -> Weights:
        datafit = datafits.Quadratic() if task.loss == "squared_error" else datafits.Logistic()
        penalty = penalties.L1(task.l1) if task.l1 else penalties.L1_plus_L2(task.alpha, 0.0)
        return _estimator.weights(skglm.GeneralizedLinearEstimator(datafit, penalty, solver(budget)).fit(X, y))

    @functools.cache
    def compile_all() -> None:
        X = task.forms[suffix]()[:FEW]
        y = np.arange(len(task.y[:FEW])) % 2 if task.loss == "log_loss" else task.y[:FEW]
        model(_estimator.matrix(X), y, 2)

    def fit(budget: int, seed: int, threads: int) -> Weights:
        return model(_estimator.matrix(task.forms[suffix]()), task.y, budget)

    return Way(name + suffix, fit, BUDGETS, random=False, prepare=lambda threads: compile_all())
