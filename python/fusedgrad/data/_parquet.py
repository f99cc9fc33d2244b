"""Rows of Parquet files."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import DTypeLike

from .._optional import library
from ._block import Group
from ._files import Paths, Stamp, as_paths, expand, identities, opened
from ._reader import Found, Reader
from ._source import Source
from ._tables import Names, TableReader, Wanted, Wish, settle_wish, wish_identity

_OPEN_FILES = 4
_ENOUGH = 1_000_000  # values of a row group for which waking threads pays


@dataclass(frozen=True, eq=False, repr=False)
class Parquet(Source):
    """Rows of Parquet files, read row group by row group.

    Parameters
    ----------
    path : path, list of paths
        A file; a pattern such as 'data/*.parquet', or a folder, whose files are read in alphabetical order; or files in
        the order of a list.
    target : str or list of str, default=None
        The column of y; a list: those of several outputs. Strings, categories and booleans are labels.
    columns : list of str, default=None
        The features, in this order; None: all other columns.
    weight : str, default=None
        The column of the rows' weights.
    dtype : {'float32', 'float64'}, default=None
        Of X; None: float32 if it holds every number that the columns may have (float32, float16, booleans, integers of
        8 and 16 bits), else float64.

    Raises
    ------
    ImportError
        If pyarrow is not installed.
    FileNotFoundError
        When it is opened: if there is no such file.
    ValueError
        When it is opened or read: if a file is empty, truncated or no Parquet file, or has other columns than the
        first; if there is no such column; if X would hold missing values, strings, categories or dates.
    RuntimeError
        When it is read: if a file has changed since it was opened.

    Notes
    -----
    A row group is in memory as a whole, so its size decides how much memory training takes: 65,536 rows are plenty.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import pandas as pd
    >>> from fusedgrad.data import Parquet
    >>> path = Path(tempfile.mkdtemp()) / "data.parquet"
    >>> frame = pd.DataFrame({"size": [1.0, 2.0, 3.0], "rooms": [1, 2, 2], "price": [10.0, 19.0, 32.0]})
    >>> frame.to_parquet(path, row_group_size=2)
    >>> for block in Parquet(path, target="price"):
    ...     print(block.X.tolist(), block.y)
    [[1.0, 1.0], [2.0, 2.0]] [10. 19.]
    [[3.0, 2.0]] [32.]
    """

    path: Any
    target: Names | None = None
    columns: Names | None = None
    weight: str | None = None
    dtype: DTypeLike | None = None
    _wish: Wish = field(default=Wish(), init=False, repr=False)

    def __post_init__(self) -> None:
        library("pyarrow.parquet")
        paths: Paths = self.path
        object.__setattr__(self, "path", as_paths(paths))
        settle_wish(self)

    def open(self) -> Reader:
        return ParquetReader(expand(self.path, ".parquet"), self._wish)

    @property
    def identity(self) -> dict[str, Any]:
        files = identities(expand(self.path, ".parquet"))
        return {"kind": "Parquet", "files": files, **wish_identity(self._wish)}


class ParquetReader(TableReader):
    """Row groups of files."""

    def __init__(self, paths: list[str], wish: Wish):
        super().__init__()
        self._parquet = library("pyarrow.parquet")
        self._open: OrderedDict[int, Any] = OrderedDict()
        self._stamps: list[Stamp] = []
        self._places: list[tuple[int, int]] = []  # (file, row group) of each group
        wanted: Wanted | None = None
        rows = []
        try:
            for number, path in enumerate(paths):
                self._stamps.append(opened(path))
                file = self._file(number)
                found = wish.of(file.schema_arrow, path)
                if wanted is None:
                    wanted = found
                wanted.alike(found, path, paths[0])
                counts = [file.metadata.row_group(k).num_rows for k in range(file.num_row_groups)]
                self._places += [(number, k) for k, count in enumerate(counts) if count]
                rows += [count for count in counts if count]
        except BaseException:
            self.close()
            raise
        assert wanted is not None
        if not rows:
            raise ValueError(f"{paths[0]}: there are no rows{' in these files' if len(paths) > 1 else ''}.")
        self.wanted, self.names = wanted, wanted.features
        self.groups = [Group(count, count * wanted.row_bytes) for count in rows]

    def _file(self, number: int) -> Any:
        """An open file; a few stay open."""
        if number not in self._open:
            path = self._stamps[number].path
            try:
                self._open[number] = self._parquet.ParquetFile(path, pre_buffer=False)
            except (library("pyarrow").ArrowException, OSError) as error:
                raise ValueError(f"{path}: this is no Parquet file, or a truncated one: {error}") from error
            while len(self._open) > _OPEN_FILES:
                self._open.popitem(last=False)[1].close()
        self._open.move_to_end(number)
        return self._open[number]

    def find(self, k: int) -> Found:
        number, row_group = self._places[k]
        place = self.place(k)
        self._stamps[number].check(place)
        try:
            table = self._file(number).read_row_group(row_group, self.wanted.names, use_threads=self._is_large(k))
        except (library("pyarrow").ArrowException, OSError) as error:
            self._stamps[number].check(place)
            raise ValueError(f"{place}: the row group cannot be read, the file may be damaged: {error}") from error
        return self.wanted.found(table, place)

    def _is_large(self, k: int) -> bool:
        """Whether several threads read a group sooner than one."""
        assert self.groups is not None
        return self.groups[k].rows * len(self.wanted.names) > _ENOUGH

    def place(self, k: int) -> str:
        number, row_group = self._places[k]
        return f"{self._stamps[number].path}, row group {row_group}"

    def close(self) -> None:
        while self._open:
            self._open.popitem()[1].close()
