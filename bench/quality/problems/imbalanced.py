"""Dense float32, 300,000 x 50, one row of a hundred in the second class."""

from __future__ import annotations

import numpy as np

from bench import data
from bench.quality.recipes import recipes
from bench.quality.task import Task

NAME = "imbalanced"
DESCRIPTION = "Synthetic dense float32, 300,000 x 50, 1 % in one class, log loss, alpha 1e-5"
RECIPES = recipes((256, 1024), sgd=(0.3, 1.0, 3.0), nesterov=(0.1, 0.3, 1.0), adagrad=(0.1, 0.3), adam=(0.01, 0.03))
FEATURES = 50


def make(scale: float) -> Task:
    """Return the problem with `scale` times its rows."""
    rng = np.random.default_rng(7)
    X = rng.standard_normal((round(300_000 * scale), FEATURES), dtype=np.float32)
    scores = X @ rng.standard_normal(FEATURES) / np.sqrt(FEATURES) + data.NOISE * rng.standard_normal(len(X))
    return Task(X, (scores > np.quantile(scores, 0.99)).astype(np.int64), "log_loss", 1e-5, RECIPES)
