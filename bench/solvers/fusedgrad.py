"""fusedgrad, the subject."""

from __future__ import annotations

import fusedgrad
import numpy as np
from fusedgrad import linear_model
from numpy.typing import NDArray

from bench.case import Case, Run, Way, on_threads
from bench.grid import Fits, Search
from bench.linear import Linear
from bench.network import THREADS, Network
from bench.steps import Steps

from . import _estimator

NAME = "fusedgrad"
VERSION = fusedgrad.__version__


def why_not(case: Case) -> str | None:
    """Return why this solver cannot run the case, or None."""
    return None if type(case) in WAYS else f"nothing for {type(case).__name__}"


def ways(case: Case) -> list[Way]:
    """Return our only way."""
    return WAYS[type(case)](case)


def _linear(case: Linear) -> list[Way]:
    mine = case.for_subject()
    threads = mine.settings.get("n_jobs") or 1
    return [Way(on_threads(threads), lambda: _estimator.prepare(linear_model, mine))]


def _network(case: Network) -> list[Way]:
    return [Way(f"{THREADS} threads", _estimator.network(case, case.estimator))]


def _steps(case: Steps) -> list[Way]:
    """With its own choice of threads."""

    def prepare() -> Run:
        w, g = case.problem()
        state = case.optimizer.init(w)
        return case.run(lambda: case.optimizer.step(w, g, state), w)

    return [Way("", prepare)]


def _fits(case: Fits) -> list[Way]:
    """All in one pass."""

    def prepare() -> Run:
        settings = {**case.settings, **case.ours}
        models = [linear_model.SGDClassifier("log_loss", alpha=alpha, **settings) for alpha in case.alphas]

        def run() -> NDArray[np.float64]:
            fusedgrad.fit_many(models, case.X, case.y)
            return np.vstack([_estimator.weights(model) for model in models])

        return run

    return [Way(f"fit_many, {THREADS} threads", prepare)]


def _search(case: Search) -> list[Way]:
    """All penalties of a fold in one pass."""
    settings = {"scoring": case.scoring, "cv": case.folds, "n_jobs": THREADS, "random_state": 0, **case.ours}

    def prepare() -> Run:
        grid = linear_model.SGDClassifierCV("log_loss", alphas=case.alphas, **settings)
        return lambda: grid.fit(case.X, case.y).cv_results_["mean_test_score"]

    words = "".join(f", {name}={value!r}" for name, value in case.ours.items())
    return [Way(f"SGDClassifierCV{words}, {THREADS} threads", prepare)]


WAYS = {Linear: _linear, Network: _network, Steps: _steps, Fits: _fits, Search: _search}
