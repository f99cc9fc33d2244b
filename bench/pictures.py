"""Pictures of a report: ratios, the race, and cost curves."""

from __future__ import annotations

import textwrap
from itertools import groupby
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib import ticker
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from .quality.report import picture as race

Row = dict[str, Any]

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f4f24", "#555555")
MARKERS = "oDs^vPXd"
GREY, BEHIND = "#777777", "#fbe9e7"
PEER_COLOUR = "#d55e00"
COST = """fusedgrad and scikit-learn, SGDClassifier,
dense float32, log loss.

A point is the median of three runs,
a band the fastest and the slowest.

Whole fits of a few epochs are timed, and divided
by the epochs: with few rows their fixed costs show."""


def draw(report: Row, path: Path) -> list[Path]:
    """Draw what the report has beside `path`, and return the files."""
    made = []
    for name, key, picture in (("ratios", "rows", ratios), ("race", "race", race), ("cost", "curves", cost)):
        if report.get(key):
            target = path.with_name(f"{path.stem}-{name}.png")
            picture(report[key], target)
            made.append(target)
    return made


# ---- Ratios ----


def ratios(rows: list[Row], path: Path) -> None:
    """Draw a line a problem, a dot for the ratio to each peer, with its spread and its target."""
    run = [row for row in rows if "skipped" not in row]
    peers = list(dict.fromkeys(row["peer"] for row in run))
    colours, markers = dict(zip(peers, COLOURS, strict=False)), dict(zip(peers, MARKERS, strict=False))
    lines, headings, y = [], [], 0.0
    for group, of_group in groupby(run, lambda row: row["group"]):
        headings.append((y, group))
        y += 1.0
        for description, of_problem in groupby(of_group, lambda row: row["description"]):
            lines.append((y, description, list(of_problem)))
            y += 1.0
        y += 0.3

    figure, axes = plt.subplots(figsize=(13, 1.2 + 0.33 * y), layout="constrained")
    axes.set_xscale("log")
    for k, (y_line, _, of_problem) in enumerate(lines):
        if k % 2:
            axes.axhspan(y_line - 0.5, y_line + 0.5, color="black", alpha=0.04, linewidth=0, zorder=0)
        step = min(0.2, 0.75 / len(of_problem))
        for j, row in enumerate(of_problem):
            y_dot = y_line + step * (j - (len(of_problem) - 1) / 2)  # so that equal ratios do not hide each other
            _ratio(axes, row, y_dot, step, colours[row["peer"]], markers[row["peer"]])
    low, high = axes.get_xlim()
    low = min(low, 0.5)
    axes.axvspan(low, 1, color=BEHIND, linewidth=0, zorder=-1)
    axes.axvline(1, color="black", linewidth=1, zorder=1)
    axes.set_xlim(low, high)
    axes.set_ylim(y - 0.3, -0.7)
    texts = [*headings, *((y_line, textwrap.shorten(text, 90, placeholder=" ...")) for y_line, text, _ in lines)]
    axes.set_yticks(*zip(*texts, strict=True), fontsize=8.5)
    for label in axes.get_yticklabels()[: len(headings)]:
        label.set(weight="bold", fontsize=10)
    axes.tick_params(axis="y", length=0)
    _plain_ticks(axes.xaxis)
    axes.grid(axis="x", which="major", color="#dddddd", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.set_xlabel("peer's time over fusedgrad's (log scale): right of 1 fusedgrad is faster")
    top = axes.secondary_xaxis("top")
    _plain_ticks(top.xaxis)
    for side in ("left", "right"):
        axes.spines[side].set_visible(False)
    figure.legend(handles=_ratio_legend(colours, markers), loc="outside upper center", ncols=5, frameon=False)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _ratio(axes: Axes, row: Row, y: float, height: float, colour: str, marker: str) -> None:
    axes.plot(row["spread"], [y, y], color=colour, linewidth=1.2, alpha=0.6, zorder=2)
    behind = row["ratio"] < 1 or not row["agrees"]
    face = "white" if behind else colour
    axes.plot(row["ratio"], y, marker, color=colour, markerfacecolor=face, markersize=5.5, zorder=3)
    if row["target"] is not None:
        axes.plot([row["target"]] * 2, [y - 0.6 * height, y + 0.6 * height], color=colour, linewidth=2.5, zorder=2)


def _ratio_legend(colours: dict[str, str], markers: dict[str, str]) -> list[Line2D]:
    dots = [Line2D([], [], color=colours[peer], marker=markers[peer], linestyle="", label=peer) for peer in colours]
    return [
        *dots,
        Line2D([], [], color=GREY, marker="o", markerfacecolor="white", linestyle="", label="peer is ahead"),
        Line2D([], [], color=GREY, marker="|", markersize=9, markeredgewidth=2.2, linestyle="", label="target"),
        Line2D([], [], color=GREY, linewidth=1.2, label="spread of the pairs"),
    ]


def _plain_ticks(axis: Any) -> None:
    axis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5), numticks=40))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter(ticker.NullFormatter())
    axis.set_minor_locator(ticker.NullLocator())


# ---- Cost curves ----


def cost(curves: list[Row], path: Path) -> None:
    """Draw a panel a curve, log-log, each with a line of the slope that is expected."""
    across = 3
    down = -(-(len(curves) + 1) // across)
    figure, axes = plt.subplots(down, across, figsize=(5.4 * across, 4.6 * down), squeeze=False, layout="constrained")
    panels = list(axes.ravel())
    for panel, curve in zip(panels, curves, strict=False):
        _cost(panel, curve)
    for panel in panels[len(curves) :]:
        panel.axis("off")
    panels[len(curves)].text(0.5, 0.5, COST, ha="center", va="center", fontsize=11, linespacing=1.6)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _cost(panel: Axes, curve: Row) -> None:
    ours, colour = iter(COLOURS), PEER_COLOUR
    for name, points in curve["lines"].items():
        a_model, peer = name.endswith("a model"), name.startswith("scikit-learn")
        if not a_model:  # which follows all models, in their colour
            colour = PEER_COLOUR if peer else next(each for each in ours if each != PEER_COLOUR)
        x, low, middle, high = ([point[key] for point in points] for key in ("x", "low", "median", "high"))
        panel.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)
        panel.loglog(x, middle, "o--" if a_model else "o-", color=colour, markersize=4, linewidth=1.8, label=name)
    if curve["slope"]:
        _expected(panel, curve)
    ticks = sorted({point["x"] for points in curve["lines"].values() for point in points})
    panel.set_xticks(ticks, [f"{x:,g}" if x < 1e6 else f"{x / 1e6:g} M" for x in ticks], fontsize=8)
    panel.xaxis.set_minor_locator(ticker.NullLocator())
    panel.yaxis.set_major_locator(ticker.LogLocator(subs=(1, 3), numticks=20))
    panel.yaxis.set_major_formatter(ticker.EngFormatter("s"))
    panel.yaxis.set_minor_formatter(ticker.NullFormatter())
    panel.set_title(curve["title"], fontsize=10)
    panel.set_xlabel(curve["x"])
    panel.set_ylabel(curve["y"])
    panel.grid(color="#dddddd", linewidth=0.7)
    panel.legend(fontsize=8, frameon=False, handlelength=3)


def _expected(panel: Axes, curve: Row) -> None:
    """A line of the expected slope through a point of the first line; the axes stay as they are."""
    slope, through = curve["slope"], curve["through"]
    points = next(iter(curve["lines"].values()))
    factor = next(point["median"] for point in points if point["x"] == through) / through**slope
    x = [points[0]["x"], points[-1]["x"]]
    panel.set_ylim(panel.get_ylim())
    name = "proportional" if slope == 1 else "inversely proportional"
    panel.loglog(x, [factor * each**slope for each in x], ":", color=GREY, linewidth=1.5, label=name)
