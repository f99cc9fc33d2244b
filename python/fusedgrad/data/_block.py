"""Some rows of a source, in the arrays that training takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray


def csr_rows(X: Any, begin: int, end: int) -> Any:
    """Rows begin, ..., end - 1 of a CSR array. (SciPy copies less than half of an array, and shares more.)"""
    first, last = int(X.indptr[begin]), int(X.indptr[end])
    parts = X.data[first:last], X.indices[first:last], X.indptr[begin : end + 1] - first
    return sp.csr_array(parts, shape=(end - begin, X.shape[1]))


@dataclass(frozen=True, eq=False)
class Block:
    """Some rows with their targets and weights.

    Attributes
    ----------
    X : ndarray of shape (rows, features), or csr_array
        In float32 or float64; an ndarray is C-contiguous, and may be read-only.
    y : ndarray of shape (rows,) or (rows, outputs), or None
        Numbers; or labels: strings or objects.
    weight : ndarray of shape (rows,) in float64, or None
        Weights of the rows.
    """

    X: Any
    y: NDArray[Any] | None = None
    weight: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return int(self.X.shape[0])

    def __getitem__(self, rows: slice | NDArray[Any] | Sequence[int]) -> Block:
        X: Any
        if isinstance(rows, slice):
            begin, end, step = rows.indices(len(self))
            sliced = sp.issparse(self.X) and step == 1
            X = csr_rows(self.X, begin, max(begin, end)) if sliced else self.X[rows]
        else:
            rows = np.asarray(rows, dtype=None if len(rows) else np.intp)
            X = self.X[rows]
        return Block(
            X if sp.issparse(X) else np.ascontiguousarray(X),
            None if self.y is None else self.y[rows],
            None if self.weight is None else self.weight[rows],
        )

    @property
    def nbytes(self) -> int:
        """Bytes that the arrays take."""
        parts = [self.X.data, self.X.indices, self.X.indptr] if sp.issparse(self.X) else [self.X]
        return sum(part.nbytes for part in (*parts, self.y, self.weight) if part is not None)


def concatenate(blocks: Sequence[Block]) -> Block:
    """The rows of some blocks, one after another."""
    if len(blocks) == 1:
        return blocks[0]
    X = [block.X for block in blocks]
    y = [block.y for block in blocks if block.y is not None]
    weight = [block.weight for block in blocks if block.weight is not None]
    return Block(
        sp.vstack(X, format="csr") if sp.issparse(X[0]) else np.concatenate(X),
        np.concatenate(y) if y else None,
        np.concatenate(weight) if weight else None,
    )


@dataclass(frozen=True)
class Group:
    """Rows that are read together.

    Attributes
    ----------
    rows : int
        How many there are.
    nbytes : int
        About what their X takes as a Block.
    """

    rows: int
    nbytes: int


def groups_of(rows: int, group: int, row_bytes: float) -> list[Group]:
    """Rows cut into groups of the same size, the last of which may be smaller."""
    sizes = [min(group, rows - begin) for begin in range(0, rows, group)]
    return [Group(size, int(size * row_bytes)) for size in sizes]
