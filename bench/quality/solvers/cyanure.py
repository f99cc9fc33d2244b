"""Cyanure: variance-reduced and quasi-Newton methods. Its objective is the race's, and the intercept is free."""

from __future__ import annotations

from functools import partial

import numpy as np
import scipy.sparse as sp

from bench.quality.search import Way
from bench.quality.task import Task, Weights

from . import _estimator

try:
    import cyanure
    from cyanure.estimators import Classifier, Regression
except ImportError:
    cyanure = None  # type: ignore[assignment]

NAME = "Cyanure"
VERSION = None if cyanure is None else _estimator.version("cyanure")
TOLERANCE = 1e-12  # so that the number of iterations alone says when to stop
SOLVERS = ("auto", "qning-miso", "catalyst-miso", "qning-ista", "fista")
SVRG = ("qning-svrg", "acc-svrg")
LOSSES = {"log_loss": "logistic", "multinomial": "multiclass-logistic"}


def why_not(task: Task) -> str | None:
    """Return why this solver cannot run the task, or None."""
    if VERSION is None:
        return "cyanure is not installed"
    return None


def ways(task: Task) -> list[Way]:
    """Return a way for each solver and form of X; of SVRG none for sparse data of many classes, where it crashes."""
    names = SOLVERS if task.outputs > 1 and sp.issparse(task.X) else SOLVERS + SVRG
    return [_way(task, name, suffix) for name in names for suffix in _estimator.forms(task)]


def _way(task: Task, solver: str, suffix: str) -> Way:
    make = partial(
        Regression if task.loss == "squared_error" else partial(Classifier, loss=LOSSES[task.loss]),
        penalty="l1" if task.l1 else "l2",
        lambda_1=task.l1 or task.alpha,
        solver=solver,
        tol=TOLERANCE,
        fit_intercept=True,
        verbose=False,
    )

    def fit(passes: int, seed: int, threads: int) -> Weights:
        model = make(max_iter=passes, duality_gap_interval=max(10, passes), n_threads=threads, random_state=seed)
        model.fit(_estimator.matrix(_estimator.forms(task)[suffix]()), task.y)
        return np.reshape(model.coef_, (task.features, -1)).T, np.ravel(model.intercept_)

    return Way(solver + suffix, fit)
