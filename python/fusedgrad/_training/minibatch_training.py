"""A linear model that is trained in mini-batches: what it holds between epochs, and what an epoch means to it."""

from __future__ import annotations

import copy
import time
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _core, losses, schedules
from ..exceptions import DivergedError
from . import rates
from .arrays import aligned_empty, aligned_zeros
from .minibatch_shared import Shared
from .records import LinearState, LinearWeights, Result, Task
from .stopping import DIVERGED, INTERRUPTED, RUNNING, Stopping

RETREATS = 8  # times that an automatic rate may prove far too large


class Training:
    """A task on its way."""

    def __init__(self, task: Task, shared: Shared):
        assert task.batches is not None
        self.task, self.batches, self.shared = task, task.batches, shared
        self.verbose, self.name = 0, ""
        self.began = time.monotonic()
        start = task.start
        self.n_outputs, n_features = start.coef.shape
        self.shares = 1 if self.batches.multinomial else self.n_outputs  # objectives are means over the outputs
        dtype = start.coef.dtype
        width = _core.outputs_width(self.n_outputs, dtype.itemsize)
        n_slots, self.average_slot = _core.rule_slots(*self.batches.optimizer.rule)

        make = aligned_empty if width == self.n_outputs else aligned_zeros  # columns that fill up a register are zero

        def padded() -> NDArray[Any]:
            return make((n_features + 1, width), dtype)

        self.weights = padded()
        self.average = None if start.average_coef is None else padded()
        if self.average is not None:
            self.average_slot = -1
        state = self.batches.state
        if state is None or not state.fits(self.batches.optimizer, (n_features + 1, self.n_outputs)):
            state = LinearState(self.batches.optimizer, ())
        self.state = state
        self.slots = [padded() for _ in range(n_slots)]
        self._fill()
        self.sizes = shared.sizes
        self.side_weight = self._side_weight()
        self.source = self._source()
        self.before: list[NDArray[Any]] = []  # without a copy, an epoch goes back to the beginning
        self.checkpoint: tuple[list[Any], list[Any], list[Any]] | None = None
        self.validation = None if task.validation is None else shared.scorer(task, self.batches.multinomial)
        self.curve: list[float] = []
        self.scores: list[float] = []
        self.validation_curve: list[float] = []
        self.stopping = Stopping(task.stopping)
        self.best: LinearWeights | None = None
        self.stop_reason = RUNNING
        self.error: ValueError | None = None

    def _fill(self) -> None:
        """Fill the arrays with what training starts from, which nobody changes until it ends."""
        start = self.task.start
        self.weights[:-1, : self.n_outputs], self.weights[-1, : self.n_outputs] = start.coef.T, start.intercept
        if self.average is not None:
            assert start.average_coef is not None and start.average_intercept is not None
            self.average[:-1, : self.n_outputs] = start.average_coef.T
            self.average[-1, : self.n_outputs] = start.average_intercept
        for k, slot in enumerate(self.slots):
            slot[:, : self.n_outputs] = self.state.slots[k] if self.state.slots else 0.0

    def arguments(self) -> dict[str, Any]:
        """What the core wants to know of a model."""
        objective = self.task.objective
        rule, fields = self.batches.optimizer.rule
        return {
            "loss": objective.loss,
            "loss_parameters": objective.loss_parameters,
            "multinomial": self.batches.multinomial,
            "rule": rule,
            "rule_parameters": fields,
            "l2": objective.l2,
            "l1": objective.l1,
            **self.batches.optimizer.penalty,
            "positive": self.batches.positive,
            "clip_value": self.batches.optimizer.clip_value,
            "clip_norm": self.batches.optimizer.clip_norm,
            "intercept_decay": self.task.intercept_decay,
            "side_weight": self.side_weight.ravel().tolist(),
            "sample_weight": self.task.sample_weight,
            "weights": self.weights,
            "slots": self.slots,
            "average": self.average,
        }

    @property
    def memory(self) -> dict[str, int]:
        per_row = self.weights.shape[1] * self.weights.itemsize
        arrays = [self.weights] + ([] if self.average is None else [self.average])
        return {
            "weights": sum(array.nbytes for array in arrays),
            "optimizer state": sum(slot.nbytes for slot in self.slots),
            "batch": per_row * int(self.sizes[0]),
        }

    @property
    def ended(self) -> bool:
        return self.stop_reason != RUNNING

    def _side_weight(self) -> NDArray[Any]:
        """(n_outputs, 2): weights of rows outside and inside each output's class, over the mean weight."""
        side = np.array(self.task.side_weights, dtype=np.float64)
        weight = self.task.sample_weight
        if not self.batches.normalise or (weight is None and np.all(side == 1.0)):
            return side
        if self.task.labels[0] < 0:
            return side if weight is None else side / self.shared.of_rows(weight).mean(dtype=np.float64)
        total, n = self.shared.totals(weight), self.shared.n
        if self.batches.multinomial:
            return side / (total @ side[:, 1] / n)
        inside = total[1:] if self.n_outputs == 1 else total
        mean = (inside * side[:, 1] + (total.sum() - inside) * side[:, 0]) / n
        return side / np.where(mean > 0, mean, 1.0)[:, None]

    def _source(self) -> rates.Source:
        """The learning rates: the optimizer's own where it has some, else the estimator's."""
        given, optimizer, learned = self.task.rates, self.batches.optimizer, self.state.rates
        steps = None
        if self.batches.normalise:  # partial_fit does not know the end of training
            steps = rates.steps_of(self.state.step, self.task.stopping.max_epochs, len(self.sizes))
        own = ("constant", "adaptive", "optimal", "invscaling")
        rate = rates.settled(given.learning_rate, given.eta0, optimizer, steps, own=own)
        if rate == "constant":
            return rates.Source(schedules.Constant(given.eta0))
        if rate == "adaptive":
            return rates.Adaptive(given.eta0, learned)
        if isinstance(rate, schedules.ReduceOnPlateau):
            return rates.Plateau(rate, learned)
        if not isinstance(rate, str):
            return rates.Source(rate)

        eta0, power, alpha = given.eta0, given.power_t, given.alpha
        noisy = len(self.sizes) > 1
        if optimizer.linear_rate is not None:
            if rate == "optimal":
                usual = optimizer.linear_rate
                return rates.Automatic(lambda step, sizes, t: np.full(len(sizes), usual), np.inf, learned, noisy=noisy)

            def falling(step: int, sizes: NDArray[np.int64], t: float) -> NDArray[np.float64]:
                return eta0 / (step + 1.0 + np.arange(len(sizes), dtype=np.float64)) ** power

            return rates.Automatic(falling, np.inf, learned, noisy=noisy)

        # The sum of the rates that scikit-learn's schedule has for the rows of the batch.
        def summed(step: int, sizes: NDArray[np.int64], t: float) -> NDArray[np.float64]:
            at = t + sizes[0] * np.arange(len(sizes))
            if rate == "invscaling":
                each = eta0 / at**power
            else:
                each = 1.0 / (alpha**0.25 + alpha * (at - 1.0)) if alpha > 0 else np.full(len(sizes), np.inf)
            return sizes * each / optimizer.lasting

        cap = 1.0 / (self._smoothness() * optimizer.lasting)
        return rates.Automatic(summed, cap, learned, noisy=noisy)

    def _smoothness(self) -> float:
        curvature = losses.get(self.task.objective.loss).curvature
        if self.batches.multinomial:
            curvature = 0.5
        elif curvature == 0.0:
            curvature = 1.0  # no curvature, but kinks: what a step may do is left to the plateaus
        elif not np.isfinite(curvature):  # Poisson: as at the largest mean that is plausible
            y = self.shared.of_rows(self.task.y)
            curvature = max(1.0, float(y.mean() + 3 * y.std()))
        relative = float(self.side_weight.max())
        if self.task.sample_weight is None:
            curvature *= relative
        result = curvature * self.shared.spread(self.task.sample_weight, relative) + self.task.objective.l2
        if not result < 1.0 / float(np.finfo(self.weights.dtype).tiny):
            self.shared.check()
            raise ValueError(
                f"No learning rate of {self.weights.dtype} is small enough for these data: {self.shared.largest()} "
                "Scale the columns, by StandardScaler for instance."
            )
        return result

    def save_checkpoint(self) -> None:
        """Remember how things stand after some epochs, for `restore_checkpoint`."""
        if self.curve:
            objects = self, self.source, self.stopping, self.task.start
            self.checkpoint = (
                [(array, array.copy()) for array in self._arrays],
                [(each, len(each)) for each in (self.curve, self.scores, self.validation_curve)],
                [(each, {**vars(each), "marked": None} if each is self else dict(vars(each))) for each in objects],
            )

    def restore_checkpoint(self) -> None:
        """End training as it stood at the last checkpoint, because Ctrl-C came."""
        assert self.checkpoint is not None
        arrays, lists, objects = self.checkpoint
        for array, values in arrays:
            array[:] = values
        for each, length in lists:
            del each[length:]
        for each, attributes in objects:
            vars(each).update(attributes)
        self.stop_reason = INTERRUPTED

    def save_weights(self) -> None:
        """Remember what an epoch with automatic rates may have to go back to."""
        if isinstance(self.source, rates.Automatic) and self.curve:
            self.before = [array.copy() for array in self._arrays]

    @property
    def _arrays(self) -> list[NDArray[Any]]:
        return [self.weights, *self.slots] + ([] if self.average is None else [self.average])

    def begin_epoch(self) -> tuple[int, float, NDArray[np.float64], int]:
        """The arguments of the core's next epoch: number of its first step, carry, rates, first step of the mean."""
        start, step = self.task.start, self.state.step
        self.table = self.source.table(step, self.sizes, start.t)
        return step + 1, self.state.carry, self.table, int(start.average_from)

    def retries_after_overflow(self, *, first: bool, last: bool) -> bool:
        """Take note that an epoch led to numbers that are not finite; whether to try it again, at smaller rates."""
        if not self.curve and first:
            self.shared.check()
        if not isinstance(self.source, rates.Automatic) or last:
            self.stop_reason = DIVERGED
            self.error = DivergedError(
                f"Floating-point under-/overflow occurred at epoch #{len(self.curve) + 1}, with rates from "
                f"{self.table.min():g} to {self.table.max():g}. {self.shared.largest()} Scaling input data with "
                "StandardScaler or MinMaxScaler might help. So might a smaller learning rate (eta0, or the optimizer's "
                "learning_rate).",
                loss_curve=self.curve,
                epoch=len(self.curve) + 1,
                rate=float(self.table[-1]),
            )
            return False
        if self.before:
            for array, copy in zip(self._arrays, self.before, strict=True):
                array[:] = copy
        else:
            self._fill()
        self.source.retreat()
        return True

    def end_epoch(self, batches: int, objective: float, carry: float, *, interrupted: bool) -> None:
        """Record an epoch that has ended, and judge it."""
        start, before = self.task.start, self.state
        start.steps = before.step + batches
        epoch = before.epoch + (not interrupted)
        self.state = LinearState(before.optimizer, before.slots, start.steps, epoch, carry, before.rates)
        if interrupted:
            self.stop_reason = INTERRUPTED
            return
        start.t += self.shared.rows_counted
        self.curve.append(objective)
        self._judge(objective)
        if self.verbose > 0:
            self._print_epoch()

    def _judge(self, objective: float) -> None:
        """Score the validation rows, keep the best weights, and stop if it is time."""
        score = None
        if self.validation is not None:
            score, loss = self.validation(*self.prediction_weights())
            self.scores.append(score)
            self.validation_curve.append(loss)
            if self.task.restore_best and (self.best is None or self.stopping.is_best(score)):
                self.best = copy.deepcopy(self._current_weights())
        self.stop_reason = self.stopping.judge(len(self.curve), objective, score, self.source)

    def _unpadded(self, array: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.float64]]:
        """Without columns that fill up a register it is a view, which changes as training goes on.

        Coefficients are in Fortran's order, as the engine has them: to transpose millions takes longer than a batch,
        and products with sparse rows want them so.
        """
        coef = np.asfortranarray(array[:-1, : self.n_outputs].T)
        return coef, array[-1, : self.n_outputs].astype(np.float64)

    def prediction_weights(self) -> tuple[NDArray[Any], NDArray[np.float64]]:
        """The weights to predict with."""
        if self.average is not None and self.task.start.average_from <= self.task.start.steps:
            return self._unpadded(self.average)
        return self._unpadded(self.weights if self.average_slot < 0 else self.slots[self.average_slot])

    def _current_weights(self) -> LinearWeights:
        """The weights of the moment."""
        start = replace(self.task.start)
        start.coef, start.intercept = self._unpadded(self.weights)
        if self.average is not None:
            start.average_coef, start.average_intercept = self._unpadded(self.average)
        elif self.average_slot >= 0:
            start.average_coef, start.average_intercept = self._unpadded(self.slots[self.average_slot])
        return start

    def result(self) -> Result:
        """How it stands, with the weights in the task's `LinearWeights`."""
        start, settled = self.task.start, self._current_weights()
        if self.ended and self.best is not None:
            settled = self.best
        start.coef, start.intercept = settled.coef, settled.intercept
        start.average_coef, start.average_intercept = settled.average_coef, settled.average_intercept
        slots = tuple(slot[:, : self.n_outputs] for slot in self.slots)
        if not self.ended or any(not slot.flags.c_contiguous for slot in slots):
            slots = tuple(slot.copy() for slot in slots)
        validated = self.validation is not None
        return Result(
            n_iter=len(self.curve),
            stop_reason=self.stop_reason,
            loss_curve=list(self.curve),
            validation_scores=list(self.scores) if validated else None,
            validation_loss_curve=list(self.validation_curve) if validated else None,
            optimizer_state=replace(self.state, slots=slots, rates=self.source.state),
        )

    def _print_epoch(self) -> None:
        """What ``verbose`` prints."""
        table = self.table
        scored = "" if self.validation is None else f"  validation score {self.scores[-1]:.4f}"
        rate = f"{table[0]:.3g}" if table[0] == table[-1] else f"{table[0]:.3g} to {table[-1]:.3g}"
        print(
            f"{self.name}Epoch {len(self.curve):>3}  objective {self.curve[-1]:.6f}{scored}  rate {rate}  "
            f"{time.monotonic() - self.began:.2f} s"
        )
