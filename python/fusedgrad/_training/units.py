"""The data's own units, in which automatic rates step: how far columns and targets spread, and where they lie.

A weight is measured as ``w * spread of its column / spread of the targets``, a gradient as what it is for such weights
and for a loss that costs about 1. So a rate means the same for `X`, `X * 1e6` and dense columns far from zero, and for
targets in cents or in millions. The core does it where it steps (``cpp/kernel/sweep.hpp``); X is not copied.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from .. import _core
from ..losses import LOG_LINK, Loss

Floats = NDArray[np.float64]

_BLOCK = 1 << 16  # numbers of X that are measured at a time
FARTHEST = 8.0  # spreads that the farthest number of a column lies from its centre, at most
_RANGE = {np.dtype(np.float32): 1e-15, np.dtype(np.float64): 1e-120}  # columns of smaller numbers count as zero
_STEEPEST = 10.0  # base scores of classes, at most


class Columns(NamedTuple):
    """What is known of the columns of X.

    Attributes
    ----------
    centre : ndarray of shape (n_features,) or None
        Means; None: columns are reckoned from zero.
    spread : ndarray of shape (n_features,)
        Standard deviations, or the roots of the mean squares of sparse entries; 1 for a column that is constant. At
        least an eighth of the farthest number, so that rare numbers are no outliers. One number: of all columns.
    """

    centre: Floats | None
    spread: Floats


class Targets(NamedTuple):
    """What is known of the targets of each output; arrays of shape (n_outputs,).

    Attributes
    ----------
    base : ndarray
        The constant prediction that costs least, before a link.
    scale : ndarray
        How far predictions reach.
    cost : ndarray
        What a prediction costs that is off by that.
    floor : float
        The least that the mean loss can be, whatever is predicted; mean over the outputs.
    """

    base: Floats
    scale: Floats
    cost: Floats
    floor: float


def columns_of(
    X: Any, rows: NDArray[Any] | None, weight: NDArray[Any] | None, *, centred: bool, threads: int = 1
) -> Columns:
    """Measure columns on these rows (None: all), each with its weight: a row of weight zero is none."""
    if weight is not None:
        weight = np.asarray(weight if rows is None else weight[rows], dtype=np.float64)
        if not weight.all():
            rows, weight = np.flatnonzero(weight) if rows is None else rows[weight > 0], weight[weight > 0]
        weight = None if weight.size == 0 or (weight == weight[0]).all() else weight / weight.sum()
    if sp.issparse(X):
        return Columns(None, _sparse_spread(X if rows is None else X[rows], weight))
    return _dense_columns(X, rows, weight, centred=centred, threads=threads)


@np.errstate(over="ignore", invalid="ignore")
def _dense_columns(X: Any, rows: NDArray[Any] | None, weight: Floats | None, *, centred: bool, threads: int) -> Columns:
    X, n = np.ascontiguousarray(X), X.shape[0] if rows is None else len(rows)
    listed = None if rows is None else np.ascontiguousarray(rows, dtype=np.uint32)
    shift = X[0 if rows is None else int(rows[0])].astype(np.float64)  # near the others, so that no digits are lost
    low, high, total, square = _core.column_moments(X, listed, shift, threads)
    centre = np.clip(shift + total / n, low, high) if centred else np.zeros(X.shape[1])
    apart = shift - centre
    variance = square / n + apart * (2 * total / n + apart)
    spread = np.sqrt(np.maximum(variance, 0.0))
    # The first row may be far from the others, and squares may overflow.
    unsure = ~((variance > 1e-8 * apart**2) & (variance < np.inf)) & (high > low)
    if weight is not None:
        centre, spread = _weighted(X, rows, weight, centre, centred=centred)
    for j in np.flatnonzero(unsure):
        spread[j] = _root_mean_square(X[:, j] if rows is None else X[rows, j], centre[j])
    farthest = np.maximum(high - centre, centre - low)
    spread = np.maximum(spread, farthest / FARTHEST)
    size = np.maximum(np.abs(low), np.abs(high))
    nothing = size < _RANGE[X.dtype]
    constant = ~(spread > 8 * np.finfo(X.dtype).eps * size) | nothing
    spread = np.where(constant, np.where(nothing, 1.0, size), spread)
    return Columns(centre if centred else None, np.where(np.isfinite(spread), spread, 1.0))


def _weighted(
    X: Any, rows: NDArray[Any] | None, weight: Floats, near: Floats, *, centred: bool
) -> tuple[Floats, Floats]:
    """Means and deviations of rows with weights that add up to 1; `near` are numbers close to the means."""
    moved, square, step = np.zeros(X.shape[1]), np.zeros(X.shape[1]), max(1, _BLOCK // X.shape[1])
    for first in range(0, len(weight), step):
        some = slice(first, first + step)
        apart = (X[some] if rows is None else X[rows[some]]) - near
        moved += np.einsum("i,ij->j", weight[some], apart)
        square += np.einsum("i,ij,ij->j", weight[some], apart, apart)
    if not centred:
        return near, np.sqrt(square)
    return near + moved, np.sqrt(np.maximum(square - moved**2, 0.0))


def _root_mean_square(values: NDArray[Any], centre: float) -> float:
    """Of the distances from the centre, whose squares may overflow or vanish."""
    apart = values.astype(np.float64) - centre
    top = float(np.abs(apart).max())
    return top * float(np.sqrt(np.mean((apart / top) ** 2))) if 0 < top < np.inf else 0.0


def _sparse_spread(X: Any, weight: Floats | None) -> Floats:
    d, least = X.shape[1], _RANGE[X.dtype]
    sizes = np.abs(X.data.astype(np.float64))
    share = np.ones(X.nnz) if weight is None else np.repeat(weight * len(weight), np.diff(X.indptr))
    if X.nnz >= d:
        return _spread_of_entries(sizes, share, X.indices, d, least)
    touched, indices = np.unique(X.indices, return_inverse=True)  # a few rows of many columns
    spread = np.ones(d)
    spread[touched] = _spread_of_entries(sizes, share, indices, len(touched), least)
    return spread


def _spread_of_entries(sizes: Floats, share: Floats, indices: NDArray[Any], d: int, least: float) -> Floats:
    top = np.zeros(d)
    np.maximum.at(top, indices, sizes)
    count = np.bincount(indices, weights=share * (sizes > 0), minlength=d)
    safe = np.where(np.isfinite(top) & (top >= least), top, 1.0)
    squares = np.bincount(indices, weights=share * (sizes / safe[indices]) ** 2, minlength=d)
    spread = safe * np.sqrt(squares / np.where(count > 0, count, 1.0))
    return np.where((top >= least) & (spread > 0), np.maximum(spread, top / FARTHEST), 1.0)


def alike(X: Any) -> Columns:
    """Columns of sparse entries as if all of them had one spread."""
    size = float(np.abs(X.data).max(initial=0.0))
    size = size if np.isfinite(size) and size >= _RANGE[X.dtype] else 1.0
    square = float(np.mean((X.data.astype(np.float64) / size) ** 2)) if X.nnz else 1.0
    return Columns(None, np.array([size * np.sqrt(square) if square > 0 else 1.0]))


class Numbers:
    """Targets of one output, and the weights that they count by.

    Functions of targets are objects that can be pickled: `Identity`, `LeastLoss`, `Square`, `Distance`.
    """

    def __init__(self, y: Floats, weight: Floats):
        """Weights add up to 1."""
        self.y, self.weight = y, weight

    def mean(self, function: Callable[[Floats], Floats]) -> float:
        return float(self.weight @ function(self.y))

    def farthest(self, centre: float) -> float:
        return float(np.abs(self.y - centre).max())

    def quantile(self, share: float) -> float:
        order = np.argsort(self.y)
        above = np.searchsorted(np.cumsum(self.weight[order]), share)
        return float(self.y[order[min(int(above), len(self.y) - 1)]])


@dataclass(frozen=True)
class Identity:
    def __call__(self, y: Floats) -> Floats:
        return y


@dataclass(frozen=True)
class LeastLoss:
    """What the best prediction of each target costs."""

    loss: str

    def __call__(self, y: Floats) -> Floats:
        safe = np.where(y > 0, y, 1.0)
        return y - y * np.log(safe) if self.loss == "poisson" else 1.0 + np.log(safe)


@dataclass(frozen=True)
class Square:
    """Of the distance from the centre, in a unit."""

    centre: float
    unit: float

    def __call__(self, y: Floats) -> Floats:
        return np.asarray(((y - self.centre) / self.unit) ** 2)


@dataclass(frozen=True)
class Distance:
    centre: float

    def __call__(self, y: Floats) -> Floats:
        return np.abs(y - self.centre)


def targets_of_numbers(loss: Loss, y: NDArray[Any], weight: NDArray[Any] | None) -> Targets:
    """Of targets of shape (n,) or (n, n_outputs), and weights of shape (n,)."""
    y = np.asarray(y, dtype=np.float64).reshape(len(y), -1)
    weight = np.ones(len(y)) if weight is None else np.asarray(weight, dtype=np.float64)
    weight = weight / weight.sum() if weight.sum() > 0 else np.full(len(y), 1 / len(y))
    return targets_of_outputs(loss, [Numbers(column, weight) for column in y.T])


def targets_of_outputs(loss: Loss, outputs: Sequence[Numbers]) -> Targets:
    """Of the targets of each output."""
    base, scale, cost, floor = (np.array(part) for part in zip(*(_of_one(loss, y) for y in outputs), strict=True))
    return Targets(base, scale, cost, float(floor.mean()))


def _of_one(loss: Loss, y: Numbers) -> tuple[float, float, float, float]:
    mean = y.mean(Identity())
    if loss.name in LOG_LINK:
        base = float(np.log(mean)) if mean > 0 else 0.0
        cost = mean if mean > 0 and loss.name == "poisson" else 1.0
        return base, 1.0, cost, y.mean(LeastLoss(loss.name))
    if loss.name in ("squared_error", "squared_epsilon_insensitive"):
        far = y.farthest(mean)
        scale = far * float(np.sqrt(y.mean(Square(mean, far)))) if far > 0 else 1.0
        return mean, scale, scale * scale, 0.0
    base = y.quantile(loss.fields.get("quantile", 0.5))
    scale = y.mean(Distance(base)) or 1.0
    cost = scale * min(scale, loss.fields["epsilon"]) if loss.name == "huber" else scale
    return base, scale, cost or 1.0, 0.0


def targets_of_classes(loss: Loss, inside: Floats) -> Targets:
    """Of classes, each against the rest: the shares of weight that lie `inside`; NaN: nobody asks for a base."""
    ones = np.ones(len(inside))
    base = [_base_of_share(loss, share) if share == share else np.nan for share in inside]
    return Targets(np.array(base), ones, ones, 0.0)


def _base_of_share(loss: Loss, share: float) -> float:
    if loss.name == "log_loss":
        return float(np.clip(np.log(share / (1.0 - share)) if 0 < share < 1 else np.inf * (share - 0.5), -10, 10))

    def slope(at: float) -> float:
        inside, outside = loss.slope([1.0, loss.negative], [at, at])
        return float(share * inside + (1.0 - share) * outside)

    low, high = -_STEEPEST, _STEEPEST
    if slope(0.0) == 0.0:
        return 0.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (low, middle) if slope(middle) > 0 else (middle, high)
    return round((low + high) / 2, 12)


def targets_of_softmax(share: Floats) -> Targets:
    """Of classes that share one softmax: shares of weight."""
    logs = np.log(np.maximum(share, np.exp(-_STEEPEST)))
    ones = np.ones(len(share))
    return Targets(logs - logs.mean(), ones, ones, 0.0)


class Units(NamedTuple):
    """Arrays of shape (n_features + 1, n_outputs), the intercept last: weights times `unit`, gradients times `pull`.

    Of shape (2, n_outputs) where one number serves all columns.
    """

    unit: Floats
    pull: Floats

    @property
    def stiffness(self) -> Floats:
        """How much larger a rate is for the weight itself."""
        return self.pull / self.unit


def units_of(columns: Columns, targets: Targets, l2: float) -> Units:
    """A column's spread counts with what the penalty adds to the curvature: a step must not be too long for either."""
    stiff = l2 * targets.scale**2 / targets.cost
    spread = np.vstack([np.hypot(columns.spread[:, None], np.sqrt(stiff)), np.ones(len(stiff))])
    return Units(spread / targets.scale, targets.scale / targets.cost / spread)
