"""NumPy with float64, to which data are converted before the time is taken."""

from __future__ import annotations

import numpy

from bench.case import Case, Way

from . import _numpy

NAME = "NumPy float64"
VERSION = numpy.__version__


def why_not(case: Case) -> str | None:
    """Return why this solver cannot run the case, or None."""
    return _numpy.why_not(case, "float64")


def ways(case: Case) -> list[Way]:
    """Return the ways to run the case."""
    return _numpy.ways(case, "float64")
