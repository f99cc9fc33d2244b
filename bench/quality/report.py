"""A report of the race as tables and as a picture."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

from bench.table import Columns, Row, duration, grid, layout, where

from .search import FAR

AUTO, TUNED, UNTUNED = "fusedgrad, optimizer='auto'", "fusedgrad", "fusedgrad, nothing tuned"  # others are peers
OURS = {AUTO: "optimizer='auto'", TUNED: "mini-batches, tuned", UNTUNED: "mini-batches, nothing tuned"}
LOWEST = 1e-6  # gaps that the picture shows


def subject(rows: list[Row]) -> str:
    """Return the solver that others are compared with: "auto", or mini-batches at their best where it did not run."""
    return AUTO if any(row["solver"] == AUTO for row in rows) else TUNED


def verdict(rows: list[Row]) -> dict[str, Any]:
    """Return the fastest peer that arrives, its time over the subject's, and whether the subject is faster."""
    own = subject(rows)
    arrived = {row["solver"]: row["seconds"] for row in rows if row.get("arrived")}
    peers = [name for name in arrived if name not in OURS]
    best = min(peers, key=lambda name: arrived[name], default=None)
    if own not in arrived or best is None:
        return {"best_peer": best, "ratio": None, "holds": own in arrived}
    ratio = arrived[best] / arrived[own]
    return {"best_peer": best, "ratio": ratio, "holds": ratio > 1}


def markdown(report: dict[str, Any]) -> str:
    """Return the tables, and a paragraph on where it was measured."""
    return f"{details(report)}\n\n{where(report)} {_method(report)}"


def details(report: dict[str, Any]) -> str:
    """Return a table of winners, a table of all solvers, and what did not run."""
    run = [problem for problem in report["problems"] if "skipped" not in problem]
    winners = [_winner(problem) for problem in run]
    rows = [row for problem in run for row in _ranked(problem)]
    skipped = [
        f"{each['description']}: not run ({each['skipped']})" for each in report["problems"] if "skipped" in each
    ]
    tables = [grid(winners, WINNERS), *levels(run), grid(rows, _details(rows))] if run else []
    return "\n\n".join([*tables, *skipped])


def levels(run: list[dict[str, Any]]) -> list[str]:
    """Return a table of the seconds to every gap with nothing tuned, and the fastest peer's; none for old reports."""
    gaps = list(dict.fromkeys(gap for problem in run for row in problem["rows"] for gap in row.get("levels", {})))
    lines = [[problem["description"], *(_level(problem["rows"], gap) for gap in gaps)] for problem in run]
    header = ["optimizer='auto', and the fastest peer", *(f"to {float(gap):.0e}" for gap in gaps)]
    return [layout([header, *lines])] if gaps else []


def _level(rows: list[Row], gap: str) -> str:
    """Our seconds with nothing tuned, and by what factor the fastest peer takes longer, bold where it is ahead."""
    at = {row["solver"]: row["levels"][gap] for row in rows if "levels" in row}
    arrived = {name: row["seconds"] for name, row in at.items() if row["arrived"] and name not in OURS}
    best = min(arrived, key=lambda name: arrived[name], default="")
    if AUTO not in at or not at[AUTO]["arrived"]:
        return f"not reached; **{best} {duration(arrived[best])}**" if best else "not reached"
    own = at[AUTO]["seconds"]
    return f"{duration(own)}; {_ratio(arrived[best] / own)} {best}" if best else f"{duration(own)}; no peer"


def summary(report: dict[str, Any]) -> str:
    """Return the table of the README: a line a problem, a column a solver, a cell its seconds over ours."""
    run = [problem for problem in report["problems"] if "skipped" not in problem]
    names = dict.fromkeys(row["solver"] for problem in run for row in problem["rows"])
    ours = {name: shown for name, shown in OURS.items() if name in names}
    peers = [name for name in names if name not in ours]
    remarks = list(dict.fromkeys(problem["remark"] for problem in run if problem["remark"] and not problem["holds"]))
    lines = []
    for problem in run:
        rows = {row["solver"]: row for row in problem["rows"]}
        own = rows[subject(problem["rows"])]
        cells = [*(_seconds(rows[name]) for name in ours), *(_cell(rows[name], own) for name in peers)]
        mark = f" [{remarks.index(problem['remark']) + 1}]" if problem["remark"] in remarks else ""
        lines.append([problem["description"] + mark, *cells])
    notes = [f"{k}. {remark}" for k, remark in enumerate(remarks, 1)]
    table = layout([["problem", *ours.values(), *peers], *lines])
    others = [line for each in levels(run) for line in (each, "")]
    return "\n".join([table, "", *others, _method(report), *notes])


def _cell(row: Row, own: Row) -> str:
    """A peer's seconds over ours, bold where it is ahead."""
    if "skipped" in row:
        return "—"
    if not row["arrived"] or not own.get("arrived"):
        return "**arrived**" if row["arrived"] else "not reached"
    return _ratio(row["seconds"] / own["seconds"])


def _ratio(ratio: float) -> str:
    shown = f"{ratio:.2g}" if ratio < 10 else f"{ratio:.0f}"
    return f"**{shown}**" if ratio < 1 else shown


def _winner(problem: dict[str, Any]) -> Row:
    rows = {row["solver"]: row for row in problem["rows"]}
    best = rows.get(problem["best_peer"], {})
    peer = f"{best['solver']}: {best['way']}" if best else "none"
    return {
        **problem,
        "peer": peer,
        **{name: rows.get(name, {}) for name in OURS},
        "best": best,
    }


def _ranked(problem: dict[str, Any]) -> list[Row]:
    """The rows, those that arrived first, by time; then the others, by gap; then those that did not run."""

    def rank(row: Row) -> tuple[bool, bool, float]:
        ran, arrived = "skipped" not in row, row.get("arrived", False)
        return not ran, not arrived, row["seconds"] if arrived else row.get("gap", 0.0)

    return [
        {**row, "description": problem["problem"], "peer": row["solver"]} for row in sorted(problem["rows"], key=rank)
    ]


def _method(report: dict[str, Any]) -> str:
    method = (
        f"Wall time of a whole fit whose objective is within {report['goal']:.1%} of its optimum with each of "
        f"{report['rounds']} seeds: the fastest settings of each solver, medians of {report['rounds']} runs in turn, "
        f"or one run where that took more than {FAR:g} times the fastest. "
        "A pass is an epoch or an iteration; a gap is the largest of the runs, or for a solver that does not arrive "
        "the least that it came to."
    )
    if "levels" in report:
        method += (
            " On all threads or on one, whichever is faster. Beside the seconds to a gap with nothing tuned is the "
            "fastest peer's time over them."
        )
    if report.get("missing"):
        method += f" Not installed: {', '.join(report['missing'])}."
    return method if report["scale"] == 1 else f"{method} Synthetic data times {report['scale']:g}."


def _details(rows: list[Row]) -> Columns:
    """The columns of `DETAILS`, and one for the seconds to each gap."""
    gaps = dict.fromkeys(gap for row in rows for gap in row.get("levels", {}))
    return {**DETAILS, **{f"to {float(gap):.0e}": lambda row, gap=gap: _seconds(row["levels"][gap]) for gap in gaps}}


def _seconds(row: Row) -> str:
    return duration(row["seconds"]) if row.get("arrived") else "not reached"


WINNERS: Columns = {
    "problem": lambda row: row["description"],
    "best peer": lambda row: row["peer"],
    **{shown: lambda row, name=name: _seconds(row[name]) for name, shown in OURS.items()},
    "best peer's": lambda row: _seconds(row["best"]),
    "ratio": lambda row: "" if row["ratio"] is None else f"{row['ratio']:.1f}",
    "holds": lambda row: "yes" if row["holds"] else "no",
}

DETAILS: Columns = {
    "problem": lambda row: row["description"],
    "solver": lambda row: row["peer"],
    "seconds": _seconds,
    "spread": lambda row: " to ".join(map(duration, row["spread"])) if row["arrived"] else "",
    "gap": lambda row: f"{row['gap']:.0e}",
    "passes": lambda row: "" if row["budget"] is None else str(row["budget"]),
    "threads": lambda row: str(row["threads"]),
    "settings": lambda row: row["way"],
}


def picture(report: dict[str, Any], path: Path) -> None:
    """Draw the gap of every solver against seconds, a panel for each problem."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib import ticker

    problems = [problem for problem in report["problems"] if "skipped" not in problem]
    names = list(dict.fromkeys(row["solver"] for problem in problems for row in problem["rows"] if "curve" in row))
    shades = plt.get_cmap("tab20").colors
    colours = dict(zip(names, shades[::2] + shades[1::2], strict=False))
    across = min(3, len(problems) + 1)
    down = -(-(len(problems) + 1) // across)
    figure, axes = plt.subplots(down, across, figsize=(5 * across, 4 * down), squeeze=False, layout="constrained")
    panels = axes.ravel()
    for panel, problem in zip(panels, problems, strict=False):
        for row in problem["rows"]:
            if "curve" not in row:
                continue
            ours = row["solver"] == subject(problem["rows"])
            seconds, gaps = zip(*row["curve"], strict=True)
            style = {"linewidth": 2.5 if ours else 1.3, "markersize": 5 if ours else 3, "zorder": 3 if ours else 2}
            panel.loglog(seconds, [max(gap, LOWEST) for gap in gaps], "o-", color=colours[row["solver"]], **style)
        panel.axhline(report["goal"], color="black", linestyle="--", linewidth=1)
        panel.set_ylim(LOWEST / 1.5, 3)
        panel.set_title(textwrap.fill(problem["description"], 60), fontsize=9)
        panel.xaxis.set_major_locator(ticker.LogLocator(subs=(1, 3), numticks=20))
        panel.xaxis.set_major_formatter("{x:g}")
        panel.xaxis.set_minor_formatter(ticker.NullFormatter())
        panel.set_xlabel("seconds of a fit")
        panel.set_ylabel("objective over optimum - 1")
        panel.grid(alpha=0.3)
    legend = panels[len(problems)]
    for name in names:
        legend.plot([], [], "o-", color=colours[name], label=name)
    legend.plot([], [], "k--", linewidth=1, label=f"within {report['goal']:.1%}: arrived")
    legend.legend(loc="center", fontsize=11, frameon=False)
    for panel in panels[len(problems) :]:
        panel.axis("off")
    figure.savefig(path, dpi=110)
    plt.close(figure)
