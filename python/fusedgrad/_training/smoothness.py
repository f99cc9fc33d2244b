"""How fast the slope of an objective changes, estimated from some rows: its inverse is a rate that is safe."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from .. import _core
from .units import FARTHEST, Columns

SAMPLE = 1024  # rows that the estimate is made from
_SMALL = 1 << 16  # numbers of sparse rows that are sooner multiplied with their zeros


def _largest_eigenvalue(X: Any, factor: NDArray[np.float64], one: float, v: NDArray[np.float64]) -> float:
    """Of the mean of ``factor * (x, one)'(x, one)`` over the rows x, by ten steps of the power method from (v, 1).

    Without BLAS, whose threads would spin for a tenth of a second beside the fit's.
    """
    if not sp.issparse(X):
        return _core.largest_eigenvalue(np.ascontiguousarray(X), factor, one, v, 10)
    last, eigenvalue = 1.0, 0.0
    for _ in range(10):
        norm = np.sqrt(np.einsum("i,i", v, v) + last * last)
        u = factor * ((X @ v + one * last) / norm)
        v, last = X.T @ u / X.shape[0], one * float(u.mean())
        eigenvalue = float(np.sqrt(np.einsum("i,i", v, v) + last * last))
    return eigenvalue


def _in_units(X: Any, columns: Columns) -> Any:
    if sp.issparse(X):
        spread = columns.spread if len(columns.spread) == 1 else columns.spread[X.indices]
        X.data = np.clip(X.data / spread, -FARTHEST, FARTHEST)
        return X
    centre = 0.0 if columns.centre is None else columns.centre
    return np.clip((X - centre) / columns.spread, -FARTHEST, FARTHEST)


@np.errstate(over="ignore", invalid="ignore")
def spread(
    X: Any, weight: NDArray[Any] | None, columns: Columns, *, batch: int, rows: NDArray[Any] | None = None
) -> float:
    """Estimate how far batches of these rows (None: all) spread; times a loss's curvature, the objective's smoothness.

    Rows count in the units of the columns, and numbers farther than `FARTHEST` as if they lay there.

    The smoothness says how fast the slope of the objective changes; its inverse is a rate that is safe. For a loss with
    second derivative at most `curvature` that of the mean over all n rows is ``curvature * L``, with L the largest
    eigenvalue of ``X'X / n``; that of a single row is ``curvature * max ||x||²``. A batch of b rows lies between the
    two (Gower et al., "SGD: general analysis and improved rates", ICML 2019, proposition 3.8). Both are taken from a
    sample of rows; the intercept counts as a column of ones. The result is not finite if those rows or their squares
    are not.
    """
    n = X.shape[0] if rows is None else len(rows)
    sample: Any = slice(None) if rows is None else rows
    if n > SAMPLE:
        chosen = np.sort(np.random.default_rng(0).integers(n, size=SAMPLE))
        sample, weight = chosen if rows is None else rows[chosen], None if weight is None else weight[chosen]
    X = X[sample]
    if sp.issparse(X):  # columns without a number have no part in it, and may be millions
        present, indices = np.unique(X.indices, return_inverse=True)
        X = sp.csr_array((X.data, indices, X.indptr), shape=(X.shape[0], len(present)))
        if len(columns.spread) > 1:
            columns = Columns(None, columns.spread[present])
    else:
        present = np.arange(X.shape[1])
    X = _in_units(X.astype(np.float64), columns)
    if sp.issparse(X) and X.shape[0] * X.shape[1] <= _SMALL:
        X = X.toarray()
    # Squares must not overflow, so rows are measured in units of the largest number.
    unit = float(np.abs(X.data if sp.issparse(X) else X).max(initial=1.0))
    X = X.astype(np.float64) / unit
    one = 1.0 / unit
    factor = np.ones(X.shape[0]) if weight is None else np.asarray(weight, dtype=np.float64)
    square = (X.multiply(X) if sp.issparse(X) else X * X).sum(axis=1)
    row = float((factor * (np.ravel(square) + one**2)).max())

    start = 1.0 + 0.1 * np.sin(1.0 + present.astype(float) ** 2)  # columns may sum to zero
    mean = min(1.1 * _largest_eigenvalue(X, factor, one, start), row)  # ten steps come close, from below
    b = min(batch, n)
    expected = mean if n == 1 else (n * (b - 1) * mean + (n - b) * row) / (b * (n - 1))
    return float(np.float64(expected) * unit * unit)  # inf, where Python's numbers raise an error
