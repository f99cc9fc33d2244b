"""Dense float32, 500,000 x 100, log loss, batch 1,024, rate 0.5, shuffle='rows', 10 epochs."""

from __future__ import annotations

from bench import data
from bench.case import LOGISTIC, Case, rows

NAME = "mini-batch-rows"
DESCRIPTION = "Dense float32, 500,000 x 100, log loss, batch 1,024, rate 0.5, shuffle='rows', 10 epochs"
TARGETS = {"scikit-learn": 12.0}
OURS = {"batch_size": 1024, "learning_rate": "constant", "eta0": 0.5, "shuffle": "rows"}


def make(scale: float) -> Case:
    """Return the problem with `scale` times its rows."""
    X, y = data.dense(rows(500_000, scale), 100, "float32")
    return Case(X, y, LOGISTIC, ours=OURS, threads=(1, 2))
