"""Two builds beside each other, kernel by kernel: ``python -m bench.compare [OLD [NEW]] [--counts]``.

OLD and NEW are commits, which are built (and kept in build/compare), or folders with a built package; NEW is the
working tree if it is not given, OLD the last commit. Each build has a process of its own; the processes are asked in
turn, A B A B, so that what else the machine does weighs on both. Two processes of one build can differ by a few per
cent for as long as they live (where their memory lies): so the pairs are spread over several pairs of processes.

``--counts`` counts instructions in place of seconds, with valgrind: one thread, one run, no noise but a few per
mille. OLD may then be a report of counts, and is bench/results/counts.json if it is not given. Counts depend on the
compiler and a little on Python and NumPy. valgrind does not know AVX-512, so counts are those of another instruction
set than the one that is timed there; and its fused multiply-adds are so slow that all kernels take about ten minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from . import builds, table
from .kernels import KERNELS, compile_client

COUNTS = Path(__file__).parent / "results" / "counts.json"
COUNTED_ISA = "v3"
PROCESSES, PAIRS = 3, 7
PAUSE = 0.12  # seconds before a measurement, in which threads of the other build, and of BLAS, stop spinning
CHANGED = {"seconds": 0.03, "instructions": 0.005}  # a change by more, in most pairs, is shown in bold

# The finder of an editable installation would come before the path.
CHILD = """
import sys
sys.meta_path[:] = [finder for finder in sys.meta_path if "ScikitBuild" not in type(finder).__name__]
sys.path[:0] = sys.argv[1:3]
from bench.kernels import serve
serve(int(sys.argv[3]), *sys.argv[4:])
"""


class Child:
    """A process that has imported one build."""

    def __init__(
        self, folder: Path, threads: int = 1, valgrind: Sequence[str] = (), counting: Sequence[str] = ()
    ) -> None:
        arguments = [str(folder), str(builds.ROOT), str(threads), *counting]
        command = [*valgrind, sys.executable, "-W", "ignore", "-c", CHILD, *arguments]
        limits = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(threads))
        environment = {**os.environ, **limits, "PYTHONHASHSEED": "0"}
        if counting:
            environment["FUSEDGRAD_ISA"] = COUNTED_ISA
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen(command, env=environment, **pipes)
        self.build = self.answer()
        if Path(self.build["folder"]) != folder / "fusedgrad":
            raise SystemExit(f"imported {self.build['folder']} in place of {folder}")

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.stdin.close()
        self.process.wait()

    def ask(self, name: str) -> dict[str, Any]:
        """Return a measurement of a kernel."""
        time.sleep(PAUSE)
        print(name, file=self.process.stdin, flush=True)
        return self.answer()

    def answer(self) -> dict[str, Any]:
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit("a process that measures has ended")
        return json.loads(line)


def compare_seconds(old: Path, new: Path, names: list[str], threads: int) -> list[table.Row]:
    """Time both builds in turn, and return a row a kernel."""
    runs: dict[str, list[list[dict[str, Any]]]] = {name: [] for name in names}
    for k in range(PROCESSES):
        with Child(old, threads) as before, Child(new, threads) as after:
            for name in names:
                print(f"{name}, processes {k + 1} of {PROCESSES} ...", file=sys.stderr, flush=True)
                for _ in range(PAIRS):
                    runs[name].append([before.ask(name), after.ask(name)])
                    if any("skipped" in answer for answer in runs[name][-1]):
                        break
    return [row(name, pairs) for name, pairs in runs.items()]


def row(name: str, pairs: list[list[dict[str, Any]]]) -> table.Row:
    """Return medians, and the ratios of the pairs."""
    for what, answer in zip(("old", "new"), pairs[-1], strict=True):
        if "skipped" in answer:
            return {"description": name, "peer": what, "skipped": answer["skipped"]}
    ratios = sorted(after["value"] / before["value"] for before, after in pairs)
    return {
        "description": name,
        "per": pairs[0][0]["per"],
        "old": median(before["value"] for before, _ in pairs),
        "new": median(after["value"] for _, after in pairs),
        "ratio": median(ratios),
        "spread": [ratios[len(ratios) // 4], ratios[-1 - len(ratios) // 4]],
    }


def counts(folder: Path, names: list[str]) -> dict[str, Any]:
    """Return a report: what the build is, and a measurement for each kernel."""
    with tempfile.TemporaryDirectory(prefix="fusedgrad-counts-") as temporary:
        written = f"{temporary}/counts"
        valgrind = ["valgrind", "--tool=callgrind", "--quiet", "--instr-atstart=no", f"--callgrind-out-file={written}"]
        counting = [str(compile_client(Path(temporary))), written]
        with Child(folder, valgrind=valgrind, counting=counting) as child:
            made_with = {key: child.build[key] for key in ("instruction set", "compiler", "python", "numpy")}
            report: dict[str, Any] = {"made with": made_with, "counts": {}}
            for name in names:
                print(f"{name}, {folder.name} ...", file=sys.stderr, flush=True)
                report["counts"][name] = child.ask(name)
    return report


def compare_counts(old: dict[str, Any], new: dict[str, Any], names: list[str]) -> list[table.Row]:
    """Return a row a kernel."""
    missing = {"skipped": "not counted"}
    return [row(name, [[report["counts"].get(name, missing) for report in (old, new)]]) for name in names]


def text(rows: list[table.Row], kind: str) -> str:
    """Return the table."""

    def shown(value: float) -> str:
        return table.duration(value) if kind == "seconds" and value >= 1e-6 else f"{value * scale:.4g}{unit}"

    def change(row: table.Row) -> str:
        words = f"{row['ratio'] - 1:+.1%}"
        low, high = row["spread"]
        sure = low > 1 or high < 1
        return f"**{words}**" if sure and abs(row["ratio"] - 1) > CHANGED[kind] else words

    scale, unit = (1e9, " ns") if kind == "seconds" else (1, "")
    columns: table.Columns = {
        "kernel": lambda row: row["description"],
        f"{kind} of a": lambda row: row["per"],
        "old": lambda row: shown(row["old"]),
        "new": lambda row: shown(row["new"]),
        "change": change,
    }
    if kind == "seconds":
        columns["half of the pairs"] = lambda row: " to ".join(f"{ratio - 1:+.1%}" for ratio in row["spread"])
    return table.grid(rows, columns)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.compare", description="Compare two builds, kernel by kernel."
    )
    parser.add_argument("old", nargs="?", metavar="OLD", help="commit or folder; with --counts also a report of counts")
    parser.add_argument("new", nargs="?", metavar="NEW", default="", help="commit or folder (default: working tree)")
    parser.add_argument("--only", nargs="+", metavar="KERNEL", choices=KERNELS, default=list(KERNELS))
    parser.add_argument("--threads", type=int, metavar="N", default=1, help="threads at most (default: 1, less noise)")
    parser.add_argument("--counts", action="store_true", help="count instructions with valgrind")
    parser.add_argument("--json", type=Path, metavar="PATH", help="with --counts: write the new build's counts here")
    arguments = parser.parse_args()
    names: list[str] = arguments.only

    if arguments.counts:
        old_name = arguments.old or str(COUNTS)
        kept = old_name.endswith(".json")
        if kept and not Path(old_name).exists() and arguments.json is None:
            raise SystemExit(f"there is no {old_name} to compare with; --json {old_name} makes one")
        new = counts(builds.folder_of(arguments.new, COUNTED_ISA), names)
        if not kept:
            old = counts(builds.folder_of(old_name, COUNTED_ISA), names)
        else:
            old = json.loads(Path(old_name).read_text(encoding="utf-8")) if Path(old_name).exists() else new
        print(text(compare_counts(old, new, names), "instructions"))
        print("\n" + "\n".join(f"{which}: {made(report)}" for which, report in (("old", old), ("new", new))))
        if arguments.json is not None:
            arguments.json.write_text(json.dumps(new, indent=1) + "\n", encoding="utf-8")
        return

    from fusedgrad._config import config

    isa = config()["instruction set"].split()[0]
    old_folder, new_folder = (builds.folder_of(each, isa) for each in (arguments.old or "HEAD", arguments.new))
    print(text(compare_seconds(old_folder, new_folder, names, arguments.threads), "seconds"))


def made(report: dict[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in report["made with"].items())


if __name__ == "__main__":
    main()
