"""fusedgrad with ``batch_size=256`` and nothing else."""

from __future__ import annotations

from bench.quality.search import Way
from bench.quality.task import Task, Weights

from . import _estimator, fusedgrad

NAME = "fusedgrad, nothing tuned"


def why_not(task: Task) -> str | None:
    """Return why this solver cannot run the task, or None."""
    return None


def ways(task: Task) -> list[Way]:
    """Return the only way."""

    def fit(epochs: int, seed: int, threads: int) -> Weights:
        estimator = fusedgrad.model(task, batch_size=256, max_iter=epochs, n_jobs=threads, random_state=seed)
        estimator.set_params(tol=1e-3)  # its default
        return _estimator.weights(estimator.fit(task.X, task.y))

    return [Way("batch_size=256", fit)]
