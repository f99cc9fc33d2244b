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
SHORT = Limits(fit=2.0, solver=3.0, finalists=1, rounds=3)
SHORT_QUICK = Limits(fit=0.2, solver=0.3, finalists=1, rounds=1)
QUICK_PROBLEMS = ("dense-logistic",)


def versions() -> dict[str, ModuleType]:
    """Return the solvers that race here alone and have a version of their own."""
    return {name: solver for name, solver in discover("quality.solvers").items() if hasattr(solver, "VERSION")}


def race(*, quick: bool) -> dict[str, Any]:
    """Let all solvers race, who start with the settings of the newest long search; `quick`: on fewer problems."""
    newest = max(RESULTS.glob("*.json"), default=None)
    kept = json.loads(newest.read_text(encoding="utf-8"))["problems"] if newest is not None else []
    names = QUICK_PROBLEMS if quick else list(discover("quality.problems"))
    return run(names, SHORT_QUICK if quick else SHORT, scale=0.1 if quick else 1.0, kept=kept)


def run(
    names: Sequence[str],
    limits: Limits,
    *,
    scale: float,
    kept: Sequence[dict[str, Any]] = (),
    only: Sequence[str] = (),
    keep: Callable[[dict[str, Any]], None] = lambda report: None,
) -> dict[str, Any]:
    """Let solvers race on the named problems, and return the report.

    `kept` are the problems of an earlier report; `only` names peers that race with ours, where not all do; `keep` is
    called with the report after every problem.
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
        "problems": [],
    }
    for name in names:
        print(f"{name} ...", file=sys.stderr, flush=True)
        remark = getattr(problems[name], "REMARK", "")
        described = {"problem": name, "description": problems[name].DESCRIPTION, "remark": remark}
        try:
            task = problems[name].make(scale)
        except FileNotFoundError as reason:
            result["problems"].append({**described, "skipped": str(reason)})
            continue
        patience = getattr(problems[name], "PATIENCE", 1)
        rows = search.race(task, solvers, limits.times(patience), earlier.get(name, []))
        result["problems"].append({**described, "optimum": task.optimum, **report.verdict(rows), "rows": rows})
        del task  # before the next problem makes its data
        keep(result)
    return result
