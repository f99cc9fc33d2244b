"""Rows as they are given, in shards: looked at once, not yet encoded."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._training.shards import Listed, Shard
from .._validation.classes import classes_of
from .._validation.weights import check_weights
from ..data import Source
from ..optimizers import Auto
from ._cluster import Cluster
from ._rows import Kind, Seen, look_at, shards_of, table_of, table_of_source
from ._shards import Remote

_SAMPLE = 2048  # rows that stand for all where a fit begins
_GATHERED = 2 << 30  # bytes of wide sparse rows that are brought to the client
_FACTORED = 1000  # columns, beyond which rows may be wide


class Raw(NamedTuple):
    """Raw shards, and what is known of them."""

    kind: Kind
    shards: Remote
    seen: list[Seen]

    @classmethod
    def of(cls, estimator: Any, X: Any, y: Any, weight: Any, cluster: Cluster) -> Raw:
        """Of collections of Dask, or of a source.

        Raises
        ------
        ValueError
            If an estimator cannot learn from them.
        """
        table = table_of_source(X) if isinstance(X, Source) else table_of(cluster, X, y, weight)
        shards = shards_of(cluster, table, estimator.n_jobs)
        labels = classes_of if estimator.__sklearn_tags__().estimator_type == "classifier" else None
        seen = shards.map(look_at, type(estimator).__name__, labels)
        if not sum(each.weight for each in seen) > 0.0:
            raise ValueError(
                "sample_weight is zero for every sample, so there is nothing to learn. Give some a positive weight."
            )
        return cls(table.kind, shards, seen)  # partitions are let go of

    def are_gathered(self, optimizer: Any) -> bool:
        """Whether rows are better off in one place: if there are few, or for dual ascent, which takes them in turn."""
        kind, shards = self.kind, self.shards
        if len(shards.sizes) == 1:
            return True
        wide = kind.sparse and kind.features > _FACTORED and shards.n < 2 * kind.features
        return wide and isinstance(optimizer, Auto) and sum(shards.map(_bytes)) <= _GATHERED

    def rows(self) -> Listed:
        """All of them."""
        return self.shards.take(np.arange(self.shards.n))

    def some(self) -> Listed:
        """Rows that stand for all: evenly spread ones, and one of each class."""
        n, m = self.shards.n, min(self.shards.n, _SAMPLE)
        first: dict[Any, int] = {}
        for begin, each in zip(np.cumsum([0, *self.shards.sizes[:-1]]), self.seen, strict=True):
            for label, place in zip([] if each.labels is None else each.labels.tolist(), each.first, strict=False):
                first.setdefault(label, int(begin + place))
        places = np.unique(np.concatenate([np.arange(m) * n // m, list(first.values())]))
        return self.shards.take(places.astype(np.intp))

    def targets(self) -> tuple[NDArray[Any], NDArray[Any] | None]:
        """Targets and weights of all rows."""
        parts = self.shards.map(_targets)
        weights = [weight for _, weight in parts if weight is not None]
        return np.concatenate([y for y, _ in parts]), np.concatenate(weights) if weights else None


def encoder(model: Any, classes: Any) -> Any:
    """An estimator that knows no more of a model than its targets need: parameters may be what no worker can take."""
    bare = type(model)(model.loss)
    if classes is not None:
        bare.classes_ = classes
    return bare


def encoded(shard: Shard, threads: int, model: Any, dtype: Any) -> Shard:
    """A shard with targets and weights as a model trains on them."""
    return Shard(shard.X, model._targets(shard.y, dtype, "y"), check_weights(shard.weight, shard.X, zeros=True))


def _bytes(shard: Shard, threads: int) -> int:
    return shard.__sizeof__()


def _targets(shard: Shard, threads: int) -> tuple[NDArray[Any], NDArray[Any] | None]:
    return shard.y, shard.weight
