"""The least values of objectives, in float64, slowly and surely: Newton's method with a bound on what is left."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.special import entr, expit

if TYPE_CHECKING:
    from .task import Task

Floats = NDArray[np.float64]

PRECISION = 1e-9  # of an optimum
FACTORED = 1000  # features up to which a Hessian is factored
ITERATIONS = 200  # of Newton's method
PRODUCTS = 1000  # of a Hessian, for a step
SWEEPS = 100  # over the coordinates of a parabola
ADDED = 500  # coefficients that may leave zero before the next parabola


def smooth_optimum(task: Task) -> float:
    """Return the least objective of a task without absolute values.

    It is `alpha`-strongly convex in w, so it is at most ``|gradient|² / (2 alpha)`` above its least value.
    """
    weights = np.zeros((task.features + 1, task.outputs))
    direct = task.features <= FACTORED and task.outputs == 1
    value, gradient, scores = _look(task, weights)
    for _ in range(ITERATIONS):
        if np.sum(gradient * gradient) <= 2 * task.alpha * PRECISION * value:
            return value
        bend, diagonal = _curvature(task, task.predictions(scores))
        if direct:
            step = _solved(task, bend(np.ones((task.rows, 1))), gradient)
        else:
            step = _conjugate_gradients(lambda v, bend=bend: _product(task, bend, v), diagonal, gradient)
        slope, t = float(np.sum(gradient * step)), 1.0
        while True:
            found = _look(task, weights - t * step)
            if found[0] <= value - 1e-4 * t * slope + 1e-14 * value:
                break
            t /= 2
            assert t > 1e-9, "no optimum: no step leads down"
        weights = weights - t * step
        value, gradient, scores = found
    raise AssertionError("no optimum: too many iterations")


def _look(task: Task, weights: Floats) -> tuple[float, Floats, Floats]:
    """The objective at weights of shape (features + 1, outputs), its gradient, and the scores."""
    scores = task.X64 @ weights[:-1] + weights[-1]
    slopes = (task.predictions(scores) - task.targets().reshape(scores.shape)) / task.rows
    gradient = np.vstack([task.X64.T @ slopes + task.alpha * weights[:-1], slopes.sum(axis=0)])
    return float(task.losses(scores).mean() + task.penalty(weights[:-1])), gradient, scores


def _curvature(task: Task, predictions: Floats) -> tuple[Callable[[Floats], Floats], Floats]:
    """Changes of the slopes by changes of the scores, and the diagonal of the Hessian."""
    p = predictions
    if task.loss == "squared_error":
        own, bend = np.ones_like(p), lambda z: z
    elif task.loss == "log_loss":
        own, bend = p * (1 - p), lambda z: p * (1 - p) * z
    else:
        own, bend = p * (1 - p), lambda z: p * (z - np.sum(p * z, axis=1, keepdims=True))
    diagonal = np.vstack([_squares(task.X64).T @ own / task.rows + task.alpha, own.mean(axis=0) + 1e-12])
    return bend, diagonal


def _squares(X: Any) -> Any:
    return X.multiply(X) if sp.issparse(X) else X * X


def _product(task: Task, bend: Callable[[Floats], Floats], v: Floats) -> Floats:
    slopes = bend(task.X64 @ v[:-1] + v[-1]) / task.rows
    return np.vstack([task.X64.T @ slopes + task.alpha * v[:-1], slopes.sum(axis=0)])


def _hessian(X: Any, h: Floats) -> Floats:
    """The sum over the rows of h x x', with an intercept last."""
    weighted = X.multiply(h[:, None]).tocsr() if sp.issparse(X) else X * h[:, None]
    square, edge = X.T @ weighted, np.asarray(weighted.sum(axis=0)).ravel()
    square = square.toarray() if sp.issparse(square) else square
    return np.block([[square, edge[:, None]], [edge[None], h.sum()]])


def _solved(task: Task, h: Floats, gradient: Floats) -> Floats:
    hessian = _hessian(task.X64, h[:, 0]) / task.rows
    hessian[np.diag_indices(task.features)] += task.alpha
    unit = 1 / np.sqrt(np.diag(hessian))[:, None]
    return unit * cho_solve(cho_factor(hessian * unit * unit.T), unit * gradient)


def _conjugate_gradients(product: Callable[[Floats], Floats], diagonal: Floats, gradient: Floats) -> Floats:
    """About the inverse Hessian times the gradient, the nearer the smaller that is."""
    x, r = np.zeros_like(gradient), gradient.copy()
    z = r / diagonal
    p, now = z.copy(), float(np.sum(r * z))
    enough = now * min(1e-3, now)
    for _ in range(PRODUCTS):
        q = product(p)
        a = now / float(np.sum(p * q))
        x += a * p
        r -= a * q
        z = r / diagonal
        before, now = now, float(np.sum(r * z))
        if now <= enough:
            break
        p = z + now / before * p
    return x


def sparse_optimum(task: Task) -> float:
    """Return the least objective of a task with absolute values, for the log loss of two classes.

    Newton's method on those coefficients that are not zero, or should not be; the duality gap tells what is left. The
    point of the dual is the slopes of the losses, whose mean is zero at the best intercept, shrunk until no column's
    product with them is above `l1`.
    """
    assert task.loss == "log_loss" and task.outputs == 1 and task.alpha == 0
    X, y = task.X64.tocsc() if sp.issparse(task.X64) else task.X64, task.y.astype(np.float64)
    w, scores = np.zeros(task.features), np.zeros(task.rows)
    for _ in range(ITERATIONS):
        scores += _best_shift(scores, y)
        value = float(task.losses(scores[:, None]).mean() + task.l1 * np.abs(w).sum())
        slopes = expit(scores) - y
        gradient = X.T @ slopes / task.rows
        shares = np.abs(slopes) * min(1.0, task.l1 / np.abs(gradient).max())
        if value - float((entr(shares) + entr(1 - shares)).mean()) <= PRECISION * value:
            return value
        idle = np.where(w == 0, np.abs(gradient), 0.0)
        idle[idle <= task.l1] = 0.0
        some = np.union1d(np.flatnonzero(w), np.argsort(-idle)[: min(ADDED, np.count_nonzero(idle))])
        hessian = _hessian(X[:, some].tocsr() if sp.issparse(X) else X[:, some], expit(scores) * expit(-scores))
        step = _parabola(hessian / task.rows, np.append(gradient[some], slopes.mean()), w[some], task.l1)
        moved, t = X[:, some] @ step[:-1] + step[-1], 1.0
        while True:
            there = task.losses((scores + t * moved)[:, None]).mean()
            if there + task.l1 * np.abs(w[some] + t * step[:-1]).sum() <= value + 1e-14 * value:
                break
            t /= 2
            assert t > 1e-9, "no optimum: no step leads down"
        w[some] += t * step[:-1]
        scores = scores + t * moved
    raise AssertionError("no optimum: too many iterations")


def _best_shift(scores: Floats, y: Floats) -> float:
    """What to add to all scores for the least log loss."""
    shift = 0.0
    for _ in range(ITERATIONS):
        p = expit(scores + shift)
        step = float((y - p).sum() / (p * (1 - p)).sum())
        shift += min(max(step, -1.0), 1.0)
        if abs(step) < 1e-12:
            break
    return shift


def _parabola(hessian: Floats, gradient: Floats, w: Floats, l1: float) -> Floats:
    """The least point of ``g s + s H s / 2 + l1 |w + s|``; the last coordinate, the intercept, is free.

    Sweeps over the coordinates find which are zero, and Newton's method goes on between those, as far as no sign
    changes.
    """
    bends = np.maximum(np.diag(hessian), 1e-15)
    penalties = np.append(np.full_like(w, l1), 0.0)
    at, slope, most = np.append(w, 0.0), gradient.copy(), 0.0
    for _ in range(SWEEPS):
        fall = 0.0
        for j in range(len(at)):
            to = at[j] - slope[j] / bends[j]
            to = np.copysign(max(abs(to) - penalties[j] / bends[j], 0.0), to)
            if to != at[j]:
                slope += (to - at[j]) * hessian[j]
                fall += bends[j] * (to - at[j]) ** 2
                at[j] = to
        most = max(most, fall)
        if fall <= 1e-9 * most:
            break
        free = np.append(np.flatnonzero(at[:-1]), len(w))
        square = hessian[np.ix_(free, free)]
        square[np.diag_indices(len(free))] *= 1 + 1e-9  # columns may depend on each other
        move = -np.linalg.solve(square, slope[free] + penalties[free] * np.sign(at[free]))
        with np.errstate(divide="ignore", invalid="ignore"):
            reach = np.where(at[free] * move < 0, -at[free] / move, np.inf)
        reach[-1] = np.inf
        t = min(1.0, float(reach.min()))
        slope += t * hessian[:, free] @ move
        at[free] += t * move
        if t < 1:
            at[free[reach.argmin()]] = 0.0
    at[:-1] -= w
    return at
