"""Dense float32, 500,000 x 100, log loss, alpha 1e-5."""

from __future__ import annotations

from bench import data
from bench.quality.recipes import recipes
from bench.quality.task import Task

NAME = "dense-logistic"
DESCRIPTION = "Synthetic dense float32, 500,000 x 100, log loss, alpha 1e-5"
RECIPES = recipes((256, 1024, 4096), sgd=(0.3, 1.0, 3.0), adagrad=(0.1, 0.3), adam=(0.01, 0.03))


def make(scale: float) -> Task:
    """Return the problem with `scale` times its rows."""
    X, y = data.dense(round(500_000 * scale), 100, "float32")
    return Task(X, y, "log_loss", 1e-5, RECIPES)
