"""scikit-learn's SGDClassifier and SGDRegressor."""

from __future__ import annotations

from functools import partial
from typing import Any

from sklearn.linear_model import SGDClassifier, SGDRegressor

from bench.quality.search import Way
from bench.quality.task import Task

from . import _estimator

NAME = "scikit-learn SGD"
RATES = (0.001, 0.003, 0.01, 0.03, 0.1)


def why_not(task: Task) -> str | None:
    """Return why this solver cannot run the task, or None."""
    return "one against the rest only" if task.loss == "multinomial" else None


def ways(task: Task) -> list[Way]:
    """Return averages, schedules and rates, and the defaults."""
    grid: list[dict[str, Any]] = [
        {"learning_rate": "constant", "eta0": rate, "average": average}
        for average in (True, max(1, task.rows // 2))
        for rate in RATES
    ]
    grid += [{"learning_rate": "adaptive", "eta0": rate, "tol": 1e-4, "n_iter_no_change": 1} for rate in RATES]
    grid += [{"learning_rate": "invscaling", "eta0": rate, "power_t": 0.5} for rate in (0.1, 1.0, 10.0)]
    grid += [{"learning_rate": "optimal", "average": True}, {}]
    return [way for settings in grid for way in _ways(task, settings)]


def _ways(task: Task, settings: dict[str, Any]) -> list[Way]:
    name = ", ".join(f"{key}={value}" for key, value in settings.items()) or "defaults"
    penalty = {"penalty": "l1", "alpha": task.l1} if task.l1 else {"alpha": task.alpha}
    settings = {**penalty, "tol": None, **settings}
    if task.loss == "squared_error":
        return _estimator.ways(task, name, partial(SGDRegressor, **settings), random=True)
    return _estimator.ways(task, name, partial(SGDClassifier, loss="log_loss", **settings), random=True)
