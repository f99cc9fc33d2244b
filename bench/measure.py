"""Paired runs of two solvers on one case."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from statistics import median
from types import ModuleType
from typing import Any, TypeVar

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from . import machine
from .case import Case

T = TypeVar("T")
READ_BANDWIDTH = "read bandwidth"  # in a problem's TARGETS: the share of it to reach


def compare(
    problem: ModuleType, case: Case, subject: ModuleType, peer: ModuleType, *, repeats: int = 5
) -> dict[str, Any]:
    """Time subject, peer, subject, peer, ... and return the row of the table.

    The ratio is the median of the pairs' ratios (peer's time over subject's): the two runs of a pair are neighbours in
    time, so what else the machine does weighs on both.
    """
    targets = problem.TARGETS if case.is_main else {}
    row = {
        "problem": problem.NAME,
        "description": problem.DESCRIPTION,
        "subject": subject.NAME,
        "peer": peer.NAME,
        "target": targets.get(peer.NAME),
        "case": case.describe(),
    }
    mine = case.for_subject()
    for solver, its in ((subject, mine), (peer, case)):
        reason = solver.why_not(its)
        if reason is not None:
            return {**row, "skipped": f"{solver.NAME}: {reason}"}

    timed(subject, mine.warm_up())
    timed(peer, case.warm_up())
    streamed = bool(case.ours) and not sp.issparse(case.X)
    runs, bandwidths = [], []
    for _ in range(repeats):
        runs.append((timed(subject, mine), timed(peer, case)))
        if streamed:
            bandwidths.append(machine.read_bandwidth(case.X, case.settings["n_jobs"]))

    seconds = {"subject": [a for (a, _), _ in runs], "peer": [b for _, (b, _) in runs]}
    medians = {side: median(each) for side, each in seconds.items()}
    ratios = [b / a for a, b in zip(*seconds.values(), strict=True)]
    row |= {
        "seconds": medians,
        "nanoseconds_per_step": {side: each / case.steps * 1e9 for side, each in medians.items()},
        "ratio": median(ratios),
        "spread": [min(ratios), max(ratios)],
        "all_seconds": seconds,
    }
    met = [row["target"] is None or row["ratio"] >= row["target"]]
    if case.ours:
        row["epochs"] = case.settings["max_iter"]
        row["objective"] = {side: case.objective(weights) for side, (_, weights) in zip(medians, runs[-1], strict=True)}
    else:
        row["difference"] = max(difference(ours, other) for (_, ours), (_, other) in runs)
        row["equal"] = row["difference"] <= case.tolerance
        met.append(row["equal"])
    if streamed:
        share = case.X.nbytes * row["epochs"] / medians["subject"] / max(bandwidths)
        least = targets.get(READ_BANDWIDTH)
        row["bandwidth"] = {"bytes_per_second": max(bandwidths), "share": share, "target": least}
        met.append(least is None or share >= least)
    return {**row, "holds": None if row["target"] is None else bool(all(met))}


def timed(solver: ModuleType, case: Case) -> tuple[float, NDArray[Any]]:
    """Return the seconds of one call and the result."""
    seconds, result = clock(solver.prepare(case))
    return seconds / case.calls, result


def clock(run: Callable[[], T]) -> tuple[float, T]:
    """Return how long a run took, with the garbage collector off, and its result."""
    gc.collect()
    gc.disable()
    try:
        start = time.perf_counter()
        result = run()
        return time.perf_counter() - start, result
    finally:
        gc.enable()


def difference(a: NDArray[Any], b: NDArray[Any]) -> float:
    """Return the largest difference, relative to the largest value of `b`; infinity if it cannot be told."""
    if a.shape != b.shape:
        return float("inf")
    a, b = a.astype(np.float64), b.astype(np.float64)
    largest = np.abs(a - b).max() / max(np.abs(b).max(), np.finfo(np.float64).tiny)
    return float(largest) if np.isfinite(largest) else float("inf")
