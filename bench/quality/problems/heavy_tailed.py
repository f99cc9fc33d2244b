"""Dense float32, 200,000 x 60, raw: log-normal and Pareto columns in units from 1e-3 to 1e4."""

from __future__ import annotations

import numpy as np

from bench import data
from bench.quality.recipes import recipes
from bench.quality.task import Task

NAME = "heavy-tailed"
DESCRIPTION = "Synthetic dense float32, 200,000 x 60, heavy tails, units from 1e-3 to 1e4, log loss, alpha 1e-5"
RECIPES = recipes((256, 1024), sgd=(1e-11, 1e-9), adagrad=(0.001, 0.01, 0.1), adam=(1e-5, 1e-4, 1e-3))
FEATURES, PARETO = 60, slice(None, None, 7)


def make(scale: float) -> Task:
    """Return the problem with `scale` times its rows; labels depend on the logarithms."""
    rng = np.random.default_rng(6)
    X = np.exp(0.8 * rng.standard_normal((round(200_000 * scale), FEATURES))) * 10.0 ** rng.uniform(-3, 4, FEATURES)
    tails = rng.pareto(2.5, X[:, PARETO].shape) + 1
    X[:, PARETO] = tails * 10.0 ** rng.uniform(-2, 3, tails.shape[1])
    logs = np.log(X)
    logs -= logs.mean(axis=0)
    logs /= logs.std(axis=0)
    scores = logs @ rng.standard_normal(FEATURES) * (1.5 / np.sqrt(FEATURES))
    y = (scores + data.NOISE * rng.standard_normal(len(X)) > 0.3).astype(np.int64)
    return Task(X.astype(np.float32), y, "log_loss", 1e-5, RECIPES)
