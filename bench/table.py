"""The tables of a report, for the terminal and in Markdown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Row = dict[str, Any]
Columns = dict[str, Callable[[Row], str]]


def text(report: dict[str, Any]) -> str:
    """Return what a run prints: a line each on date, machine, threads and versions, then the tables."""
    lines = {**report["machine"], "versions": _versions(report), "method": _method(report)}
    header = "\n".join(f"{name + ':':17}{value}" for name, value in lines.items())
    return f"{header}\n\n{_tables(report['rows'], 'problem')}"


def markdown(report: dict[str, Any]) -> str:
    """Return the tables for the README, with a paragraph on where it was measured."""
    return f"{_tables(report['rows'], 'description')}\n\n{where(report)} {_method(report)}"


def where(report: dict[str, Any]) -> str:
    """Return a sentence on date, machine and versions."""
    machine = report["machine"]
    return (
        f"{machine['date'][:10]}, {machine['machine']}, instruction set {machine['instruction set']}, "
        f"{machine['threads']} threads, read bandwidth {machine['read bandwidth']}; {_versions(report)}."
    )


def _tables(rows: list[Row], name: str) -> str:
    """The rows of the same work; then epochs of mini-batches, which peers make otherwise."""
    same = [row for row in rows if "ours" not in row["case"]]
    epochs = [row for row in rows if "ours" in row["case"]]
    tables = [grid(same, name, COLUMNS)] if same else []
    if epochs:
        tables += [EPOCHS_TITLE, grid(epochs, name, EPOCHS)]
    return "\n\n".join(tables)


def _versions(report: dict[str, Any]) -> str:
    return ", ".join(f"{name} {version}" for name, version in report["machine"]["versions"].items())


def _method(report: dict[str, Any]) -> str:
    method = f"Medians of {report['repeats']} paired runs; times are of one fit or call, ns of one sample in one epoch."
    return method if report["scale"] == 1 else f"{method} Sizes times {report['scale']:g}; targets are for full sizes."


def grid(rows: list[Row], name: str, columns: Columns) -> str:
    """Return the rows as a Markdown table: what they are called by, then the columns."""
    cells = [["problem", *columns]]
    cells += [[row[name], *(show(row) for show in columns.values())] for row in rows if "skipped" not in row]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    put = [str.ljust, str.ljust] + [str.rjust] * (len(widths) - 2)  # two columns of words, then numbers
    cells.insert(1, ["-" * width if k < 2 else "-" * (width - 1) + ":" for k, width in enumerate(widths)])
    lines = [" | ".join(put[k](line[k], widths[k]) for k in range(len(widths))) for line in cells]
    skipped = [f"\n{row[name]}, {row['peer']}: not run ({row['skipped']})" for row in rows if "skipped" in row]
    return "\n".join([f"| {line} |" for line in lines] + skipped)


def duration(seconds: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-6:.3g} µs"


def _difference(row: Row) -> str:
    size = f"{row['difference']:.0e}" if row["difference"] else "0"
    return size if row["equal"] else f"NOT EQUAL: {size}"


def _target(row: Row) -> str:
    return "" if row["target"] is None else f"{row['target']:g}"


def _holds(row: Row) -> str:
    return {True: "yes", False: "no", None: ""}[row["holds"]]


def _epoch(row: Row, side: str) -> str:
    return duration(row["seconds"][side] / row["epochs"])


def _bandwidth(row: Row) -> str:
    if "bandwidth" not in row:
        return ""
    bandwidth = row["bandwidth"]
    least = "" if bandwidth["target"] is None else f" (target {bandwidth['target']:.0%})"
    return f"{bandwidth['share']:.0%} of {bandwidth['bytes_per_second'] / 1e9:.1f} GB/s{least}"


COLUMNS: Columns = {
    "peer": lambda row: row["peer"],
    "fusedgrad": lambda row: duration(row["seconds"]["subject"]),
    "peer's": lambda row: duration(row["seconds"]["peer"]),
    "fusedgrad ns": lambda row: f"{row['nanoseconds_per_step']['subject']:,.0f}",
    "peer's ns": lambda row: f"{row['nanoseconds_per_step']['peer']:,.0f}",
    "ratio": lambda row: f"{row['ratio']:.2f}",
    "spread": lambda row: f"{row['spread'][0]:.2f} to {row['spread'][1]:.2f}",
    "target": _target,
    "holds": _holds,
    "largest difference": _difference,
}

EPOCHS_TITLE = (
    "An epoch of mini-batches beside an epoch of one sample a step. That is not the same work, so the objectives that "
    "both fits reach are shown:"
)

EPOCHS: Columns = {
    "peer": lambda row: row["peer"],
    "threads": lambda row: str(row["case"]["settings"]["n_jobs"]),
    "fusedgrad": lambda row: _epoch(row, "subject"),
    "peer's": lambda row: _epoch(row, "peer"),
    "ratio": lambda row: f"{row['ratio']:.1f}",
    "spread": lambda row: f"{row['spread'][0]:.1f} to {row['spread'][1]:.1f}",
    "target": _target,
    "share of read bandwidth": _bandwidth,
    "holds": _holds,
    "objective": lambda row: f"{row['objective']['subject']:.4f}",
    "peer's objective": lambda row: f"{row['objective']['peer']:.4f}",
}
