"""The mini-batch engine's training loop: epochs in the core; rates, history, validation and stopping here."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.special import log_softmax
from sklearn.metrics import r2_score

from . import _core, _rates, losses, schedules
from ._batches import aligned_zeros, batch_sizes
from ._callbacks import Epochs
from ._checks import as_core
from ._fit import Result, Start, State, Task, Validation

_SHUFFLES = {False: 0, True: 1, "rows": 2}
_RETREATS = 8  # times that an automatic rate may prove far too large


def run(
    task: Task,
    *,
    epochs: Epochs,
    fitted: Callable[[Result], dict[str, Any]],
    check: Callable[[], None],
    threads: int = 1,
    verbose: int = 0,
) -> Result:
    """Train, in place of `task.start`. As `_fit.run`, for a task with `batches`.

    X need not have been searched for NaN and infinity, because the first epoch reads all of it, and its loss is finite
    only if X is. If it is not, `check` is to raise the error.

    Raises
    ------
    ValueError
        If X is not finite, the weights overflow, or a schedule gives a rate that is none.
    """
    training = _Training(task, check, threads, verbose)
    while not training.ended:
        epochs.begin()
        training.epoch()
        interrupted = training.stop_reason == "interrupted"
        if epochs.end(None if interrupted else lambda: fitted(training.result())):
            training.stop_reason = "early_stopping"
    return training.result()


class _Training:
    """A fit on its way."""

    def __init__(self, task: Task, check: Callable[[], None], threads: int, verbose: int):
        assert task.batches is not None
        self.task, self.batches, self.plan = task, task.batches, task.plan
        self.check = check
        self.threads, self.verbose = threads, verbose
        self.began = time.monotonic()
        start = task.start
        self.n_outputs, n_features = start.coef.shape
        dtype = start.coef.dtype
        width = _core.outputs_width(self.n_outputs, dtype.itemsize)
        rule, fields = self.batches.optimizer.rule
        n_slots, self.answer = _core.rule_slots(rule, fields)

        def padded(values: Any = 0.0, last: Any = 0.0) -> NDArray[Any]:
            array = aligned_zeros((n_features + 1, width), dtype)
            array[:-1, : self.n_outputs], array[-1, : self.n_outputs] = values, last
            return array

        self.weights = padded(start.coef.T, start.intercept)
        self.average = None if start.average_coef is None else padded(start.average_coef.T, start.average_intercept)
        if self.average is not None:
            self.answer = -1
        state = self.batches.state
        if state is None or not state.fits(self.batches.optimizer, (n_features + 1, self.n_outputs)):
            state = State(self.batches.optimizer, ())
        self.state = state
        self.slots = [padded() for _ in range(n_slots)]
        for slot, values in zip(self.slots, state.slots, strict=False):
            slot[:, : self.n_outputs] = values

        held_out = None if task.validation is None else task.validation.held_out
        self.rows = None if held_out is None else np.flatnonzero(~held_out).astype(np.uint32)
        self.n = task.X.shape[0] if self.rows is None else len(self.rows)
        self.sizes = batch_sizes(self.n, self.batches.size)
        self.side_weight = self._side_weight()
        self.source = self._source()
        self.engine = _core.MiniBatch(
            X=as_core(task.X),
            sorted=not sp.issparse(task.X) or bool(task.X.has_sorted_indices),
            rows=self.rows,
            y=task.y,
            coded=self._coded,
            sample_weight=task.sample_weight,
            side_weight=self.side_weight.ravel().tolist(),
            outputs=self.n_outputs,
            loss=self.plan["loss"],
            loss_parameters=self.plan["loss_parameters"],
            multinomial=self.batches.multinomial,
            rule=rule,
            rule_parameters=fields,
            l2=self.plan["l2"],
            l1=self.plan["l1"],
            **self.batches.optimizer.penalty,
            positive=self.batches.positive,
            clip_value=self.batches.optimizer.clip_value,
            clip_norm=self.batches.optimizer.clip_norm,
            intercept_decay=self.plan["intercept_decay"],
            batch_size=int(self.sizes[0]),
            shuffle=_SHUFFLES[self.plan["shuffle"]],
            seed=task.seeds[0],
            threads=threads,
            weights=self.weights,
            slots=self.slots,
            average=self.average,
        )
        self.validation = None if task.validation is None else _Scorer(task, self.batches.multinomial)
        self.curve: list[float] = []
        self.scores: list[float] = []
        self.validation_curve: list[float] = []
        self.best_score, self.best_objective, self.idle = -np.inf, np.inf, 0
        self.best: Start | None = None
        self.stop_reason = ""

    @property
    def ended(self) -> bool:
        return self.stop_reason != ""

    @property
    def _coded(self) -> bool:
        return self.task.labels[0] >= 0

    def _side_weight(self) -> NDArray[np.float64]:
        """(n_outputs, 2): weights of rows outside and inside each output's class, over the mean weight."""
        side = np.array(self.task.side_weights, dtype=np.float64)
        if not self.batches.normalise:
            return side
        y, weight = self.task.y, self.task.sample_weight
        if weight is None and np.all(side == 1.0):
            return side
        if self.rows is not None:
            y, weight = y[self.rows], None if weight is None else weight[self.rows]
        if not self._coded:
            return side if weight is None else side / weight.mean(dtype=np.float64)
        binary = self.n_outputs == 1
        total = np.bincount(y.astype(np.intp), weights=weight, minlength=2 if binary else self.n_outputs)
        if self.batches.multinomial:
            return side / (total @ side[:, 1] / len(y))
        inside = total[1:] if binary else total
        mean = (inside * side[:, 1] + (total.sum() - inside) * side[:, 0]) / len(y)
        return side / np.where(mean > 0, mean, 1.0)[:, None]

    def _source(self) -> _rates.Source:
        """The learning rates: the optimizer's own where it has some, else the estimator's."""
        plan, optimizer, learned = self.plan, self.batches.optimizer, self.state.rates
        rate = self.batches.rate if optimizer.learning_rate is None else optimizer.learning_rate
        if rate == "constant":
            return _rates.Source(schedules.Constant(plan["eta0"]))
        if rate == "adaptive":
            return _rates.Adaptive(plan["eta0"], learned)
        if isinstance(rate, schedules.ReduceOnPlateau):
            return _rates.Plateau(rate, learned)
        if not isinstance(rate, str):
            return _rates.Source(schedules.as_schedule(rate))

        eta0, power, alpha = plan["eta0"], plan["power_t"], plan["alpha"]
        noisy = len(self.sizes) > 1
        if optimizer.linear_rate is not None:
            if rate == "optimal":
                usual = optimizer.linear_rate
                return _rates.Automatic(lambda step, sizes, t: np.full(len(sizes), usual), np.inf, learned, noisy=noisy)

            def falling(step: int, sizes: NDArray[np.int64], t: float) -> NDArray[np.float64]:
                return eta0 / (step + 1.0 + np.arange(len(sizes))) ** power

            return _rates.Automatic(falling, np.inf, learned, noisy=noisy)

        # The sum of the rates that scikit-learn's schedule has for the rows of the batch.
        def summed(step: int, sizes: NDArray[np.int64], t: float) -> NDArray[np.float64]:
            at = t + sizes[0] * np.arange(len(sizes))
            if rate == "invscaling":
                each = eta0 / at**power
            else:
                each = 1.0 / (alpha**0.25 + alpha * (at - 1.0)) if alpha > 0 else np.full(len(sizes), np.inf)
            return sizes * each / optimizer.lasting

        cap = 1.0 / (self._smoothness() * optimizer.lasting)
        return _rates.Automatic(summed, cap, learned, noisy=noisy)

    def _smoothness(self) -> float:
        X, y, weight = self.task.X, self.task.y, self.task.sample_weight
        if self.rows is not None:
            X, y, weight = X[self.rows], y[self.rows], None if weight is None else weight[self.rows]
        loss = losses.get(self.plan["loss"])
        curvature = loss.curvature
        if self.batches.multinomial:
            curvature = 0.5
        elif curvature == 0.0:
            curvature = 1.0  # no curvature, but kinks: what a step may do is left to the plateaus
        elif not np.isfinite(curvature):  # Poisson: as at the largest mean that is plausible
            curvature = max(1.0, float(y.mean() + 3 * y.std()))
        relative = float(self.side_weight.max())
        scale = None if weight is None else np.asarray(weight, dtype=np.float64) * relative
        if scale is None and relative != 1.0:
            curvature *= relative
        result = _rates.smoothness(X, scale, curvature=curvature, batch=int(self.sizes[0]), l2=self.plan["l2"])
        if not np.isfinite(result):
            self.check()
        return result

    def epoch(self) -> None:
        """One epoch, then what it means."""
        start, step = self.task.start, self.state.step
        automatic = isinstance(self.source, _rates.Automatic)
        arrays = [self.weights, *self.slots] + ([] if self.average is None else [self.average])
        before = [array.copy() for array in arrays] if automatic else []
        for attempt in range(_RETREATS + 1):
            table = self.source.table(step, self.sizes, start.t)
            batches, rows, loss, penalty, carry, finite, interrupted = self.engine.epoch(
                self.state.epoch, step + 1, self.state.carry, table, int(start.average_from), self.threads
            )
            objective = (loss / max(rows, 1) + penalty) / (1 if self.batches.multinomial else self.n_outputs)
            if finite and np.isfinite(objective):
                break
            if not self.curve and attempt == 0:
                self.check()
            if not isinstance(self.source, _rates.Automatic) or attempt == _RETREATS:
                raise ValueError(
                    f"Floating-point under-/overflow occurred at epoch #{len(self.curve) + 1}, with rates from "
                    f"{table.min():g} to {table.max():g}. Scaling input data with StandardScaler or MinMaxScaler "
                    "might help. So might a smaller learning rate (eta0, or the optimizer's learning_rate)."
                )
            for array, copy in zip(arrays, before, strict=True):
                array[:] = copy
            self.source.retreat()
        start.steps = step + batches
        if interrupted:
            self.state = replace(self.state, step=step + batches, carry=carry)
            self.stop_reason = "interrupted"
            return
        start.t += self.task.X.shape[0]
        self.state = replace(self.state, step=step + batches, carry=carry, epoch=self.state.epoch + 1)
        self.curve.append(objective)
        self._judge(objective)
        if self.verbose > 0:
            self._say(table)

    def _judge(self, objective: float) -> None:
        """Stop, or tell the rates how it went: scikit-learn's rules."""
        plan = self.plan
        score = 0.0
        if self.validation is not None:
            score, loss = self.validation(*self._answer())
            self.scores.append(score)
            self.validation_curve.append(loss)
            if plan["restore_best_weights"] and (self.best is None or score > self.best_score):
                self.best = self._settled()
        tol = plan["tol"]
        if tol is None:
            improved = True
        elif plan["early_stopping"]:
            improved = not score < self.best_score + tol
        else:
            improved = not objective > self.best_objective - tol
        self.best_score, self.best_objective = max(self.best_score, score), min(self.best_objective, objective)
        self.idle = 0 if improved else self.idle + 1
        if self.batches.normalise:  # partial_fit knows no plateau
            self.source.tell(objective)
        if self.idle >= plan["n_iter_no_change"]:
            if self.source.goes_on():
                self.idle = 0
            else:
                self.stop_reason = "early_stopping" if plan["early_stopping"] else "converged"
                self.source.reset()
                return
        if len(self.curve) == plan["max_iter"]:
            self.stop_reason = "max_iter"

    def _unpadded(self, array: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.float64]]:
        coef = np.ascontiguousarray(array[:-1, : self.n_outputs].T)
        return coef, array[-1, : self.n_outputs].astype(np.float64)

    def _answer(self) -> tuple[NDArray[Any], NDArray[np.float64]]:
        """The weights to predict with."""
        if self.average is not None and self.task.start.average_from <= self.task.start.steps:
            return self._unpadded(self.average)
        return self._unpadded(self.weights if self.answer < 0 else self.slots[self.answer])

    def _settled(self) -> Start:
        """The weights of the moment."""
        start = replace(self.task.start)
        start.coef, start.intercept = self._unpadded(self.weights)
        if self.average is not None:
            start.average_coef, start.average_intercept = self._unpadded(self.average)
        elif self.answer >= 0:
            start.average_coef, start.average_intercept = self._unpadded(self.slots[self.answer])
        return start

    def result(self) -> Result:
        """How it stands, with the weights in the task's `Start`."""
        start, settled = self.task.start, self._settled()
        if self.ended and self.best is not None:
            settled = self.best
        start.coef, start.intercept = settled.coef, settled.intercept
        start.average_coef, start.average_intercept = settled.average_coef, settled.average_intercept
        slots = tuple(slot[:, : self.n_outputs].copy() for slot in self.slots)
        validated = self.validation is not None
        return Result(
            n_iter=len(self.curve),
            stop_reason=self.stop_reason,
            loss_curve=list(self.curve),
            validation_scores=list(self.scores) if validated else None,
            validation_loss_curve=list(self.validation_curve) if validated else None,
            optimizer_state=replace(self.state, slots=slots, rates=self.source.state),
        )

    def _say(self, table: NDArray[np.float64]) -> None:
        """What ``verbose`` prints."""
        scored = "" if self.validation is None else f"  validation score {self.scores[-1]:.4f}"
        rate = f"{table[0]:.3g}" if table[0] == table[-1] else f"{table[0]:.3g} to {table[-1]:.3g}"
        print(
            f"Epoch {len(self.curve):>3}  objective {self.curve[-1]:.6f}{scored}  rate {rate}  "
            f"{time.monotonic() - self.began:.2f} s"
        )


class _Scorer:
    """Score and mean loss of the validation rows."""

    def __init__(self, task: Task, multinomial: bool):
        validation = task.validation or Validation()
        if validation.held_out is None:
            self.X, self.y, self.weight = validation.X, validation.y, validation.sample_weight
        else:
            rows = np.flatnonzero(validation.held_out)
            self.X, self.y = task.X[rows], task.y[rows]
            self.weight = None if task.sample_weight is None else task.sample_weight[rows]
        self.coded, self.multinomial = task.labels[0] >= 0, multinomial
        self.loss = losses.get(task.plan["loss"], **task.plan["loss_parameters"])
        self.link = np.exp if task.plan["loss"] in losses.LOG_LINK else np.asarray

    def __call__(self, coef: NDArray[Any], intercept: NDArray[np.float64]) -> tuple[float, float]:
        raw = np.asarray(self.X @ coef.T, dtype=np.float64) + intercept
        n_outputs = raw.shape[1]
        if not self.coded:
            y = np.asarray(self.y, dtype=np.float64).reshape(raw.shape)
            score = r2_score(y, self.link(raw), sample_weight=self.weight) if len(y) > 1 else np.nan
            return float(score), float(np.average(self.loss.value(y, raw).mean(axis=1), weights=self.weight))
        code = np.asarray(self.y).astype(np.intp)
        found = raw[:, 0] > 0 if n_outputs == 1 else raw.argmax(axis=1)
        score = np.average(found == code, weights=self.weight)
        if self.multinomial:
            values = -log_softmax(raw, axis=1)[np.arange(len(code)), code]
        else:
            inside = code[:, None] == (np.array([1]) if n_outputs == 1 else np.arange(n_outputs))
            values = self.loss.value(np.where(inside, 1.0, self.loss.negative), raw).mean(axis=1)
        return float(score), float(np.average(values, weights=self.weight))
