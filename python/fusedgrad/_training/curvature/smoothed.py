"""Losses with kinks under an L1 penalty, or with coefficients of 0 at least: `proximal`, on means of the losses.

The means are over less and less, as in `kinks`; when the optimum for one way is near, the next is a fraction of it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...optimizers import Solver as Settings
from .kinks import FIRST, SHORTEST, SLACK
from .passes import Bends, Data
from .proximal import Proximal
from .solver import UNPROVEN

Floats = NDArray[np.float64]

NEXT = 0.25  # of the way before
NEAR = 0.3  # share of the slack that may be left to gain for a way


class Smoothed(Proximal):
    """For losses with kinks, L2, L1 and coefficients of 0 at least.

    Attributes
    ----------
    value, slack
        The value is that of the objective itself; the mean slack of the slopes.
    """

    def __init__(self, data: Data, weights: Floats, settings: Settings, tol: float | None, **given: Any):
        self._way = FIRST
        super().__init__(data, weights, settings, tol, **given)

    @property
    def _level(self) -> float:
        return self._smooth

    def _look(self, weights: Floats) -> tuple[float, Floats]:
        """Value, and gradient of its smooth part, of the smoothed objective."""
        self._objective.average_over(self._way * self.data.problem.targets.scale)
        return super()._look(weights)

    def _keep(self, to: Floats, value: float, gradient: Floats) -> None:
        super()._keep(to, value, gradient)
        self._smooth = value

    def _begin(self, m: int) -> None:
        self._is_fresh = True
        super()._begin(m)

    def _precondition(self) -> None:
        if not self._is_fresh:  # the value is then that of the objective itself
            self.value, self.gradient = self._look(self.weights)
        self._is_fresh = False
        super()._precondition()

    def _set_matrix(self, bends: Bends, diagonal: Floats) -> None:
        self._smooth = self.value
        super()._set_matrix(bends, diagonal)

    def _measure(self) -> None:
        value, self.slack = self._objective.slacks(self.weights)
        self.value = value + self.penalty.value(self.weights)
        super()._measure()

    def step(self) -> None:
        """Move once, after the way has become shorter or the sample has grown where it is time."""
        if self._is_hidden() and self.estimate - self.slack <= NEAR * self.slack:
            self._shorten()
        super().step()

    def _is_hidden(self) -> bool:
        """Whether the way alone may hide more than the tolerance."""
        share = 1.0 if np.isfinite(self.bound) else UNPROVEN
        return self.whole and self.slack > SLACK * share * (self.tol or 0.0) * self.size

    def _shorten(self) -> None:
        self._way = max(NEXT * self._way, SHORTEST[self.data.dtype.char])
        self._precondition()

    def _end_of_road(self) -> None:
        if self._is_hidden() and not len(self._pairs) and self._way > SHORTEST[self.data.dtype.char]:
            self._shorten()
        else:
            super()._end_of_road()
