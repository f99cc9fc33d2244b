"""Rows of CSV files."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from numpy.typing import DTypeLike

from .._optional import library
from ._checks import check_group
from ._files import Paths, Stamp, as_paths, expand, identities, opened
from ._reader import Found, Reader
from ._source import Source
from ._tables import Course, Names, TableReader, Wanted, Wish, regrouped, settle_wish, wish_identity


@dataclass(frozen=True, eq=False, repr=False)
class CSV(Source):
    """Rows of CSV files, read piece by piece.

    Parameters
    ----------
    path : path, list of paths
        A file, which may be compressed (.gz, .bz2, .zst); a pattern such as 'data/*.csv', or a folder, whose files are
        read in alphabetical order; or files in the order of a list.
    target : str or list of str, default=None
        The column of y; a list: those of several outputs. Strings are labels.
    columns : list of str, default=None
        The features, in this order; None: all other columns.
    weight : str, default=None
        The column of the rows' weights.
    dtype : {'float32', 'float64'}, default='float64'
        Of X.
    group : int, default=65536
        Rows that are handed over together, >= 1.
    delimiter : str, default=','
        One character.
    names : list of str, default=None
        Names of the columns of files without a header; None: the first line of each file holds them.
    types : dict of str to str, default=None
        Types of columns by Arrow's names ('float64', 'int64', 'string', ...), where they cannot be told from the first
        megabyte. Features in which it holds numbers are float64 anyway.

    Raises
    ------
    ImportError
        If pyarrow is not installed.
    FileNotFoundError
        When it is opened: if there is no such file.
    ValueError
        When it is opened or read: if a file is empty, or has other columns than the first; if there is no such column;
        if a value is not what its column holds; if X would hold missing values, strings or dates.
    RuntimeError
        When it is read: if a file has changed since it was opened.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from fusedgrad.data import CSV
    >>> path = Path(tempfile.mkdtemp()) / "data.csv"
    >>> _ = path.write_text("size,rooms,sold\\n1.5,1,no\\n2.5,2,yes\\n")
    >>> for block in CSV(path, target="sold"):
    ...     print(block.X.tolist(), block.y)
    [[1.5, 1.0], [2.5, 2.0]] ['no' 'yes']
    """

    path: Any
    target: Names | None = None
    columns: Names | None = None
    weight: str | None = None
    dtype: DTypeLike | None = "float64"
    group: int = 65536
    delimiter: str = ","
    names: list[str] | None = None
    types: Mapping[str, str] | None = None
    _wish: Wish = field(default=Wish(), init=False, repr=False)

    def __post_init__(self) -> None:
        pa = library("pyarrow")
        paths: Paths = self.path
        object.__setattr__(self, "path", as_paths(paths))
        object.__setattr__(self, "group", check_group(self.group))
        if not isinstance(self.delimiter, str) or len(self.delimiter) != 1:
            raise ValueError(f"delimiter must be one character, not {self.delimiter!r}.")
        for name, type_ in (self.types or {}).items():
            try:
                pa.type_for_alias(type_)
            except ValueError:
                raise ValueError(f"types: {type_!r} (of {name!r}) is no type of Arrow; try 'float64'.") from None
        settle_wish(self)

    def open(self) -> Reader:
        return CSVReader([opened(path) for path in expand(self.path, ".csv")], self)

    @property
    def identity(self) -> dict[str, Any]:
        options = {
            "group": self.group,
            "delimiter": self.delimiter,
            "names": self.names,
            "types": None if self.types is None else dict(self.types),
        }
        files = identities(expand(self.path, ".csv"))
        return {"kind": "CSV", "files": files, **wish_identity(self._wish), **options}


class CSVReader(TableReader):
    """Lines of files, one file after another."""

    def __init__(self, stamps: list[Stamp], source: CSV):
        super().__init__()
        pa = library("pyarrow")
        self._stamps, self._source = stamps, source
        self._types = {name: pa.type_for_alias(type_) for name, type_ in (source.types or {}).items()}
        self._place = stamps[0].path
        self.wanted = self._first_columns(stamps[0])
        self.names = self.wanted.features
        for each in stamps[1:]:
            names = self._header(each).names
            for name in self.wanted.names:
                if name not in names:
                    raise ValueError(
                        f"{each.path}: there is no column {name!r}, which {stamps[0].path} has. All files must be "
                        "alike."
                    )

    def _first_columns(self, file: Stamp) -> Wanted:
        """The columns to read, and their types, by the first piece of the first file."""
        types = library("pyarrow").types
        guessed = self._source._wish.of(self._header(file), file.path)
        for name, type_ in guessed.types.items():
            numbers = types.is_integer(type_) or types.is_floating(type_) or types.is_null(type_)
            if numbers and name not in self._types and (name in guessed.features or not types.is_integer(type_)):
                self._types[name] = library("pyarrow").float64()
            self._types.setdefault(name, type_)
        wanted = [(name, self._types[name]) for name in guessed.names]
        return self._source._wish.of(library("pyarrow").schema(wanted), file.path)

    def _header(self, file: Stamp) -> Any:
        """The columns of a file, with types by its first piece."""
        try:
            with self._lines(file, {}, []) as lines:
                return lines.schema
        except (library("pyarrow").ArrowException, OSError) as error:
            raise ValueError(f"{file.path}: {_named(str(error), [])}") from error

    def _lines(self, file: Stamp, types: dict[str, Any], names: list[str], threads: bool = True) -> Any:
        """An open file, of which some columns are read; without names: all."""
        csv = library("pyarrow.csv")
        return csv.open_csv(
            file.path,
            read_options=csv.ReadOptions(use_threads=threads, column_names=self._source.names),
            parse_options=csv.ParseOptions(delimiter=self._source.delimiter),
            convert_options=csv.ConvertOptions(column_types=types, include_columns=names),
        )

    def _pieces(self, file: Stamp, course: Course, threads: bool) -> Iterator[Any]:
        with self._lines(file, self._types, self.wanted.names, threads) as lines:
            while True:
                file.check(course.now)
                try:
                    yield lines.read_next_batch()
                except StopIteration:
                    return

    def _raise(self, file: Stamp, error: BaseException) -> NoReturn:
        """Raise what went wrong, with the line: only reading on one thread tells it."""
        message, course = str(error), Course()
        course.begin(file.path)
        try:
            for _ in self._pieces(file, course, threads=False):
                pass
        except library("pyarrow").ArrowException as again:
            message = str(again)
        raise ValueError(
            f"{file.path}: {_named(message, self.wanted.names)} All rows must be like the first; where a type was told "
            "wrongly from the first rows, say what it is: types={'name': 'float64'}."
        ) from error

    def _batches(self, course: Course) -> Iterator[Any]:
        for file in self._stamps:
            course.begin(file.path)
            pieces = self._pieces(file, course, threads=True)
            while True:
                try:
                    batch = next(pieces, None)
                except library("pyarrow").ArrowException as error:
                    self._raise(file, error)
                if batch is None:
                    break
                course.read += batch.num_rows
                yield batch

    def stream(self) -> Iterator[Found]:
        course = Course()
        for table in regrouped(self._batches(course), self._source.group):
            self._place = course.hand(table.num_rows)
            yield self.wanted.found(table, self._place)
        if not course.read:
            raise ValueError(f"{self._stamps[0].path}: there are no rows.")

    def place(self, k: int) -> str:
        return self._place


def _in_lines(message: str) -> str:
    """A message that speaks of lines."""
    return re.sub(r"Row #(\d+)", r"line \1", message)


def _named(message: str, names: list[str]) -> str:
    """A message of Arrow that names the column in place of its number, and speaks of lines."""
    message = _in_lines(message)
    found = re.match(r"In CSV column #(\d+): (.*)", message, re.DOTALL)
    if found and int(found[1]) < len(names):
        message = f"column {names[int(found[1])]!r}: {found[2]}"
    return message if message.endswith(".") else f"{message}."
