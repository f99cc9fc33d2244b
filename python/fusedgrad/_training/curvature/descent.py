"""What all ways to a minimum have in common: what is known of it, the search along a direction, samples that grow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._pairs import dot
from ...optimizers import Solver as Settings
from ..snapshots import plain_of, set_plain
from .passes import Data, Objective
from .preconditioners import FACTORED, most_rows

Floats = NDArray[np.float64]

GROWTH = 4  # times as many rows in the next stage
LARGE = 0.2  # a share of all rows, above which a stage takes all: it costs more than it spares
ARMIJO = 1e-4
HALVINGS = 20
ROUNDING = {"float32": 1e-7, "float64": 1e-12}  # of an objective, relative


class Descent:
    """Minimises the objective of `data` from `weights`, an iteration at a time.

    On m rows the objective is worth minimising down to the noise of its gradient. So training begins on a sample; when
    its gradient is no larger than that of other samples would differ, the sample grows (Byrd, Chin, Nocedal & Wu,
    "Sample size selection in optimization methods for machine learning", Math. Programming 2012).

    Parameters
    ----------
    tol : float or None
        Share of the objective within which the optimum is near enough; None: never.
    warm : bool
        Whether the weights know the data, so that a sample could only lead away.
    small, floor : float
        What the relative gap is a share of, at least; the least that the objective can be.

    Attributes
    ----------
    weights : ndarray of shape (n_features + 1, n_outputs)
        In units; intercepts of rows from the centre.
    value, bound, estimate : float
        Of the objective on the rows of the moment: its value, by how much that is above its optimum at most, and about.
    gradient : ndarray of the shape of the weights
        Of what a step is to reduce.
    slack : float
        What is lost in the bound because losses are smoothed.
    done, stuck : bool
        Whether the bound is within the tolerance; whether no step leads down.
    passes : float
        Over all rows, so far.
    """

    value: float
    bound: float
    estimate: float
    gradient: Floats
    slack: float = 0.0
    _objective: Objective

    def __init__(
        self,
        data: Data,
        weights: Floats,
        settings: Settings,
        tol: float | None,
        *,
        warm: bool,
        small: float,
        floor: float,
    ):
        self.data, self.weights, self.settings, self.tol = data, weights, settings, tol
        self.small, self.floor = small, floor
        self.rounding = ROUNDING[data.dtype.name]
        self.done = self.stuck = False
        self.passes = 0.0
        d, n = data.features, data.n
        least = 5 * (d + 1) if d <= FACTORED else 0
        wide = data.sparse and n < 20 * d and d > FACTORED
        whole = warm or wide or not settings.grows
        self._first = n if whole else min(max(1024, n // 64, least), most_rows(data))
        self._due = False  # a larger sample

    def begin(self) -> None:
        """Look at the first rows."""
        self._begin(self._first)

    def step(self) -> None:
        """Move once, after the sample has grown where it is time; look for the end.

        It looks at the rows before it asks what only the last look tells, so that nothing of that goes from step to
        step.
        """
        raise NotImplementedError

    def _begin(self, m: int) -> None:
        """A stage on m rows."""
        small = m <= min(LARGE * self.data.n, most_rows(self.data))
        self._objective = self.data.objective(m if small else self.data.n)
        self._due = False
        penalised = self.data.alpha > 0.0 or self.data.l1 > 0.0
        self._lowest = self.floor if penalised else -np.inf  # value that the optimum can have

    def _grow(self) -> None:
        if self._due:
            self._begin(GROWTH * self._objective.m)

    def stop(self) -> None:
        """Interrupt the look that another thread is at; `step` then raises KeyboardInterrupt."""
        self._objective.stop()

    # ---- checkpoints ----

    def snapshot(self) -> dict[str, Any]:
        """All that changes from step to step, and cannot be found again."""
        arrays = {name: value for name, value in vars(self).items() if isinstance(value, np.ndarray)}
        return {"rows": self.rows, "plain": plain_of(self), "arrays": arrays}

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Stand as when `snapshot` was taken, in place of `begin`."""
        self._objective = self.data.objective(saved["rows"])
        self._set(saved)

    def _set(self, saved: Mapping[str, Any]) -> None:
        set_plain(self, saved["plain"])
        vars(self).update(saved["arrays"])

    # ---- what is known ----

    @property
    def size(self) -> float:
        """What a relative gap is a share of."""
        return max(self.value - self.floor, self.small, 1e-300)

    @property
    def gap(self) -> float:
        """Share of the objective that it lies above its optimum: at most, or where that is not `proven` about.

        Infinite while only a sample is looked at: nothing is known of the other rows.
        """
        if not self.whole:
            return np.inf
        return (self.bound if self.proven else self.estimate) / self.size

    @property
    def proven(self) -> bool:
        """Whether there is a bound, and one that is worth more than the estimate."""
        loose = self.done and self.tol is not None and self.bound > self.tol * self.size
        return bool(np.isfinite(self.bound)) and not loose

    @property
    def finite(self) -> bool:
        """Whether all is a number: losses may hide rows that are not, slopes do not."""
        return bool(np.isfinite(self.value) and np.isfinite(self.gradient).all())

    @property
    def rows(self) -> int:
        """That are looked at, of the sample of the moment."""
        return self._objective.m

    @property
    def whole(self) -> bool:
        """Whether all rows are looked at."""
        return self._objective.m == self.data.n

    def _prove(self, bound: float) -> None:
        """Take over a bound; what another point has proven still holds."""
        self._newest = bound
        self._lowest = max(self._lowest, self.value - bound)
        self.bound = min(bound, self.value - self._lowest)

    # ---- along a direction ----

    @property
    def _level(self) -> float:
        """What a step is to reduce."""
        return self.value

    def _look(self, weights: Floats) -> tuple[float, Floats]:
        """The level and its gradient somewhere else."""
        raise NotImplementedError

    def _slope(self, weights: Floats, gradient: Floats, direction: Floats) -> float:
        return dot(gradient, direction)

    def _point(self, direction: Floats, t: float) -> Floats:
        return self.weights + t * direction

    def _keep(self, to: Floats, value: float, gradient: Floats) -> None:
        """Be there."""
        raise NotImplementedError

    def _along(self, direction: Floats, slope: float) -> float:
        """Step along a direction, as far as the level falls; by how many times the direction, 0 if it does not."""
        t, level = 1.0, self._level
        for _ in range(HALVINGS):
            to = self._point(direction, t)
            value, gradient = self._look(to)
            fell = value <= level + ARMIJO * t * slope
            if np.isfinite(value) and not fell:  # where only rounding is left to compare, slopes tell
                near = value <= level + self.rounding * abs(level)
                fell = near and self._slope(to, gradient, direction) <= (2 * ARMIJO - 1) * slope
            if fell and np.isfinite(gradient).all():
                self._keep(to, value, gradient)
                return t
            rise = value - level - slope * t
            best = -slope * t * t / (2 * rise) if np.isfinite(value) and rise > 0 else 0.1 * t
            t = min(max(best, 0.1 * t), 0.5 * t)
        return 0.0
