"""partial_fit of one row."""

from __future__ import annotations

from collections.abc import Iterator

from bench import data
from bench.linear import LOGISTIC, Linear

NAME, GROUP = "partial-fit-row", "One row"


def cases(scale: float) -> Iterator[Linear]:
    """Yield the problem with `scale` times its calls."""
    X, y = data.dense(500, 100, "float64")
    yield Linear(
        description="partial_fit of one row, 100 features, float64, log loss",
        X=X,
        y=y,
        settings=LOGISTIC,
        unit="partial_fit",
        calls=round(500 * scale),
        targets={"scikit-learn": 2.0},
        remarks={"NumPy float64": "no checks of the input"},
    )
