"""Rows of arrays in memory."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import scipy.sparse as sp

from ._block import Block, csr_rows, groups_of
from ._checks import check_group
from ._convert import float_type, targets_of, weights_of
from ._reader import Found, Reader
from ._source import Source


def row_bytes(X: Any) -> float:
    """About what a row of a block of X takes."""
    itemsize = float_type(X.dtype).itemsize
    if sp.issparse(X):
        return float(X.nnz * (itemsize + X.indices.itemsize) / max(1, X.shape[0]) + X.indptr.itemsize)
    return float(X.shape[1] * itemsize)


def digest(array: Any) -> dict[str, Any]:
    """Shape, dtype and check sum of an array, by which a changed one is recognised."""
    if sp.issparse(array):
        parts = array.data, array.indices, array.indptr
        return {"shape": list(array.shape), "parts": [digest(part) for part in parts]}
    summed, found = 0, array
    if array.dtype.kind == "O":
        found = np.array([repr(each) for each in array.ravel()])
    for begin in range(0, len(found), 65536):  # in pieces, for a copy of all would double the memory
        summed = zlib.crc32(found[begin : begin + 65536].tobytes(), summed)
    return {"shape": list(array.shape), "dtype": array.dtype.str, "crc32": summed}


@dataclass(frozen=True, eq=False, repr=False)
class Array(Source):
    """Rows of arrays that are in memory already.

    With it, training goes through an array as through a file: it ends with the same bits as one whose groups have the
    same rows.

    Parameters
    ----------
    X : array-like or sparse matrix of shape (rows, features)
        Numbers. Dense float32 and float64 in C order and CSR are not copied.
    y : array-like of shape (rows,) or (rows, outputs), default=None
        Numbers or labels.
    sample_weight : array-like of shape (rows,), default=None
        Weights of the rows; None: each counts once.
    group : int, default=65536
        Rows that are read together, >= 1.

    Raises
    ------
    ValueError
        If X has not two dimensions or no row, or y or weights have not one row for each of X.

    Examples
    --------
    >>> import numpy as np
    >>> from fusedgrad.data import Array
    >>> source = Array(np.ones((5, 2), dtype=np.float32), np.arange(5), group=2)
    >>> source
    Array(<(5, 2) float32>, y=<(5,) int64>, group=2)
    >>> [len(block) for block in source]
    [2, 2, 1]
    """

    X: Any
    y: Any = None
    sample_weight: Any = None
    group: int = 65536
    lasting = True
    _names: list[str] | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        X = self.X
        columns = getattr(X, "columns", None)  # of a data frame
        if columns is not None and all(isinstance(name, str) for name in columns):
            object.__setattr__(self, "_names", list(columns))
        X = sp.csr_array(X) if sp.issparse(X) else np.asarray(X)
        if X.ndim != 2 or X.shape[0] == 0:
            raise ValueError(f"X must have the shape (rows, features) with a row at least, but its shape is {X.shape}.")
        object.__setattr__(self, "X", X)
        rows = X.shape[0]
        if self.y is not None:
            object.__setattr__(self, "y", targets_of(self.y, rows, "Array"))
        if self.sample_weight is not None:
            object.__setattr__(self, "sample_weight", weights_of(self.sample_weight, rows, "Array"))
        object.__setattr__(self, "group", check_group(self.group))

    def open(self) -> Reader:
        return ArrayReader(self)

    def whole(self) -> Block | None:
        with replace(self, group=self.X.shape[0]).open() as reader:
            return reader.group(0)

    @property
    def identity(self) -> dict[str, Any]:
        arrays = {"X": self.X, "y": self.y, "sample_weight": self.sample_weight}
        digests = {name: None if array is None else digest(array) for name, array in arrays.items()}
        return {"kind": "Array", **digests, "group": self.group}


class ArrayReader(Reader):
    """Slices of arrays."""

    def __init__(self, source: Array):
        super().__init__()
        self._source = source
        self.names = source._names
        self.groups = groups_of(source.X.shape[0], source.group, row_bytes(source.X))

    def _range(self, k: int) -> tuple[int, int]:
        begin = range(0, self._source.X.shape[0], self._source.group)[k]
        return begin, min(begin + self._source.group, self._source.X.shape[0])

    def find(self, k: int) -> Found:
        begin, end = self._range(k)
        X, y, weight = self._source.X, self._source.y, self._source.sample_weight
        rows = csr_rows(X, begin, end) if sp.issparse(X) else X[begin:end]
        return rows, None if y is None else y[begin:end], None if weight is None else weight[begin:end]

    def place(self, k: int) -> str:
        begin, end = self._range(k)
        return f"Array, rows {begin} to {end - 1}"
