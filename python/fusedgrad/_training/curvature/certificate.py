"""How far from the optimum: bounds that come with a gradient.

An objective with the penalty ``alpha / 2 |w|^2`` lies above the parabola of that curvature through any of its points.
So where the slope in the intercept is zero, the optimum is at most ``|g|^2 / (2 alpha)`` below, for the gradient g in
the coefficients: the duality gap at the slopes of the losses, which are a point of the dual (Shalev-Shwartz & Zhang,
"Stochastic dual coordinate ascent methods", JMLR 2013).

Other penalties R take the gap as it is. Let L be the mean loss as a function of the predictions z, L* its conjugate,
t = L'(z) and ``g = X't``, so that ``L(z) + L*(t) = t'z = g'w`` where the slope in the intercept, the sum of t, is zero.
Fenchel's duality says that the optimum is at least ``-L*(s t) - R*(-s g)`` for any s. For s in [0, 1], L* being convex,
``L*(s t) <= s L*(t) + (1 - s) L*(0)``, and ``-L*(0)`` is the least that the losses can be, the floor. So
``L(z) + R(w)`` is above the optimum by no more than

    (1 - s) (L(z) - floor) + R(w) + s g'w + R*(-s g)

with ``R*(v) = |max(|v| - l1, 0)|^2 / (2 alpha)`` of the elastic net (v in place of \\|v\\| where coefficients are not
negative), which for alpha = 0 is zero where no \\|v\\| is above l1, and else infinite: then s is to be at most
``l1 / max |g|``, the scaled dual point of Lasso solvers (El Ghaoui, Viallon & Rabbani, "Safe feature elimination in
sparse supervised learning", Pacific J. Optimization 2012). For s = 1 and l1 = 0 it is ``|g + alpha w|^2 / (2 alpha)``.

With kinks, slopes come from smoothed losses. Let s be one of the slopes between the least and the largest of a row, L*
the conjugate of its loss L, and v the mean of s x. Where the mean of s is zero, the dual value is
``-mean L*(s) - |v|^2 / (2 alpha)``, and the objective at w exceeds it by

    mean(L(p) + L*(s) - s p) + (alpha / 2 |w|^2 + |v|^2 / (2 alpha) + v'w) = mean slack + |alpha w + v|^2 / (2 alpha)

since the mean of s p is v'w. The last square is that of the smoothed objective's gradient. For a loss of straight
pieces with the jump j of its slope at k, ``L*(s) = s k - L(k)``, and the mean over a way d to both sides has the slope
``middle + j t / (2 d)``, for t = p - k within d: so its slack is ``j |t| (d - |t|) / (2 d)``. With several kinks the
loss is a sum of such losses, and the sum of their slacks is no less than the slack of the sum.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .passes import l2_of

Floats = NDArray[np.float64]

_REACH = 10.0  # scales of the predictions, within which the best intercepts lie of those whose slopes nearly vanish


def bound(gradient: Floats, unit: Floats, alpha: float, scale: Floats, slack: float = 0.0) -> float:
    """By how much the objective lies above its optimum, at most; infinite without a penalty.

    `gradient` (features + 1, outputs) is that of weights in units; `scale`: how far predictions of each output reach;
    `slack`: the mean of those of the slopes, where losses are smoothed.
    """
    if alpha == 0.0:
        return np.inf
    plain = gradient[:-1] / unit[:-1]
    square = float(np.einsum("ij,ij->", plain, plain))
    return slack + square / (2.0 * alpha) + of_intercepts(gradient[-1], scale)


def of_intercepts(slopes: Floats, scale: Floats) -> float:
    """What the best intercepts may gain, at most."""
    return _REACH * float(np.abs(slopes) @ scale)


class Composite(NamedTuple):
    """A mean loss plus ``alpha / 2 |w|^2 + l1 |w|_1``, over coefficients that are not negative where `positive`."""

    alpha: float
    l1: float
    positive: bool

    def bound(self, loss: float, coef: Floats, gradient: Floats) -> float:
        """By how much it lies above its optimum, at most, if the slopes in the intercepts vanish.

        `loss` is the mean loss above its floor, `gradient` that of the mean loss alone, of the shape of `coef`.
        """
        v = np.maximum(-gradient, 0.0) if self.positive else np.abs(gradient)
        along = float(np.einsum("ij,ij->", gradient, coef))
        penalty = l2_of(self.alpha, coef) + self.l1 * float(np.abs(coef).sum())
        top = float(v.max(initial=0.0))
        if self.alpha == 0.0:
            if self.l1 == 0.0:
                return np.inf if top > 0.0 else max(0.0, along)
            s = min(1.0, self.l1 / top) if top > 0.0 else 1.0
            return max(0.0, min((1.0 - s) * loss + penalty + s * along, loss + penalty))
        return max(0.0, min(self._gap(s, loss, penalty, along, v) for s in self._scales(loss, along, v)))

    def _gap(self, s: float, loss: float, penalty: float, along: float, v: Floats) -> float:
        over = np.maximum(s * v - self.l1, 0.0)
        return (1.0 - s) * loss + penalty + s * along + float(np.einsum("ij,ij->", over, over)) / (2.0 * self.alpha)

    def _scales(self, loss: float, along: float, v: Floats) -> tuple[float, ...]:
        """Where the gap, convex in s, has no slope; and 1."""
        low, high = 0.0, 1.0
        for _ in range(40):
            s = 0.5 * (low + high)
            slope = along - loss + float((np.maximum(s * v - self.l1, 0.0) * v).sum()) / self.alpha
            low, high = (s, high) if slope < 0.0 else (low, s)
        return low, 1.0
