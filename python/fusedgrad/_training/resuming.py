"""Fits that go on from a checkpoint: what one must have in common with the fit that was stopped."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

from . import snapshots

_FREE = ("n_jobs", "verbose", "cv")  # parameters that no bit depends on; of `cv`, folds are compared


def never() -> bool:
    """Return False: training need not pause for a checkpoint."""
    return False


class Resumable:
    """What a fit with checkpoints, or one that goes on from a checkpoint, needs.

    Parameters
    ----------
    estimator : BaseEstimator
    keepers : list of Checkpoint
    path : path-like, dict or None
        The checkpoint to go on from; or the part of one, with its header, that this fit has written.
    data : callable
        Returns what tells the data from others, in plain values.
    refusal : str
        Why this fit can do neither; empty: it can.

    Attributes
    ----------
    keepers : list of Checkpoint
    saved : dict or None
        The state to go on from.

    Raises
    ------
    ValueError
        If the fit can do neither, or is another than the one that was stopped.
    """

    def __init__(
        self,
        estimator: BaseEstimator,
        keepers: list[Any],
        path: str | os.PathLike[str] | Mapping[str, Any] | None,
        data: Callable[[], Any],
        refusal: str,
    ):
        self.keepers: list[Any] = keepers
        self.saved: Any = None
        if refusal:
            raise ValueError(refusal)
        if not isinstance(estimator.get_params(deep=False).get("random_state"), Integral):
            raise ValueError("Checkpoints need a number as random_state, so that a resumed fit draws the same rows.")
        header = _header(estimator, data())
        if path is not None:
            file = path if isinstance(path, Mapping) else snapshots.read(path)
            _check(file["header"], header, "The file" if isinstance(path, Mapping) else os.fspath(path))
            self.saved = file["state"]
        for keeper in keepers:
            rows, epochs = (0, 0) if self.saved is None else self.saved["made"]
            keeper.begin(header, rows, epochs)

    @classmethod
    def if_asked(
        cls,
        estimator: BaseEstimator,
        keepers: list[Any],
        path: str | os.PathLike[str] | Mapping[str, Any] | None,
        data: Callable[[], Any],
        refusal: str,
    ) -> Resumable | None:
        """Return one; None where there is neither a checkpoint to write nor one to go on from."""
        return cls(estimator, keepers, path, data, refusal) if keepers or path is not None else None

    def is_due(self, rows: float, epochs: float) -> bool:
        """Whether a checkpoint is to be written after so many rows and epochs."""
        return any(keeper.is_due(rows, epochs) for keeper in self.keepers)

    def offer(self, rows: float, epochs: float, state: Callable[[], Mapping[str, Any]]) -> None:
        """Let checkpoints be written after so many rows and epochs, or passes of a solver."""
        for keeper in self.keepers:
            keeper.offer(rows, epochs, lambda: {**state(), "made": [rows, epochs]})


def _header(estimator: BaseEstimator, data: Any) -> dict[str, Any]:
    parameters = estimator.get_params(deep=False)
    return {
        "estimator": type(estimator).__name__,
        "parameters": {name: _shown(value) for name, value in sorted(parameters.items()) if name not in _FREE},
        "data": data,
    }


def _shown(value: Any) -> str:
    """A value as text that is the same in another process."""
    if isinstance(value, np.ndarray):
        return repr(value.tolist())  # all of it, with all digits
    if callable(value) and not hasattr(value, "get_params"):
        return f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', type(value).__qualname__)}"
    return repr(value)


def _check(saved: Mapping[str, Any], header: Mapping[str, Any], path: str) -> None:
    if saved["estimator"] != header["estimator"]:
        raise snapshots.SnapshotError(
            f"{path} is a checkpoint of a {saved['estimator']}; it cannot go on as a {header['estimator']}."
        )
    before, now = saved["parameters"], header["parameters"]
    changed = [
        f"{name} was {before.get(name)}, now {now.get(name)}"
        for name in sorted({*before, *now})
        if before.get(name) != now.get(name)
    ]
    if changed:
        raise snapshots.SnapshotError(f"{path} is a checkpoint of a fit with other parameters: {'; '.join(changed)}.")
    if saved["data"] != _plain(header["data"]):
        raise snapshots.SnapshotError(
            f"{path} is a checkpoint of a fit to other data: {_difference(saved['data'], _plain(header['data']))}."
        )


def _plain(value: Any) -> Any:
    """A value as it comes back from a file."""
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}
    return value


def _difference(before: Any, now: Any, name: str = "") -> str:
    """The first place where two records differ."""
    if isinstance(before, dict) and isinstance(now, dict):
        for key in before:
            if before[key] != now.get(key):
                return _difference(before[key], now.get(key), f"{name}.{key}" if name else key)
    return f"{name or 'it'} was {before}, now {now}"
