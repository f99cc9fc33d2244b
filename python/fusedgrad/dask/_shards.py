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
from .._training.shards import FAN, Listed, Shard, Shards, Sums, add, aligned_in, tree_sum
from ._cluster import Cluster

SMALL = 1 << 16  # bytes that each call may take with it


class Step(NamedTuple):
    """What shards have become: a function of them and its arguments, made of a shard once, where that is."""

    token: str
    function: Callable[..., Any]
    args: tuple[Any, ...]


class Remote(Shards):
    """Futures of shards. Dask places the calls where the shards are, and makes those again that a worker takes along.

    Parameters
    ----------
    n_jobs : int or None
        Threads of each call: None: one, for Dask makes several calls side by side; -1: a worker's share for each of
        those.
    steps : sequence of Step
        What they have become, one after the other. It is kept beside a shard, and made again where that is made again.
    """

    here = False

    def __init__(
        self,
        cluster: Cluster,
        futures: Sequence[Any],
        sizes: Sequence[int],
        n_jobs: int | None = None,
        steps: Sequence[Sequence[Step]] | None = None,
    ):
        self.cluster, self.futures, self.sizes, self.n_jobs = cluster, list(futures), list(sizes), n_jobs
        self._steps: list[Sequence[Step]] = [()] * len(self.futures) if steps is None else list(steps)

    def _submit(self, function: Callable[..., Any], args: Sequence[Any], each: Sequence[Any] | None) -> list[Any]:
        last: Sequence[Any] = [()] * len(self.futures) if each is None else [(value,) for value in each]
        size = len(self.futures)
        call = functools.partial(on_worker, function, self.n_jobs)
        given = self.futures, self._steps, last, *([each] * size for each in args)
        return self.cluster.submit(function.__name__, call, *given)

    def only(self, places: Sequence[int]) -> Remote:
        """Some of the shards."""
        futures, sizes = [self.futures[k] for k in places], [self.sizes[k] for k in places]
        return Remote(self.cluster, futures, sizes, self.n_jobs, [self._steps[k] for k in places])

    def restricted(self, rows: NDArray[np.intp]) -> Remote:
        """Those of the rows that are listed, in order, of shards that have some."""
        each = self.divided(rows)
        places = [k for k, own in enumerate(each) if len(own)]
        sent = self.cluster.submit("send", _itself, [each[k].astype(np.uint32) for k in places])
        found = self.only(places)._become(listing, [(own,) for own in sent])
        found.sizes = [len(each[k]) for k in places]
        return found

    def map(self, function: Callable[..., Any], *args: Any, each: Sequence[Any] | None = None) -> list[Any]:
        return self.cluster.gather(self._submit(function, args, each))

    def map_sum(self, function: Callable[..., Sums], *args: Any) -> Sums:
        parts = self._submit(function, args, None)
        while len(parts) > FAN:
            neighbours = [parts[k : k + FAN] for k in range(0, len(parts), FAN)]
            parts = self.cluster.submit("add", add_all, neighbours)
        return tuple(tree_sum(self.cluster.gather(parts)))

    def become(self, function: Callable[..., Any], *args: Any) -> Remote:
        sent = self.cluster.submit("send", _itself, [args])[0] if _size(args) > SMALL else args
        return self._become(function, [sent] * len(self.futures))

    def _become(self, function: Callable[..., Any], args: Sequence[Any]) -> Remote:
        token = uuid.uuid4().hex
        steps = [(*before, Step(token, function, own)) for before, own in zip(self._steps, args, strict=True)]
        return Remote(self.cluster, self.futures, self.sizes, self.n_jobs, steps)

    def send(self, value: Any) -> Any:
        """The value, or if it is large a future of it, which other workers get from the first."""
        return self.cluster.submit("send", _itself, [value])[0] if _size(value) > SMALL else value

    def take(self, places: NDArray[np.intp]) -> Listed:
        each = self.divided(places)
        some = [k for k, own in enumerate(each) if len(own)]
        parts = self.only(some).map(rows_at, each=[each[k] for k in some])
        X = [part.X for part in parts]
        weights = [part.weight for part in parts if part.weight is not None]
        return Listed(
            sp.vstack(X, format="csr") if sp.issparse(X[0]) else np.concatenate(X),
            np.concatenate([part.y for part in parts]),
            np.concatenate(weights) if weights else None,
            np.arange(len(places), dtype=np.uint32),
        )

    def stop(self) -> None:
        self.cluster.stop()


def add_all(parts: Sequence[Sums]) -> Sums:
    return add(*parts)


def on_worker(
    function: Callable[..., Any],
    n_jobs: int | None,
    shard: Shard,
    steps: Sequence[Step],
    last: tuple[Any, ...],
    *args: Any,
) -> Any:
    """Call a function of what a shard has become, where that is, with its own arguments last."""
    threads = 1
    if n_jobs is not None:
        side_by_side = library("distributed", extra="dask").get_worker().state.nthreads if n_jobs < 0 else 1
        threads = max(1, requested(n_jobs) // side_by_side)
    become: Any = shard
    for step in steps:
        make = functools.partial(_made, step, become, threads)
        become = shard.made.get(step.token, make)
    return function(become, threads, *(aligned_in(part) for part in (*args, *last)))


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
