"""Dense float32, 500,000 x 100, squared error, alpha 1e-4."""

from __future__ import annotations

import numpy as np

from bench import data
from bench.quality.recipes import recipes
from bench.quality.task import Task

NAME = "dense-ridge"
DESCRIPTION = "Synthetic dense float32, 500,000 x 100, squared error, alpha 1e-4"
RECIPES = recipes((256, 1024, 4096), sgd=(0.03, 0.1, 0.3), adagrad=(0.1, 0.3), adam=(0.01, 0.03))


def make(scale: float) -> Task:
    """Return the problem with `scale` times its rows."""
    X, _ = data.dense(round(500_000 * scale), 100, "float32")
    rng = np.random.default_rng(1)
    w = rng.standard_normal(100, dtype=np.float32) / 10
    y = X @ w + np.float32(data.NOISE) * rng.standard_normal(len(X), dtype=np.float32)
    return Task(X, y, "squared_error", 1e-4, RECIPES)
