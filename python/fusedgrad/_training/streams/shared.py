"""What is known of rows that are read block by block: a sample of them, and totals of all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numpy.typing import NDArray

from ..arrays import batch_sizes
from ..minibatch_shared import Shared
from ..records import Task

_TELLING = 500  # rows of a sample for each weight, from which it tells how far all rows' optimum is


class StreamShared(Shared):
    """As of the rows of a task, which are a sample of its stream's."""

    def __init__(self, task: Task, check: Callable[[], None], threads: int):
        super().__init__(task, check, threads)
        assert task.batches is not None and task.stream is not None
        self.survey = task.stream.survey
        self.n = self.rows_counted = self.survey.rows
        self.sizes = batch_sizes(self.n, task.batches.size)

    def totals(self, weight: NDArray[Any] | None) -> Any:
        """Weight of the rows of each class code."""
        return self.survey.totals

    def mean_weight(self, weight: NDArray[Any]) -> float:
        """Over all rows."""
        return float(self.survey.totals.sum()) / self.n

    @property
    def tells(self) -> bool:
        """Whether the optimum of the sample is near that of all rows."""
        return self.survey.is_whole or len(self.survey.sample) >= _TELLING * self.task.X.shape[1]
