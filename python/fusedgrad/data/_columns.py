"""Columns of Arrow become numbers and labels.

Numbers, booleans and decimals become features. Everything else is refused by name, place and remedy, for nobody but the
user knows what a string or a date is to mean.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _core
from .._optional import library

_AS_FRAME = "source.map(function, frame='pandas')"


def fits_float32(type_: Any) -> bool:
    """Whether float32 holds every number of a type of Arrow."""
    types = library("pyarrow").types
    return bool(
        types.is_boolean(type_)
        or types.is_float16(type_)
        or types.is_float32(type_)
        or (types.is_integer(type_) and type_.bit_width <= 16)
    )


def _is_text(type_: Any) -> bool:
    pa = library("pyarrow")
    views = getattr(pa.types, "is_string_view", lambda _: False)
    return bool(pa.types.is_string(type_) or pa.types.is_large_string(type_) or views(type_))


def _kind(type_: Any) -> tuple[str, str]:
    """(what a column holds that no number is made of, what to do about it)."""
    types = library("pyarrow").types
    if types.is_dictionary(type_):
        return "categories", f"Encode them, such as by {_AS_FRAME} with a fitted OneHotEncoder"
    if _is_text(type_):
        return "strings", f"Encode them, such as by {_AS_FRAME} with a HashingVectorizer"
    if types.is_temporal(type_):
        return "dates or times", f"Turn them into numbers, such as days since a date, by {_AS_FRAME}"
    if types.is_null(type_):
        return "nothing but missing values", "Check how the file was written"
    return f"values of type {type_}", f"Turn them into numbers by {_AS_FRAME}"


def _missing(column: Any, name: str, place: str, whose: str) -> None:
    """Refuse missing values."""
    if not column.null_count:
        return
    pc = library("pyarrow.compute")
    first = pc.index(pc.is_null(column), True).as_py()
    remedy = (
        f"Fill them, such as by {_AS_FRAME} and frame.fillna(...), or leave the column out (columns=...)."
        if whose == "X"
        else "Leave these rows out where the data are written."
    )
    raise ValueError(
        f"{place}: column {name!r} ({column.type}) has {column.null_count} missing values, the first in row {first} of "
        f"the group. {remedy}"
    )


def _plain(column: Any) -> Any:
    """A column in one piece."""
    pa = library("pyarrow")
    if isinstance(column, pa.ChunkedArray):
        chunks = column.chunks or [pa.array([], column.type)]
        return chunks[0] if len(chunks) == 1 else pa.concat_arrays(chunks)
    return column


@lru_cache(maxsize=1024)
def _way(type_: Any) -> str:
    """How numbers are made of a type of Arrow; empty: they are not."""
    types = library("pyarrow").types
    if types.is_boolean(type_):
        return "boolean"
    if types.is_decimal(type_):
        return "decimal"
    if types.is_float16(type_):
        return "half"
    return "as it is" if types.is_integer(type_) or types.is_floating(type_) else ""


def _numbers(column: Any) -> NDArray[Any] | None:
    """A column without missing values as an array in one piece, of integers, float32 or float64; None: it has none."""
    way = _way(column.type)
    if not way:
        return None
    column = _plain(column)
    if way == "boolean":
        column = column.cast(library("pyarrow").uint8())
    elif way == "decimal":
        column = column.cast(library("pyarrow").float64(), safe=False)
    numbers = column.to_numpy()
    return numbers.astype(np.float32) if way == "half" else numbers


def feature(column: Any, name: str, place: str) -> NDArray[Any]:
    """A column of X.

    Raises
    ------
    ValueError
        If it holds no numbers, or if some are missing.
    """
    numbers = None
    if not column.null_count:
        numbers = _numbers(column)
    elif _way(column.type):
        _missing(column, name, place, "X")
    if numbers is None:
        what, remedy = _kind(column.type)
        raise ValueError(
            f"{place}: column {name!r} ({column.type}) holds {what}, but X takes numbers. {remedy}, or leave the "
            "column out (columns=...)."
        )
    return numbers


def matrix(table: Any, dtype: str, place: str, threads: int = 1) -> NDArray[Any]:
    """The columns of a table as rows in C order.

    Raises
    ------
    ValueError
        If a column holds no numbers, or if some are missing.
    """
    names = table.schema.names
    columns = [feature(table.column(k), name, place) for k, name in enumerate(names)]
    return _core.rows_of_columns(columns, np.dtype(dtype), threads)


def _labels(column: Any) -> NDArray[Any]:
    """Strings, of which there are few different ones, as an array of NumPy's."""
    column = _plain(column).dictionary_encode()
    values = np.asarray(column.dictionary.to_pylist() or [""], dtype=np.str_)
    return values[column.indices.to_numpy()]


def target(column: Any, name: str, place: str) -> NDArray[Any]:
    """A column of y: numbers, or labels of strings, categories and booleans.

    Raises
    ------
    ValueError
        If it holds anything else, or if values are missing.
    """
    pa = library("pyarrow")
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    type_ = column.type
    _missing(column, name, place, "y")
    if _is_text(type_):
        return _labels(column)
    if pa.types.is_boolean(type_):
        return np.asarray(_plain(column).to_numpy(zero_copy_only=False))
    numbers = _numbers(column)
    if numbers is None:
        what, _ = _kind(type_)
        raise ValueError(f"{place}: column {name!r} ({type_}) holds {what}, but y takes numbers or labels.")
    return numbers


def targets(columns: list[Any], names: list[str], place: str) -> NDArray[Any]:
    """Several columns of y, (rows, outputs).

    Raises
    ------
    ValueError
        If there are labels among them.
    """
    found = [target(column, name, place) for column, name in zip(columns, names, strict=True)]
    for array, name in zip(found, names, strict=True):
        if array.dtype.kind not in "iuf":
            raise ValueError(
                f"{place}: column {name!r} holds labels ({array.dtype}), but several targets a row must be numbers."
            )
    return np.column_stack(found)


def weights(column: Any, name: str, place: str) -> NDArray[np.float64]:
    """Weights of rows.

    Raises
    ------
    ValueError
        If they are no numbers, or if some are missing.
    """
    _missing(column, name, place, "weight")
    numbers = _numbers(column)
    if numbers is None:
        raise ValueError(f"{place}: column {name!r} ({column.type}) holds no numbers, but weights must be numbers.")
    return numbers.astype(np.float64)
