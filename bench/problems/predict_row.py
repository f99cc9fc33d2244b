"""predict of one row, 100 features, float64, log loss."""

from __future__ import annotations

from bench import data
from bench.case import LOGISTIC, Case

NAME = "predict-row"
DESCRIPTION = "predict of one row, 100 features, float64, log loss"
TARGETS = {"scikit-learn": 2.0}


def make(scale: float) -> Case:
    """Return the problem with `scale` times its calls."""
    X, y = data.dense(20_000, 100, "float64")
    return Case(X, y, LOGISTIC, action="predict", calls=round(500 * scale))
