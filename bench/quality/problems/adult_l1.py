"""Adult with an L1 penalty."""

from __future__ import annotations

from bench.quality.task import Task

from . import _adult

NAME = "adult-l1"
DESCRIPTION = f"Adult, one-hot and scaled, {_adult.FORM}, L1 1e-3"
RECIPES = _adult.RECIPES


def make(scale: float) -> Task:
    """Return the problem; real data have one size."""
    X, y = _adult.data(scaled=True)
    return Task(X, y, "log_loss", 0.0, RECIPES, l1=1e-3)
