"""An epoch of a stream: the mini-batch engine's, block after block."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..records import Progress, Task
from .order import Order
from .stream import Encoded

if TYPE_CHECKING:
    from ..minibatch_training import Training

_BLOCKS = 24  # bits of a number that tell blocks of an epoch from each other


def number_of(epoch: int, block: int) -> int:
    """The number by which a block of an epoch is shuffled."""
    return epoch << _BLOCKS | block


def blocks_of_epoch(
    task: Task,
    training: Training,
    *,
    threads: int,
    make: Callable[[Encoded, list[dict[str, Any]], int], Any],
    progress: Progress | None = None,
    offer: Callable[[Progress], None] = lambda progress: None,
) -> tuple[int, int, bool, list[tuple[float, float, float, bool]]]:
    """Train for an epoch, as `_core.MiniBatch.epoch` does.

    `make` returns the engine of a block, for models and a size of batches. `progress` is where to go on from; `offer`
    hears of it after each block but the last.

    What it returns: batches, rows, whether it was interrupted, and for the model the sum of the losses, the mean
    penalty, the rule's carry, and whether all is finite.
    """
    assert task.batches is not None and task.stream is not None
    first, carry, rates, average_from = training.begin_epoch()
    number = training.state.epoch
    at = progress or Progress(carry=carry)
    interrupted, finite = False, True
    order = Order(task.batches.size, bool(task.shuffle), task.seeds[0], task.stream.survey.row_bytes)
    try:
        with task.stream.blocks(order, number, at.blocks, at.rows) as ahead:
            for block in ahead:
                if at.batches and at is not progress:
                    offer(at)
                rows = block.n
                models = [{**training.arguments(), "sample_weight": block.weight}]
                engine = make(block, models, min(task.batches.size, rows))
                count = -(-rows // task.batches.size)
                begun = first + at.batches, at.carry, rates[at.batches : at.batches + count], average_from
                batches, learned, interrupted, outcomes = engine.epoch(number_of(number, at.blocks), [begun], threads)
                ((loss, penalty, carry, finite),) = outcomes
                at = Progress(
                    at.blocks + 1,
                    at.batches + batches,
                    at.rows + learned,
                    at.loss + loss,
                    at.penalty + batches * penalty,
                    carry,
                )
                if interrupted or not finite:
                    break
    except KeyboardInterrupt:  # while Python was at work: what the blocks so far have come to is kept
        if not at.batches:
            raise
        interrupted = True
    return at.batches, at.rows, interrupted, [(at.loss, at.penalty / max(at.batches, 1), at.carry, finite)]
