"""What linear models have in common whose rows are in shards: as `Shared`, found shard by shard."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from .. import losses
from .minibatch_shared import Shared, largest_of
from .records import Task
from .shards import Shard, Shards, Sums
from .units import Numbers, Targets, targets_of_outputs

Floats = NDArray[np.float64]

_SAMPLE = 1 << 16  # targets whose quantile is taken for that of all


class SharedOfShards(Shared):
    """As `Shared`; if the rows are elsewhere, X and y of the task are some of them."""

    def __init__(self, task: Task, check: Callable[[], None], threads: int, shards: Shards):
        super().__init__(task, check, threads)
        self._shards = shards
        self.n = shards.n
        if not shards.here:
            self.rows_counted = self.n
        classes = max(2, len(task.labels)) if task.labels[0] >= 0 else 0
        entries, self._weight, self._of_classes = shards.map_sum(_known, classes)
        self.length = entries / self.n

    def _largest(self) -> tuple[int, float]:
        return max(self._shards.map(_largest), key=lambda each: abs(each[1]))

    def targets(self, weight: NDArray[Any] | None, loss: losses.Loss) -> Targets:
        """`targets_of_numbers`, of y."""
        outputs = 1 if self.task.y.ndim == 1 else self.task.y.shape[1]
        return targets_of_outputs(loss, [_InShards(self._shards, self._weight, k) for k in range(outputs)])

    def totals(self, weight: NDArray[Any] | None) -> Any:
        """Weight of the rows of each class code."""
        return self._of_classes

    def mean_weight(self, weight: NDArray[Any]) -> float:
        """Of the rows."""
        return float(self._weight / self.n)


class _InShards(Numbers):
    """Targets of output k in shards."""

    def __init__(self, shards: Shards, total: float, k: int):
        self._shards, self._total, self._k = shards, total, k

    def mean(self, function: Callable[[Floats], Floats]) -> float:
        (found,) = self._shards.map_sum(_sum_of, self._k, function)
        return float(found / self._total)

    def farthest(self, centre: float) -> float:
        return max(self._shards.map(_farthest, self._k, centre))

    def quantile(self, share: float) -> float:
        """Of some of them."""
        n = self._shards.n
        m = min(n, _SAMPLE)
        block = self._shards.take(np.arange(m) * n // m)
        of_block = Shard(block.X, block.y, block.weight, block.rows)
        return Numbers(_y(of_block, self._k), _weights(of_block)).quantile(share)


# ---- what is asked of each shard ----


def _y(shard: Shard, k: int) -> Floats:
    y = shard.of_rows(shard.y)
    return np.asarray(y if y.ndim == 1 else y[:, k], dtype=np.float64)


def _weights(shard: Shard) -> Floats:
    """That add up to 1."""
    if shard.weight is None:
        return np.full(len(shard), 1.0 / len(shard))
    weight = shard.of_rows(shard.weight).astype(np.float64)
    return weight / weight.sum() if weight.any() else np.full(len(weight), 1.0 / len(weight))


def _known(shard: Shard, threads: int, classes: int) -> Sums:
    """Entries of X, about; the weight of the rows, and of those of each class, if there are any."""
    entries = float(shard.X.nnz if sp.issparse(shard.X) else shard.X.size) * len(shard) / max(shard.X.shape[0], 1)
    weight = float(len(shard) if shard.weight is None else shard.of_rows(shard.weight).sum(dtype=np.float64))
    return entries, weight, totals_of(shard, threads, classes)[0] if classes else 0.0


def _largest(shard: Shard, threads: int) -> tuple[int, float]:
    return largest_of(shard.X)


def totals_of(shard: Shard, threads: int, classes: int) -> Sums:
    weight = None if shard.weight is None else shard.of_rows(shard.weight)
    return (np.bincount(shard.of_rows(shard.y).astype(np.intp), weights=weight, minlength=classes),)


def _sum_of(shard: Shard, threads: int, k: int, function: Callable[[Floats], Floats]) -> Sums:
    values = function(_y(shard, k))
    if shard.weight is not None:
        values = values * shard.of_rows(shard.weight).astype(np.float64)
    return (float(values.sum()),)


def _farthest(shard: Shard, threads: int, k: int, centre: float) -> float:
    return float(np.abs(_y(shard, k) - centre).max())
