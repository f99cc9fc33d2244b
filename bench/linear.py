"""Linear models: fits of some epochs, and calls for one row."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from . import limits
from .case import Agreement, Case, Limit
from .measure import difference

LOGISTIC = {"loss": "log_loss", "alpha": 1e-4, "max_iter": 10, "tol": None, "random_state": 0}
TOLERANCE = {"float32": 1e-3, "float64": 1e-6}  # results further apart than this are not equal
WARM_UP_STEPS = 500_000
THREADS = 2
CHAIN_SHARE = 2 / 3  # of steps of float32, the rate to reach of their dependent chain
# With the settings above the first 100,000 steps or so are chaotic: scikit-learn started one rounding error away from
# zero ends elsewhere itself. Later the steps are small enough to contract, and equal fits come out equal again.
LEAST_STEPS = 200_000


def rows(full: int, scale: float, settings: dict[str, Any] = LOGISTIC) -> int:
    """Return `scale` times the `full` number of rows, but enough for results that can be compared."""
    return max(round(full * scale), -(-LEAST_STEPS // settings["max_iter"]))


@dataclass(frozen=True, kw_only=True)
class Linear(Case):
    """Data, estimator and settings.

    The unit "epoch" is one of a fit's; for "partial_fit" and "predict" it is a call with one row, and a run makes
    `calls` of them, going round the rows. `ours` are settings of ours alone, such as those of mini-batches: solvers
    that make no mini-batches then do other work on the same data, and the objectives that both fits end at are shown.
    """

    X: Any
    y: NDArray[Any]
    settings: dict[str, Any]
    unit: Literal["epoch", "partial_fit", "predict"] = "epoch"
    calls: int = 1
    ours: dict[str, Any] = field(default_factory=dict)
    estimator: str = "SGDClassifier"

    @property
    def count(self) -> int:
        """Epochs of a fit, or calls."""
        return self.settings["max_iter"] if self.unit == "epoch" else self.calls

    @property
    def outputs(self) -> int:
        """Models that a fit has."""
        classes = len(np.unique(self.y))
        return 1 if classes == 2 else classes

    @property
    def visits(self) -> list[slice]:
        """The rows of the calls, one each."""
        n = self.X.shape[0]
        return [slice(k % n, k % n + 1) for k in range(self.calls)]

    @property
    def limit(self) -> Limit | None:
        """Reading X for mini-batches and sparse rows; else the chain of a step that waits for the one before."""
        if self.unit != "epoch":
            return None
        steps, threads = self.X.shape[0] * self.outputs, self.settings.get("n_jobs") or 1
        if sp.issparse(self.X):
            size = self.X.data.nbytes + self.X.indices.nbytes
            return limits.reading(size, self.X.data, self.ours.get("n_jobs", threads))
        if self.ours:
            return limits.reading(self.X.nbytes, self.X, self.ours.get("n_jobs", threads))
        return limits.chain(steps / min(threads, self.outputs), self.X.shape[1], self.X.dtype.name)

    def part(self, rows: int) -> tuple[Linear, float]:
        """Return the case with the first rows only, and how many times as much work the whole case is."""
        case = replace(self, X=self.X[:rows], y=self.y[:rows])
        return case, self.X.shape[0] / case.X.shape[0]

    def for_subject(self) -> Linear:
        """Return the case with our own settings."""
        return replace(self, settings={**self.settings, **self.ours})

    def objective(self, weights: NDArray[Any]) -> float:
        """Return the mean log loss plus penalty of (outputs, features + 1) weights; the mean over the outputs."""
        W, b = np.split(weights.astype(np.float64), [-1], axis=1)
        scores = self.X @ W.astype(self.X.dtype).T + b[:, 0]
        inside = self.y[:, None] == (np.arange(len(W)) if len(W) > 1 else 1)
        losses = np.logaddexp(0.0, np.where(inside, -scores, scores)).mean(axis=0)
        return float((losses + self.settings["alpha"] / 2 * (W**2).sum(axis=1)).mean())

    def short(self) -> Linear:
        """Return the same case with fewer epochs, where there are many rows."""
        epochs = min(self.settings["max_iter"], max(1, WARM_UP_STEPS // self.X.shape[0]))
        return replace(self, settings={**self.settings, "max_iter": epochs}, calls=min(self.calls, 50))

    def agree(self, mine: NDArray[Any], theirs: Any, peer: str) -> Agreement:
        """Results of the same work are equal to rounding; of other work, the objectives are shown.

        What the peer returned may be a function that gives its weights, where reading them takes time.
        """
        theirs = theirs() if callable(theirs) else theirs
        if self.unit != "predict" and (self.ours or peer != "scikit-learn"):
            return Agreement(True, f"objective {self.objective(mine):.4f}, peer's {self.objective(theirs):.4f}")
        apart = difference(mine, theirs)
        good = apart <= TOLERANCE[self.X.dtype.name]
        return Agreement(good, f"{'equal to' if good else 'NOT EQUAL:'} {apart:.0e}" if apart else "equal")

    def describe(self) -> dict[str, Any]:
        """Return sizes and settings, for the record."""
        return {
            "rows": self.X.shape[0],
            "features": self.X.shape[1],
            "nonzeros": int(self.X.nnz) if sp.issparse(self.X) else None,
            "dtype": self.X.dtype.name,
            "classes": len(np.unique(self.y)),
            "estimator": self.estimator,
            "settings": self.settings,
            **({"ours": self.ours} if self.ours else {}),
        }
