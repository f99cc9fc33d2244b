"""The mini-batch engine's training loop: epochs in the core; rates, history, validation and stopping here."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.special import log_softmax
from sklearn.metrics import r2_score

from . import _core, _rates, losses, schedules
from ._batches import aligned_empty, aligned_zeros, batch_sizes
from ._callbacks import Epochs
from ._checks import as_core
from ._fit import Result, Start, State, Task, Validation
from ._training.stopping import DIVERGED, EARLY_STOPPING, INTERRUPTED, RUNNING, Stopping, StoppingRule
from .exceptions import DivergedError

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
        If X is not finite, the weights overflow, or a schedule gives a rate that is not a number in [0, inf).
    """
    together = Pass([task], check=check, threads=threads, verbose=[verbose])
    (training,) = together.trainings
    while not training.ended:
        epochs.begin()
        try:
            training.mark()
            together.epoch()
        except KeyboardInterrupt:  # while Python was at work, not the core, which looks for signals
            if training.marked is None:  # no epoch is complete
                raise
            training.break_off()
        if training.error is not None:
            raise training.error
        interrupted = training.stop_reason == INTERRUPTED
        if epochs.end(None if interrupted else lambda: fitted(training.result())):
            training.stop_reason = EARLY_STOPPING
    return training.result()


def stream_of(task: Task) -> tuple[Any, ...]:
    """Return what tasks must have in common to be trained in one pass, besides X and y."""
    assert task.batches is not None
    held_out = None if task.validation is None else task.validation.held_out
    return (
        task.batches.size,
        task.plan["shuffle"],
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
    trainings : list of _Training
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
        shared = _Shared(tasks[0], check, threads)
        self.task, self.shared, self.threads = tasks[0], shared, threads
        self.trainings = [_Training(task, shared) for task in tasks]
        for training, tells in zip(self.trainings, verbose, strict=False):
            training.verbose = tells
        for training, name in zip(self.trainings, names, strict=False):
            training.name = f"{name}: "
        self._engines: dict[tuple[int, ...], Any] = {}
        self._stopped = False

    @property
    def ended(self) -> bool:
        return all(training.ended for training in self.trainings)

    @property
    def memory(self) -> dict[str, int]:
        """Bytes of all weights, of the optimizers' state, and of the values of one batch."""
        each = [training.memory for training in self.trainings]
        total = {part: sum(memory[part] for memory in each) for part in each[0]}
        return {**total, "batch": total["batch"] + self.shared.row_bytes * int(self.shared.sizes[0])}

    def _engine(self, trainings: list[_Training]) -> Any:
        """The core's, for those who train; the last one is kept, because it mostly serves again."""
        key = tuple(map(id, trainings))
        if key not in self._engines:
            shared, task = self.shared, self.task
            self._engines = {
                key: _core.MiniBatch(
                    X=as_core(task.X),
                    sorted=not sp.issparse(task.X) or bool(task.X.has_sorted_indices),
                    rows=shared.rows,
                    y=task.y,
                    coded=task.labels[0] >= 0,
                    outputs=len(task.labels),
                    batch_size=int(shared.sizes[0]),
                    shuffle=_SHUFFLES[task.plan["shuffle"]],
                    seed=task.seeds[0],
                    threads=self.threads,
                    models=[training.arguments() for training in trainings],
                )
            }
            if self._stopped:
                self.stop()
        return self._engines[key]

    def epoch(self) -> None:
        """One epoch of all who train, then what it means to each. Those whose rates were far too large try again."""
        trainings = [training for training in self.trainings if not training.ended]
        for training in trainings:
            training.keep()
        attempt = 0
        while trainings:
            batches, rows, interrupted, seen = self._engine(trainings).epoch(
                trainings[0].state.epoch, [training.begin() for training in trainings], self.threads
            )
            again = []
            for training, (loss, penalty, carry, finite) in zip(trainings, seen, strict=True):
                objective = (loss / max(rows, 1) + penalty) / training.shares
                if finite and np.isfinite(objective):
                    training.end(batches, objective, carry, interrupted=interrupted)
                elif training.overflows(first=attempt == 0, last=attempt == _RETREATS):
                    again.append(training)
            trainings, attempt = again, attempt + 1

    def stop(self) -> None:
        """Interrupt the epoch that another thread is in."""
        self._stopped = True
        for engine in self._engines.values():
            engine.stop()


class _Shared:
    """What the tasks of a pass have in common, each found once."""

    def __init__(self, task: Task, check: Callable[[], None], threads: int):
        assert task.batches is not None
        self.task, self.check, self.threads = task, check, threads
        held_out = None if task.validation is None else task.validation.held_out
        if task.rows is not None:
            self.rows = task.rows if held_out is None else task.rows[~held_out[task.rows]]
        else:
            self.rows = None if held_out is None else np.flatnonzero(~held_out)
        if self.rows is not None:
            self.rows = self.rows.astype(np.uint32)
        self.n = task.X.shape[0] if self.rows is None else len(self.rows)
        self.seen = task.X.shape[0] if task.rows is None else len(task.rows)  # as `t_` counts
        self.sizes = batch_sizes(self.n, task.batches.size)
        X = task.X
        sparse = sp.issparse(X)
        self.row_bytes = X.nnz * (X.dtype.itemsize + X.indices.itemsize) // X.shape[0] if sparse else X[:1].nbytes
        self._spreads: dict[Any, float] = {}
        self._totals: dict[Any, Any] = {}
        self._scorer: Any = None

    def largest(self) -> str:
        """A sentence that names the column of X with the largest number."""
        X = self.task.X
        if sp.issparse(X):
            at = int(np.abs(X.data).argmax()) if X.nnz else 0
            column, value = (int(X.indices[at]), float(X.data[at])) if X.nnz else (0, 0.0)
        else:
            each = np.maximum(X.max(axis=0), -X.min(axis=0))
            column = int(each.argmax())
            value = float(each[column])
        return f"The largest number of X is {abs(value):g}, in column {column}."

    def of_rows(self, values: NDArray[Any]) -> NDArray[Any]:
        """Those of the rows to train on."""
        return values if self.rows is None else values[self.rows]

    def spread(self, weight: NDArray[Any] | None, relative: float) -> float:
        """`_rates.spread` of X, with sample weights times a number."""
        key = None if weight is None else (weight.__array_interface__["data"][0], relative)
        if key not in self._spreads:
            weight = None if weight is None else np.asarray(self.of_rows(weight), dtype=np.float64) * relative
            self._spreads[key] = _rates.spread(self.task.X, weight, batch=int(self.sizes[0]), rows=self.rows)
        return self._spreads[key]

    def totals(self, weight: NDArray[Any] | None) -> Any:
        """Weight of the rows of each class code."""
        key = None if weight is None else weight.__array_interface__["data"][0]
        if key not in self._totals:
            weight = None if weight is None else self.of_rows(weight)
            codes = self.of_rows(self.task.y).astype(np.intp)
            self._totals[key] = np.bincount(codes, weights=weight, minlength=max(2, len(self.task.labels)))
        return self._totals[key]

    def scorer(self, task: Task, multinomial: bool) -> _Scorer:
        """Of the validation rows; copies of them are shared."""
        self._scorer = _Scorer(task, multinomial, self.threads, like=self._scorer)
        return self._scorer


class _Training:
    """A task on its way."""

    def __init__(self, task: Task, shared: _Shared):
        assert task.batches is not None
        self.task, self.batches, self.plan, self.shared = task, task.batches, task.plan, shared
        self.verbose, self.name = 0, ""
        self.began = time.monotonic()
        start = task.start
        self.n_outputs, n_features = start.coef.shape
        self.shares = 1 if self.batches.multinomial else self.n_outputs  # objectives are means over the outputs
        dtype = start.coef.dtype
        width = _core.outputs_width(self.n_outputs, dtype.itemsize)
        n_slots, self.answers = _core.rule_slots(*self.batches.optimizer.rule)

        make = aligned_empty if width == self.n_outputs else aligned_zeros  # columns that fill up a register are zero

        def padded() -> NDArray[Any]:
            return make((n_features + 1, width), dtype)

        self.weights = padded()
        self.average = None if start.average_coef is None else padded()
        if self.average is not None:
            self.answers = -1
        state = self.batches.state
        if state is None or not state.fits(self.batches.optimizer, (n_features + 1, self.n_outputs)):
            state = State(self.batches.optimizer, ())
        self.state = state
        self.slots = [padded() for _ in range(n_slots)]
        self._begin()
        self.sizes = shared.sizes
        self.side_weight = self._side_weight()
        self.source = self._source()
        self.before: list[NDArray[Any]] = []  # without a copy, an epoch goes back to the beginning
        self.marked: tuple[list[Any], list[Any], list[Any]] | None = None
        self.validation = None if task.validation is None else shared.scorer(task, self.batches.multinomial)
        self.curve: list[float] = []
        self.scores: list[float] = []
        self.validation_curve: list[float] = []
        self.stopping = Stopping(self._rule())
        self.best: Start | None = None
        self.stop_reason = RUNNING
        self.error: ValueError | None = None

    def _begin(self) -> None:
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
        rule, fields = self.batches.optimizer.rule
        return {
            "loss": self.plan["loss"],
            "loss_parameters": self.plan["loss_parameters"],
            "multinomial": self.batches.multinomial,
            "rule": rule,
            "rule_parameters": fields,
            "l2": self.plan["l2"],
            "l1": self.plan["l1"],
            **self.batches.optimizer.penalty,
            "positive": self.batches.positive,
            "clip_value": self.batches.optimizer.clip_value,
            "clip_norm": self.batches.optimizer.clip_norm,
            "intercept_decay": self.plan["intercept_decay"],
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

    def _rule(self) -> StoppingRule:
        return StoppingRule(
            max_epochs=self.plan["max_iter"],
            tol=self.plan["tol"],
            patience=self.plan["n_iter_no_change"],
            by_score=self.plan["early_stopping"],
            tells_rates=self.batches.normalise,  # partial_fit knows no plateau
            resets_rates=True,
        )

    def _side_weight(self) -> NDArray[np.float64]:
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

    def _source(self) -> _rates.Source:
        """The learning rates: the optimizer's own where it has some, else the estimator's."""
        plan, optimizer, learned = self.plan, self.batches.optimizer, self.state.rates
        steps = None
        if self.batches.normalise:  # partial_fit does not know the end of training
            steps = _rates.steps_of(self.state.step, plan["max_iter"], len(self.sizes))
        own = ("constant", "adaptive", "optimal", "invscaling")
        rate = _rates.settled(self.batches.rate, plan["eta0"], optimizer, steps, own=own)
        if rate == "constant":
            return _rates.Source(schedules.Constant(plan["eta0"]))
        if rate == "adaptive":
            return _rates.Adaptive(plan["eta0"], learned)
        if isinstance(rate, schedules.ReduceOnPlateau):
            return _rates.Plateau(rate, learned)
        if not isinstance(rate, str):
            return _rates.Source(rate)

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
        curvature = losses.get(self.plan["loss"]).curvature
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
        result = curvature * self.shared.spread(self.task.sample_weight, relative) + self.plan["l2"]
        if not result < 1.0 / float(np.finfo(self.weights.dtype).tiny):
            self.shared.check()
            raise ValueError(
                f"No learning rate of {self.weights.dtype} is small enough for these data: {self.shared.largest()} "
                "Scale the columns, by StandardScaler for instance."
            )
        return result

    def mark(self) -> None:
        """Remember how things stand after some epochs, for `break_off`."""
        if self.curve:
            objects = self, self.source, self.stopping, self.task.start
            self.marked = (
                [(array, array.copy()) for array in self._arrays],
                [(each, len(each)) for each in (self.curve, self.scores, self.validation_curve)],
                [(each, {**vars(each), "marked": None} if each is self else dict(vars(each))) for each in objects],
            )

    def break_off(self) -> None:
        """End training as it stood at the last mark, because Ctrl-C came."""
        assert self.marked is not None
        arrays, lists, objects = self.marked
        for array, values in arrays:
            array[:] = values
        for each, length in lists:
            del each[length:]
        for each, attributes in objects:
            vars(each).update(attributes)
        self.stop_reason = INTERRUPTED

    def keep(self) -> None:
        """Remember what an epoch with automatic rates may have to go back to."""
        if isinstance(self.source, _rates.Automatic) and self.curve:
            self.before = [array.copy() for array in self._arrays]

    @property
    def _arrays(self) -> list[NDArray[Any]]:
        return [self.weights, *self.slots] + ([] if self.average is None else [self.average])

    def begin(self) -> tuple[int, float, NDArray[np.float64], int]:
        """What the core begins an epoch with."""
        start, step = self.task.start, self.state.step
        self.table = self.source.table(step, self.sizes, start.t)
        return step + 1, self.state.carry, self.table, int(start.average_from)

    def overflows(self, *, first: bool, last: bool) -> bool:
        """Hear that the epoch led to numbers that are not finite; whether to try it again, at smaller rates."""
        if not self.curve and first:
            self.shared.check()
        if not isinstance(self.source, _rates.Automatic) or last:
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
            self._begin()
        self.source.retreat()
        return True

    def end(self, batches: int, objective: float, carry: float, *, interrupted: bool) -> None:
        """Hear how the epoch went."""
        start, before = self.task.start, self.state
        start.steps = before.step + batches
        epoch = before.epoch + (not interrupted)
        self.state = State(before.optimizer, before.slots, start.steps, epoch, carry, before.rates)
        if interrupted:
            self.stop_reason = INTERRUPTED
            return
        start.t += self.shared.seen
        self.curve.append(objective)
        self._judge(objective)
        if self.verbose > 0:
            self._say()

    def _judge(self, objective: float) -> None:
        """Score the validation rows, keep the best weights, and stop if it is time."""
        score = None
        if self.validation is not None:
            score, loss = self.validation(*self.answer())
            self.scores.append(score)
            self.validation_curve.append(loss)
            if self.plan["restore_best_weights"] and (self.best is None or self.stopping.is_best(score)):
                self.best = copy.deepcopy(self._settled())
        self.stop_reason = self.stopping.judge(len(self.curve), objective, score, self.source)

    def _unpadded(self, array: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.float64]]:
        """Without columns that fill up a register it is a view, which changes as training goes on.

        Coefficients are in Fortran's order, as the engine has them: to transpose millions takes longer than a batch,
        and products with sparse rows want them so.
        """
        coef = np.asfortranarray(array[:-1, : self.n_outputs].T)
        return coef, array[-1, : self.n_outputs].astype(np.float64)

    def answer(self) -> tuple[NDArray[Any], NDArray[np.float64]]:
        """The weights to predict with."""
        if self.average is not None and self.task.start.average_from <= self.task.start.steps:
            return self._unpadded(self.average)
        return self._unpadded(self.weights if self.answers < 0 else self.slots[self.answers])

    def _settled(self) -> Start:
        """The weights of the moment."""
        start = replace(self.task.start)
        start.coef, start.intercept = self._unpadded(self.weights)
        if self.average is not None:
            start.average_coef, start.average_intercept = self._unpadded(self.average)
        elif self.answers >= 0:
            start.average_coef, start.average_intercept = self._unpadded(self.slots[self.answers])
        return start

    def result(self) -> Result:
        """How it stands, with the weights in the task's `Start`."""
        start, settled = self.task.start, self._settled()
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

    def _say(self) -> None:
        """What ``verbose`` prints."""
        table = self.table
        scored = "" if self.validation is None else f"  validation score {self.scores[-1]:.4f}"
        rate = f"{table[0]:.3g}" if table[0] == table[-1] else f"{table[0]:.3g} to {table[-1]:.3g}"
        print(
            f"{self.name}Epoch {len(self.curve):>3}  objective {self.curve[-1]:.6f}{scored}  rate {rate}  "
            f"{time.monotonic() - self.began:.2f} s"
        )


class _Scorer:
    """Score and mean loss of the validation rows; `like` may have them already."""

    def __init__(self, task: Task, multinomial: bool, threads: int, like: _Scorer | None = None):
        validation = task.validation or Validation()
        if validation.held_out is None:
            self.X, self.y, self.weight = validation.X, validation.y, validation.sample_weight
        else:
            rows = np.flatnonzero(validation.held_out)
            self.X, self.y = (task.X[rows], task.y[rows]) if like is None else (like.X, like.y)
            self.weight = None if task.sample_weight is None else task.sample_weight[rows]
        self.coded, self.multinomial, self.threads = task.labels[0] >= 0, multinomial, threads
        self.loss = losses.get(task.plan["loss"], **task.plan["loss_parameters"])
        self.link = np.exp if task.plan["loss"] in losses.LOG_LINK else np.asarray

    def __call__(self, coef: NDArray[Any], intercept: NDArray[np.float64]) -> tuple[float, float]:
        if sp.issparse(self.X):
            product = self.X @ coef.T
        else:  # not by BLAS, whose threads would spin beside the next epoch's
            product = _core.product(np.ascontiguousarray(self.X), np.ascontiguousarray(coef), self.threads)
        raw = np.asarray(product, dtype=np.float64) + intercept
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
