"""All cells of a grid on all folds: trained in as few passes as possible, scored, and perhaps dropped on the way."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.base import clone

from ..._threads import threads_for
from ..._training.callbacks import Epochs
from ..._training.resuming import Resumable, never
from ..._training.stopping import MAX_ITER
from ...exceptions import DivergedError
from ._data import Data
from ._scoring import Scorer

_TABLES = ("scores", "n_iter", "fit_time", "score_time", "rounds", "weights")  # what is known of all cells
_PLAIN = ("finished", "unfinished", "astray", "active", "epochs")


class Fold:
    """All cells on one split: trained on its training rows, scored on its test rows."""

    def __init__(
        self, number: int, split: tuple[Any, Any], cells: dict[str, Any], data: Data, scorer: Scorer, threads: int
    ):
        self.number, self.data, self.scorer, self.test = number, data, scorer, split[1]
        self.names = [f"{name}, fold {number}" for name in cells]
        self.models = [clone(cell) for cell in cells.values()]
        self.together = data.together(self.models, split[0], self.names, threads)
        self.settled = False
        self.fit_time, self.score_time = np.zeros(len(cells)), np.zeros(len(cells))

    def snapshot(self) -> dict[str, Any]:
        """All that changes while it is trained."""
        return {
            "together": self.together.snapshot(),
            "times": [self.fit_time, self.score_time],
            "made": self.together.made,
        }

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Stand as when `snapshot` was taken."""
        self.together.restore(saved["together"])
        self.fit_time, self.score_time = saved["times"]

    def run(self, active: list[int], epochs: int | None = None, pause: Callable[[], bool] = never) -> None:
        """Train; `active` are the models that were not dropped."""
        start = perf_counter()
        self.together.run(epochs, pause)
        self.fit_time[active] += (perf_counter() - start) / len(active)

    def settle(self) -> None:
        self.together.settle()
        self.settled = True

    def score(self, active: list[int], error_score: float) -> NDArray[np.float64]:
        start = perf_counter()
        scores = np.full(len(active), error_score)
        good = [k for k, i in enumerate(active) if self.together.errors[i] is None]
        if good:
            chosen = [active[k] for k in good]
            scores[good] = self.scorer([self.model(i) for i in chosen], [self.names[i] for i in chosen], self.test)
        self.score_time[active] += (perf_counter() - start) / len(active)
        return scores

    def model(self, i: int) -> Any:
        """A model that predicts; before the end one of its present weights."""
        return self.models[i] if self.settled else self.data.fitted(self.models[i], *self.together.weights(i))


class Search:
    """All cells on all folds: what is known of them while they are trained.

    `told` hears of each fold, `resumable` of how all stand.
    """

    def __init__(
        self,
        cells: dict[str, Any],
        data: Data,
        splits: list[tuple[Any, Any]],
        scorer: Scorer,
        error_score: float | str,
        verbose: int,
        told: Epochs,
        resumable: Resumable | None,
    ):
        self.cells, self.names, self.data, self.splits, self.scorer = cells, [*cells], data, splits, scorer
        self.raises, self.error_score = error_score == "raise", np.nan if error_score == "raise" else float(error_score)
        self.verbose = verbose
        work = float(data.X.nnz if sp.issparse(data.X) else data.X.size) * len(cells)
        self.threads = threads_for(next(iter(cells.values())).n_jobs, None, work)
        shape = len(cells), len(splits)
        self.scores, self.n_iter = np.full(shape, np.nan), np.full(shape, np.nan)
        self.fit_time, self.score_time = np.zeros(shape), np.zeros(shape)
        self.rounds = np.zeros(len(cells), dtype=int)  # of halving that a cell has survived
        self.errors: dict[str, Exception] = {}  # of models that overflowed, by their names
        self.unfinished = 0  # models that max_iter stopped
        self.astray: list[str] = []  # what others say that ended away from their optimum
        self.weights = np.full((*shape, data.outputs, data.X.shape[1] + 1), np.nan, dtype=data.X.dtype)
        self.finished: list[int] = []  # folds
        self.active, self.epochs = list(range(len(cells))), 1  # of halving: cells that go on, the next time to judge
        self._told, self.resumable = told, resumable
        self._made = [0.0, 0.0]  # rows and epochs of the folds that are finished
        self._under_way: list[Fold] = []
        self._waiting: dict[str, Any] = {}  # states of folds that another call has begun
        if resumable is not None and resumable.saved is not None:
            self._restore(resumable.saved["search"])

    # ---- checkpoints ----

    @property
    def made(self) -> tuple[float, float]:
        """Rows and epochs of all folds, so far; of solvers, passes."""
        begun = [fold.together.made for fold in self._under_way] + [each["made"] for each in self._waiting.values()]
        rows, epochs = zip(self._made, *begun, strict=True)
        return sum(rows), sum(epochs)

    def offer(self, rows: float = 0.0, epochs: float = 0.0, refit: Callable[[], Any] | None = None) -> None:
        """Let a checkpoint be written, if that is asked for; of the refit too, after so many rows and epochs of it."""

        def state() -> dict[str, Any]:
            return {"search": self._snapshot(), "refit": refit and refit()}

        if self.resumable is not None:
            made = self.made
            self.resumable.offer(made[0] + rows, made[1] + epochs, state)

    def _is_due(self) -> bool:
        return self.resumable is not None and self.resumable.is_due(*self.made)

    def _snapshot(self) -> dict[str, Any]:
        return {
            "tables": {name: getattr(self, name) for name in _TABLES},
            "plain": {name: getattr(self, name) for name in _PLAIN},
            "errors": {name: str(error) for name, error in self.errors.items()},
            "made": self._made,
            "folds": {**self._waiting, **{str(fold.number): fold.snapshot() for fold in self._under_way}},
        }

    def _restore(self, saved: Mapping[str, Any]) -> None:
        vars(self).update(**saved["tables"], **saved["plain"])
        self.errors = {name: DivergedError(message) for name, message in saved["errors"].items()}
        self._made, self._waiting = saved["made"], saved["folds"]

    # ---- training ----

    def run(self) -> None:
        """Train every cell to its end, as many folds at a time as there are threads."""
        every_cell = list(range(len(self.cells)))
        left = [k for k in range(len(self.splits)) if k not in self.finished]
        for first in range(0, len(left), self.threads):
            folds = self._folds(left[first : first + self.threads])
            if first == 0:
                self._announce(folds)
            self._train_to_the_end(folds, every_cell)
            for fold in folds:
                self._finish(fold, every_cell)

    def halve(self) -> None:
        """Train on all folds side by side; after 1, 2, 4, ... epochs the worse half of the cells leaves."""
        if self.finished:  # all of them, at once
            return
        folds = self._folds(range(len(self.splits)))
        self._announce(folds)
        active, epochs = self.active, self.epochs
        while len(active) > 1:
            self._train(folds, active, max(1, epochs // 2))
            if all(fold.together.ended for fold in folds):
                break
            for fold in folds:
                self.scores[active, fold.number] = fold.score(active, self.error_score)
            kept = sorted(self._order(active)[: (len(active) + 1) // 2])
            for fold in folds:
                fold.together.drop([i for i in active if i not in kept])
            self._print(f"after {epochs} epochs {len(kept)} of {len(active)} cells go on; {self._leader(active)}")
            self.active, self.epochs = active, epochs = kept, 2 * epochs
            self.rounds[active] += 1
            self.offer()
        self._train_to_the_end(folds, active)
        for fold in folds:
            self._finish(fold, active)

    def means(self) -> NDArray[np.float64]:
        """The mean score of each cell, -inf for NaN."""
        means = self.scores.mean(axis=1)
        return np.where(np.isnan(means), -np.inf, means)

    def _folds(self, numbers: Sequence[int]) -> list[Fold]:
        """Folds that are trained side by side; they share the threads, if there are enough."""
        threads = max(1, self.threads // len(numbers))
        folds = [Fold(k, self.splits[k], self.cells, self.data, self.scorer, threads) for k in numbers]
        for fold in folds:
            if str(fold.number) in self._waiting:
                fold.restore(self._waiting.pop(str(fold.number)))
        self._under_way = [*folds]
        return folds

    def _train_to_the_end(self, folds: list[Fold], active: list[int]) -> None:
        """Train; where a checkpoint is due, all folds pause after their epoch of the moment."""
        pause = never if self.resumable is None else self._is_due
        self._train(folds, active, pause=pause)
        while not all(fold.together.ended for fold in folds):
            self.offer()
            self._train(folds, active, pause=pause)

    def _train(
        self, folds: list[Fold], active: list[int], epochs: int | None = None, pause: Callable[[], bool] = never
    ) -> None:
        alone = any(fold.together.alone for fold in folds)  # some fits would not hear of Ctrl-C on another thread
        if len(folds) == 1 or self.threads == 1 or alone:
            for fold in folds:
                fold.run(active, epochs, pause)
        else:
            self._train_at_once(folds, active, epochs, pause)
        for fold in folds:
            for error in fold.together.errors:
                if error is not None and self.raises:
                    raise error

    def _train_at_once(
        self, folds: list[Fold], active: list[int], epochs: int | None, pause: Callable[[], bool]
    ) -> None:
        """A fold a thread: they need not wait for each other, as the threads of a pass do after every batch."""
        with ThreadPoolExecutor(self.threads) as pool:
            runs = [pool.submit(fold.run, active, epochs, pause) for fold in folds]
            try:
                for run in runs:
                    run.result()
            except BaseException:  # Ctrl-C comes to this thread alone
                for fold, run in zip(folds, runs, strict=True):
                    run.cancel()
                    fold.together.stop()
                raise

    def _finish(self, fold: Fold, active: list[int]) -> None:
        """Take what there is to know of a fold that is trained; cells that have left keep the score they left with."""
        k = fold.number
        self._told.begin()
        fold.settle()
        self.scores[active, k] = fold.score(active, self.error_score)
        self.fit_time[:, k], self.score_time[:, k] = fold.fit_time, fold.score_time
        for i, (model, error) in enumerate(zip(fold.models, fold.together.errors, strict=True)):
            if error is not None:
                self.errors[fold.names[i]] = error
            else:
                self.weights[i, k, :, :-1], self.weights[i, k, :, -1] = model.coef_, model.intercept_
                self.n_iter[i, k] = model.n_iter_
                self.unfinished += model.tol is not None and model.stop_reason_ == MAX_ITER
        self.astray.extend(fold.together.owed.values())
        self._told.end(None)
        self.finished.append(k)
        self._made = [sum(each) for each in zip(self._made, fold.together.made, strict=True)]
        self._under_way.remove(fold)
        passes = len(fold.together.passes)
        leader = self._leader(active, self.scores[:, k])
        self._print(f"fold {k}: {len(active)} cells, {fold.fit_time.sum():.2f} s, passes: {passes}; {leader}")

    def _order(self, active: list[int]) -> list[int]:
        means = self.means()
        return sorted(active, key=lambda i: -means[i])

    def _leader(self, active: list[int], scores: Any = None) -> str:
        scores = self.means() if scores is None else np.nan_to_num(scores, nan=-np.inf)
        best = max(active, key=lambda i: scores[i])
        return f"best: {scores[best]:.4g} with {self.names[best]}"

    def _announce(self, folds: list[Fold]) -> None:
        sizes = ((name, sum(fold.together.memory[name] for fold in folds)) for name in folds[0].together.memory)
        memory = ", ".join(f"{name} {size / 1e6:.3f} MB" for name, size in sizes)
        self._print(f"{len(self.cells)} cells x {len(self.splits)} folds; memory: {memory}")

    def _print(self, line: str) -> None:
        if self.verbose:
            print(line, flush=True)
