"""What neighbours cost: ``python -m bench.threads [--neighbours 0 1 2 4 | --scaling] [--only NAME ...]``.

Beside so many busy processes, each case runs with the default (`n_jobs=None`, a team as large as pays), on one thread,
and with a team of all threads whatever it costs; in turn, so that all meet the same machine. The table shows the
medians, and the default's over the better of the two others: how much is lost by not knowing which of them it will be.

With `--scaling`: no neighbours; the default beside teams of 1, 2, 4, ... threads, for larger work as well.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from fusedgrad import _core
from fusedgrad.layers import GRU, Conv2D, Dense, Flatten, MaxPool2D
from fusedgrad.linear_model import SGDClassifier, fit_many
from fusedgrad.neural_network import MLPClassifier, NeuralClassifier
from fusedgrad.optimizers import Adam
from sklearn.exceptions import ConvergenceWarning

from . import data, table

Work = Callable[[Any], Any]  # of an n_jobs
BUSY = [sys.executable, "-c", "while True: pass"]
PAUSE = 0.05  # seconds between runs, in which threads of the one before stop spinning
LOST = 1.15  # times the better of one and all threads that the default may take


@functools.cache
def rows(count: int = 100_000) -> tuple[Any, Any]:
    return data.dense(count, 100, "float32")


def linear(batch_size: int, count: int = 100_000) -> Work:
    X, y = rows(count)
    return lambda n_jobs: SGDClassifier(
        "log_loss", batch_size=batch_size, max_iter=10, tol=None, random_state=0, n_jobs=n_jobs
    ).fit(X, y)


def sparse() -> Work:
    X, y = data.sparse(50_000, 50_000, 50)
    return lambda n_jobs: SGDClassifier(
        "log_loss", batch_size=1024, max_iter=6, tol=None, random_state=0, n_jobs=n_jobs
    ).fit(X, y)


def grid() -> Work:
    X, y = rows()
    X, y = X[:30_000], y[:30_000]

    def fit(n_jobs: Any) -> Any:
        models = [
            SGDClassifier("log_loss", alpha=a, batch_size=1024, max_iter=4, tol=None, random_state=0, n_jobs=n_jobs)
            for a in np.logspace(-6, -1, 64)
        ]
        return fit_many(models, X, y)

    return fit


def perceptron(
    columns: int, units: tuple[int, ...], count: int, epochs: int, classes: int = 2, batch_size: int | str = "auto"
) -> Work:
    X, y = data.dense(count, columns, "float32", classes=classes)
    return lambda n_jobs: MLPClassifier(
        units, batch_size=batch_size, max_iter=epochs, n_iter_no_change=epochs + 1, random_state=0, n_jobs=n_jobs
    ).fit(X, y)


def images() -> Work:
    X, y = data.dense(2_000, 28 * 28, "float32", classes=10)
    X = X.reshape(-1, 28, 28, 1)
    layers = [Conv2D(8, 3, activation="relu"), MaxPool2D(2), Flatten(), Dense(32, "relu")]
    return lambda n_jobs: NeuralClassifier(
        layers, max_epochs=3, tol=None, batch_size=64, random_state=0, n_jobs=n_jobs
    ).fit(X, y)


def sequences() -> Work:
    X, y = data.dense(2_000, 20 * 16, "float32")
    X = X.reshape(-1, 20, 16)
    return lambda n_jobs: NeuralClassifier(
        [GRU(32)], max_epochs=3, tol=None, batch_size=64, random_state=0, n_jobs=n_jobs
    ).fit(X, y)


def adam() -> Work:
    rng = np.random.default_rng(0)
    w, g = rng.standard_normal((2, 1_000_000), dtype=np.float32)
    rule = Adam()
    state = rule.init(w)

    def steps(n_jobs: Any) -> None:
        for _ in range(200):
            rule.step(w, g, state, n_jobs=n_jobs)

    return steps


CASES: dict[str, Callable[[], Work]] = {
    "linear, batches of 256": lambda: linear(256),
    "linear, batches of 1,024": lambda: linear(1024),
    "sparse, batches of 1,024": sparse,
    "grid of 64": grid,
    "perceptron 10-20-30-1": lambda: perceptron(10, (20, 30), 10_000, 20),
    "perceptron 50-100-2": lambda: perceptron(50, (100,), 20_000, 10),
    "perceptron 512-512": lambda: perceptron(100, (512, 512), 4_000, 3, classes=10),
    "small CNN": images,
    "GRU": sequences,
    "Adam, a million": adam,
}
LARGER: dict[str, Callable[[], Work]] = {
    "linear, batches of 65,536": lambda: linear(65_536, 500_000),
    "perceptron 1,024-1,024, batches of 2,048": lambda: perceptron(200, (1024, 1024), 8_192, 3, 10, 2_048),
}


@contextlib.contextmanager
def neighbours(count: int) -> Iterator[None]:
    """So many busy processes beside this one."""
    processes = [subprocess.Popen(BUSY) for _ in range(count)]
    try:
        time.sleep(1.0)
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def seconds(work: Work, n_jobs: Any, policy: Any) -> float:
    """Return how long the work takes with a policy of the team's size."""
    _core.set_team_policy(policy)
    try:
        begin = time.perf_counter()
        work(n_jobs)
        return time.perf_counter() - begin
    finally:
        _core.set_team_policy("measured")


def measure(name: str, count: int, rounds: int) -> table.Row:
    """Return medians and their ratio beside so many neighbours."""
    work, whole = {**CASES, **LARGER}[name](), _core.max_threads()
    ways = {"default": (None, "measured"), "one": (1, "measured"), "all": (whole, "whole")}
    runs: dict[str, list[float]] = {way: [] for way in ways}
    with neighbours(count):
        work(1)
        for k in range(rounds):
            for way in [*ways][k % 3 :] + [*ways][: k % 3]:  # nobody always comes after the same one
                time.sleep(PAUSE)
                runs[way].append(seconds(work, *ways[way]))
    row = {way: median(each) for way, each in runs.items()}
    return {
        "description": name,
        "neighbours": count,
        **row,
        "ratio": row["default"] / min(row["one"], row["all"]),
        "runs": runs,
    }


def scaling(name: str, rounds: int) -> table.Row:
    """Return medians with teams of 1, 2, 4, ... threads, and with the default."""
    work, most = {**CASES, **LARGER}[name](), _core.max_threads()
    sizes = [size for k in range(most.bit_length()) if (size := 1 << k) < most] + [most]
    ways: dict[str, Any] = {"default": (None, "measured"), **{str(size): (size, "whole") for size in sizes}}
    runs: dict[str, list[float]] = {way: [] for way in ways}
    work(1)
    for _ in range(rounds):
        for way, how in ways.items():
            time.sleep(PAUSE)
            runs[way].append(seconds(work, *how))
    return {"description": name, "runs": runs, **{way: median(each) for way, each in runs.items()}}


COLUMNS: table.Columns = {
    "case": lambda row: row["description"],
    "neighbours": lambda row: str(row["neighbours"]),
    "default": lambda row: table.duration(row["default"]),
    "one thread": lambda row: table.duration(row["one"]),
    "all threads": lambda row: table.duration(row["all"]),
    "default / better": lambda row: f"{row['ratio']:.2f}" if row["ratio"] <= LOST else f"**{row['ratio']:.2f}**",
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.threads", description="What busy neighbours cost.")
    parser.add_argument("--neighbours", type=int, nargs="+", default=[0, 1, 2, 4], metavar="N")
    parser.add_argument("--scaling", action="store_true", help="teams of 1, 2, 4, ... threads, without neighbours")
    parser.add_argument("--only", nargs="+", choices=[*CASES, *LARGER], metavar="NAME")
    parser.add_argument("--rounds", type=int, default=9, metavar="N", help="runs of each way (default: 9)")
    parser.add_argument("--json", type=Path, metavar="PATH", help="also write all times here")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    measured = []
    if arguments.scaling:
        for name in arguments.only or [*CASES, *LARGER]:
            print(f"{name} ...", file=sys.stderr, flush=True)
            measured.append(scaling(name, arguments.rounds))
        ways: table.Columns = {way: lambda row, way=way: table.duration(row[way]) for way in measured[0]["runs"]}
        print(table.grid(measured, {"case": lambda row: row["description"], **ways}))
    else:
        for count in arguments.neighbours:
            for name in arguments.only or CASES:
                print(f"{name}, {count} neighbours ...", file=sys.stderr, flush=True)
                measured.append(measure(name, count, arguments.rounds))
        print(table.grid(measured, COLUMNS))
        within = sum(row["ratio"] <= LOST for row in measured)
        print(f"\n{_core.max_threads()} threads. {within} of {len(measured)} within {LOST}.")
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(measured, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
