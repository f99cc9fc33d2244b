"""What a source of rows is."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import MISSING, dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp

from ._block import Block
from ._cache import open_cache
from ._map import MappedReader, arguments_of, function_identity
from ._reader import Reader

_FRAMES = (None, "pandas", "polars", "pyarrow")


def _short(value: Any) -> str:
    """A value in a repr: arrays by shape and dtype, functions by name."""
    if isinstance(value, np.ndarray) or sp.issparse(value):
        return f"<{value.shape} {value.dtype}>"
    if callable(value):
        return getattr(value, "__qualname__", type(value).__qualname__)
    return repr(value)


class Source(ABC):
    """Rows that are read block by block: what `fit` takes in place of arrays where data do not fit into memory.

    A source describes where rows are. It holds no open file, never changes, and can be read as often as wanted.

    See Also
    --------
    Parquet, CSV, Arrow, SVMLight, Npy : Files.
    Array, Batches : What is in memory, and what a function makes.

    Examples
    --------
    >>> import numpy as np
    >>> from fusedgrad.data import Array
    >>> source = Array(np.arange(6.0).reshape(3, 2), np.array([0, 1, 0]), group=2)
    >>> [block.X.tolist() for block in source.map(np.square)]
    [[[0.0, 1.0], [4.0, 9.0]], [[16.0, 25.0]]]
    """

    @abstractmethod
    def open(self) -> Reader:
        """Open the source, to read it.

        Returns
        -------
        reader : Reader
            A context manager.

        Raises
        ------
        FileNotFoundError
            If a file is not there.
        ValueError
            If files are broken, empty, or not alike.
        """

    @property
    @abstractmethod
    def identity(self) -> dict[str, Any]:
        """What is read, in terms of JSON: paths, sizes, times of change, options. Equal if the rows are the same."""

    lasting: ClassVar[bool] = False  # whether nobody can change what `whole` returns

    def whole(self) -> Block | None:
        """All rows, where they are in memory or can be mapped into it without being read; else None."""
        return None

    def map(self, function: Callable[..., Any], *, frame: str | None = None) -> Source:
        """Change rows while they are read.

        Parameters
        ----------
        function : callable
            ``function(X)`` returns another X with as many rows, such as the ``transform`` of a fitted scaler;
            ``function(X, y)`` returns ``(X, y)`` or ``(X, y, weight)``. The arguments that it must be given decide
            which. X is an array or a csr_array of some rows; it may be read-only.
        frame : {None, 'pandas', 'polars', 'pyarrow'}, default=None
            Hand the columns of X over as a data frame of this library, with their names and types: strings, dates and
            categories, too. Of sources with columns only. None: X in numbers.

        Returns
        -------
        source : Source
            The rows as the function returns them.

        Raises
        ------
        TypeError
            If the function takes other arguments.

        Examples
        --------
        >>> import numpy as np
        >>> from fusedgrad.data import Array
        >>> from sklearn.preprocessing import StandardScaler
        >>> source = Array(np.arange(6.0).reshape(3, 2))
        >>> scaler = StandardScaler()
        >>> for block in source:
        ...     scaler = scaler.partial_fit(block.X)
        >>> [block.X.round(2).tolist() for block in source.map(scaler.transform)]
        [[[-1.22, -1.22], [0.0, 0.0], [1.22, 1.22]]]
        """
        if frame not in _FRAMES:
            raise ValueError(f"frame must be None, 'pandas', 'polars' or 'pyarrow', not {frame!r}.")
        arguments_of(function)
        return Mapped(self, function, frame)

    def cache(self, path: str | os.PathLike[str]) -> Source:
        """Write the rows once, as they are trained on, and map them into memory from then on.

        Parameters
        ----------
        path : path
            A folder, which the first `open` writes: the bytes of X in rows (dense or CSR), targets and weights. It is
            there as a whole or not at all, and is written anew when what the source reads has changed.

        Returns
        -------
        source : Source
            The same rows in the same groups. Groups that the source knows only by reading are known from then on.

        Raises
        ------
        FileExistsError
            When it is opened: if something else is at this place.
        OSError
            When it is opened: if the rows cannot be written, because the disk is full, say.

        Notes
        -----
        Of functions, it is known whether their code has changed; of `Batches` only the function; of queries and streams
        of other libraries their text or their columns. Remove the folder where what lies behind them has changed.

        Examples
        --------
        >>> import tempfile
        >>> import numpy as np
        >>> from fusedgrad.data import Array
        >>> source = Array(np.ones((3, 2))).map(np.exp).cache(tempfile.mkdtemp() + "/rows")
        >>> [block.X.shape for block in source]
        [(3, 2)]
        """
        return Cached(self, as_path(path))

    def __iter__(self) -> Iterator[Block]:
        with self.open() as reader:
            yield from reader

    def __repr__(self) -> str:
        shown: list[str] = []
        described: Any = fields(self) if is_dataclass(self) else ()
        for field in described:
            value = getattr(self, field.name)
            required = field.default is MISSING
            changed = value is not None if field.default is None else required or value != field.default
            if field.repr and changed:
                shown.append(_short(value) if required else f"{field.name}={_short(value)}")
        return f"{type(self).__name__}({', '.join(shown)})"


@dataclass(frozen=True, eq=False, repr=False)
class Mapped(Source):
    """A source whose rows a function changes; see `Source.map`."""

    source: Source
    function: Callable[..., Any]
    frame: str | None = None

    def open(self) -> Reader:
        return MappedReader(self.source.open(), self.function, self.frame)

    @property
    def identity(self) -> dict[str, Any]:
        function = function_identity(self.function)
        return {"kind": "Mapped", "source": self.source.identity, "function": function, "frame": self.frame}

    def __repr__(self) -> str:
        frame = f", frame={self.frame!r}" if self.frame else ""
        return f"{self.source!r}.map({_short(self.function)}{frame})"


@dataclass(frozen=True, eq=False, repr=False)
class Cached(Source):
    """A source whose rows are written once; see `Source.cache`."""

    source: Source
    path: str
    lasting = True

    def open(self) -> Reader:
        return open_cache(self.path, self.source.identity, self.source.open)

    def whole(self) -> Block | None:
        with open_cache(self.path, self.source.identity, self.source.open) as reader:
            return reader.whole()

    @property
    def identity(self) -> dict[str, Any]:
        return {"kind": "Cached", "source": self.source.identity}

    def __repr__(self) -> str:
        return f"{self.source!r}.cache({self.path!r})"


def as_path(path: str | os.PathLike[str]) -> str:
    """An absolute path, so that a source means the same wherever the process goes.

    Raises
    ------
    ValueError
        If it is an address of something else than a file of this machine.
    """
    if "://" in str(path):
        raise ValueError(
            f"{path}: only files of this machine are read by their path. Hand over a data set of pyarrow: "
            "pyarrow.dataset.dataset(...) reads S3 and others."
        )
    return str(Path(path).expanduser().absolute())
