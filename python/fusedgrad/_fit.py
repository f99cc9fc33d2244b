"""The bridge from estimators to the core: one `Task` in, one `Result` out."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _core
from ._callbacks import Epochs
from ._checks import as_core
from ._training.stopping import DIVERGED, INTERRUPTED, joint
from .exceptions import DivergedError
from .optimizers import Optimizer

# Columns of an epoch's record, as the core hands it over.
LOSS, OBJECTIVE, SCORE, VALIDATION_LOSS, NORM, NONZEROS, INTERCEPT = range(7)


@dataclass
class Start:
    """Weights of all outputs: where training starts, then where it ended. Arrays are the task's own."""

    coef: NDArray[Any]  # (n_outputs, n_features), in X's dtype
    intercept: NDArray[np.float64]  # (n_outputs,)
    average_coef: NDArray[Any] | None = None
    average_intercept: NDArray[np.float64] | None = None
    average_from: float = 0.0  # first step of the mean; 0: none
    t: float = 1.0  # rows seen so far, plus one
    steps: int = 0  # of the optimizer, so far: rows or mini-batches


@dataclass
class Validation:
    """Rows to score after each epoch: some rows of X (`held_out`), or a set of their own."""

    held_out: NDArray[np.bool_] | None = None
    X: Any = None
    y: NDArray[Any] | None = None
    sample_weight: NDArray[Any] | None = None


@dataclass(frozen=True)
class State:
    """What an optimizer knows after some steps; together with the weights it is all that training needs to go on.

    Attributes
    ----------
    optimizer : Optimizer
        Whose state it is.
    slots : tuple of ndarray of shape (n_features + 1, n_outputs)
        State of each parameter, as the rule keeps it; the intercepts come last.
    step, epoch : int
        Steps and epochs made.
    carry : float
        The number that the rule carries from step to step.
    rates : tuple of float
        What the source of the learning rates has learned.
    """

    optimizer: Optimizer
    slots: tuple[NDArray[Any], ...]
    step: int = 0
    epoch: int = 0
    carry: float = 1.0
    rates: tuple[float, ...] = ()

    def fits(self, optimizer: Optimizer, shape: tuple[int, int]) -> bool:
        """Whether another optimizer can go on from here, for weights of this shape."""
        return self.optimizer == optimizer and all(slot.shape == shape for slot in self.slots)


@dataclass(frozen=True)
class Batches:
    """How a task is trained in mini-batches.

    Attributes
    ----------
    size : int
        Rows of a batch.
    optimizer : Optimizer
        The update rule.
    rate : str, float, schedule or callable
        The estimator's `learning_rate`.
    multinomial, positive : bool
        One softmax for all outputs; coefficients that are not negative.
    normalise : bool
        Whether weights count relative to their mean.
    state : State or None
        Where to go on from.
    """

    size: int
    optimizer: Optimizer
    rate: Any
    multinomial: bool
    positive: bool
    normalise: bool
    state: State | None


@dataclass
class Task:
    """Everything the core needs for a fit of one or more outputs over one X."""

    plan: dict[str, Any]
    X: Any
    y: NDArray[Any]  # targets, or class codes where labels say which code is positive
    sample_weight: NDArray[Any] | None
    start: Start
    labels: Sequence[int]  # one an output; -1: y holds the targets themselves
    side_weights: Sequence[tuple[float, float]]  # class weights of the negative and the positive side
    seeds: Sequence[int]
    validation: Validation | None = None
    batches: Batches | None = None  # None: one sample a step
    rows: NDArray[Any] | None = None  # those to train on, of batches; None: all


@dataclass
class Result:
    """How a fit ended. The weights stand in the task's `Start`."""

    n_iter: int
    stop_reason: str
    loss_curve: list[float]
    validation_scores: list[float] | None
    validation_loss_curve: list[float] | None
    optimizer_state: State | None = None


def run(
    task: Task,
    *,
    epochs: Epochs,
    fitted: Callable[[Result], dict[str, Any]],
    threads: int = 1,
    verbose: int = 0,
    names: Sequence[str] = ("",),
) -> Result:
    """Train, in place of `task.start`; with listeners to `epochs`, stopping after each to tell them what was `fitted`.

    Raises
    ------
    ValueError
        If the weights overflow.
    """
    start, validation = task.start, task.validation or Validation()
    session = _core.Session(
        plan={**task.plan, "average_from": start.average_from, "detail": verbose > 0},
        X=as_core(task.X),
        y=task.y,
        sample_weight=task.sample_weight,
        held_out=validation.held_out,
        X_val=None if validation.X is None else as_core(validation.X),
        y_val=validation.y,
        sample_weight_val=validation.sample_weight,
        labels=list(task.labels),
        side_weights=list(task.side_weights),
        seeds=list(task.seeds),
        coef=start.coef,
        intercept=start.intercept,
        average_coef=start.average_coef,
        average_intercept=start.average_intercept,
        t=start.t,
    )
    look = _narrator(names, task) if verbose > 0 else None
    steps = start.t

    def result() -> Result:
        ended = _result(task, session.reports(), interrupted=state == "interrupted")
        start.t = steps + ended.n_iter * task.X.shape[0]
        start.steps = int(start.t) - 1
        return ended

    state, stop = "paused", False
    while state == "paused" and not stop:
        epochs.begin()
        state = session.run(threads, look, 1 if epochs else 0)
        stop = epochs.end(None if state == "interrupted" else lambda: fitted(result()))
    return result()


def _result(task: Task, reports: list[tuple[str, list[Any]]], *, interrupted: bool) -> Result:
    stops = [stop for stop, _ in reports]
    histories = [history for _, history in reports]
    if DIVERGED in stops:
        epoch = len(histories[stops.index(DIVERGED)])
        raise DivergedError(
            f"Floating-point under-/overflow occurred at epoch #{epoch}. Scaling input data with StandardScaler "
            f"or MinMaxScaler might help. So might a smaller eta0 (it was {task.plan['eta0']:g}, with "
            f"learning_rate={task.plan['learning_rate']!r}).",
            loss_curve=_mean_curve(histories, OBJECTIVE),
            epoch=epoch,
        )
    validated = task.validation is not None
    return Result(
        n_iter=max(map(len, histories)),
        stop_reason=INTERRUPTED if interrupted else joint(stops),
        loss_curve=_mean_curve(histories, OBJECTIVE),
        validation_scores=_mean_curve(histories, SCORE) if validated else None,
        validation_loss_curve=_mean_curve(histories, VALIDATION_LOSS) if validated else None,
    )


def _mean_curve(histories: list[list[Any]], column: int) -> list[float]:
    """Mean over the outputs; one that has stopped counts with its last value."""
    histories = [history for history in histories if history]
    if len(histories) == 1:
        return [record[column] for record in histories[0]]
    length = max(map(len, histories), default=0)
    return [float(np.mean([history[min(k, len(history) - 1)][column] for history in histories])) for k in range(length)]


def _narrator(names: Sequence[str], task: Task) -> Callable[[int, list[Any]], None]:
    """What ``verbose`` prints: scikit-learn's lines, an epoch at a time."""
    began = time.monotonic()
    told = [0] * len(names)
    rows = task.X.shape[0]
    if task.validation is not None and task.validation.held_out is not None:
        rows -= int(task.validation.held_out.sum())

    def look(output: int, epochs: list[Any]) -> None:
        for record in epochs:
            told[output] += 1
            print(f"-- Epoch {told[output]}{names[output]}")
            score = f", Validation score: {record[SCORE]:f}" if task.validation is not None else ""
            print(
                f"Norm: {record[NORM]:.2f}, NNZs: {record[NONZEROS]}, Bias: {record[INTERCEPT]:.6f}, "
                f"T: {told[output] * rows}, Avg. loss: {record[LOSS]:f}, Objective: {record[OBJECTIVE]:f}{score}"
            )
            print(f"Total training time: {time.monotonic() - began:.2f} seconds.")

    return look
