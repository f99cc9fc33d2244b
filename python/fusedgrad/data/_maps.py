"""Arrays on disk, of which rows are mapped into memory a piece at a time.

Only what is in use is mapped: pages of a mapping count as the process's memory for as long as it exists.
"""

from __future__ import annotations

import mmap
import struct
import zipfile
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_POPULATE_READ = 22  # of madvise, since Linux 5.14


def mapped(
    file: Any, dtype: np.dtype[Any], offset: int, shape: tuple[int, ...], *, at_once: bool = True
) -> NDArray[Any]:
    """Numbers of an open file, read-only. Pages are mapped `at_once`, by whoever reads, or else where they are used."""
    if 0 in shape:
        return np.empty(shape, dtype)
    count = int(np.prod(shape))
    begin = offset - offset % mmap.ALLOCATIONGRANULARITY
    pages = mmap.mmap(
        file.fileno(),
        offset - begin + count * dtype.itemsize,
        flags=mmap.MAP_SHARED | (getattr(mmap, "MAP_POPULATE", 0) if at_once else 0),
        prot=mmap.PROT_READ,
        offset=begin,
    )
    return np.frombuffer(pages, dtype, count, offset - begin).reshape(shape)


def fetch(rows: NDArray[Any]) -> None:
    """Map the pages of some rows of a mapped array now; nothing, of one in memory."""
    base: Any = rows
    while isinstance(base, np.ndarray):
        base = base.base
    pages = getattr(base, "obj", base)  # of a memoryview
    if not isinstance(pages, mmap.mmap) or not rows.nbytes:
        return
    first = np.frombuffer(pages, np.uint8).ctypes.data
    begin = rows.ctypes.data - first
    end, begin = begin + rows.nbytes, begin - begin % mmap.PAGESIZE
    try:
        pages.madvise(_POPULATE_READ, begin, end - begin)
    except (OSError, ValueError, AttributeError):  # an older kernel, or another system
        rows.reshape(len(rows), -1)[:, 0].sum()


@dataclass(frozen=True)
class ArrayOnDisk:
    """Where an array lies in a file."""

    path: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    offset: int
    fortran: bool = False

    @property
    def nbytes(self) -> int:
        return int(np.prod(self.shape)) * self.dtype.itemsize

    def rows(self, begin: int, end: int, *, at_once: bool = True) -> NDArray[Any]:
        """Rows begin, ..., end - 1, read-only."""
        inner = self.shape[1:]
        if self.fortran and inner and 0 not in inner:
            whole = np.memmap(self.path, self.dtype, "r", self.offset, self.shape, order="F")
            return np.asarray(whole[begin:end])
        row = int(np.prod(inner)) * self.dtype.itemsize
        with open(self.path, "rb") as file:
            return mapped(file, self.dtype, self.offset + begin * row, (end - begin, *inner), at_once=at_once)


def _header(file: Any, path: str) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, order and dtype of an array in NumPy's format, behind whose header the file then stands."""
    try:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read(file)
    except ValueError as error:
        raise ValueError(f"{path}: this is no array in NumPy's format (.npy): {error}.") from error
    if dtype.hasobject:
        raise ValueError(
            f"{path}: it holds Python objects, which cannot be mapped into memory. Save numbers, or strings of a fixed "
            "length: np.save(path, array.astype(str))."
        )
    return shape, fortran, dtype


def array_in_npy(path: str) -> ArrayOnDisk:
    """The array of a .npy file."""
    with open(path, "rb") as file:
        shape, fortran, dtype = _header(file, path)
        found = ArrayOnDisk(path, dtype, shape, file.tell(), fortran)
        size = file.seek(0, 2)
    if size < found.offset + found.nbytes:
        raise ValueError(
            f"{path}: the file is truncated: its header tells of {found.shape} {found.dtype} in {found.nbytes} bytes, "
            f"of which {size - found.offset} are there. Write it again."
        )
    return found


def array_in_npz(path: str, member: str) -> ArrayOnDisk:
    """An array within a .npz file, which must not be compressed."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name.removesuffix(".npy") for name in archive.namelist()]
            if member not in names:
                raise ValueError(f"{path}: there is no array {member!r}, but {', '.join(map(repr, names))}.")
            info = archive.getinfo(f"{member}.npy")
    except zipfile.BadZipFile as error:
        raise ValueError(f"{path}: this is no .npz file, or a truncated one: {error}.") from error
    if info.compress_type != zipfile.ZIP_STORED:
        raise ValueError(
            f"{path}: {member!r} is compressed, so that its rows cannot be mapped into memory. Save it by np.savez in "
            "place of np.savez_compressed, or as .npy."
        )
    with open(path, "rb") as file:
        file.seek(info.header_offset)
        name_length, extra_length = struct.unpack("<26x2H", file.read(30))  # of the local header
        file.seek(info.header_offset + 30 + name_length + extra_length)
        shape, fortran, dtype = _header(file, f"{path}: {member}")
        return ArrayOnDisk(path, dtype, shape, file.tell(), fortran)


def array_of_memmap(array: Any) -> ArrayOnDisk | None:
    """Where a memory map lies; None of one that is a part of another, or of no file with a name."""
    if type(array) is not np.memmap or array.filename is None or isinstance(array.base, np.ndarray):
        return None
    fortran = array.flags.f_contiguous and not array.flags.c_contiguous
    return ArrayOnDisk(str(array.filename), array.dtype, array.shape, int(array.offset), fortran)
