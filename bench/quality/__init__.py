"""The race to quality: seconds until the objective is within 0.1 % of its optimum, and within other gaps.

``python -m bench.quality`` searches for the best settings of everybody, for long. The race in ``python -m bench``
starts with the settings that the newest of these searches ended at.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from bench import discover

from . import report, search
from .search import Limits

RESULTS = Path(__file__).parents[1] / "results" / "quality"
LONG = Limits(fit=4.0, solver=20.0, finalists=3, rounds=5)
LONG_QUICK = Limits(fit=0.5, solver=3.0, finalists=3, rounds=2)
RESUMED = Limits(fit=3.0, solver=4.0, finalists=1, rounds=3)
SHORT = Limits(fit=2.0, solver=3.0, finalists=1, rounds=3)
SHORT_QUICK = Limits(fit=0.2, solver=0.3, finalists=1, rounds=1)
QUICK_PROBLEMS = ("dense-logistic",)


def versions() -> dict[str, ModuleType]:
    """Return the solvers that race here alone and have a version of their own."""
    return {name: solver for name, solver in discover("quality.solvers").items() if hasattr(solver, "VERSION")}


def problems_of(path: Path | None) -> list[dict[str, Any]]:
    """Return the problems of a report; none where there is no such file."""
    return json.loads(path.read_text(encoding="utf-8"))["problems"] if path is not None and path.exists() else []


def earlier() -> list[dict[str, Any]]:
    """Return the problems of all reports that are kept, the newest last."""
    return [problem for path in sorted(RESULTS.glob("*.json")) for problem in problems_of(path)]


def newest() -> Path | None:
    """Return the newest report that is kept."""
    return max(RESULTS.glob("*.json"), default=None)


def race(*, quick: bool) -> dict[str, Any]:
    """Let all solvers race, who start with the settings of the newest long search; `quick`: on fewer problems."""
    names = QUICK_PROBLEMS if quick else list(discover("quality.problems"))
    return run(names, SHORT_QUICK if quick else SHORT, scale=0.1 if quick else 1.0, kept=earlier())


def run(
    names: Sequence[str],
    limits: Limits,
    *,
    scale: float,
    kept: Sequence[dict[str, Any]] = (),
    only: Sequence[str] = (),
    beside: Sequence[dict[str, Any]] = (),
    keep: Callable[[dict[str, Any]], None] = lambda report: None,
) -> dict[str, Any]:
    """Let solvers race on the named problems, and return the report.

    `kept` are the problems of an earlier report, whose settings solvers start with; `only` names peers that race with
    ours, where not all do; `beside` are problems that were run before and stay in the report, unless they run again;
    `keep` is called with the report after every problem.
    """
    problems, solvers = discover("quality.problems"), discover("quality.solvers")
    if only:
        solvers = {name: solver for name, solver in solvers.items() if name in (*report.OURS, *only)}
    earlier = {problem["problem"]: problem.get("rows", []) for problem in kept}
    result: dict[str, Any] = {
        "scale": scale,
        "goal": search.GOAL,
        "levels": search.LEVELS,
        "rounds": limits.rounds,
        "missing": [name for name, solver in solvers.items() if getattr(solver, "VERSION", "built in") is None],
    }
    done = {problem["problem"]: problem for problem in beside}
    for name in names:
        print(f"{name} ...", file=sys.stderr, flush=True)
        remark = getattr(problems[name], "REMARK", "")
        described = {"problem": name, "description": problems[name].DESCRIPTION, "remark": remark}
        try:
            task = problems[name].make(scale)
        except FileNotFoundError as reason:
            done[name] = {**described, "skipped": str(reason)}
            continue
        patience = getattr(problems[name], "PATIENCE", 1)
        rows = search.race(task, solvers, limits.times(patience), earlier.get(name, []))
        done[name] = {**described, "optimum": task.optimum, **report.verdict(rows), "rows": rows}
        del task  # before the next problem makes its data
        keep({**result, "problems": list(done.values())})
    return {**result, "problems": [done[name] for name in problems if name in done]}
