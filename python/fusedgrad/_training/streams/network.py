"""A network that is trained on a stream: the core's engine for block after block, on the arrays of all of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from numpy.typing import NDArray

from ...data import Block, Source
from ..arrays import batch_sizes
from ..network import Training, row_order
from ..network_records import Goal
from ..records import Progress
from .epoch import number_of
from .order import Order
from .stream import read
from .survey import Survey


class Rows(NamedTuple):
    """A block as the network takes it."""

    X: Any
    goal: Goal
    weight: NDArray[Any] | None


class NetworkStream(NamedTuple):
    """As `Stream`, for networks."""

    source: Source
    survey: Survey
    encode: Callable[[Block], Rows]


class StreamTraining(Training):
    """As `Training`; X, goal and weights are those of a sample of the stream's rows."""

    def __init__(self, *arguments: Any, stream: NetworkStream, **named: Any):
        super().__init__(*arguments, **named)
        self.stream = stream
        self.n = stream.survey.rows
        self.sizes = batch_sizes(self.n, self.settings.batch_size)
        self.goal.constants = None  # blocks have their own
        self.progress: Progress | None = None  # of an epoch that goes on where it was stopped

    def data(self) -> list[Any]:
        return [self.stream.source.identity]

    def _certain(self) -> int:
        return 1

    def restore(self, saved: dict[str, Any]) -> None:
        super().restore(saved)
        self.progress = None if saved["progress"] is None else Progress(*saved["progress"])

    def _skip_orders(self, epochs: int) -> None:
        """Blocks have orders of their own."""

    def _epochs(self, count: int) -> None:
        settings, state, factor = self.settings, self.state, self.goal.factor
        rates = settings.source.tables(state.step, self.sizes, self.t + 1, 1)
        before = len(self.curve)
        begun, self.progress = self.progress, None
        self.weights_ahead = begun is not None  # else they are what they were until the first block is here
        at = begun or Progress(carry=state.carry)
        whole, finite, interrupted = True, True, False
        shuffle = settings.order is not None
        order = Order(settings.batch_size, shuffle, settings.seed, self.stream.survey.row_bytes)
        try:
            with read(self.stream, order, state.epoch, at.blocks, at.rows) as ahead:
                for X, goal, weight in ahead:
                    if at.batches and at is not begun:
                        self._offer(at)
                    rows = X.shape[0]
                    sizes = batch_sizes(rows, settings.batch_size)
                    engine = self._engine(X, goal, weight, int(sizes[0]))
                    mixed = row_order(rows, settings.seed, number_of(state.epoch, at.blocks)) if shuffle else None
                    table = rates[at.batches : at.batches + len(sizes)]
                    first = state.step + 1 + at.batches
                    self.weights_ahead = True
                    outcome = engine.train(1, mixed, table, first, at.carry, self.threads)
                    made, steps, losses, penalties, carry, finite, interrupted = outcome
                    whole = bool(made)
                    constant = self._constant(goal, weight, sizes, mixed) / factor
                    at = Progress(
                        at.blocks + 1,
                        at.batches + steps,
                        at.rows + rows,
                        at.loss + (rows * (losses[0] + constant) if made else 0.0),
                        at.penalty + (rows * penalties[0] if made else 0.0),
                        carry,
                    )
                    if interrupted or not finite or not whole:
                        break
        except KeyboardInterrupt:  # while Python was at work: what the blocks so far have come to is kept
            if not at.batches:
                raise
            interrupted = True
        loss, penalty = at.loss / self.n, at.penalty / self.n
        made = int(whole and at.rows == self.n)
        self._take(None, rates, before, (made, at.batches, [loss], [penalty], at.carry, finite, interrupted))
