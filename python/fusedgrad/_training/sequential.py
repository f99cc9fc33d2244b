"""Training one sample a step: a `Task` in, a `Result` out; epochs, validation and stopping are the core's."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import _core
from .._validation.arrays import as_core
from ..exceptions import DivergedError
from .callbacks import Epochs
from .records import Result, Task, Validation
from .stopping import DIVERGED, INTERRUPTED, joint

# Columns of an epoch's record, as the core hands it over.
LOSS, OBJECTIVE, SCORE, VALIDATION_LOSS, NORM, NONZEROS, INTERCEPT = range(7)


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
    start = task.start
    session = _core.Session(**_arguments(task, detail=verbose > 0))
    report = _printer(names, task) if verbose > 0 else None
    steps = start.t

    def result() -> Result:
        ended = _result(task, session.reports(), interrupted=state == "interrupted")
        start.t = steps + ended.n_iter * task.X.shape[0]
        start.steps = int(start.t) - 1
        return ended

    state, stop = "paused", False
    while state == "paused" and not stop:
        epochs.begin()
        state = session.run(threads, report, 1 if epochs else 0)
        stop = epochs.end(None if state == "interrupted" else lambda: fitted(result()))
    return result()


def _arguments(task: Task, *, detail: bool) -> dict[str, Any]:
    """The task as the core takes it; `detail`: with the norms that are printed."""
    start, validation, stopping = task.start, task.validation or Validation(), task.stopping
    objective, rates = task.objective, task.rates
    return {
        "plan": {
            "loss": objective.loss,
            "loss_parameters": objective.loss_parameters,
            "l2": objective.l2,
            "l1": objective.l1,
            "offset_rate": objective.offset_rate,
            "regression": objective.regression,
            "learning_rate": rates.learning_rate,
            "eta0": rates.eta0,
            "power_t": rates.power_t,
            "alpha": rates.alpha,
            "intercept_decay": task.intercept_decay,
            "shuffle": task.shuffle,
            "average_from": start.average_from,
            "max_iter": stopping.max_epochs,
            "n_iter_no_change": stopping.patience,
            "tol": stopping.tol,
            "early_stopping": stopping.by_score,
            "restore_best_weights": task.restore_best,
            "detail": detail,
        },
        "X": as_core(task.X),
        "y": task.y,
        "sample_weight": task.sample_weight,
        "held_out": validation.held_out,
        "X_val": None if validation.X is None else as_core(validation.X),
        "y_val": validation.y,
        "sample_weight_val": validation.sample_weight,
        "labels": task.labels,
        "side_weights": task.side_weights,
        "seeds": task.seeds,
        "coef": start.coef,
        "intercept": start.intercept,
        "average_coef": start.average_coef,
        "average_intercept": start.average_intercept,
        "t": start.t,
    }


def _result(task: Task, reports: list[tuple[str, list[Any]]], *, interrupted: bool) -> Result:
    stops = [stop for stop, _ in reports]
    histories = [history for _, history in reports]
    if DIVERGED in stops:
        epoch = len(histories[stops.index(DIVERGED)])
        raise DivergedError(
            f"Floating-point under-/overflow occurred at epoch #{epoch}. Scaling input data with StandardScaler "
            f"or MinMaxScaler might help. So might a smaller eta0 (it was {task.rates.eta0:g}, with "
            f"learning_rate={task.rates.learning_rate!r}).",
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


def _printer(names: Sequence[str], task: Task) -> Callable[[int, list[Any]], None]:
    """What ``verbose`` prints: scikit-learn's lines, an epoch at a time."""
    began = time.monotonic()
    printed = [0] * len(names)
    rows = task.X.shape[0]
    if task.validation is not None and task.validation.held_out is not None:
        rows -= int(task.validation.held_out.sum())

    def report(output: int, epochs: list[Any]) -> None:
        for record in epochs:
            printed[output] += 1
            print(f"-- Epoch {printed[output]}{names[output]}")
            score = f", Validation score: {record[SCORE]:f}" if task.validation is not None else ""
            print(
                f"Norm: {record[NORM]:.2f}, NNZs: {record[NONZEROS]}, Bias: {record[INTERCEPT]:.6f}, "
                f"T: {printed[output] * rows}, Avg. loss: {record[LOSS]:f}, Objective: {record[OBJECTIVE]:f}{score}"
            )
            print(f"Total training time: {time.monotonic() - began:.2f} seconds.")

    return report
