"""What is known of the curvature: matrices near the Hessian whose inverse is at hand.

All work on arrays (features + 1, outputs) in units. With many outputs one factor serves all, each with a multiple.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from ... import _core
from .passes import Bends, Data, Objective, spread_places, times

Floats = NDArray[np.float64]

FACTORED = 1000  # columns up to which the Hessian of some rows is factored; of a softmax, columns times classes
HEAVY = 512  # columns of wide data that are factored together, the others by themselves
BYTES = 64 << 20  # of all factors together, at most
_ENTRIES = 1 << 24  # of rows that are looked at in one place, at most
_TINY = 1e-300


class Preconditioner(Protocol):
    sample: int  # rows that it is made of
    exact: bool  # whether it is the Hessian of these rows

    def solve(self, g: Floats) -> Floats: ...
    def squares(self, Z: Any, slopes: Floats) -> float:
        """Mean squared size of the rows' gradients, Z times slopes."""


def penalty_of(data: Data) -> Floats:
    """Second derivatives of the L2 penalty, (features + 1, 1)."""
    penalty = data.alpha * data.frame.unit * data.frame.unit  # nothing, if there is none, for any unit
    penalty[-1] = 0.0
    return penalty


def most_rows(data: Data) -> int:
    """Rows of a sample, at most."""
    return max(20 * (data.features + 1), int(_ENTRIES / (data.length + 1)))


def diagonal_of(bends: Bends) -> Floats:
    """Diagonal of the Hessian on the rows of an objective, penalty included, (features + 1, outputs)."""
    found = bends.squares() + penalty_of(bends.objective.data)
    return np.where(np.isfinite(found), found, np.finfo(np.float64).max ** 0.25)


def squares_by(inverse: Floats, Z: Any, slopes: Floats) -> float:
    """Mean squared size of the rows' gradients, Z times slopes, in the metric of an inverse diagonal."""
    squared = Z.multiply(Z).tocsr() if sp.issparse(Z) else Z * Z
    return float(((times(squared, inverse[:-1]) + inverse[-1]) * slopes**2).sum(axis=1).mean())


class Diagonal:
    """The diagonal alone."""

    exact = False

    def __init__(self, diagonal: Floats, sample: int):
        self.sample = sample
        self.diagonal = np.maximum(diagonal, max(1e-12 * float(diagonal.max()), _TINY))

    def solve(self, g: Floats) -> Floats:
        return g / self.diagonal

    def squares(self, Z: Any, slopes: Floats) -> float:
        return squares_by(1.0 / self.diagonal, Z, slopes)


class Hessian:
    """The Hessian of some rows; in wide data that of the heaviest columns.

    Where the diagonal of all rows has more than that of the sample, it counts: a column may be rare.

    Attributes
    ----------
    matrices : list of (ndarray of shape (columns + 1,), ndarray of shape (columns + 1, columns + 1))
        One an output, or one for all: units that make its diagonal one, and the Hessian in those.
    multiple : ndarray of shape (n_outputs,)
        What it is to be multiplied by for each output.
    """

    def __init__(self, bends: Bends, diagonal: Floats, sample: int):
        objective = bends.objective
        data = objective.data
        self.sample = min(sample, objective.m)
        d, outputs = data.features, data.outputs
        self.columns = np.arange(d, dtype=np.uint32) if d <= FACTORED else _heaviest(diagonal, data)
        some = bends.some(self.sample)  # losses may be straight at most rows
        if len(some.rows) == some.of:
            self.sample = objective.m
        # Means over the rows that bend are taken for those of all.
        weight = some.bends * (some.of / objective.m)
        size = len(self.columns) + 1
        alike = bool((weight == weight[:, :1]).all())
        self.shared = outputs > 1 and (data.multinomial or alike or outputs * size * size * 8 > BYTES)
        self.exact = not self.shared and len(self.columns) == d
        self.multiple = np.ones(outputs)
        if self.shared:
            mean = bends.means()
            self.multiple = np.full(outputs, mean.mean()) if data.multinomial else mean
            self.multiple = np.maximum(self.multiple / max(float(self.multiple.mean()), _TINY), 1e-12)
            weight = weight.mean(axis=1, keepdims=True)
        at = np.append(self.columns, d)
        penalty = penalty_of(data)[at, 0]
        self.matrices = []
        for k in range(1 if self.shared else outputs):
            H = some.data.gram(some.rows, np.ascontiguousarray(weight[:, k]), self.columns)
            full = (diagonal / self.multiple).max(axis=1)[at] if self.shared else diagonal[at, k]
            self.matrices.append(guarded(H, full, penalty))
        self.ridge = _ridge(size, self.sample, whole=self.sample == data.n)


class Cholesky(Hessian):
    """The Hessian, factored; in wide data beside the diagonal of the other columns."""

    def __init__(self, bends: Bends, diagonal: Floats, sample: int):
        super().__init__(bends, diagonal, sample)
        self.diagonal = Diagonal(diagonal, sample)
        self.factors = [(scale, factor(H, self.ridge)) for scale, H in self.matrices]
        del self.matrices

    def solve(self, g: Floats) -> Floats:
        inner = np.append(self.columns, g.shape[0] - 1)
        found = self.diagonal.solve(g) if len(inner) < g.shape[0] else np.empty_like(g)
        part = np.ascontiguousarray((g[inner] / self.multiple).T)
        if self.shared:
            scale, factor = self.factors[0]
            solved = scale * factor.solve(np.ascontiguousarray(scale * part))
        else:
            solved = np.vstack(
                [scale * factor.solve(scale * part[k : k + 1]) for k, (scale, factor) in enumerate(self.factors)]
            )
        found[inner] = solved.T
        return found

    def squares(self, Z: Any, slopes: Floats) -> float:
        if len(self.columns) + 1 < self.diagonal.diagonal.shape[0]:
            return self.diagonal.squares(Z, slopes)
        Z = Z.toarray() if sp.issparse(Z) else Z
        A = np.column_stack([Z, np.ones(len(Z))])
        total = 0.0
        for k, (scale, factor) in enumerate(self.factors):
            each = (factor.solve(np.ascontiguousarray(A * scale), half=True) ** 2).sum(axis=1)
            of_rows = (slopes**2 / self.multiple).sum(axis=1) if self.shared else slopes[:, k] ** 2
            total += float((each * of_rows).mean())
        return total


class Joint:
    """The Hessian of a softmax on some rows, factored with all of its classes."""

    exact = True

    def __init__(self, objective: Objective, weights: Floats, diagonal: Floats, sample: int):
        data = objective.data
        self.sample = min(sample, objective.m)
        columns = np.arange(data.features, dtype=np.uint32)
        some, rows = objective.some(spread_places(objective.m, self.sample))
        share, weight = some.shares(rows, weights)
        d, K = weights.shape
        H = np.empty((d, K, d, K))
        for k in range(K):
            for m in range(k + 1):
                # A class moves against the others: weight p_k (1 - p_k), and -p_k p_m between two.
                product = share[:, k] * ((1.0 - share[:, k]) if k == m else share[:, m]) * weight
                block = some.gram(rows, np.ascontiguousarray(product), columns)
                H[:, k, :, m] = H[:, m, :, k] = block if k == m else -block
        penalty = np.broadcast_to(penalty_of(data), (d, K)).ravel()
        self.scale, H = guarded(H.reshape(d * K, -1), diagonal.ravel(), penalty)
        self.factor = factor(H, _ridge(d, self.sample, whole=self.sample == data.n))

    def solve(self, g: Floats) -> Floats:
        found = self.factor.solve(np.ascontiguousarray((self.scale * g.ravel())[None]))
        return (self.scale * found[0]).reshape(g.shape)

    def squares(self, Z: Any, slopes: Floats) -> float:
        A = np.column_stack([Z.toarray() if sp.issparse(Z) else Z, np.ones(Z.shape[0])])
        each = (A[:, :, None] * slopes[:, None, :]).reshape(len(A), -1) * self.scale
        return float((self.factor.solve(np.ascontiguousarray(each), half=True) ** 2).sum(axis=1).mean())


def preconditioner(bends: Bends, weights: Floats, diagonal: Floats, sample: int, *, factored: bool) -> Preconditioner:
    """What serves an objective whose second derivatives at `weights` are these."""
    objective = bends.objective
    if not factored:
        return Diagonal(diagonal, objective.m)
    if objective.data.multinomial and diagonal.size <= FACTORED:
        return Joint(objective, weights, diagonal, sample)
    return Cholesky(bends, diagonal, sample)


def _heaviest(diagonal: Floats, data: Data) -> NDArray[Any]:
    heavy = diagonal[:-1].max(axis=1)
    return np.sort(np.argpartition(-heavy, HEAVY)[:HEAVY]).astype(np.uint32)


def guarded(H: Floats, full: Floats, penalty: Floats) -> tuple[Floats, Floats]:
    """Scale to a diagonal of ones, which is that of all rows where they have more."""
    H = H + np.diag(penalty)
    diagonal = np.maximum(np.diag(H), np.where(np.isfinite(full), full, 0.0))
    H[np.arange(len(H)), np.arange(len(H))] = diagonal
    scale = 1.0 / np.sqrt(np.where(diagonal > _TINY, diagonal, 1.0))
    H = H * scale * scale[:, None]
    H[~np.isfinite(H)] = 0.0
    np.fill_diagonal(H, 1.0)
    return scale, H


def _ridge(size: int, sample: int, *, whole: bool) -> float:
    """What guards directions that the sample misses, on a diagonal of ones."""
    return 1e-10 if whole else 1e-6 + 0.02 * min(1.0, size / sample)


def factor(H: Floats, ridge: float) -> Any:
    """The factor of a matrix and a ridge, which is larger where it must be."""
    while True:
        found = _core.Factor(np.ascontiguousarray(H + ridge * np.eye(len(H))))
        if found.positive:
            return found
        ridge *= 100.0
