"""What users hand over becomes blocks: the same numbers as an estimator makes of the same arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from ._block import Block

_TARGETS = "biufUO"  # kinds of dtypes


def rows_of(X: Any) -> int:
    """How many rows an array, a table or a list has."""
    return int(X.shape[0]) if hasattr(X, "shape") else len(X)


def float_type(dtype: Any) -> np.dtype[Any]:
    """float32 for float32, of any byte order; float64 for all other numbers."""
    dtype = np.dtype(dtype)
    return np.dtype(np.float32 if dtype.kind == "f" and dtype.itemsize == 4 else np.float64)


def _sparse(X: Any) -> Any:
    X = sp.csr_array(X)
    data = X.data.astype(float_type(X.data.dtype), copy=False)
    index = X.indices.dtype if X.indices.dtype == X.indptr.dtype else np.dtype(np.int64)
    parts = data, X.indices.astype(index, copy=False), X.indptr.astype(index, copy=False)
    return sp.csr_array(tuple(part if part.flags.aligned else part.copy() for part in parts), shape=X.shape)


def matrix_of(X: Any, where: str) -> Any:
    """X as a C-contiguous array or csr_array in float32 or float64.

    Raises
    ------
    ValueError
        If it has not two dimensions, or holds something else than numbers.
    """
    if not sp.issparse(X):
        X = np.asarray(X)
    if X.ndim != 2:
        raise ValueError(
            f"{where}: X must have two dimensions, (rows, features), but its shape is {X.shape}. "
            "Reshape it: X.reshape(-1, 1) for one feature."
        )
    kind = X.dtype.kind
    if kind not in "biufO":
        raise ValueError(
            f"{where}: X must hold numbers, but its dtype is {X.dtype}. Turn it into numbers first: "
            "source.map(function) does so block by block."
        )
    if sp.issparse(X):
        return _sparse(X)
    try:
        X = np.ascontiguousarray(X, dtype=float_type(X.dtype))
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where}: X must hold numbers, but: {error}.") from error
    return X if X.flags.aligned else X.copy()


def targets_of(y: Any, rows: int, where: str) -> NDArray[Any]:
    """y as an array of numbers or labels, (rows,) or (rows, outputs).

    Raises
    ------
    ValueError
        If it has not one row for each row of X, or holds neither numbers nor labels.
    """
    y = np.asarray(y)
    if y.ndim not in (1, 2):
        raise ValueError(f"{where}: y must have the shape (rows,) or (rows, outputs), but its shape is {y.shape}.")
    if y.shape[0] != rows:
        raise ValueError(f"{where}: X has {rows} rows, but y has {y.shape[0]}. Every row needs its target.")
    if y.dtype.kind not in _TARGETS:
        raise ValueError(f"{where}: y must hold numbers or labels (strings), but its dtype is {y.dtype}. Convert it.")
    native = y.dtype.newbyteorder("=")
    return y.astype(native, copy=False) if y.flags.aligned else y.astype(native)


def weights_of(weight: Any, rows: int, where: str) -> NDArray[np.float64]:
    """Weights of rows, (rows,) in float64.

    Raises
    ------
    ValueError
        If there is not one number for each row of X.
    """
    try:
        weight = np.ascontiguousarray(weight, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where}: weights of rows must be numbers, but: {error}.") from error
    if weight.shape != (rows,):
        raise ValueError(f"{where}: X has {rows} rows, so weights must have the shape ({rows},), not {weight.shape}.")
    return weight if weight.flags.aligned else weight.copy()


def block_of(X: Any, y: Any, weight: Any, where: str) -> Block:
    """A block of what a source has found, whose place messages name."""
    X = matrix_of(X, where)
    rows = X.shape[0]
    return Block(
        X,
        None if y is None else targets_of(y, rows, where),
        None if weight is None else weights_of(weight, rows, where),
    )


def _form_of(block: Block) -> dict[str, Any]:
    """What all blocks of a source have in common."""
    y = block.y
    form = {
        "columns of X": block.X.shape[1],
        "storage of X": "CSR" if sp.issparse(block.X) else "dense",
        "dtype of X": str(block.X.dtype),
        "targets a row": 0 if y is None else 1 if y.ndim == 1 else y.shape[1],
        "kind of y": "none" if y is None else "labels" if y.dtype.kind in "UO" else str(y.dtype),
        "weights": "none" if block.weight is None else "given",
    }
    return form


class Alike:
    """Sees to it that all blocks have one form: that of the first."""

    def __init__(self) -> None:
        self._form: dict[str, Any] | None = None
        self._where = ""

    def check(self, block: Block, where: str) -> Block:
        """Return the block.

        Raises
        ------
        ValueError
            If it differs from the first in its number of columns, storage, dtype, or in what else it has.
        """
        form = _form_of(block)
        if self._form is None:
            self._form, self._where = form, where
        for name, value in form.items():
            if value != self._form[name]:
                raise ValueError(
                    f"{where}: {name}: {value}, but {self._form[name]} in {self._where}. All rows of a source must be "
                    "alike. Convert them, for instance by source.map(function)."
                )
        return block
