"""scikit-learn's ways through grids of models."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from joblib import Parallel, delayed, parallel_config
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegressionCV, SGDClassifier
from sklearn.model_selection import GridSearchCV

from bench.case import Run, Way
from bench.grid import Fits, Search
from bench.linear import THREADS

from . import _estimator

WORKERS = {"threads": "threading", "processes": "loky"}
SETTINGS: dict[str, dict[str, Any]] = {  # of SGDClassifier; the rate is the best of 0.01 to 0.1
    "defaults": {},
    "average=True": {"average": True},
    "learning_rate='adaptive', eta0=0.1": {"learning_rate": "adaptive", "eta0": 0.1},
}
SOLVERS = ("lbfgs", "newton-cholesky")
NEW_NAMES = {"l1_ratios": (0.0,), "use_legacy_attributes": False}  # what scikit-learn 1.8 and later warn without


def fits(case: Fits) -> list[Way]:
    """Some of the fits, side by side, since each takes as long as another."""
    alphas = case.alphas[case.some]

    def prepare(workers: str) -> Run:
        models = [SGDClassifier("log_loss", alpha=alpha, **case.settings) for alpha in alphas]

        def run() -> NDArray[np.float64]:
            fitted = Parallel(n_jobs=THREADS, prefer=workers)(delayed(model.fit)(case.X, case.y) for model in models)
            return np.vstack([_estimator.weights(model) for model in fitted])

        return run

    words = f"SGDClassifier, {len(alphas)} of the {len(case.alphas)} fits, {THREADS}"
    return [Way(f"{words} {each}", partial(prepare, each), times=len(case.alphas) / len(alphas)) for each in WORKERS]


def search(case: Search) -> list[Way]:
    """The search that the case names."""
    return {"GridSearchCV of SGDClassifier": _sgd, "LogisticRegressionCV": _logistic}[case.peer](case)


def _sgd(case: Search) -> list[Way]:
    """Some of the penalties, in the middle of their neighbours; the fit on all rows at the end counts as one more."""
    alphas, folds = case.alphas[case.some], case.folds.n_splits
    times = (len(case.alphas) * folds + 1) / (len(alphas) * folds + 1)

    def prepare(settings: dict[str, Any], backend: str) -> Run:
        model = SGDClassifier("log_loss", random_state=0, **settings)
        grid = GridSearchCV(model, {"alpha": alphas}, scoring=case.scoring, cv=case.folds, n_jobs=THREADS)

        def run() -> NDArray[np.float64]:
            with parallel_config(backend):
                return grid.fit(case.X, case.y).cv_results_["mean_test_score"]

        return run

    words = f"{case.peer}, {len(alphas)} of the {len(case.alphas)} alphas"
    return [
        Way(f"{words}, {name}, {THREADS} {workers}", partial(prepare, settings, backend), times)
        for name, settings in SETTINGS.items()
        for workers, backend in WORKERS.items()
    ]


def _logistic(case: Search) -> list[Way]:
    """In two processes, as scikit-learn prefers.

    Threads are slower, and so are the other solvers: on 100 dense columns newton-cg takes over three times as long as
    lbfgs with 100,000 rows, and liblinear, sag and saga take over three times as long as newton-cholesky with 10,000.
    """
    trained = case.X.shape[0] * (1 - 1 / case.folds.n_splits)

    def prepare(solver: str) -> Run:
        grid = LogisticRegressionCV(
            Cs=1 / (case.alphas * trained),
            cv=case.folds,
            scoring=case.scoring,
            solver=solver,
            n_jobs=THREADS,
            random_state=0,
            **NEW_NAMES,
        )

        def run() -> NDArray[np.float64]:
            with parallel_config("loky"):
                scores = np.asarray(grid.fit(case.X, case.y).scores_)
            return scores.reshape(case.folds.n_splits, -1).mean(axis=0)

        return run

    return [Way(f"{case.peer}, {solver}, {THREADS} processes", partial(prepare, solver)) for solver in SOLVERS]
