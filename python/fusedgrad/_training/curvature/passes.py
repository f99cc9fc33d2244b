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

_SAMPLE = 2048  # rows whose means and spreads are taken for those of all
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
    def of(cls, X: Any, rows: NDArray[Any], *, centred: bool) -> Frame:
        """As these rows tell, which need not be exact."""
        some = X[rows]
        if sp.issparse(X):
            return cls(None, np.append(_sparse_units(X), 1.0)[:, None])
        some = some.astype(np.float64)
        top = np.abs(some).max(axis=0)
        safe = np.where((top > 0) & np.isfinite(top), top, 1.0)
        some /= safe
        centre = some.mean(axis=0) if centred else np.zeros(some.shape[1])
        spread = np.sqrt(np.mean((some - centre) ** 2, axis=0))
        spread = np.where(spread > 1e-7, spread, 1.0) * safe
        return cls(centre * safe if centred else None, np.append(1.0 / spread, 1.0)[:, None])


def _sparse_units(X: Any) -> Floats:
    """1, unless squares of the entries would overflow."""
    if X.nnz == 0 or max(float(X.data.max()), -float(X.data.min())) < _HUGE:
        return np.ones(X.shape[1])
    top = np.zeros(X.shape[1])
    np.maximum.at(top, X.indices, np.abs(X.data))
    return np.where((top > 0) & np.isfinite(top), 1.0 / np.where(top > 0, top, 1.0), 1.0)


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
    """What passes over any of the rows have in common."""

    def __init__(self, problem: Problem, threads: int):
        task, batches = problem.task, problem.batches
        self.problem, self.threads = problem, threads
        self.X, self.core_X = task.X, as_core(task.X)
        self.sparse = sp.issparse(task.X)
        self.features, self.outputs = task.X.shape[1], len(task.labels)
        self.multinomial = batches.multinomial
        self.intercept = task.intercept_decay != 0.0
        self.way = np.ascontiguousarray(_WAY * problem.targets.scale)
        self.alpha, self.l1, self.positive = task.objective.l2, task.objective.l1, batches.positive
        self.kinked = problem.loss.curvature == 0.0 and not self.multinomial
        listed = problem.shared.rows
        rows = np.arange(problem.shared.n, dtype=np.uint32) if listed is None else listed
        self.rows = rows  # in their order
        self._seed = task.seeds[0]
        self.frame = Frame.of(task.X, self.some(_SAMPLE), centred=not self.sparse and self.intercept)

    @property
    def n(self) -> int:
        return len(self.rows)

    def some(self, m: int) -> NDArray[Any]:
        """m rows in their own order, one drawn from each of m stretches of the same length."""
        if m >= self.n:
            return self.rows
        drawn = np.random.default_rng([self._seed, m]).random(m)
        return self.rows[((np.arange(m) + drawn) * (self.n / m)).astype(np.intp).clip(max=self.n - 1)]

    def row_pass(self, rows: NDArray[Any]) -> Any:
        return _core.RowPass(**self._arrays(rows))

    def dual_ascent(self, square: float) -> Any:
        """Over all rows; `square` is that of the column of the intercepts."""
        return _core.DualAscent(self.way, self.alpha, square, **self._arrays(self.rows))

    def _arrays(self, rows: NDArray[Any]) -> dict[str, Any]:
        """What the core is to know of some rows."""
        problem, task = self.problem, self.problem.task
        return {
            "X": self.core_X,
            "sorted": not self.sparse or bool(task.X.has_sorted_indices),
            "rows": None if len(rows) == task.X.shape[0] else rows,
            "y": task.y,
            "coded": task.labels[0] >= 0,
            "outputs": self.outputs,
            "loss": task.objective.loss,
            "loss_parameters": task.objective.loss_parameters,
            "multinomial": self.multinomial,
            "centre": self.frame.centre,
            "threads": self.threads,
            "models": [{"side_weight": problem.side_weight.ravel().tolist(), "sample_weight": task.sample_weight}],
        }

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
        frame = self.frame
        unit = np.ascontiguousarray(frame.unit[:-1, 0])
        return _core.weighted_squares(self.core_X, rows, bends, frame.centre, unit, self.threads) / len(rows)

    def gram(self, rows: NDArray[Any], weight: Floats, columns: NDArray[Any]) -> Floats:
        """Mean of weight (x, 1)'(x, 1) over rows, for some of the columns, in units."""
        frame = self.frame
        unit = np.ascontiguousarray(frame.unit[:-1, 0])
        found = _core.gram(self.core_X, rows, weight[:, None], columns, frame.centre, unit, self.threads) / len(rows)
        if not self.intercept:
            found[-1] = found[:, -1] = 0.0
        return found


class Objective:
    """Mean loss and penalty of some rows.

    Attributes
    ----------
    place : ndarray of shape (n_features + 1, n_outputs)
        The weights of the last look.
    """

    place: Floats

    def __init__(self, data: Data, m: int):
        self.data, self.rows = data, data.some(m)
        self.m = len(self.rows)
        self._pass = data.row_pass(self.rows)
        self.way = data.way

    def average_over(self, way: Floats) -> None:
        """Let losses with kinks be means over `way` (outputs,) to both sides, from the next look on."""
        self.way = way
        self._pass.average_over(way)

    def slacks(self, weights: Floats) -> tuple[float, float]:
        """Where the last look was: the value without averages, and the mean slack of their slopes."""
        losses, slacks = self._pass.slacks(self.data.threads)
        return float(losses.sum()) / self.m + self._penalty(weights), float(slacks.sum()) / self.m

    def _penalty(self, weights: Floats) -> float:
        return l2_of(self.data.alpha, (weights * self.data.frame.unit)[:-1])

    def at(self, weights: Floats) -> tuple[float, Floats]:
        """Value and gradient at weights (features + 1, outputs) in units."""
        unit, alpha = self.data.frame.unit, self.data.alpha
        self.place = weights
        plain = weights * unit
        found = self._pass.evaluate(np.ascontiguousarray(plain), self.data.threads)
        if found is None:
            raise KeyboardInterrupt
        losses, gradient = found
        value = float(losses.sum()) / self.m + self._penalty(weights)
        gradient = gradient / self.m
        gradient[:-1] += alpha * plain[:-1]
        if not self.data.intercept:
            gradient[-1] = 0.0
        return value, gradient * unit

    def stop(self) -> None:
        self._pass.stop()

    def bends(self, way: Floats | None = None) -> Floats:
        """Second derivatives where the last look was, (rows, outputs); means over `way` (outputs,) to both sides."""
        return np.asarray(self._pass.bends(self.way if way is None else way, self.data.threads), dtype=np.float64)

    def best_shift(self) -> Floats:
        """What to add to the intercepts so that their slopes vanish, from where the last look was: Newton's method."""
        data = self.data
        shift, last = np.zeros(data.outputs), np.inf
        for _ in range(30):
            _, slopes, bends = self._pass.shifted(shift, self.way, data.threads)
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
