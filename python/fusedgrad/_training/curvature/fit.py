"""A fit by a solver: history, validation rows, callbacks and `verbose` once an iteration, and how it ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from ...exceptions import DivergedError
from ...optimizers import Solver as Settings
from .. import ends
from ..callbacks import Epochs
from ..minibatch_shared import Shared
from ..minibatch_training import SMALL
from ..problem import Problem
from ..records import LinearWeights, Result, Task
from ..resuming import Resumable
from ..shards import Local, Shards, rows_of_shard
from ..shared_shards import SharedOfShards
from ..snapshots import plain_of, set_plain
from ..stopping import CONVERGED, DIVERGED, EARLY_STOPPING, INTERRUPTED, MAX_ITER, RUNNING, STALLED, Stopping
from .ascent import Ascent, KinkedAscent, suits
from .descent import Descent
from .kinks import Kinked
from .passes import Data
from .proximal import Proximal
from .sharded import ShardedData
from .smoothed import Smoothed
from .solver import Solver

Floats = NDArray[np.float64]


class _NoRates:
    """What the rule of stopping asks of rates: there are none."""

    def tell(self, objective: float) -> None: ...

    def goes_on(self) -> bool:
        return False


class Iteration(NamedTuple):
    """What an iteration led to: objective on the rows of the moment, relative gap, passes so far, validation."""

    objective: float
    gap: float
    passes: float
    score: float | None = None
    loss: float | None = None


def _shared(task: Task, check: Callable[[], None], threads: int) -> tuple[Shared, Shards | None]:
    """What is known of the rows, and their shards, if there are several."""
    if task.shards is not None:
        return SharedOfShards(task, check, threads, task.shards), task.shards
    shared, X = Shared(task, check, threads), task.X
    if X.shape[0] <= rows_of_shard(X.shape[1], sparse=sp.issparse(X)):
        return shared, None
    listed = None if shared.rows is None else np.sort(shared.rows)
    shards = Local.of(X, task.y, task.sample_weight, listed, threads)
    return SharedOfShards(task, check, threads, shards), shards


def _data(problem: Problem, threads: int, shards: Shards | None) -> Data:
    if shards is not None:
        return ShardedData(problem, threads, shards)
    listed, n = problem.shared.rows, problem.shared.n
    return Data(problem, threads, np.arange(n, dtype=np.uint32) if listed is None else listed)


class Reached(NamedTuple):
    """Where the last complete iteration has led: how many there are, the weights in units, the best so far.

    It is replaced as a whole: so Ctrl-C, which may come at any line, leaves what is complete.
    """

    iterations: int
    weights: Floats
    best: LinearWeights | None


class Fit:
    """A task on its way.

    Parameters
    ----------
    saved : dict or None
        What `snapshot` has returned of the same task, to go on from.

    Attributes
    ----------
    history : list of Iteration
        Those that are complete, and perhaps one more.
    reached : Reached
        What there is to return.
    error : DivergedError or None
        Why there is no result.
    """

    def __init__(self, task: Task, check: Callable[[], None], threads: int, saved: Mapping[str, Any] | None = None):
        assert task.batches is not None and task.batches.solver is not None
        task.start.average_coef = task.start.average_intercept = None  # steps are few, and none is noise
        self.task = task
        self.began = time.monotonic()
        self.shared, shards = _shared(task, check, threads)
        self.problem = Problem(task, self.shared)
        self.shares = 1 if task.batches.multinomial else len(task.labels)  # objectives are means over the outputs
        with np.errstate(all="ignore"):
            self.data = _data(self.problem, threads, shards)
            self.solver = self._solver(task.batches.solver)
            if saved is None:
                self.solver.begin()
            else:
                self.solver.restore(saved["solver"])
        self.stopping = Stopping(task.stopping)
        scored = task.validation is not None
        self.validation = self.shared.scorer(task, task.batches.multinomial) if scored else None
        self.history: list[Iteration] = []
        self.reached = Reached(0, self.solver.weights, None)
        self.error: DivergedError | None = None
        self.stop_reason = RUNNING
        if saved is not None:
            self.history = [Iteration(*each) for each in saved["history"]]
            best = saved["best"]
            self.reached = self.reached._replace(
                iterations=len(self.history), best=None if best is None else LinearWeights(**best)
            )
            set_plain(self.stopping, saved["stopping"])

    def snapshot(self) -> dict[str, Any]:
        """All that changes from iteration to iteration."""
        return {
            "solver": self.solver.snapshot(),
            "history": self.history,
            "best": self.reached.best,
            "stopping": plain_of(self.stopping),
        }

    @property
    def ended(self) -> bool:
        return self.stop_reason != RUNNING

    def _solver(self, settings: Settings) -> Descent:
        tol, warm = self.task.stopping.tol, bool(self.task.start.coef.any())
        small, floor = SMALL * self.problem.typical * self.shares, self.problem.floor * self.shares
        composite = self.data.l1 > 0.0 or self.data.positive
        kinds: dict[tuple[bool, bool], type[Descent]] = {
            (False, False): Solver,
            (False, True): Proximal,
            (True, False): Kinked,
            (True, True): Smoothed,
        }
        kind = kinds[self.data.kinked, composite]
        if settings.factors and not warm and not composite and suits(self.data):
            kind = KinkedAscent if self.data.kinked else Ascent
        return kind(self.data, self._initial(), settings, tol, warm=warm, small=small, floor=floor)

    def _initial(self) -> Floats:
        """The weights to start from, in units."""
        start, frame, base = self.task.start, self.data.frame, self.problem.base
        coef, intercept = start.coef.astype(np.float64), start.intercept
        if base is not None and not coef.any():
            intercept = base
        centre = 0.0 if frame.centre is None else np.einsum("kj,j->k", coef, frame.centre)
        return np.vstack([coef.T, intercept + centre]) / frame.unit

    def weights(self) -> tuple[NDArray[Any], Floats]:
        """Those that are reached."""
        return self._plain(self.reached.weights)

    def _plain(self, weights: Floats) -> tuple[NDArray[Any], Floats]:
        """Coefficients (n_outputs, n_features) in the dtype of the model, and intercepts of rows from zero."""
        frame = self.data.frame
        plain = weights * frame.unit
        intercept = plain[-1] - (0.0 if frame.centre is None else np.einsum("j,jk->k", frame.centre, plain[:-1]))
        if self.data.multinomial and self.data.intercept:  # a softmax does not see what they have in common
            intercept -= intercept.mean()
        return np.ascontiguousarray(plain[:-1].T, dtype=self.task.start.coef.dtype), intercept

    def iterate(self) -> None:
        """One iteration, and what it means."""
        with np.errstate(all="ignore"):  # columns may be as large as numbers can be
            if self.solver.finite:
                self.solver.step()
        if not self.solver.finite:
            self._diverge()
            return
        score, loss, best = None, None, self.reached.best
        if self.validation is not None:
            coef, intercept = self._plain(self.solver.weights)
            score, loss = self.validation(coef, intercept)
            if self.task.restore_best and (best is None or self.stopping.is_best(score)):
                best = LinearWeights(coef, intercept)
        objective = self.solver.value / self.shares
        self.history.append(Iteration(objective, self.solver.gap, self.solver.passes, score, loss))
        self.reached = Reached(len(self.history), self.solver.weights, best)
        self.stop_reason = self._judge(score)

    def _diverge(self) -> None:
        self.shared.check()
        self.stop_reason = DIVERGED
        self.error = DivergedError(
            f"Floating-point under-/overflow occurred in iteration {len(self.history) + 1}. {self.shared.largest()} "
            "Scaling input data with StandardScaler or MinMaxScaler might help.",
            loss_curve=[iteration.objective for iteration in self.history],
            epoch=len(self.history) + 1,
            rate=1.0,
        )

    def _judge(self, score: float | None) -> str:
        made = len(self.history)
        if self.task.stopping.by_score:
            return self.stopping.judge(made, self.history[-1].objective, score, _NoRates())
        if score is not None and self.stopping.is_best(score):
            self.stopping.best_score = score
        if self.solver.done:
            return CONVERGED
        if self.solver.stuck:
            return STALLED
        return MAX_ITER if made >= self.task.stopping.max_epochs else RUNNING

    def result(self) -> Result:
        """How it stands, with the weights in the task's `LinearWeights`."""
        start, best = self.task.start, self.reached.best
        start.coef, start.intercept = self.weights() if best is None or not self.ended else (best.coef, best.intercept)
        history, validated = self.history[: self.reached.iterations], self.validation is not None
        start.steps = len(history)
        start.t = 1.0 + self.shared.rows_counted * (history[-1].passes if history else 0.0)
        return Result(
            n_iter=len(history),
            stop_reason=self.stop_reason,
            loss_curve=[each.objective for each in history],
            validation_scores=[each.score for each in history if each.score is not None] if validated else None,
            validation_loss_curve=[each.loss for each in history if each.loss is not None] if validated else None,
            gaps=[each.gap for each in history],
            proven=self.solver.proven,
            passes=[each.passes for each in history],
            warning=self._warning(),
        )

    def _warning(self) -> str:
        loss = self.task.objective.loss
        if self.stop_reason == STALLED:
            return ends.of_stalling(
                min(self.solver.estimate, self.solver.bound) / self.solver.size, loss, automatic=True
            )
        endless = loss == "log_loss" and self.solver.whole and not np.isfinite(self.solver.bound)
        nothing = self.solver.value - self.solver.floor <= self.solver.small
        return ends.of_separable_classes(self.solver.value / self.shares) if endless and nothing else ""

    def print_iteration(self, name: str = "") -> None:
        """What ``verbose`` prints."""
        last = self.history[-1]
        rows = "all rows" if self.solver.whole else f"{self.solver.rows:,} rows"
        sign = "<=" if self.solver.proven else "~"
        gap = f"  gap {sign} {last.gap:.1e}" if self.solver.whole else ""
        scored = "" if last.score is None else f"  validation score {last.score:.4f}"
        print(
            f"{name}Iteration {len(self.history):>3}  {rows}  objective {last.objective:.6f}{gap}{scored}  "
            f"{last.passes:.1f} passes  {time.monotonic() - self.began:.2f} s"
        )


def run(
    task: Task,
    *,
    epochs: Epochs,
    fitted: Callable[[Result], dict[str, Any]],
    check: Callable[[], None],
    threads: int = 1,
    verbose: int = 0,
    resumable: Resumable | None = None,
) -> Result:
    """Train, in place of `task.start`. As `minibatch.run`, for a task whose optimizer is a solver."""
    fit = Fit(task, check, threads, None if resumable is None else resumable.saved)
    while not fit.ended:
        epochs.begin()
        interrupted = False
        try:
            fit.iterate()
        except KeyboardInterrupt:
            if not fit.reached.iterations:
                raise
            fit.stop_reason, interrupted = INTERRUPTED, True
        if fit.error is not None:
            raise fit.error
        if verbose > 0 and not interrupted:
            fit.print_iteration()
        if epochs.end(None if interrupted else lambda: fitted(fit.result())):
            fit.stop_reason = EARLY_STOPPING
        if resumable is not None and not fit.ended:
            passes = fit.solver.passes
            resumable.offer(passes * fit.shared.rows_counted, passes, fit.snapshot)
    return fit.result()
