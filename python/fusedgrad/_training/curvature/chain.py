"""Fits of one kind of model with many strengths of the penalty: each starts where the one before ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...exceptions import DivergedError
from ..records import LinearWeights, Result, Task
from ..resuming import never
from ..stopping import RUNNING
from .fit import Fit


def kind_of(task: Task) -> tuple[object, ...]:
    """Return what tasks of the same rows must have in common, for the weights of one to be a good start for another."""
    assert task.batches is not None
    weight = task.sample_weight
    return (
        task.objective.loss,
        tuple(sorted(task.objective.loss_parameters.items())),
        tuple(task.labels),
        task.batches.multinomial,
        tuple(task.side_weights),
        None if weight is None else weight.__array_interface__["data"][0],
    )


class Link:
    """One of the tasks: before, while and after it is trained.

    Attributes
    ----------
    stop_reason : str
        Whoever drops a task says so here.
    error : DivergedError or None
        Why there is no result.
    """

    def __init__(self, task: Task, name: str, verbose: int):
        self.task, self.name, self.verbose = task, name, verbose
        self.stop_reason = RUNNING
        self.error: DivergedError | None = None
        self.fit: Fit | None = None
        self._result: Result | None = None

    @property
    def ended(self) -> bool:
        return self.stop_reason != RUNNING

    def begin(self, check: Callable[[], None], threads: int, like: Link | None = None) -> None:
        """Begin where another one has ended."""
        if like is not None:
            self.task.start.coef, self.task.start.intercept = like.task.start.coef.copy(), like.task.start.intercept
        self.fit = Fit(self.task, check, threads)

    def snapshot(self) -> dict[str, Any]:
        """All that changes while it is trained."""
        if not self.ended:
            return {"fit": self.fit and self.fit.snapshot(), "end": None}
        result = self.result()
        return {"fit": None, "end": [self.error and str(self.error), result, self.task.start]}

    def restore(self, saved: Mapping[str, Any], check: Callable[[], None], threads: int) -> None:
        """Stand as when `snapshot` was taken."""
        if saved["fit"] is not None:
            self.fit = Fit(self.task, check, threads, saved["fit"])
        if saved["end"] is not None:
            error, result, weights = saved["end"]
            self.error = None if error is None else DivergedError(error)
            self._result = Result(**result)
            self.stop_reason = self._result.stop_reason
            vars(self.task.start).update(vars(LinearWeights(**weights)))

    @property
    def passes(self) -> float:
        """Over the rows, so far."""
        if self.fit is not None:
            return self.fit.solver.passes
        return self._result.passes[-1] if self._result is not None and self._result.passes else 0.0

    def iterate(self) -> None:
        """One iteration; what only training needs is given back after the last."""
        assert self.fit is not None
        self.fit.iterate()
        self.error = self.fit.error
        if self.verbose > 0 and self.error is None:
            self.fit.print_iteration(self.name)
        if self.fit.ended:
            self._result = self.fit.result()
            self.stop_reason, self.fit = self.fit.stop_reason, None

    def result(self) -> Result:
        """How it stands, with the weights in the task's `LinearWeights`."""
        if self._result is not None:
            return self._result
        assert self.fit is not None
        return replace(self.fit.result(), stop_reason=self.stop_reason)

    def prediction_weights(self) -> tuple[NDArray[Any], NDArray[np.float64]]:
        """The weights as they are now."""
        return (self.task.start.coef, self.task.start.intercept) if self.fit is None else self.fit.weights()


class Chain:
    """Tasks of one kind (see `kind_of`), in the order of their penalties, the strongest first.

    A stronger penalty makes smaller weights, from which it takes a few passes to those of a weaker one (Friedman,
    Hastie & Tibshirani, "Regularization paths for generalized linear models via coordinate descent", J. Stat. Software
    2010).

    Attributes
    ----------
    trainings : list of Link
        How each of them stands, in the order of the tasks.
    """

    def __init__(
        self,
        tasks: Sequence[Task],
        *,
        check: Callable[[], None],
        threads: int = 1,
        verbose: Sequence[int],
        names: Sequence[str],
    ):
        self._check, self._threads = check, threads
        self.trainings = [
            Link(task, f"{name}: ", level) for task, name, level in zip(tasks, names, verbose, strict=True)
        ]
        self._order = sorted(self.trainings, key=lambda link: -(link.task.objective.l1 + link.task.objective.l2))
        self._stopped = False

    @property
    def ended(self) -> bool:
        return all(link.ended for link in self.trainings)

    @property
    def memory(self) -> dict[str, int]:
        """Bytes of all weights; pairs and factors of a solver, at most (see `Auto`); one margin a row and output."""
        tasks = [link.task for link in self.trainings]
        outputs, features = tasks[0].start.coef.shape
        solver = tasks[0].batches.solver if tasks[0].batches is not None else None
        return {
            "weights": sum(task.start.coef.nbytes for task in tasks),
            "optimizer state": 0 if solver is None else solver.bytes_of(features, outputs),
            "batch": self._rows * outputs * tasks[0].X.dtype.itemsize,
        }

    @property
    def _rows(self) -> int:
        task = self.trainings[0].task
        return task.X.shape[0] if task.rows is None else len(task.rows)

    @property
    def made(self) -> tuple[float, float]:
        """Rows and passes so far."""
        passes = sum(link.passes for link in self.trainings)
        return self._rows * passes, passes

    def snapshot(self) -> list[dict[str, Any]]:
        """All that changes from iteration to iteration."""
        return [link.snapshot() for link in self.trainings]

    def restore(self, saved: list[dict[str, Any]]) -> None:
        """Stand as when `snapshot` was taken."""
        for link, state in zip(self.trainings, saved, strict=True):
            link.restore(state, self._check, self._threads)

    def run(self, iterations: int | None = None, pause: Callable[[], bool] = never) -> None:
        """Train one after the other to the end, or until `pause` says so after an iteration.

        With `iterations`: all side by side, each so many at most.
        """
        if iterations is not None:
            for _ in range(iterations):
                for link in self.trainings:
                    if not link.ended:
                        self._iterate(link, None)
            return
        last: Link | None = None
        for link in self._order:
            while not link.ended:
                self._iterate(link, last)
                if pause():
                    return
            last = link if link.error is None else last

    def _iterate(self, link: Link, last: Link | None) -> None:
        if self._stopped:
            raise KeyboardInterrupt
        if link.fit is None:
            link.begin(self._check, self._threads, last)
        link.iterate()

    def stop(self) -> None:
        """Interrupt `run` in another thread."""
        self._stopped = True
        for link in self.trainings:
            if (fit := link.fit) is not None:
                fit.solver.stop()
