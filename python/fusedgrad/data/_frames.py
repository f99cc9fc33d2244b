"""Tables of other libraries as sources: what `fit` takes directly."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import re
import secrets
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from .._optional import library
from ._block import Group
from ._files import stamp
from ._reader import Found, Reader
from ._source import Source
from ._tables import Course, Names, TableReader, Wish, as_names, regrouped, wish_identity

_GROUP = 65536
_FITS = ("pandas", "numpy", "modin")  # what comes from there is in memory, and estimators take it as it is


def _library(obj: Any) -> str:
    return type(obj).__module__.partition(".")[0]


@dataclass(frozen=True, eq=False, repr=False)
class Frame(Source):
    """Rows of a table of another library.

    Attributes
    ----------
    obj : object
        The table, or what makes it.
    wish : Wish
        Which columns are read.
    """

    obj: Any
    wish: Wish

    def open(self) -> Reader:
        return _reader(self.obj, self.wish)

    @property
    def identity(self) -> dict[str, Any]:
        kind = f"{type(self.obj).__module__}.{type(self.obj).__qualname__}"
        return {"kind": kind, **_identity(self.obj), **wish_identity(self.wish)}

    def __repr__(self) -> str:
        kind = f"{_library(self.obj)} {type(self.obj).__name__}"
        return f"<rows of a {kind}, target={self.wish.target!r}, weight={self.wish.weight!r}>"


def source_of(obj: Any, target: Names | None = None, weight: str | None = None) -> Source | None:
    """The source that an object is, or that reads it.

    Parameters
    ----------
    obj : object
        A source; a LazyFrame of polars; a table, data set or reader of pyarrow; a relation of DuckDB; or anything else
        with ``__arrow_c_stream__``.
    target : str or list of str, default=None
        The column of y; a list: those of several outputs.
    weight : str, default=None
        The column of the rows' weights.

    Returns
    -------
    source : Source or None
        None of everything else: arrays and data frames of pandas and polars, which fit into memory.

    Raises
    ------
    ValueError
        If a target or a weight is named for a source that has one, or whose rows have no columns.
    """
    if isinstance(obj, Source):
        return obj if target is None and weight is None else _with_columns(obj, target, weight)
    if isinstance(obj, type) or _library(obj) in _FITS:
        return None
    if _library(obj) == "polars" and type(obj).__name__ != "LazyFrame":
        return None
    lazy = _library(obj) == "polars"
    dataset = _library(obj) == "pyarrow" and hasattr(obj, "get_fragments")
    if not lazy and not dataset and not hasattr(obj, "__arrow_c_stream__"):
        return None
    pa = library("pyarrow")
    if isinstance(obj, pa.ChunkedArray):
        return None
    if isinstance(obj, pa.RecordBatchReader):
        obj = Once(obj)
    return Frame(obj, Wish(as_names(target), None, weight))


def _with_columns(source: Source, target: Names | None, weight: str | None) -> Source:
    """A source of columns whose target and weight were not named yet."""
    changes = {name: value for name, value in (("target", target), ("weight", weight)) if value is not None}
    if not (dataclasses.is_dataclass(source) and hasattr(source, "target") and hasattr(source, "columns")):
        raise ValueError(
            f"{source!r} has no columns from which to take {', '.join(map(repr, changes.values()))}: its rows come "
            "with their targets and weights. Name columns where the file is named: Parquet(path, target=...)."
        )
    for name, value in changes.items():
        if getattr(source, name) is not None:
            raise ValueError(f"{source!r} has the {name} {getattr(source, name)!r} already; {value!r} is one too many.")
    return dataclasses.replace(source, **changes)


class Once:
    """A stream that can be read a single time."""

    def __init__(self, stream: Any):
        self.stream: Any = stream
        self.schema = stream.schema
        self.token = secrets.token_hex(8)  # no other stream has the same rows

    def take(self) -> Any:
        """The stream.

        Raises
        ------
        RuntimeError
            If it was taken before.
        """
        stream, self.stream = self.stream, None
        if stream is None:
            raise RuntimeError(
                "This stream of record batches has been read, and cannot be read again. Train in a single epoch "
                "(max_iter=1), or hand over what makes it: a data set, a LazyFrame, or Batches(function)."
            )
        return stream


def _identity(obj: Any) -> dict[str, Any]:
    """What is known of the rows without reading them."""
    if _library(obj) == "polars":
        plan = obj.explain(optimized=False)
        listed = re.findall(r"SCAN \[([^\]]*)\]", plan)
        paths = [path for text in listed for path in text.split(", ") if os.path.isfile(path)]
        whole = obj.serialize() if "DF [" in plan else plan.encode()  # with the rows that are in memory
        return {"plan": hashlib.sha256(whole).hexdigest(), "files": [stamp(path).identity for path in paths]}
    if hasattr(obj, "sql_query"):
        return {"query": obj.sql_query()}
    known = {"schema": str(_schema(obj))}
    if getattr(obj, "files", None):
        return {**known, "files": [stamp(path).identity for path in obj.files if os.path.isfile(path)]}
    if isinstance(obj, Once):
        return {**known, "stream": obj.token}
    if hasattr(obj, "num_rows") and hasattr(obj, "columns"):
        return {**known, "rows": obj.num_rows, "crc32": _check_sum(obj)}
    return known


def _check_sum(table: Any) -> int:
    """A number that changes with the numbers of a table."""
    summed = 0
    for column in table.columns:
        for chunk in getattr(column, "chunks", [column]):
            parts = [chunk, chunk.dictionary] if hasattr(chunk, "dictionary") else [chunk]
            summed = zlib.crc32(repr([(len(part), part.offset) for part in parts]).encode(), summed)
            for buffer in (buffer for part in parts for buffer in part.buffers() if buffer is not None):
                summed = zlib.crc32(buffer, summed)
    return summed


def _schema(obj: Any) -> Any:
    """The columns of a table, in terms of Arrow."""
    schema = getattr(obj, "schema", None)
    pa = library("pyarrow")
    if isinstance(schema, pa.Schema):
        return schema
    if hasattr(obj, "sql_query"):  # of DuckDB, whose query need not run for it
        obj = obj.limit(0)
    with pa.RecordBatchReader.from_stream(obj) as reader:
        return reader.schema


def _reader(obj: Any, wish: Wish) -> Reader:
    """What reads a table."""
    pa = library("pyarrow")
    if isinstance(obj, pa.RecordBatch):
        obj = pa.Table.from_batches([obj])
    if isinstance(obj, pa.Table):
        return Slices(obj, wish)
    if _library(obj) == "polars":
        return Stream(obj.head(0).collect().to_arrow().schema, wish, lambda names: _of_polars(obj, names))
    if hasattr(obj, "get_fragments"):
        pieces = _row_groups(obj)
        if pieces is not None:
            return RowGroups(pieces, obj.schema, wish)
        return Stream(obj.schema, wish, lambda names: obj.to_batches(columns=names, **_sparing(obj)))
    if isinstance(obj, Once):
        return Stream(obj.schema, wish, lambda names: _selected(obj.take(), names))
    return Stream(_schema(obj), wish, lambda names: _selected(pa.RecordBatchReader.from_stream(obj), names))


def _sparing(dataset: Any) -> dict[str, Any]:
    """How a data set is read with little memory: it reads far ahead by itself."""
    ds = library("pyarrow.dataset")
    options: dict[str, Any] = {"batch_readahead": 1, "fragment_readahead": 1}
    if isinstance(getattr(dataset, "format", None), ds.ParquetFileFormat):
        options["fragment_scan_options"] = ds.ParquetFragmentScanOptions(pre_buffer=False)
    return options


def _selected(reader: Any, names: list[str]) -> Iterator[Any]:
    """Some columns of a stream."""
    pa = library("pyarrow")
    with reader:
        for batch in reader:
            yield pa.Table.from_batches([batch]).select(names)


def _of_polars(frame: Any, names: list[str]) -> Iterator[Any]:
    """A LazyFrame, piece by piece."""
    if not hasattr(frame, "collect_batches"):
        raise ImportError("This polars cannot hand over LazyFrames in pieces, a newer one can: pip install -U polars")
    for piece in frame.select(names).collect_batches(maintain_order=True, lazy=True):
        yield piece.to_arrow()


class Slices(TableReader):
    """A table in memory."""

    def __init__(self, table: Any, wish: Wish):
        super().__init__()
        self.wanted = wish.of(table.schema, "the table")
        self.names = self.wanted.features
        self._table = table.select(self.wanted.names)
        rows = [min(_GROUP, table.num_rows - begin) for begin in range(0, table.num_rows, _GROUP)]
        if not rows:
            raise ValueError("The table has no rows.")
        self.groups = [Group(count, count * self.wanted.row_bytes) for count in rows]

    def find(self, k: int) -> Found:
        return self.wanted.found(self._table.slice(k * _GROUP, _GROUP), self.place(k))

    def place(self, k: int) -> str:
        return f"the table, rows from {k * _GROUP} on"


class Stream(TableReader):
    """Record batches in their order, of any size, in groups of the same size."""

    def __init__(self, schema: Any, wish: Wish, batches: Callable[[list[str]], Any]):
        super().__init__()
        self.wanted = wish.of(schema, "the table")
        self.names = self.wanted.features
        self._batches = batches
        self._place = "the table"

    def stream(self) -> Iterator[Found]:
        course = Course()
        course.begin("the table")
        for table in regrouped(self._batches(self.wanted.names), _GROUP):
            course.read += table.num_rows
            self._place = course.hand(table.num_rows)
            yield self.wanted.found(table, self._place)
        if not course.read:
            raise ValueError("The table has no rows.")

    def place(self, k: int) -> str:
        return self._place


def _row_groups(dataset: Any) -> list[Any] | None:
    """The row groups of a data set of Parquet files; None of others, and where rows are filtered."""
    ds = library("pyarrow.dataset")
    if not isinstance(dataset, ds.FileSystemDataset) or not isinstance(dataset.format, ds.ParquetFileFormat):
        return None
    if getattr(dataset, "_scan_options", None) != {}:
        return None
    return [piece for fragment in dataset.get_fragments() for piece in fragment.split_by_row_group()]


class RowGroups(TableReader):
    """Row groups of a data set."""

    def __init__(self, pieces: list[Any], schema: Any, wish: Wish):
        super().__init__()
        self._pieces, self._schema = [piece for piece in pieces if piece.row_groups[0].num_rows], schema
        self.wanted = wish.of(schema, "the data set")
        self.names = self.wanted.features
        rows = [piece.row_groups[0].num_rows for piece in self._pieces]
        if not rows:
            raise ValueError("The data set has no rows.")
        self.groups = [Group(count, count * self.wanted.row_bytes) for count in rows]
        paths = {piece.path for piece in pieces}
        self._stamps = {path: stamp(path) for path in paths if os.path.isfile(path)}

    def find(self, k: int) -> Found:
        place, piece = self.place(k), self._pieces[k]
        if piece.path in self._stamps:
            self._stamps[piece.path].check(place)
        options = library("pyarrow.dataset").ParquetFragmentScanOptions(pre_buffer=False)
        try:
            table = piece.to_table(schema=self._schema, columns=self.wanted.names, fragment_scan_options=options)
        except (library("pyarrow").ArrowException, OSError) as error:
            raise ValueError(f"{place}: the row group cannot be read, the file may be damaged: {error}") from error
        return self.wanted.found(table, place)

    def place(self, k: int) -> str:
        return f"{self._pieces[k].path}, row group {self._pieces[k].row_groups[0].id}"
