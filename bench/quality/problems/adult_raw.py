"""Adult with its numbers as they are, of which one goes up to 1.5 million."""

from __future__ import annotations

from bench.quality.recipes import recipes
from bench.quality.task import Task

from . import _adult

NAME = "adult-raw"
DESCRIPTION = f"Adult, one-hot, numbers as they are, {_adult.FORM}, alpha 1e-5"
RECIPES = recipes((64, 256), sgd=(1e-12, 1e-10), adagrad=(0.01, 0.1), adam=(1e-4, 1e-3))


def make(scale: float) -> Task:
    """Return the problem; real data have one size."""
    X, y = _adult.data(scaled=False)
    return Task(X, y, "log_loss", 1e-5, RECIPES)
