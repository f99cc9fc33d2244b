"""Whether two builds give the same bits: ``python -m bench.bits keep PATH``, then ``... compare PATH``.

`keep` writes the results of a set of small fits (every loss, rule, schedule, layer and activation, dense and sparse,
float32 and float64) to a file of NumPy's; `compare` makes them again and lists those that differ, with the largest
difference in units in the last place. Bits are those of an instruction set and of a compiler: compare builds of one
machine, with PYTHONPATH naming the one.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from fusedgrad import layers as L
from fusedgrad import optimizers, schedules
from fusedgrad._config import config
from fusedgrad.linear_model import SGDClassifier, SGDOneClassSVM, SGDRegressor, fit_many
from fusedgrad.neural_network import MLPClassifier, MLPRegressor, NeuralClassifier

Results = list[Any]
RNG = np.random.default_rng(0)
ROWS = 331
X = RNG.standard_normal((ROWS, 23))
CODES = np.argmax(X[:, :4] + 0.5 * RNG.standard_normal((ROWS, 4)), axis=1)
SIGNS = (X[:, 0] - X[:, 1] + 0.3 * RNG.standard_normal(ROWS) > 0).astype(int)
NUMBERS = X[:, 0] * 2 + 0.1 * RNG.standard_normal(ROWS)
COUNTS = np.exp(0.3 * NUMBERS)
SPARSE = sp.random(ROWS, 200, 0.1, "csr", random_state=0)
IMAGES = RNG.standard_normal((ROWS, 9, 9, 2))
STEPS = RNG.standard_normal((ROWS, 7, 5))
WORDS = RNG.integers(1, 30, size=(ROWS, 7))

CLASS_LOSSES = ("hinge", "squared_hinge", "perceptron", "log_loss", "modified_huber")
VALUE_LOSSES = ("squared_error", "huber", "epsilon_insensitive", "squared_epsilon_insensitive", "absolute_error")
VALUE_LOSSES += ("quantile", "poisson", "gamma")
STORAGES = {"dense": X, "sparse": SPARSE}
NETS: dict[str, tuple[Any, list[Any]]] = {
    "batch norm": (X, [L.Dense(12, "relu"), L.BatchNorm(), L.Dense(9, "tanh")]),
    "layer norm": (X, [L.Dense(12), L.LayerNorm(), L.Activation("gelu")]),
    "dropout": (X, [L.Dense(12, "relu"), L.Dropout(0.3)]),
    "residual": (X, [L.Dense(12, "relu"), L.Residual([L.Dense(12, "tanh"), L.Dense(12)])]),
    "sparse input": (SPARSE, [L.Dense(12, "relu")]),
    "conv, max pool": (IMAGES, [L.Conv2D(4, 3, activation="relu"), L.MaxPool2D(2), L.Flatten()]),
    "conv, average pool": (
        IMAGES,
        [L.Conv2D(4, 3, padding="same"), L.BatchNorm(), L.AvgPool2D(3), L.Flatten()],
    ),
    "global average": (IMAGES, [L.Conv2D(4, 3, stride=2), L.GlobalAvgPool2D()]),
    "conv of sequences": (STEPS, [L.Conv1D(6, 3, activation="relu"), L.Flatten()]),
    "simple recurrent": (STEPS, [L.SimpleRNN(6)]),
    "GRU, both ways": (STEPS, [L.Masking(0.0), L.GRU(6, bidirectional=True)]),
    "LSTM of LSTM": (STEPS, [L.LSTM(6, return_sequences=True), L.LSTM(5)]),
    "embedding": (WORDS, [L.Embedding(30, 6, padding=0), L.GRU(5)]),
}
RATES = (
    *("optimal", "invscaling", "adaptive", "polynomial", "linear", "cosine", "one_cycle"),
    schedules.Step(rate=0.1, steps=5),
    schedules.MultiStep(rate=0.1, milestones=[3, 9]),
    schedules.Piecewise([4, 8], [0.1, 0.05, 0.01]),
    schedules.Exponential(rate=0.1, decay=0.9),
    schedules.InverseTime(rate=0.1, decay=0.1),
    schedules.InverseScaling(rate=0.1),
    schedules.CosineRestarts(rate=0.1, steps=4),
    schedules.Cyclic(rate=0.01, max_rate=0.1, steps_up=4),
    schedules.Warmup(schedules.Constant(0.1), steps=4),
    schedules.ReduceOnPlateau(rate=0.1),
)


def weights_of(model: Any) -> Results:
    return [model.coef_, model.intercept_, model.loss_curve_]


def linear(model: Any, X: Any, y: Any, dtype: str, **options: Any) -> Results:
    settings = {"max_iter": 3, "tol": None, "random_state": 0} | options
    return weights_of(model(**settings).fit(X.astype(dtype), y.astype(dtype) if y.dtype.kind == "f" else y))


def network(X: Any, parts: list[Any], dtype: str, **options: Any) -> Results:
    settings = {"max_epochs": 3, "tol": None, "batch_size": 64, "random_state": 0} | options
    data = X if X.dtype.kind == "i" else X.astype(dtype)
    fitted = NeuralClassifier(parts, **settings).fit(data, CODES)
    return [*fitted.weights_, fitted.loss_curve_, fitted.predict_proba(data)]


def perceptron(model: Any, y: Any, dtype: str, **options: Any) -> Results:
    settings = {"hidden_layer_sizes": (11, 7), "max_iter": 3, "random_state": 0} | options
    fitted = model(**settings).fit(X.astype(dtype), y)
    return [*fitted.coefs_, *fitted.intercepts_, getattr(fitted, "loss_curve_", [fitted.loss_])]


def steps(rule: Any, dtype: str) -> Results:
    weights = [np.linspace(-1, 1, n, dtype=dtype) for n in (1, 67, 5_000)]
    state = rule.init(weights)
    for k in range(5):
        rule.step(weights, [np.cos((k + 1) * w).astype(dtype) for w in weights], state)
    return weights


def many(dtype: str, storage: Any) -> Results:
    models = [
        SGDClassifier(loss, alpha=a, batch_size=64, max_iter=3, tol=None, random_state=0)
        for loss in ("hinge", "log_loss")
        for a in (1e-4, 1e-3, 1e-2)
    ]
    return [each for model in fit_many(models, storage.astype(dtype), SIGNS) for each in weights_of(model)]


def fits() -> Iterator[tuple[str, Callable[[], Results]]]:
    """Yield names and what makes the results."""

    def named(name: str, make: Callable[..., Results], *args: Any, **options: Any) -> tuple[str, Callable[[], Results]]:
        return name, lambda: make(*args, **options)

    for dtype in ("float32", "float64"):
        for kind, data in STORAGES.items():
            for batch in (1, 64, ROWS):
                where = f"{dtype}, {kind}, batches of {batch}"
                for loss in CLASS_LOSSES:
                    for classes, y in (("two", SIGNS), ("four", CODES)):
                        name = f"{loss}, {classes} classes, {where}"
                        yield named(name, linear, SGDClassifier, data, y, dtype, loss=loss, batch_size=batch)
                for loss in VALUE_LOSSES:
                    y = COUNTS if loss in ("poisson", "gamma") else NUMBERS
                    options = {"loss": loss, "batch_size": batch, "eta0": 1e-3, "learning_rate": "constant"}
                    yield named(f"{loss}, {where}", linear, SGDRegressor, data, y, dtype, **options)
                for penalty in ("l1", "elasticnet"):
                    options = {"penalty": penalty, "batch_size": batch, "average": True}
                    yield named(f"{penalty}, averaged, {where}", linear, SGDClassifier, data, SIGNS, dtype, **options)
            for rule in optimizers.names():
                options = {"optimizer": rule, "batch_size": 64}
                yield named(f"{rule}, {dtype}, {kind}", linear, SGDClassifier, data, CODES, dtype, **options)
                clipped = optimizers.get(rule).set_params(clip_norm=0.1)
                options = {"optimizer": clipped, "batch_size": 64}
                yield named(f"{rule}, clipped, {dtype}, {kind}", linear, SGDClassifier, data, CODES, dtype, **options)
            yield named(f"many, {dtype}, {kind}", many, dtype, data)
        for rule in optimizers.names():
            yield named(f"steps of {rule}, {dtype}", steps, optimizers.get(rule), dtype)
        for rate in RATES:
            options = {"learning_rate": rate, "batch_size": 64}
            yield named(f"{rate}, {dtype}", linear, SGDClassifier, X, SIGNS, dtype, **options)
        for rate in ("optimal", "invscaling", "adaptive", "pa1", "pa2"):
            options = {"learning_rate": rate, "loss": "hinge", "eta0": 0.1}
            yield named(f"{rate}, one sample a step, {dtype}", linear, SGDClassifier, X, SIGNS, dtype, **options)
        for name, (data, parts) in NETS.items():
            yield named(f"{name}, {dtype}", network, data, parts, dtype)
        for activation in L.activations():
            yield named(f"{activation}, {dtype}", network, X, [L.Dense(9, activation)], dtype)
        for solver in ("adam", "sgd", "lbfgs"):
            yield named(f"perceptron, {solver}, {dtype}", perceptron, MLPClassifier, CODES, dtype, solver=solver)
        for loss in ("squared_error", "absolute_error", "huber", "quantile", "poisson", "gamma"):
            yield named(f"perceptron of {loss}, {dtype}", perceptron, MLPRegressor, COUNTS, dtype, loss=loss)
    yield (
        "one class",
        lambda: [(f := SGDOneClassSVM(max_iter=3, tol=None, random_state=0).fit(X)).coef_, f.offset_],
    )


def made() -> dict[str, Any]:
    """Return all results by name."""
    return {f"{name} [{k}]": np.atleast_1d(each) for name, make in fits() for k, each in enumerate(make())}


def distance(a: Any, b: Any) -> str:
    """Return how far apart two arrays are, in words."""
    if a.shape != b.shape or a.dtype != b.dtype or a.dtype.kind != "f":
        return f"{a.dtype}{a.shape} and {b.dtype}{b.shape}"
    apart = np.abs(a.astype(np.float64) - b) / np.spacing(np.maximum(np.abs(a), np.abs(b)))
    return f"{np.nanmax(apart):.3g} ulp"


def main() -> None:
    """Keep, or compare."""
    parser = argparse.ArgumentParser(prog="python -m bench.bits", description="Compare the bits of two builds.")
    parser.add_argument("what", choices=("keep", "compare"))
    parser.add_argument("path", type=Path, metavar="PATH", help="a file that ends in .npz")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    results = {"instruction set": np.array([config()["instruction set"]])} | made()
    if arguments.what == "keep":
        np.savez_compressed(arguments.path, **results)
        print(f"{len(results) - 1} arrays kept")
        return
    with np.load(arguments.path) as kept:
        before = dict(kept)
    if before.pop("instruction set") != results.pop("instruction set"):
        raise SystemExit("the file is of another instruction set")
    missing = before.keys() ^ results.keys()
    other = [name for name in before.keys() & results.keys() if before[name].tobytes() != results[name].tobytes()]
    for name in sorted(missing):
        print(f"{name}: {'not any more' if name in before else 'new'}")
    for name in sorted(other):
        print(f"{name}: {distance(before[name], results[name])}")
    print(f"{len(before) - len(other)} of {len(before)} arrays have the same bits")
    sys.exit(bool(missing or other))


if __name__ == "__main__":
    main()
