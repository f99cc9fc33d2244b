"""The command line: ``python -m bench``."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from . import discover, machine, measure, table

SUBJECT = "fusedgrad"  # the solver that all others are compared with


def run(problems: dict[str, ModuleType], names: list[str], *, repeats: int, scale: float) -> dict[str, Any]:
    """Compare every solver with the subject on the named problems, and return the report."""
    solvers = discover("solvers")
    report: dict[str, Any] = {"machine": machine.describe(solvers), "repeats": repeats, "scale": scale, "rows": []}
    subject = solvers.pop(SUBJECT)
    for name in names:
        print(f"{name} ...", file=sys.stderr, flush=True)
        case = problems[name].make(scale)
        report["rows"] += [
            measure.compare(problems[name], each, subject, peer, repeats=repeats)
            for peer in solvers.values()
            for each in case.each()
        ]
        del case  # before the next problem makes its data
    return report


def main() -> None:
    """Measure and print, or print what was measured."""
    problems = discover("problems")
    parser = argparse.ArgumentParser(prog="python -m bench", description="Time fusedgrad against other solvers.")
    parser.add_argument(
        "--only", nargs="+", metavar="NAME", choices=problems, default=list(problems), help="problems to run"
    )
    parser.add_argument("--repeats", type=int, metavar="K", default=5, help="pairs of runs (default: 5)")
    parser.add_argument("--quick", action="store_true", help="a tenth of the rows or calls")
    parser.add_argument("--json", type=Path, metavar="PATH", help="write the report to this file")
    parser.add_argument("--table", type=Path, metavar="PATH", help="measure nothing; print this report as Markdown")
    arguments = parser.parse_args()
    if arguments.repeats < 1:
        parser.error(f"--repeats is {arguments.repeats}; it takes a number of at least 1")
    if arguments.table is not None:
        print(table.markdown(json.loads(arguments.table.read_text(encoding="utf-8"))))
        return

    report = run(problems, arguments.only, repeats=arguments.repeats, scale=0.1 if arguments.quick else 1.0)
    print(table.text(report))
    if arguments.json is not None:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
