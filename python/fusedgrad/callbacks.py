"""Callbacks: what an estimator tells while it trains, besides scikit-learn's own."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ._training import snapshots
from ._training.callbacks import Keeper
from ._whole_files import remove_unfinished

__all__ = ["Checkpoint"]

_SECONDS = {"s": 1.0, "second": 1.0, "min": 60.0, "minute": 60.0, "h": 3600.0, "hour": 3600.0}
_COUNTED = ("epoch", "row")


class Checkpoint(Keeper):
    """Write a fit on its way to a file now and then, so that it can go on after a crash: ``fit(..., resume=path)``.

    A resumed fit ends with the same bits as one that was never stopped. The file is replaced in one step, so that one
    is whole at any moment; it holds numbers alone, and nothing in it is executed when it is read.

    Parameters
    ----------
    path : str or path-like
        The file.
    every : str, default='5 min'
        How often: a number and a unit, one of 's', 'min', 'h', 'epochs' and 'rows'. Arrays are looked at between
        epochs; sources that are read block by block (`fusedgrad.data`) between blocks. Of a solver
        (``optimizer='auto'``) a pass over the rows counts as an epoch, and it is looked at between its iterations. A
        search of a grid counts the epochs of all folds together: those of a fold train all cells at once, by
        mini-batches, or one after the other, by a solver.

    Raises
    ------
    ValueError
        If `every` is something else, or the folder of the path does not exist.

    Notes
    -----
    For ``set_callbacks`` of `SGDClassifier` and `SGDRegressor` in mini-batches and by solvers, of `SGDClassifierCV` and
    `SGDRegressorCV` likewise, and of networks; scikit-learn 1.9 has callbacks. One sample a step (``batch_size=1``),
    `SGDOneClassSVM` and ``solver='lbfgs'`` of a network have no checkpoints. `random_state` must be a number, so that a
    resumed fit draws the same rows. The fit that goes on must be the one that was stopped: the same parameters (but for
    `n_jobs` and `verbose`) and the same data and folds, which is checked.

    A file holds weights and what the optimizer keeps beside them; of a solver about thirty numbers for each weight, but
    no matrix: a resumed fit finds the curvature again, which takes about a pass. That of a search holds the weights of
    every cell and fold.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from fusedgrad import SGDClassifier
    >>> from fusedgrad.callbacks import Checkpoint
    >>> X, y = np.random.default_rng(0).normal(size=(500, 3)), np.arange(500) % 2
    >>> model = SGDClassifier("log_loss", batch_size=32, max_iter=4, tol=None, random_state=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = f"{folder}/fit.checkpoint"
    ...     whole = model.set_callbacks(Checkpoint(path, every="3 epochs")).fit(X, y).coef_
    ...     resumed = SGDClassifier(**model.get_params()).fit(X, y, resume=path)  # makes the fourth epoch
    >>> bool((resumed.coef_ == whole).all())
    True
    """

    def __init__(self, path: str | os.PathLike[str], every: str = "5 min"):
        self.path, self.every = path, every
        found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(s|[a-z]+?)s?\s*", every) if isinstance(every, str) else None
        unit = "" if found is None else found[2]
        if found is None or float(found[1]) <= 0 or unit not in (*_SECONDS, *_COUNTED):
            raise ValueError(
                f"every={every!r} must be a number and a unit, such as '5 min', '30 s', '2 h', '1 epoch' or "
                "'1000000 rows'."
            )
        if not Path(path).absolute().parent.is_dir():
            raise ValueError(f"The folder of {os.fspath(path)!r} does not exist. Make it first.")
        self._size, self._unit = float(found[1]) * _SECONDS.get(unit, 1.0), unit

    def __repr__(self) -> str:
        return f"Checkpoint({os.fspath(self.path)!r}, every={self.every!r})"

    # ---- what the loops of training call ----

    def begin(self, header: dict[str, Any], rows: float, epochs: float) -> None:
        """A fit begins, or goes on, after so many rows and epochs."""
        self._header = header
        remove_unfinished(self.path)
        self._note(rows, epochs)

    def _note(self, rows: float, epochs: float) -> None:
        self._last = {"row": rows, "epoch": epochs, "s": time.monotonic()}

    def is_due(self, rows: float, epochs: float) -> bool:
        """Whether it is time."""
        unit = self._unit if self._unit in _COUNTED else "s"
        now = {"row": rows, "epoch": epochs, "s": time.monotonic()}[unit]
        return now - self._last[unit] >= self._size

    def offer(self, rows: float, epochs: float, state: Callable[[], dict[str, Any]]) -> None:
        """Write the state if it is time."""
        if self.is_due(rows, epochs):
            snapshots.write(self.path, {"header": self._header, "state": state()})
            self._note(rows, epochs)
