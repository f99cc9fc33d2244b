"""The best model of a search."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Any

import numpy as np
from sklearn.base import clone

from ..._training.callbacks import Keeper
from ._training import Search


class _Refit(Keeper):
    """Puts the state of the refit into the checkpoints of its search."""

    def __init__(self, search: Search):
        self._search = search

    def begin(self, header: dict[str, Any], rows: float, epochs: float) -> None:
        """Remember what tells the refit from others."""
        self._header = header

    def offer(self, rows: float, epochs: float, state: Callable[[], dict[str, Any]]) -> None:
        """Offer the state of both."""
        self._search.offer(rows, epochs, lambda: {"header": self._header, "state": state()})


def refitted(search: Search, index: int) -> tuple[Any, float]:
    """Return a cell's estimator, trained on all rows, and the seconds that it took."""
    data = search.data
    start = perf_counter()
    best = clone(search.cells[search.names[index]])
    best._idle = {}  # of which the search has warned, for all cells
    resumable = search.resumable
    resume = None if resumable is None or resumable.saved is None else resumable.saved["refit"]
    if resumable is not None and resumable.keepers:
        best.set_callbacks(_Refit(search))
    best = data.fit(best, resume)
    for name in ("_skl_callbacks", "_idle"):
        best.__dict__.pop(name, None)
    return best, perf_counter() - start


def mean_of_folds(search: Search, index: int) -> Any:
    """Return a cell's estimator with the mean of the weights of its folds.

    Raises
    ------
    ValueError
        If it overflowed in a fold.
    """
    data = search.data
    mean = search.weights[index].mean(axis=0, dtype=np.float64)
    if not np.isfinite(mean).all():
        raise ValueError(
            f"{search.names[index]} is the best, but overflowed in a fold: its folds have no mean. Set refit=True, or "
            "leave error_score=nan."
        )
    best = data.fitted(search.cells[search.names[index]], mean[:, :-1].astype(data.X.dtype), mean[:, -1].copy())
    best.n_iter_ = int(search.n_iter[index].max())
    return best
