"""CSR float64, 500,000 x 100,000, 50 non-zeros a row, log loss, 3 epochs."""

from __future__ import annotations

from bench import data
from bench.case import LOGISTIC, Case, rows

NAME = "csr-float64"
DESCRIPTION = "CSR float64, 500,000 x 100,000, 50 non-zeros a row, log loss, 3 epochs"
TARGETS = {"scikit-learn": 1.8}
SETTINGS = {**LOGISTIC, "max_iter": 3}


def make(scale: float) -> Case:
    """Return the problem with `scale` times its rows."""
    X, y = data.sparse(rows(500_000, scale, SETTINGS), 100_000, 50)
    return Case(X, y, SETTINGS)
