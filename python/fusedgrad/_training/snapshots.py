"""A fit on its way, in a file: plain values and arrays, from which it goes on with the same bits.

The file is a NumPy archive: one member for each array, and ``state.json`` with all else. Nothing in it is executed when
it is read.
"""

from __future__ import annotations

import io
import json
import os
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._whole_files import whole_file
from ..data import digest

FORMAT = 1
_STATE = "state.json"
_ARRAY, _RECORD = "array", "record"


class SnapshotError(ValueError):
    """A file that is no checkpoint, or not one of this fit."""


def write(path: str | os.PathLike[str], state: Mapping[str, Any]) -> None:
    """Write a file in one step: whoever kills the process finds the old one or the new one, whole."""
    arrays: list[NDArray[Any]] = []
    plain = json.dumps({"format": FORMAT, "state": _packed(state, arrays)})
    with whole_file(path) as unfinished, zipfile.ZipFile(unfinished, "w") as archive:
        archive.writestr(_STATE, plain)
        for k, array in enumerate(arrays):
            with archive.open(f"{k}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)


def read(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return what was written.

    Raises
    ------
    FileNotFoundError
        If there is no file.
    SnapshotError
        If it holds something else, or is damaged.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            plain = json.loads(archive.read(_STATE))
            count = len(archive.namelist()) - 1
            arrays = [_array(archive.read(f"{k}.npy")) for k in range(count)]
    except FileNotFoundError:
        raise
    except (OSError, KeyError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise SnapshotError(f"{os.fspath(path)} is no checkpoint, or is damaged: {error}") from error
    if plain.get("format") != FORMAT:
        raise SnapshotError(
            f"{os.fspath(path)} is a checkpoint in format {plain.get('format')}; this version of fusedgrad reads "
            f"format {FORMAT}. Go on with the version that wrote it."
        )
    state: dict[str, Any] = _unpacked(plain["state"], arrays)
    return state


def _array(stored: bytes) -> NDArray[Any]:
    found: NDArray[Any] = np.lib.format.read_array(io.BytesIO(stored), allow_pickle=False)
    return found


def _packed(value: Any, arrays: list[NDArray[Any]]) -> Any:
    """A value in terms of JSON, with arrays by their number."""
    if isinstance(value, np.ndarray):
        arrays.append(value)
        return {_ARRAY: len(arrays) - 1}
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple):
        return [_packed(each, arrays) for each in value]
    if is_dataclass(value):
        return {_RECORD: {field.name: _packed(getattr(value, field.name), arrays) for field in fields(value)}}
    if isinstance(value, Mapping):
        return {_RECORD: {str(name): _packed(each, arrays) for name, each in value.items()}}
    raise TypeError(f"A checkpoint cannot hold {type(value).__name__}.")


def _unpacked(value: Any, arrays: list[NDArray[Any]]) -> Any:
    if isinstance(value, list):
        return [_unpacked(each, arrays) for each in value]
    if isinstance(value, dict):
        if _ARRAY in value:
            return arrays[value[_ARRAY]]
        return {name: _unpacked(each, arrays) for name, each in value[_RECORD].items()}
    return value


# ---- of objects ----


def plain_of(thing: Any) -> dict[str, Any]:
    """The attributes of an object that are numbers, words, or records and lists of them."""
    return {name: value for name, value in vars(thing).items() if _is_plain(value)}


def _is_plain(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, bool | int | float | str | np.generic)


def set_plain(thing: Any, saved: Mapping[str, Any]) -> None:
    """Give an object the attributes that `plain_of` has returned."""
    for name, value in saved.items():
        now: Any = getattr(thing, name, None)
        setattr(thing, name, type(now)(*value) if hasattr(now, "_fields") else value)


def digests(*arrays: Any) -> list[Any]:
    """What tells arrays from others, None from none."""
    return [None if array is None else digest(array) for array in arrays]
