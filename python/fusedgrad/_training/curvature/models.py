"""Quadratic models of smooth objectives, whose minimum with an L1 penalty coordinate descent finds."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from ... import _core
from ..._validation.arrays import as_core
from .passes import Bends, Data, Objective
from .preconditioners import Hessian, factor, squares_by

Floats = NDArray[np.float64]

_ENTRIES = 1 << 24  # of dense columns that are copied, at most
_SPARSE_ENTRIES = 1 << 28  # and of sparse ones


class Penalty(NamedTuple):
    """Strength of L1 for each row of weights, 0 for the intercepts; and whether coefficients stay at 0 or above."""

    strength: Floats  # (features + 1, 1)
    positive: bool

    def value(self, weights: Floats) -> float:
        return float((self.strength * np.abs(weights)).sum())


class Terms(NamedTuple):
    """Terms of rank one, ``sign p p'``, that correct a Hessian: those of BFGS."""

    coordinates: NDArray[np.uint32]  # places of weights, flat, that may move
    vectors: Floats  # (coordinates, rank)
    signs: Floats  # (rank,)

    @classmethod
    def of(cls, pairs: list[tuple[Floats, Floats, Floats]], moving: NDArray[np.bool_]) -> Terms:
        """Of pairs of steps s and changes y of the gradient, with what the Hessian makes of s."""
        moving = np.logical_or.reduce([moving, *(s != 0.0 for s, _, _ in pairs)])
        places = np.flatnonzero(moving)
        vectors, signs = np.empty((len(places), 2 * len(pairs))), np.tile([-1.0, 1.0], len(pairs))
        rank = 0
        for pair in pairs:
            s, y, bent = (part.ravel()[places] for part in pair)
            known = vectors[:, :rank]
            bent = bent + np.einsum("cr,r->c", known, signs[:rank] * np.einsum("cr,c->r", known, s))
            along, change = np.einsum("c,c->", s, bent), np.einsum("c,c->", s, y)
            if along > 0.0 and change > 0.0:
                vectors[:, rank], vectors[:, rank + 1] = bent / np.sqrt(along), y / np.sqrt(change)
                rank += 2
        return cls(places.astype(np.uint32), np.ascontiguousarray(vectors[:, :rank]), signs[:rank])


class Blocks(Hessian):
    """A dense Hessian for each output, or one for all. As for `Columns`, weights and gradients are in units."""

    def __init__(self, bends: Bends, diagonal: Floats, sample: int):
        super().__init__(bends, diagonal, sample)
        eye = self.ridge * np.eye(bends.objective.data.features + 1)
        self.blocks = np.array([(H + eye) / scale / scale[:, None] for scale, H in self.matrices])
        del self.matrices

    def minimum(
        self, gradient: Floats, weights: Floats, penalty: Penalty, terms: Terms, tol: float
    ) -> tuple[Floats, float]:
        """Where the model with the penalty is least, about, moving some coordinates; and how deep it is there."""
        return _core.descend(
            self.blocks,
            self.multiple,
            np.ascontiguousarray(gradient),
            np.ascontiguousarray(weights),
            penalty.strength,
            penalty.positive,
            terms.vectors,
            terms.signs,
            terms.coordinates,
            tol,
            500,
        )

    def times(self, s: Floats) -> Floats:
        """The Hessian times a step."""
        if len(self.blocks) == 1:
            return np.einsum("ij,jk->ik", self.blocks[0], s) * self.multiple
        return np.einsum("kij,jk->ik", self.blocks, s) * self.multiple

    def squares(self, Z: Any, slopes: Floats, support: NDArray[np.bool_]) -> float:
        """Mean squared size of the rows' gradients, Z times slopes, in the coordinates of the support."""
        Z = Z.toarray() if sp.issparse(Z) else Z
        A = np.column_stack([Z, np.ones(len(Z))])
        total = 0.0
        for k, multiple in enumerate(self.multiple):
            at = np.flatnonzero(support[:, k])
            if len(at) == 0:
                continue
            block = self.blocks[k if len(self.blocks) > 1 else 0][np.ix_(at, at)] * multiple
            unit = 1.0 / np.sqrt(np.diag(block))
            solved = factor(block * unit * unit[:, None], 1e-10).solve(np.ascontiguousarray(A[:, at] * unit), half=True)
            total += float(((solved**2).sum(axis=1) * slopes[:, k] ** 2).mean())
        return total


class Columns:
    """The Hessian of wide data, of which only columns are at hand.

    Attributes
    ----------
    columns : csr_array or ndarray of shape (n_features, m)
        The columns of X, in units: of all rows of an objective, or where they are dense of some.
    bends : ndarray of shape (m, n_outputs)
    ridge : ndarray of shape (n_features + 1, n_outputs)
        What is added to the diagonal.
    """

    def __init__(self, objective: Objective, ridge: Floats):
        self.data = data = objective.data
        most = int(_SPARSE_ENTRIES / max(1.0, data.length)) if data.sparse else _ENTRIES // data.features
        self.sample = m = min(objective.m, max(1024, most))
        self.places = np.arange(objective.m) if m == objective.m else np.linspace(0, objective.m - 1, m).astype(np.intp)
        self.columns = _columns(*objective.some(self.places))
        self.ridge = np.ascontiguousarray(np.broadcast_to(ridge, (data.features + 1, data.outputs)))

    def bend(self, bends: Bends) -> None:
        """Be the Hessian of a point, by the second derivatives of its losses."""
        self.bends = bends.at(self.places)

    def minimum(
        self, gradient: Floats, weights: Floats, penalty: Penalty, terms: Terms, tol: float
    ) -> tuple[Floats, float]:
        return _core.descend_columns(
            as_core(self.columns),
            self.bends,
            self.ridge,
            np.ascontiguousarray(gradient),
            np.ascontiguousarray(weights),
            penalty.strength,
            penalty.positive,
            terms.vectors,
            terms.signs,
            terms.coordinates,
            tol,
            100,
        )

    def times(self, s: Floats) -> Floats:
        along = self.columns.T @ s[:-1] if self.data.sparse else np.einsum("jm,jk->mk", self.columns, s[:-1])
        bent = self.bends * (along + s[-1]) / self.sample
        return np.vstack([_times(self.columns, bent), bent.sum(axis=0)]) + self.ridge * s

    def squares(self, Z: Any, slopes: Floats, support: NDArray[np.bool_]) -> float:
        columns = self.columns.multiply(self.columns) if self.data.sparse else self.columns**2
        diagonal = np.vstack([_times(columns, self.bends), self.bends.sum(axis=0)]) / self.sample + self.ridge
        return squares_by(support / np.maximum(diagonal, 1e-300), Z, slopes)


def _times(columns: Any, v: Floats) -> Floats:
    """Columns times v: not by BLAS, whose sums depend on its threads."""
    return np.asarray(columns @ v) if sp.issparse(columns) else np.einsum("jm,mk->jk", columns, v)


def _columns(data: Data, rows: NDArray[Any]) -> Any:
    X, unit = data.X[rows] if len(rows) < data.X.shape[0] else data.X, data.frame.unit[:-1, 0]
    if data.sparse:
        found = sp.csr_array(X.T)
        if (unit != 1.0).any():
            found.data = found.data * np.repeat(unit, np.diff(found.indptr)).astype(found.data.dtype)
        return found
    centred = X if data.frame.centre is None else X - data.frame.centre
    return np.ascontiguousarray((centred * unit).T, dtype=X.dtype)
