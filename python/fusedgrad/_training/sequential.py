"""Training one sample a step: a `Task` in, a `Result` out; epochs, validation and stopping are the core's."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from .. import _core, losses
from .._validation.arrays import as_core
from ..exceptions import DivergedError
from .arrays import inside
from .callbacks import Epochs
from .excess import FEWEST
from .records import Result, Task, Validation
from .stopping import DIVERGED, INTERRUPTED, joint
from .units import targets_of_classes, targets_of_numbers

LARGE = 1e10  # a coefficient that no data need
SAMPLE = 16384  # rows that a model is compared on, about
TINY = float(np.finfo(np.float64).tiny)

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
    ended = result()
    judged = state == "done" and task.stopping.tells_rates  # `partial_fit` is not
    return replace(ended, warning=_warning(task)) if judged else ended


def _warning(task: Task) -> str:
    """What there is to say of a fit that ended where nobody wants to be, whatever its rule of stopping says."""
    largest = float(np.abs(task.start.coef).max(initial=0.0))
    remedy = (
        "Scale the columns of X (StandardScaler), or try a smaller eta0, or batch_size=256, whose rates need no tuning."
    )
    if largest > LARGE:
        return f"Training ended with a coefficient of {largest:.3g}, which is far too large for most data. {remedy}"
    if task.X.shape[0] < FEWEST or task.objective.offset_rate:
        return ""
    cost, constant, right, usual = _beside_a_constant(task)
    if cost <= constant or right >= usual:
        return ""
    return f"The model is worse than a constant prediction: its mean loss is {cost:.4g}, not {constant:.4g}. {remedy}"


def _beside_a_constant(task: Task) -> tuple[float, float, float, float]:
    """Mean loss of the model and of the best constant (0 without intercept), then accuracy (of numbers 0 and 1)."""
    step = max(1, task.X.shape[0] // SAMPLE)
    X, y = task.X[::step], np.asarray(task.y[::step], dtype=np.float64)
    weight = np.ones(len(y)) if task.sample_weight is None else task.sample_weight[::step].astype(np.float64)
    loss = losses.get(task.objective.loss, **task.objective.loss_parameters)
    raw = np.asarray(X @ task.start.coef.T, dtype=np.float64) + task.start.intercept
    outputs, free = raw.shape[1], task.intercept_decay != 0.0
    if task.labels[0] < 0:
        base = targets_of_numbers(loss, y, weight).base if free else np.zeros(1)
        value = loss.value(y[:, None], np.stack([raw[:, 0], np.full(len(y), base[0])], axis=1))
        cost, constant = weight @ value / max(weight.sum(), TINY)
        return float(cost), float(constant), 0.0, 1.0
    own = inside(y, outputs)
    side = np.array(task.side_weights, dtype=np.float64)
    each = weight[:, None] * np.where(own, side[:, 1], side[:, 0])
    total = np.maximum(each.sum(axis=0), TINY)
    base = targets_of_classes(loss, (own * each).sum(axis=0) / total).base if free else np.zeros(outputs)
    coded = np.where(own, 1.0, loss.negative)
    cost, constant = ((loss.value(coded, at) * each).sum(axis=0) / total for at in (raw, base))
    found = raw[:, 0] > 0 if outputs == 1 else raw.argmax(axis=1)
    usual = np.bincount(y.astype(np.intp), weights=weight).max() / max(weight.sum(), TINY)
    return float(cost.mean()), float(constant.mean()), float(np.average(found == y, weights=weight + TINY)), usual


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
