"""What a problem hands to a solver."""

from __future__ import annotations

from dataclasses import dataclass, replace
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
    of them, going round the rows.
    """

    X: Any
    y: NDArray[Any]
    settings: dict[str, Any]
    estimator: str = "SGDClassifier"
    action: Literal["fit", "partial_fit", "predict"] = "fit"
    calls: int = 1

    @property
    def steps(self) -> int:
        """Samples times epochs in one call."""
        return self.X.shape[0] * self.settings["max_iter"] if self.action == "fit" else 1

    @property
    def tolerance(self) -> float:
        """The largest relative difference of equal results."""
        return TOLERANCE[self.X.dtype.name]

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
            "action": self.action,
            "calls": self.calls,
        }
