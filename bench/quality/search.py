"""How solvers race: each searches its ways for the fastest, then the fastest of all solvers run in turn."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import median
from types import ModuleType
from typing import Any

import numpy as np
from threadpoolctl import ThreadpoolController

from bench.measure import clock

from .task import Task, Weights

GOAL = 1e-3  # the gap to reach
BUDGETS = (1, 2, 3, 5, 8, 12, 18, 27, 40, 60, 90, 135, 200, 300, 450, 700, 1000)


@dataclass(frozen=True)
class Way:
    """A solver with its settings, and how much work it may do.

    Attributes
    ----------
    name : str
        The settings, in words.
    fit : callable
        ``(budget, seed, threads) -> weights``, from arrays to weights: all of it is timed.
    budgets : sequence of int
        Numbers of epochs or iterations, growing; each is a fit of its own.
    random : bool
        Whether the seed matters.
    prepare : callable
        Called with `threads` before every fit, and not timed.
    """

    name: str
    fit: Callable[[int, int, int], Weights]
    budgets: Sequence[int] = BUDGETS
    random: bool = True
    prepare: Callable[[int], Any] = int


@dataclass(frozen=True)
class Point:
    """A fit that was timed, and how near the optimum it came."""

    way: Way
    budget: int
    threads: int
    seconds: float
    gap: float

    @property
    def arrived(self) -> bool:
        """Whether the goal is reached."""
        return self.gap <= GOAL


@dataclass(frozen=True)
class Limits:
    """How long the search may take: the seconds of a fit that is the last one of its way, and of a solver's search.

    `finalists` is how many settings of a solver go to the final, which has so many `rounds`, each with another seed;
    fewer for settings whose runs have taken longer than a solver's search may.
    """

    fit: float
    solver: float
    finalists: int
    rounds: int


def race(
    task: Task, solvers: dict[str, ModuleType], limits: Limits, kept: Sequence[dict[str, Any]] = ()
) -> list[dict[str, Any]]:
    """Return a row for each solver. `kept` are the rows of an earlier race, whose settings come first."""
    runner = _Runner(task)
    found = {
        name: _search(runner, _best_first(solver.ways(task), name, kept), limits)
        for name, solver in solvers.items()
        if solver.why_not(task) is None
    }
    finals = {name: _finalists(runner, points, limits) for name, points in found.items()}
    timed: dict[str, list[list[Point]]] = {name: [[] for _ in points] for name, points in finals.items()}
    for seed in range(limits.rounds):
        for name, points in finals.items():
            for runs, point in zip(timed[name], points, strict=True):
                if sum(run.seconds for run in runs) <= limits.solver:
                    runs.append(runner(point.way, point.budget, seed, point.threads))

    return [
        {"solver": name, **(_row(timed[name], found[name]) if name in found else {"skipped": solver.why_not(task)})}
        for name, solver in solvers.items()
    ]


class _Runner:
    """Runs a way on a task."""

    def __init__(self, task: Task):
        self.task = task
        self.pools = ThreadpoolController()
        self.threads = os.cpu_count() or 1

    def __call__(self, way: Way, budget: int, seed: int = 0, threads: int | None = None) -> Point:
        threads = self.threads if threads is None else threads
        with self.pools.limit(limits=threads), warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")  # of fits that end before they have converged
            way.prepare(threads)
            try:
                seconds, weights = clock(lambda: way.fit(budget, seed, threads))
            except (ValueError, FloatingPointError):  # overflow
                return Point(way, budget, threads, 0.0, np.inf)
        return Point(way, budget, threads, seconds, self.task.gap(weights))


def _best_first(ways: list[Way], solver: str, kept: Sequence[dict[str, Any]]) -> list[Way]:
    """The ways, those first that arrived in an earlier race, with no budget below the one of then, which was the least.

    The solver's own comes before all, then those of other solvers, whose mini-batches may be the same.
    """
    arrived = sorted(
        (row for row in kept if row.get("arrived")), key=lambda row: (row["solver"] != solver, row["seconds"])
    )
    budgets: dict[str, int] = {}
    for row in arrived:
        budgets.setdefault(row["way"], row["budget"])
    by_name = {way.name: way for way in ways}
    first = [_from(by_name[name], budget) for name, budget in budgets.items() if name in by_name]
    return first + [way for way in ways if way.name not in budgets]


def _from(way: Way, budget: int) -> Way:
    return replace(way, budgets=[budget, *(each for each in way.budgets if each > budget)])


def _search(run: _Runner, ways: list[Way], limits: Limits) -> list[Point]:
    """Try every way with growing budgets until it arrives, or is slower than the best so far."""
    run(ways[0], 1)  # what is slow the first time
    began = time.perf_counter()
    points: list[Point] = []
    best = limits.fit
    for way in ways:
        failed = way.budgets[0] - 1
        for budget in way.budgets:
            point = run(way, budget)
            points.append(point)
            if point.arrived:
                best = min(best, point.seconds)
                arrived = budget
                while arrived - failed > 1 + arrived // 16:  # about the least budget that arrives
                    middle = (failed + arrived) // 2
                    point = run(way, middle)
                    points.append(point)
                    failed, arrived = (failed, middle) if point.arrived else (middle, arrived)
                    if point.arrived:
                        best = min(best, point.seconds)
                break
            failed = budget
            if point.seconds > best or not np.isfinite(point.gap):
                break
        if time.perf_counter() - began > limits.solver:
            break
    return points


def _finalists(run: _Runner, points: list[Point], limits: Limits) -> list[Point]:
    """The fastest points, each with the budget that arrives with every seed; the best of them also on one thread."""
    chosen: list[Point] = []
    for point in sorted((point for point in points if point.arrived), key=lambda point: point.seconds):
        reliable = _reliable(run, point, limits)
        if reliable is not None:
            chosen.append(reliable)
        if len(chosen) == limits.finalists:
            break
    if chosen and run.threads > 1:
        chosen.append(replace(chosen[0], threads=1))
    return chosen


def _reliable(run: _Runner, point: Point, limits: Limits) -> Point | None:
    """The point with a budget that arrives with every seed: its own, or a little more."""
    if not point.way.random:
        return point
    more = max(1, point.budget // 8)
    for budget in range(point.budget, point.budget + 3 * more, more):
        tried = budget == point.budget  # with seed 0
        if all(run(point.way, budget, seed).arrived for seed in range(int(tried), limits.rounds)):
            return replace(point, budget=budget)
    return None


def _row(finals: list[list[Point]], points: list[Point]) -> dict[str, Any]:
    """What a solver reached: its fastest finalist, or the nearest it came to the optimum; and its curve."""
    front = [[point.seconds, point.gap] for point in _front(points)]
    if not finals:
        nearest = min(points, key=lambda point: point.gap)
        return {"arrived": False, **_settings(nearest), "seconds": nearest.seconds, "gap": nearest.gap, "curve": front}
    runs = min(finals, key=lambda runs: median(point.seconds for point in runs))
    seconds = [point.seconds for point in runs]
    return {
        "arrived": True,
        **_settings(runs[0]),
        "seconds": median(seconds),
        "spread": [min(seconds), max(seconds)],
        "gap": max(point.gap for point in runs),
        "curve": front,
    }


def _settings(point: Point) -> dict[str, Any]:
    return {"way": point.way.name, "budget": point.budget, "threads": point.threads}


def _front(points: list[Point]) -> list[Point]:
    """The points that nothing as fast comes nearer than, by time."""
    front: list[Point] = []
    for point in sorted(points, key=lambda point: point.seconds):
        if point.gap < (front[-1].gap if front else np.inf):
            front.append(point)
    return front
