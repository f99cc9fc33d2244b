"""Dense float32, 500,000 x 100, log loss, shuffled, 10 epochs."""

from __future__ import annotations

from bench import data
from bench.case import LOGISTIC, Case, rows

NAME = "dense-float32"
DESCRIPTION = "Dense float32, 500,000 x 100, log loss, shuffled, 10 epochs"
TARGETS = {"scikit-learn": 5.0}


def make(scale: float) -> Case:
    """Return the problem with `scale` times its rows."""
    X, y = data.dense(rows(500_000, scale), 100, "float32")
    return Case(X, y, LOGISTIC)
