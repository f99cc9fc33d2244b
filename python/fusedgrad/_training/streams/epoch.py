"""An epoch of a stream: the mini-batch engine's, block after block."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import scipy.sparse as sp

from ... import _core
from ..._validation.arrays import as_core
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
    shuffle: int,
    threads: int,
    keep: Callable[[Any], None],
    progress: Progress | None = None,
    offer: Callable[[Progress], None] = lambda progress: None,
) -> tuple[int, int, bool, list[tuple[float, float, float, bool]]]:
    """Train for an epoch, as `_core.MiniBatch.epoch` does; `keep` gets the engine of each block before it runs.

    `progress` is where to go on from; `offer` hears of it after each block but the last.

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
                engine = _engine(task, block, training, shuffle=shuffle, threads=threads)
                keep(engine)
                count = -(-_rows_of(block) // task.batches.size)
                begun = first + at.batches, at.carry, rates[at.batches : at.batches + count], average_from
                batches, rows, interrupted, outcomes = engine.epoch(number_of(number, at.blocks), [begun], threads)
                ((loss, penalty, carry, finite),) = outcomes
                at = Progress(
                    at.blocks + 1,
                    at.batches + batches,
                    at.rows + rows,
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


def _rows_of(block: Encoded) -> int:
    return int(block.X.shape[0] if block.rows is None else len(block.rows))


def _engine(task: Task, block: Encoded, training: Training, *, shuffle: int, threads: int) -> Any:
    """The core's, for the rows of a block."""
    assert task.batches is not None
    return _core.MiniBatch(
        X=as_core(block.X),
        sorted=not sp.issparse(block.X) or bool(block.X.has_sorted_indices),
        rows=block.rows,
        y=block.y,
        coded=task.labels[0] >= 0,
        outputs=len(task.labels),
        batch_size=min(task.batches.size, _rows_of(block)),
        shuffle=shuffle,
        seed=task.seeds[0],
        threads=threads,
        models=[{**training.arguments(), "sample_weight": block.weight}],
    )
