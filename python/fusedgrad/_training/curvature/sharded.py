"""The objective on rows in shards: as `passes`, with sums over all rows that are found shard by shard."""

from __future__ import annotations

import copy
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ... import _core
from ..._validation.arrays import as_core
from ..problem import Problem
from ..shards import Listed, Shard, Shards, Sums, divided
from .passes import SAMPLE, Bends, Data, Frame, Objective, Recipe, Some, bends_over, largest_entries, spread_places

Floats = NDArray[np.float64]


class Look(NamedTuple):
    """Where all shards are looked at: plain weights, and the way that losses with kinks are means over."""

    weights: Floats
    way: Floats | None


class Ways(NamedTuple):
    """What second derivatives are means over: see `Objective.bends`."""

    way: Floats
    widest: Floats | None


class Passing:
    """A shard on which passes are made. Weights of the last look are kept: what they gave need not be found again."""

    def __init__(self, shard: Shard, recipe: Recipe):
        self.shard, self.recipe = shard, recipe
        self._pass: Any = None
        self._look: Look | None = None
        self._bends: tuple[Ways, Floats] | None = None  # where the last look was

    def row_pass(self, threads: int) -> Any:
        """The pass over the rows, which borrows them."""
        if self._pass is None:
            shard = self.shard
            arrays = self.recipe.arrays(shard.X, shard.y, shard.weight, shard.rows, threads)
            self._pass = _core.RowPass(**arrays)
        return self._pass

    def evaluate(self, look: Look, threads: int) -> Sums:
        """Losses of each model and their gradient."""
        row_pass = self.row_pass(threads)
        if look.way is not None:
            row_pass.average_over(look.way)
        self._look = self._bends = None
        found = row_pass.evaluate(look.weights, threads)
        if found is None:
            raise KeyboardInterrupt
        self._look = look
        losses, gradient = found
        return losses, gradient

    def at(self, look: Look, threads: int) -> Any:
        """The pass, after a look there."""
        if self._look is None or not _same(self._look, look):
            self.evaluate(look, threads)
        return self.row_pass(threads)

    def bends(self, look: Look, ways: Ways, threads: int) -> Floats:
        """Second derivatives there, (rows, outputs)."""
        row_pass = self.at(look, threads)
        if self._bends is None or not _same(self._bends[0], ways):
            self._bends = ways, bends_over(row_pass, *ways, threads)
        return self._bends[1]

    def stop(self) -> None:
        if self._pass is not None:
            self._pass.stop()


def _same(one: tuple[Floats | None, ...], other: tuple[Floats | None, ...]) -> bool:
    """Whether arrays are equal, or missing in both."""
    return all(
        a is b or (a is not None and b is not None and np.array_equal(a, b)) for a, b in zip(one, other, strict=True)
    )


# ---- what is asked of each shard ----


def begin(shard: Shard, threads: int, recipe: Recipe) -> Passing:
    return Passing(shard, recipe)


def evaluate(passing: Passing, threads: int, look: Look) -> Sums:
    return passing.evaluate(look, threads)


def shifted(passing: Passing, threads: int, look: Look, way: Floats, shift: Floats) -> Sums:
    _, slopes, bends = passing.at(look, threads).shifted(shift, way, threads)
    return slopes, bends


def slacks(passing: Passing, threads: int, look: Look) -> Sums:
    losses, found = passing.at(look, threads).slacks(threads)
    return losses, found


def _bends(passing: Passing, threads: int, look: Look, ways: Ways, k: int | None = None) -> Floats:
    values = passing.bends(look, ways, threads)
    return values if k is None else np.ascontiguousarray(values[:, k : k + 1])


def _squares(passing: Passing, threads: int, bends: Floats) -> Floats:
    return passing.recipe.frame.squares(passing.shard.X, passing.shard.listed, bends, threads)


def squares(passing: Passing, threads: int) -> Sums:
    return (_squares(passing, threads, np.ones((len(passing.shard), passing.recipe.objective["outputs"]))),)


def curvature(passing: Passing, threads: int, look: Look, ways: Ways) -> Sums:
    """Of each output: sums of second derivatives, alone and times squared rows in units."""
    values = _bends(passing, threads, look, ways)
    return values.sum(axis=0), _squares(passing, threads, values)


def bent(passing: Passing, threads: int, look: Look, ways: Ways) -> tuple[NDArray[np.intp], Floats]:
    """How many rows bend for each output and, last, for any; and the sums of their second derivatives."""
    values = _bends(passing, threads, look, ways)
    rows = [*(values != 0.0).sum(axis=0), values.any(axis=1).sum()]
    return np.array(rows), np.append(values.sum(axis=0), values.sum())


def some_bent(
    passing: Passing, threads: int, look: Look, ways: Ways, k: int | None, places: NDArray[np.intp]
) -> tuple[NDArray[np.intp], Floats]:
    """Some of the rows that bend: their places in the shard, and their second derivatives."""
    values = _bends(passing, threads, look, ways, k)
    found = np.flatnonzero(values.any(axis=1))[places]
    return found, values[found]


def bends_at(passing: Passing, threads: int, look: Look, ways: Ways, places: NDArray[np.intp]) -> Floats:
    return _bends(passing, threads, look, ways)[places]


def largest(shard: Shard, threads: int) -> Floats:
    return largest_entries(shard.X)


# ---- what they are asked for ----


class ShardedData(Data):
    """What passes over any of the rows have in common."""

    def __init__(self, problem: Problem, threads: int, shards: Shards):
        self._know(problem, threads)
        self.n, self._rows = shards.n, shards
        self.X, self.core_X = problem.task.X, as_core(problem.task.X)  # all rows, where they are here
        self.rows = shards.take(np.arange(self.n)).rows if shards.here else np.empty(0, np.uint32)
        self.ascends = shards.here
        self.frame = self._frame()
        self.shards = shards.become(begin, self.recipe())

    def _frame(self) -> Frame:
        if self.sparse:
            return Frame.of_sparse(np.max(self._rows.map(largest), axis=0))
        some = self._rows.take(self.places(SAMPLE))
        return Frame.of(some.X[some.rows], centred=self.intercept)

    def objective(self, m: int) -> Objective:
        """On m rows, which are brought here, or on all."""
        if m >= self.n:
            return ShardedObjective(self)
        data, rows = self.some(self.places(m))
        return Objective(data, rows)

    def some(self, places: NDArray[np.intp]) -> tuple[Data, NDArray[Any]]:
        """Some of the rows, and the data that they are rows of."""
        block = self._rows.take(places)
        return self.of(block), block.rows

    def of(self, block: Listed) -> Data:
        """The data that some rows are rows of."""
        problem = copy.copy(self.problem)
        problem.task = problem.task._replace(X=block.X, y=block.y, sample_weight=block.weight)
        return Data(problem, self.threads, block.rows, self.frame)


class ShardedObjective(Objective):
    """Mean loss and penalty of all rows."""

    data: ShardedData

    def __init__(self, data: ShardedData):
        self.data, self.way, self.m = data, data.way, data.n
        self.shards = data.shards
        self._averaged: Floats | None = None
        self.look: Any = None

    def _evaluate(self, plain: Floats) -> tuple[Floats, Floats]:
        self.look = self.shards.send(Look(plain, self._averaged))
        losses, gradient = self.shards.map_sum(evaluate, self.look)
        return losses, gradient

    def _shifted(self, shift: Floats) -> tuple[Floats, Floats]:
        slopes, bends = self.shards.map_sum(shifted, self.look, self.way, shift.copy())
        return slopes, bends

    def _slacks(self) -> tuple[Floats, Floats]:
        losses, found = self.shards.map_sum(slacks, self.look)
        return losses, found

    def average_over(self, way: Floats) -> None:
        """Let losses with kinks be means over `way` (outputs,) to both sides, from the next look on."""
        self.way = self._averaged = way

    def bends(self, widest: Floats | None = None) -> Bends:
        """Second derivatives where the last look was; see `Objective.bends`."""
        return ShardedBends(self, Ways(self.way, widest))

    def squares(self) -> Floats:
        """Mean squared rows, in units: (features + 1, outputs)."""
        (found,) = self.shards.map_sum(squares)
        return np.asarray(found / self.m)

    def some(self, places: NDArray[np.intp]) -> tuple[Data, NDArray[Any]]:
        """Some of the rows, and the data that they are rows of."""
        return self.data.some(places)

    def stop(self) -> None:
        self.shards.stop()


class ShardedBends(Bends):
    """Second derivatives that stay where the rows are."""

    objective: ShardedObjective

    def __init__(self, objective: ShardedObjective, ways: Ways):
        self.objective, self._ways, self._look, self._shards = objective, ways, objective.look, objective.shards
        self._sums: Any = None
        self._bent: Any = None

    def _curvature(self) -> Sums:
        if self._sums is None:
            self._sums = self._shards.map_sum(curvature, self._look, self._ways)
        return tuple(self._sums)

    def means(self) -> Floats:
        """(outputs,)"""
        return np.asarray(self._curvature()[0] / self.objective.m)

    def squares(self, k: int | None = None) -> Floats:
        """Mean of them times squared rows, in units: (features + 1, outputs), or (features + 1, 1) of output k."""
        found = self._curvature()[1] / self.objective.m
        return np.asarray(found if k is None else found[:, k : k + 1])

    def some(self, most: int, k: int | None = None) -> Some:
        """At most so many of the rows that bend, evenly spread: for any output, or for output k."""
        if self._bent is None:
            self._bent = self._shards.map(bent, self._look, self._ways)
        column = -1 if k is None else k
        counts = [int(rows[column]) for rows, _ in self._bent]
        of, total = sum(counts), float(sum(sums[column] for _, sums in self._bent))
        chosen = divided(spread_places(of, most), counts)
        block, bends = self._shards.pick(some_bent, self._look, self._ways, k, each=chosen)
        return Some(self.objective.data.of(block), block.rows, np.concatenate(bends), of, total)

    def at(self, places: NDArray[np.intp]) -> Floats:
        """Those of some rows."""
        each = self._shards.divided(places)
        return np.concatenate(self._shards.map(bends_at, self._look, self._ways, each=each))
