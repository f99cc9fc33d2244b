"""Rows in shards: what passes over all rows are sums over, wherever the rows are.

A shard is some rows of X in their order: how many is told by the shape of X alone. Sums over rows are sums over each
shard, added up in the order of a fixed tree. So the bits of a fit depend neither on who holds which shard, nor on how
many there are to work on them, nor on who is slow.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from .._validation.arrays import aligned, for_core
from ..data import digest

Floats = NDArray[np.float64]
Sums = tuple[Any, ...]  # of numbers and arrays

ENTRIES = 1 << 25  # of the rows of a dense shard, about
SPARSE_ROWS = 1 << 18  # of a sparse one
FEWEST, MOST = 1024, 1 << 20  # rows of a dense one


def rows_of_shard(features: int, *, sparse: bool) -> int:
    """The number of rows of a shard, but for the last one."""
    if sparse:
        return SPARSE_ROWS
    return int(min(max(1 << (max(1, ENTRIES // features).bit_length() - 1), FEWEST), MOST))


def bounds(n: int, features: int, *, sparse: bool) -> list[tuple[int, int]]:
    """The first row of each shard, and the row behind its last."""
    step = rows_of_shard(features, sparse=sparse)
    return [(first, min(first + step, n)) for first in range(0, n, step)]


def add(one: Sums, other: Sums) -> Sums:
    return tuple(part + term for part, term in zip(one, other, strict=True))


def tree_sum(parts: Sequence[Any], numbers: Sequence[int] | None = None) -> Any:
    """Add up neighbours by a binary tree over numbers: 0 and 1, 2 and 3, ..., then these sums in the same way.

    `numbers`, in order, say which of the leaves there are; None: all. The sum of 2^k leaves from a multiple of 2^k on
    is a part of the tree: whoever has these may add them up.
    """
    level = list(zip(range(len(parts)) if numbers is None else numbers, parts, strict=True))
    while len(level) > 1:
        above: list[tuple[int, Any]] = []
        for number, part in level:
            if above and above[-1][0] == number // 2:
                above[-1] = number // 2, add(above[-1][1], part)
            else:
                above.append((number // 2, part))
        level = above
    return level[0][1]


def aligned_in(value: Any) -> Any:
    """A value whose arrays begin where the core wants them, which those of another process may not."""
    if isinstance(value, np.ndarray):
        return aligned(value)
    if sp.issparse(value):
        return for_core(value)
    if isinstance(value, dict):
        return {key: aligned_in(part) for key, part in value.items()}
    if isinstance(value, tuple):
        parts = [aligned_in(part) for part in value]
        return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
    return value


class Listed(NamedTuple):
    """Rows by their numbers, and the arrays that they are found in."""

    X: Any
    y: NDArray[Any]
    weight: NDArray[Any] | None
    rows: NDArray[np.uint32]


class Made:
    """What was made of something, under tokens: the last used of it, for whoever needs the rest can make it again."""

    KEPT = 16

    def __init__(self) -> None:
        self._lock = Lock()
        self._made: dict[str, Any] = {}

    def get(self, token: str, make: Callable[[], Any]) -> Any:
        """What has this token; it is made if it is not there. One thread at a time."""
        with self._lock:
            found = self._made.pop(token) if token in self._made else make()
            self._made[token] = found
            if len(self._made) > self.KEPT:
                del self._made[next(iter(self._made))]
            return found


@dataclass
class Shard:
    """Rows that are together: those of X, or those of them that `rows` lists.

    `made` is what is made of it where it is, which does not go with it to another process.
    """

    X: Any
    y: NDArray[Any]
    weight: NDArray[Any] | None
    rows: NDArray[np.uint32] | None = None
    made: Made = field(default_factory=Made, repr=False, compare=False)

    def __getstate__(self) -> dict[str, Any]:
        return {name: part for name, part in vars(self).items() if name != "made"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update({name: aligned_in(part) for name, part in state.items()}, made=Made())

    def __len__(self) -> int:
        return self.X.shape[0] if self.rows is None else len(self.rows)

    def __sizeof__(self) -> int:
        """Bytes of the arrays, for schedulers that place it."""
        X = self.X
        parts = [X.data, X.indices, X.indptr] if sp.issparse(X) else [X]
        return int(sum(part.nbytes for part in (*parts, self.y, self.weight, self.rows) if part is not None))

    @property
    def listed(self) -> NDArray[np.uint32]:
        """The numbers of the rows in X."""
        return np.arange(self.X.shape[0], dtype=np.uint32) if self.rows is None else self.rows

    def of_rows(self, values: NDArray[Any]) -> NDArray[Any]:
        return values if self.rows is None else values[self.rows]


class Shards(ABC):
    """All rows of a fit.

    Functions get a shard and a number of threads, then what else is given to `map`. So do those of shards that have
    `become` something else.

    Attributes
    ----------
    sizes : list of int
        Rows of each; at least one.
    numbers : list of int
        Their places in the tree of sums.
    here : bool
        Whether the rows are in the memory of this process.
    """

    sizes: list[int]
    numbers: list[int]
    here: bool

    @property
    def n(self) -> int:
        return sum(self.sizes)

    @abstractmethod
    def map(self, function: Callable[..., Any], *args: Any, each: Sequence[Any] | None = None) -> list[Any]:
        """What the function returns for each shard, in their order; `each` has a last argument for each."""

    @abstractmethod
    def map_sum(self, function: Callable[..., Sums], *args: Any) -> Sums:
        """The sums over all shards of what the function returns, by `tree_sum`."""

    @abstractmethod
    def become(self, function: Callable[..., Any], *args: Any) -> Shards:
        """What the function makes of each shard, kept where that is."""

    @abstractmethod
    def send(self, value: Any) -> Any:
        """What to give `map` in place of a value that several calls need."""

    @abstractmethod
    def take(self, places: NDArray[np.intp]) -> Listed:
        """Some of the rows, by their places among all, in order."""

    @abstractmethod
    def pick(
        self, function: Callable[..., tuple[NDArray[np.intp], Any]], *args: Any, each: Sequence[Any]
    ) -> tuple[Listed, list[Any]]:
        """The rows whose places in their shard the function returns, in order, and what else it returns."""

    @abstractmethod
    def stop(self) -> None:
        """Interrupt the call that another thread is at: it raises KeyboardInterrupt."""

    def divided(self, places: NDArray[np.intp]) -> list[NDArray[np.intp]]:
        """Places among all, in order, as places in each shard."""
        return divided(places, self.sizes)


def divided(places: NDArray[np.intp], sizes: Sequence[int]) -> list[NDArray[np.intp]]:
    """Places in order, as places in each of several parts."""
    ends = np.cumsum(sizes)
    cuts = np.searchsorted(places, ends)
    firsts, begins = [0, *cuts[:-1]], [0, *ends[:-1]]
    return [places[a:b] - begin for a, b, begin in zip(firsts, cuts, begins, strict=True)]


class Local(Shards):
    """Rows in memory, one shard after the other on all threads.

    Attributes
    ----------
    shards : list
    """

    here = True

    def __init__(self, shards: list[Any], sizes: Sequence[int], numbers: Sequence[int], threads: int, whole: Listed):
        self.shards, self.threads, self._whole = shards, threads, whole
        self.sizes, self.numbers = list(sizes), list(numbers)
        self._stopped = False

    @classmethod
    def of(
        cls, X: Any, y: NDArray[Any], weight: NDArray[Any] | None, rows: NDArray[np.uint32] | None, threads: int
    ) -> Local:
        """Rows of X, or those that are listed, in order."""
        listed = np.arange(X.shape[0], dtype=np.uint32) if rows is None else rows
        shards, numbers = [], []
        for number, (first, end) in enumerate(bounds(*X.shape, sparse=sp.issparse(X))):
            own = None
            if rows is not None:
                own = (listed[np.searchsorted(listed, first) : np.searchsorted(listed, end)] - first).astype(np.uint32)
            if own is None or len(own):
                weights = None if weight is None else weight[first:end]
                shards.append(Shard(_rows(X, first, end), y[first:end], weights, own))
                numbers.append(number)
        return cls(shards, [len(shard) for shard in shards], numbers, threads, Listed(X, y, weight, listed))

    def map(self, function: Callable[..., Any], *args: Any, each: Sequence[Any] | None = None) -> list[Any]:
        found = []
        for k, shard in enumerate(self.shards):
            if self._stopped:
                raise KeyboardInterrupt
            found.append(function(shard, self.threads, *args, *(() if each is None else (each[k],))))
        return found

    def map_sum(self, function: Callable[..., Sums], *args: Any) -> Sums:
        return tuple(tree_sum(self.map(function, *args), self.numbers))

    def become(self, function: Callable[..., Any], *args: Any) -> Local:
        return Local(self.map(function, *args), self.sizes, self.numbers, self.threads, self._whole)

    def send(self, value: Any) -> Any:
        return value

    def take(self, places: NDArray[np.intp]) -> Listed:
        return self._whole._replace(rows=self._whole.rows[places])

    def pick(
        self, function: Callable[..., tuple[NDArray[np.intp], Any]], *args: Any, each: Sequence[Any]
    ) -> tuple[Listed, list[Any]]:
        found = self.map(function, *args, each=each)
        begins = np.cumsum([0, *self.sizes[:-1]])
        places = np.concatenate([begin + part for begin, (part, _) in zip(begins, found, strict=True)])
        return self.take(places), [rest for _, rest in found]

    def stop(self) -> None:
        self._stopped = True
        for shard in self.shards:
            if hasattr(shard, "stop"):
                shard.stop()


def _rows(X: Any, first: int, end: int) -> Any:
    """Some rows, without a copy of their entries: SciPy's constructor copies those of less than half of an array."""
    if not sp.issparse(X):
        return X[first:end]
    begin, behind = X.indptr[first], X.indptr[end]
    some = sp.csr_array((end - first, X.shape[1]), dtype=X.dtype)
    some.data, some.indices = X.data[begin:behind], X.indices[begin:behind]
    some.indptr = X.indptr[first : end + 1] - begin
    some.has_sorted_indices = X.has_sorted_indices
    return some


def digests_of(shard: Shard, threads: int) -> list[Any]:
    """What tells the rows of a shard from others."""
    return [None if part is None else digest(part) for part in (shard.X, shard.y, shard.weight)]
