"""NumPy with float32."""

from __future__ import annotations

import numpy

from bench.case import Case, Way

from . import _numpy

NAME = "NumPy float32"
VERSION = numpy.__version__


def why_not(case: Case) -> str | None:
    """Return why this solver cannot run the case, or None."""
    return _numpy.why_not(case, "float32")


def ways(case: Case) -> list[Way]:
    """Return the ways to run the case."""
    return _numpy.ways(case, "float32")
