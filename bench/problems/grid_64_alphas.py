"""64 penalties in one pass, dense float32."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bench import data
from bench.grid import Fits
from bench.linear import THREADS

NAME, GROUP = "grid-64-alphas", "Grids of models"
SETTINGS = {"learning_rate": "constant", "eta0": 0.1, "max_iter": 5, "tol": None, "random_state": 0}
OURS = {"batch_size": 1024, "n_jobs": THREADS}


def cases(scale: float) -> Iterator[Fits]:
    """Yield the problem with `scale` times its rows."""
    X, y = data.dense(round(500_000 * scale), 100, "float32")
    yield Fits(
        description=f"64 alphas, dense float32, {len(X):,} x 100, log loss, 5 epochs, batch 1,024",
        X=X,
        y=y,
        alphas=np.logspace(-6, -1, 64),
        every=8,
        settings=SETTINGS,
        ours=OURS,
        targets={"scikit-learn": 60.0, "fusedgrad, fit by fit": 6.0},
        peers=("scikit-learn", "fusedgrad, fit by fit"),
    )
