"""CSR float64, log loss, one sample a step."""

from __future__ import annotations

from collections.abc import Iterator

from bench import data
from bench.linear import LOGISTIC, Linear, rows

NAME, GROUP = "csr-float64", "One sample a step"
SETTINGS = {**LOGISTIC, "max_iter": 3}


def cases(scale: float) -> Iterator[Linear]:
    """Yield the problem with `scale` times its rows."""
    X, y = data.sparse(rows(500_000, scale, SETTINGS), 100_000, 50)
    yield Linear(
        description=f"CSR float64, {X.shape[0]:,} x 100,000, 50 non-zeros a row, log loss",
        X=X,
        y=y,
        settings=SETTINGS,
        targets={"scikit-learn": 1.8},
    )
