"""Predictions of Dask's collections: lazy, partition by partition."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
import scipy.sparse as sp

from .._optional import library
from ._rows import is_collection

_Method = TypeVar("_Method", bound=Callable[..., Any])


def lazily(name: str) -> Callable[[Any], Any]:
    """The method of this name: for a collection lazy, with the plain estimator of the moment; else the plain one."""

    def make(plain: _Method) -> _Method:
        @functools.wraps(plain)
        def predicting(self: Any, X: Any) -> Any:
            return by_partitions(self.to_local(), name, X) if is_collection(X) else plain(self, X)

        return cast(_Method, predicting)

    return make


def by_partitions(model: Any, name: str, X: Any) -> Any:
    """A Dask array of what a method of the model returns for each partition."""
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


def _call(X: Any, model: Any, name: str) -> Any:
    if X.shape[0] == 0:  # which plain estimators refuse
        empty = _call(_like(X), model, name)
        return empty[:0]
    return getattr(model, name)(X)


def _like(X: Any) -> Any:
    """A row of zeros in place of none."""
    if hasattr(X, "reindex"):
        return X.reindex([0], fill_value=0)
    zeros = np.zeros((1, X.shape[1]), dtype=X.dtype)
    return sp.csr_array(zeros) if sp.issparse(X) else zeros
