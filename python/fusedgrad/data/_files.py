"""Files on disk: which they are, and whether they stay what they were."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable
from typing import Any, NamedTuple

from ._source import as_path

# A path, a pattern of glob, or several paths.
Paths = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]


def as_paths(paths: Paths) -> str | list[str]:
    """One absolute path or pattern, or a list of absolute paths."""
    if isinstance(paths, (str, os.PathLike)):
        return as_path(paths)
    found = [as_path(path) for path in paths]
    if not found:
        raise ValueError("There must be a path at least, but the list is empty.")
    return found


def expand(paths: str | list[str], suffix: str) -> list[str]:
    """The files that are meant: those of a list in its order, those of a pattern or a folder in alphabetical order.

    Raises
    ------
    FileNotFoundError
        If there is none.
    """
    if isinstance(paths, list):
        return paths
    if os.path.isdir(paths):
        found = sorted(glob.glob(os.path.join(glob.escape(paths), "**", f"*{suffix}"), recursive=True))
        if not found:
            raise FileNotFoundError(f"There is no *{suffix} in the folder {paths}.")
        return found
    if os.path.exists(paths) or not glob.has_magic(paths):
        return [paths]
    found = sorted(path for path in glob.glob(paths, recursive=True) if os.path.isfile(path))
    if not found:
        raise FileNotFoundError(f"No file matches {paths}.")
    return found


class Stamp(NamedTuple):
    """What a file was when it was opened."""

    path: str
    size: int
    mtime_ns: int
    inode: int

    @property
    def identity(self) -> dict[str, Any]:
        """Path, size and time of change, in terms of JSON."""
        return {"path": self.path, "size": self.size, "mtime_ns": self.mtime_ns}

    def check(self, place: str) -> None:
        """See to it that the file has not changed since.

        Raises
        ------
        RuntimeError
            If its size or its time of change is another, or if it is gone.
        """
        try:
            now: Stamp | None = stamp(self.path)
        except OSError:
            now = None
        if now != self:
            what = "is gone" if now is None else f"has changed (from {self.size} to {now.size} bytes)"
            raise RuntimeError(f"{place}: the file {what} while it was read. Train anew once nobody writes it.")


def stamp(path: str) -> Stamp:
    """What a file is now."""
    found = os.stat(path)
    return Stamp(path, found.st_size, found.st_mtime_ns, found.st_ino)


def opened(path: str) -> Stamp:
    """What a file is when it is opened.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is empty.
    """
    try:
        found = stamp(path)
    except FileNotFoundError:
        raise FileNotFoundError(f"There is no file {path}.") from None
    if os.path.isdir(path):
        raise IsADirectoryError(f"{path} is a folder, but a file is needed.")
    if found.size == 0:
        raise ValueError(f"{path}: the file is empty (0 bytes).")
    return found


def identities(paths: Iterable[str]) -> list[dict[str, Any]]:
    """Paths, sizes and times of change."""
    return [stamp(path).identity for path in paths]
