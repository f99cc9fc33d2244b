"""All cells of a grid on all folds: trained in as few passes as possible, scored, and perhaps dropped on the way."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from time import perf_counter
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.base import clone

from ..._threads import threads_for
from ..._training.stopping import MAX_ITER
from .._together import Together
from ._data import Data
from ._scoring import Scorer


class Fold:
    """All cells on one split: trained on its training rows, scored on its test rows."""

    def __init__(
        self, number: int, split: tuple[Any, Any], cells: dict[str, Any], data: Data, scorer: Scorer, threads: int
    ):
        self.number, self.data, self.scorer, self.test = number, data, scorer, split[1]
        self.names = [f"{name}, fold {number}" for name in cells]
        self.models = [clone(cell) for cell in cells.values()]
        self.together = Together(
            self.models,
            data.X,
            data.y,
            data.sample_weight,
            rows=split[0],
            names=self.names,
            chained=True,
            threads=threads,
        )
        self.settled = False
        self.fit_time, self.score_time = np.zeros(len(cells)), np.zeros(len(cells))

    def run(self, active: list[int], epochs: int | None = None) -> None:
        """Train; `active` are the models that were not dropped."""
        start = perf_counter()
        self.together.run(epochs)
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
    """All cells on all folds: what is known of them while they are trained."""

    def __init__(
        self,
        cells: dict[str, Any],
        data: Data,
        splits: list[tuple[Any, Any]],
        scorer: Scorer,
        error_score: float | str,
        verbose: int,
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

    def run(self) -> None:
        """Train every cell to its end, as many folds at a time as there are threads."""
        every_cell = list(range(len(self.cells)))
        for first in range(0, len(self.splits), self.threads):
            folds = self._folds(range(first, min(first + self.threads, len(self.splits))))
            if first == 0:
                self._announce(folds)
            self._train(folds, every_cell)
            for fold in folds:
                self._finish(fold, every_cell)

    def halve(self) -> None:
        """Train on all folds side by side; after 1, 2, 4, ... epochs the worse half of the cells leaves."""
        folds = self._folds(range(len(self.splits)))
        self._announce(folds)
        active, epochs = list(range(len(self.cells))), 1
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
            active, epochs = kept, 2 * epochs
            self.rounds[active] += 1
        self._train(folds, active)
        for fold in folds:
            self._finish(fold, active)

    def means(self) -> NDArray[np.float64]:
        """The mean score of each cell, -inf for NaN."""
        means = self.scores.mean(axis=1)
        return np.where(np.isnan(means), -np.inf, means)

    def _folds(self, numbers: range) -> list[Fold]:
        """Folds that are trained side by side; they share the threads, if there are enough."""
        threads = max(1, self.threads // len(numbers))
        return [Fold(k, self.splits[k], self.cells, self.data, self.scorer, threads) for k in numbers]

    def _train(self, folds: list[Fold], active: list[int], epochs: int | None = None) -> None:
        alone = any(fold.together.alone for fold in folds)  # some fits would not hear of Ctrl-C on another thread
        if len(folds) == 1 or self.threads == 1 or alone:
            for fold in folds:
                fold.run(active, epochs)
        else:
            self._train_at_once(folds, active, epochs)
        for fold in folds:
            for name, error in zip(fold.names, fold.together.errors, strict=True):
                if error is not None:
                    if self.raises:
                        raise error
                    self.errors[name] = error

    def _train_at_once(self, folds: list[Fold], active: list[int], epochs: int | None) -> None:
        """A fold a thread: they need not wait for each other, as the threads of a pass do after every batch."""
        with ThreadPoolExecutor(self.threads) as pool:
            runs = [pool.submit(fold.run, active, epochs) for fold in folds]
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
        fold.settle()
        self.scores[active, k] = fold.score(active, self.error_score)
        self.fit_time[:, k], self.score_time[:, k] = fold.fit_time, fold.score_time
        for i, model in enumerate(fold.models):
            if fold.together.errors[i] is None:
                self.weights[i, k, :, :-1], self.weights[i, k, :, -1] = model.coef_, model.intercept_
                self.n_iter[i, k] = model.n_iter_
                self.unfinished += model.tol is not None and model.stop_reason_ == MAX_ITER
        self.astray.extend(fold.together.owed.values())
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
