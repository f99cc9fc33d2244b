"""fusedgrad with ``optimizer="auto"`` and nothing else: it is asked for a gap by `tol`, and ends by itself.

Whether it got there says the race's own evaluation of the objective, as for everybody.
"""

from __future__ import annotations

from bench.quality.search import Way
from bench.quality.task import Task, Weights

from . import _estimator, fusedgrad

NAME = "fusedgrad, optimizer='auto'"


def why_not(task: Task) -> str | None:
    """Return why this solver cannot run the task, or None."""
    return None


def ways(task: Task) -> list[Way]:
    """Return the only way."""

    def fit(decimals: int, seed: int, threads: int) -> Weights:
        estimator = fusedgrad.model(task, optimizer="auto", n_jobs=threads, random_state=seed)
        estimator.set_params(tol=10.0**-decimals)
        return _estimator.weights(estimator.fit(task.X, task.y))

    return [Way("optimizer='auto', tol: the gap", fit, asked=True)]
