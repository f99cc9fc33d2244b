"""``python -m fusedgrad``: train on files and predict from them; a demo; what is running."""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import sklearn.linear_model
from scipy.special import expit
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from . import SGDClassifier, _commands, show_config

EPOCHS, RUNS = 50, 5
SETTINGS: dict[str, Any] = {
    "loss": "log_loss",
    "alpha": 1e-3,
    "learning_rate": "adaptive",
    "eta0": 0.02,
    "max_iter": EPOCHS,
    "tol": None,
    "random_state": 0,
}


def numpy_loop(X: Any, y: Any, batch_size: int = 32, rate: float = 0.5) -> Callable[[Any], Any]:
    """One-vs-rest logistic regression by mini-batches, all classes in one product; returns a predictor."""
    rng = np.random.default_rng(0)
    targets = np.eye(y.max() + 1)[y]
    W, b = np.zeros((X.shape[1], targets.shape[1])), np.zeros(targets.shape[1])
    for epoch in range(EPOCHS):
        step = rate / (1 + 0.1 * epoch)
        order = rng.permutation(len(X))
        for start in range(0, len(X), batch_size):
            rows = order[start : start + batch_size]
            slopes = (expit(X[rows] @ W + b) - targets[rows]) / len(rows)
            W -= step * (X[rows].T @ slopes + SETTINGS["alpha"] * W)
            b -= step * slopes.sum(axis=0)
    return lambda rows: (rows @ W + b).argmax(axis=1)


def demo() -> None:
    """Train one-vs-rest logistic regression on the digits that ship with scikit-learn."""
    X, y = load_digits(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.3, random_state=0, stratify=y)
    scaler = StandardScaler().fit(X_train)
    X_train, X_test = scaler.transform(X_train), scaler.transform(X_test)
    print(f"digits: {len(X_train)} training rows of {X.shape[1]} pixels, {len(X_test)} test rows, 10 classes")
    print(f"one-vs-rest logistic regression, {EPOCHS} epochs of stochastic gradient descent, median of {RUNS} runs\n")

    solvers: dict[str, Callable[[], Callable[[Any], Any]]] = {
        "fusedgrad": lambda: SGDClassifier(**SETTINGS).fit(X_train, y_train).predict,
        "scikit-learn": lambda: sklearn.linear_model.SGDClassifier(**SETTINGS).fit(X_train, y_train).predict,
        "NumPy loop": lambda: numpy_loop(X_train, y_train),
    }
    rows = {}
    for number, (name, train) in enumerate(solvers.items()):
        seconds = []
        for run in range(RUNS):
            progress(number * RUNS + run + 1, len(solvers) * RUNS, name)
            began = time.perf_counter()
            predict = train()
            seconds.append(time.perf_counter() - began)
        rows[name] = (statistics.median(seconds), float(np.mean(predict(X_test) == y_test)), predict(X_test))
    progress(1, 1, "done")

    print(f"{'':14}{'test accuracy':>14}{'time':>12}{'fusedgrad is':>20}")
    fastest = rows["fusedgrad"][0]
    for name, (median, accuracy, _) in rows.items():
        times = "" if name == "fusedgrad" else f"{median / fastest:.1f} times faster"
        print(f"{name:14}{accuracy:14.4f}{median * 1e3:9.1f} ms{times:>20}")
    same = np.array_equal(rows["fusedgrad"][2], rows["scikit-learn"][2])
    print(f"\nfusedgrad and scikit-learn predict {'the same' if same else 'DIFFERENT'} classes for all test rows.")


def progress(done: int, total: int, what: str) -> None:
    """Draw a progress line; where the output is no terminal, only its end."""
    line = f"[{'#' * (30 * done // total):30}] {what}"
    if sys.stdout.isatty():
        print(f"\r{line:60}", end="\n\n" if what == "done" else "", flush=True)
    elif what == "done":
        print(f"{line}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the command line and run the command; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m fusedgrad", description="The gradient-descent engine.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    _commands.add_to(commands)
    commands.add_parser("demo", help="train on real data, beside scikit-learn").set_defaults(run=lambda given: demo())
    shows = commands.add_parser("config", help="show what is running: versions, instruction set, threads")
    shows.set_defaults(run=lambda given: show_config())
    given = parser.parse_args(arguments)
    try:
        given.run(given)
    except BrokenPipeError:  # whoever reads the lines has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (_commands.CommandError, OSError, ValueError, RuntimeError, ImportError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
