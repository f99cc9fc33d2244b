"""The command line: ``python -m bench``."""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from . import curves, discover, machine, quality, summary
from .case import Case
from .measure import Pairs, compare
from .problems import GROUPS

SUBJECT = "fusedgrad"  # the solver that all others are compared with
FULL, QUICK = Pairs(), Pairs(most=1, least=1, short=1)
RESULTS = Path(__file__).parent / "results"
RACE, CURVES = "race", "curves"  # what is no problem of pairs


def problems() -> dict[str, ModuleType]:
    """Return all problems, those of a group together."""
    return dict(sorted(discover("problems").items(), key=lambda each: GROUPS.index(each[1].GROUP)))


def measure(names: Sequence[str], *, quick: bool) -> dict[str, Any]:
    """Compare every solver with the subject on the named problems, and return the report."""
    began = time.perf_counter()
    solvers = discover("solvers")
    pairs, scale = (QUICK, 0.1) if quick else (FULL, 1.0)
    report: dict[str, Any] = {
        "machine": machine.describe({**solvers, **(quality.versions() if RACE in names else {})}, os.cpu_count() or 1),
        "scale": scale,
        "pairs": pairs.most,
        "solvers": [name for name in solvers if name != SUBJECT],
        "rows": [],
    }
    subject = solvers.pop(SUBJECT)
    gc.collect()
    gc.freeze()  # the many objects of torch and JAX need no collection before every run
    for name, problem in problems().items():
        if name not in names:
            continue
        try:
            for case in problem.cases(scale):
                for peer in solvers.values():
                    row = compared(case, subject, peer, pairs)
                    if row is None:
                        continue
                    report["rows"].append({"problem": name, "group": problem.GROUP, **row})
                    if "ratio" in row:
                        said(f"{case.description}: {row['ratio']:.2f} x {peer.NAME}")
        except FileNotFoundError as missing:
            said(f"{name}: not run ({missing})")
    if RACE in names:
        said("the race to quality")
        report["race"] = quality.race(quick=quick)
    if CURVES in names:
        said("cost against size")
        report["curves"] = curves.measure(0.01 if quick else 1.0)
    report["minutes"] = (time.perf_counter() - began) / 60
    return report


def compared(case: Case, subject: ModuleType, peer: ModuleType, pairs: Pairs) -> dict[str, Any] | None:
    """Compare; what goes wrong is told, and is not the end of a long run."""
    try:
        return compare(case, subject, peer, pairs)
    except Exception as error:
        said(f"{case.description}, {peer.NAME}: {error!r}")
        return {"description": case.description, "peer": peer.NAME, "skipped": f"failed: {error!r}"}


def said(what: str) -> None:
    """Tell how far it has come."""
    print(f"{time.strftime('%H:%M:%S')} {what}", file=sys.stderr, flush=True)


def draw(report: dict[str, Any], path: Path) -> None:
    """Draw the pictures, with matplotlib if it is there."""
    try:
        from . import pictures
    except ImportError as missing:
        said(f"no pictures ({missing})")
    else:
        pictures.draw(report, path)


def write_readme() -> None:
    """Put the tables of the newest reports into the README."""
    newest, search = max(RESULTS.glob("*-*-*-*.json")), quality.newest()
    shown = summary.readme(
        json.loads(newest.read_text(encoding="utf-8")),
        None if search is None else json.loads(search.read_text(encoding="utf-8")),
    )
    path = RESULTS.parents[1] / "README.md"
    begin, end = "<!-- table: begin -->", "<!-- table: end -->"
    before, rest = path.read_text(encoding="utf-8").split(begin)
    path.write_text(f"{before}{begin}\n{shown}\n{end}{rest.split(end)[1]}", encoding="utf-8")


def main() -> None:
    """Measure, print and keep the report; or print one that was kept, and draw its pictures."""
    every = [*problems(), RACE, CURVES]
    parser = argparse.ArgumentParser(prog="python -m bench", description="Time fusedgrad beside other solvers.")
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=every, help=f"some of {', '.join(every)}")
    parser.add_argument("--quick", action="store_true", help="a tenth of the sizes, one pair: to see that it works")
    parser.add_argument(
        "--json",
        type=Path,
        metavar="PATH",
        help="where to keep the report, and its pictures beside it (default: bench/results, for a full run)",
    )
    parser.add_argument("--table", type=Path, metavar="PATH", help="print this report, draw its pictures; no measuring")
    parser.add_argument("--readme", action="store_true", help="write the newest reports into README.md; no measuring")
    arguments = parser.parse_args()
    if arguments.readme:
        write_readme()
        return
    if arguments.table is not None:
        report = json.loads(arguments.table.read_text(encoding="utf-8"))
        path = arguments.table
    else:
        warnings.simplefilter("ignore")  # of fits that end before they have converged
        report = measure(arguments.only or every, quick=arguments.quick)
        whole = arguments.only is None and not arguments.quick
        path = arguments.json or (machine.report_path(RESULTS, report["machine"]) if whole else None)
    print(summary.text(report))
    if path is not None:
        if arguments.table is None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
        draw(report, path)


if __name__ == "__main__":
    main()
