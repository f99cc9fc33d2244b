"""Folders that are there as a whole or not at all.

A folder is written beside its place under a name that begins with a dot, brought to the disk, and renamed. Whoever
writes holds a lock in it, so that what a killed process has left is known and removed by the next.
"""

from __future__ import annotations

import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from .._whole_files import sync

fcntl: Any
try:
    import fcntl
except ImportError:  # a system without locks of this kind
    fcntl = None

_LOCK = "lock"
_YOUNG = 60.0  # seconds in which a lock may be about to be taken


def _beside(path: Path, kind: str) -> Path:
    """A new folder beside another."""
    folder = path.parent / f".{path.name}.{kind}-{secrets.token_hex(8)}"
    folder.mkdir()
    return folder


def _is_abandoned(folder: Path) -> bool:
    """Whether nobody holds the lock of a folder that was being written."""
    if fcntl is None:
        return False
    try:
        if time.time() - (folder / _LOCK).stat().st_mtime < _YOUNG:
            return False
        with open(folder / _LOCK, "rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def remove_abandoned(path: Path) -> None:
    """Remove what killed processes have left beside a folder."""
    for folder in path.parent.glob(f".{path.name}.old-*"):
        shutil.rmtree(folder, ignore_errors=True)
    for folder in path.parent.glob(f".{path.name}.new-*"):
        if _is_abandoned(folder):
            shutil.rmtree(folder, ignore_errors=True)


def _take_place(folder: Path, path: Path, is_as_good: Callable[[], bool]) -> None:
    """Rename a folder; what was there is removed, unless it is as good."""
    while True:
        try:
            os.rename(folder, path)  # an empty folder is replaced, too
        except OSError:
            if not path.is_dir():
                raise
        else:
            return sync(path.parent)
        if is_as_good():  # of another writer, who was faster
            return None
        old = _beside(path, "old")
        try:
            os.rename(path, old)
        except FileNotFoundError:  # another writer has just removed it
            pass
        finally:
            shutil.rmtree(old, ignore_errors=True)


@contextmanager
def written(path: Path, is_as_good: Callable[[], bool]) -> Iterator[Path]:
    """A folder to write in, which takes its place when the block ends without an error; else nothing is left of it.

    Parameters
    ----------
    path : Path
        Where the folder will be.
    is_as_good : callable
        Whether what is there in the end, by another process, may stay.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_abandoned(path)
    folder = _beside(path, "new")
    try:
        with open(folder / _LOCK, "wb") as lock:
            with suppress(OSError, AttributeError):  # without locks, what is abandoned stays
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield folder
            for file in folder.iterdir():
                sync(file)
            sync(folder)
            os.unlink(folder / _LOCK)
            _take_place(folder, path, is_as_good)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
