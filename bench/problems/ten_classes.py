"""Ten classes one against the rest, dense float32, log loss, one sample a step, two threads."""

from __future__ import annotations

from collections.abc import Iterator

from bench import data
from bench.linear import LOGISTIC, THREADS, Linear, rows

NAME, GROUP = "ten-classes", "One sample a step"
SETTINGS = {**LOGISTIC, "max_iter": 3, "n_jobs": THREADS}


def cases(scale: float) -> Iterator[Linear]:
    """Yield the problem with `scale` times its rows."""
    X, y = data.dense(rows(200_000, scale, SETTINGS), 100, "float32", classes=10)
    yield Linear(
        description=f"10 classes, dense float32, {len(X):,} x 100, log loss, n_jobs=2",
        X=X,
        y=y,
        settings=SETTINGS,
        targets={"scikit-learn": 5.0},
    )
