"""Networks beside torch's and scikit-learn's: ``python -m bench.networks``.

Seconds of a step on full batches, of an epoch of mini-batches, and of the probabilities of one row, all float32.
fusedgrad gets two threads, peers the number of threads that is best for them, torch its fused optimizers. Subject and
peer run in turn, A B A B, in one process; a run is many steps, and the ratio is the median of the pairs' ratios.

Both sides start from the same weights, and the fall of the loss over all rows in a run is compared. On full batches,
and beside scikit-learn with the same `random_state`, the steps are the same; torch visits rows in an order of its own,
and has no penalty (alpha is 1e-4 for the others).
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import re
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from types import ModuleType, SimpleNamespace
from typing import Any

import fusedgrad
import numpy as np
import sklearn
from fusedgrad.layers import Dense
from fusedgrad.neural_network import MLPClassifier, NeuralRegressor
from numpy.typing import NDArray
from sklearn import neural_network as sklearn_networks
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import ThreadpoolController

from . import machine, measure, table

try:
    import torch
except ImportError:
    torch = None

THREADS = 2
STILL = 1e-30  # a rate that moves no weight
RESULTS = Path(__file__).parent / "results" / "networks"
BLAS = ThreadpoolController().select(user_api="blas")

Predict = Callable[[], NDArray[Any]]
Prepare = Callable[[int, int], Callable[[], Predict]]  # epochs or calls, threads -> the timed part -> predictions


@dataclass(frozen=True)
class Case:
    """A network and its data; `repeats` are the epochs of a run, or its calls, `targets` ratios to reach, by peer."""

    description: str
    unit: str
    sizes: tuple[int, ...]
    rows: int
    batch: int
    repeats: int
    targets: dict[str, float]

    @property
    def flops(self) -> int:
        """Floating-point operations of an epoch: products forward and for weights, and back to all hidden layers."""
        layers = [a * b for a, b in itertools.pairwise(self.sizes)]
        return self.rows * (4 * sum(layers) + 2 * sum(layers[1:]))


def cases(*, quick: bool) -> list[Case]:
    """Return all cases; `quick`: a tenth of the rows, fewer epochs."""
    seed, small, large, digits = (10, 20, 30, 1), (784, 100, 10), (784, 512, 512, 10), 60_000
    steps = {32: 30, 100: 20, 1000: 5}
    made = [
        Case(f"10-20-30-1, SGD, full batch of {rows:,}", "step", seed, rows, rows, 3000, {"torch": target})
        for rows, target in steps.items()
    ]
    both = {"torch": 1.8, "scikit-learn": 1.8}
    made += [
        Case("784-100-10, Adam, batch 200, {:,} rows", "epoch", small, digits, 200, 3, both),
        Case(
            "784-512-512-10, Adam, batch 256, {:,} rows",
            "epoch",
            large,
            digits,
            256,
            2,
            {"torch": 1.15, "scikit-learn": 1.5},
        ),
        Case("784-100-10, predict_proba of one row", "call", small, 2000, 200, 2000, {"scikit-learn": 3}),
    ]
    if quick:
        made = [
            replace(case, rows=digits // 10, repeats=1)
            if case.unit == "epoch"
            else replace(case, repeats=case.repeats // 10)
            for case in made
        ]
    return [replace(case, description=case.description.format(case.rows)) for case in made]


def data(case: Case) -> tuple[NDArray[np.float32], NDArray[Any]]:
    """Return rows and targets. Rows of 784 numbers are 80 % zeros; their classes are a linear function's largest."""
    rng = np.random.default_rng(0)
    if case.unit == "step":
        X = rng.standard_normal((case.rows, case.sizes[0]), dtype=np.float32)
        return X, (0.5 + 0.3 * np.sin(X[:, 0] + X[:, 1] * X[:, 2])).astype(np.float32)
    X = rng.random((case.rows, case.sizes[0]), dtype=np.float32)
    X[X < 0.8] = 0
    weights = rng.standard_normal((case.sizes[0], case.sizes[-1]), dtype=np.float32)
    return X, ((X - X.mean()) @ weights).argmax(1)


def loss(case: Case, predictions: NDArray[Any], y: NDArray[Any]) -> float:
    """Return the mean squared error of values, or the cross-entropy of probabilities."""
    if case.unit == "step":
        return float(np.square(predictions.ravel().astype(np.float64) - y).mean())
    tiny = np.finfo(np.float32).tiny
    return float(-np.log(np.maximum(predictions[np.arange(len(y)), y], tiny), dtype=np.float64).mean())


# ---- The solvers ----


def ours(case: Case, epochs: int, rate: float | None = None) -> Any:
    """Return fusedgrad's estimator."""
    if case.unit == "step":
        *hidden, outputs = case.sizes[1:]
        layers = [*(Dense(units, "relu") for units in hidden), Dense(outputs, "logistic")]
        settings = {"optimizer": "sgd", "learning_rate": rate or 0.1, "batch_size": "full", "max_epochs": epochs}
        return NeuralRegressor(layers, **settings, tol=None, random_state=0, n_jobs=THREADS)
    return MLPClassifier(**perceptron(case, epochs), learning_rate_init=rate or 1e-3, n_jobs=THREADS)


def perceptron(case: Case, epochs: int) -> dict[str, Any]:
    """Return scikit-learn's parameters: Adam, that many epochs."""
    patience = {"tol": 0.0, "n_iter_no_change": 1_000_000}
    return {
        "hidden_layer_sizes": case.sizes[1:-1],
        "batch_size": case.batch,
        "max_iter": epochs,
        "random_state": 0,
        **patience,
    }


def predictions(estimator: Any, X: NDArray[Any]) -> NDArray[Any]:
    return estimator.predict_proba(X) if hasattr(estimator, "predict_proba") else estimator.predict(X)


def fusedgrad_fit(case: Case, X: NDArray[Any], y: NDArray[Any]) -> Prepare:
    def prepare(epochs: int, threads: int) -> Callable[[], Predict]:
        estimator = ours(case, epochs)

        def run() -> Predict:
            estimator.fit(X, y)
            return lambda: predictions(estimator, X)

        return run

    return prepare


def sklearn_fit(case: Case, X: NDArray[Any], y: NDArray[Any]) -> Prepare:
    def prepare(epochs: int, threads: int) -> Callable[[], Predict]:
        estimator = sklearn_networks.MLPClassifier(**perceptron(case, epochs))

        def run() -> Predict:
            with BLAS.limit(limits=threads):
                estimator.fit(X, y)
            return lambda: predictions(estimator, X)

        return run

    return prepare


def torch_fit(case: Case, X: NDArray[Any], y: NDArray[Any]) -> Prepare:
    """The loop over batches, from tensors; the network is made before. Its rate is ours, which has half the error."""
    start = ours(case, 1, STILL).fit(X[:1000], y[:1000])
    if case.unit == "step":
        weights, biases, last = start.weights_[::2], start.weights_[1::2], [torch.nn.Sigmoid()]
    else:
        weights, biases, last = start.coefs_, start.intercepts_, []
    rows = torch.from_numpy(X)
    targets = torch.from_numpy(y if y.dtype == np.int64 else y[:, None])
    measured = torch.nn.functional.mse_loss if case.unit == "step" else torch.nn.functional.cross_entropy

    def network() -> Any:
        parts: list[Any] = []
        for k, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
            dense = torch.nn.Linear(*weight.shape)
            with torch.no_grad():
                dense.weight.copy_(torch.from_numpy(weight.T))
                dense.bias.copy_(torch.from_numpy(bias.ravel()))
            parts += [dense, torch.nn.ReLU()] if k < len(weights) - 1 else [dense, *last]
        return torch.nn.Sequential(*parts)

    def prepare(epochs: int, threads: int) -> Callable[[], Predict]:
        torch.manual_seed(0)
        torch.set_num_threads(threads)
        net, n = network(), len(rows)
        if case.unit == "step":
            optimizer = torch.optim.SGD(net.parameters(), lr=0.05, fused=True)
        else:
            optimizer = torch.optim.Adam(net.parameters(), lr=1e-3, fused=True)

        def step(X: Any, y: Any) -> None:
            optimizer.zero_grad(set_to_none=True)
            measured(net(X), y).backward()
            optimizer.step()

        def run() -> Predict:
            for _ in range(epochs):
                if case.batch >= n:
                    step(rows, targets)
                    continue
                order = torch.randperm(n)
                for k in range(0, n, case.batch):
                    chosen = order[k : k + case.batch]
                    step(rows[chosen], targets[chosen])
            return predict

        def predict() -> NDArray[Any]:
            with torch.no_grad():
                raw = net(rows)
            return (raw if case.unit == "step" else torch.softmax(raw, 1)).numpy()

        return run

    return prepare


def one_row(kind: Callable[[Case], Any]) -> Callable[[Case, NDArray[Any], NDArray[Any]], Prepare]:
    """Calls of `predict_proba` with a row, of an estimator that is fitted before."""

    def solver(case: Case, X: NDArray[Any], y: NDArray[Any]) -> Prepare:
        estimator, row = kind(case).fit(X, y), X[:1]

        def prepare(calls: int, threads: int) -> Callable[[], Predict]:
            def run() -> Predict:
                with BLAS.limit(limits=threads):
                    for _ in range(calls):
                        estimator.predict_proba(row)
                return lambda: estimator.predict_proba(X)

            return run

        return prepare

    return solver


FITS = {"fusedgrad": fusedgrad_fit, "torch": torch_fit, "scikit-learn": sklearn_fit}
CALLS = {
    "fusedgrad": one_row(lambda case: ours(case, 2)),
    "scikit-learn": one_row(lambda case: sklearn_networks.MLPClassifier(**perceptron(case, 2))),
}


# ---- Measuring ----


def gemm_peak() -> float:
    """Return floating-point operations a second of NumPy's float32 product of 1024 x 1024 matrices, at best."""
    a = np.random.default_rng(0).standard_normal((1024, 1024), dtype=np.float32)
    out, seconds = np.empty_like(a), math.inf
    for threads in (1, THREADS):
        with BLAS.limit(limits=threads):
            for _ in range(6):
                start = time.perf_counter()
                np.matmul(a, a, out=out)
                seconds = min(seconds, time.perf_counter() - start)
    return 2 * 1024**3 / seconds


def best_threads(prepare: Prepare, repeats: int) -> int:
    """Return the number of threads that short runs are fastest with; they are the warm-up, too."""
    times = {
        threads: min(measure.clock(prepare(repeats, threads))[0] for _ in range(2)) for threads in range(1, THREADS + 1)
    }
    return min(times, key=times.__getitem__)


def compare(case: Case, peer: str, X: NDArray[Any], y: NDArray[Any], pairs: int) -> dict[str, Any]:
    """Time fusedgrad and a peer in turn, and return the row of the table."""
    row: dict[str, Any] = {"description": case.description, "peer": peer, "target": case.targets[peer]}
    if peer == "torch" and torch is None:
        return {**row, "skipped": "torch is not installed"}
    solvers = CALLS if case.unit == "call" else FITS
    mine, theirs = solvers["fusedgrad"](case, X, y), solvers[peer](case, X, y)
    short = max(1, case.repeats // 10)
    threads = best_threads(theirs, short)
    measure.clock(mine(short, THREADS))
    runs, peaks = [], []
    for _ in range(pairs):
        runs.append((measure.clock(mine(case.repeats, THREADS)), measure.clock(theirs(case.repeats, threads))))
        if case.unit == "epoch":
            peaks.append(gemm_peak())

    seconds = {side: [run[k][0] / case.repeats for run in runs] for k, side in enumerate(("subject", "peer"))}
    ratios = [b / a for a, b in zip(*seconds.values(), strict=True)]
    ratio = median(ratios)
    agreement = agree(case, peer, X, y, *(predict() for _, predict in runs[-1]))
    row |= {
        "unit": case.unit,
        "repeats": case.repeats,
        "threads": {"subject": THREADS, "peer": threads},
        "seconds": {side: median(each) for side, each in seconds.items()},
        "ratio": ratio,
        "spread": [min(ratios), max(ratios)],
        **agreement,
        "holds": bool(agreement["alike"] and ratio >= case.targets[peer]),
        "all_seconds": seconds,
    }
    if case.unit == "epoch":
        peak = max(peaks)
        row["gemm"] = {"flops": case.flops, "peak": peak, "share": case.flops / row["seconds"]["subject"] / peak}
    return row


def agree(case: Case, peer: str, X: NDArray[Any], y: NDArray[Any], a: NDArray[Any], b: NDArray[Any]) -> dict[str, Any]:
    """Return whether both losses fell by about as much: 1 % apart at most, 10 % if rows came in another order."""
    if case.unit == "call":
        apart = measure.difference(a, b)
        return {"difference": apart, "alike": bool(apart <= 1e-4)}
    first = loss(case, predictions(ours(case, 1, STILL).fit(X[:1000], y[:1000]), X), y)
    ends = {"start": first, "subject": loss(case, a, y), "peer": loss(case, b, y)}
    same_steps = case.unit == "step" or peer != "torch"
    tolerance = 0.01 if same_steps else 0.1
    fell = first - ends["peer"]
    alike = fell > 0 and abs(ends["subject"] - ends["peer"]) <= tolerance * fell
    return {"loss": ends, "tolerance": tolerance, "alike": bool(alike)}


# ---- The report ----


def _ends(row: dict[str, Any]) -> str:
    if "difference" in row:
        shown = f"probabilities differ by {row['difference']:.0e}"
    else:
        shown = "loss {start:.3g} to {subject:.4g}, peer's {peer:.4g}".format(**row["loss"])
    return shown if row["alike"] else f"NOT ALIKE: {shown}"


def _share(row: dict[str, Any]) -> str:
    return f"{row['gemm']['share']:.0%} of {row['gemm']['peak'] / 1e9:.0f} GFLOP/s" if "gemm" in row else ""


def _peer(row: dict[str, Any]) -> str:
    threads = row["threads"]["peer"]
    return f"{row['peer']}, {threads} thread{'s' if threads > 1 else ''}"


COLUMNS: table.Columns = {
    "peer": _peer,
    "time of a": lambda row: row["unit"],
    **{name: table.COLUMNS[name] for name in ("fusedgrad", "peer's", "ratio", "spread", "target", "holds")},
    "share of GEMM peak": _share,
    "alike": _ends,
}


def markdown(report: dict[str, Any]) -> str:
    """Return the table, with a paragraph on where it was measured."""
    small = " Fewer rows and epochs; targets are for full sizes." if report["quick"] else ""
    return (
        f"{table.grid(report['rows'], 'description', COLUMNS)}\n\n"
        f"{table.where(report)} float32; fusedgrad with {THREADS} threads; medians of {report['pairs']} pairs.{small}"
    )


def place(described: dict[str, Any]) -> Path:
    """Return where a report is kept: DATE-MACHINE.json."""
    words = re.findall(r"[a-z]+", re.sub(r"\(\w+\)", " ", machine.cpu_model().lower()))
    return RESULTS / f"{described['date'][:10]}-{'-'.join(words[:2])}.json"


def main() -> None:
    """Measure, print, and keep the report."""
    parser = argparse.ArgumentParser(prog="python -m bench.networks", description=__doc__.split("\n")[0])
    parser.add_argument("--pairs", type=int, metavar="K", default=7, help="pairs of runs (default: 7)")
    parser.add_argument("--quick", action="store_true", help="fewer rows and epochs, three pairs; no file by default")
    parser.add_argument(
        "--output", type=Path, metavar="FILE", help="where to keep the report (default: bench/results/networks)"
    )
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)

    modules: dict[str, ModuleType | None] = {"fusedgrad": fusedgrad, "torch": torch, "scikit-learn": sklearn}
    versions = {name: SimpleNamespace(VERSION=m.__version__) for name, m in modules.items() if m is not None}
    report: dict[str, Any] = {
        "machine": machine.describe(versions),
        "quick": arguments.quick,
        "pairs": 3 if arguments.quick else arguments.pairs,
        "threads": THREADS,
        "rows": [],
    }
    for case in cases(quick=arguments.quick):
        X, y = data(case)
        for peer in case.targets:
            print(f"{case.description}, {peer} ...", file=sys.stderr, flush=True)
            report["rows"].append(compare(case, peer, X, y, report["pairs"]))
    report["gemm_peak"] = max(row["gemm"]["peak"] for row in report["rows"] if "gemm" in row)
    print(markdown(report))
    path = arguments.output or (None if arguments.quick else place(report["machine"]))
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
