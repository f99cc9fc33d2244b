"""Grids of linear models: many penalties on the same rows, fitted, or scored by cross-validation."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedKFold

from . import limits
from .case import Agreement, Case, Limit
from .linear import THREADS
from .measure import difference

SCORES_APART = {"accuracy": 1e-3, "neg_log_loss": 1e-4}  # of searches alike, where the peer goes to the optimum


@dataclass(frozen=True, kw_only=True)
class Grid(Case):
    """Rows with two classes, and the penalties of log loss; everybody gets two threads or two processes.

    Where each model of the peer takes a fit of its own, one of `every` so many is fitted, and the time multiplied.
    """

    X: Any
    y: NDArray[np.int64]
    alphas: NDArray[np.float64]
    every: int = 1
    unit: str = "grid"

    @property
    def some(self) -> slice:
        """The penalties that a peer fits in place of all."""
        return slice(self.every // 2, None, self.every)

    def short(self) -> Grid:
        """Return the same grid with a fifth of its penalties; fewer rows would favour other solvers."""
        return replace(self, alphas=self.alphas[::5])

    def describe(self) -> dict[str, Any]:
        """Return sizes, for the record."""
        return {
            "rows": self.X.shape[0],
            "features": self.X.shape[1],
            "dtype": self.X.dtype.name,
            "alphas": self.alphas.tolist(),
            "every": self.every,
        }


@dataclass(frozen=True, kw_only=True)
class Fits(Grid):
    """A fit for each penalty. `ours` are the settings of mini-batches; runs return (models, features + 1) weights."""

    settings: dict[str, Any]
    ours: dict[str, Any]

    @property
    def limit(self) -> Limit:
        """The products of rows and weights, and of rows and slopes, for all models at once."""
        operations = 4 * self.X.size * len(self.alphas) * self.settings["max_iter"]
        return limits.multiplying(operations, self.X.dtype.name, THREADS)

    def agree(self, mine: NDArray[Any], theirs: NDArray[Any], peer: str) -> Agreement:
        """Our own fits are equal; others end no nearer the optimum."""
        mine = mine[self.some]
        if peer.startswith("fusedgrad"):
            apart = difference(mine, theirs)
            return Agreement(apart == 0, f"NOT EQUAL: {apart:.0e}" if apart else "equal")
        ours, others = self.objective(mine), self.objective(theirs)
        return Agreement(ours <= others, f"mean objective {ours:.4f}, peer's {others:.4f}")

    def objective(self, weights: NDArray[Any]) -> float:
        """Return the mean log loss plus penalty, and the mean of that over the models of `some`."""
        W, b = weights[:, :-1], weights[:, -1]
        scores = self.X @ W.astype(self.X.dtype).T + b
        losses = np.logaddexp(0.0, np.where(self.y[:, None] == 1, -scores, scores)).mean(axis=0, dtype=np.float64)
        return float(np.mean(losses + self.alphas[self.some] / 2 * (W**2).sum(axis=1)))

    def describe(self) -> dict[str, Any]:
        """Return sizes and settings, for the record."""
        return {**super().describe(), "settings": self.settings, "ours": self.ours}


@dataclass(frozen=True, kw_only=True)
class Search(Grid):
    """A choice among penalties by five-fold cross-validation; runs return the mean score of each penalty.

    The best of our scores may be `tolerance` below the best of the peer's. A search has no limit: its models stop when
    they have converged, after a number of epochs that nobody knows before.
    """

    peer: Literal["GridSearchCV of SGDClassifier", "LogisticRegressionCV"]
    scoring: Literal["accuracy", "neg_log_loss"] = "accuracy"
    ours: dict[str, Any] = field(default_factory=dict)
    tolerance: float = 0.0

    @property
    def folds(self) -> StratifiedKFold:
        """The folds, the same for all."""
        return StratifiedKFold(5)

    def agree(self, mine: NDArray[Any], theirs: NDArray[Any], peer: str) -> Agreement:
        """Our best score is not below the peer's, of the penalties that both have tried."""
        ours, others = mine[self.some].max(), theirs.max()
        return Agreement(bool(ours >= others - self.tolerance), f"{self.scoring} {ours:.5f}, peer's {others:.5f}")

    def describe(self) -> dict[str, Any]:
        """Return sizes and settings, for the record."""
        return {**super().describe(), "scoring": self.scoring, "folds": self.folds.n_splits, "ours": self.ours}
