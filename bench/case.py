"""What a problem hands to a solver."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

LOGISTIC = {"loss": "log_loss", "alpha": 1e-4, "max_iter": 10, "tol": None, "random_state": 0}
TOLERANCE = {"float32": 1e-3, "float64": 1e-6}  # results further apart than this are not equal
WARM_UP_STEPS = 500_000
# With the settings above the first 100,000 steps or so are chaotic: scikit-learn started one rounding error away from
# zero ends elsewhere itself. Later the steps are small enough to contract, and equal fits come out equal again.
LEAST_STEPS = 200_000


def rows(full: int, scale: float, settings: dict[str, Any] = LOGISTIC) -> int:
    """Return `scale` times the `full` number of rows, but enough for results that can be compared."""
    return max(round(full * scale), -(-LEAST_STEPS // settings["max_iter"]))


@dataclass(frozen=True)
class Case:
    """A problem at one size: data, estimator and settings, and what is timed.

    `action` "fit" is a fit of all rows; "partial_fit" and "predict" take one row a call, and a timed run makes `calls`
    of them, going round the rows. `ours` are settings of the subject alone, such as those of mini-batches: the peer
    then does other work on the same data, and a row compares epochs, once for each number of `threads`.
    """

    X: Any
    y: NDArray[Any]
    settings: dict[str, Any]
    estimator: str = "SGDClassifier"
    action: Literal["fit", "partial_fit", "predict"] = "fit"
    calls: int = 1
    ours: dict[str, Any] = field(default_factory=dict)
    threads: tuple[int, ...] = ()

    @property
    def is_main(self) -> bool:
        """Whether targets are for this case: it has the largest number of threads."""
        return not self.threads or self.settings.get("n_jobs") == max(self.threads)

    @property
    def steps(self) -> int:
        """Samples times epochs in one call."""
        return self.X.shape[0] * self.settings["max_iter"] if self.action == "fit" else 1

    @property
    def tolerance(self) -> float:
        """The largest relative difference of equal results."""
        return TOLERANCE[self.X.dtype.name]

    def each(self) -> list[Case]:
        """Return the case for each number of threads, or just itself."""
        return [replace(self, settings={**self.settings, "n_jobs": n}) for n in self.threads] or [self]

    def for_subject(self) -> Case:
        """Return the case with the settings of the subject alone."""
        return replace(self, settings={**self.settings, **self.ours})

    def objective(self, weights: NDArray[Any]) -> float:
        """Return the mean log loss plus penalty of (outputs, features + 1) weights; the mean over the outputs."""
        W, b = np.split(weights.astype(np.float64), [-1], axis=1)
        scores = self.X @ W.astype(self.X.dtype).T + b[:, 0]
        inside = self.y[:, None] == (np.arange(len(W)) if len(W) > 1 else 1)
        losses = np.logaddexp(0.0, np.where(inside, -scores, scores)).mean(axis=0)
        return float((losses + self.settings["alpha"] / 2 * (W**2).sum(axis=1)).mean())

    def warm_up(self) -> Case:
        """Return the same case with fewer epochs, where there are many rows."""
        epochs = min(self.settings["max_iter"], max(1, WARM_UP_STEPS // self.X.shape[0]))
        return replace(self, settings={**self.settings, "max_iter": epochs})

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
            "action": self.action,
            "calls": self.calls,
        }
