"""Dense float32, 200,000 x 200, correlated: standard deviations fall as 1/j along hidden axes."""

from __future__ import annotations

import numpy as np

from bench import data
from bench.quality.recipes import recipes
from bench.quality.task import Task

NAME = "ill-conditioned"
DESCRIPTION = "Synthetic dense float32, 200,000 x 200, condition number 4e4, log loss, alpha 1e-5"
RECIPES = recipes((256, 1024), sgd=(0.01, 0.03, 0.1), nesterov=(0.003, 0.01), adagrad=(0.1, 0.3), adam=(0.003, 0.01))
FEATURES = 200


def make(scale: float) -> Task:
    """Return the problem with `scale` times its rows."""
    rng = np.random.default_rng(5)
    axes, _ = np.linalg.qr(rng.standard_normal((FEATURES, FEATURES)))
    X = rng.standard_normal((round(200_000 * scale), FEATURES)) / np.arange(1, FEATURES + 1) @ axes.T
    X /= X.std(axis=0)
    scores = X @ rng.standard_normal(FEATURES)
    scores *= 2 / scores.std()
    y = (scores + data.NOISE * rng.standard_normal(len(X)) > 0).astype(np.int64)
    return Task(X.astype(np.float32), y, "log_loss", 1e-5, RECIPES)
