"""10 penalties x 5 folds on dense, correlated columns, beside scikit-learn's own estimator for that."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from bench import data
from bench.grid import SCORES_APART, Search

NAME, GROUP = "grid-logistic", "Grids of models"


def cases(scale: float) -> Iterator[Search]:
    """Yield the problem with `scale` times its rows, for two scores."""
    X, y = correlated(round(100_000 * scale))
    strengths = np.logspace(-4, 2, 10) * 0.8 * len(X)  # scikit-learn's C, times the rows that a fold is trained on
    for scoring, tolerance in SCORES_APART.items():
        yield Search(
            description=f"10 alphas x 5 folds, dense float64, {len(X):,} x 100, {scoring}",
            X=X,
            y=y,
            alphas=1 / strengths,
            peer="LogisticRegressionCV",
            scoring=scoring,
            tolerance=tolerance,
            targets={"scikit-learn": 1.0},
            peers=("scikit-learn",),
        )


def correlated(rows: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return columns that are mixtures of 20 factors, and noise; labels from a noisy linear model."""
    rng = np.random.default_rng(0)
    factors = rng.standard_normal((rows, 20)) @ rng.standard_normal((20, 100)) / np.sqrt(20)
    X = factors + 0.5 * rng.standard_normal((rows, 100))
    scores = X @ rng.standard_normal(100)
    return X, (scores / scores.std() + data.NOISE * rng.standard_normal(rows) > 0).astype(np.int64)
