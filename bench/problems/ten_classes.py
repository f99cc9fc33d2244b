"""10 classes one against the rest, dense float32, 200,000 x 100, log loss, 3 epochs, n_jobs=2."""

from __future__ import annotations

from bench import data
from bench.case import LOGISTIC, Case, rows

NAME = "ten-classes"
DESCRIPTION = "10 classes one against the rest, dense float32, 200,000 x 100, log loss, 3 epochs, n_jobs=2"
TARGETS = {"scikit-learn": 5.0}
SETTINGS = {**LOGISTIC, "max_iter": 3, "n_jobs": 2}


def make(scale: float) -> Case:
    """Return the problem with `scale` times its rows."""
    X, y = data.dense(rows(200_000, scale, SETTINGS), 100, "float32", classes=10)
    return Case(X, y, SETTINGS)
