"""The command line: ``python -m bench.quality``."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from bench import discover, machine

from . import report
from .search import GOAL, Limits, race
from .solvers import _torch

FULL = Limits(fit=4.0, solver=20.0, rounds=5)
QUICK = Limits(fit=0.5, solver=3.0, rounds=2)


def run(problems: dict[str, ModuleType], names: list[str], *, quick: bool) -> dict[str, Any]:
    """Let all solvers race on the named problems, and return the report."""
    solvers = discover("quality.solvers")
    limits = QUICK if quick else FULL
    scale = 0.1 if quick else 1.0
    result: dict[str, Any] = {
        "machine": machine.describe({**discover("solvers"), "torch": _torch}),
        "scale": scale,
        "goal": GOAL,
        "rounds": limits.rounds,
        "problems": [],
    }
    for name in names:
        print(f"{name} ...", file=sys.stderr, flush=True)
        described = {"problem": name, "description": problems[name].DESCRIPTION}
        try:
            task = problems[name].make(scale)
        except FileNotFoundError as reason:
            result["problems"].append({**described, "skipped": str(reason)})
            continue
        rows = race(task, solvers, limits)
        result["problems"].append({**described, "optimum": task.optimum, **report.verdict(rows), "rows": rows})
        del task  # before the next problem makes its data
    return result


def main() -> None:
    """Race and print, or print what was measured."""
    problems = discover("quality.problems")
    parser = argparse.ArgumentParser(
        prog="python -m bench.quality", description="Seconds until the objective is within 0.1 %% of its optimum."
    )
    parser.add_argument(
        "--only", nargs="+", metavar="NAME", choices=problems, default=list(problems), help="problems to run"
    )
    parser.add_argument("--quick", action="store_true", help="a tenth of the synthetic data, and little time to search")
    parser.add_argument("--json", type=Path, metavar="PATH", help="write the report here, and its picture beside it")
    parser.add_argument("--table", type=Path, metavar="PATH", help="run nothing; print this report, draw its picture")
    arguments = parser.parse_args()
    path = arguments.table or arguments.json
    if arguments.table is None:
        result = run(problems, arguments.only, quick=arguments.quick)
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    else:
        result = json.loads(path.read_text(encoding="utf-8"))
    print(report.markdown(result))
    if path is not None:
        report.picture(result, path.with_suffix(".png"))


if __name__ == "__main__":
    main()
