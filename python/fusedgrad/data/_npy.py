"""Rows of NumPy's files and of memory maps."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ._array import digest
from ._block import Block, groups_of
from ._checks import check_group
from ._convert import float_type
from ._files import Stamp, opened, stamp
from ._maps import ArrayOnDisk, array_in_npy, array_in_npz, array_of_memmap
from ._reader import Found, Reader
from ._source import Source, as_path


def _is_path(value: Any) -> bool:
    return isinstance(value, (str, os.PathLike))


@dataclass(frozen=True, eq=False, repr=False)
class Npy(Source):
    """Rows of .npy files, of a .npz file, or of memory maps, of which only what is read is in memory.

    Parameters
    ----------
    X : path or memmap of shape (rows, features)
        A .npy file; a .npz file that is not compressed; or a memory map.
    y : path, memmap of shape (rows,) or (rows, outputs), or str, default=None
        Numbers or labels. With a .npz file: the name of an array in it.
    weight : path, memmap of shape (rows,), or str, default=None
        Weights of the rows. With a .npz file: the name of an array in it.
    group : int, default=65536
        Rows that are read together, >= 1.
    member : str, default='X'
        The name of X in a .npz file.

    Raises
    ------
    ValueError
        When it is opened: if a file is not in NumPy's format, truncated, compressed, or holds Python objects; if there
        is no such array; if y or weights have not one row for each of X.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from fusedgrad.data import Npy
    >>> folder = Path(tempfile.mkdtemp())
    >>> np.savez(folder / "data.npz", X=np.ones((5, 2)), labels=np.array(["a", "b", "a", "b", "a"]))
    >>> for block in Npy(folder / "data.npz", y="labels", group=3):
    ...     print(block.X.shape, block.y)
    (3, 2) ['a' 'b' 'a']
    (2, 2) ['b' 'a']
    """

    X: Any
    y: Any = None
    weight: Any = None
    group: int = 65536
    member: str = "X"

    def __post_init__(self) -> None:
        object.__setattr__(self, "group", check_group(self.group))
        archive = _is_path(self.X) and Path(self.X).suffix == ".npz"
        for name in ("X", "y", "weight"):
            given = getattr(self, name)
            if _is_path(given) and (name == "X" or not archive):
                object.__setattr__(self, name, as_path(given))
            elif not (given is None or _is_path(given)):
                on_disk = array_of_memmap(given)
                if on_disk is None and not hasattr(given, "dtype"):
                    raise TypeError(f"{name} must be a path or a memory map, not {type(given).__name__}.")
                object.__setattr__(self, name, on_disk or given)

    def _located(self, name: str) -> Any:
        """Where an array is: on disk, or in memory; or None."""
        given = getattr(self, name)
        if not _is_path(given):
            return given
        opened(self.X if _is_path(self.X) else given)
        if Path(self.X if _is_path(self.X) else "").suffix == ".npz":
            return array_in_npz(self.X, self.member if name == "X" else given)
        opened(given)
        return array_in_npy(given)

    def open(self) -> Reader:
        return NpyReader(self, *(self._located(name) for name in ("X", "y", "weight")))

    def whole(self) -> Block | None:
        rows = self._located("X").shape[0]
        with replace(self, group=max(rows, 1)).open() as reader:
            return reader.group(0)

    @property
    def identity(self) -> dict[str, Any]:
        parts: dict[str, Any] = {}
        archive = _is_path(self.X) and Path(self.X).suffix == ".npz"
        for name in ("X", "y", "weight"):
            given = getattr(self, name)
            if given is None or (archive and name != "X"):
                parts[name] = given
            elif isinstance(given, ArrayOnDisk):
                place = {"offset": given.offset, "shape": list(given.shape), "dtype": given.dtype.str}
                parts[name] = {**stamp(given.path).identity, **place}
            else:
                parts[name] = stamp(given).identity if _is_path(given) else digest(given)
        return {"kind": "Npy", **parts, "group": self.group, "member": self.member}


class NpyReader(Reader):
    """Rows of arrays on disk or in memory."""

    def __init__(self, source: Npy, X: Any, y: Any, weight: Any):
        super().__init__()
        if len(X.shape) != 2 or X.shape[0] == 0:
            raise ValueError(f"{source!r}: X must have the shape (rows, features), but its shape is {X.shape}.")
        for name, array in (("y", y), ("weight", weight)):
            if array is not None and (not array.shape or array.shape[0] != X.shape[0]):
                raise ValueError(f"{source!r}: X has {X.shape[0]} rows, but the shape of {name} is {array.shape}.")
        self._arrays = X, y, weight
        self._rows, self._group = X.shape[0], source.group
        paths = {array.path for array in self._arrays if isinstance(array, ArrayOnDisk)}
        self._stamps: list[Stamp] = [stamp(path) for path in sorted(paths)]
        self._name = X.path if isinstance(X, ArrayOnDisk) else "Npy"
        self.groups = groups_of(self._rows, source.group, X.shape[1] * float_type(X.dtype).itemsize)

    def _range(self, k: int) -> tuple[int, int]:
        begin = range(0, self._rows, self._group)[k]
        return begin, min(begin + self._group, self._rows)

    def find(self, k: int) -> Found:
        for each in self._stamps:
            each.check(f"{each.path}, {self._rows_text(k)}")
        begin, end = self._range(k)
        X, y, weight = (self._rows_of(array, begin, end) for array in self._arrays)
        return X, y, weight

    def _rows_of(self, array: Any, begin: int, end: int) -> Any:
        if isinstance(array, ArrayOnDisk):
            return array.rows(begin, end, at_once=self._group < self._rows)
        return None if array is None else array[begin:end]

    def _rows_text(self, k: int) -> str:
        begin, end = self._range(k)
        return f"rows {begin} to {end - 1}"

    def place(self, k: int) -> str:
        return f"{self._name}, {self._rows_text(k)}"
