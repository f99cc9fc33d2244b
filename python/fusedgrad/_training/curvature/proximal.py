"""Objectives with an L1 penalty, or coefficients of 0 at least: Newton's method in its proximal form.

Each step leads towards the minimum of a quadratic model of the loss and L2, plus the penalty as it is (Lee, Sun &
Saunders, "Proximal Newton-type methods for minimizing composite functions", SIAM J. Optimization 2014), so that
coefficients are zeros where those of the optimum are. All else is as in `solver`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._pairs import dot
from . import certificate
from .models import Blocks, Columns, Penalty, Terms
from .passes import Bends, Data, l2_of
from .preconditioners import FACTORED, penalty_of
from .solver import UNPROVEN, Solver

Floats = NDArray[np.float64]

_EXACT = 1e-3, 0.03  # share of a model's depth that may be left to find, of dense ones and of those by columns
_NEAR = 0.9  # share of the strength of L1, beyond which a slope may make a coefficient move


class Proximal(Solver):
    """Minimises what `Solver` does, plus L1, over coefficients that may have to be 0 or above."""

    _model: Blocks | Columns

    def __init__(self, data: Data, weights: Floats, *given: Any, **named: Any):
        strength = data.l1 * data.frame.unit
        strength[-1] = 0.0
        self.penalty = Penalty(strength, data.positive)
        if data.positive:
            weights[:-1] = np.maximum(weights[:-1], 0.0)
        self._found: tuple[Floats, float] | None = None  # the minimum of the model around these weights, its depth
        super().__init__(data, weights, *given, **named)

    def _look(self, weights: Floats) -> tuple[float, Floats]:
        """Value, and gradient of its smooth part."""
        value, gradient = super()._look(weights)
        return value + self.penalty.value(weights), gradient

    # ---- the model ----

    @property
    def _frozen(self) -> bool:
        """Whether the Hessian stays that of one point, and pairs correct it: where it is costly, or lacks something."""
        return isinstance(self._model, Blocks) or self.data.multinomial

    def _set_matrix(self, bends: Bends, diagonal: Floats) -> None:
        self._found = None
        self._bent: dict[int, Floats] = {}
        if self.data.features <= FACTORED:
            self._model = Blocks(bends, diagonal, self._sample)
            return
        ridge = penalty_of(self.data) + (0.0 if self._ridge is None else self._ridge)
        self._model = Columns(self._objective, ridge)
        self._model.bend(bends)

    def _squares(self, Z: Any, slopes: Floats) -> float:
        return self._model.squares(Z, slopes, self._minimum()[0] != 0.0)

    def _minimum(self) -> tuple[Floats, float]:
        if self._found is None:
            exact = _EXACT[isinstance(self._model, Columns)]
            self._found = self._model.minimum(self.gradient, self.weights, self.penalty, self._terms(), exact)
        return self._found

    def _terms(self) -> Terms:
        if not self._frozen:
            return Terms.of([], self._moving())
        before, self._bent = self._bent, {}
        for s, _, _ in self._pairs.kept:
            self._bent[id(s)] = before[id(s)] if id(s) in before else self._model.times(s)
        return Terms.of([(s, y, self._bent[id(s)]) for s, y, _ in self._pairs.kept], self._moving())

    def _moving(self) -> NDArray[np.bool_]:
        """Coordinates that may leave their place."""
        slope = -self.gradient if self.penalty.positive else np.abs(self.gradient)
        near = (self.weights != 0.0) | (slope > _NEAR * self.penalty.strength)
        near[-1] = self.data.intercept
        return near

    # ---- steps ----

    def _left(self) -> float:
        return 2.0 * self._minimum()[1]

    def _descent(self) -> tuple[Floats, float]:
        """The way to the minimum of the model, and the change there of the penalty and the smooth part's tangent."""
        target, weights = self._minimum()[0], self.weights
        direction = target - weights
        change = self.penalty.value(target) - self.penalty.value(weights)
        return direction, dot(self.gradient, direction) + change

    def _slope(self, weights: Floats, gradient: Floats, direction: Floats) -> float:
        """On the way to these weights, just before them."""
        signs = np.where(weights != 0.0, np.sign(weights) * direction, -np.abs(direction))
        return float(np.einsum("ij,ij->", gradient, direction) + (self.penalty.strength * signs).sum())

    def _point(self, direction: Floats, t: float) -> Floats:
        return self._minimum()[0] if t == 1.0 else super()._point(direction, t)  # with its zeros

    def _keep(self, to: Floats, value: float, gradient: Floats) -> None:
        super()._keep(to, value, gradient)
        self._found = None
        if isinstance(self._model, Columns) and not self._frozen:
            self._model.bend(self._bends())

    def _widen(self) -> None:
        self._falls.clear()
        if self.tol is not None and self.estimate <= UNPROVEN * self.tol * self.size:
            self.done = True  # rounding is in the way of a proof
            return
        model = self._model
        if isinstance(model, Columns):
            if self._frozen:
                self._pairs.clear()
                self._bent.clear()
                self._found = None
                model.bend(self._bends())
            return
        if model.sample < self._objective.m and self._widened < 3:
            self._sample *= 4
            self._widened += 1
        elif model.shared:
            return
        self._precondition()

    def _end_of_road(self) -> None:
        self._found = None
        super()._end_of_road()

    # ---- the end ----

    def _measure(self) -> None:
        self.estimate = self._minimum()[1] + self.slack
        self.bound = np.inf
        if self.whole:
            data, unit = self.data, self.data.frame.unit
            coef = self.weights[:-1] * unit[:-1]
            smooth = self.value - self.penalty.value(self.weights)
            objective = certificate.Composite(data.alpha, data.l1, data.positive)
            loss = smooth - l2_of(data.alpha, coef) - self.floor
            gradient = self.gradient[:-1] / unit[:-1] - data.alpha * coef
            self._of_intercepts = self._intercepts(self.gradient[-1])
            self._prove(objective.bound(loss, coef, gradient) + self._of_intercepts + self.slack)
