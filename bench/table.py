"""The table of a report, for the terminal and in Markdown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Row = dict[str, Any]


def text(report: dict[str, Any]) -> str:
    """Return what a run prints: a line each on date, machine, threads and versions, then the table."""
    lines = {**report["machine"], "versions": _versions(report), "method": _method(report)}
    header = "\n".join(f"{name + ':':17}{value}" for name, value in lines.items())
    return f"{header}\n\n{_table(report['rows'], 'problem')}"


def markdown(report: dict[str, Any]) -> str:
    """Return the table for the README, with a paragraph on where it was measured."""
    machine = report["machine"]
    where = (
        f"{machine['date'][:10]}, {machine['machine']}, instruction set {machine['instruction set']}, "
        f"{machine['threads']} threads, read bandwidth {machine['read bandwidth']}; {_versions(report)}. "
        f"{_method(report)}"
    )
    return f"{_table(report['rows'], 'description')}\n\n{where}"


def _versions(report: dict[str, Any]) -> str:
    return ", ".join(f"{name} {version}" for name, version in report["machine"]["versions"].items())


def _method(report: dict[str, Any]) -> str:
    method = f"Medians of {report['repeats']} paired runs; times are of one fit or call, ns of one sample in one epoch."
    return method if report["scale"] == 1 else f"{method} Sizes times {report['scale']:g}; targets are for full sizes."


def _table(rows: list[Row], name: str) -> str:
    cells = [["problem", *COLUMNS]]
    cells += [[row[name], *(show(row) for show in COLUMNS.values())] for row in rows if "skipped" not in row]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    put = [str.ljust, str.ljust] + [str.rjust] * (len(widths) - 2)  # two columns of words, then numbers
    cells.insert(1, ["-" * width if k < 2 else "-" * (width - 1) + ":" for k, width in enumerate(widths)])
    lines = [" | ".join(put[k](line[k], widths[k]) for k in range(len(widths))) for line in cells]
    skipped = [f"\n{row[name]}, {row['peer']}: not run ({row['skipped']})" for row in rows if "skipped" in row]
    return "\n".join([f"| {line} |" for line in lines] + skipped)


def _duration(seconds: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-6:.3g} µs"


def _difference(row: Row) -> str:
    size = f"{row['difference']:.0e}" if row["difference"] else "0"
    return size if row["equal"] else f"NOT EQUAL: {size}"


COLUMNS: dict[str, Callable[[Row], str]] = {
    "peer": lambda row: row["peer"],
    "fusedgrad": lambda row: _duration(row["seconds"]["subject"]),
    "peer's": lambda row: _duration(row["seconds"]["peer"]),
    "fusedgrad ns": lambda row: f"{row['nanoseconds_per_step']['subject']:,.0f}",
    "peer's ns": lambda row: f"{row['nanoseconds_per_step']['peer']:,.0f}",
    "ratio": lambda row: f"{row['ratio']:.2f}",
    "spread": lambda row: f"{row['spread'][0]:.2f} to {row['spread'][1]:.2f}",
    "target": lambda row: "" if row["target"] is None else f"{row['target']:g}",
    "holds": lambda row: {True: "yes", False: "no", None: ""}[row["holds"]],
    "largest difference": _difference,
}
