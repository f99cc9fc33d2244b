"""Cost curves: what an epoch takes against rows, features, batch size, threads, and models in one pass.

The problem is dense float32, log loss. What is timed is a whole fit of `EPOCHS` epochs, over its epochs: for few rows
the checks of the input and the calls themselves show.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np
from fusedgrad import SGDClassifier, fit_many
from numpy.typing import NDArray
from sklearn import linear_model

from .case import on_threads
from .linear import THREADS
from .measure import clock

EPOCHS, BATCH = 3, 1024
LEAST_SECONDS = 0.02  # a run is as many fits as take so long
SETTINGS = {"loss": "log_loss", "alpha": 1e-4, "max_iter": EPOCHS, "tol": None, "random_state": 0}
SINGLE, BATCHES, PEER = "fusedgrad, one sample a step", f"fusedgrad, batches of {BATCH:,}", "scikit-learn"

Line = list[dict[str, float]]  # points: x, and the median, low and high of y


def measure(scale: float) -> list[dict[str, Any]]:
    """Return the curves: title, names of the axes, points by line, and the slope to expect."""
    numbers = np.random.default_rng(0).standard_normal(round(100_000_000 * scale), dtype=np.float32)
    curves = []
    for curve in (against_rows, against_features, against_batch_size, against_threads, against_models):
        print(f"{curve.__name__.replace('_', ' ')} ...", file=sys.stderr, flush=True)
        curves.append(curve(numbers))
    return curves


def against_rows(numbers: NDArray[np.float32]) -> dict[str, Any]:
    """A thousand rows to ten times as many as there are numbers for: the same rows again, without the peer."""
    counts = [10**k for k in range(3, 9) if 10**k <= numbers.size // 10]
    lines: dict[str, Line] = {SINGLE: [], BATCHES: [], PEER: []}
    for count in counts:
        X, y = data(numbers, count, 100)
        lines[SINGLE].append(point(count, fit(single(), X, y)))
        lines[BATCHES].append(point(count, fit(batches(), X, y)))
        if count < counts[-1]:
            lines[PEER].append(point(count, fit(peer(), X, y)))
    return curve("100 features", "rows", "time of an epoch", lines, slope=1, through=counts[-1])


def against_features(numbers: NDArray[np.float32]) -> dict[str, Any]:
    """As many numbers each time, in fewer and longer rows."""
    size = numbers.size // 2
    lines: dict[str, Line] = {SINGLE: [], BATCHES: [], PEER: []}
    for features in (10, 30, 100, 300, 1000, 3000, 10_000):
        X, y = data(numbers, size // features, features)
        for name, estimator in ((SINGLE, single()), (BATCHES, batches()), (PEER, peer())):
            lines[name].append(point(features, fit(estimator, X, y), X.size))
    title = f"X of {size / 1e6:g} million numbers (flat: time is linear in features)"
    return curve(title, "features", "time of an epoch per number of X", lines)


def against_batch_size(numbers: NDArray[np.float32]) -> dict[str, Any]:
    """One row a step to all rows a step."""
    X, y = data(numbers, numbers.size // 200, 100)
    lines: dict[str, Line] = {}
    for threads in (1, THREADS):
        sizes = [*(4**k for k in range(9) if 4**k < len(X)), len(X)]
        lines[on_threads(threads)] = [point(size, fit(batches(size, threads), X, y)) for size in sizes]
    return curve(f"{len(X):,} rows x 100 (at the right: full batches)", "batch size", "time of an epoch", lines)


def against_threads(numbers: NDArray[np.float32]) -> dict[str, Any]:
    """One thread to as many as the machine has."""
    X, y = data(numbers, numbers.size // 200, 100)
    most = os.cpu_count() or 1
    counts = sorted({2**k for k in range(most.bit_length()) if 2**k <= most} | {most})
    lines: dict[str, Line] = {
        f"batches of {size:,}": [point(count, fit(batches(size, count), X, y)) for count in counts]
        for size in (64, BATCH, 16_384)
    }
    lines["16 models in a pass"] = [point(count, many(16, X, y, count)) for count in counts]
    return curve(f"{len(X):,} rows x 100", "threads", "time of an epoch", lines, slope=-1, through=1)


def against_models(numbers: NDArray[np.float32]) -> dict[str, Any]:
    """One model to 256 penalties in a pass."""
    X, y = data(numbers, numbers.size // 1000, 100)
    pass_, peers = [], []
    for count in (1, 2, 4, 8, 16, 32, 64, 128, 256):
        pass_.append(point(count, many(count, X, y, THREADS)))
        if count <= 16:
            peers.append(point(count, lambda count=count: [peer().fit(X, y) for _ in range(count)]))
    lines = {"fit_many: all models": pass_, "fit_many: a model": a_model(pass_)}
    lines |= {f"{PEER}, fit by fit: all": peers, f"{PEER}: a model": a_model(peers)}
    title = f"{len(X):,} rows x 100, batches of {BATCH:,}"
    return curve(title, "models in one pass", "time of an epoch", lines, slope=1, through=1)


def curve(title: str, x: str, y: str, lines: dict[str, Line], *, slope: int = 0, through: int = 1) -> dict[str, Any]:
    """Return a curve with names of its axes; log-log, a straight line with the slope through a point is ideal."""
    return {"title": title, "x": x, "y": y, "slope": slope, "through": through, "lines": lines}


def data(numbers: NDArray[np.float32], rows: int, features: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return X, made of the numbers, and labels: the signs of its first column."""
    size = rows * features
    if size <= numbers.size:
        X = numbers[:size].reshape(rows, features)
    else:
        X = np.empty((rows, features), dtype=np.float32)
        block = numbers.reshape(-1, features)
        for start in range(0, rows, len(block)):
            part = X[start : start + len(block)]
            part[...] = block[: len(part)]
    return X, (X[:, 0] > 0).astype(np.int64)


def single() -> SGDClassifier:
    return SGDClassifier(batch_size=1, **SETTINGS)


def batches(size: int = BATCH, threads: int = THREADS, alpha: float = 1e-4) -> SGDClassifier:
    rate = {"learning_rate": "constant", "eta0": 0.01, "n_jobs": threads}
    return SGDClassifier(batch_size=size, **{**SETTINGS, **rate, "alpha": alpha})


def peer() -> linear_model.SGDClassifier:
    return linear_model.SGDClassifier(**SETTINGS)


def fit(estimator: Any, X: NDArray[np.float32], y: NDArray[np.int64]) -> Callable[[], Any]:
    return lambda: estimator.fit(X, y)


def many(count: int, X: NDArray[np.float32], y: NDArray[np.int64], threads: int) -> Callable[[], Any]:
    """Return a fit of so many penalties in one pass."""
    return lambda: fit_many([batches(threads=threads, alpha=alpha) for alpha in np.logspace(-6, -1, count)], X, y)


def a_model(line: Line) -> Line:
    """Return what one of x models takes."""
    return [{key: value if key == "x" else value / point["x"] for key, value in point.items()} for point in line]


def point(x: float, run: Callable[[], Any], parts: int = 1) -> dict[str, float]:
    """Return the median and the spread of three runs, after one that warms up: seconds of a part of an epoch."""
    warm_up, _ = clock(run)
    times = max(1, round(LEAST_SECONDS / warm_up))
    runs = [clock(lambda: repeat(run, times))[0] / times / EPOCHS / parts for _ in range(3)]
    return {"x": x, "median": median(runs), "low": min(runs), "high": max(runs)}


def repeat(run: Callable[[], Any], times: int) -> None:
    for _ in range(times):
        run()
