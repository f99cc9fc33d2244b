"""Ways of estimators with scikit-learn's interface."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version as version
from typing import Any

import numpy as np
import scipy.sparse as sp

from bench.quality.search import BUDGETS, Way
from bench.quality.task import Task, Weights


def weights(model: Any) -> Weights:
    """Return the weights of a fitted model, in the shapes of a task's."""
    return np.atleast_2d(model.coef_), np.atleast_1d(model.intercept_)


def matrix(X: Any) -> Any:
    """Return X for packages that know no sparse arrays: a sparse matrix of the same memory."""
    return sp.csr_matrix(X) if sp.issparse(X) else X


def forms(task: Task) -> dict[str, Callable[[], Any]]:
    """Return the forms of X, and of float32 also a float64 copy, for packages that add up in the precision of X."""
    copies = {", float64 copy": lambda: task.X.astype(np.float64)} if task.X.dtype == np.float32 else {}
    return {**task.forms, **copies}


def ways(
    task: Task, name: str, make: Callable[..., Any], *, random: bool = False, budgets: tuple[int, ...] = BUDGETS
) -> list[Way]:
    """Return a way for each form of X. ``make(max_iter=, random_state=)`` returns a model to fit."""

    def way(suffix: str, form: Callable[[], Any]) -> Way:
        def fit(budget: int, seed: int, threads: int) -> Weights:
            return weights(make(max_iter=budget, random_state=seed).fit(form(), task.y))

        return Way(name + suffix, fit, budgets, random)

    return [way(suffix, form) for suffix, form in task.forms.items()]
