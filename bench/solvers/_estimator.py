"""Solvers with scikit-learn's estimators: they differ in the module that the classes come from."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.case import Case


def why_not(module: ModuleType, case: Case) -> str | None:
    """Return which name of the case the module does not have, or None."""
    estimator = getattr(module, case.estimator, None)
    if estimator is None:
        return f"no estimator {case.estimator}"
    missing = sorted(set(case.settings) - set(inspect.signature(estimator).parameters))
    return f"{case.estimator} has no parameter {', '.join(missing)}" if missing else None


def prepare(module: ModuleType, case: Case) -> Callable[[], NDArray[Any]]:
    """Return the run to be timed, from the same start each time.

    It returns what is compared: coefficients and intercepts, for the action "predict" the predictions.
    """
    estimator = getattr(module, case.estimator)(**case.settings)
    if case.action == "fit":
        return lambda: weights(estimator.fit(case.X, case.y))

    n = case.X.shape[0]
    rows = [slice(k % n, k % n + 1) for k in range(case.calls)]
    X, y = [case.X[row] for row in rows], [case.y[row] for row in rows]
    if case.action == "predict":
        estimator.fit(case.X, case.y)
        return lambda: np.concatenate([estimator.predict(x) for x in X])

    estimator.partial_fit(X[0], y[0], classes=np.unique(case.y))

    def learn() -> NDArray[Any]:
        for x, label in zip(X, y, strict=True):
            estimator.partial_fit(x, label)
        return weights(estimator)

    return learn


def weights(estimator: Any) -> NDArray[Any]:
    """Return coefficients and intercepts, of shape (outputs, features + 1)."""
    return np.hstack([estimator.coef_, estimator.intercept_[:, None]])
