"""What a report comes to: the tables of the README, and all rows."""

from __future__ import annotations

from itertools import groupby
from statistics import median_low
from typing import Any

from . import quality, table
from .table import Row

METHOD = (
    "A number is the peer's time over fusedgrad's: the median of up to {pairs} pairs of runs, everybody at their best "
    "settings. **Bold**: a target is missed, or the peer is ahead. A dash: the problem is not for the peer, or it is "
    "not installed."
)


def text(report: dict[str, Any]) -> str:
    """Return what a run prints: the summary, then all rows."""
    groups = [f"## {name}, all rows\n\n{table.grid(rows, table.DETAILS)}" for name, rows in _groups(report)]
    if "race" in report:
        groups.append(f"## The race, all rows\n\n{quality.report.details(report['race'])}")
    size = "" if report["scale"] == 1 else f" Sizes times {report['scale']:g}; targets are for full sizes."
    return "\n\n".join([markdown(report), *groups, f"It took {report['minutes']:.0f} minutes.{size}"])


def readme(report: dict[str, Any], search: dict[str, Any] | None) -> str:
    """Return what the README shows: a report, with the newest search for everybody's best settings as its race."""
    if search is None:
        return markdown(report)
    pairs = markdown({name: value for name, value in report.items() if name != "race"})
    title = "**Time until the objective is within 0.1 % of its optimum**"
    return f"{pairs}\n\n{title}\n\n{quality.report.summary(search)}\n\n{table.where(search)}"


def markdown(report: dict[str, Any]) -> str:
    """Return the tables: one a group, with a line a problem and a column a peer."""
    remarks: list[str] = []
    parts = [f"**{name}**\n\n{_table(report['solvers'], rows, remarks)}" for name, rows in _groups(report)]
    parts += [f"[{k}] {remark}." for k, remark in enumerate(remarks, 1)]
    if "race" in report:
        title = "**Time until the objective is within 0.1 % of its optimum**"
        parts.append(f"{title}\n\n{quality.report.summary(report['race'])}")
    return "\n\n".join([*parts, f"{table.where(report)} {METHOD.format(**report)}"])


def _groups(report: dict[str, Any]) -> list[tuple[str, list[Row]]]:
    return [(name, list(rows)) for name, rows in groupby(report["rows"], lambda row: row["group"])]


def _table(solvers: list[str], rows: list[Row], remarks: list[str]) -> str:
    peers = [peer for peer in solvers if any(row["peer"] == peer and "skipped" not in row for row in rows)]
    lines = []
    for description, each in groupby(rows, lambda row: row["description"]):
        run = {row["peer"]: row for row in each if "skipped" not in row}
        if not run:
            continue
        seconds = median_low(row["seconds"]["subject"] for row in run.values())
        unit = next(iter(run.values()))["unit"]
        ours = f"{table.duration(seconds)} a {unit}".replace("a epoch", "an epoch")
        cells = [_cell(run.get(peer), remarks) for peer in peers]
        lines.append([description, ours, _share(list(run.values())), *cells])
    limited = any(line[2] for line in lines)
    header = ["problem", "fusedgrad", "share of its limit", *peers]
    kept = [[cell for k, cell in enumerate(line) if limited or k != 2] for line in [header, *lines]]
    return table.layout(kept)


def _cell(row: Row | None, remarks: list[str]) -> str:
    """The ratio to a peer."""
    if row is None:
        return "—"
    ratio = f"{row['ratio']:.2g}" if row["ratio"] < 10 else f"{row['ratio']:.0f}"
    behind = row["ratio"] < 1 or not row["agrees"] or (row["target"] is not None and row["ratio"] < row["target"])
    if behind:
        ratio = f"**{ratio}**"
    if row["ratio"] < 1 and row["remark"]:
        if row["remark"] not in remarks:
            remarks.append(row["remark"])
        ratio += f" [{remarks.index(row['remark']) + 1}]"
    return ratio


def _share(rows: list[Row]) -> str:
    """Our share of the limit, the median over the peers that we ran beside."""
    limits = sorted((row["limit"] for row in rows if "limit" in row), key=lambda limit: limit["share"])
    return table.share(limits[(len(limits) - 1) // 2]) if limits else ""
