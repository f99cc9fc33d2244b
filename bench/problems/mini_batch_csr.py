"""CSR float64, log loss, batches of 1,024 rows."""

from __future__ import annotations

from collections.abc import Iterator

from bench import data
from bench.linear import LOGISTIC, THREADS, Linear, rows

NAME, GROUP = "mini-batch-csr", "Mini-batches"
SETTINGS = {**LOGISTIC, "max_iter": 3}
OURS = {"batch_size": 1024, "learning_rate": "constant", "eta0": 5.0, "n_jobs": THREADS}


def cases(scale: float) -> Iterator[Linear]:
    """Yield the problem with `scale` times its rows."""
    X, y = data.sparse(rows(500_000, scale, SETTINGS), 100_000, 50)
    yield Linear(
        description=f"CSR float64, {X.shape[0]:,} x 100,000, 50 non-zeros a row, log loss, batch 1,024",
        X=X,
        y=y,
        settings=SETTINGS,
        ours=OURS,
        targets={"scikit-learn": 4.0},
    )
