"""A linear model that is trained in mini-batches: what it holds between epochs, and what an epoch means to it."""

from __future__ import annotations

import copy
import time
from dataclasses import replace
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from .. import _core, schedules
from ..exceptions import DivergedError
from . import ends, rates
from .arrays import aligned_empty, aligned_zeros
from .minibatch_shared import Shared
from .problem import Problem
from .records import LinearState, LinearWeights, Progress, Result, Task
from .snapshots import plain_of, set_plain
from .stopping import CONVERGED, DIVERGED, INTERRUPTED, MAX_ITER, RUNNING, STALLED, Stopping

EVERY_ETA0 = 0.01  # the default of `eta0`
RETREATS = 8  # times that an automatic rate may prove far too large
NEAR = 0.001  # share of the objective above its optimum down to which automatic rates go on
ENOUGH = 0.01  # share of the objective above its optimum at which training has converged
BOLD = 15  # epochs at least at high rates
SMALL = 1e-3  # share of what a poor prediction costs, below which an objective counts as that
_CHANGING = ("curve", "scores", "validation_curve", "before", "nearest", "best", "lowest", "excess")


class Training:
    """A task on its way."""

    def __init__(self, task: Task, shared: Shared):
        assert task.batches is not None
        self.task, self.batches = task, task.batches
        self.verbose, self.name = 0, ""
        self.began = time.monotonic()
        start = task.start
        self.n_outputs, n_features = start.coef.shape
        self.shares = 1 if self.batches.multinomial else self.n_outputs  # objectives are means over the outputs
        dtype = start.coef.dtype
        width = _core.outputs_width(self.n_outputs, dtype.itemsize)
        n_slots, self.average_slot, can_wait = _core.rule_slots(*self.batches.optimizer.rule)

        make = aligned_empty if width == self.n_outputs else aligned_zeros  # columns that fill up a register are zero

        def padded() -> NDArray[Any]:
            return make((n_features + 1, width), dtype)

        self.weights = padded()
        self.shared, self.sizes = shared, shared.sizes
        self.problem = Problem(task, shared)
        self.units = self.problem.arrays(width)
        self.average = None if start.average_coef is None else padded()
        if self.average is not None:
            self.average_slot = -1
        state = self.batches.state
        if state is None or not state.fits(self.batches.optimizer, (n_features + 1, self.n_outputs)):
            state = LinearState(self.batches.optimizer, ())
        self.state = state
        side_by_side = self.batches.optimizer.lazy and not can_wait and self._touches_few()
        self.slots = self._side_by_side(n_slots) if side_by_side else [padded() for _ in range(n_slots)]
        base = self.problem.base
        if base is not None:
            start.intercept[:] = base
        self._fill()
        self.source = self._source()
        self.before: list[NDArray[Any]] = []  # without a copy, an epoch goes back to the beginning
        self._saved: list[list[NDArray[Any]]] = []  # copies of the arrays: of now, and of an epoch before
        self._saved_at = 0  # how many epochs the newest have seen
        self.checkpoint: tuple[list[Any], list[Any], list[Any]] | None = None
        self.validation = None if task.validation is None else shared.scorer(task, self.batches.multinomial)
        self.curve: list[float] = []
        self.scores: list[float] = []
        self.validation_curve: list[float] = []
        # Automatic rates rise and fall, and judge for themselves.
        rule = task.stopping._replace(judged=task.stopping.tells_rates and not self.source.automatic)
        self.stopping = Stopping(rule, least=SMALL * self.problem.typical)
        self.best: LinearWeights | None = None
        # Of the looks at how far the optimum is: the least objective, its excess and weights; the least ever reached.
        self.nearest: tuple[float, float, LinearWeights | None] = np.inf, np.inf, None
        self.lowest = np.inf
        self.excess = np.nan  # of the last look, as a share of the objective
        self.stop_reason = RUNNING
        self.error: ValueError | None = None

    def _touches_few(self) -> bool:
        """Whether batches have few of many columns, and in all enough of them to pay for another order of memory."""
        X = self.task.X
        if not sp.issparse(X) or self.task.stream is not None:
            return False
        return bool(X.nnz * self.task.stopping.max_epochs >= X.shape[1])

    def _side_by_side(self, count: int) -> list[NDArray[Any]]:
        """Return slots, those of a column and its units side by side: if outputs are few, in one line of memory."""
        units = [name for name in ("unit", "pull") if self.units[name] is not None]
        n, width = self.weights.shape
        table = aligned_empty((n, 1 << (count + len(units) - 1).bit_length(), width), self.weights.dtype)
        table[:] = 0
        for k, name in enumerate(units, start=count):
            table[:, k] = self.units[name]
            self.units[name] = table[:, k]
        return [table[:, k] for k in range(count)]

    def _fill(self, weights: LinearWeights | None = None) -> None:
        """Fill the arrays with these weights, or with what training starts from, which nobody changes until it ends."""
        start, n = weights or self.task.start, self.n_outputs

        def fill(array: NDArray[Any], coef: NDArray[Any], intercept: NDArray[Any]) -> None:
            array[:-1, :n], array[-1, :n] = coef.T, intercept + self._shift(coef)

        fill(self.weights, start.coef, start.intercept)
        if self.average is not None:
            assert start.average_coef is not None and start.average_intercept is not None
            fill(self.average, start.average_coef, start.average_intercept)
        for k, slot in enumerate(self.slots):
            slot[:, :n] = self.state.slots[k] if self.state.slots else 0.0
            if k == self.average_slot and self.state.slots:
                slot[-1, :n] += self._shift(slot[:-1, :n].T)

    def _shift(self, coef: NDArray[Any]) -> NDArray[np.float64] | float:
        """What intercepts of rows that are reckoned from the centre have more than those reckoned from zero."""
        columns = self.problem.columns
        return 0.0 if columns is None or columns.centre is None else coef.astype(np.float64) @ self._centre()

    def _centre(self) -> NDArray[np.float64]:
        centre: NDArray[Any] = self.units["centre"]  # as the core has it, rounded
        return centre.astype(np.float64)

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
            "lazy": self.batches.optimizer.lazy,
            "l2": objective.l2,
            "l1": objective.l1,
            **self.batches.optimizer.penalty,
            "positive": self.batches.positive,
            "clip_value": self.batches.optimizer.clip_value,
            "clip_norm": self.batches.optimizer.clip_norm,
            "intercept_decay": self.task.intercept_decay * self.problem.intercept,
            "side_weight": self.problem.side_weight.ravel().tolist(),
            "sample_weight": self.task.sample_weight,
            "weights": self.weights,
            "slots": self.slots,
            "average": self.average,
            **self.units,
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

        return self._automatic(rate, learned)

    def _automatic(self, rate: str, learned: tuple[float, ...]) -> rates.Automatic:
        given, optimizer = self.task.rates, self.batches.optimizer
        eta0, power, alpha = given.eta0, given.power_t, given.alpha
        noisy, usual = len(self.sizes) > 1, optimizer.linear_rate
        cap, stiffness = np.inf, self.problem.stiffness
        if usual is None:
            cap = stiffness / (self.problem.smoothness() * optimizer.lasting)

        def own(step: int, sizes: NDArray[np.int64], t: float) -> NDArray[np.float64]:
            assert usual is not None
            if rate == "optimal":
                return np.full(len(sizes), usual)
            return usual * (eta0 / EVERY_ETA0) / (step + 1.0 + np.arange(len(sizes), dtype=np.float64)) ** power

        # The sum of the rates that scikit-learn's schedule has for the rows of the batch.
        def summed(step: int, sizes: NDArray[np.int64], t: float) -> NDArray[np.float64]:
            at = t + sizes[0] * np.arange(len(sizes))
            if rate == "invscaling":
                each = eta0 / at**power
            else:
                each = 1.0 / (alpha**0.25 + alpha * (at - 1.0)) if alpha > 0 else np.full(len(sizes), np.inf)
            return stiffness * sizes * each / optimizer.lasting

        return rates.Automatic(summed if usual is None else own, cap, learned, noisy=noisy)

    def save_checkpoint(self) -> None:
        """Remember how things stand after some epochs, for `restore_checkpoint`."""
        if self.curve:
            objects = self, self.source, self.stopping, self.task.start
            self.checkpoint = (
                list(zip(self._arrays, self._copies(), strict=True)),
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

    def snapshot(self, progress: Progress | None) -> dict[str, Any]:
        """All that changes while training goes on; `progress` is that of an epoch on its way."""
        return {
            "arrays": self._arrays,
            "changing": {name: getattr(self, name) for name in _CHANGING},
            "counts": [self.state.step, self.state.epoch, self.state.carry],
            "objects": [plain_of(each) for each in self._objects],
            "progress": progress,
            "end": None if not self.ended else [self.stop_reason, self.error and str(self.error), self.table],
        }

    def restore(self, saved: dict[str, Any]) -> Progress | None:
        """Stand as when `snapshot` was taken, with the progress of then."""
        for array, values in zip(self._arrays, saved["arrays"], strict=True):
            array[:] = values
        for name, value in saved["changing"].items():
            setattr(self, name, value)
        objective, excess, weights = saved["changing"]["nearest"]
        self.nearest = objective, excess, None if weights is None else LinearWeights(**weights)
        best = saved["changing"]["best"]
        self.best = None if best is None else LinearWeights(**best)
        step, epoch, carry = saved["counts"]
        self.state = replace(self.state, step=step, epoch=epoch, carry=carry)
        for each, values in zip(self._objects, saved["objects"], strict=True):
            set_plain(each, values)
        if saved["end"] is not None:
            self.stop_reason, error, self.table = saved["end"]
            self.error = None if error is None else DivergedError(error)
        return None if saved["progress"] is None else Progress(*saved["progress"])

    @property
    def _objects(self) -> tuple[Any, ...]:
        return self.source, self.stopping, self.task.start

    def save_weights(self) -> None:
        """Remember what an epoch with automatic rates may have to go back to."""
        if isinstance(self.source, rates.Automatic) and self.curve:
            self.before = self._copies()

    def _copies(self) -> list[NDArray[Any]]:
        """Copies of the arrays after the epochs so far, made once.

        Memory of the copies before the last ones is used again: an interrupt may come while they are made.
        """
        if self._saved_at != len(self.curve):
            if len(self._saved) < 2:
                self._saved.insert(0, [np.empty_like(array) for array in self._arrays])
            else:
                self._saved.reverse()
            for saved, array in zip(self._saved[0], self._arrays, strict=True):
                np.copyto(saved, array)
            self._saved_at = len(self.curve)
        return self._saved[0]

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
        nearest = self.nearest[2]
        if last and nearest is not None:
            self.stop_reason = STALLED
            return False
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
        if nearest is not None:  # the weights before this epoch may be nearly as large
            self._fill(nearest)
        elif self.before:
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
        self.state = replace(before, step=start.steps, epoch=epoch, carry=carry)
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
        reason = self.stopping.judge(len(self.curve), objective - self.problem.floor, score, self.source)
        if reason in (CONVERGED, STALLED):
            reason = self._verdict()
        elif reason == MAX_ITER and self.nearest[2] is not None:
            self._look()  # the last weights may be nearer than those of the last look
        self.stop_reason = reason
        if reason not in (RUNNING, MAX_ITER):
            self.source.reset()

    def _verdict(self) -> str:
        """What it means that the objective no longer falls: training goes on at other rates, or has ended."""
        if not self._look():
            return CONVERGED
        left = len(self.curve) < self.task.stopping.max_epochs and self.excess > NEAR
        if left and self._steers():
            self.stopping.go_on(BOLD if self.source.hot else 0)
            return RUNNING
        least, self.excess, _ = self.nearest
        size = max(least, SMALL * self.problem.typical)
        self.excess = max(self.excess, (least - self.lowest) / size)
        return CONVERGED if self.excess <= ENOUGH else STALLED

    def _look(self) -> bool:
        """Estimate how far it is to the optimum, and remember the weights that were nearest; false: nobody can tell."""
        found = self.problem.excess(self.prediction_weights(), self.shared.threads)
        if found is None:
            return False
        self.lowest = min(self.lowest, found.reached)
        above, size = max(found.above, found.objective - self.lowest), SMALL * self.problem.typical
        self.excess = above / max(found.objective, size)
        if found.objective < self.nearest[0]:
            self.nearest = found.objective, self.excess, copy.deepcopy(self._current_weights())
        return True

    def _steers(self) -> bool:
        """Whether training goes on at other rates. (A perceptron's optimum is zero weights, or zero loss.)"""
        source = self.source
        if not isinstance(source, rates.Automatic) or self.task.objective.loss == "perceptron":
            return False
        goes_on = source.steer(self.excess)
        nearest = self.nearest[2]
        if goes_on and source.went_astray and nearest is not None:
            self._fill(nearest)
        return goes_on

    def _unpadded(self, array: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.float64]]:
        """Without columns that fill up a register it is a view, which changes as training goes on.

        Coefficients are in Fortran's order, as the engine has them: to transpose millions takes longer than a batch,
        and products with sparse rows want them so.
        """
        coef = np.asfortranarray(array[:-1, : self.n_outputs].T)
        return coef, array[-1, : self.n_outputs].astype(np.float64) - self._shift(coef)

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
        elif self.ended and self.nearest[2] is not None:
            settled = self.nearest[2]
        start.coef, start.intercept = settled.coef, settled.intercept
        start.average_coef, start.average_intercept = settled.average_coef, settled.average_intercept
        slots = tuple(slot[:, : self.n_outputs] for slot in self.slots)
        if self.average_slot >= 0 and self.problem.columns is not None:
            answer = slots[self.average_slot].copy()
            answer[-1] -= self._shift(answer[:-1].T)
            slots = tuple(answer if k == self.average_slot else slot for k, slot in enumerate(slots))
        if not self.ended or any(not slot.flags.c_contiguous for slot in slots):
            slots = tuple(slot.copy() for slot in slots)
        validated = self.validation is not None
        return Result(
            n_iter=len(self.curve),
            stop_reason=self.stop_reason,
            loss_curve=list(self.curve),
            validation_scores=list(self.scores) if validated else None,
            validation_loss_curve=list(self.validation_curve) if validated else None,
            optimizer_state=replace(
                self.state, slots=slots, rates=self.source.state, seen=self.problem.seen and tuple(self.problem.seen)
            ),
            warning=self._warning() if self.ended else "",
        )

    def _warning(self) -> str:
        """What its user must know."""
        if self.stop_reason == DIVERGED:
            return ends.of_divergence(self.curve, float(self.table[-1]))
        if self.stop_reason == STALLED:
            loss = self.task.objective.loss
            return ends.of_stalling(self.excess, loss, automatic=self.source.automatic)
        by_score = self.task.stopping.by_score
        return ends.of_scores(self.scores, float(self.table.max())) if by_score else ""

    def _print_epoch(self) -> None:
        """What ``verbose`` prints."""
        table = self.table
        scored = "" if self.validation is None else f"  validation score {self.scores[-1]:.4f}"
        rate = f"{table[0]:.3g}" if table[0] == table[-1] else f"{table[0]:.3g} to {table[-1]:.3g}"
        print(
            f"{self.name}Epoch {len(self.curve):>3}  objective {self.curve[-1]:.6f}{scored}  rate {rate}  "
            f"{time.monotonic() - self.began:.2f} s"
        )
