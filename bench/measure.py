"""Paired runs of two solvers on one case."""

from __future__ import annotations

import gc
import time
from statistics import median
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .case import Case


def compare(
    problem: ModuleType, case: Case, subject: ModuleType, peer: ModuleType, *, repeats: int = 5
) -> dict[str, Any]:
    """Time subject, peer, subject, peer, ... and return the row of the table.

    The ratio is the median of the pairs' ratios (peer's time over subject's): the two runs of a pair are neighbours in
    time, so what else the machine does weighs on both.
    """
    row = {
        "problem": problem.NAME,
        "description": problem.DESCRIPTION,
        "subject": subject.NAME,
        "peer": peer.NAME,
        "target": problem.TARGETS.get(peer.NAME),
        "case": case.describe(),
    }
    for solver in (subject, peer):
        reason = solver.why_not(case)
        if reason is not None:
            return {**row, "skipped": f"{solver.NAME}: {reason}"}

    for solver in (subject, peer):
        timed(solver, case.warm_up())
    runs = [(timed(subject, case), timed(peer, case)) for _ in range(repeats)]

    mine = [ours[0] for ours, _ in runs]
    theirs = [other[0] for _, other in runs]
    ratios = [b / a for a, b in zip(mine, theirs, strict=True)]
    apart = max(difference(ours[1], other[1]) for ours, other in runs)
    equal = apart <= case.tolerance
    ratio = median(ratios)
    return {
        **row,
        "seconds": {"subject": median(mine), "peer": median(theirs)},
        "nanoseconds_per_step": {"subject": median(mine) / case.steps * 1e9, "peer": median(theirs) / case.steps * 1e9},
        "ratio": ratio,
        "spread": [min(ratios), max(ratios)],
        "holds": None if row["target"] is None else bool(equal and ratio >= row["target"]),
        "difference": apart,
        "equal": equal,
        "all_seconds": {"subject": mine, "peer": theirs},
    }


def timed(solver: ModuleType, case: Case) -> tuple[float, NDArray[Any]]:
    """Return the seconds of one call and the result, with the garbage collector off."""
    run = solver.prepare(case)
    gc.collect()
    gc.disable()
    try:
        start = time.perf_counter()
        result = run()
        seconds = time.perf_counter() - start
    finally:
        gc.enable()
    return seconds / case.calls, result


def difference(a: NDArray[Any], b: NDArray[Any]) -> float:
    """Return the largest difference, relative to the largest value of `b`; infinity if it cannot be told."""
    if a.shape != b.shape:
        return float("inf")
    a, b = a.astype(np.float64), b.astype(np.float64)
    largest = np.abs(a - b).max() / max(np.abs(b).max(), np.finfo(np.float64).tiny)
    return float(largest) if np.isfinite(largest) else float("inf")
