"""Shards on the workers of a cluster."""

from __future__ import annotations

import functools
import uuid
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from .._optional import library
from .._threads import requested
from .._training.shards import Listed, Shard, Shards, Sums, aligned_in, tree_sum
from ._cluster import Cluster

SMALL = 1 << 16  # bytes that each call may take with it
FAN = 8  # groups whose sums are added up by a call: a power of two
GATHERED = 32  # sums that the client adds up itself, at most
_CALL = 0.04  # of the time that a shard takes, for Dask's part in a call


class Step(NamedTuple):
    """What shards have become: a function of them and its arguments, made of a shard once, where that is."""

    token: str
    function: Callable[..., Any]
    args: tuple[Any, ...]


class Group(NamedTuple):
    """Shards that are together on a worker: which of those that a future holds, with what they have become.

    Attributes
    ----------
    future : distributed.Future
        Of a list of shards, 2^k of them from a multiple of 2^k on.
    places : list of int
        Those that count, in the list.
    numbers : list of int
        Their places in the tree of sums.
    steps : list of sequence of Step
    """

    future: Any
    places: list[int]
    numbers: list[int]
    steps: list[Sequence[Step]]


class Remote(Shards):
    """Shards on workers, where Dask places calls of them, and makes those again that a worker takes along.

    Parameters
    ----------
    groups : sequence of Group
    sizes : sequence of int
        Rows of each shard.
    width : int
        Shards of a whole group.
    n_jobs : int or None
        Threads of each call: None: one, for Dask makes several calls side by side; -1: a worker's share for each of
        those.
    """

    here = False

    def __init__(
        self, cluster: Cluster, groups: Sequence[Group], sizes: Sequence[int], width: int, n_jobs: int | None = None
    ):
        self.cluster, self.groups, self.width, self.n_jobs = cluster, list(groups), width, n_jobs
        self.sizes = list(sizes)
        self.numbers = [number for group in groups for number in group.numbers]

    def _of_groups(self, values: Sequence[Any]) -> list[Sequence[Any]]:
        """Those of shards, as those of groups."""
        ends = np.cumsum([len(group.places) for group in self.groups])
        return [values[end - len(group.places) : end] for group, end in zip(self.groups, ends, strict=True)]

    def _submit(
        self, call: Callable[..., Any], function: Callable[..., Any], args: Sequence[Any], each: Sequence[Any] | None
    ) -> list[Any]:
        """A call for each group; `each` has a last argument for each shard."""
        count = len(self.numbers)
        last = self._of_groups([()] * count if each is None else [(value,) for value in each])
        columns = zip(*((group.future, group.places, group.numbers, group.steps) for group in self.groups), strict=True)
        given = [*map(list, columns), last, *([value] * len(self.groups) for value in args)]
        return self.cluster.submit(function.__name__, functools.partial(call, function, self.n_jobs), *given)

    def only(self, places: Sequence[int]) -> Remote:
        """Some of the shards."""
        chosen = set(places)
        found = []
        for group, own in zip(self.groups, self._of_groups(range(len(self.numbers))), strict=True):
            kept = [k for k, place in enumerate(own) if place in chosen]
            if kept:
                of = Group(group.future, [], [], [])
                for k in kept:
                    of.places.append(group.places[k])
                    of.numbers.append(group.numbers[k])
                    of.steps.append(group.steps[k])
                found.append(of)
        return Remote(self.cluster, found, [self.sizes[k] for k in sorted(chosen)], self.width, self.n_jobs)

    def restricted(self, rows: NDArray[np.intp]) -> Remote:
        """Those of the rows that are listed, in order, of shards that have some."""
        each = self.divided(rows)
        places = [k for k, own in enumerate(each) if len(own)]
        sent = self.cluster.submit("send", _itself, [each[k].astype(np.uint32) for k in places])
        found = self.only(places)._become(listing, [(own,) for own in sent])
        found.sizes = [len(each[k]) for k in places]
        return found

    def map(self, function: Callable[..., Any], *args: Any, each: Sequence[Any] | None = None) -> list[Any]:
        found = self.cluster.gather(self._submit(mapped, function, args, each))
        return [value for of_group in found for value in of_group]

    def map_sum(self, function: Callable[..., Sums], *args: Any) -> Sums:
        parts = self._submit(summed, function, args, None)
        numbers = [group.numbers[0] // self.width for group in self.groups]
        while len(parts) > GATHERED:
            neighbours: dict[int, list[Any]] = {}
            for number, part in zip(numbers, parts, strict=True):
                neighbours.setdefault(number // FAN, []).append((number, part))
            lists = [[[number for number, _ in some], [part for _, part in some]] for some in neighbours.values()]
            parts, numbers = self.cluster.submit("add", add_all, lists), list(neighbours)
        return tuple(tree_sum(self.cluster.gather(parts), numbers))

    def become(self, function: Callable[..., Any], *args: Any) -> Remote:
        (sent,) = self.cluster.submit("send", _itself, [args])  # not with each call: what they pickle takes time
        return self._become(function, [sent] * len(self.numbers))

    def _become(self, function: Callable[..., Any], args: Sequence[Any]) -> Remote:
        token = uuid.uuid4().hex
        groups = [
            group._replace(
                steps=[(*before, Step(token, function, own)) for before, own in zip(group.steps, of_group, strict=True)]
            )
            for group, of_group in zip(self.groups, self._of_groups(args), strict=True)
        ]
        return Remote(self.cluster, groups, self.sizes, self.width, self.n_jobs)

    def send(self, value: Any) -> Any:
        """The value, or if it is large a future of it, which other workers get from the first."""
        return self.cluster.submit("send", _itself, [value])[0] if _size(value) > SMALL else value

    def take(self, places: NDArray[np.intp]) -> Listed:
        each = self.divided(places)
        some = [k for k, own in enumerate(each) if len(own)] or [0]
        return _together(self.only(some).map(rows_at, each=[each[k] for k in some]))

    def pick(
        self, function: Callable[..., tuple[NDArray[np.intp], Any]], *args: Any, each: Sequence[Any]
    ) -> tuple[Listed, list[Any]]:
        some = [k for k, own in enumerate(each) if len(own)] or [0]
        found = self.only(some).map(picked, function, *args, each=[each[k] for k in some])
        return _together([shard for shard, _ in found]), [rest for _, rest in found]

    def stop(self) -> None:
        self.cluster.stop()


def width_of(shards: int, workers: int) -> int:
    """How many shards make a group, for so many calls side by side: a power of two, for the least time of a pass.

    A call costs about `_CALL` of what a shard takes; who has a group more than others is waited for.
    """
    widths = [1 << k for k in range(8)]
    calls = [-(-shards // width) for width in widths]
    costs = [-(-count // max(workers, 1)) * width + _CALL * count for count, width in zip(calls, widths, strict=True)]
    return widths[costs.index(min(costs))]


def _together(parts: Sequence[Shard]) -> Listed:
    X = [part.X for part in parts]
    weights = [part.weight for part in parts if part.weight is not None]
    return Listed(
        sp.vstack(X, format="csr") if sp.issparse(X[0]) else np.concatenate(X),
        np.concatenate([part.y for part in parts]),
        np.concatenate(weights) if weights else None,
        np.arange(sum(len(part) for part in parts), dtype=np.uint32),
    )


# ---- what workers do ----


def add_all(part: tuple[list[int], list[Sums]]) -> Sums:
    numbers, sums = part
    return tuple(tree_sum(sums, numbers))


def mapped(
    function: Callable[..., Any],
    n_jobs: int | None,
    shards: Sequence[Shard],
    places: Sequence[int],
    numbers: Sequence[int],
    steps: Sequence[Sequence[Step]],
    last: Sequence[tuple[Any, ...]],
    *args: Any,
) -> list[Any]:
    """Call a function of what shards have become, where they are, with their own arguments last."""
    threads = 1
    if n_jobs is not None:
        side_by_side = library("distributed", extra="dask").get_worker().state.nthreads if n_jobs < 0 else 1
        threads = max(1, requested(n_jobs) // side_by_side)
    args = tuple(aligned_in(part) for part in args)
    return [
        function(_became(shards[place], own, threads), threads, *args, *(aligned_in(part) for part in rest))
        for place, own, rest in zip(places, steps, last, strict=True)
    ]


def summed(
    function: Callable[..., Sums], n_jobs: int | None, shards: Any, places: Any, numbers: Sequence[int], *given: Any
) -> Sums:
    """The sum of what a function returns for each."""
    return tuple(tree_sum(mapped(function, n_jobs, shards, places, numbers, *given), numbers))


def _became(shard: Shard, steps: Sequence[Step], threads: int) -> Any:
    become: Any = shard
    for step in steps:
        become = shard.made.get(step.token, functools.partial(_made, step, become, threads))
    return become


def _made(step: Step, of: Any, threads: int) -> Any:
    return step.function(of, threads, *(aligned_in(part) for part in step.args))


def _itself(value: Any) -> Any:
    return value


def _size(value: Any) -> int:
    """Bytes of the arrays in it, about."""
    if isinstance(value, np.ndarray):
        return int(value.nbytes)
    if isinstance(value, dict):
        return sum(_size(part) for part in value.values())
    return sum(_size(part) for part in value) if isinstance(value, (tuple, list)) else 0


def listing(shard: Shard, threads: int, rows: NDArray[np.uint32]) -> Shard:
    return Shard(shard.X, shard.y, shard.weight, rows)


def rows_at(shard: Shard, threads: int, places: NDArray[np.intp]) -> Shard:
    """Some of the rows that a shard lists."""
    rows = shard.listed[places]
    return Shard(shard.X[rows], shard.y[rows], None if shard.weight is None else shard.weight[rows])


def picked(become: Any, threads: int, function: Callable[..., Any], *args: Any) -> tuple[Shard, Any]:
    """The rows whose places a function returns, and what else it does."""
    places, rest = function(become, threads, *args)
    return rows_at(getattr(become, "shard", become), threads, places), rest
