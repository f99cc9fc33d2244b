"""Dense float64, log loss, one sample a step: rows in memory."""

from __future__ import annotations

from collections.abc import Iterator

from bench import data
from bench.linear import LOGISTIC, Linear, rows

NAME, GROUP = "dense-float64", "One sample a step"


def cases(scale: float) -> Iterator[Linear]:
    """Yield the problem with `scale` times its rows."""
    X, y = data.dense(rows(500_000, scale), 100, "float64")
    yield Linear(
        description=f"dense float64, {len(X):,} x 100, log loss, shuffled",
        X=X,
        y=y,
        settings=LOGISTIC,
        targets={"scikit-learn": 4.0},
    )
