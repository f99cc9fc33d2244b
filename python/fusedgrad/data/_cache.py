"""Rows written once as they are trained on, and mapped into memory from then on.

A cache is a folder: one file of bytes for each array (X; or data, indices and indptr; y; weight), group after group,
and cache.json, which tells of what source they are and where the groups begin.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from ._block import Block, Group
from ._folder import written
from ._maps import mapped
from ._reader import Found, Reader

FORMAT = 1
_ABOUT = "cache.json"
_KIND = "fusedgrad.data cache"


class _Labels:
    """Numbers in place of labels, in the order in which they come."""

    def __init__(self) -> None:
        self.codes: dict[str, int] = {}

    def encode(self, y: NDArray[Any], k: int) -> NDArray[np.int32]:
        values, inverse = np.unique(y, return_inverse=True)
        for value in values:
            if not isinstance(value, str):
                raise ValueError(
                    f"group {k}: labels in a cache must be strings, but {value!r} is of type {type(value).__name__}. "
                    "Convert them: source.map(lambda X, y: (X, y.astype(str)))."
                )
        known = [self.codes.setdefault(str(value), len(self.codes)) for value in values]
        return np.array(known, np.int32)[inverse].reshape(y.shape)


class _Writer:
    """The files of a cache that is written."""

    def __init__(self, folder: Path, files: ExitStack):
        self._folder, self._files = folder, files
        self._open: dict[str, Any] = {}
        self._labels = _Labels()
        self.about: dict[str, Any] = {}
        self.groups: list[list[int]] = []  # rows, bytes of X, stored numbers

    def _write(self, name: str, array: NDArray[Any]) -> None:
        if name not in self._open:
            self._open[name] = self._files.enter_context(open(self._folder / name, "wb"))  # noqa: SIM115
        if array.size:
            self._open[name].write(np.ascontiguousarray(array).data)

    def _first(self, block: Block) -> None:
        X, y = block.X, block.y
        sparse = sp.issparse(X)
        self.about = {
            "columns": int(X.shape[1]),
            "dtype": X.dtype.str,
            "index": X.indices.dtype.str if sparse else None,
            "y": None if y is None else y.dtype.str if y.dtype.kind not in "UO" else y.dtype.kind,
            "outputs": list(y.shape[1:]) if y is not None else [],
            "weight": block.weight is not None,
        }

    def add(self, block: Block) -> None:
        """Write the rows of a group."""
        if not self.about:
            self._first(block)
        X, y = block.X, block.y
        if sp.issparse(X):
            begin, end = int(X.indptr[0]), int(X.indptr[-1])
            self._write("data", X.data[begin:end])
            self._write("indices", X.indices[begin:end].astype(self.about["index"], copy=False))
            self._write("indptr", (X.indptr - begin).astype(self.about["index"], copy=False))
            self.groups.append([len(block), block.nbytes, end - begin])
        else:
            self._write("X", X)
            self.groups.append([len(block), X.nbytes, X.size])
        if y is not None:
            labels = self.about["y"] in ("U", "O")
            self._write("y", self._labels.encode(y, len(self.groups) - 1) if labels else y)
        if block.weight is not None:
            self._write("weight", block.weight)

    def finish(self, identity: dict[str, Any], names: list[str] | None) -> None:
        """Write what the cache is of."""
        sizes = {}
        for name, file in self._open.items():
            file.flush()
            sizes[name] = os.path.getsize(self._folder / name)
        about = {
            "kind": _KIND,
            "format": FORMAT,
            "identity": identity,
            "names": names,
            **self.about,
            "labels": list(self._labels.codes),
            "groups": self.groups,
            "sizes": sizes,
        }
        with open(self._folder / _ABOUT, "w") as file:
            json.dump(about, file)


class CacheReader(Reader):
    """The groups of a cache. The files stay open, so that it can be replaced meanwhile."""

    def __init__(self, path: Path, about: dict[str, Any], files: dict[str, Any], closing: ExitStack):
        super().__init__()
        self._about, self._files, self._closing = about, files, closing
        self.shown = str(path)  # in messages
        self._at_once = True  # whether pages are mapped at once
        self.names = about["names"]
        self.groups = [Group(rows, nbytes) for rows, nbytes, _ in about["groups"]]
        rows, _, stored = np.array(about["groups"], dtype=np.int64).T
        self._rows, self._stored = np.concatenate([[0], np.cumsum(rows)]), np.concatenate([[0], np.cumsum(stored)])
        labels = about["labels"] or [""]
        self._labels = np.array(labels, dtype=object if about["y"] == "O" else np.str_)

    def _map(self, name: str, dtype: Any, begin: int, shape: tuple[int, ...]) -> NDArray[Any]:
        """Numbers of a file, of which those of earlier groups are `begin`."""
        dtype = np.dtype(dtype)
        return mapped(self._files[name], dtype, begin * dtype.itemsize, shape, at_once=self._at_once)

    def find(self, k: int) -> Found:
        return self._between(k, k + 1)

    def whole(self) -> Block:
        """All rows. Their pages are mapped where they are used."""
        self._at_once = False
        try:
            return self.convert(self._between(0, len(self._rows) - 1), 0)
        finally:
            self._at_once = True

    def _pointers(self, k: int, last: int) -> NDArray[Any]:
        """Those of the rows of some groups; each group's begin at 0 in the file."""
        begin, index = int(self._rows[k]), self._about["index"]
        found = self._map("indptr", index, begin + k, (int(self._rows[last]) - begin + last - k,))
        if last == k + 1:
            return found
        ends = self._rows[k + 1 : last + 1] - begin + np.arange(last - k)  # where each group's last pointer is
        firsts = np.append(0, ends[:-1] + 1)
        shifts = np.repeat(self._stored[k:last] - self._stored[k], np.diff(np.append(firsts, len(found))))
        return np.delete(found + shifts, firsts[1:]).astype(np.int64 if self._stored[last] >= 2**31 else index)

    def _between(self, k: int, last: int) -> Found:
        """Rows of the groups k, ..., last - 1."""
        about = self._about
        first, rows = int(self._rows[k]), int(self._rows[last] - self._rows[k])
        begin, stored = int(self._stored[k]), int(self._stored[last] - self._stored[k])
        columns = about["columns"]
        if about["index"] is None:
            X = self._map("X", about["dtype"], begin, (rows, columns))
        else:
            parts = (
                self._map("data", about["dtype"], begin, (stored,)),
                self._map("indices", about["index"], begin, (stored,)),
                self._pointers(k, last),
            )
            X = sp.csr_array(parts, shape=(rows, columns))
        y: Any = None
        if about["y"] is not None:
            outputs, labels = about["outputs"], about["y"] in ("U", "O")
            inner = int(np.prod(outputs))
            y = self._map("y", np.int32 if labels else about["y"], first * inner, (rows, *outputs))
            y = self._labels[y] if labels else y
        weight = self._map("weight", np.float64, first, (rows,)) if about["weight"] else None
        return X, y, weight

    def place(self, k: int) -> str:
        return f"{self.shown}, group {k}"

    def close(self) -> None:
        self._closing.close()


def _opened(path: Path, identity: dict[str, Any]) -> CacheReader | None:
    """The reader of a whole cache of this source; None: there is none."""
    with ExitStack() as files:
        try:
            folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
            files.callback(os.close, folder)

            def open_within(name: str) -> Any:  # even if another folder takes this place meanwhile
                return files.enter_context(
                    open(name, "rb", opener=lambda name, flags: os.open(name, flags, dir_fd=folder))
                )

            about = json.load(open_within(_ABOUT))
            if (about["kind"], about["format"], about["identity"]) != (_KIND, FORMAT, identity):
                return None
            arrays = {name: open_within(name) for name in about["sizes"]}
            if any(os.fstat(file.fileno()).st_size != about["sizes"][name] for name, file in arrays.items()):
                return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None
        return CacheReader(path, about, arrays, files.pop_all())


def _see_to_the_place(path: Path) -> None:
    """Refuse to replace what is no cache."""
    if path.is_dir():
        try:
            kind = json.loads((path / _ABOUT).read_text())["kind"]
        except (OSError, ValueError, KeyError, TypeError):
            kind = None
        if kind != _KIND and any(path.iterdir()):
            raise FileExistsError(f"{path}: the folder holds something else than a cache. Name another place for it.")
    elif path.exists():
        raise FileExistsError(f"{path}: there is a file where the cache is to be a folder. Name another place for it.")


def _is_there(path: Path, identity: dict[str, Any]) -> bool:
    reader = _opened(path, identity)
    if reader is not None:
        reader.close()
    return reader is not None


def _filled(path: Path, identity: dict[str, Any], opened: Callable[[], Reader]) -> CacheReader | None:
    """Write the rows of a source; the reader of what was written, whatever else takes its place."""
    try:
        with written(path, lambda: _is_there(path, identity)) as folder:
            with ExitStack() as files, opened() as reader:
                writer = _Writer(folder, files)
                for block in reader:
                    writer.add(block)
                if not writer.groups:
                    raise ValueError(f"{path}: the source has no rows.")
                writer.finish(identity, reader.names)
            return _opened(folder, identity)
    except OSError as error:
        if error.filename is not None or error.errno is None:
            raise
        what = f"{os.strerror(error.errno)}, while the cache was written; nothing is left of it"
        raise OSError(error.errno, what, str(path)) from error


def open_cache(path: str, identity: dict[str, Any], opened: Callable[[], Reader]) -> CacheReader:
    """A reader of the cache of a source, which is written where it is missing or out of date.

    Parameters
    ----------
    path : str
        A folder.
    identity : dict
        Of the source.
    opened : callable
        Opens the source.
    """
    place = Path(path)
    identity = json.loads(json.dumps(identity))
    reader = _opened(place, identity)
    if reader is None:
        _see_to_the_place(place)
        reader = _filled(place, identity, opened)
    if reader is None:
        raise RuntimeError(f"{place}: the cache was written, but is damaged. Try again, or another place.")
    reader.shown = str(place)
    return reader
