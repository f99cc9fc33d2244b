"""Files that are there as a whole or not at all."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def sync(path: str | os.PathLike[str]) -> None:
    """Bring a file, or the names in a folder, to the disk."""
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _unfinished(path: Path, writer: str) -> str:
    return f".{path.name}.{writer}.part"


@contextmanager
def whole_file(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A path to write to, which takes the place of another when the block ends without an error; else nothing is left.

    Whoever kills the process finds the old file or the new one.
    """
    target = Path(path)
    unfinished = target.with_name(_unfinished(target, str(os.getpid())))
    try:
        yield unfinished
        sync(unfinished)
        os.replace(unfinished, target)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    with suppress(OSError):  # some systems have no folders to synchronise
        sync(target.parent)


def remove_unfinished(path: str | os.PathLike[str]) -> None:
    """Remove what a process that was killed has left of this file."""
    target = Path(path)
    for left in target.parent.glob(_unfinished(Path(glob.escape(target.name)), "*")):
        left.unlink(missing_ok=True)
