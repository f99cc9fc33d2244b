"""Newton's step for losses with kinks that count as means over a way to both sides.

Only rows within their way of a kink bend. Near the end they are few: so the Hessian is that of all of them, factored,
or multiplied with in conjugate gradients where it is large. A step that others come near in falls short; then rows
count that are farther away, with the curvature that they would have half the way there.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from .passes import Bends, Data, Objective, times, transposed_times
from .preconditioners import BYTES, FACTORED, factor, guarded, most_rows, penalty_of, squares_by

Floats = NDArray[np.float64]

_TINY = 1e-300
_PRODUCTS = 100  # of conjugate gradients with the Hessian, at most
_NEAR = 0.05  # share of what the last of them adds
_RESIDUAL = 0.1  # share of the squared gradient that they leave
_RIDGE = 1e-10  # of a diagonal of ones
_MISSED = 0.02  # the same, times columns for each row of a sample


def sample_of(data: Data) -> int:
    """Rows, for each output, whose Hessian costs about as much as a pass."""
    d = data.features + 1
    return max(2048, 20 * d, min(8 * data.n // d, most_rows(data)))


class Newton:
    """The Hessian where the last look was, with rows that come near a kink on the way from here.

    Attributes
    ----------
    passes : float
        Over the rows of the objective, that products with it have taken.
    """

    def __init__(self, objective: Objective, way: Floats, added: Floats):
        """Rows up to `way` (outputs,) from a kink count; `added` (features + 1, outputs) joins the diagonal."""
        data = objective.data
        self.data, self.passes = data, 0.0
        self.ridge = penalty_of(data) + added
        bends = objective.bends(way)
        size = (data.features + 1) ** 2 * 8
        self.factored = data.features <= FACTORED and data.outputs * size <= BYTES
        if self.factored:
            self.factors = [self._factor(bends, k) for k in range(data.outputs)]
        else:
            self._keep_rows(bends)

    def _factor(self, bends: Bends, k: int) -> tuple[Floats, Any]:
        """Scale to a diagonal of ones, and the factor, for output k; a ridge guards what a sample of rows misses."""
        data, columns = self.data, np.arange(self.data.features, dtype=np.uint32)
        some, ridge = bends.some(sample_of(data), k), self.ridge[:, k]
        m = bends.objective.m
        H, full, added = np.zeros((len(ridge), len(ridge))), np.zeros(len(ridge)), _RIDGE
        if some.of:
            weight = some.bends[:, 0] * (some.total / some.bends[:, 0].sum() * len(some.rows) / m)
            H = some.data.gram(some.rows, weight, columns)
        if len(some.rows) < some.of:  # a column may be rare
            full = bends.squares(k)[:, 0] + ridge
            added = _MISSED * min(1.0, len(H) / len(some.rows))
        if not data.intercept:
            full[-1] = 1.0
        scale, H = guarded(H, full, ridge)
        return scale, factor(H, added)

    def _keep_rows(self, bends: Bends) -> None:
        data, m = self.data, bends.objective.m
        some = bends.some(most_rows(data) if data.sparse else max(1, 4 * BYTES // (8 * (data.features + 1))))
        self._Z = some.data.in_units(some.rows)
        self._bends = some.bends * (some.of / max(len(some.rows), 1) / m)
        self._share = len(some.rows) / m
        squares = self._Z.multiply(self._Z).tocsr() if data.sparse else self._Z * self._Z
        self.diagonal = self.ridge.copy()
        self.diagonal[:-1] += transposed_times(squares, self._bends)
        self.diagonal[-1] += self._bends.sum(axis=0)
        self.diagonal[~(self.diagonal > _TINY)] = 1.0

    def solve(self, g: Floats) -> Floats:
        """H^-1 g, about, for g (features + 1, outputs)."""
        if not self.factored:
            return self._by_conjugate_gradients(g)
        solved = [scale * factor.solve((scale * g[:, k])[None]) for k, (scale, factor) in enumerate(self.factors)]
        return np.vstack(solved).T

    def squares(self, Z: Any, slopes: Floats) -> float:
        """Mean squared size of the rows' gradients, Z times slopes, in the metric of H^-1."""
        if not self.factored:
            return squares_by(1.0 / self.diagonal, Z, slopes)
        A = np.column_stack([Z.toarray() if sp.issparse(Z) else Z, np.ones(Z.shape[0])])
        halves = [factor.solve(np.ascontiguousarray(A * scale), half=True) for scale, factor in self.factors]
        return sum(float(((half**2).sum(axis=1) * slopes[:, k] ** 2).mean()) for k, half in enumerate(halves))

    def _times(self, v: Floats) -> Floats:
        bent = self._bends * (times(self._Z, v[:-1]) + v[-1])
        found = self.ridge * v
        found[:-1] += transposed_times(self._Z, bent)
        if self.data.intercept:
            found[-1] += bent.sum(axis=0)
        self.passes += self._share
        return found

    def _by_conjugate_gradients(self, g: Floats) -> Floats:
        """Of each output by itself, all at the same time."""
        x, r, p, old = np.zeros_like(g), g.copy(), np.zeros_like(g), np.ones(g.shape[1])
        fell = np.zeros(g.shape[1])
        for k in range(_PRODUCTS):
            z = r / self.diagonal
            new = np.einsum("ij,ij->j", r, z)
            p = z + (new / old if k else np.zeros_like(new)) * p
            bent = self._times(p)
            along = np.einsum("ij,ij->j", p, bent)
            part = np.where(along > 0, new / np.where(along > 0, along, 1.0), 0.0)
            x, r = x + part * p, r - part * bent
            old, fell = np.where(new > 0, new, 1.0), fell + part * new
            is_short = np.einsum("ij,ij->", r, r) < _RESIDUAL * np.einsum("ij,ij->", g, g)  # as the bound is of these
            if is_short and not (part * new).sum() > _NEAR * fell.sum():
                break
        return x
