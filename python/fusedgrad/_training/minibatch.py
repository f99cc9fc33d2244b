"""The mini-batch engine's training loop: epochs in the core; rates, history, validation and stopping here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp

from .. import _core
from .._validation.arrays import as_core
from .callbacks import Epochs
from .minibatch_shared import Shared
from .minibatch_training import RETREATS, Training
from .records import Progress, Result, Task
from .resuming import Resumable, never
from .stopping import EARLY_STOPPING, INTERRUPTED
from .streams.epoch import blocks_of_epoch
from .streams.shared import StreamShared
from .streams.stream import Encoded

_SHUFFLES = {False: 0, True: 1, "rows": 2}


def run(
    task: Task,
    *,
    epochs: Epochs,
    fitted: Callable[[Result], dict[str, Any]],
    check: Callable[[], None],
    threads: int = 1,
    verbose: int = 0,
    resumable: Resumable | None = None,
) -> Result:
    """Train, in place of `task.start`. As `sequential.run`, for a task with `batches`.

    `resumable` knows where to go on from, and hears how training stands.

    X need not have been searched for NaN and infinity, because the first epoch reads all of it, and its loss is finite
    only if X is. If it is not, `check` is to raise the error.

    Raises
    ------
    ValueError
        If X is not finite, the weights overflow, or a schedule gives a rate that is not a number in [0, inf).
    """
    together = Pass([task], check=check, threads=threads, verbose=[verbose])
    (training,) = together.trainings
    if resumable is not None:
        together.resumable = resumable
        if resumable.saved is not None:
            together.progress = training.restore(resumable.saved)
    while not training.ended:
        epochs.begin()
        try:
            training.save_checkpoint()
            together.epoch()
        except KeyboardInterrupt:  # while Python was at work, not the core, which looks for signals
            if training.checkpoint is None:  # no epoch is complete
                raise
            training.restore_checkpoint()
        if training.error is not None:
            raise training.error
        interrupted = training.stop_reason == INTERRUPTED
        if epochs.end(None if interrupted else lambda: fitted(training.result())):
            training.stop_reason = EARLY_STOPPING
        if not training.ended:
            together.offer(None)
    return training.result()


def stream_of(task: Task) -> tuple[Any, ...]:
    """Return what tasks must have in common to be trained in one pass, besides X and y."""
    assert task.batches is not None
    held_out = None if task.validation is None else task.validation.held_out
    return (
        task.batches.size,
        task.shuffle,
        task.seeds[0],
        None if held_out is None else held_out.tobytes(),
        0 if task.batches.state is None else task.batches.state.epoch,
    )


class Pass:
    """Tasks of one stream of rows (see `stream_of`), trained side by side; each as if it were alone.

    Parameters
    ----------
    tasks : list of Task
        Tasks with the same X and y.
    check : callable
        Raises the error if X is not finite.
    threads : int
    verbose : list of int, default=()
        Whether to print a line an epoch, for each task.
    names : list of str, default=()
        What those lines call the tasks.

    Attributes
    ----------
    trainings : list of Training
        How each of them stands.
    """

    def __init__(
        self,
        tasks: list[Task],
        *,
        check: Callable[[], None],
        threads: int = 1,
        verbose: Sequence[int] = (),
        names: Sequence[str] = (),
    ):
        shared = (Shared if tasks[0].stream is None else StreamShared)(tasks[0], check, threads)
        self.task, self.shared, self.threads = tasks[0], shared, threads
        self.trainings = [Training(task, shared) for task in tasks]
        for training, level in zip(self.trainings, verbose, strict=False):
            training.verbose = level
        for training, name in zip(self.trainings, names, strict=False):
            training.name = f"{name}: "
        self._engines: dict[tuple[int, ...], Any] = {}
        self._stopped = False
        self.resumable: Resumable | None = None
        self.progress: Progress | None = None  # of an epoch that goes on where it was stopped

    def offer(self, progress: Progress | None) -> None:
        """Let checkpoints be written of the only training; `progress` is that of an epoch on its way."""
        if self.resumable is not None:
            (training,) = self.trainings
            rows = self.shared.rows_counted * training.state.epoch + (0 if progress is None else progress.rows)
            self.resumable.offer(rows, training.state.epoch, lambda: training.snapshot(progress))

    @property
    def ended(self) -> bool:
        return all(training.ended for training in self.trainings)

    @property
    def memory(self) -> dict[str, int]:
        """Bytes of all weights, of the optimizers' state, and of the values of one batch."""
        each = [training.memory for training in self.trainings]
        total = {part: sum(memory[part] for memory in each) for part in each[0]}
        return {**total, "batch": total["batch"] + self.shared.row_bytes * int(self.shared.sizes[0])}

    def _engine(self, trainings: list[Training]) -> Any:
        """The core's, for those who train; the last one is kept, because it mostly serves again."""
        key = tuple(map(id, trainings))
        if key not in self._engines:
            shared, task = self.shared, self.task
            given = Encoded(task.X, task.y, task.sample_weight, shared.rows)
            models = [training.arguments() for training in trainings]
            self._engines = {key: self._of_rows(given, models, int(shared.sizes[0]))}
            if self._stopped:
                self.stop()
        return self._engines[key]

    def _of_rows(self, given: Encoded, models: list[dict[str, Any]], batch_size: int) -> Any:
        """The core's engine for some rows."""
        task = self.task
        return _core.MiniBatch(
            X=as_core(given.X),
            sorted=not sp.issparse(given.X) or bool(given.X.has_sorted_indices),
            rows=given.rows,
            y=given.y,
            coded=task.labels[0] >= 0,
            outputs=len(task.labels),
            batch_size=batch_size,
            shuffle=_SHUFFLES[task.shuffle],
            seed=task.seeds[0],
            threads=self.threads,
            models=models,
        )

    def epoch(self) -> None:
        """One epoch of all who train, then what it means to each. Those whose rates were far too large try again."""
        trainings = [training for training in self.trainings if not training.ended]
        for training in trainings:
            if self.progress is None:
                training.save_weights()
        attempt = 0
        while trainings:
            batches, rows, interrupted, outcomes = self._learn(trainings)
            again = []
            for training, (loss, penalty, carry, finite) in zip(trainings, outcomes, strict=True):
                objective = (loss / max(rows, 1) + penalty) / training.shares
                if finite and np.isfinite(objective):
                    training.end_epoch(batches, objective, carry, interrupted=interrupted)
                elif training.retries_after_overflow(first=attempt == 0, last=attempt == RETREATS):
                    again.append(training)
            trainings, attempt = again, attempt + 1

    def _learn(self, trainings: list[Training]) -> tuple[int, int, bool, list[tuple[float, float, float, bool]]]:
        """Batches and rows of an epoch, whether it was interrupted, and of each loss, penalty, carry, finiteness."""
        if self.task.stream is None:
            begun = [training.begin_epoch() for training in trainings]
            of_epoch: Any = self._engine(trainings).epoch(trainings[0].state.epoch, begun, self.threads)
            return of_epoch
        (training,) = trainings
        progress, self.progress = self.progress, None
        return blocks_of_epoch(
            self.task,
            training,
            threads=self.threads,
            make=self._of_block,
            progress=progress,
            offer=self.offer,
        )

    def _of_block(self, given: Encoded, models: list[dict[str, Any]], batch_size: int) -> Any:
        """The engine for a block, which `stop` interrupts."""
        engine = self._of_rows(given, models, batch_size)
        self._engines = {(): engine}
        if self._stopped:
            engine.stop()
        return engine

    @property
    def made(self) -> tuple[float, float]:
        """Rows and epochs so far."""
        epochs = max(len(training.curve) for training in self.trainings)
        return self.shared.rows_counted * epochs, epochs

    def snapshot(self) -> list[dict[str, Any]]:
        """All that changes from epoch to epoch."""
        return [training.snapshot(None) for training in self.trainings]

    def restore(self, saved: list[dict[str, Any]]) -> None:
        """Stand as when `snapshot` was taken."""
        for training, state in zip(self.trainings, saved, strict=True):
            training.restore(state)

    def run(self, epochs: int | None = None, pause: Callable[[], bool] = never) -> None:
        """Train to the end, or for so many epochs at most, or until `pause` says so after one.

        Raises
        ------
        KeyboardInterrupt
            After Ctrl-C.
        """
        made = 0
        while not self.ended and made != epochs:
            self.epoch()
            made += 1
            if any(training.stop_reason == INTERRUPTED for training in self.trainings):
                raise KeyboardInterrupt
            if pause():
                return

    def stop(self) -> None:
        """Interrupt the epoch that another thread is in."""
        self._stopped = True
        for engine in self._engines.values():
            engine.stop()
