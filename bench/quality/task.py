"""A problem of the race: data, an objective, and the optimum that everybody runs for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, log_softmax, softmax

from .recipes import Recipe

Weights = tuple[NDArray[Any], NDArray[Any]]  # coefficients of shape (outputs, features), intercepts of shape (outputs,)

PRECISION = 1e-7  # of the optimum
NARROW = 1000  # features up to which a dense copy of sparse data is worth a try


@dataclass(frozen=True)
class Task:
    """Minimise ``mean(loss(y, X w + b)) + alpha / 2 ||w||²``.

    Attributes
    ----------
    X : ndarray or CSR array of shape (rows, features)
        What solvers get, in its own dtype; its rows come in a random order.
    y : ndarray of shape (rows,)
        Classes 0, 1, ... as int64, or targets in X's dtype.
    loss : {"log_loss", "multinomial", "squared_error"}
        Log losses of more than two classes are one against the rest, summed. Squared errors are halved, as in SGD.
    alpha : float
        Strength of the penalty. Intercepts are free.
    recipes : list of Recipe
        What is worth a try with mini-batches.
    """

    X: Any
    y: NDArray[Any]
    loss: Literal["log_loss", "multinomial", "squared_error"]
    alpha: float
    recipes: list[Recipe]

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
    def _X(self) -> Any:
        return self.X.astype(np.float64)

    def _scores(self, W: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
        return self._X @ W.T + b

    def _losses(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        if self.loss == "multinomial":
            return -log_softmax(scores, axis=1)[np.arange(self.rows), self.y]
        if self.loss == "log_loss":
            return np.logaddexp(0.0, (1 - 2 * self.targets().reshape(scores.shape)) * scores).sum(axis=1)
        return 0.5 * (scores[:, 0] - self.y) ** 2

    def _predictions(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        if self.loss == "multinomial":
            return softmax(scores, axis=1)
        return expit(scores) if self.loss == "log_loss" else scores

    def objective(self, weights: Weights) -> float:
        """Return the objective in float64; infinity if it overflows."""
        W, b = (np.asarray(part, dtype=np.float64) for part in weights)
        with np.errstate(over="ignore", invalid="ignore"):
            value = float(self._losses(self._scores(W, b)).mean() + self.alpha / 2 * np.sum(W * W))
        return value if np.isfinite(value) else np.inf

    @cached_property
    def optimum(self) -> float:
        """The least value of the objective, relative to which it is at most `PRECISION` too large.

        L-BFGS in float64. The objective is `alpha`-strongly convex in w, so it is at most ``|gradient|² / (2 alpha)``
        above its least value.
        """
        shape = self.outputs, self.features + 1
        targets = self.targets().reshape(self.rows, -1).astype(np.float64)
        excess = np.inf

        def evaluate(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            nonlocal excess
            W, b = np.split(flat.reshape(shape), [-1], axis=1)
            scores = self._scores(W, b[:, 0])
            slopes = (self._predictions(scores) - targets) / self.rows
            gradient = np.hstack([(self._X.T @ slopes).T + self.alpha * W, slopes.sum(axis=0)[:, None]]).ravel()
            value = float(self._losses(scores).mean() + self.alpha / 2 * np.sum(W * W))
            excess = float(gradient @ gradient) / (2 * self.alpha * value)
            return value, gradient

        def stop(_: NDArray[np.float64]) -> None:
            if excess < PRECISION:
                raise StopIteration

        options = {"maxiter": 20_000, "maxfun": 40_000, "ftol": 0.0, "gtol": 0.0, "maxcor": 30}
        found = minimize(evaluate, np.zeros(shape).ravel(), jac=True, method="L-BFGS-B", callback=stop, options=options)
        value, _ = evaluate(found.x)
        assert excess < PRECISION, f"no optimum: {found.message}"
        return value

    def gap(self, weights: Weights) -> float:
        """Return by which share of the optimum the objective is above it."""
        return self.objective(weights) / self.optimum - 1
