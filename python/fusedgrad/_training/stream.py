"""The data's own units in a stream: running moments of what `partial_fit` has seen, on which one row has little say."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from . import units
from .minibatch_shared import Shared
from .records import Seen, Task
from .units import FARTHEST, Columns, Targets, alike

Floats = NDArray[np.float64]

LIMIT = 2.0  # of gradients in units, whose usual size is below 1
_FEW = 8  # rows from which an outlier can be told


def seen(task: Task, shared: Shared, targets: Targets, *, centred: bool, one: bool) -> Seen:
    """What is known with the rows of this call; `one`: one number serves all columns."""
    state = None if task.batches is None else task.batches.state
    before = None if state is None or state.seen is None else Seen(*state.seen)  # type: ignore[arg-type]
    X, n = task.X, float(shared.n)
    centre, square = _sparse_moments(X, one) if sp.issparse(X) else _moments(X, before, centred=centred)
    if before is None or before.square.shape != square.shape:
        return Seen(n, centre, square, 0.0, targets.base, targets.scale, targets.cost)
    rows = before.rows + n
    share = n / rows
    base, scale, cost = _of(before, targets, share)
    if sp.issparse(X):
        square = np.maximum(before.square, square)
    else:
        moved = centre - before.centre
        square = (1 - share) * before.square + share * square + share * (1 - share) * moved**2
        centre = before.centre + share * moved
    return Seen(rows, centre, square, before.smoothness, base, scale, cost)


def after_fit(columns: Columns, targets: Targets, rows: int) -> Seen:
    """What a fit on so many dense rows leaves to a stream that follows."""
    centre = np.zeros_like(columns.spread) if columns.centre is None else columns.centre
    with np.errstate(over="ignore"):
        square = np.minimum(columns.spread**2, np.finfo(np.float64).max)
    return Seen(float(rows), centre, square, 0.0, targets.base, targets.scale, targets.cost)


def _of(before: Seen, targets: Targets, share: float) -> tuple[Floats, Floats, Floats]:
    """Running measures of the targets; their scale counts how far their base has moved."""
    apart = share * (1 - share) * np.minimum((targets.base - before.base) ** 2, (FARTHEST * before.scale) ** 2)
    same = before.scale == targets.scale
    scale = np.sqrt(
        (1 - share) * before.scale**2 + share * np.minimum(targets.scale, FARTHEST * before.scale) ** 2 + apart
    )
    scale = np.where(same, before.scale, scale)
    cost = np.where(same, before.cost, before.cost * (scale / before.scale) ** 2)
    return (1 - share) * before.base + share * targets.base, scale, cost


def _moments(X: Any, before: Seen | None, *, centred: bool) -> tuple[Floats, Floats]:
    """Means and mean squares about them, of numbers that are cut where the others do not reach."""
    values = np.asarray(X, dtype=np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        if before is not None:
            reach = FARTHEST * np.sqrt(before.square)
            known = reach > 0
            low, high = np.where(known, before.centre - reach, -np.inf), np.where(known, before.centre + reach, np.inf)
            values = np.clip(values, low, high)
        elif len(values) >= _FEW:
            values = _without_outliers(values)
        centre = values.mean(axis=0) if centred else np.zeros(X.shape[1])
        square = np.nan_to_num(np.mean((values - centre) ** 2, axis=0), nan=0.0, posinf=0.0)
    return np.nan_to_num(centre), square


def _without_outliers(values: Floats) -> Floats:
    """Each column's farthest number is brought to `FARTHEST` spreads of the others."""
    middle = np.median(values, axis=0)
    far = np.abs(values - middle)
    at = far.argmax(axis=0), np.arange(values.shape[1])
    others = far.copy()
    others[at] = 0.0
    reach = FARTHEST * np.sqrt(np.sum(others**2, axis=0) / (len(values) - 1))
    reach = np.where(reach > 0, reach, np.inf)
    return np.clip(values, middle - reach, middle + reach)


def _sparse_moments(X: Any, one: bool) -> tuple[Floats, Floats]:
    found = alike(X) if one else units.columns_of(X, None, None, centred=False)
    square = found.spread**2
    if not one:
        touched = np.zeros(X.shape[1], dtype=bool)
        touched[X.indices] = True
        square[~touched] = 0.0
    return np.zeros(1), square


def columns_of(found: Seen, *, centred: bool) -> Columns:
    """The columns as they are known now."""
    spread = np.sqrt(found.square)
    unknown = np.maximum(np.abs(found.centre), 1.0)
    return Columns(found.centre if centred else None, np.where(spread > 0, spread, unknown))


def targets_of(found: Seen) -> Targets:
    """The targets as they are known now."""
    return Targets(found.base, found.scale, found.cost, 0.0)


def smoothed(found: Seen, smoothness: float, rows: int) -> Seen:
    """With the smoothness of the last `rows` rows."""
    share = 1.0 if found.smoothness == 0.0 else rows / found.rows
    return found._replace(smoothness=(1 - share) * found.smoothness + share * smoothness)
