"""What sources with columns have in common: which columns are wanted, and how tables become blocks."""

from __future__ import annotations

import bisect
import difflib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from .._optional import library
from . import _columns
from ._block import Block
from ._checks import check_dtype
from ._convert import block_of
from ._reader import Found, Reader

# A column's name, or those of several.
Names = str | Sequence[str]


def as_names(names: Names | None) -> str | list[str] | None:
    """Names in a form that does not change."""
    return names if names is None or isinstance(names, str) else list(names)


@dataclass(frozen=True)
class Wish:
    """Which columns of a table are wanted.

    Attributes
    ----------
    target : str, list of str, or None
        The columns of y; a list makes y two-dimensional.
    columns : list of str, or None
        The features; None: all columns but target and weight.
    weight : str, or None
        Weights of the rows.
    dtype : {'float32', 'float64'}, or None
        Of X; None: float32 if it holds every number of the columns' types, else float64.
    """

    target: str | list[str] | None = None
    columns: list[str] | None = None
    weight: str | None = None
    dtype: str | None = None

    @property
    def targets(self) -> list[str]:
        """The columns of y."""
        return [] if self.target is None else [self.target] if isinstance(self.target, str) else self.target

    def of(self, schema: Any, place: str) -> Wanted:
        """The wanted columns of a table with such a schema.

        Raises
        ------
        ValueError
            If there is no such column, no feature at all, or more than one column of a name.
        """
        names = list(schema.names)
        others = [*self.targets, *([] if self.weight is None else [self.weight])]
        for name in (*others, *(self.columns or ())):
            if name not in names:
                near = [each for each in names if each.lower() == name.lower()]
                near = near or difflib.get_close_matches(name, names, 1)
                meant = f" Did you mean {near[0]!r}?" if near else f" There are {', '.join(map(repr, names[:10]))}."
                raise ValueError(f"{place}: there is no column {name!r}.{meant}")
        features = self.columns
        if features is None:
            index = _index_columns(schema)
            features = [name for name in names if name not in others and name not in index]
        if not features:
            raise ValueError(f"{place}: no column is left for X. The columns are {', '.join(map(repr, names))}.")
        for name in (*others, *features):
            if names.count(name) > 1:
                raise ValueError(
                    f"{place}: there are {names.count(name)} columns {name!r}. Names must tell them apart."
                )
            if features.count(name) > 1:
                raise ValueError(f"{place}: {name!r} is named more than once among the columns of X.")
        both = sorted(set(others) & set(features))
        if both:
            raise ValueError(f"{place}: {both[0]!r} cannot be a feature and a target or weight at once.")
        types = {name: schema.field(name).type for name in (*features, *others)}
        dtype = self.dtype or ("float32" if all(_columns.fits_float32(types[name]) for name in features) else "float64")
        return Wanted(features, self, dtype, types)


def settle_wish(source: Any) -> None:
    """Check which columns a source is to read."""
    columns = as_names(source.columns)
    names = [columns] if isinstance(columns, str) else columns
    wish = Wish(as_names(source.target), names, source.weight, check_dtype(source.dtype))
    for name, value in (("target", wish.target), ("columns", names), ("dtype", wish.dtype), ("_wish", wish)):
        object.__setattr__(source, name, value)


def wish_identity(wish: Wish) -> dict[str, Any]:
    """Which columns are read, in terms of JSON."""
    return {"target": wish.target, "columns": wish.columns, "weight": wish.weight, "dtype": wish.dtype}


def _index_columns(schema: Any) -> list[str]:
    """Columns that pandas has written for its index."""
    metadata = schema.pandas_metadata or {}
    return [name for name in metadata.get("index_columns", ()) if isinstance(name, str)]


@dataclass(frozen=True)
class Wanted:
    """The wanted columns of a table.

    Attributes
    ----------
    features : list of str
        The columns of X.
    wish : Wish
        What was asked for.
    dtype : str
        Of X.
    types : dict of str to DataType
        What Arrow says of every column.
    """

    features: list[str]
    wish: Wish
    dtype: str
    types: dict[str, Any]

    @property
    def names(self) -> list[str]:
        """All columns that are read."""
        return list(self.types)

    @property
    def row_bytes(self) -> int:
        """What a row of X takes."""
        return len(self.features) * (4 if self.dtype == "float32" else 8)

    def alike(self, other: Wanted, place: str, first: str) -> None:
        """See to it that another file has the same columns.

        Raises
        ------
        ValueError
            If it has others, or columns of other types.
        """
        for name in self.names:
            if name not in other.types:
                raise ValueError(f"{place}: there is no column {name!r}, which {first} has. All files must be alike.")
            if other.types[name] != self.types[name]:
                raise ValueError(
                    f"{place}: column {name!r} is {other.types[name]}, but {self.types[name]} in {first}. All files "
                    "must be alike: write it anew."
                )
        for name in other.names:
            if name not in self.types:
                raise ValueError(
                    f"{place}: there is a column {name!r}, which {first} has not. All files must be alike, or name "
                    "the columns to read: columns=[...]."
                )

    def found(self, table: Any, place: str) -> Found:
        """(features as a table, y, weight) of a table."""
        y: Any = None
        target, weight = self.wish.target, self.wish.weight
        if isinstance(target, str):
            y = _columns.target(table.column(target), target, place)
        elif target is not None:
            y = _columns.targets([table.column(name) for name in target], target, place)
        w = None if weight is None else _columns.weights(table.column(weight), weight, place)
        return table.select(self.features), y, w


class TableReader(Reader):
    """A reader whose X are tables of Arrow until they are made numbers."""

    wanted: Wanted

    def numbers(self, X: Any, k: int) -> Any:
        return _columns.matrix(X, self.wanted.dtype, self.place(k))

    def convert(self, found: Found, k: int) -> Block:
        X, y, weight = found
        return block_of(self.numbers(X, k), y, weight, self.place(k))


class Course:
    """Which rows of which file a group has, where files are read one after another."""

    def __init__(self) -> None:
        self._begins: list[int] = []
        self._paths: list[str] = []
        self.read = 0  # rows so far, of all files
        self._handed = 0

    def begin(self, path: str) -> None:
        """A file begins."""
        self._begins.append(self.read)
        self._paths.append(path)

    @property
    def now(self) -> str:
        """What is read next."""
        return f"{self._paths[-1]}, rows from {self.read - self._begins[-1]} on"

    def _at(self, row: int) -> tuple[str, int]:
        file = bisect.bisect_right(self._begins, row) - 1
        return self._paths[file], row - self._begins[file]

    def hand(self, rows: int) -> str:
        """So many rows become a group: where they are."""
        (path, first), (other, last) = self._at(self._handed), self._at(self._handed + rows - 1)
        self._handed += rows
        return f"{path}, rows {first} to {last}" if path == other else f"{path}, row {first}, to {other}, row {last}"


def regrouped(batches: Iterable[Any], rows: int) -> Iterator[Any]:
    """Tables of so many rows, the last of which may have fewer, made of record batches or tables of any size."""
    pa = library("pyarrow")
    waiting: list[Any] = []
    count = 0
    for batch in batches:
        table = batch if isinstance(batch, pa.Table) else pa.Table.from_batches([batch])
        while count + table.num_rows >= rows:
            part = rows - count
            yield pa.concat_tables([*waiting, table.slice(0, part)])
            table, waiting, count = table.slice(part), [], 0
        if table.num_rows:
            waiting.append(table)
            count += table.num_rows
    if waiting:
        yield pa.concat_tables(waiting)
