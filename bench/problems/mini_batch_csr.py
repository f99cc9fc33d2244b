"""CSR float64, 500,000 x 100,000, 50 non-zeros a row, log loss, batch 1,024, rate 5, 3 epochs."""

from __future__ import annotations

from bench import data
from bench.case import LOGISTIC, Case, rows

NAME = "mini-batch-csr"
DESCRIPTION = "CSR float64, 500,000 x 100,000, 50 non-zeros a row, log loss, batch 1,024, rate 5, 3 epochs"
TARGETS = {"scikit-learn": 4.0}
SETTINGS = {**LOGISTIC, "max_iter": 3}
OURS = {"batch_size": 1024, "learning_rate": "constant", "eta0": 5.0}


def make(scale: float) -> Case:
    """Return the problem with `scale` times its rows."""
    X, y = data.sparse(rows(500_000, scale, SETTINGS), 100_000, 50)
    return Case(X, y, SETTINGS, ours=OURS, threads=(1, 2))
