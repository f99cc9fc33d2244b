"""Dual coordinate ascent on wide sparse rows, before all else where it is fast.

An epoch costs little more than a pass, and on rows of a few of many columns, which hardly meet, it leaves a tenth of
what there was to gain. How much the dual has risen in an epoch tells how much is left, so that few passes are needed to
look.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._pairs import Pairs
from . import certificate
from .descent import Descent
from .kinks import Kinked
from .passes import Data, l2_of
from .preconditioners import FACTORED
from .solver import Solver

Floats = NDArray[np.float64]

WIDE = 2  # rows a column, below which data are wide
_ONES = 0.1  # square of the column of an intercept, of the mean square of the rows
_LEFT = 0.25  # share of the tolerance that is left to gain, before rows are looked at
_SURE = 3  # epochs until that is known
_EPOCHS, _FEWEST = 20, 2  # between two looks, at most and at least
_LOOKS = 4  # at most, where L-BFGS does as well
_STALLED = 4  # looks that must bring the bound down
_NEAR = 0.1  # relative gap
_LEAST = 1e-8  # share of the dual that an epoch is worth
_USUAL = 1e-6  # tolerance where there is none


def suits(data: Data) -> bool:
    """Whether ascent may be the fastest way: rows of a few of many columns, in sound units."""
    wide = data.sparse and data.features > FACTORED and data.n < WIDE * data.features
    bounded = not data.multinomial and data.problem.loss.curvature < np.inf
    return wide and bounded and data.ascends and data.alpha > 0.0 and bool((data.frame.unit == 1.0).all())


class _Rising(Descent):
    """From nothing, by epochs of ascent; what is left, if they are slow, by the class that this one is mixed with."""

    _SLOW: float  # share of an epoch's rise that the next one has, above which the class behind is faster
    _dual: Any = None
    _rising = True
    _slow = False
    _epochs = _looks = 0
    _risen = _rise = _ratio = 0.0  # of the dual: in all; in the last epoch; its share of that of the one before

    def begin(self) -> None:
        """Nothing is looked at before the first epochs."""
        Descent._begin(self, self.data.n)
        self._share = _LEFT * (self.tol or _USUAL)  # of the dual, below which what is left is not worth an epoch
        self._start = self.weights
        self._bounds: list[float] = []
        self.value, self.gradient = self.small, np.zeros_like(self.weights)
        self.bound = self.estimate = np.inf
        data = self.data
        square = float(np.einsum("i,i->", data.X.data, data.X.data)) / data.X.shape[0]
        self._dual = data.dual_ascent(_ONES * square if data.intercept else 0.0)
        intercepts_alone = np.ascontiguousarray(self.weights)
        self._dual.write(np.zeros((data.n, data.outputs)), intercepts_alone)

    def stop(self) -> None:
        """Interrupt what another thread is at; `step` then raises KeyboardInterrupt."""
        super().stop()
        if (dual := self._dual) is not None:
            dual.stop()

    # ---- checkpoints ----

    def snapshot(self) -> dict[str, Any]:
        """All that changes from step to step, and cannot be found again."""
        if not self._rising:
            return {**super().snapshot(), "dual": None}
        return {**Descent.snapshot(self), "dual": list(self._dual.read())}

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Stand as when `snapshot` was taken."""
        if saved["dual"] is None:
            super().restore(saved)
            return
        self.begin()
        self._set(saved)
        self._dual.write(*saved["dual"])

    # ---- one iteration ----

    def step(self) -> None:
        """Make epochs until little is left to gain, and look at the rows."""
        if not self._rising:
            super().step()
            return
        self._climb()
        slopes, weights = self._dual.read()
        self._stand(slopes, weights)
        if self.done or not self.finite:
            return
        self._looks += 1
        self._bounds = [*self._bounds[-_STALLED:], self.bound]
        if self._ratio < 1.0:
            self._share = min(self._share, self._rest / self._risen)
        self._share *= _LEFT * min(1.0, (self.tol or _USUAL) * self.size / self.bound)
        self._go_on()

    def _climb(self) -> None:
        for epoch in range(_EPOCHS):
            risen = self._dual.epoch(self._epochs, self.data.threads)
            if risen is None:
                raise KeyboardInterrupt
            risen /= self.data.n
            self._epochs += 1
            self.passes += 1
            self._ratio = risen / self._rise if self._rise > 0.0 else 1.0
            self._risen, self._rise = self._risen + risen, risen
            self._slow = self._epochs >= _SURE and self._ratio > self._SLOW
            little = self._ratio < 1.0 and self._rest <= self._share * self._risen
            if self._slow or (little and epoch + 1 >= _FEWEST):
                return

    @property
    def _rest(self) -> float:
        """What the dual has left to rise by, if epochs go on as the last two did."""
        return self._rise * self._ratio / (1.0 - self._ratio)

    def _stand(self, slopes: Floats, weights: Floats) -> None:
        """Be where the ascent has led, and judge it."""
        raise NotImplementedError

    def _go_on(self) -> None:
        """Make ready for more epochs, or leave the rest to the class behind."""
        raise NotImplementedError

    @property
    def _near(self) -> bool:
        return self.bound <= _NEAR * self.size

    def _hand_over(self) -> None:
        if not self._near:  # a place that epochs barely left is a bad start
            self.weights = self._start
        self._rising, self._dual = False, None
        self._begin(self.data.n)


class Ascent(_Rising, Solver):
    """For losses without kinks, and L2."""

    _SLOW = 0.75

    def begin(self) -> None:
        """Nothing is looked at before the first epochs."""
        self._ridge = None
        self._pairs = Pairs(self.settings.pairs)
        self._falls = []
        super().begin()

    def _stand(self, slopes: Floats, weights: Floats) -> None:
        self._look_at(weights)
        if self.data.intercept and not self.done:
            weights[-1] += self._objective.best_shift()
            self._dual.write(slopes, weights)
            self._look_at(weights)

    def _look_at(self, weights: Floats) -> None:
        self.weights = weights.copy()
        self.value, self.gradient = self._look(self.weights)
        self._judge()

    def _go_on(self) -> None:
        if self._slow or self._looks == _LOOKS or self._share <= _LEAST:
            self._hand_over()

    def _estimated(self) -> float:
        return self._newest if self._rising else super()._estimated()


class KinkedAscent(_Rising, Kinked):
    """For losses with kinks, and L2. Steps are exact, and the dual point of the ascent is one for the bound."""

    _SLOW = 0.97

    def _stand(self, slopes: Floats, weights: Floats) -> None:
        data = self.data
        found = self._dual.gap(data.threads)
        if found is None:
            raise KeyboardInterrupt
        losses, gaps = (each / data.n for each in found)
        self.passes += 1
        self.weights = weights
        self.value = losses + l2_of(data.alpha, weights[:-1])
        of_intercepts = certificate.of_intercepts(slopes.mean(axis=0), self._scale) if data.intercept else 0.0
        self._prove(gaps + of_intercepts)
        self.estimate = self.bound
        self.done = self.tol is not None and self.gap <= self.tol

    def _go_on(self) -> None:
        stalled = len(self._bounds) > _STALLED and self._bounds[-1] > 0.9 * self._bounds[0]
        if stalled or (self._slow and not self._near):
            self._hand_over()
