"""Ten classes one against the rest, dense float32, log loss, batches of 1,024 rows."""

from __future__ import annotations

from collections.abc import Iterator

from bench import data
from bench.linear import LOGISTIC, THREADS, Linear, rows

NAME, GROUP = "mini-batch-ten-classes", "Mini-batches"
SETTINGS = {**LOGISTIC, "max_iter": 3, "n_jobs": THREADS}
OURS = {"batch_size": 1024, "learning_rate": "constant", "eta0": 0.5}


def cases(scale: float) -> Iterator[Linear]:
    """Yield the problem with `scale` times its rows."""
    X, y = data.dense(rows(200_000, scale, SETTINGS), 100, "float32", classes=10)
    yield Linear(
        description=f"10 classes, dense float32, {len(X):,} x 100, log loss, batch 1,024",
        X=X,
        y=y,
        settings=SETTINGS,
        ours=OURS,
        targets={"scikit-learn": 30.0},
    )
