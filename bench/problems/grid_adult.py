"""20 penalties x 5 folds on a table of categories and numbers, scored by accuracy."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bench.grid import SCORES_APART, Search
from bench.quality.problems import adult

NAME, GROUP = "grid-adult", "Grids of models"
OURS = {"optimizer": "sgd", "batch_size": 32, "learning_rate": "constant", "eta0s": [3.0], "average": True}


def cases(scale: float) -> Iterator[Search]:
    """Yield the search beside two of scikit-learn's, on `scale` times the rows."""
    task = adult.make(1.0)
    rows = round(task.rows * scale)
    for peer, every, tolerance, target in (
        ("GridSearchCV of SGDClassifier", 5, 0.0, 15.0),
        ("LogisticRegressionCV", 1, SCORES_APART["accuracy"], 1.0),
    ):
        yield Search(
            description=f"20 alphas x 5 folds, Adult, CSR float64, {rows:,} x {task.features}, beside {peer}",
            X=task.X[:rows],
            y=task.y[:rows],
            alphas=np.logspace(-6, -1, 20),
            every=every,
            peer=peer,
            ours=OURS,
            tolerance=tolerance,
            targets={"scikit-learn": target},
            peers=("scikit-learn",),
        )
