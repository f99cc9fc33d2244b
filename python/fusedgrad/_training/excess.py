"""How far from its optimum a linear model is: Newton's method, tried out on some rows.

With gradient g and second derivatives H an objective's optimum lies about ``g' H^-1 g / 2`` below (Boyd & Vandenberghe,
"Convex Optimization", section 9.5). Where H changes on the way there, that is too little: so a few steps are made, on
a sample of the rows whose slopes are corrected by those of all rows (Shamir, Srebro & Zhang, "Communication-efficient
distributed optimization using an approximate Newton-type method", ICML 2014). A loss with kinks counts as its mean over
a short way, which is how rows near a kink share it at the optimum.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.special import log_softmax

from .. import _core, losses
from .arrays import inside

Floats = NDArray[np.float64]

FEWEST = 30  # rows that can be judged
_SAMPLE = 4096  # rows that steps are tried on
_STEPS = 8  # at most, for each way
_WAYS = 3  # each a quarter of the one before
_SOLVED = 256  # columns up to which the matrix of second derivatives is made
_PRODUCTS = 50  # with it, for more columns
_NOTHING = 1e-150  # numbers whose squares vanish
_WAY = 0.3  # spreads of the predictions, over which losses with kinks are means
_SHORT = 1e-4  # over which slopes of losses without kinks are differences


class Rows(NamedTuple):
    """The rows that an objective is a mean of.

    Attributes
    ----------
    X, y : arrays
        Rows and targets or class codes; y of shape (n,) or (n, n_outputs).
    weight : ndarray of shape (n, n_outputs)
        Weights of the rows for each output.
    coded, multinomial : bool
        Whether y holds class codes; whether all outputs share one softmax.
    listed : ndarray of int or None
        The rows that count; the others have weight zero. None: all.
    """

    X: Any
    y: NDArray[Any]
    weight: Floats
    coded: bool
    multinomial: bool
    listed: NDArray[Any] | None


class Excess(NamedTuple):
    """The objective, how far above its optimum it is, about, and the least objective that was reached trying."""

    objective: float
    above: float
    reached: float


class Penalty(NamedTuple):
    """Strengths, and whether coefficients are kept at 0 or above."""

    l2: float
    l1: float
    positive: bool

    def value(self, coef: Floats) -> float:
        return 0.5 * self.l2 * float(np.einsum("ij,ij->", coef, coef)) + self.l1 * float(np.abs(coef).sum())


def excess(
    rows: Rows,
    loss: losses.Loss,
    penalty: Penalty,
    weights: tuple[Floats, Floats],
    scale: Floats,
    *,
    kinked: bool,
    intercept: bool,
    threads: int,
) -> Excess:
    """Estimate the excess of `weights` (n_outputs, n_features) and (n_outputs,).

    `scale`: how far predictions of each output reach; `kinked`: whether the loss bends within much less.
    """
    coef, offsets = (np.asarray(part, dtype=np.float64) for part in weights)
    listed = np.arange(len(rows.y)) if rows.listed is None else rows.listed
    raw = _margins(rows.X, coef, threads) + offsets
    at = Points.of(rows, loss, raw, scale, kinked)
    slope = at.look(raw)[1]
    n = len(listed)
    objective = float(np.einsum("ij,ij->", at.value(raw), rows.weight)) / n + penalty.value(coef)
    slope = slope * rows.weight
    gradient = _product(rows.X, slope) / n
    last = slope.sum(axis=0) / n
    some = listed if n <= _SAMPLE else np.sort(listed[np.random.default_rng(0).permutation(n)[:_SAMPLE]])
    weight = np.ones((len(some), 1)) * rows.weight[some] / np.maximum(_times(rows.listed, some), 1)[:, None]
    X = rows.X[some].astype(np.float64)
    if sp.issparse(X) and X.shape[1] <= _SOLVED:
        X = X.toarray()
    trial = _Trial(X, at.only(some), weight, penalty, intercept)
    above, proven = trial.fall(coef, offsets, gradient, last)
    return Excess(objective, above, objective - proven if n <= _SAMPLE else objective)


def _times(listed: NDArray[Any] | None, some: NDArray[Any]) -> NDArray[Any]:
    """How often rows are listed."""
    return np.ones(len(some)) if listed is None else np.bincount(listed)[some]


def _margins(X: Any, coef: Floats, threads: int) -> Floats:
    if sp.issparse(X):
        return np.asarray(X @ coef.T, dtype=np.float64)
    dtype = X.dtype  # not by BLAS, whose threads would spin beside the next epoch's
    return _core.product(np.ascontiguousarray(X), np.ascontiguousarray(coef, dtype=dtype), threads).astype(np.float64)


def _product(X: Any, S: Floats) -> Floats:
    """``S.T @ X``."""
    if sp.issparse(X):
        return np.asarray((X.T @ S).T, dtype=np.float64)
    return _core.transposed_product(np.ascontiguousarray(X), np.ascontiguousarray(S)).T


class Points(NamedTuple):
    """The loss of each row and output as a function of its prediction; y (n, n_outputs) as the loss has it."""

    loss: losses.Loss
    y: Floats
    way: Floats  # (n_outputs,)
    multinomial: bool
    kinked: bool

    @classmethod
    def of(cls, rows: Rows, loss: losses.Loss, raw: Floats, scale: Floats, kinked: bool) -> Points:
        outputs, share = raw.shape[1], _WAY if kinked else _SHORT
        listed = slice(None) if rows.listed is None else rows.listed
        if rows.coded:
            own = inside(rows.y, outputs)
            y = own.astype(np.float64) if rows.multinomial else np.where(own, 1.0, loss.negative)
            if loss.name == "perceptron":  # its kink is where predictions are, whatever their size
                scale = scale * (np.median(np.abs(raw[listed]), axis=0) + np.finfo(float).tiny)
            return cls(loss, y, share * scale, rows.multinomial, kinked)
        y = rows.y.reshape(raw.shape).astype(np.float64)
        way = share * scale
        if kinked:
            near = np.median(np.abs(y - raw)[listed], axis=0)
            way = share * np.where(near > 0, np.minimum(near, scale), scale)
        return cls(loss, y, way, False, kinked)

    def only(self, some: NDArray[Any]) -> Points:
        return self._replace(y=self.y[some])

    def value(self, raw: Floats) -> Floats:
        if self.multinomial:
            return np.where(self.y > 0, -log_softmax(raw, axis=1), 0.0)
        return self.loss.value(self.y, raw)

    @np.errstate(over="ignore", invalid="ignore")
    def look(self, raw: Floats) -> tuple[Floats, Floats, Floats]:
        """Values, slopes and second derivatives, of the loss or of its mean over the way."""
        if self.multinomial:
            share = np.exp(log_softmax(raw, axis=1))
            bend = 1.0 - 1.0 / raw.shape[1]  # classes move against each other
            return self.value(raw), share - self.y, share * (1.0 - share) / bend
        y, way, loss = self.y, self.way, self.loss
        value, high, low = loss.value(y, raw), raw + way, raw - way
        curvature = (loss.slope(y, high) - loss.slope(y, low)) / (2 * way)
        if not self.kinked:
            return value, loss.slope(y, raw), curvature
        above, below = loss.value(y, high), loss.value(y, low)
        return (above + 4 * value + below) / 6, (above - below) / (2 * way), curvature


class _Trial(NamedTuple):
    """Rows to try steps on."""

    X: Any
    points: Points
    weight: Floats
    penalty: Penalty
    intercept: bool

    def fall(self, coef: Floats, offsets: Floats, gradient: Floats, last: Floats) -> tuple[float, float]:
        """By how much the objective can fall from here, about, and by how much it was seen to fall.

        `gradient` and `last` are slopes of the loss on all rows.
        """
        n = len(self.weight)
        raw = _margins(self.X, coef, 1) + offsets
        slope = self.points.look(raw)[1] * self.weight
        # What the slopes of these rows lack.
        tilt, lean = gradient - _product(self.X, slope) / n, last - slope.sum(axis=0) / n
        begin = self._value(self.points.value(raw), coef, offsets, tilt, lean)
        fell, seen, trial = 0.0, 0.0, self
        for _ in range(_WAYS if self.points.kinked else 1):
            (coef, offsets), fell = trial._descend(coef, offsets, tilt, lean)
            raw = _margins(self.X, coef, 1) + offsets
            seen = max(seen, begin - self._value(self.points.value(raw), coef, offsets, tilt, lean))
            trial = trial._replace(points=trial.points._replace(way=trial.points.way / 4))
        return max(fell, seen), seen

    def _descend(
        self, coef: Floats, offsets: Floats, tilt: Floats, lean: Floats
    ) -> tuple[tuple[Floats, Floats], float]:
        """Weights after a few of Newton's steps, and by how much the objective falls on the way and behind it."""
        n = len(self.weight)
        value, slope, curvature = self.points.look(_margins(self.X, coef, 1) + offsets)
        begin = now = self._value(value, coef, offsets, tilt, lean)
        left = 0.0
        for _ in range(_STEPS):
            bends, ends = curvature * self.weight, (slope * self.weight).sum(axis=0) / n + lean
            slopes = _product(self.X, slope * self.weight) / n + tilt + self.penalty.l2 * coef
            ends = ends if self.intercept else np.zeros_like(ends)
            if coef.shape[1] > _SOLVED:
                if self.penalty.l1 > 0 or self.penalty.positive:
                    slopes = _projected(slopes, coef, self.penalty)
                steps = _by_conjugate_gradients(self.X, bends, slopes, ends, self.penalty.l2, self.intercept)
            else:
                steps = [self._step(bends[:, k], slopes[k], float(ends[k]), coef[k]) for k in range(len(coef))]
            left = sum(fell for _, _, fell in steps)
            if not left > 0.2 * (begin - now + left):
                break
            found = self._along(coef, offsets, steps, now, left, tilt, lean)
            if found is None:
                break
            coef, offsets, now, slope, curvature = found
        return (coef, offsets), begin - now + left

    def _value(self, value: Floats, coef: Floats, offsets: Floats, tilt: Floats, lean: Floats) -> float:
        mean = float(np.einsum("ij,ij->", value, self.weight)) / len(value)
        return mean + float((tilt * coef).sum() + lean @ offsets) + self.penalty.value(coef)

    def _along(
        self, coef: Floats, offsets: Floats, steps: list[Any], now: float, left: float, tilt: Floats, lean: Floats
    ) -> Any:
        """The weights after as much of the steps as brings what they promise; None if nothing does."""
        move, shift = np.array([s for s, _, _ in steps]), np.array([s for _, s, _ in steps])
        part = 1.0
        for _ in range(12):
            to, at = coef + part * move, offsets + part * shift
            value, slope, curvature = self.points.look(_margins(self.X, to, 1) + at)
            reached = self._value(value, to, at, tilt, lean)
            if reached <= now - 0.1 * part * left:
                return to, at, reached, slope, curvature
            part /= 2
        return None

    def _step(self, curvature: Floats, gradient: Floats, last: float, coef: Floats) -> tuple[Floats, float, float]:
        """Newton's step of one output's coefficients and intercept, and by how much the objective should fall."""
        penalty, intercept, X = self.penalty, self.intercept, self.X
        bounded = penalty.l1 > 0 or penalty.positive
        top = np.maximum(X.max(axis=0), -X.min(axis=0))
        unit = np.where(top > _NOTHING, top, 1.0)
        ridge, g, w, l1 = penalty.l2 / unit**2, gradient / unit, coef * unit, penalty.l1 / unit
        Z = X / unit
        if intercept:
            Z, unit = np.c_[Z, np.ones(len(Z))], np.append(unit, 1.0)
            ridge, g, w, l1 = np.append(ridge, 0.0), np.append(g, last), np.append(w, 0.0), np.append(l1, 0.0)
        H = _core.weighted_gram(Z, np.ascontiguousarray(curvature)) + np.diag(ridge)
        if bounded:
            s, fell = _model_minimum(H, g, w, l1, penalty.positive, intercept)
        else:
            s = -_core.solve_positive(H, g)
            fell = -0.5 * float(g @ s)
        s = s / unit
        return s[: len(coef)], float(s[-1]) if intercept else 0.0, max(0.0, fell)


def _projected(gradient: Floats, coef: Floats, penalty: Penalty) -> Floats:
    """The subgradient of least size."""
    l1 = penalty.l1
    at_zero = np.sign(gradient) * np.maximum(np.abs(gradient) - l1, 0.0)
    found = np.where(coef != 0, gradient + l1 * np.sign(coef), at_zero)
    return np.where((coef <= 0) & (gradient + l1 > 0), 0.0, found) if penalty.positive else found


def _model_minimum(
    H: Floats, g: Floats, w: Floats, l1: Floats, positive: bool, intercept: bool
) -> tuple[Floats, float]:
    """The step to the minimum of the quadratic model with L1, by coordinate descent, and how deep it is."""
    s, hs = np.zeros(len(w)), np.zeros(len(w))
    for _ in range(20):
        for j in range(len(w)):
            if H[j, j] <= 0:
                continue
            at = w[j] + s[j] - (g[j] + hs[j]) / H[j, j]
            to = np.sign(at) * max(abs(at) - l1[j] / H[j, j], 0.0)
            if positive and not (intercept and j == len(w) - 1):
                to = max(to, 0.0)
            step = to - w[j] - s[j]
            if step != 0.0:
                s[j] += step
                hs += step * H[:, j]
    return s, -float(g @ s + 0.5 * s @ hs + (l1 * (np.abs(w + s) - np.abs(w))).sum())


def _by_conjugate_gradients(
    X: Any, curvature: Floats, gradient: Floats, last: Floats, l2: float, intercept: bool
) -> list[tuple[Floats, float, float]]:
    """Newton's steps for many columns, about; those of all outputs at the same time."""
    n, free = X.shape[0], 1.0 if intercept else 0.0
    squares = X.multiply(X) if sp.issparse(X) else X * X
    diagonal = np.column_stack([_product(squares, curvature) / n + l2, curvature.mean(axis=0)])
    diagonal[~(diagonal > 0)] = np.inf

    def product(v: Floats) -> Floats:
        u = curvature * (_margins(X, v[:, :-1], 1) + free * v[:, -1]) / n
        return np.column_stack([_product(X, u) + l2 * v[:, :-1], free * u.sum(axis=0)])

    r = -np.column_stack([gradient, last])
    s, p, old, fell = np.zeros_like(r), np.zeros_like(r), np.ones(len(r)), np.zeros(len(r))
    for k in range(_PRODUCTS):
        z = r / diagonal
        new = np.einsum("ij,ij->i", r, z)
        p = z + (new / old if k else np.zeros_like(new))[:, None] * p
        bent = product(p)
        along = np.einsum("ij,ij->i", p, bent)
        part = np.where(along > 0, new / np.where(along > 0, along, 1.0), 0.0)
        fell = fell + 0.5 * part * new
        s, r, old = s + part[:, None] * p, r - part[:, None] * bent, np.where(new > 0, new, 1.0)
        if not (part * new).sum() > 1e-3 * fell.sum():
            break
    return [(step[:-1], float(step[-1]), float(deep)) for step, deep in zip(s, fell, strict=True)]
