"""The training loop of networks: epochs in the core; orders of rows, rates, history, validation and stopping here."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _core
from .._validation.arrays import as_core
from .arrays import aligned_zeros, batch_sizes
from .callbacks import Epochs
from .net import Arrays, Net
from .network_records import Goal, NetworkState, Result, Settings, Weights
from .records import Progress
from .resuming import Resumable
from .snapshots import digests, plain_of, set_plain
from .stopping import DIVERGED, EARLY_STOPPING, INTERRUPTED, MAX_ITER, RUNNING, Stopping

_CHANGING = ("curve", "scores", "validation_curve", "best", "t", "largest_rate")
_MOST_ORDERS = 1 << 22  # row numbers drawn ahead, in epochs that are certain to happen


def row_order(n: int, seed: int, epoch: int) -> NDArray[np.uint32]:
    """Return a shuffled order of n rows: a function of its arguments alone."""
    return _core.row_order(n, 1, 1.0, 2, seed, epoch)


Validate = Callable[[Weights], tuple[float, float]]


class Training:
    """A fit on its way: the core's engine, on flat arrays of its own.

    Parameters
    ----------
    net : Net
        The network.
    weights : Weights
        Where to start; at the end of `run`, where it ended.
    X : ndarray or CSR matrix of shape (n_samples, n_inputs)
        The rows.
    goal : Goal
        The targets.
    sample_weight : ndarray of shape (n_samples,) or None
        Weights of the rows, relative to those of their batch.
    settings : Settings
        How to train.
    state : NetworkState or None
        The optimizer's state so far.
    validate : callable or None
        ``weights -> (score, loss)``, after each epoch.
    threads : int
        Threads.
    """

    def __init__(
        self,
        net: Net,
        weights: Weights,
        X: Any,
        goal: Goal,
        sample_weight: NDArray[Any] | None,
        settings: Settings,
        *,
        state: NetworkState | None = None,
        validate: Validate | None = None,
        threads: int = 1,
    ):
        self.net, self.weights, self.X, self.goal = net, weights, X, goal
        self.settings, self.validate, self.threads = settings, validate, threads
        self.sample_weight = sample_weight
        self.n = X.shape[0]
        self.sizes = batch_sizes(self.n, settings.batch_size)
        net.check_size(int(self.sizes[0]))
        if state is None or not state.fits(settings.optimizer, weights.trained):
            state = NetworkState(settings.optimizer)
        self.state = state
        self._lay_out()
        self.engine = self._engine(X, goal, sample_weight, int(self.sizes[0]))
        self.workspace = self.engine.workspace
        reports = validate is not None or settings.tol is not None or settings.report is not None
        self.watched = reports or not settings.source.steady
        self.curve: list[float] = []
        self.scores: list[float] = []
        self.validation_curve: list[float] = []
        self.stopping = Stopping(
            settings.rule(), idle=settings.idle, best_loss=settings.best_loss, best_score=settings.best_score
        )
        # A score of before belongs to the weights of before.
        self.best = self._copies() if settings.restore_best and settings.best_score > -np.inf else None
        self.stop_reason = RUNNING
        self.t = settings.t
        self.largest_rate = math.nan
        self.weights_ahead = False  # of what is recorded here
        self.resumable: Resumable | None = None
        self.unrecorded: tuple[Any, ...] | None = None  # epochs that the core has made and `_record` has not seen

    def _lay_out(self) -> None:
        """Make flat arrays of parameters, statistics, slots and the mean, and views of their pieces."""
        weights, settings = self.weights, self.settings
        dtype = weights.trained[0].dtype
        size, pieces, kept_size, kept_pieces = self.net.core.layout(dtype.itemsize)
        n_slots, self.average_slot, _ = _core.rule_slots(*settings.optimizer.rule)

        def flat(length: int) -> NDArray[Any]:
            return aligned_zeros((length,), dtype)

        def views(array: NDArray[Any], where: Any) -> Arrays:
            return [array[o : o + r * c].reshape(r, c) for _, _, o, r, c in where]

        self.flat, self.flat_kept = flat(size), flat(kept_size)
        self.parts, self.kept_parts = views(self.flat, pieces), views(self.flat_kept, kept_pieces)
        _copy(weights.trained, self.parts)
        _copy(weights.kept, self.kept_parts)
        self.slots = [flat(size) for _ in range(n_slots)]
        self.slot_parts = [views(slot, pieces) for slot in self.slots]
        for parts, values in zip(self.slot_parts, self.state.slots, strict=False):
            _copy(values, parts)
        self.flat_average: NDArray[Any] | None = None
        self.average_parts: Arrays | None = None
        if settings.average is not None:
            self.flat_average = flat(size)
            self.average_parts = views(self.flat_average, pieces)
            _copy(weights.trained if weights.average is None else weights.average, self.average_parts)
        elif self.average_slot >= 0:
            self.average_parts = self.slot_parts[self.average_slot]

    def _engine(self, X: Any, goal: Goal, weight: NDArray[Any] | None, batch: int) -> _core.NetworkTraining:
        """The core's, for these rows."""
        settings, optimizer = self.settings, self.settings.optimizer
        rule, fields = optimizer.rule
        return _core.NetworkTraining(
            nodes=self.net.plan.nodes,
            masking=self.net.plan.masking,
            X=as_core(X),
            y=goal.y,
            coded=goal.coded,
            outputs=goal.outputs,
            side_weight=[1.0] * (2 * goal.outputs),
            sample_weight=weight,
            loss=goal.loss,
            loss_parameters=goal.parameters,
            multinomial=goal.multinomial,
            smoothing=goal.smoothing,
            rule=rule,
            rule_parameters=fields,
            lazy=optimizer.lazy,
            l2=settings.l2,
            penalty_of_batch=settings.l2_of_batch,
            coupled=optimizer.penalty["coupled"],
            decay=optimizer.penalty["decay"] + settings.decay,
            clip_value=optimizer.clip_value,
            clip_norm=optimizer.clip_norm if settings.clip_norm is None else settings.clip_norm,
            average_share=0.0 if settings.average is None else 1.0 - settings.average,
            batch_size=batch,
            seed=settings.seed,
            weights=self.flat,
            slots=self.slots,
            average=self.flat_average,
            kept=self.flat_kept,
        )

    # ---- checkpoints ----

    def data(self) -> list[Any]:
        """What tells the rows from others."""
        return digests(self.X, self.goal.y, self.sample_weight)

    def snapshot(self, progress: Progress | None) -> dict[str, Any]:
        """All that changes while training goes on; `progress` is that of an epoch on its way."""
        state = self.state
        return {
            "arrays": self._arrays,
            "changing": {name: getattr(self, name) for name in _CHANGING},
            "counts": [state.step, state.epoch, state.carry, state.learning_rate],
            "objects": [plain_of(each) for each in (self.settings.source, self.stopping)],
            "progress": progress,
        }

    def restore(self, saved: dict[str, Any]) -> None:
        """Stand as when `snapshot` was taken."""
        for array, values in zip(self._arrays, saved["arrays"], strict=True):
            array[:] = values
        for name, value in saved["changing"].items():
            setattr(self, name, value)
        step, epoch, carry, rate = saved["counts"]
        self.state = replace(self.state, step=step, epoch=epoch, carry=carry, learning_rate=rate)
        for each, values in zip((self.settings.source, self.stopping), saved["objects"], strict=True):
            set_plain(each, values)
        self._skip_orders(epoch)
        # An engine begins with the weights that it finds when it is made.
        self.engine = self._engine(self.X, self.goal, self.sample_weight, int(self.sizes[0]))

    def _skip_orders(self, epochs: int) -> None:
        """Draw the orders of epochs that are over: each may depend on the one before."""
        if self.settings.order is not None:
            for epoch in range(epochs):
                self.settings.order(epoch)

    @property
    def _arrays(self) -> list[NDArray[Any]]:
        average = [] if self.flat_average is None else [self.flat_average]
        return [self.flat, self.flat_kept, *self.slots, *average]

    def _offer(self, progress: Progress | None) -> None:
        """Let checkpoints be written; `progress` is that of an epoch on its way."""
        if self.resumable is not None:
            rows = self.n * self.state.epoch + (0 if progress is None else progress.rows)
            self.resumable.offer(rows, self.state.epoch, lambda: self.snapshot(progress))

    # ---- epochs ----

    def run(
        self, epochs: Epochs, fitted: Callable[[Result], dict[str, Any]], resumable: Resumable | None = None
    ) -> Result:
        """Train to the end, telling callbacks after each epoch what was `fitted`.

        `resumable` knows where to go on from, and hears how training stands.

        Ctrl-C ends training with the weights reached so far, whether the core hears of it or Python does.

        Raises
        ------
        ValueError
            If a schedule gives a rate that is not a number in [0, inf).
        KeyboardInterrupt
            If it comes before the first epoch, within a callback, or in the moment in which an epoch is recorded.
        """
        self.resumable = resumable
        if resumable is not None and resumable.saved is not None:
            self.restore(resumable.saved)
        first = self.state.step
        while self.stop_reason == RUNNING:
            epochs.begin()
            try:
                self._epochs(1 if epochs else self._certain())
            except KeyboardInterrupt:
                if self.unrecorded is not None:
                    self._record()
                if self.weights_ahead or self.state.step == first:
                    raise  # there is nothing to keep
                self.stop_reason = INTERRUPTED
            interrupted = self.stop_reason == INTERRUPTED
            if epochs.end(None if interrupted else lambda: fitted(self.result())) and not interrupted:
                self.stop_reason = EARLY_STOPPING
            if self.stop_reason == RUNNING:
                self._offer(None)
        if self.stop_reason not in (DIVERGED, INTERRUPTED) and not self.is_finite():  # the last step was too long
            self.stop_reason = DIVERGED
        return self.result(ended=True)

    def is_finite(self) -> bool:
        """Whether the weights, as far as they can be multiplied with each other, and the loss of the last epoch are."""
        return math.isfinite(np.einsum("i,i", self.flat, self.flat)) and (
            not self.curve or math.isfinite(self.curve[-1])
        )

    def _certain(self) -> int:
        """How many epochs will happen in any case, and need no look in between."""
        settings = self.settings
        if self.validate is not None or settings.report is not None or not settings.source.steady:
            return 1
        rows = self.n if settings.order is not None else len(self.sizes)
        return max(1, min(self.stopping.certain(len(self.curve)), _MOST_ORDERS // rows))

    def _epochs(self, count: int) -> None:
        settings, state = self.settings, self.state
        source = settings.source
        order = None
        if settings.order is not None:
            order = np.concatenate([settings.order(state.epoch + k) for k in range(count)])
        rates = source.tables(state.step, self.sizes, self.t + 1, count)
        before, self.weights_ahead = len(self.curve), True
        outcome = self.engine.train(count, order, rates, state.step + 1, state.carry, self.threads)
        self._take(order, rates, before, outcome)

    def _take(self, order: NDArray[np.uint32] | None, rates: NDArray[Any], before: int, outcome: Any) -> None:
        """Take over what the core has made of some epochs, and judge them."""
        self.unrecorded = order, rates, before, outcome
        self._record()
        finite, interrupted = outcome[-2:]
        for number in range(before, before + outcome[0]):
            self._judge(number + 1, self.curve[number])
        if not finite:
            self.stop_reason = DIVERGED  # what remains can only be the best weights so far, if there are any
        if interrupted:  # in the last epoch, too: else nobody would hear of it
            self.stop_reason = INTERRUPTED

    def _record(self) -> None:
        """Note what epochs came to. Twice is once: an interrupt may come in between."""
        assert self.unrecorded is not None
        order, rates, before, (made, steps, losses, penalties, carry, finite, _) = self.unrecorded
        state, goal = self.state, self.goal
        orders = [None if order is None else order[k * self.n :] for k in range(made)]
        constants = np.array([self._constant(goal, self.sample_weight, self.sizes, each) for each in orders])
        values = (goal.factor * np.array(losses) + constants + np.array(penalties)).tolist()
        self.curve[before:] = values if finite else [*values, math.nan]
        learning_rate = float(rates[steps - 1]) if steps else state.learning_rate
        self.largest_rate = float(np.fmax(self.largest_rate, rates[:steps].max(initial=0.0)))
        state = replace(
            state, step=state.step + steps, epoch=state.epoch + made, carry=carry, learning_rate=learning_rate
        )
        self.state, self.t, self.unrecorded, self.weights_ahead = state, self.t + made * self.n, None, False

    @staticmethod
    def _constant(
        goal: Goal, weight: NDArray[Any] | None, sizes: NDArray[np.int64], order: NDArray[np.uint32] | None
    ) -> float:
        """Mean over the batches of an epoch, as the loss is, of what the core leaves out."""
        values, n = goal.constants, int(sizes.sum())
        if values is None:
            return 0.0
        if weight is None:
            return float(values.mean())
        rows = slice(None) if order is None else order[:n]
        starts = np.cumsum(sizes) - sizes
        totals = np.add.reduceat(weight[rows].astype(np.float64), starts)
        sums = np.add.reduceat(weight[rows] * values[rows], starts)
        return float(np.sum(sizes * sums / np.where(totals > 0, totals, 1.0)) / n)

    def _judge(self, epoch: int, loss: float) -> None:
        """Look at an epoch that has ended: score the validation rows, keep the best weights, stop if it is time."""
        settings, stopping = self.settings, self.stopping
        if not self.watched:  # nothing can come of it but the end
            stopping.note(loss)
            if self.stop_reason == RUNNING and epoch >= settings.max_epochs:
                self.stop_reason = stopping.end(MAX_ITER, loss)
            return
        score = self.validate_now()
        if settings.restore_best and stopping.is_best(score):
            self.best = self._copies()
        reason = stopping.judge(epoch, loss, score, settings.source)
        if settings.report is not None:
            settings.report(epoch, loss, score)
        if reason != RUNNING:
            self.stop_reason = reason

    def validate_now(self) -> float | None:
        """Score the validation rows, if there are any, with the weights of the moment."""
        if self.validate is None:
            return None
        score, loss = self.validate(self._now())
        self.scores.append(score)
        self.validation_curve.append(loss)
        return score

    # ---- weights ----

    def _now(self) -> Weights:
        return Weights(self.parts, self.kept_parts, self.average_parts)

    def _copies(self) -> tuple[Arrays, Arrays, Arrays | None]:
        average = None if self.average_parts is None else [part.copy() for part in self.average_parts]
        return [part.copy() for part in self.parts], [part.copy() for part in self.kept_parts], average

    def result(self, *, ended: bool = False) -> Result:
        """How it stands, with the weights in the task's `Weights`; once it has `ended` they are no copies."""
        now = (self.parts, self.kept_parts, self.average_parts) if ended else self._copies()
        chosen = self.best if ended and self.best is not None else now
        self.weights.trained, self.weights.kept, self.weights.average = chosen
        slots = tuple(parts if ended else [part.copy() for part in parts] for parts in self.slot_parts)

        def of_epochs(values: list[float]) -> list[float] | None:
            """Of each epoch; NaN for one that was broken off, or that broke, before anything was known of it."""
            return None if self.validate is None else values + [math.nan] * (len(self.curve) - len(values))

        return Result(
            n_iter=len(self.curve),
            stop_reason=self.stop_reason,
            loss_curve=list(self.curve),
            scores=of_epochs(self.scores),
            validation_loss_curve=of_epochs(self.validation_curve),
            best_loss=self.stopping.best_loss,
            best_score=self.stopping.best_score,
            idle=self.stopping.idle,
            state=replace(self.state, slots=slots, rates=self.settings.source.state),
            t=self.t,
            largest_rate=self.largest_rate,
            restored=ended and self.best is not None,
        )

    # ---- all rows at once ----

    def loss_gradient(self, gradient: NDArray[Any]) -> tuple[float, float]:
        """Return loss and penalty over all rows, and write the gradient; for weights as they stand in `flat`."""
        loss, penalty = self.engine.evaluate(gradient, self.threads)
        constant = self._constant(self.goal, self.sample_weight, self.sizes, None)
        return self.goal.factor * loss + constant, penalty


def _copy(values: Arrays, into: Arrays) -> None:
    for value, part in zip(values, into, strict=True):
        part[:] = np.asarray(value).reshape(part.shape)
