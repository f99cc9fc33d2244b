"""Adult: categories one-hot, numbers scaled, log loss."""

from __future__ import annotations

from bench.quality.task import Task

from . import _adult

NAME = "adult"
DESCRIPTION = f"Adult, one-hot and scaled, {_adult.FORM}, alpha 1e-4"
RECIPES = _adult.RECIPES


def make(scale: float) -> Task:
    """Return the problem; real data have one size."""
    X, y = _adult.data(scaled=True)
    return Task(X, y, "log_loss", 1e-4, RECIPES)
