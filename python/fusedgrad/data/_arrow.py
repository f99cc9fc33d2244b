"""Rows of Arrow's files and streams."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import DTypeLike

from .._optional import library
from ._block import Group
from ._checks import check_group
from ._files import Paths, Stamp, as_paths, expand, identities, opened
from ._reader import Found, Reader
from ._source import Source
from ._tables import Course, Names, TableReader, Wanted, Wish, regrouped, settle_wish, wish_identity

_MAGIC = b"ARROW1"  # of a file; a stream begins otherwise


@dataclass(frozen=True, eq=False, repr=False)
class Arrow(Source):
    """Rows of Arrow IPC files (Feather) and streams.

    Parameters
    ----------
    path : path, list of paths
        A file; a pattern such as 'data/*.arrow', or a folder, whose files are read in alphabetical order; or files in
        the order of a list. All are files, whose record batches are the groups, or all are streams.
    target : str or list of str, default=None
        The column of y; a list: those of several outputs. Strings, categories and booleans are labels.
    columns : list of str, default=None
        The features, in this order; None: all other columns.
    weight : str, default=None
        The column of the rows' weights.
    dtype : {'float32', 'float64'}, default=None
        Of X; None: float32 if it holds every number that the columns may have (float32, float16, booleans, integers of
        8 and 16 bits), else float64.
    group : int, default=65536
        Rows of a stream that are handed over together, >= 1.

    Raises
    ------
    ImportError
        If pyarrow is not installed.
    FileNotFoundError
        When it is opened: if there is no such file.
    ValueError
        When it is opened or read: if a file is empty, truncated or not Arrow's, or has other columns than the first; if
        there is no such column; if X would hold missing values, strings, categories or dates.
    RuntimeError
        When it is read: if a file has changed since it was opened.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import polars as pl
    >>> from fusedgrad.data import Arrow
    >>> path = Path(tempfile.mkdtemp()) / "data.arrow"
    >>> pl.DataFrame({"size": [1.0, 2.0, 3.0], "sold": ["no", "yes", "no"]}).write_ipc(path)
    >>> for block in Arrow(path, target="sold"):
    ...     print(block.X.tolist(), block.y)
    [[1.0], [2.0], [3.0]] ['no' 'yes' 'no']
    """

    path: Any
    target: Names | None = None
    columns: Names | None = None
    weight: str | None = None
    dtype: DTypeLike | None = None
    group: int = 65536
    _wish: Wish = field(default=Wish(), init=False, repr=False)

    def __post_init__(self) -> None:
        library("pyarrow")
        paths: Paths = self.path
        object.__setattr__(self, "path", as_paths(paths))
        object.__setattr__(self, "group", check_group(self.group))
        settle_wish(self)

    def open(self) -> Reader:
        stamps = [opened(path) for path in expand(self.path, ".arrow")]
        whole = [_is_file(each.path) for each in stamps]
        if any(whole) and not all(whole):
            raise ValueError(
                f"{stamps[whole.index(False)].path}: this is a stream of Arrow or no file of it, but "
                f"{stamps[whole.index(True)].path} is a file. All must be of one kind."
            )
        if whole[0]:
            return ArrowFiles(stamps, self._wish)
        return ArrowStreams(stamps, self._wish, self.group)

    @property
    def identity(self) -> dict[str, Any]:
        files = identities(expand(self.path, ".arrow"))
        return {"kind": "Arrow", "files": files, **wish_identity(self._wish), "group": self.group}


def _is_file(path: str) -> bool:
    with open(path, "rb") as file:
        return file.read(len(_MAGIC)) == _MAGIC


def _errors() -> tuple[type[BaseException], ...]:
    return (library("pyarrow").ArrowException, OSError)


class ArrowFiles(TableReader):
    """Record batches of files."""

    def __init__(self, stamps: list[Stamp], wish: Wish):
        super().__init__()
        self._stamps = stamps
        self._places: list[tuple[int, int]] = []  # (file, record batch) of each group
        wanted: Wanted | None = None
        rows = []
        for number, each in enumerate(stamps):
            try:
                with _open_file(each.path) as file:
                    found = wish.of(file.schema, each.path)
                    counts = _rows_of_batches(each.path, file.schema.get_field_index(found.features[0]))
            except _errors() as error:
                raise ValueError(f"{each.path}: this is no Arrow file, or a truncated one: {error}") from error
            wanted = wanted or found
            wanted.alike(found, each.path, stamps[0].path)
            self._places += [(number, k) for k, count in enumerate(counts) if count]
            rows += [count for count in counts if count]
        assert wanted is not None
        if not rows:
            raise ValueError(f"{stamps[0].path}: there are no rows{' in these files' if len(stamps) > 1 else ''}.")
        self.wanted, self.names = wanted, wanted.features
        self.groups = [Group(count, count * wanted.row_bytes) for count in rows]
        self._open: tuple[int, Any] | None = None  # the file that was read last

    def find(self, k: int) -> Found:
        number, batch = self._places[k]
        place = self.place(k)
        self._stamps[number].check(place)
        try:
            if self._open is None or self._open[0] != number:
                self._open = number, _open_file(self._stamps[number].path, self.wanted.names)
            table = library("pyarrow").Table.from_batches([self._open[1].get_batch(batch)])
        except _errors() as error:
            self._stamps[number].check(place)
            raise ValueError(f"{place}: it cannot be read, the file may be damaged: {error}") from error
        return self.wanted.found(table, place)

    def place(self, k: int) -> str:
        number, batch = self._places[k]
        return f"{self._stamps[number].path}, record batch {batch}"

    def close(self) -> None:
        self._open = None


def _open_file(path: str, names: list[str] | None = None, fields: list[int] | None = None) -> Any:
    """A file of Arrow, read rather than mapped: mapped pages would count as memory for as long as it is open."""
    ipc = library("pyarrow.ipc")
    if names is not None:
        with _open_file(path) as file:
            fields = sorted(file.schema.get_field_index(name) for name in names)
    options = ipc.IpcReadOptions(included_fields=fields or [])
    return ipc.open_file(library("pyarrow").OSFile(path), options=options)


def _rows_of_batches(path: str, field: int) -> list[int]:
    """Rows of each record batch, for which one column has to be read."""
    with _open_file(path, fields=[field]) as file:
        return [file.get_batch(k).num_rows for k in range(file.num_record_batches)]


class ArrowStreams(TableReader):
    """Streams in files, one after another."""

    def __init__(self, stamps: list[Stamp], wish: Wish, group: int):
        super().__init__()
        self._stamps, self._group = stamps, group
        wanted: Wanted | None = None
        for each in stamps:
            found = wish.of(self._schema(each), each.path)
            wanted = wanted or found
            wanted.alike(found, each.path, stamps[0].path)
        assert wanted is not None
        self.wanted, self.names = wanted, wanted.features
        self._place = stamps[0].path

    def _schema(self, file: Stamp) -> Any:
        try:
            with library("pyarrow").OSFile(file.path) as source, library("pyarrow.ipc").open_stream(source) as stream:
                return stream.schema
        except _errors() as error:
            raise ValueError(f"{file.path}: this is neither a file nor a stream of Arrow: {error}") from error

    def _batches(self, course: Course) -> Iterator[Any]:
        pa = library("pyarrow")
        for file in self._stamps:
            course.begin(file.path)
            with pa.OSFile(file.path) as source, library("pyarrow.ipc").open_stream(source) as stream:
                while True:
                    file.check(course.now)
                    try:
                        batch = stream.read_next_batch()
                    except StopIteration:
                        break
                    except _errors() as error:
                        raise ValueError(f"{course.now}: it cannot be read, the stream may be cut: {error}") from error
                    course.read += batch.num_rows
                    yield pa.Table.from_batches([batch]).select(self.wanted.names)

    def stream(self) -> Iterator[Found]:
        course = Course()
        for table in regrouped(self._batches(course), self._group):
            self._place = course.hand(table.num_rows)
            yield self.wanted.found(table, self._place)
        if not course.read:
            raise ValueError(f"{self._stamps[0].path}: there are no rows.")

    def place(self, k: int) -> str:
        return self._place
