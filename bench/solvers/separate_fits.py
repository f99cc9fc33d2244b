"""fusedgrad's own fits, one after the other, in place of one pass for all."""

from __future__ import annotations

import fusedgrad
import numpy as np
from numpy.typing import NDArray

from bench.case import Case, Run, Way
from bench.grid import Fits

from . import _estimator

NAME = "fusedgrad, fit by fit"
VERSION = fusedgrad.__version__


def why_not(case: Case) -> str | None:
    """Return why this solver cannot run the case, or None."""
    return None if isinstance(case, Fits) else "one model only"


def ways(case: Fits) -> list[Way]:
    """Return our only way."""

    def prepare() -> Run:
        settings = {**case.settings, **case.ours}
        models = [fusedgrad.SGDClassifier("log_loss", alpha=alpha, **settings) for alpha in case.alphas[case.some]]

        def run() -> NDArray[np.float64]:
            return np.vstack([_estimator.weights(model.fit(case.X, case.y)) for model in models])

        return run

    fits = len(case.alphas[case.some])
    return [Way(f"{fits} of the {len(case.alphas)} fits", prepare, times=len(case.alphas) / fits)]
