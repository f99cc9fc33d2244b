"""fusedgrad with mini-batches: the recipes."""

from __future__ import annotations

from typing import Any

from fusedgrad.linear_model import SGDClassifier, SGDRegressor
from fusedgrad.optimizers import SGD
from fusedgrad.schedules import Cosine

from bench.quality.recipes import MOMENTUM, Recipe
from bench.quality.search import Way
from bench.quality.task import Task, Weights

from . import _estimator

NAME = "fusedgrad"


def why_not(task: Task) -> str | None:
    """Return why this solver cannot run the task, or None."""
    return None


def model(task: Task, **settings: Any) -> Any:
    """Return the estimator of a task."""
    if task.l1:
        return SGDClassifier(loss="log_loss", penalty="l1", alpha=task.l1, tol=None, **settings)
    if task.loss == "squared_error":
        return SGDRegressor(alpha=task.alpha, tol=None, **settings)
    multi_class = "multinomial" if task.loss == "multinomial" else "ovr"
    return SGDClassifier(loss="log_loss", alpha=task.alpha, tol=None, multi_class=multi_class, **settings)


def ways(task: Task) -> list[Way]:
    """Return a way for each recipe."""
    return [_way(task, recipe) for recipe in task.recipes]


def _way(task: Task, recipe: Recipe) -> Way:
    optimizer = SGD(momentum=MOMENTUM, nesterov=True) if recipe.rule == "nesterov" else recipe.rule

    def fit(epochs: int, seed: int, threads: int) -> Weights:
        estimator = model(
            task,
            batch_size=recipe.batch_size,
            optimizer=optimizer,
            learning_rate=Cosine(recipe.rate, recipe.steps(task.rows, epochs)),
            max_iter=epochs,
            n_jobs=threads,
            random_state=seed,
        )
        return _estimator.weights(estimator.fit(task.X, task.y))

    return Way(str(recipe), fit)
