"""Rows of Dask's collections, cut into shards: a function of their number, not of the partitions that they come in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.utils import assert_all_finite, check_array

from .. import _core
from .._optional import library
from .._training.shards import Shard, bounds
from .._validation.arrays import for_core, numbers_of
from ..data import Block, Source
from ._cluster import Cluster
from ._shards import Group, Remote, width_of

_FEW = 20  # classes, whose first rows are looked for one by one


def is_collection(X: Any) -> bool:
    """Whether X is a collection of Dask, with rows in partitions."""
    return hasattr(X, "__dask_graph__") and hasattr(X, "to_delayed")


class Part(NamedTuple):
    """Rows of a partition: some of those of the delayed object, or value, that holds them."""

    of: Any
    first: int
    end: int


class Partitions(NamedTuple):
    """Delayed partitions, in order, and how many rows they have."""

    parts: list[Any]
    rows: list[int]

    def cut(self, first: int, end: int) -> list[Part]:
        """Rows first, ..., end - 1."""
        found, begin = [], 0
        for part, rows in zip(self.parts, self.rows, strict=True):
            a, b = max(first, begin), min(end, begin + rows)
            if a < b:
                found.append(Part(part, a - begin, b - begin))
            begin += rows
        return found

    @property
    def n(self) -> int:
        return sum(self.rows)


class Kind(NamedTuple):
    """What is known of X.

    Attributes
    ----------
    dtype : dtype
        As it is trained on.
    names : list of str or None
        Of the columns, where X is a data frame.
    """

    features: int
    dtype: Any
    sparse: bool
    names: list[str] | None


class Table(NamedTuple):
    """What a fit is given: partitions of X, y and weights."""

    X: Partitions
    y: Partitions
    weight: Partitions | None
    kind: Kind


def table_of_source(source: Source) -> Table:
    """What the groups of a source hold, which are read where they are needed.

    Raises
    ------
    ValueError
        If its groups, or its targets, are not known.
    """
    delayed = library("dask", extra="dask").delayed
    with source.open() as reader:
        groups, names = reader.groups, reader.names
        if groups is None:
            raise ValueError(
                f"The groups of {source} are only known by reading it. Write it to Parquet, or .cache(...)."
            )
        first = reader.group(0) if groups else None
    if first is None or first.y is None:
        raise ValueError(f"{source} has no {'rows' if first is None else 'targets: say which column they are'}.")
    blocks = [delayed(_read, pure=False)(source, k) for k in range(len(groups))]
    rows = [group.rows for group in groups]

    def part(name: str) -> Partitions:
        return Partitions([delayed(getattr, pure=False)(block, name) for block in blocks], rows)

    weight = None if first.weight is None else part("weight")
    kind = Kind(int(first.X.shape[1]), first.X.dtype, sp.issparse(first.X), names)
    return Table(part("X"), part("y"), weight, kind)


def _read(source: Source, k: int) -> Block:
    with source.open() as reader:
        return reader.group(k)


def table_of(cluster: Cluster, X: Any, y: Any, weight: Any) -> Table:
    """What collections hold.

    Raises
    ------
    ValueError
        If they have not as many rows as each other, or X has no rows or no columns, or y is missing.
    TypeError
        If y or weights are something else than X, which is no array either.
    """
    if y is None:
        raise ValueError("y is missing: give a collection of Dask with a target for each row of X.")
    X = _one_block_wide(X)
    rows = _partitions(cluster, X)
    found = Table(
        rows,
        _partitions(cluster, y, like=rows),
        None if weight is None else _partitions(cluster, weight, like=rows),
        Kind(int(X.shape[1]), _dtype(X._meta), sp.issparse(X._meta), _names(X)),
    )
    for name, of in (("y", found.y), ("sample_weight", found.weight)):
        if of is not None and of.n != rows.n:
            raise ValueError(f"X has {rows.n} rows, but {name} has {of.n}. Give as many of each.")
    if not rows.n or not found.kind.features:
        raise ValueError(f"X has {rows.n} rows and {found.kind.features} columns: there is nothing to learn from.")
    return found


def _one_block_wide(X: Any) -> Any:
    if hasattr(X, "columns"):
        return X
    if X.ndim != 2:
        raise ValueError(f"X must have two dimensions, rows and columns; it has {X.ndim}. Use X.reshape(-1, 1).")
    return X.rechunk({1: X.shape[1]}) if X.numblocks[1] > 1 else X


def _names(X: Any) -> list[str] | None:
    """Of the columns; as of scikit-learn's data frames, if all are strings."""
    names = list(getattr(X, "columns", []))
    return names if names and all(isinstance(name, str) for name in names) else None


def _dtype(meta: Any) -> Any:
    """float32 where all columns are, else float64, as elsewhere."""
    dtypes = list(meta.dtypes) if hasattr(meta, "columns") else [meta.dtype]
    return np.dtype(np.float32) if all(dtype == np.float32 for dtype in dtypes) else np.dtype(np.float64)


def _partitions(cluster: Cluster, values: Any, like: Partitions | None = None) -> Partitions:
    """Of a collection; of an array as those of X."""
    if not is_collection(values):
        if like is None or np.ndim(values) == 0:
            raise TypeError(f"Expected a collection of Dask or an array, got {type(values).__name__}.")
        values = np.asarray(values)
        ends = np.cumsum(like.rows)
        parts = [values[end - rows : end] for rows, end in zip(like.rows, ends, strict=True)]
        return Partitions(parts, [len(part) for part in parts[:-1]] + [len(values) - int(ends[-1]) + len(parts[-1])])
    chunks = getattr(values, "chunks", None)
    if chunks is not None and not any(np.isnan(rows) for rows in chunks[0]):
        return Partitions(list(np.ravel(values.to_delayed())), [int(rows) for rows in chunks[0]])
    values = cluster.client.persist(values)  # once: its rows are counted, then taken
    parts = list(np.ravel(values.to_delayed()))
    delayed = library("dask", extra="dask").delayed
    counts = cluster.client.compute([delayed(_rows)(part) for part in parts], retries=cluster.retries)
    return Partitions(parts, cluster.gather(counts))


def _rows(part: Any) -> int:
    return int(part.shape[0])


def shards_of(cluster: Cluster, table: Table, n_jobs: int | None) -> Remote:
    """Shards of raw rows: targets as they are."""
    kind = table.kind
    delayed = library("dask", extra="dask").delayed
    made, sizes = [], []
    for first, end in bounds(table.X.n, kind.features, sparse=kind.sparse):
        given = [None if of is None else of.cut(first, end) for of in (table.X, table.y, table.weight)]
        lists = [None if parts is None else [part.of for part in parts] for parts in given]
        places = [None if parts is None else [(part.first, part.end) for part in parts] for parts in given]
        made.append((lists, places))
        sizes.append(end - first)
    width = width_of(len(made), cluster.threads)
    some = [made[k : k + width] for k in range(0, len(made), width)]
    groups = [delayed(_shards, pure=False)(kind.dtype, kind.sparse, parts) for parts in some]
    futures = cluster.client.compute(groups, retries=cluster.retries)
    numbers = [list(range(k, min(k + width, len(made)))) for k in range(0, len(made), width)]
    placed = [Group(f, [*range(len(own))], own, [()] * len(own)) for f, own in zip(futures, numbers, strict=True)]
    return Remote(cluster, placed, sizes, width, n_jobs)


def _shards(dtype: Any, sparse: bool, parts: Sequence[tuple[Any, Any]]) -> list[Shard]:
    return [_shard(dtype, sparse, lists, places) for lists, places in parts]


def _shard(dtype: Any, sparse: bool, lists: Sequence[Any], places: Sequence[Any]) -> Shard:
    """Rows of some partitions, put together. Those of one partition as a whole are not copied."""
    X, y, weight = (
        None if parts is None else [_some(part, *place) for part, place in zip(parts, where, strict=True)]
        for parts, where in zip(lists, places, strict=True)
    )
    rows = [_numbers(part, dtype) for part in X or ()]
    if any(sp.issparse(part) != sparse for part in rows):
        kind = "dense" if sparse else "sparse"
        raise ValueError(
            f"Blocks of X are {kind}, but its meta is not. Say what they are where X is made: "
            "map_blocks(..., meta=...)."
        )
    return Shard(
        rows[0] if len(rows) == 1 else sp.vstack(rows, format="csr") if sp.issparse(rows[0]) else np.concatenate(rows),
        _joined(y or ()),
        None if weight is None else _joined(weight),
    )


def _some(part: Any, first: int, end: int) -> Any:
    if first == 0 and end == part.shape[0]:
        return part
    return part.iloc[first:end] if hasattr(part, "iloc") else part[first:end]


def _numbers(X: Any, dtype: Any) -> Any:
    """Rows of X as the core takes them."""
    checked = check_array(
        numbers_of(X), accept_sparse="csr", dtype=[dtype], order="C", ensure_all_finite=False, ensure_min_samples=0
    )
    return for_core(checked)


def _joined(parts: Sequence[Any]) -> NDArray[Any]:
    arrays = [np.asarray(part) for part in parts]
    joined = arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
    return joined[:, 0] if joined.ndim == 2 and joined.shape[1] == 1 else joined


# ---- what is asked of raw shards ----


class Seen(NamedTuple):
    """What a shard of raw rows has: its classes with their first rows, and the sum of its weights."""

    labels: NDArray[Any] | None
    first: NDArray[np.intp]
    weight: float


def look_at(shard: Shard, threads: int, name: str, classes_of: Callable[[Any], Any] | None) -> Seen:
    """Whether rows can be learned from.

    Raises
    ------
    ValueError
        If numbers of X, y or weights are not finite, or weights negative.
    """
    values = shard.X.data if sp.issparse(shard.X) else shard.X
    if not _core.all_finite(values, threads):
        assert_all_finite(values, input_name="X", estimator_name=name)
    if shard.y.dtype.kind == "f":
        assert_all_finite(shard.y, input_name="y")
    total = float(len(shard))
    if shard.weight is not None:
        assert_all_finite(shard.weight, input_name="sample_weight")
        if shard.weight.ndim != 1:
            raise ValueError(f"sample_weight must be one-dimensional; got {shard.weight.ndim} dimensions.")
        if shard.weight.min(initial=0.0) < 0:
            raise ValueError(
                "Negative values in data passed to `sample_weight`: the smallest is "
                f"{shard.weight.min():g}. Weights must be >= 0; 0 leaves a row out."
            )
        total = float(shard.weight.sum(dtype=np.float64))
    if classes_of is None:
        return Seen(None, np.zeros(1, np.intp), total)
    labels = classes_of(shard.y)
    first = [int(np.argmax(shard.y == label)) for label in labels] if len(labels) < _FEW else None
    return Seen(labels, np.unique(shard.y, return_index=True)[1] if first is None else np.array(first), total)
