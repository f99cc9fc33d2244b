"""Optimizer steps on float32 arrays, beside torch's and NumPy's: ``python -m bench.optimizers``.

torch's optimizers get what they are fastest with: the fused kernel where there is one, else ``foreach`` or the plain
loop, with one thread or all. Subject and peer run in turn, A B A B, in one process; a run is many steps, and the ratio
is the median of the pairs' ratios. Before that both make the same three steps, and their weights are compared.
"""

from __future__ import annotations

import argparse
import gc
import json
import math
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from statistics import median
from types import SimpleNamespace
from typing import Any

import fusedgrad
import numpy as np
import torch
from fusedgrad import optimizers
from numpy.typing import NDArray

from . import machine, measure, table

Step = Callable[[], object]
TOLERANCE = 1e-5
FUSED = {"Adam", "AdamW", "Adagrad", "SGD"}  # what torch 2.13 has a fused kernel for on the CPU
TORCH_NAMES = {"epsilon": "eps", "initial_accumulator": "initial_accumulator_value"}


@dataclass(frozen=True)
class Case:
    """An optimizer at a size, its peer, and the ratio to reach."""

    optimizer: optimizers.Optimizer
    peer: str
    size: int
    target: float | None = None

    def describe(self) -> str:
        return f"{self.optimizer!r}, {self.size:,} parameters"


def cases() -> list[Case]:
    """Return all comparisons: Adam at three sizes, every rule that torch has at a million."""
    adam, million = optimizers.Adam(), 1_000_000
    return [
        Case(adam, "torch", 10_000, 10),
        Case(adam, "torch", million),
        Case(adam, "torch", 25_000_000, 1),
        Case(adam, "NumPy", 10_000),
        Case(adam, "NumPy", million, 8),
        Case(adam, "NumPy", 25_000_000),
        Case(optimizers.SGD(), "torch", million),
        Case(optimizers.SGD(momentum=0.9), "torch", million),
        Case(optimizers.Adagrad(), "torch", million),
        Case(optimizers.AdamW(), "torch", million),
        Case(optimizers.Adam(amsgrad=True), "torch", million),
        Case(optimizers.ASGD(), "torch", million),
        *(
            Case(optimizer, "torch", million, 3)
            for optimizer in (
                optimizers.Adadelta(),
                optimizers.RMSprop(),
                optimizers.RMSprop(momentum=0.9, centered=True),
                optimizers.Adamax(),
                optimizers.NAdam(),
                optimizers.RAdam(),
            )
        ),
    ]


# ---- The solvers: each gives a step, and the weights that it moves ----


def problem(size: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return weights and gradient, normal; weights are of the size of a step, so that they show differences."""
    rng = np.random.default_rng(0)
    w = rng.standard_normal(size, dtype=np.float32)
    w *= 0.01
    return w, rng.standard_normal(size, dtype=np.float32)


def ours(case: Case) -> tuple[Step, NDArray[np.float32]]:
    """fusedgrad, with its own choice of threads."""
    w, g = problem(case.size)
    optimizer, state = case.optimizer, case.optimizer.init(w)
    return lambda: optimizer.step(w, g, state), w


def numpy_adam(case: Case) -> tuple[Step, NDArray[np.float32]]:
    """Adam in NumPy, in place and without temporary arrays."""
    w, g = problem(case.size)
    m, v, work = np.zeros_like(w), np.zeros_like(w), np.empty_like(w)
    adam = case.optimizer
    rate, beta_1, beta_2, epsilon = adam.default_rate, adam.beta_1, adam.beta_2, adam.epsilon
    t = 0

    def step() -> None:
        nonlocal t
        t += 1
        np.multiply(m, beta_1, out=m)
        np.multiply(g, 1 - beta_1, out=work)
        np.add(m, work, out=m)
        np.multiply(v, beta_2, out=v)
        np.multiply(g, g, out=work)
        np.multiply(work, 1 - beta_2, out=work)
        np.add(v, work, out=v)
        np.sqrt(v, out=work)
        np.multiply(work, 1 / math.sqrt(1 - beta_2**t), out=work)
        np.add(work, epsilon, out=work)
        np.divide(m, work, out=work)
        np.multiply(work, rate / (1 - beta_1**t), out=work)
        np.subtract(w, work, out=w)

    return step, w


def torch_step(case: Case, **how: bool) -> tuple[Step, NDArray[np.float32]]:
    """torch's optimizer of the same name and values."""
    w, g = problem(case.size)
    left_out = ("learning_rate", "clip_value", "clip_norm")  # by default equal to torch's
    values = {f.name: getattr(case.optimizer, f.name) for f in fields(case.optimizer) if f.name not in left_out}
    if "beta_2" in values:
        values["betas"] = (values.pop("beta_1"), values.pop("beta_2"))
    parameter = torch.tensor(w)
    parameter.grad = torch.tensor(g)
    kind = getattr(torch.optim, type(case.optimizer).__name__)
    values = {TORCH_NAMES.get(name, name): value for name, value in values.items()}
    return kind([parameter], **values, **how).step, parameter.numpy()


def fastest_torch(case: Case, threads: int) -> tuple[Step, NDArray[np.float32], str]:
    """torch with what it is fastest with, and its name."""
    ways = ["fused"] if type(case.optimizer).__name__ in FUSED else ["foreach", "plain"]
    timed = []
    for count in sorted({1, threads}):
        torch.set_num_threads(count)
        for way in ways:
            step, _ = torch_step(case, **({way: True} if way != "plain" else {"foreach": False}))
            timed.append((median(seconds(step, 1) for _ in range(9)), count, way))
    _, count, way = min(timed)
    torch.set_num_threads(count)
    name = f"torch {way}, {count} thread{'s' if count > 1 else ''}"
    return *torch_step(case, **({way: True} if way != "plain" else {"foreach": False})), name


# ---- Measuring ----


def seconds(step: Step, times: int) -> float:
    """Return the seconds of one of so many steps."""
    start = time.perf_counter()
    for _ in range(times):
        step()
    return (time.perf_counter() - start) / times


def compare(case: Case, *, pairs: int, threads: int, duration: float) -> dict[str, Any]:
    """Time fusedgrad and the peer in turn; a run lasts about `duration` seconds."""
    mine, w = ours(case)
    if case.peer == "NumPy":
        theirs, w_peer = numpy_adam(case)
        name = "NumPy, 1 thread"
    else:
        theirs, w_peer, name = fastest_torch(case, threads)
    for _ in range(3):
        mine()
        theirs()
    apart = measure.difference(w, w_peer)

    times = [max(1, round(duration / seconds(step, 3))) for step in (mine, theirs)]
    gc.collect()
    gc.disable()
    try:
        runs = [(seconds(mine, times[0]), seconds(theirs, times[1])) for _ in range(pairs)]
    finally:
        gc.enable()
    ratios = [b / a for a, b in runs]
    ratio, equal = median(ratios), apart <= TOLERANCE
    return {
        "description": case.describe(),
        "peer": name,
        "seconds": {"subject": median(a for a, _ in runs), "peer": median(b for _, b in runs)},
        "ratio": ratio,
        "spread": [min(ratios), max(ratios)],
        "target": case.target,
        "holds": None if case.target is None else bool(equal and ratio >= case.target),
        "difference": apart,
        "equal": equal,
    }


COLUMNS = {name: table.COLUMNS[name] for name in ("peer", "fusedgrad", "peer's", "ratio", "spread", "target", "holds")}
COLUMNS["difference of steps"] = table.COLUMNS["largest difference"]


def markdown(report: dict[str, Any]) -> str:
    """Return the table, with a paragraph on where it was measured."""
    where = report["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in where["versions"].items())
    return (
        f"{table.grid(report['rows'], 'description', COLUMNS)}\n\n"
        f"{where['date'][:10]}, {where['machine']}, instruction set {where['instruction set']}, {where['threads']} "
        f"threads, read bandwidth {where['read bandwidth']}; {versions}. float32; medians of {report['pairs']} pairs."
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.optimizers", description=__doc__.split("\n")[0])
    parser.add_argument("--pairs", type=int, metavar="K", default=15, help="pairs of runs (default: 15)")
    parser.add_argument("--quick", action="store_true", help="short runs, three pairs, at most a million parameters")
    parser.add_argument("--json", type=Path, metavar="PATH", help="write the report to this file")
    arguments = parser.parse_args()
    pairs, duration = (3, 0.01) if arguments.quick else (arguments.pairs, 0.1)

    versions = {"fusedgrad": fusedgrad.__version__, "torch": torch.__version__}
    described = machine.describe({name: SimpleNamespace(VERSION=version) for name, version in versions.items()})
    report: dict[str, Any] = {"machine": described, "pairs": pairs, "rows": []}
    for case in cases():
        if arguments.quick and case.size > 1_000_000:
            continue
        print(f"{case.describe()}, {case.peer} ...", file=sys.stderr, flush=True)
        report["rows"].append(compare(case, pairs=pairs, threads=described["threads"], duration=duration))
    print(markdown(report))
    if arguments.json is not None:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
