"""Sparse rows of files in the format of SVMlight and LIBSVM."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import DTypeLike
from sklearn.datasets import load_svmlight_file

from ._block import Group
from ._checks import check_dtype, check_group
from ._files import opened, stamp
from ._reader import Found, Reader
from ._source import Source, as_path

_PIECE = 1 << 23  # bytes that are searched for lines at a time


@dataclass(frozen=True, eq=False, repr=False)
class SVMLight(Source):
    """Sparse rows of a file in the format of SVMlight and LIBSVM: ``label index:value index:value ...``.

    Parameters
    ----------
    path : path
        A file that is not compressed.
    n_features : int
        Columns of X, >= 1.
    zero_based : bool, default=True
        Whether the first column has the index 0, as scikit-learn writes it, or 1, as LIBSVM does.
    dtype : {'float32', 'float64'}, default='float64'
        Of X.
    group : int, default=65536
        Rows that are read together, >= 1.

    Raises
    ------
    FileNotFoundError
        When it is opened: if there is no such file.
    ValueError
        When it is opened or read: if the file is empty, if a line is not in this format, or if an index is out of
        range.
    RuntimeError
        When it is read: if the file has changed since it was opened.

    Notes
    -----
    Opening it reads the file once, to find where the groups begin; scikit-learn's `load_svmlight_file` reads them.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from fusedgrad.data import SVMLight
    >>> path = Path(tempfile.mkdtemp()) / "data.svm"
    >>> _ = path.write_text("1 0:0.5 3:2\\n0 1:1\\n1 3:1\\n")
    >>> for block in SVMLight(path, n_features=4, group=2):
    ...     print(block.X.toarray().tolist(), block.y)
    [[0.5, 0.0, 0.0, 2.0], [0.0, 1.0, 0.0, 0.0]] [1. 0.]
    [[0.0, 0.0, 0.0, 1.0]] [1.]
    """

    path: str | os.PathLike[str]
    n_features: int
    zero_based: bool = True
    dtype: DTypeLike | None = "float64"
    group: int = 65536

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", as_path(self.path))
        object.__setattr__(self, "group", check_group(self.group))
        object.__setattr__(self, "dtype", check_dtype(self.dtype) or "float64")
        if isinstance(self.n_features, bool) or not isinstance(self.n_features, Integral) or self.n_features < 1:
            raise ValueError(
                f"n_features must be the number of columns, an int of at least 1, not {self.n_features!r}."
            )
        if not isinstance(self.zero_based, (bool, np.bool_)):
            raise ValueError(f"zero_based must be True or False, not {self.zero_based!r}.")

    def open(self) -> Reader:
        return SVMLightReader(self)

    @property
    def identity(self) -> dict[str, Any]:
        options = {"n_features": int(self.n_features), "zero_based": bool(self.zero_based), "dtype": self.dtype}
        return {"kind": "SVMLight", "file": stamp(str(self.path)).identity, **options, "group": self.group}


def _whole_lines(path: str) -> Iterator[tuple[int, bytes]]:
    """(where it begins, lines) of a file, piece by piece."""
    with open(path, "rb") as file:
        begin, rest = 0, b""
        while piece := file.read(_PIECE):
            piece = rest + piece
            end = piece.rfind(b"\n") + 1
            if end:
                yield begin, piece[:end]
            begin, rest = begin + end, piece[end:]
        if rest:
            yield begin, rest


def _ends_of_rows(lines: bytes) -> Any:
    """Where each row ends; lines of nothing but a comment are none."""
    ends = np.flatnonzero(np.frombuffer(lines, np.uint8) == ord("\n")) + 1
    if not lines.endswith(b"\n"):
        ends = np.append(ends, len(lines))
    begins = np.concatenate([[0], ends[:-1]])
    if b"#" not in lines and b"\r" not in lines and np.diff(ends, prepend=0).min() > 4:
        return ends  # shorter lines might be blank
    rows = [bool(lines[b:e].partition(b"#")[0].strip()) for b, e in zip(begins, ends, strict=True)]
    return ends[rows]


def groups_of_file(path: str, group: int) -> tuple[list[int], list[int]]:
    """(where the groups begin, and the last ends; their rows)."""
    cuts, rows, count = [0], 0, 0
    sizes: list[int] = []
    for begin, lines in _whole_lines(path):
        ends = _ends_of_rows(lines)
        for k in range(group - count - 1, len(ends), group):
            cuts.append(begin + int(ends[k]))
            sizes.append(group)
        rows += len(ends)
        count = rows % group
    if count:
        cuts.append(os.path.getsize(path))
        sizes.append(count)
    return cuts, sizes


class SVMLightReader(Reader):
    """Ranges of bytes of a file."""

    def __init__(self, source: SVMLight):
        super().__init__()
        self._source, self._path = source, str(source.path)
        self._stamp = opened(self._path)
        self._cuts, sizes = groups_of_file(self._path, source.group)
        if not sizes:
            raise ValueError(f"{self._path}: there are no rows.")
        self._begins = np.cumsum([0, *sizes]).tolist()
        # about 8 characters an entry, which take a number and an index
        share = (np.dtype(source.dtype).itemsize + 4) / 8
        ranges = zip(sizes, np.diff(self._cuts), strict=True)
        self.groups = [Group(size, int(share * length)) for size, length in ranges]

    def find(self, k: int) -> Found:
        place, source = self.place(k), self._source
        self._stamp.check(place)
        with open(self._path, "rb") as file:
            file.seek(self._cuts[k])
            lines = file.read(self._cuts[k + 1] - self._cuts[k])
        options = {"n_features": source.n_features, "zero_based": bool(source.zero_based), "dtype": source.dtype}
        try:
            X, y = load_svmlight_file(io.BytesIO(lines), **options)
        except (ValueError, OverflowError) as error:
            self._stamp.check(place)
            where = self._broken_line(lines, self._begins[k], options)
            raise ValueError(
                f"{place}: {where}{error}. Check n_features ({source.n_features}) and zero_based ({source.zero_based})."
            ) from error
        return X, y, None

    def _broken_line(self, lines: bytes, first: int, options: dict[str, Any]) -> str:
        """Which row cannot be read, and what is written there."""
        for k, line in enumerate(each for each in lines.splitlines(keepends=True) if each.partition(b"#")[0].strip()):
            try:
                load_svmlight_file(io.BytesIO(line), **options)
            except (ValueError, OverflowError):
                return f"row {first + k} ({line[:40].decode(errors='replace').strip()!r}): "
        return ""

    def place(self, k: int) -> str:
        return f"{self._path}, rows {self._begins[k]} to {self._begins[k + 1] - 1}"
