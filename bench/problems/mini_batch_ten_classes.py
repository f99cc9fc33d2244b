"""10 classes one against the rest, dense float32, 200,000 x 100, log loss, batch 1,024, rate 0.5, 3 epochs."""

from __future__ import annotations

from bench import data
from bench.case import LOGISTIC, Case, rows

NAME = "mini-batch-ten-classes"
DESCRIPTION = "10 classes one against the rest, dense float32, 200,000 x 100, log loss, batch 1,024, rate 0.5, 3 epochs"
TARGETS = {"scikit-learn": 30.0}
SETTINGS = {**LOGISTIC, "max_iter": 3}
OURS = {"batch_size": 1024, "learning_rate": "constant", "eta0": 0.5}


def make(scale: float) -> Case:
    """Return the problem with `scale` times its rows."""
    X, y = data.dense(rows(200_000, scale, SETTINGS), 100, "float32", classes=10)
    return Case(X, y, SETTINGS, ours=OURS, threads=(1, 2))
