"""Networks beside torch's and scikit-learn's: ``python -m bench.networks``.

Seconds of a step on full batches, of an epoch of mini-batches, and of the probabilities of one row, all float32.
fusedgrad gets two threads, peers the number of threads that is best for them, torch its fused optimizers and, for
images, the better of its two memory formats. Subject and peer run in turn, A B A B, in one process; a run is many
steps, and the ratio is the median of the pairs' ratios.

Both sides start from the same weights, and the fall of the loss over all rows in a run is compared. On full batches,
and beside scikit-learn with the same `random_state`, the steps are the same; torch visits rows in an order of its own,
and has no penalty (alpha is 1e-4 for perceptrons of the others). One row is shown to the same weights.
"""

from __future__ import annotations

import argparse
import json
import math
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
from fusedgrad.layers import GRU, LSTM, Activation, BatchNorm, Conv2D, Dense, Flatten, Layer, MaxPool2D
from fusedgrad.layers._layer import walk
from fusedgrad.neural_network import MLPClassifier, NeuralClassifier, NeuralRegressor
from numpy.typing import NDArray
from sklearn import neural_network as sklearn_networks
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import ThreadpoolController

from . import machine, measure, table

try:
    import torch

    from . import torch_networks
except ImportError:
    torch = None

THREADS = 2
STILL = 1e-30  # a rate that moves no weight
RESULTS = Path(__file__).parent / "results" / "networks"
BLAS = ThreadpoolController().select(user_api="blas")


@dataclass(frozen=True)
class Way:
    """How a solver runs; `channels_last` is torch's memory format for images."""

    threads: int
    channels_last: bool = False


Predict = Callable[[], NDArray[Any]]
Prepare = Callable[[int, Way], Callable[[], Predict]]  # epochs or calls, way -> the timed part -> predictions


@dataclass(frozen=True)
class Case:
    """A network for rows of a shape, output layer included, and its data.

    `repeats` are the epochs of a run, or its calls, `targets` ratios to reach, by peer.
    """

    description: str
    unit: str
    shape: tuple[int, ...]
    layers: tuple[Layer, ...]
    rows: int
    batch: int
    repeats: int
    targets: dict[str, float]

    @property
    def is_image(self) -> bool:
        return len(self.shape) == 3

    @property
    def is_perceptron(self) -> bool:
        """Whether it is a case for `MLPClassifier`."""
        return self.unit != "step" and all(isinstance(layer, Dense) for layer in self.layers)

    @property
    def hidden(self) -> tuple[int, ...]:
        """Units of the hidden layers of a perceptron."""
        return tuple(layer.units for layer in self.layers[:-1] if isinstance(layer, Dense))

    @property
    def flops(self) -> int:
        """Floating-point operations of an epoch: products forward and for weights, and back to all hidden numbers."""
        products = [each for _, *each in walk(self.layers, self.shape)]
        inputs, states = zip(*(multiplications(*each) for each in products), strict=True)
        first = next(filter(None, inputs))  # the input needs no slopes
        return self.rows * (6 * (sum(inputs) + sum(states)) - 2 * first)


def multiplications(layer: Layer, before: tuple[int, ...], after: tuple[int, ...]) -> tuple[int, int]:
    """Return the multiplications of the products of a layer for a row: with its input, and with its earlier states."""
    if isinstance(layer, Dense):
        return math.prod(before) * layer.units, 0
    if isinstance(layer, Conv2D):
        return math.prod(after) * layer.kernel_size**2 * before[-1], 0
    if isinstance(layer, (GRU, LSTM)):
        gates = before[0] * layer._gates * layer.units
        return gates * before[-1], gates * layer.units
    return 0, 0


def dense(*units: int) -> tuple[Layer, ...]:
    """Return layers of so many units, with relu but for the last one."""
    return (*(Dense(n, "relu") for n in units[:-1]), Dense(units[-1]))


def cases(*, quick: bool) -> list[Case]:
    """Return all cases; `quick`: a tenth of the rows, fewer epochs."""
    seed = (Dense(20, "relu"), Dense(30, "relu"), Dense(1, "logistic"))
    pixels, small, large, digits = (784,), dense(100, 10), dense(512, 512, 10), 60_000
    image, sequence = (28, 28, 1), (28, 28)
    convolutional = (
        *(Conv2D(16, 3, "relu", padding="same"), MaxPool2D(2), Conv2D(32, 3, "relu", padding="same"), MaxPool2D(2)),
        *(Flatten(), *dense(64, 10)),
    )
    normalised = tuple(
        layer
        for filters in (32, 64, 128)
        for layer in (
            *(Conv2D(filters, 3, padding="same", bias=False), BatchNorm()),
            *(Activation("relu"), MaxPool2D(2)),
        )
    )
    gru, lstm = (GRU(64), Dense(10)), (LSTM(64), Dense(10))
    steps = {32: 30, 100: 20, 1000: 5}
    made = [
        Case(f"10-20-30-1, SGD, full batch of {rows:,}", "step", (10,), seed, rows, rows, 3000, {"torch": target})
        for rows, target in steps.items()
    ]
    both = {"torch": 1.8, "scikit-learn": 1.8}
    made += [
        Case("784-100-10, Adam, batch 200, {:,} rows", "epoch", pixels, small, digits, 200, 3, both),
        Case(
            "784-512-512-10, Adam, batch 256, {:,} rows",
            "epoch",
            pixels,
            large,
            digits,
            256,
            2,
            {"torch": 1.15, "scikit-learn": 1.5},
        ),
        Case("784-100-10, predict_proba of one row", "call", pixels, small, 2000, 200, 2000, {"scikit-learn": 3}),
        Case(
            "CNN, 28 x 28 x 1, 2 convolutions, Adam, batch 128, {:,} images",
            "epoch",
            image,
            convolutional,
            6400,
            128,
            3,
            {"torch": 1.8},
        ),
        Case(
            "CNN, 32 x 32 x 3, 3 convolutions with batch norm, Adam, batch 128, {:,} images",
            "epoch",
            (32, 32, 3),
            (*normalised, Flatten(), Dense(10)),
            1280,
            128,
            5,
            {"torch": 1.2},
        ),
    ]
    made += [
        Case(
            f"{name}(64), 28 steps of 28 numbers, Adam, batch 128, {{:,}} rows",
            "epoch",
            sequence,
            layers,
            12_800,
            128,
            3,
            {"torch": 1.5},
        )
        for name, layers in (("GRU", gru), ("LSTM", lstm))
    ]
    made += [
        Case("the first CNN, predict_proba of one image", "call", image, convolutional, 2000, 128, 2000, {"torch": 3}),
        Case("the GRU, predict_proba of one sequence", "call", sequence, gru, 2000, 128, 2000, {"torch": 3}),
    ]
    if quick:
        made = [
            replace(case, rows=max(case.rows // 10, 5 * case.batch), repeats=1)
            if case.unit == "epoch"
            else replace(case, repeats=case.repeats // 10)
            for case in made
        ]
    return [replace(case, description=case.description.format(case.rows)) for case in made]


def data(case: Case) -> tuple[NDArray[np.float32], NDArray[Any]]:
    """Return rows and targets. Classes are the largest of a linear function's values.

    Rows of 784 numbers are 80 % zeros. Images (and sequences, as images of one channel) are patches of 4 x 4 pixels,
    whose values the classes depend on, with noise.
    """
    rng = np.random.default_rng(0)
    if case.unit == "step":
        X = rng.standard_normal((case.rows, *case.shape), dtype=np.float32)
        return X, (0.5 + 0.3 * np.sin(X[:, 0] + X[:, 1] * X[:, 2])).astype(np.float32)
    if len(case.shape) > 1:
        height, width, *channels = case.shape
        patches = rng.standard_normal((case.rows, height // 4, width // 4, *channels), dtype=np.float32)
        X = patches.repeat(4, axis=1).repeat(4, axis=2)
        X += 0.5 * rng.standard_normal(X.shape, dtype=np.float32)
        flat = patches.reshape(case.rows, -1)
        return X, (flat @ rng.standard_normal((flat.shape[1], 10), dtype=np.float32)).argmax(1)
    X = rng.random((case.rows, *case.shape), dtype=np.float32)
    X[X < 0.8] = 0
    weights = rng.standard_normal((*case.shape, 10), dtype=np.float32)
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
    if case.is_perceptron:
        return MLPClassifier(**perceptron(case, epochs), learning_rate_init=rate or 1e-3, n_jobs=THREADS)
    settings = {"max_epochs": epochs, "tol": None, "random_state": 0, "n_jobs": THREADS}
    if case.unit == "step":
        sgd = {"optimizer": "sgd", "learning_rate": rate or 0.1, "batch_size": "full"}
        return NeuralRegressor(case.layers, **sgd, **settings)
    return NeuralClassifier(case.layers, learning_rate=rate or 1e-3, batch_size=case.batch, **settings)


def perceptron(case: Case, epochs: int) -> dict[str, Any]:
    """Return scikit-learn's parameters: Adam, that many epochs."""
    patience = {"tol": 0.0, "n_iter_no_change": 1_000_000}
    return {
        "hidden_layer_sizes": case.hidden,
        "batch_size": case.batch,
        "max_iter": epochs,
        "random_state": 0,
        **patience,
    }


def predictions(estimator: Any, X: NDArray[Any]) -> NDArray[Any]:
    return estimator.predict_proba(X) if hasattr(estimator, "predict_proba") else estimator.predict(X)


def fusedgrad_fit(case: Case, X: NDArray[Any], y: NDArray[Any]) -> Prepare:
    def prepare(epochs: int, way: Way) -> Callable[[], Predict]:
        estimator = ours(case, epochs)

        def run() -> Predict:
            estimator.fit(X, y)
            return lambda: predictions(estimator, X)

        return run

    return prepare


def sklearn_fit(case: Case, X: NDArray[Any], y: NDArray[Any]) -> Prepare:
    def prepare(epochs: int, way: Way) -> Callable[[], Predict]:
        estimator = sklearn_networks.MLPClassifier(**perceptron(case, epochs))

        def run() -> Predict:
            with BLAS.limit(limits=way.threads):
                estimator.fit(X, y)
            return lambda: predictions(estimator, X)

        return run

    return prepare


def to_torch(case: Case, estimator: Any, X: NDArray[Any], way: Way) -> tuple[Any, Any, Callable[[Any], Any]]:
    """Return a torch network with the estimator's weights, the rows as it keeps them, and what shows it some."""
    torch.manual_seed(0)
    torch.set_num_threads(way.threads)
    if hasattr(estimator, "weights_"):
        weights = estimator.weights_
    else:
        weights = [each for pair in zip(estimator.coefs_, estimator.intercepts_, strict=True) for each in pair]
    net, rows = torch_networks.network(case.layers, case.shape, weights), torch.from_numpy(X)
    if not case.is_image:
        return net, rows, lambda chosen: chosen
    if way.channels_last:
        return net.to(memory_format=torch.channels_last), rows, lambda chosen: chosen.permute(0, 3, 1, 2)
    return net, rows.permute(0, 3, 1, 2).contiguous(), lambda chosen: chosen


def torch_fit(case: Case, X: NDArray[Any], y: NDArray[Any]) -> Prepare:
    """The loop over batches, from tensors; the network is made before. Its rate is ours, which has half the error."""
    start = ours(case, 1, STILL).fit(X[:1000], y[:1000])
    targets = torch.from_numpy(y if y.dtype == np.int64 else y[:, None])
    measured = torch.nn.functional.mse_loss if case.unit == "step" else torch.nn.functional.cross_entropy

    def prepare(epochs: int, way: Way) -> Callable[[], Predict]:
        net, rows, view = to_torch(case, start, X, way)
        n = len(rows)
        if case.unit == "step":
            optimizer = torch.optim.SGD(net.parameters(), lr=0.05, fused=True)
        else:
            optimizer = torch.optim.Adam(net.parameters(), lr=1e-3, fused=True)

        def step(X: Any, y: Any) -> None:
            optimizer.zero_grad(set_to_none=True)
            measured(net(view(X)), y).backward()
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
            return outputs(case, net.eval(), view, rows)

        return run

    return prepare


def outputs(case: Case, net: Any, view: Callable[[Any], Any], rows: Any) -> NDArray[Any]:
    """Return what a torch network predicts for all rows, some at a time."""
    with torch.inference_mode():
        raw = torch.cat([net(view(some)) for some in rows.split(1000)])
        return (raw if case.unit == "step" else torch.softmax(raw, 1)).numpy()


def torch_one_row(case: Case, X: NDArray[Any], y: NDArray[Any]) -> Prepare:
    """The probabilities of a row that is a tensor, as a tensor, from the weights that fusedgrad fits."""
    fitted = ours(case, 2).fit(X, y)

    def prepare(calls: int, way: Way) -> Callable[[], Predict]:
        net, rows, view = to_torch(case, fitted, X, way)
        net.eval()
        row = view(rows[:1])

        def run() -> Predict:
            with torch.inference_mode():
                for _ in range(calls):
                    torch.softmax(net(row), 1)
            return lambda: outputs(case, net, view, rows)

        return run

    return prepare


def one_row(kind: Callable[[Case], Any]) -> Callable[[Case, NDArray[Any], NDArray[Any]], Prepare]:
    """Calls of `predict_proba` with a row, of an estimator that is fitted before."""

    def solver(case: Case, X: NDArray[Any], y: NDArray[Any]) -> Prepare:
        estimator, row = kind(case).fit(X, y), X[:1]

        def prepare(calls: int, way: Way) -> Callable[[], Predict]:
            def run() -> Predict:
                with BLAS.limit(limits=way.threads):
                    for _ in range(calls):
                        estimator.predict_proba(row)
                return lambda: estimator.predict_proba(X)

            return run

        return prepare

    return solver


FITS = {"fusedgrad": fusedgrad_fit, "torch": torch_fit, "scikit-learn": sklearn_fit}
CALLS = {
    "fusedgrad": one_row(lambda case: ours(case, 2)),
    "torch": torch_one_row,
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


def best_way(case: Case, peer: str, prepare: Prepare, repeats: int) -> Way:
    """Return the way that short runs are fastest in; they are the warm-up, too."""
    formats = (False, True) if peer == "torch" and case.is_image else (False,)
    ways = [Way(threads, last) for threads in range(1, THREADS + 1) for last in formats]
    return min(ways, key=lambda way: min(measure.clock(prepare(repeats, way))[0] for _ in range(2)))


def compare(case: Case, peer: str, X: NDArray[Any], y: NDArray[Any], pairs: int) -> dict[str, Any]:
    """Time fusedgrad and a peer in turn, and return the row of the table."""
    row: dict[str, Any] = {"description": case.description, "peer": peer, "target": case.targets[peer]}
    if peer == "torch" and torch is None:
        return {**row, "skipped": "torch is not installed"}
    solvers = CALLS if case.unit == "call" else FITS
    mine, theirs = solvers["fusedgrad"](case, X, y), solvers[peer](case, X, y)
    short = max(1, case.repeats // 10)
    way = best_way(case, peer, theirs, short)
    measure.clock(mine(short, Way(THREADS)))
    runs, peaks = [], []
    for _ in range(pairs):
        runs.append((measure.clock(mine(case.repeats, Way(THREADS))), measure.clock(theirs(case.repeats, way))))
        if case.unit == "epoch":
            peaks.append(gemm_peak())

    seconds = {side: [run[k][0] / case.repeats for run in runs] for k, side in enumerate(("subject", "peer"))}
    ratios = [b / a for a, b in zip(*seconds.values(), strict=True)]
    ratio = median(ratios)
    agreement = agree(case, peer, X, y, *(predict() for _, predict in runs[-1]))
    row |= {
        "unit": case.unit,
        "repeats": case.repeats,
        "threads": {"subject": THREADS, "peer": way.threads},
        "seconds": {side: median(each) for side, each in seconds.items()},
        "ratio": ratio,
        "spread": [min(ratios), max(ratios)],
        **agreement,
        "holds": bool(agreement["alike"] and ratio >= case.targets[peer]),
        "all_seconds": seconds,
    }
    if peer == "torch" and case.is_image:
        row["channels_last"] = way.channels_last
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
    order = "" if "channels_last" not in row else ", channels last" if row["channels_last"] else ", channels first"
    return f"{row['peer']}, {threads} thread{'s' if threads > 1 else ''}{order}"


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
    path = arguments.output or (None if arguments.quick else machine.report_path(RESULTS, report["machine"]))
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
