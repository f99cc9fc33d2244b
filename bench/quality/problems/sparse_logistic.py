"""CSR float64, 200,000 x 20,000, 50 non-zeros a row, log loss, alpha 1e-5."""

from __future__ import annotations

from bench import data
from bench.quality.recipes import recipes
from bench.quality.task import Task

NAME = "sparse-logistic"
DESCRIPTION = "Synthetic CSR float64, 200,000 x 20,000, 50 non-zeros a row, log loss, alpha 1e-5"
RECIPES = recipes((256, 1024), sgd=(3.0, 10.0, 30.0), nesterov=(1.0, 3.0), adagrad=(0.1, 0.3), adam=(0.01, 0.03))
REMARK = (
    "20,000 features, 50 of them in a row: the objective is near a well-conditioned parabola, so L-BFGS needs only "
    "9 passes, while SGD has to average the noise of its batches away."
)


def make(scale: float) -> Task:
    """Return the problem with `scale` times its rows and features."""
    X, y = data.sparse(round(200_000 * scale), round(20_000 * scale), 50)
    return Task(X, y, "log_loss", 1e-5, RECIPES)
