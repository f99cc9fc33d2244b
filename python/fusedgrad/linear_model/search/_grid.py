"""The cells of a grid: estimators that differ in some parameters."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from ..._validation import ignored
from ..._validation.warn import warn
from .._classifier import has_probabilities
from .._ignored import GRID
from ._rules import OWN_OF_CELLS


def values_of(search: Any) -> dict[str, list[Any]]:
    """The values of each parameter that the cells of a search differ in."""
    alphas = np.logspace(-6, -1, search.alphas) if isinstance(search.alphas, Integral) else search.alphas
    return {
        "alpha": [float(alpha) for alpha in alphas],
        "eta0": [0.01] if search.eta0s is None else [float(eta0) for eta0 in search.eta0s],
        "l1_ratio": [0.15] if search.l1_ratios is None else [float(ratio) for ratio in search.l1_ratios],
        "loss": [search.loss] if search.losses is None else [str(loss) for loss in search.losses],
    }


def cell_of(search: Any, **params: Any) -> Any:
    """The estimator of a cell: the parameters that it shares with the search, and its own.

    They are the search's attributes: a subclass may have other parameters than it sets.
    """
    shared = {name: getattr(search, name) for name in search._cell_class._rules if name not in OWN_OF_CELLS}
    return search._cell_class(**{**shared, **params})


def cells_of(search: Any, params: list[dict[str, Any]], scoring: Any) -> dict[str, Any]:
    """The estimators of the cells by their names, checked."""
    several = {name for name, values in values_of(search).items() if len(values) > 1} or {"alpha"}
    seed = search.random_state
    if seed is None:  # models of a pass see the rows in one order
        seed = int(check_random_state(None).randint(2**31 - 1))
    cells = {}
    for index, cell in enumerate(params):
        name = f"cell {index} ({', '.join(f'{key}={short(cell[key])}' for key in cell if key in several)})"
        cells[name] = cell_of(search, **cell, random_state=seed, verbose=max(0, int(search.verbose) - 1))
        try:
            cells[name]._check_parameters()
            if scoring == "neg_log_loss":
                has_probabilities(cells[name])
        except (ValueError, AttributeError) as error:
            raise ValueError(f"{name}: {error}") from error
    return cells


def warn_of_unused(search: Any) -> None:
    """Warn of parameters, and of whole grids of them, that no cell uses."""
    cells = [cell_of(search, loss=loss) for loss in values_of(search)["loss"]]
    grids = {"alpha": "alphas", "eta0": "eta0s", "l1_ratio": "l1_ratios"}
    for name, reason_of in GRID.items():
        own = grids.get(name, name)
        reasons = [reason_of(cell) for cell in cells] if ignored.is_set(search, own) else [""]
        if not all(reasons):
            continue
        if own == name:
            warn(ignored.message(name, getattr(search, name), reasons[0]), UserWarning)
        else:
            count = len({*values_of(search)[name]})
            text = f"{own} has {count} value{'s' * (count > 1)}, but {reasons[0]}."
            warn(text, UserWarning)


def short(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else repr(value)
