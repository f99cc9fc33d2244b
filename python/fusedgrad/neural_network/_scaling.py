"""The units in which networks are trained: columns with mean 0 and deviation 1, whatever those of the data are."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from .._training.arrays import aligned_empty
from .._training.units import FARTHEST

Floats = NDArray[np.float64]

_CONSTANT = 1e-12  # a deviation that is rounding, as a share of the largest number
_AT_ONCE = 1 << 18  # numbers that are copied at a time


class Units(NamedTuple):
    """Mean and unit of each column."""

    mean: Floats
    scale: Floats


def units_of(X: Any, weight: Any, channels: int, *, partial: bool) -> Units:
    """Return the units of the columns of X, whose numbers belong to so many channels by turns.

    A unit is the deviation, or an eighth of the largest distance from the mean where that is more: else a value that is
    rare would become huge. Of sparse rows it is the root mean square of the numbers that are not zero, and zero stays.
    A constant column has an infinite unit, and so counts as zero; but not in a first part of the rows (`partial`),
    which others may follow that differ: there the unit is the constant.

    Parameters
    ----------
    X : ndarray or CSR matrix of shape (n_samples, n_features)
    weight : ndarray of shape (n_samples,) or None
        Weights of the rows.
    channels : int
        n_features, or a divisor of it.
    partial : bool
    """
    if sp.issparse(X):
        return _sparse_units(X, weight)
    total, largest = 0.0, np.zeros(channels)
    for values, w in _blocks(X, weight, channels):
        total += len(values) if w is None else w.sum()
        np.fmax(largest, np.maximum(values.max(axis=0, initial=0.0), -values.min(axis=0, initial=0.0)), out=largest)
    unit = np.where(largest > 0, largest, 1.0)  # so that no square overflows
    mean, square, farthest = np.zeros(channels), np.zeros(channels), np.zeros(channels)
    for values, w in _blocks(X, weight, channels):
        mean += _sums(values / unit, w)
    mean /= total
    for values, w in _blocks(X, weight, channels):
        away = values / unit - mean
        away *= away
        square += _sums(away, w)
        np.fmax(farthest, away.max(axis=0, initial=0.0), out=farthest)
    deviation = np.sqrt(square / total)
    scale = unit * np.maximum(deviation, np.sqrt(farthest) / FARTHEST)
    constant = deviation <= _CONSTANT
    return Units(mean * unit, _safe(np.where(constant, unit if partial else math.inf, scale)))


def _blocks(X: Any, weight: Any, channels: int) -> Iterator[tuple[Floats, Floats | None]]:
    """The channels of rows that weigh something, in float64, and the weight of each position; some rows at a time."""
    step, positions = _rows_at_once(X), X.shape[1] // max(1, channels)
    for begin in range(0, len(X), step):
        rows, w = X[begin : begin + step], None
        if weight is not None:
            w = np.asarray(weight[begin : begin + step], np.float64)
            rows, w = rows[w > 0], np.repeat(w[w > 0], positions)
        yield rows.astype(np.float64).reshape(len(rows) * positions, channels), w


def _sums(values: Floats, weight: Floats | None) -> Floats:
    total: Floats = values.sum(axis=0) if weight is None else np.einsum("i,ij->j", weight, values)
    return total


def _rows_at_once(X: Any) -> int:
    return max(1, _AT_ONCE // max(1, X.shape[1]))


def _sparse_units(X: Any, weight: Any) -> Units:
    features = X.shape[1]
    values, columns = np.abs(X.data.astype(np.float64)), X.indices
    w = np.ones(len(values)) if weight is None else np.repeat(np.asarray(weight, np.float64), np.diff(X.indptr))
    counts = (values > 0) & (w > 0)
    values, columns, w = values[counts], columns[counts], w[counts]
    largest = np.zeros(features)
    np.maximum.at(largest, columns, values)
    unit = np.where(largest > 0, largest, 1.0)
    total = np.bincount(columns, w, minlength=features)
    squares = np.bincount(columns, w * (values / unit[columns]) ** 2, minlength=features)
    mean_square = np.divide(squares, total, out=np.ones(features), where=total > 0)
    return Units(np.zeros(features), _safe(unit * np.sqrt(mean_square)))


def _safe(scale: Floats) -> Floats:
    return np.maximum(scale, np.finfo(np.float64).tiny)


def target_units(y: Any, weight: Any, *, log_link: bool) -> Units:
    """Return mean and deviation of each target; with `log_link` zero and the mean, so that targets stay positive.

    The unit of a constant target is its size, or 1 of zero.
    """
    y = np.asarray(y, np.float64).reshape(len(y), -1)
    weight = np.ones(len(y)) if weight is None else np.asarray(weight, np.float64)
    y, weight = y[weight > 0], weight[weight > 0]
    largest = np.abs(y).max(axis=0)
    unit = np.where(largest > 0, largest, 1.0)
    share = weight / weight.sum()
    mean = share @ (y / unit)
    if log_link:
        return Units(np.zeros_like(mean), _safe(np.where(mean > 0, mean, 1.0) * unit))
    deviation = np.sqrt(share @ (y / unit - mean) ** 2)
    return Units(mean * unit, _safe(unit * np.where(deviation > _CONSTANT, deviation, 1.0)))


def standardised(X: Any, units: Units) -> Any:
    """Return rows in these units, in an array or matrix of their own."""
    mean, scale = units
    with np.errstate(over="ignore"):  # what is too large for float32 is so for the network, too
        if sp.issparse(X):
            made = X.copy()
            made.data = (X.data / scale[X.indices]).astype(X.dtype)
            return made
        made = aligned_empty(X.shape, X.dtype)
        into, step = made.reshape(len(X), X.shape[1] // max(1, len(mean)), len(mean)), _rows_at_once(X)
        for begin in range(0, len(X), step):
            rows = X[begin : begin + step].astype(np.float64)
            rows = rows.reshape(len(rows), *into.shape[1:])
            into[begin : begin + step] = (rows - mean) / scale
    return made
