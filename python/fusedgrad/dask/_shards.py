"""Shards on the workers of a cluster."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from .._optional import library
from .._threads import requested
from .._training.shards import FAN, Listed, Shard, Shards, Sums, add, aligned_in, tree_sum
from ._cluster import Cluster

_SMALL = 1 << 16  # bytes that each call may take with it


class Remote(Shards):
    """Futures of shards. Dask places the calls where the shards are, and makes those again that a worker takes along.

    Parameters
    ----------
    n_jobs : int or None
        Threads of each call: None: one, for Dask makes several calls side by side; -1: a worker's share for each of
        those.
    """

    here = False

    def __init__(self, cluster: Cluster, futures: Sequence[Any], sizes: Sequence[int], n_jobs: int | None = None):
        self.cluster, self.futures, self.sizes, self.n_jobs = cluster, list(futures), list(sizes), n_jobs

    def _submit(self, function: Callable[..., Any], args: Sequence[Any], each: Sequence[Any] | None) -> list[Any]:
        last: Sequence[Any] = [()] * len(self.futures) if each is None else [(value,) for value in each]
        size = len(self.futures)
        call = functools.partial(on_worker, function, self.n_jobs)
        return self.cluster.submit(function.__name__, call, self.futures, last, *([each] * size for each in args))

    def map(self, function: Callable[..., Any], *args: Any, each: Sequence[Any] | None = None) -> list[Any]:
        return self.cluster.gather(self._submit(function, args, each))

    def map_sum(self, function: Callable[..., Sums], *args: Any) -> Sums:
        parts = self._submit(function, args, None)
        while len(parts) > FAN:
            neighbours = [parts[k : k + FAN] for k in range(0, len(parts), FAN)]
            parts = self.cluster.submit("add", add_all, neighbours)
        return tuple(tree_sum(self.cluster.gather(parts)))

    def become(self, function: Callable[..., Any], *args: Any) -> Remote:
        return Remote(self.cluster, self._submit(function, args, None), self.sizes, self.n_jobs)

    def send(self, value: Any) -> Any:
        """The value, or if it is large a future of it, which other workers get from the first."""
        size = sum(part.nbytes for part in value if isinstance(part, np.ndarray))
        return self.cluster.submit("send", _itself, [value])[0] if size > _SMALL else value

    def take(self, places: NDArray[np.intp]) -> Listed:
        each = self.divided(places)
        some = [k for k, own in enumerate(each) if len(own)]
        of = Remote(self.cluster, [self.futures[k] for k in some], [self.sizes[k] for k in some], self.n_jobs)
        parts = of.map(rows_at, each=[each[k] for k in some])
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


def on_worker(function: Callable[..., Any], n_jobs: int | None, shard: Any, last: tuple[Any, ...], *args: Any) -> Any:
    """Call a function of a shard, where that is, with its own arguments last."""
    threads = 1
    if n_jobs is not None:
        side_by_side = library("distributed", extra="dask").get_worker().state.nthreads if n_jobs < 0 else 1
        threads = max(1, requested(n_jobs) // side_by_side)
    return function(shard, threads, *(aligned_in(part) for part in (*args, *last)))


def _itself(value: Any) -> Any:
    return value


def rows_at(shard: Shard, threads: int, places: NDArray[np.intp]) -> Shard:
    """Some of the rows that a shard lists."""
    rows = shard.listed[places]
    return Shard(shard.X[rows], shard.y[rows], None if shard.weight is None else shard.weight[rows])
