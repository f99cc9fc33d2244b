"""The command line: ``python -m bench.quality``."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

from bench import discover, machine

from . import LONG, LONG_QUICK, RESUMED, earlier, problems_of, report, run, versions


def main() -> None:
    """Race and print, or print what was measured."""
    problems = list(discover("quality.problems"))
    parser = argparse.ArgumentParser(
        prog="python -m bench.quality", description="Seconds until the objective is within 0.1 %% of its optimum."
    )
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=problems, default=problems, help="problems to run")
    peers = [name for name in discover("quality.solvers") if name not in report.OURS]
    parser.add_argument("--peers", nargs="+", metavar="NAME", choices=peers, default=[], help="peers to run beside us")
    parser.add_argument("--quick", action="store_true", help="a tenth of the synthetic data, and little time to search")
    parser.add_argument("--short", action="store_true", help="search for seconds, from the settings of the last report")
    parser.add_argument(
        "--json",
        type=Path,
        metavar="PATH",
        help="write the report here, and its picture beside it; problems that it has and that do not run now stay",
    )
    parser.add_argument("--table", type=Path, metavar="PATH", help="run nothing; print this report, draw its picture")
    arguments = parser.parse_args()
    path = arguments.table or arguments.json
    if arguments.table is None:
        limits, scale = (LONG_QUICK, 0.1) if arguments.quick else (LONG, 1.0)
        described = machine.describe({**discover("solvers"), **versions()}, os.cpu_count() or 1)

        def keep(raced: dict[str, Any]) -> None:  # a peer may crash
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(json.dumps({"machine": described, **raced}, indent=1) + "\n", encoding="utf-8")

        if arguments.short:
            limits = RESUMED
        beside = problems_of(path)
        raced = run(
            arguments.only,
            limits,
            scale=scale,
            kept=[*earlier(), *beside] if arguments.short else (),
            only=arguments.peers,
            beside=beside,
            keep=keep,
        )
        keep(raced)
        result = {"machine": described, **raced}
    else:
        result = json.loads(path.read_text(encoding="utf-8"))
    print(report.markdown(result))
    if path is not None:
        report.picture(result, path.with_suffix(".png"))


if __name__ == "__main__":
    main()
