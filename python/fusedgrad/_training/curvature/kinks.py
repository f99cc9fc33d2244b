"""Where to go next where losses have kinks: Newton's method on means of the losses, over less and less.

The mean of a loss over a way to both sides of each prediction is smooth, and its slopes are a point of the dual
(Nesterov, "Smooth minimization of non-smooth functions", Math. Programming 2005). At its optimum the objective itself
is off by the mean slack of those slopes (see `certificate`), which falls with the square of the way. So the way shrinks
from look to look: a Newton step is made for the way of the moment, and judged with the next (means over less are never
more). As for smooth losses training begins on a sample, where slacks need not be less than the noise.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._pairs import dot
from ...optimizers import Solver as Settings
from . import certificate
from .descent import Descent
from .newton import Newton
from .passes import Data

Floats = NDArray[np.float64]

LONGEST, LONG = 6, 40  # iterations of a stage; iterations that must lead somewhere
FIRST = 2.0  # scales of the predictions: the first way
SHORTEST = {"f": 1e-5, "d": 1e-10}  # and the last, by the type of X
SLACK = 0.4  # share of the tolerance that slacks may take
FASTEST, FAST, SLOW = 0.2, 0.5, 0.7  # what ways are multiplied by: at least after full steps, and after others; at most
DAMPING = 1e-7  # share of a usual curvature that all directions have


class Kinked(Descent):
    """For losses with kinks, and L2.

    Attributes
    ----------
    value, gradient
        The value is that of the objective itself, the gradient that of the smoothed one.
    """

    def __init__(self, data: Data, weights: Floats, settings: Settings, tol: float | None, **given: Any):
        super().__init__(data, weights, settings, tol, **given)
        self._scale = data.problem.targets.scale
        self._way = FIRST  # in scales
        self._widening = 1.0  # ways, over which rows count as near a kink

    def _begin(self, m: int) -> None:
        super()._begin(m)
        data, objective = self.data, self._objective
        self._age = 0
        self._last: list[tuple[float, float, float]] = []
        bend = data.problem.targets.cost / self._scale**2
        self._usual = objective.squares() * bend
        self._ridge = np.zeros_like(self.weights) if self.whole else self._usual / objective.m
        self._anchor = np.zeros_like(self.weights)
        self._anchor[-1] = self.weights[-1]
        self._stay()

    @property
    def _level(self) -> float:
        return self._smooth

    def _look(self, weights: Floats) -> tuple[float, Floats]:
        """Value and gradient of the smoothed objective."""
        self._objective.average_over(self._way * self._scale)
        value, gradient = self._objective.at(weights)
        self.passes += self._objective.m / self.data.n
        apart = weights - self._anchor
        return value + 0.5 * dot(self._ridge * apart, apart), gradient + self._ridge * apart

    def _keep(self, to: Floats, value: float, gradient: Floats) -> None:
        self.weights, self._smooth, self.gradient = to, value, gradient

    def _stay(self) -> None:
        """Look where the weights are."""
        self._smooth, self.gradient = self._look(self.weights)
        self._measure()

    def _measure(self) -> None:
        """Find Newton's step, and what is left to gain, where the last look was."""
        objective, data = self._objective, self.data
        self._widening = min(self._widening, self._widest)
        newton = Newton(objective, self._widening * self._way * self._scale, self._ridge + DAMPING * self._usual)
        self._direction = -newton.solve(self.gradient)
        self.passes += newton.passes * objective.m / data.n
        self._fall = -dot(self.gradient, self._direction)
        self.value, self.slack = objective.slacks(self.weights)
        self.estimate = min(self.slack + 0.5 * self._fall, self.value - self.floor)
        self._prove(certificate.bound(self.gradient, data.frame.unit, data.alpha, self._scale, self.slack))
        if self.whole:
            self.done = self.tol is not None and self.gap <= self.tol
            return
        self.noise = newton.squares(*objective.slopes(self.weights)) / objective.m

    # ---- one iteration ----

    def step(self) -> None:
        """Move once, after the sample has grown where it is time; look for the end."""
        self._grow()
        self._age += 1
        before = self._way
        self._shorten()
        t = self._along(self._direction, -self._fall) if self._fall > 0.0 else 0.0
        if not t:
            self._end_of_road(before)
            return
        self._widening = max(self._widening / 2, 1.0) if t > 0.5 else min(2 * self._widening, self._widest)
        self._measure()
        if self.whole:
            self.stuck = self.stuck or self._is_stalled()
        else:
            self._due = self._fall <= self.noise or self._age >= LONGEST

    def _is_stalled(self) -> bool:
        """Whether neither value nor bound has come down for long: as where the way is short beside what is left."""
        self._last = [*self._last[1 - LONG :], (self.value, self.bound, self.estimate)]
        value, bound, estimate = self._last[0]
        fell = value - self.value > 0.1 * (self.tol or 0.0) * self.size
        nearer = self.bound < 0.9 * bound if np.isfinite(bound) else self.estimate < 0.9 * estimate
        return len(self._last) == LONG and not fell and not nearer

    def _shorten(self) -> None:
        """The way of the next look: shorter, if the optimum for that of the last is near."""
        target = SLACK * (self.noise if not self.whole else (self.tol or 0.0) * self.size)
        if self.slack <= target or 0.5 * self._fall > self.slack:
            return
        least = FASTEST if self._widening == 1.0 else FAST
        self._way *= min(max(np.sqrt(0.8 * target / self.slack), least), SLOW)
        self._way = max(self._way, SHORTEST[self.data.dtype.char])

    def _end_of_road(self, before: float) -> None:
        """No step leads down: on more rows, over another way, or knowing more of the rows nearby, there may be one."""
        if not self.whole:
            self._due = True
            return
        self.stuck = self._way == before and self._widening == self._widest
        self._widening = self._widest
        self._stay()

    @property
    def _widest(self) -> float:
        return FIRST / self._way
