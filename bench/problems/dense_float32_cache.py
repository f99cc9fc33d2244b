"""Dense float32, log loss, one sample a step: rows that fit in cache."""

from __future__ import annotations

from collections.abc import Iterator

from bench import data
from bench.linear import CHAIN_SHARE, LOGISTIC, Linear, rows

NAME, GROUP = "dense-float32-cache", "One sample a step"


def cases(scale: float) -> Iterator[Linear]:
    """Yield the problem, which has one size: smaller data would end elsewhere, see bench/linear.py."""
    X, y = data.dense(rows(20_000, scale), 100, "float32")
    yield Linear(
        description=f"dense float32, {len(X):,} x 100 (in cache), log loss, shuffled",
        X=X,
        y=y,
        settings=LOGISTIC,
        targets={"scikit-learn": 8.0},
        share=CHAIN_SHARE,
    )
