"""Rows that a function of the user's makes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from ._convert import rows_of
from ._map import function_identity
from ._reader import Found, Reader
from ._source import Source


@dataclass(frozen=True, eq=False, repr=False)
class Batches(Source):
    """Rows that a function makes, batch by batch: from a database, a format of your own, a simulation.

    Parameters
    ----------
    factory : callable
        Without arguments, returns an iterator of X, ``(X, y)`` or ``(X, y, weight)``; it is called whenever the rows
        are read again. X (rows, features) is dense or sparse, y (rows,) or (rows, outputs), weight (rows,). All batches
        must be alike but for their number of rows. Each is a group.

    Raises
    ------
    TypeError
        If it is not callable: an iterator could be read only once.

    Examples
    --------
    >>> import numpy as np
    >>> from fusedgrad.data import Batches
    >>> def draw():
    ...     random = np.random.default_rng(0)
    ...     for _ in range(3):
    ...         X = random.normal(size=(100, 2))
    ...         yield X, X.sum(axis=1)
    >>> [block.X.shape for block in Batches(draw)]
    [(100, 2), (100, 2), (100, 2)]
    """

    factory: Callable[[], Iterable[Any]]

    def __post_init__(self) -> None:
        if not callable(self.factory):
            raise TypeError(
                f"Batches takes a function that returns an iterator, not {type(self.factory).__name__}: rows are read "
                "in every epoch. Give it a function, such as Batches(lambda: ...)."
            )

    def open(self) -> Reader:
        return BatchesReader(self.factory)

    @property
    def identity(self) -> dict[str, Any]:
        """The function, which is all that is known of the rows."""
        return {"kind": "Batches", "factory": function_identity(self.factory)}


class BatchesReader(Reader):
    """Batches as an iterator yields them."""

    def __init__(self, factory: Callable[[], Iterable[Any]]):
        super().__init__()
        self._factory = factory
        self._open: list[Any] = []

    def stream(self) -> Iterator[Found]:
        batches = iter(self._factory())
        self._open.append(batches)
        for k, batch in enumerate(batches):
            if not isinstance(batch, tuple):
                batch = (batch,)
            if not 1 <= len(batch) <= 3:
                raise ValueError(f"{self.place(k)}: expected X, (X, y) or (X, y, weight), not {len(batch)} values.")
            if rows_of(batch[0]):
                yield batch[0], *(*batch[1:], None, None)[:2]

    def numbers(self, X: Any, k: int) -> Any:
        return X

    def place(self, k: int) -> str:
        return f"batch {k}"

    def close(self) -> None:
        for batches in self._open:
            if hasattr(batches, "close"):
                batches.close()
        self._open.clear()
