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
LEVELS = (GOAL, 1e-2, 1e-4, 1e-6)  # all gaps that are raced for, in the order of the search
FAR = 3.0  # times the fastest, at which more runs would not change who is first
HOPELESS = 5.0  # times the fastest to the goal, at which nobody is first at another level
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
    asked : bool
        Whether a budget is no work, but the decimals of the gap that the solver is asked for. Then it must end there by
        itself: for a gap of 1e-3 only a budget of 3 counts.
    """

    name: str
    fit: Callable[[int, int, int], Weights]
    budgets: Sequence[int] = BUDGETS
    random: bool = True
    prepare: Callable[[int], Any] = int
    asked: bool = False

    def of(self, goal: float) -> Sequence[int]:
        """Return the budgets that may be tried for a gap."""
        return [decimals(goal)] if self.asked else self.budgets


def decimals(goal: float) -> int:
    """Return 3 for a gap of 1e-3."""
    return -round(np.log10(goal))


@dataclass(frozen=True)
class Point:
    """A fit that was timed, and how near the optimum it came; or what went wrong."""

    way: Way
    budget: int
    threads: int
    seconds: float
    gap: float
    failure: str = ""

    def arrived(self, goal: float) -> bool:
        """Whether a gap is reached, by what may be tried for it."""
        return self.gap <= goal and not (self.way.asked and self.budget != decimals(goal))


@dataclass(frozen=True)
class Limits:
    """How long the search may take: the seconds of a fit that is the last one of its way, and of a solver's search.

    `finalists` is how many settings of a solver go to the final, which has so many `rounds`, each with another seed;
    fewer for settings whose runs have taken longer than a solver's search may. Those that were far behind in the search
    have run once, there.
    Levels other than the goal, which start from what was found for it, have half the time and one finalist.
    """

    fit: float
    solver: float
    finalists: int
    rounds: int

    def at(self, level: float) -> Limits:
        """Return the limits of a level's search."""
        return self if level == GOAL else replace(self, solver=self.solver / 2, finalists=1)

    def times(self, factor: float) -> Limits:
        """Return limits of so many times the seconds."""
        return replace(self, fit=factor * self.fit, solver=factor * self.solver)


Finals = dict[float, list[list[Point]]]  # by level, for each finalist its point of the search, then its timed runs


def race(
    task: Task, solvers: dict[str, ModuleType], limits: Limits, kept: Sequence[dict[str, Any]] = ()
) -> list[dict[str, Any]]:
    """Return a row for each solver. `kept` are the rows of an earlier race, whose settings come first."""
    runner = _Runner(task)
    found: dict[str, list[Point]] = {}
    finals: dict[str, Finals] = {}
    fastest = dict.fromkeys(LEVELS, np.inf)  # seconds of a search that arrived
    for name, solver in solvers.items():
        if solver.why_not(task) is None:
            found[name], finalists = _levels(runner, solver.ways(task), name, kept, limits, fastest)
            finals[name] = {level: [[point] for point in points] for level, points in finalists.items()}
    for levels in finals.values():
        for level, each in levels.items():
            for runs in each:
                if runs[0].seconds > FAR * fastest[level]:
                    runs.append(runs[0])
    for seed in range(limits.rounds):
        for levels in finals.values():
            for level, runs in ((level, runs) for level, each in levels.items() for runs in each):
                point, *timed = runs
                if point.seconds <= FAR * fastest[level] and _total(timed) <= limits.solver:
                    runs.append(runner(point.way, point.budget, seed, point.threads))
    return [
        {"solver": name, **(_row(finals[name], found[name]) if name in found else {"skipped": solver.why_not(task)})}
        for name, solver in solvers.items()
    ]


def _total(points: Sequence[Point]) -> float:
    return sum(point.seconds for point in points)


def _levels(
    run: _Runner,
    ways: list[Way],
    solver: str,
    kept: Sequence[dict[str, Any]],
    limits: Limits,
    fastest: dict[float, float],
) -> tuple[list[Point], dict[float, list[Point]]]:
    """All points of a solver, and its finalists by level. Who does not reach a gap is not asked for smaller ones.

    `fastest` are the seconds of the fastest solver so far, by level. Who is far behind at the goal is not asked for
    other levels: what it came to on the way counts there.
    """
    points: list[Point] = []
    finalists: dict[float, list[Point]] = {}
    run(ways[0], ways[0].of(GOAL)[0])  # what is slow the first time
    for level in LEVELS:
        own = min((point.seconds for point in points if point.arrived(GOAL)), default=np.inf)
        behind = level != GOAL and own > HOPELESS * fastest[GOAL]
        failed = any(not each for higher, each in finalists.items() if higher > level)
        if not ways[0].asked and (behind or failed):
            finalists[level] = []
            continue
        first = _best_first(_promising(ways, points, level), solver, kept, level)
        points += _search(run, first, limits.at(level), level)
        arrived = [point.seconds for point in points if point.arrived(level)]
        fastest[level] = min([fastest[level], *arrived])
        finalists[level] = _finalists(run, points, limits.at(level), level, fastest[level])
    return points, finalists


def _promising(ways: list[Way], points: list[Point], level: float) -> list[Way]:
    """The ways, those first that came fastest to the level, or to a gap not far above it."""
    above = sorted(higher for higher in LEVELS if higher >= level)

    def rank(way: Way) -> tuple[float, ...]:
        own = [point for point in points if point.way.name == way.name]
        return *(min((p.seconds for p in own if p.gap <= gap), default=np.inf) for gap in above), 0.0

    return sorted(ways, key=rank)


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
            try:
                way.prepare(threads)
                seconds, weights = clock(lambda: way.fit(budget, seed, threads))
            except Exception as error:  # overflow, or what this solver cannot do: not the end of a long race
                return Point(way, budget, threads, 0.0, np.inf, f"{type(error).__name__}: {error}")
        return Point(way, budget, threads, seconds, self.task.gap(weights))


def _best_first(ways: list[Way], solver: str, kept: Sequence[dict[str, Any]], level: float) -> list[Way]:
    """The ways, those first that arrived in an earlier race, with no budget below the one of then, which was the least.

    The solver's own comes before all, then those of other solvers, whose mini-batches may be the same.
    """
    earlier = kept if level == GOAL else [{**row, **row.get("levels", {}).get(f"{level:g}", {})} for row in kept]
    arrived = sorted(
        (row for row in earlier if row.get("arrived") and row["gap"] <= level and row["budget"] is not None),
        key=lambda row: (row["solver"] != solver, row["seconds"]),
    )
    budgets: dict[str, int] = {}
    for row in arrived:
        budgets.setdefault(row["way"], row["budget"])
    by_name = {way.name: way for way in ways}
    first = [_from(by_name[name], budget) for name, budget in budgets.items() if name in by_name]
    return first + [way for way in ways if way.name not in budgets]


def _from(way: Way, budget: int) -> Way:
    return replace(way, budgets=[budget, *(each for each in way.budgets if each > budget)])


def _search(run: _Runner, ways: list[Way], limits: Limits, goal: float) -> list[Point]:
    """Try every way with growing budgets until it arrives, or is slower than the best so far."""
    began = time.perf_counter()
    points: list[Point] = []
    best = limits.fit
    for way in ways:
        budgets = way.of(goal)
        failed = budgets[0] - 1
        for budget in budgets:
            point = run(way, budget)
            points.append(point)
            if point.arrived(goal):
                best = min(best, point.seconds)
                arrived = budget
                while arrived - failed > 1 + arrived // 16:  # about the least budget that arrives
                    middle = (failed + arrived) // 2
                    point = run(way, middle)
                    points.append(point)
                    failed, arrived = (failed, middle) if point.arrived(goal) else (middle, arrived)
                    if point.arrived(goal):
                        best = min(best, point.seconds)
                break
            failed = budget
            if point.seconds > best or not np.isfinite(point.gap):
                break
        if time.perf_counter() - began > limits.solver:
            break
    return points


def _finalists(run: _Runner, points: list[Point], limits: Limits, goal: float, fastest: float) -> list[Point]:
    """The fastest points, each with the budget that arrives with every seed; the best of them also on one thread."""
    chosen: list[Point] = []
    for point in sorted((point for point in points if point.arrived(goal)), key=lambda point: point.seconds):
        if point.seconds > FAR * fastest:
            return chosen or [point]
        reliable = _reliable(run, point, limits, goal)
        if reliable is not None:
            chosen.append(reliable)
        if len(chosen) == limits.finalists:
            break
    if chosen and run.threads > 1:
        chosen.append(replace(chosen[0], threads=1))
    return chosen


def _reliable(run: _Runner, point: Point, limits: Limits, goal: float) -> Point | None:
    """The point with a budget that arrives with every seed: its own, or a little more."""
    if not point.way.random:
        return point
    more = max(1, point.budget // 8)
    for budget in range(point.budget, point.budget + 3 * more, more):
        tried = budget == point.budget  # with seed 0
        if all(run(point.way, budget, seed).arrived(goal) for seed in range(int(tried), limits.rounds)):
            return replace(point, budget=budget)
    return None


def _row(finals: Finals, points: list[Point]) -> dict[str, Any]:
    """What a solver reached at the goal and at every level, and its curve; or why it reached nothing."""
    if all(point.failure for point in points):
        return {"skipped": f"failed: {points[0].failure}"}
    levels = {f"{level:g}": _reached(finals, points, level) for level in sorted(LEVELS, reverse=True)}
    front = [[point.seconds, point.gap] for point in _front(points)]
    return {**levels[f"{GOAL:g}"], "curve": front, "levels": levels}


def _reached(finals: Finals, points: list[Point], level: float) -> dict[str, Any]:
    """The fastest finalist, of any level, that arrived in all runs; or the nearest that the search came."""
    timed = [runs[1:] for each in finals.values() for runs in each]
    arrived = [runs for runs in timed if all(point.arrived(level) for point in runs)]
    if not arrived:
        nearest = min(points, key=lambda point: point.gap)
        return {"arrived": False, **_settings(nearest), "seconds": nearest.seconds, "gap": nearest.gap}
    runs = min(arrived, key=lambda runs: median(point.seconds for point in runs))
    seconds = [point.seconds for point in runs]
    return {
        "arrived": True,
        **_settings(runs[0]),
        "seconds": median(seconds),
        "spread": [min(seconds), max(seconds)],
        "gap": max(point.gap for point in runs),
        "runs": len(seconds),
    }


def _settings(point: Point) -> dict[str, Any]:
    budget = None if point.way.asked else point.budget
    return {"way": point.way.name, "budget": budget, "threads": point.threads}


def _front(points: list[Point]) -> list[Point]:
    """The points that nothing as fast comes nearer than, by time."""
    front: list[Point] = []
    for point in sorted(points, key=lambda point: point.seconds):
        if point.gap < (front[-1].gap if front else np.inf):
            front.append(point)
    return front
