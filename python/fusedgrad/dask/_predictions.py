"""Predictions of Dask's collections: lazy, partition by partition."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse as sp

from .._optional import library


def plain_has(name: str) -> Callable[[Any], bool]:
    """A check for `available_if`: whether the plain estimator has a method."""

    def check(estimator: Any) -> bool:
        getattr(estimator.to_local(), name)
        return True

    return check


def by_partitions(model: Any, name: str | Callable[[Any, Any], Any], X: Any) -> Any:
    """A Dask array of what a method of the model, or a function of it, returns for each partition."""
    array, delayed = library("dask.array", extra="dask"), library("dask", extra="dask").delayed
    if not hasattr(X, "columns") and X.numblocks[1] > 1:
        X = X.rechunk({1: X.shape[1]})
    like = _call(X._meta if hasattr(X, "columns") else _row_of(X), model, name)
    rows = X.chunks[0] if hasattr(X, "chunks") else [np.nan] * X.npartitions
    placed = delayed(model)
    blocks = [
        array.from_delayed(delayed(_call)(part, placed, name), shape=(count, *like.shape[1:]), dtype=like.dtype)
        for part, count in zip(np.ravel(X.to_delayed()), rows, strict=True)
    ]
    return array.concatenate(blocks)


def _row_of(X: Any) -> Any:
    """A row of zeros in the storage of the blocks."""
    zeros = np.zeros((1, X.shape[1]), dtype=X.dtype)
    return sp.csr_array(zeros) if sp.issparse(X._meta) else zeros


def _call(X: Any, model: Any, name: str | Callable[[Any, Any], Any]) -> Any:
    if X.shape[0] == 0:  # which plain estimators refuse
        empty = _call(_like(X), model, name)
        return empty[:0]
    return getattr(model, name)(X) if isinstance(name, str) else name(model, X)


def _like(X: Any) -> Any:
    """A row of zeros in place of none."""
    if hasattr(X, "reindex"):
        return X.reindex([0], fill_value=0)
    zeros = np.zeros((1, X.shape[1]), dtype=X.dtype)
    return sp.csr_array(zeros) if sp.issparse(X) else zeros
