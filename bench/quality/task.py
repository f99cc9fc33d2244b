"""A problem of the race: data, an objective, and the optimum that everybody runs for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.special import expit, log_softmax, softmax

from . import optima
from .recipes import Recipe

Weights = tuple[NDArray[Any], NDArray[Any]]  # coefficients of shape (outputs, features), intercepts of shape (outputs,)

NARROW = 1000  # features up to which a dense copy of sparse data is worth a try


@dataclass(frozen=True)
class Task:
    """Minimise ``mean(loss(y, X w + b)) + alpha / 2 ||w||² + l1 ||w||₁``.

    Attributes
    ----------
    X : ndarray or CSR array of shape (rows, features)
        What solvers get, in its own dtype; its rows come in a random order.
    y : ndarray of shape (rows,)
        Classes 0, 1, ... as int64, or targets in X's dtype.
    loss : {"log_loss", "multinomial", "squared_error"}
        Log losses of more than two classes are one against the rest, summed. Squared errors are halved, as in SGD.
    alpha : float
        Strength of the penalty on squares. Intercepts are free.
    recipes : list of Recipe
        What is worth a try with mini-batches.
    l1 : float
        Strength of the penalty on absolute values, for log losses of two classes; then `alpha` is 0.
    """

    X: Any
    y: NDArray[Any]
    loss: Literal["log_loss", "multinomial", "squared_error"]
    alpha: float
    recipes: list[Recipe]
    l1: float = 0.0

    @property
    def rows(self) -> int:
        """Rows of X."""
        return int(self.X.shape[0])

    @property
    def features(self) -> int:
        """Columns of X."""
        return int(self.X.shape[1])

    @property
    def outputs(self) -> int:
        """Columns of scores."""
        classes = 1 if self.loss == "squared_error" else int(self.y.max()) + 1
        return classes if self.loss == "multinomial" or classes > 2 else 1

    @property
    def forms(self) -> dict[str, Any]:
        """Functions that give X in a form worth a try, by what to add to a way's name."""
        forms = {"": lambda: self.X}
        if sp.issparse(self.X) and self.features <= NARROW:
            forms[", dense copy"] = self.X.toarray
        return forms

    def targets(self) -> NDArray[Any]:
        """Return what slopes are measured from, in X's dtype: (rows, outputs) for several outputs, else (rows,)."""
        if self.outputs > 1:
            return np.eye(self.outputs, dtype=self.X.dtype)[self.y]
        return self.y.astype(self.X.dtype)

    @cached_property
    def X64(self) -> Any:
        """X in float64."""
        return self.X.astype(np.float64)

    def losses(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the losses of scores of shape (rows, outputs)."""
        if self.loss == "multinomial":
            return -log_softmax(scores, axis=1)[np.arange(self.rows), self.y]
        if self.loss == "log_loss":
            return np.logaddexp(0.0, (1 - 2 * self.targets().reshape(scores.shape)) * scores).sum(axis=1)
        return 0.5 * (scores[:, 0] - self.y) ** 2

    def predictions(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what targets are subtracted from in the slopes of losses."""
        if self.loss == "multinomial":
            return softmax(scores, axis=1)
        return expit(scores) if self.loss == "log_loss" else scores

    def penalty(self, W: NDArray[np.float64]) -> float:
        """Return the penalty of coefficients."""
        return float(self.alpha / 2 * np.sum(W * W) + self.l1 * np.abs(W).sum())

    def objective(self, weights: Weights) -> float:
        """Return the objective in float64; infinity if it overflows."""
        W, b = (np.asarray(part, dtype=np.float64) for part in weights)
        with np.errstate(over="ignore", invalid="ignore"):
            value = float(self.losses(self.X64 @ W.T + b).mean() + self.penalty(W))
        return value if np.isfinite(value) else np.inf

    @cached_property
    def optimum(self) -> float:
        """The least value of the objective, relative to which it is at most `optima.PRECISION` too large."""
        return optima.sparse_optimum(self) if self.l1 else optima.smooth_optimum(self)

    def gap(self, weights: Weights) -> float:
        """Return by which share of the optimum the objective is above it."""
        return self.objective(weights) / self.optimum - 1
