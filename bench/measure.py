"""Paired runs of two solvers on one case."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from types import ModuleType
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from .case import Case, Way

T = TypeVar("T")


@dataclass(frozen=True)
class Pairs:
    """How many pairs of runs: `most`; fewer, but at least `least`, once they have taken `seconds`.

    Before, each way of a solver has so many `short` runs; with more than one, the two fastest of many ways run whole.
    """

    most: int = 5
    least: int = 3
    seconds: float = 10.0
    short: int = 2


def compare(case: Case, subject: ModuleType, peer: ModuleType, pairs: Pairs) -> dict[str, Any] | None:
    """Time subject, peer, subject, peer, ... and return the row of the table; None if the case is not for the peer.

    The ratio is the median of the pairs' ratios (peer's time over subject's): the two runs of a pair are neighbours in
    time, so what else the machine does weighs on both.
    """
    if case.peers is not None and peer.NAME not in case.peers:
        return None
    target = case.targets.get(peer.NAME)
    row: dict[str, Any] = {
        "description": case.description,
        "case": case.describe(),
        "peer": peer.NAME,
        "target": target,
    }
    for solver in (subject, peer):
        reason = "not installed" if solver.VERSION is None else solver.why_not(case)
        if reason is not None:
            return {**row, "skipped": f"{solver.NAME}: {reason}"}

    mine, theirs = best_way(subject, case, pairs.short), best_way(peer, case, pairs.short)
    limit, rates, runs = case.limit, [], []
    began = time.perf_counter()
    while len(runs) < pairs.most and (len(runs) < pairs.least or time.perf_counter() - began < pairs.seconds):
        runs.append((timed(mine), timed(theirs)))
        if limit is not None:
            rates.append(limit.rate())

    seconds = {side: [run[k][0] / case.count for run in runs] for k, side in enumerate(("subject", "peer"))}
    ratios = [b / a for a, b in zip(*seconds.values(), strict=True)]
    agreement = case.agree(runs[-1][0][1], runs[-1][1][1], peer.NAME)
    holds = [agreement.good, target is None or median(ratios) >= target]
    row |= {
        "unit": case.unit,
        "ways": {"subject": mine.name, "peer": theirs.name},
        "seconds": {side: median(each) for side, each in seconds.items()},
        "ratio": median(ratios),
        "spread": [min(ratios), max(ratios)],
        "pairs": len(runs),
        "agrees": agreement.good,
        "agreement": agreement.shown,
        "note": theirs.note(),
        "remark": case.remarks.get(peer.NAME, ""),
        "all_seconds": seconds,
    }
    if limit is not None:
        share = limit.amount / row["seconds"]["subject"] / max(rates)
        row["limit"] = {
            "name": limit.name,
            "rate": max(rates),
            "shown": limit.shown.format(max(rates) * limit.scale),
            "share": share,
            "target": case.share,
        }
        holds.append(case.share is None or share >= case.share)
    judged = target is not None or case.share is not None
    return {**row, "holds": bool(all(holds)) if judged else None}


def best_way(solver: ModuleType, case: Case, runs: int) -> Way:
    """Return the way that short runs are fastest in (they are the warm-up, too); of many, the whole run decides."""
    short = solver.ways(case.short())
    seconds = [min(timed(way)[0] for _ in range(runs)) for way in short]
    ranked = [way for _, way in sorted(zip(seconds, solver.ways(case), strict=True), key=lambda each: each[0])]
    return ranked[0] if len(ranked) <= 2 or runs == 1 else min(ranked[:2], key=lambda way: timed(way)[0])


def timed(way: Way) -> tuple[float, Any]:
    """Return the seconds of a run and its result."""
    seconds, result = clock(way.prepare())
    return seconds * way.times, result


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
