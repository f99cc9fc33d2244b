"""The NumPy loop of someone who does not think of float32: the data are float64 from the start."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bench.quality.search import Way
from bench.quality.task import Task

from . import numpy_loop

NAME = "NumPy loop, float64"


def why_not(task: Task) -> str | None:
    """Return why this solver cannot run the task, or None."""
    if task.l1:
        return numpy_loop.why_not(task)
    return "the data are float64: see NumPy loop" if task.X.dtype == np.float64 else None


def ways(task: Task) -> list[Way]:
    """Return the loop's ways, on data that are float64 before the clock runs."""
    return numpy_loop.ways(replace(task, X=task.X.astype(np.float64)))
