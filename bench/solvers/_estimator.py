"""Estimators with scikit-learn's interface: two solvers differ in the module that the classes come from."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.case import Run
from bench.linear import Linear
from bench.network import Network, Predict, predictions


def why_not(module: ModuleType, case: Linear) -> str | None:
    """Return which name of the case the module does not have, or None."""
    estimator = getattr(module, case.estimator, None)
    if estimator is None:
        return f"no estimator {case.estimator}"
    missing = sorted(set(case.settings) - set(inspect.signature(estimator).parameters))
    return f"{case.estimator} has no parameter {', '.join(missing)}" if missing else None


def prepare(module: ModuleType, case: Linear) -> Run:
    """Return the run to be timed, from the same start each time.

    It returns what is compared: coefficients and intercepts, for the unit "predict" the predictions.
    """
    estimator = getattr(module, case.estimator)(**case.settings)
    if case.unit == "epoch":
        return lambda: weights(estimator.fit(case.X, case.y))

    X, y = [case.X[row] for row in case.visits], [case.y[row] for row in case.visits]
    if case.unit == "predict":
        estimator.fit(case.X, case.y)
        return lambda: np.concatenate([estimator.predict(x) for x in X])

    estimator.partial_fit(X[0], y[0], classes=np.unique(case.y))

    def learn() -> NDArray[Any]:
        for x, label in zip(X, y, strict=True):
            estimator.partial_fit(x, label)
        return weights(estimator)

    return learn


def network(case: Network, make: Callable[[], Any]) -> Callable[[], Run]:
    """Return what prepares a run: a fit of a new estimator, or calls with one row after a fit."""
    X, y = case.data()
    if case.unit == "call":
        fitted, row = make().fit(X, y), X[:1]

        def calls() -> Predict:
            for _ in range(case.repeats):
                fitted.predict_proba(row)
            return lambda: fitted.predict_proba(X)

        return lambda: calls

    def prepare() -> Run:
        estimator = make()

        def fit() -> Predict:
            estimator.fit(X, y)
            return lambda: predictions(estimator, X)

        return fit

    return prepare


def weights(estimator: Any) -> NDArray[Any]:
    """Return coefficients and intercepts, of shape (outputs, features + 1)."""
    return np.hstack([estimator.coef_, estimator.intercept_[:, None]])
