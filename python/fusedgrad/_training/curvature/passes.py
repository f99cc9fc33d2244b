"""The objective on some rows, as a function of weights in the units of the columns; a look at it is a pass."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from ... import _core
from ..._validation.arrays import as_core
from ..arrays import inside
from ..excess import Points, Rows
from ..problem import Problem

Floats = NDArray[np.float64]

_NOISY = 512  # rows whose gradients tell the noise
SAMPLE = 2048  # rows whose means and spreads are taken for those of all
_HUGE = 1e60  # numbers whose squares need units
_WAY = 0.05  # spreads of the predictions, over which second derivatives are means


class Frame(NamedTuple):
    """Where columns are reckoned from, and in what units.

    Attributes
    ----------
    centre : ndarray of shape (n_features,) or None
        None: from zero, as sparse columns are, and all columns where there is no intercept.
    unit : ndarray of shape (n_features + 1, 1)
        Weights are numbers of this; of intercepts 1.
    """

    centre: Floats | None
    unit: Floats

    @classmethod
    def of(cls, some: Any, *, centred: bool) -> Frame:
        """As some rows tell, which need not be exact."""
        some = some.astype(np.float64)
        top = np.abs(some).max(axis=0)
        safe = np.where((top > 0) & np.isfinite(top), top, 1.0)
        some /= safe
        centre = some.mean(axis=0) if centred else np.zeros(some.shape[1])
        spread = np.sqrt(np.mean((some - centre) ** 2, axis=0))
        spread = np.where(spread > 1e-7, spread, 1.0) * safe
        return cls(centre * safe if centred else None, np.append(1.0 / spread, 1.0)[:, None])

    @classmethod
    def of_sparse(cls, top: Floats) -> Frame:
        """Of columns whose largest entries are these: units of 1, unless squares would overflow."""
        if not top.max(initial=0.0) >= _HUGE:
            return cls(None, np.ones((len(top) + 1, 1)))
        unit = np.where((top > 0) & np.isfinite(top), 1.0 / np.where(top > 0, top, 1.0), 1.0)
        return cls(None, np.append(unit, 1.0)[:, None])

    def squares(self, X: Any, rows: NDArray[Any], bends: Floats, threads: int) -> Floats:
        """Sum of bends times squared rows, in units: (features + 1, outputs)."""
        unit = np.ascontiguousarray(self.unit[:-1, 0])
        return _core.weighted_squares(as_core(X), rows, bends, self.centre, unit, threads)


class Recipe(NamedTuple):
    """What passes over any rows are to know of a fit: arguments of the core, but for the arrays."""

    objective: dict[str, Any]
    side_weight: list[float]
    frame: Frame

    def arrays(
        self, X: Any, y: NDArray[Any], weight: NDArray[Any] | None, rows: NDArray[Any] | None, threads: int
    ) -> dict[str, Any]:
        """All arguments, for some rows of X (None: all)."""
        return {
            **self.objective,
            "X": as_core(X),
            "sorted": not sp.issparse(X) or bool(X.has_sorted_indices),
            "rows": rows,
            "y": y,
            "centre": self.frame.centre,
            "threads": threads,
            "models": [{"side_weight": self.side_weight, "sample_weight": weight}],
        }


def largest_entries(X: Any) -> Floats:
    """Of the columns of sparse X: their sizes, or zeros where none is huge."""
    top = np.zeros(X.shape[1])
    if X.nnz and not max(float(X.data.max()), -float(X.data.min())) < _HUGE:
        np.maximum.at(top, X.indices, np.abs(X.data))
    return top


def l2_of(alpha: float, coef: Floats) -> float:
    """The L2 penalty: nothing if there is none, whatever the coefficients."""
    return 0.5 * alpha * float(np.einsum("ij,ij->", coef, coef)) if alpha > 0.0 else 0.0


def times(Z: Any, v: Floats) -> Floats:
    """Z v, for dense Z in float64: not by BLAS, whose sums depend on its threads."""
    return np.asarray(Z @ v) if sp.issparse(Z) else _core.product(np.ascontiguousarray(Z), np.ascontiguousarray(v.T), 1)


def transposed_times(Z: Any, s: Floats) -> Floats:
    """Z' s, likewise."""
    return np.asarray(Z.T @ s) if sp.issparse(Z) else _core.transposed_product(Z, np.ascontiguousarray(s))


class Data:
    """What passes over any of the rows have in common.

    Parameters
    ----------
    rows : ndarray of int
        Those of the task that there are, in their order.
    frame : Frame or None
        None: as some of the rows tell.

    Attributes
    ----------
    n : int
        The number of rows.
    length : float
        Entries of a row, on average.
    """

    n: int
    ascends = True  # whether `dual_ascent` can look at all rows

    def __init__(self, problem: Problem, threads: int, rows: NDArray[Any], frame: Frame | None = None):
        self._know(problem, threads)
        self.X, self.core_X = problem.task.X, as_core(problem.task.X)
        self.rows, self.n = rows, len(rows)
        self.frame = frame or self._frame()

    def _know(self, problem: Problem, threads: int) -> None:
        task, batches = problem.task, problem.batches
        self.problem, self.threads = problem, threads
        self.sparse, self.dtype = sp.issparse(task.X), task.X.dtype
        self.features, self.outputs = task.X.shape[1], len(task.labels)
        self.length = problem.shared.length
        self.multinomial = batches.multinomial
        self.intercept = task.intercept_decay != 0.0
        self.way = np.ascontiguousarray(_WAY * problem.targets.scale)
        self.alpha, self.l1, self.positive = task.objective.l2, task.objective.l1, batches.positive
        self.kinked = problem.loss.curvature == 0.0 and not self.multinomial
        self._seed = task.seeds[0]

    def _frame(self) -> Frame:
        if self.sparse:
            return Frame.of_sparse(largest_entries(self.X))
        return Frame.of(self.X[self._drawn(SAMPLE)], centred=self.intercept)

    def places(self, m: int) -> NDArray[np.intp]:
        """Of m rows in their order, one drawn from each of m stretches of the same length."""
        if m >= self.n:
            return np.arange(self.n)
        drawn = np.random.default_rng([self._seed, m]).random(m)
        return ((np.arange(m) + drawn) * (self.n / m)).astype(np.intp).clip(max=self.n - 1)

    def _drawn(self, m: int) -> NDArray[Any]:
        return self.rows if m >= self.n else self.rows[self.places(m)]

    def objective(self, m: int) -> Objective:
        """On m rows, or all."""
        return Objective(self, self._drawn(m))

    def row_pass(self, rows: NDArray[Any]) -> Any:
        return _core.RowPass(**self._arrays(rows))

    def dual_ascent(self, square: float) -> Any:
        """Over all rows; `square` is that of the column of the intercepts."""
        return _core.DualAscent(self.way, self.alpha, square, **self._arrays(self.rows))

    def _arrays(self, rows: NDArray[Any]) -> dict[str, Any]:
        """What the core is to know of some rows."""
        task = self.problem.task
        listed = None if len(rows) == task.X.shape[0] else rows
        return self.recipe().arrays(task.X, task.y, task.sample_weight, listed, self.threads)

    def recipe(self) -> Recipe:
        """What any rows are to know of the fit."""
        task = self.problem.task
        objective = {
            "coded": task.labels[0] >= 0,
            "outputs": self.outputs,
            "loss": task.objective.loss,
            "loss_parameters": task.objective.loss_parameters,
            "multinomial": self.multinomial,
        }
        return Recipe(objective, self.problem.side_weight.ravel().tolist(), self.frame)

    def in_units(self, rows: NDArray[Any]) -> Any:
        """Some rows, reckoned from the centre."""
        X = self.X[rows].astype(np.float64)
        if self.sparse:
            return sp.csr_array(X * self.frame.unit[:-1].T)
        return (X if self.frame.centre is None else X - self.frame.centre) * self.frame.unit[:-1].T

    def slopes(self, rows: NDArray[Any], weights: Floats) -> tuple[Any, Floats]:
        """Rows in units, with a one at the end, and slopes of their losses, weights of the rows included."""
        problem, task = self.problem, self.problem.task
        Z = self.in_units(rows)
        raw = times(Z, weights[:-1]) + weights[-1]
        weight = problem.row_weights(rows)
        given = Rows(None, task.y[rows], weight, task.labels[0] >= 0, self.multinomial, None)
        points = Points.of(given, problem.loss, raw, problem.targets.scale, kinked=False)
        return Z, points.look(raw)[1] * weight

    def shares(self, rows: NDArray[Any], weights: Floats) -> tuple[Floats, Floats]:
        """Shares of the classes (rows, outputs), by a softmax, and weights of the rows (rows, 1)."""
        _, slopes = self.slopes(rows, weights)
        weight = self.problem.row_weights(rows)[:, :1]
        own = inside(self.problem.task.y[rows], self.outputs)
        return np.where(weight > 0, slopes / np.where(weight > 0, weight, 1.0) + own, 0.0), weight[:, 0]

    def squares(self, rows: NDArray[Any], bends: Floats) -> Floats:
        """Mean of bends times squared rows, in units: (features + 1, outputs)."""
        return self.frame.squares(self.X, rows, bends, self.threads) / len(rows)

    def gram(self, rows: NDArray[Any], weight: Floats, columns: NDArray[Any]) -> Floats:
        """Mean of weight (x, 1)'(x, 1) over rows, for some of the columns, in units."""
        frame = self.frame
        unit = np.ascontiguousarray(frame.unit[:-1, 0])
        total = _core.gram(self.core_X, rows, weight[:, None], columns, frame.centre, unit, self.threads)
        found = total / max(1, len(rows))  # of no rows nothing
        if not self.intercept:
            found[-1] = found[:, -1] = 0.0
        return found


class Some(NamedTuple):
    """Some rows of an objective that bend.

    Attributes
    ----------
    data : Data
        Where `rows` are to be found.
    rows : ndarray of uint32
    bends : ndarray of shape (rows, n_outputs)
    of, total : int, float
        How many rows bend, and the sum of their second derivatives.
    """

    data: Data
    rows: NDArray[Any]
    bends: Floats
    of: int
    total: float


class Bends:
    """Second derivatives of losses at a place, weights of the rows included: `values` (rows, outputs)."""

    def __init__(self, objective: Objective, values: Floats):
        self.objective, self.values = objective, values

    def means(self) -> Floats:
        """(outputs,)"""
        return np.asarray(self.values.mean(axis=0))

    def squares(self, k: int | None = None) -> Floats:
        """Mean of them times squared rows, in units: (features + 1, outputs), or (features + 1, 1) of output k."""
        objective = self.objective
        if k is None:
            return objective.data.squares(objective.rows, self.values)
        places = np.flatnonzero(self.values[:, k])
        weight = self.values[places, k, None] * (len(places) / objective.m)
        return objective.data.squares(np.ascontiguousarray(objective.rows[places]), weight)

    def some(self, most: int, k: int | None = None) -> Some:
        """At most so many of the rows that bend, evenly spread: for any output, or for output k."""
        values = self.values if k is None else self.values[:, k : k + 1]
        bent = np.flatnonzero(values.any(axis=1))
        places = bent[spread_places(len(bent), most)]
        rows = np.ascontiguousarray(self.objective.rows[places])
        return Some(self.objective.data, rows, values[places], len(bent), float(values[bent].sum()))

    def at(self, places: NDArray[np.intp]) -> Floats:
        """Those of some rows."""
        return np.ascontiguousarray(self.values[places])


def spread_places(m: int, sample: int) -> NDArray[np.intp]:
    return np.arange(m) if sample >= m else np.arange(sample) * m // sample


class Objective:
    """Mean loss and penalty of some rows.

    Attributes
    ----------
    m : int
        The number of rows.
    place : ndarray of shape (n_features + 1, n_outputs)
        The weights of the last look.
    """

    place: Floats
    m: int

    def __init__(self, data: Data, rows: NDArray[Any]):
        self.data, self.way = data, data.way
        self.rows, self.m = rows, len(rows)
        self._pass = data.row_pass(rows)

    # ---- sums over the rows; a subclass may find them elsewhere ----

    def _evaluate(self, plain: Floats) -> tuple[Floats, Floats]:
        """Losses of each model and their gradient, at plain weights."""
        found = self._pass.evaluate(plain, self.data.threads)
        if found is None:
            raise KeyboardInterrupt
        losses, gradient = found
        return losses, gradient

    def _shifted(self, shift: Floats) -> tuple[Floats, Floats]:
        """Slopes and second derivatives in the intercepts, where the last look was and they are shifted."""
        _, slopes, bends = self._pass.shifted(shift, self.way, self.data.threads)
        return slopes, bends

    def _slacks(self) -> tuple[Floats, Floats]:
        """Losses of each model where the last look was, without averages, and slacks of their slopes."""
        losses, slacks = self._pass.slacks(self.data.threads)
        return losses, slacks

    def average_over(self, way: Floats) -> None:
        """Let losses with kinks be means over `way` (outputs,) to both sides, from the next look on."""
        self.way = way
        self._pass.average_over(way)

    def bends(self, widest: Floats | None = None) -> Bends:
        """Second derivatives where the last look was, means over `way`.

        Or over as much of `widest` (outputs,) as the kink is away: a parabola of that curvature touches the loss and
        lies above it (iteratively reweighted least squares: Hunter & Lange, "Quantile regression via an MM algorithm",
        J. Computational and Graphical Statistics 2000). Here it is between that and half of it.
        """
        values = bends_over(self._pass, self.way, widest, self.data.threads)
        return Bends(self, values)

    def squares(self) -> Floats:
        """Mean squared rows, in units: (features + 1, outputs)."""
        return self.data.squares(self.rows, np.ones((self.m, self.data.outputs)))

    def some(self, places: NDArray[np.intp]) -> tuple[Data, NDArray[Any]]:
        """Some of the rows, and the data that they are rows of."""
        return self.data, np.ascontiguousarray(self.rows[places])

    def stop(self) -> None:
        self._pass.stop()

    # ---- what they mean ----

    def slopes(self, weights: Floats) -> tuple[Any, Floats]:
        """Enough rows to tell the noise of gradients, as `Data.slopes`."""
        data, rows = self.some(np.arange(0, self.m, max(1, self.m // _NOISY)))
        return data.slopes(rows, weights)

    def slacks(self, weights: Floats) -> tuple[float, float]:
        """Where the last look was: the value without averages, and the mean slack of their slopes."""
        losses, slacks = self._slacks()
        return float(losses.sum()) / self.m + self._penalty(weights), float(slacks.sum()) / self.m

    def _penalty(self, weights: Floats) -> float:
        return l2_of(self.data.alpha, (weights * self.data.frame.unit)[:-1])

    def at(self, weights: Floats) -> tuple[float, Floats]:
        """Value and gradient at weights (features + 1, outputs) in units."""
        unit, alpha = self.data.frame.unit, self.data.alpha
        self.place = weights
        plain = np.ascontiguousarray(weights * unit)
        losses, gradient = self._evaluate(plain)
        value = float(losses.sum()) / self.m + self._penalty(weights)
        gradient = gradient / self.m
        gradient[:-1] += alpha * plain[:-1]
        if not self.data.intercept:
            gradient[-1] = 0.0
        return value, gradient * unit

    def best_shift(self) -> Floats:
        """What to add to the intercepts so that their slopes vanish, from where the last look was: Newton's method."""
        data = self.data
        shift, last = np.zeros(data.outputs), np.inf
        for _ in range(30):
            slopes, bends = self._shifted(shift)
            size = float(np.abs(slopes).max())
            if size >= 0.5 * last:  # what rounding leaves
                break
            last = size
            if data.multinomial:
                H = bends.reshape(data.outputs, -1)
                step = np.linalg.lstsq(H, slopes, rcond=1e-9)[0]  # a shift of all classes changes nothing
            else:
                step = np.where(bends > 0, slopes / np.where(bends > 0, bends, 1.0), 0.0)
            step = np.clip(step, -2 * data.problem.targets.scale, 2 * data.problem.targets.scale)
            shift -= step
            if np.abs(step / data.problem.targets.scale).max() < 1e-9:
                break
        return shift


def bends_over(row_pass: Any, way: Floats, widest: Floats | None, threads: int) -> Floats:
    """The values of `Objective.bends`, (rows, outputs)."""
    bends = np.asarray(row_pass.bends(way, threads), dtype=np.float64)
    while widest is not None and (way < widest).any():
        bends = np.maximum(bends, np.asarray(row_pass.bends(widest, threads), dtype=np.float64))
        widest = widest / 2
    return bends
