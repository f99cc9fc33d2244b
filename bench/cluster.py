"""Fits on a Dask cluster of this machine's processes: beside a fit in one place, and beside Dask-ML.

``python -m bench.cluster`` makes rows of two classes in memory (``--rows 5000000``: 2 GB of float32) and prints medians
of fits to a proven gap of 1e-3 in turn: the plain estimator with two threads, and two workers of a thread each. Then
what a round of calls costs, by itself: for workers without work, as many calls as there are shards, by 2 and 4 of them.
Last come Dask-ML's estimators, each with the number of its epochs or iterations that first arrives at 1e-3 of the
optimum, on a tenth of the rows; who is not installed is reported as missing.
"""

from __future__ import annotations

import argparse
import os
import time
import warnings
from collections.abc import Callable
from statistics import median
from typing import Any

import dask
import dask.array as da
import fusedgrad.dask
import numpy as np
from distributed import Client, LocalCluster, wait
from fusedgrad import SGDClassifier
from fusedgrad._training.shards import Shard
from fusedgrad.dask._cluster import Cluster
from fusedgrad.dask._shards import Group, Remote
from sklearn.linear_model import SGDClassifier as ScikitSGD

from bench import machine
from bench.table import duration, layout

try:
    from dask_ml.linear_model import LogisticRegression
    from dask_ml.wrappers import Incremental
except ImportError:
    LogisticRegression = Incremental = None

COLUMNS, ALPHA, GAP, PAIRS = 100, 1e-5, 1e-3, 3
BLOCK = 1 << 18
ROUNDS = 20


def block(k: int, rows: int) -> tuple[Any, Any]:
    """Make some rows, which whoever is asked for them makes alike."""
    rng = np.random.default_rng(k)
    w = np.random.default_rng(0).normal(size=COLUMNS).astype(np.float32) / np.sqrt(COLUMNS)
    X = rng.standard_normal((rows, COLUMNS), dtype=np.float32)
    return X, (X @ w + rng.logistic(size=rows) > 0).astype(np.int64)


def lazy(rows: int) -> tuple[Any, Any]:
    """Make a collection of them."""
    sizes = [min(BLOCK, rows - first) for first in range(0, rows, BLOCK)]
    blocks = [dask.delayed(block, nout=2)(k, size) for k, size in enumerate(sizes)]
    X = [da.from_delayed(b[0], (size, COLUMNS), np.float32) for b, size in zip(blocks, sizes, strict=True)]
    y = [da.from_delayed(b[1], (size,), np.int64) for b, size in zip(blocks, sizes, strict=True)]
    return da.concatenate(X), da.concatenate(y)


def seconds(run: Callable[[], Any]) -> tuple[float, Any]:
    """Time a run."""
    began = time.perf_counter()
    found = run()
    return time.perf_counter() - began, found


def objective(model: Any, X: Any, y: Any) -> float:
    """Mean loss and penalty of a fitted model."""
    w, b = np.ravel(model.coef_).astype(np.float64), float(np.ravel(model.intercept_)[0])
    margin = np.where(y > 0, 1.0, -1.0) * (X @ w + b)
    return float(np.logaddexp(0.0, -margin).mean() + ALPHA / 2 * w @ w)


def fits(client: Client, rows: int) -> list[list[str]]:
    """Compare a fit in one place with two threads to one by two workers."""
    X, y = client.persist(lazy(rows))
    wait([X, y])
    parts = [block(k, min(BLOCK, rows - first)) for k, first in enumerate(range(0, rows, BLOCK))]
    here = np.concatenate([part for part, _ in parts]), np.concatenate([part for _, part in parts])
    del parts
    settings = {"alpha": ALPHA, "optimizer": "auto", "tol": GAP, "random_state": 0}
    plain = SGDClassifier("log_loss", n_jobs=2, **settings)
    spread = fusedgrad.dask.SGDClassifier("log_loss", **settings)
    plain.fit(*here)
    spread.fit(X, y, client=client)
    assert np.array_equal(plain.coef_, spread.coef_), "the bits differ"
    times = [
        (seconds(lambda: plain.fit(*here))[0], seconds(lambda: spread.fit(X, y, client=client))[0])
        for _ in range(PAIRS)
    ]
    one, two = (median(each) for each in zip(*times, strict=True))
    ratios = sorted(b / a for a, b in times)
    passes = f"{plain.passes_[-1]:.1f} passes"
    return [
        [f"{rows:,} x {COLUMNS} float32, log loss, one place, two threads", duration(one), "", passes],
        [
            "the same, two workers of one thread",
            duration(two),
            f"{median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})",
            passes,
        ],
    ]


def empty(shard: Shard, threads: int) -> tuple[float]:
    """Do no work."""
    return (0.0,)


def rounds(workers: int) -> list[str]:
    """Measure a round of calls that do nothing, one and eight for each worker."""
    cells = [f"a round of calls, {workers} workers"]
    with cluster_of(workers) as cluster, Client(cluster) as client:
        for count in (workers, 8 * workers):
            shards = client.map(_shard, range(count))
            wait(shards)
            groups = [Group(future, [0], [k], [()]) for k, future in enumerate(shards)]
            remote = Remote(Cluster(client, 0), groups, [1] * count, 1)
            remote.map_sum(empty)
            took = [seconds(lambda remote=remote: remote.map_sum(empty))[0] for _ in range(ROUNDS)]
            cells.append(f"{count} calls: {1e3 * median(took):.0f} ms")
    return [*cells, ""]


def _shard(k: int) -> list[Shard]:
    return [Shard(np.zeros((1, 1)), np.zeros(1), None)]


def cluster_of(workers: int) -> LocalCluster:
    """Start processes of one thread each."""
    return LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=":0", host="127.0.0.1")


def peers(client: Client, rows: int) -> list[list[str]]:
    """Time Dask-ML to the same gap."""
    X, y = client.persist(lazy(rows))
    wait([X, y])
    here, labels = dask.compute(X, y)
    least = objective(
        SGDClassifier("log_loss", alpha=ALPHA, optimizer="auto", tol=1e-9).fit(here, labels), here, labels
    )
    ours = fusedgrad.dask.SGDClassifier("log_loss", alpha=ALPHA, tol=GAP, random_state=0)
    ours.fit(X, y, client=client)
    own = median(seconds(lambda: ours.fit(X, y, client=client))[0] for _ in range(PAIRS))
    found = [[f"{rows:,} x {COLUMNS}, to {GAP:g} of the optimum: fusedgrad.dask", duration(own), "1", ""]]
    for name, make, efforts in PEERS:
        if make is None:
            found.append([f"the same: {name}", "not installed", "", ""])
            continue
        best = None
        for effort in efforts:
            more = {"classes": [0, 1]} if name.startswith("Incremental") else {}
            peer = make(effort, rows)
            took, model = seconds(lambda peer=peer, more=more: peer.fit(X, y, **more))
            gap = objective(model.estimator_ if hasattr(model, "estimator_") else model, here, labels) / least - 1
            best = (took, effort, gap)
            if gap <= GAP:
                break
        took, effort, gap = best
        said = duration(took) if gap <= GAP else f"not reached ({duration(took)})"
        found.append([f"the same: {name}", said, f"{took / own:.1f}", f"{effort} passes, gap {gap:.0e}"])
    return found


class Epochs:
    """Dask-ML's Incremental over scikit-learn's SGD, some times over the rows."""

    def __init__(self, epochs: int):
        self.epochs = epochs
        self.wrapped = Incremental(ScikitSGD("log_loss", alpha=ALPHA, learning_rate="optimal", average=True))

    def fit(self, X: Any, y: Any, classes: list[int]) -> Any:
        """Learn every block once an epoch."""
        self.wrapped.fit(X, y, classes=classes)
        for _ in range(self.epochs - 1):
            self.wrapped.partial_fit(X, y, classes=classes)
        return self.wrapped


def _logistic(solver: str) -> Callable[[int, int], Any]:
    return lambda effort, rows: LogisticRegression(
        solver=solver, C=1 / (ALPHA * rows), max_iter=effort, tol=1e-12, fit_intercept=True
    )


PEERS: list[tuple[str, Any, tuple[int, ...]]] = [
    ("Incremental(scikit-learn's SGDClassifier)", Incremental and (lambda effort, rows: Epochs(effort)), (1, 3, 10)),
    ("dask_ml LogisticRegression, newton", LogisticRegression and _logistic("newton"), (2, 4, 8)),
    ("dask_ml LogisticRegression, lbfgs", LogisticRegression and _logistic("lbfgs"), (5, 10, 20, 40)),
    ("dask_ml LogisticRegression, admm", LogisticRegression and _logistic("admm"), (5,)),
]


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=5_000_000)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    with cluster_of(2) as cluster, Client(cluster) as client:
        table = fits(client, arguments.rows)
    table += [rounds(workers) for workers in (2, 4)]
    with cluster_of(2) as cluster, Client(cluster) as client:
        table += peers(client, arguments.rows // 10)
    print(f"{machine.cpu_model()}, {os.cpu_count()} processors\n")
    print(layout([["fit", "seconds", "times", "what"], *table]))


if __name__ == "__main__":
    main()
