"""Tables in Markdown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

Row = dict[str, Any]
Columns = dict[str, Callable[[Row], str]]


def where(report: dict[str, Any]) -> str:
    """Return sentences on date, machine, limits and versions."""
    machine = report["machine"]
    place = f"{machine['machine']}, instruction set {machine['instruction set']}, {machine['threads']} threads"
    limits = "; ".join(f"{name} {value}" for name, value in machine["limits"].items())
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    return f"{machine['date'][:10]}, {place}. Limits: {limits}. Versions: {versions}."


def grid(rows: Sequence[Row], columns: Columns) -> str:
    """Return the rows as a Markdown table, and which did not run."""
    cells = [[show(row) for show in columns.values()] for row in rows if "skipped" not in row]
    skipped = [f"{row['description']}, {row['peer']}: not run ({row['skipped']})" for row in rows if "skipped" in row]
    tables = [layout([list(columns), *cells])] if cells else []
    return "\n\n".join([*tables, "  \n".join(skipped)] if skipped else tables)


def layout(lines: list[list[str]]) -> str:
    """Return a header and lines as Markdown: the first column to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    first = [[line[k].strip("*—")[:1] for line in lines[1:]] for k in range(len(widths))]
    numeric = [k > 0 and all(not each or each.isdigit() for each in of_column) for k, of_column in enumerate(first)]
    rule = ["-" * (width - 1) + ":" if number else "-" * width for width, number in zip(widths, numeric, strict=True)]
    put = [str.rjust if number else str.ljust for number in numeric]
    shown = [lines[0], rule, *lines[1:]]
    return "\n".join("| " + " | ".join(put[k](line[k], widths[k]) for k in range(len(widths))) + " |" for line in shown)


def duration(seconds: float) -> str:
    """Return seconds in words, of three digits."""
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-6:.3g} µs"


def share(limit: dict[str, Any]) -> str:
    """Return which share of a limit was reached, in words."""
    share = f"{limit['share']:.0%}"
    if limit["target"] is not None and limit["share"] < limit["target"]:
        share = f"**{share}**"
    return f"{share} of {limit['shown']} {limit['name']}"


def _peer(row: Row) -> str:
    words = [row["peer"], row["ways"]["peer"], row["note"]]
    return ": ".join([words[0], "; ".join(filter(None, words[1:]))]) if any(words[1:]) else words[0]


DETAILS: Columns = {
    "problem": lambda row: row["description"],
    "peer": _peer,
    "time of a": lambda row: row["unit"],
    "fusedgrad": lambda row: duration(row["seconds"]["subject"]),
    "peer's": lambda row: duration(row["seconds"]["peer"]),
    "ratio": lambda row: f"{row['ratio']:.2f}",
    "spread": lambda row: f"{row['spread'][0]:.2f} to {row['spread'][1]:.2f}",
    "pairs": lambda row: str(row["pairs"]),
    "target": lambda row: "" if row["target"] is None else f"{row['target']:g}",
    "share of limit": lambda row: share(row["limit"]) if "limit" in row else "",
    "holds": lambda row: {True: "yes", False: "no", None: ""}[row["holds"]],
    "both sides": lambda row: row["agreement"] if row["agrees"] else f"NOT ALIKE: {row['agreement']}",
}
