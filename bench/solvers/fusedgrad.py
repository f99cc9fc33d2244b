"""fusedgrad, the subject."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import fusedgrad
from fusedgrad import linear_model
from numpy.typing import NDArray

from bench.case import Case

from . import _estimator

NAME = "fusedgrad"
VERSION = fusedgrad.__version__


def why_not(case: Case) -> str | None:
    """Return why this solver cannot run the case, or None."""
    return _estimator.why_not(linear_model, case)


def prepare(case: Case) -> Callable[[], NDArray[Any]]:
    """Return the run to be timed; it returns what is compared."""
    return _estimator.prepare(linear_model, case)
