"""Dense float64, 500,000 x 100, log loss, shuffled, 10 epochs."""

from __future__ import annotations

from bench import data
from bench.case import LOGISTIC, Case, rows

NAME = "dense-float64"
DESCRIPTION = "Dense float64, 500,000 x 100, log loss, shuffled, 10 epochs"
TARGETS = {"scikit-learn": 4.0}


def make(scale: float) -> Case:
    """Return the problem with `scale` times its rows."""
    X, y = data.dense(rows(500_000, scale), 100, "float64")
    return Case(X, y, LOGISTIC)
