"""Dense float32, log loss, batches of 1,024 rows."""

from __future__ import annotations

from collections.abc import Iterator

from bench import data
from bench.linear import LOGISTIC, THREADS, Linear, rows

NAME, GROUP = "mini-batch-dense", "Mini-batches"
OURS = {"batch_size": 1024, "learning_rate": "constant", "eta0": 0.5, "n_jobs": THREADS}


def cases(scale: float) -> Iterator[Linear]:
    """Yield the problem with `scale` times its rows."""
    X, y = data.dense(rows(500_000, scale), 100, "float32")
    yield Linear(
        description=f"dense float32, {len(X):,} x 100, log loss, batch 1,024",
        X=X,
        y=y,
        settings=LOGISTIC,
        ours=OURS,
        targets={"scikit-learn": 25.0},
        share=0.7,
    )
