"""partial_fit of one row, 100 features, float64, log loss."""

from __future__ import annotations

from bench import data
from bench.case import LOGISTIC, Case

NAME = "partial-fit-row"
DESCRIPTION = "partial_fit of one row, 100 features, float64, log loss"
TARGETS = {"scikit-learn": 2.0}


def make(scale: float) -> Case:
    """Return the problem with `scale` times its calls."""
    X, y = data.dense(500, 100, "float64")
    return Case(X, y, LOGISTIC, action="partial_fit", calls=round(500 * scale))
