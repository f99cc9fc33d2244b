"""Where to go next: L-BFGS on top of a preconditioner, first on a few rows, at last on all.

The preconditioner is the Hessian of some rows, or its diagonal; pairs of steps and changes of the gradient correct it
(Liu & Nocedal, "On the limited memory BFGS method", Math. Programming 1989).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._pairs import Pairs, dot
from ...optimizers import Solver as Settings
from . import certificate
from .descent import Descent
from .passes import Bends, Data
from .preconditioners import FACTORED, diagonal_of, most_rows, preconditioner

Floats = NDArray[np.float64]

LONGEST = 8  # iterations of a stage
SLOW = 0.3  # share of the bound that four iterations may leave
MULTIPLE = 10.0  # of what the preconditioner says, at most, and one part in as many at least
LOOSE = 2.0  # times the rest of a bound, above which the part of the intercepts makes it looser than it need be
UNPROVEN = 1e-3  # share of the tolerance that an estimate must be below, where there is no bound


class Solver(Descent):
    """For losses without kinks, and L2."""

    def __init__(self, data: Data, weights: Floats, settings: Settings, tol: float | None, **given: Any):
        super().__init__(data, weights, settings, tol, **given)
        d, n = data.features, data.n
        self._factored = settings.factors and d <= FACTORED
        self._sample = max(2048, 20 * d, min(32768, n // max(d, 1)))
        if data.multinomial and weights.size > FACTORED:
            self._sample = max(2048, 3 * d)  # one factor serves all classes
        self._widened = 0
        self._of_intercepts = 0.0  # part of the bound
        self._blocked = False  # whether that part alone was in the way of a proof

    def _begin(self, m: int) -> None:
        super()._begin(m)
        self._ridge: Floats | None = None
        self._age = 0
        self._falls: list[float] = []
        self.value, self.gradient = self._look(self.weights)
        self._precondition()

    def _precondition(self) -> None:
        objective = self._objective
        bends = self._bends()
        diagonal = diagonal_of(bends)
        self._ridge = None
        if not self.whole:  # samples may be separable
            self._ridge = 2.0 / objective.m * diagonal
            self._ridge[-1] *= 0.1
            self._anchor = np.zeros_like(self.weights)
            self._anchor[-1] = self.weights[-1]
            apart = self.weights - self._anchor
            self.value += 0.5 * dot(self._ridge * apart, apart)
            self.gradient = self.gradient + self._ridge * apart
        self._pairs = Pairs(self.settings.pairs)
        self._know(bends, diagonal)
        self.noise = 0.0
        if not self.whole:
            self.noise = self._squares(*objective.slopes(self.weights)) / objective.m
        self._judge()

    def _bends(self) -> Bends:
        """Second derivatives where the last look was: the place from which a checkpoint finds the curvature again."""
        self._place = self._objective.place
        return self._objective.bends()

    def _know(self, bends: Bends, diagonal: Floats) -> None:
        """Make of the curvature, and the diagonal of the Hessian, what directions need."""
        if self._ridge is not None:
            diagonal = diagonal + self._ridge
        if not self.data.intercept:
            diagonal[-1] = 1.0
        self._set_matrix(bends, diagonal)

    def _set_matrix(self, bends: Bends, diagonal: Floats) -> None:
        sample, factored = self._sample, self._factored
        self._matrix = preconditioner(bends, self._place, diagonal, sample, factored=factored)

    def _squares(self, Z: Any, slopes: Floats) -> float:
        """Mean squared size of the rows' gradients, Z times slopes, as far as steps follow them."""
        return self._matrix.squares(Z, slopes)

    def _look(self, weights: Floats) -> tuple[float, Floats]:
        value, gradient = self._objective.at(weights)
        self.passes += self._objective.m / self.data.n
        if self._ridge is not None:
            apart = weights - self._anchor
            value += 0.5 * dot(self._ridge * apart, apart)
            gradient = gradient + self._ridge * apart
        return value, gradient

    # ---- checkpoints ----

    def snapshot(self) -> dict[str, Any]:
        """All that changes from step to step, and cannot be found again."""
        return {**super().snapshot(), "pairs": list(self._pairs.kept)}

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Stand as when `snapshot` was taken; the curvature takes a pass, and sums over some rows."""
        super().restore(saved)
        self._look(self._place)
        bends = self._bends()
        self._know(bends, diagonal_of(bends))
        self._set(saved)  # what that has changed
        self._pairs = Pairs(self.settings.pairs)
        self._pairs.kept.extend(map(tuple, saved["pairs"]))

    # ---- one iteration ----

    def step(self) -> None:
        """Move once, after the sample has grown where it is time; look for the end."""
        self._grow()
        direction, slope = self._descent()
        if not slope < 0.0 or not self._along(direction, slope):
            self._end_of_road()
            return
        self._age += 1
        if not self.whole:
            self._due = self._left() <= self.noise or self._age >= LONGEST
            return
        self._judge()
        self._falls = [*self._falls[-3:], self.bound if np.isfinite(self.bound) else self.estimate]
        if not self.done and self.settings.factors and self._is_slow():
            self._widen()

    def _left(self) -> float:
        """The squared size of the gradient."""
        return dot(self.gradient, self._matrix.solve(self.gradient))

    def _descent(self) -> tuple[Floats, float]:
        """A direction that leads down, and the slope there, or what the first step falls by at least at that slope."""
        direction = -self._pairs.solve(self.gradient, self._matrix.solve, MULTIPLE)
        return direction, self._slope(self.weights, self.gradient, direction)

    def _keep(self, to: Floats, value: float, gradient: Floats) -> None:
        self._pairs.add(to - self.weights, gradient - self.gradient)
        self.weights, self.value, self.gradient = to, value, gradient

    # ---- the end ----

    def _judge(self) -> None:
        """Find the bound and the estimate, and whether they are within the tolerance."""
        self._measure()
        if self.tol is None or not self.whole:
            return
        tolerance = self.tol * self.size
        others = self._newest - self._of_intercepts  # the part of the bound that weights have
        blocked = others <= tolerance < self.bound
        again = blocked and self._blocked  # steps have not made the slopes of intercepts small
        loose = self.bound <= tolerance and self._of_intercepts > LOOSE * others
        if self.data.intercept and (again or loose):
            to = self.weights.copy()
            to[-1] += self._objective.best_shift()
            value, gradient = self._look(to)
            if np.isfinite(value) and value <= self._level + 1e-6 * abs(self._level):
                self._keep(to, value, gradient)
                self._measure()
        self._blocked = blocked
        self.done = self._is_near()

    def _intercepts(self, slopes: Floats) -> float:
        return certificate.of_intercepts(slopes, self.data.problem.targets.scale)

    def _is_near(self) -> bool:
        assert self.tol is not None
        tolerance = self.tol * self.size
        if not np.isfinite(self.bound):
            return self.estimate <= UNPROVEN * tolerance
        # A bound that stays behind where there is nothing left to gain is loose.
        return self.bound <= tolerance or self.estimate <= min(self.rounding * self.size, tolerance)

    def _measure(self) -> None:
        data = self.data
        self._of_intercepts = self._intercepts(self.gradient[-1])
        self._prove(certificate.bound(self.gradient, data.frame.unit, data.alpha, data.problem.targets.scale))
        self.estimate = self._estimated()

    def _estimated(self) -> float:
        """By how much the objective is above its optimum, about: Newton's decrement."""
        return 0.5 * dot(self.gradient, self._matrix.solve(self.gradient))

    def _is_slow(self) -> bool:
        return len(self._falls) == 4 and self._falls[-1] > SLOW * self._falls[0]

    def _widen(self) -> None:
        """Know more of the curvature, or that of here."""
        self._falls.clear()
        if not self._factored:
            self._factored = True
        elif self._matrix.sample < self._objective.m and self._widened < 3:
            self._sample = min(4 * self._sample, most_rows(self.data))
            self._widened += 1
        elif not self._matrix.exact:
            return  # it is no Hessian anywhere: its pairs know more
        self._precondition()  # where the weights are now

    def _end_of_road(self) -> None:
        """No step leads down: on a sample the next stage may know one."""
        if not self.whole:
            self._due = True
        elif self._pairs:
            self._pairs.clear()
        else:  # what rounding leaves is no more to be had
            self.stuck = self.tol is None or self.estimate > UNPROVEN * self.tol * self.size
            self.done = not self.stuck
