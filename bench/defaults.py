"""Networks with nothing set, on raw and on scaled data, beside scikit-learn's on the scaled data.

``python -m bench.defaults`` prints a table: mean test score (accuracy, R²) over the seeds and its standard deviation,
seconds of a fit on one thread, and how many fits warned. ``--only digits wine`` chooses problems, ``--seeds 2`` fewer
seeds. Small problems are split anew for each seed; MNIST and Adult always alike, so that the seed is the model's there.
"""

from __future__ import annotations

import argparse
import io
import time
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from fusedgrad.neural_network import NeuralClassifier, NeuralRegressor
from sklearn import datasets, neural_network
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, StandardScaler
from threadpoolctl import threadpool_limits

from bench.quality.problems import _files

TRAIN = {"mnist": 8_000, "adult": 24_000}


class Data(NamedTuple):
    """Raw rows to train on and to test, their targets, and the usual scaling of such rows."""

    X: Any
    y: Any
    X_test: Any
    y_test: Any
    scaler: Any

    def scaled(self) -> Data:
        """The same, scaled."""
        return self._replace(X=self.scaler.fit_transform(self.X), X_test=self.scaler.transform(self.X_test))


def _shipped(load: Callable[..., Any]) -> Callable[[int], Data]:
    """A data set of scikit-learn's, a quarter of which tests."""

    def make(seed: int) -> Data:
        X, y = load(return_X_y=True)
        strata = None if load is datasets.load_diabetes else y
        X, X_test, y, y_test = train_test_split(X, y, test_size=0.25, random_state=seed, stratify=strata)
        return Data(X, y, X_test, y_test, StandardScaler())

    return make


def _mnist(seed: int) -> Data:
    images, labels = (_files.read(f"mnist10k-{name}-ubyte.gz") for name in ("images-idx3", "labels-idx1"))
    X = np.frombuffer(images, np.uint8, offset=16).reshape(-1, 784).astype(np.float32)
    y = np.frombuffer(labels, np.uint8, offset=8).astype(np.int64)
    n = TRAIN["mnist"]
    return Data(X[:n], y[:n], X[n:], y[n:], MinMaxScaler())


def _adult(seed: int) -> Data:
    import pandas as pd

    frame = pd.read_csv(io.BytesIO(_files.read("adult.csv.gz")))
    y = (frame.pop("income-per-year") == ">50K").to_numpy(np.int64)
    numbers = make_column_selector(dtype_include="number")(frame)
    categories = OneHotEncoder(sparse_output=False)
    encoder = make_column_transformer(("passthrough", numbers), remainder=categories)
    X = encoder.fit_transform(frame)
    scaler = make_column_transformer((StandardScaler(), list(range(len(numbers)))), remainder="passthrough")
    n = TRAIN["adult"]
    return Data(X[:n], y[:n], X[n:], y[n:], scaler)


PROBLEMS: dict[str, Callable[[int], Data]] = {
    "digits": _shipped(datasets.load_digits),
    "mnist": _mnist,
    "adult": _adult,
    "breast cancer": _shipped(datasets.load_breast_cancer),
    "wine": _shipped(datasets.load_wine),
    "diabetes": _shipped(datasets.load_diabetes),
}


class Fit(NamedTuple):
    """What a fit came to."""

    score: float
    seconds: float
    warned: bool


def fit(model: Any, data: Data) -> Fit:
    """Train, and score on the test rows."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        began = time.perf_counter()
        with threadpool_limits(1):  # of BLAS, which scikit-learn uses and we do not
            model.fit(data.X, data.y)
        seconds = time.perf_counter() - began
    return Fit(float(model.score(data.X_test, data.y_test)), seconds, bool(caught))


def contestants(name: str, seed: int) -> dict[str, tuple[Any, bool]]:
    """(model, whether its data are scaled) by the column of the table."""
    numbers = name == "diabetes"
    ours = NeuralRegressor if numbers else NeuralClassifier
    theirs = neural_network.MLPRegressor if numbers else neural_network.MLPClassifier
    return {
        "raw": (ours(random_state=seed), False),
        "scaled": (ours(random_state=seed), True),
        "scikit-learn, scaled": (theirs(random_state=seed), True),
    }


def _cell(fits: list[Fit]) -> str:
    scores = np.array([one.score for one in fits])
    seconds, warned = np.mean([one.seconds for one in fits]), sum(one.warned for one in fits)
    return f"{scores.mean():.4f} ± {scores.std(ddof=1):.4f}, {seconds:6.2f} s, {warned} warned"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", choices=PROBLEMS, default=list(PROBLEMS))
    parser.add_argument("--seeds", type=int, default=5)
    arguments = parser.parse_args()
    columns = list(contestants("", 0))
    print("| data | " + " | ".join(columns) + " |\n|" + "---|" * (len(columns) + 1))
    for name in arguments.only:
        found: dict[str, list[Fit]] = {column: [] for column in columns}
        for seed in range(arguments.seeds):
            data = PROBLEMS[name](seed)
            scaled = data.scaled()
            for column, (model, wants_scaled) in contestants(name, seed).items():
                found[column].append(fit(model, scaled if wants_scaled else data))
        print(f"| {name} | " + " | ".join(_cell(found[column]) for column in columns) + " |", flush=True)


if __name__ == "__main__":
    main()
