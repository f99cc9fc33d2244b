"""scikit-learn."""

from __future__ import annotations

from functools import partial

import sklearn
from sklearn import linear_model, neural_network

from bench.case import Case, Run, Way, on_threads
from bench.grid import Fits, Search
from bench.limits import BLAS
from bench.linear import Linear
from bench.network import Network, Predict

from . import _estimator, _scikit_grids

NAME = "scikit-learn"
VERSION = sklearn.__version__
NO_NETWORK = {
    "step": "no logistic output of MLPRegressor",
    "epoch": "no such layers",
    "call": "no such layers",
}


def why_not(case: Case) -> str | None:
    """Return why this solver cannot run the case, or None."""
    if type(case) not in WAYS:
        return f"nothing for {type(case).__name__}"
    if isinstance(case, Network):
        return None if case.is_perceptron else NO_NETWORK[case.unit]
    return _estimator.why_not(linear_model, case) if isinstance(case, Linear) else None


def ways(case: Case) -> list[Way]:
    """Return the ways to run the case."""
    return WAYS[type(case)](case)


def _linear(case: Linear) -> list[Way]:
    """One sample a step, also where ours makes mini-batches: scikit-learn has nothing else."""
    threads = case.settings.get("n_jobs") or 1
    name = "SGDClassifier, one sample a step" if case.ours else "SGDClassifier"
    words = f"{name}, {on_threads(threads)}"
    return [Way(words, lambda: _estimator.prepare(linear_model, case))]


def _network(case: Network) -> list[Way]:
    """MLPClassifier, with one thread or all of NumPy's products."""
    prepare = _estimator.network(case, lambda: neural_network.MLPClassifier(**case.perceptron))

    def limited(threads: int) -> Run:
        run = prepare()

        def with_threads() -> Predict:
            with BLAS.limit(limits=threads):
                return run()

        return with_threads

    return [Way(f"MLPClassifier, {on_threads(threads)}", partial(limited, threads)) for threads in (1, 2)]


WAYS = {Linear: _linear, Network: _network, Fits: _scikit_grids.fits, Search: _scikit_grids.search}
