"""Vowpal Wabbit: its own learner goes through its own binary cache, which is made before the time is taken."""

from __future__ import annotations

import tempfile
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from bench.case import Case, Run, Way
from bench.linear import Linear

try:
    import vowpalwabbit
except ImportError:
    vowpalwabbit = None

NAME = "Vowpal Wabbit"
VERSION = None if vowpalwabbit is None else vowpalwabbit.__version__
PART = 50_000  # rows that are enough to see the price of one
RULES = {"adaptive, normalized and invariant": "", "--sgd": "--sgd -l 1"}
CONSTANT = 11650396  # the intercept's index


def why_not(case: Case) -> str | None:
    """Return why this solver cannot run the case, or None."""
    if not isinstance(case, Linear):
        return f"nothing for {type(case).__name__}"
    return None if case.unit == "epoch" else "rows come as text: reading it would be all that takes time"


def ways(case: Case) -> list[Way]:
    """Return the ways to run the case."""
    return WAYS[type(case)](case)


def _linear(case: Linear) -> list[Way]:
    """One sample a step, also where ours makes mini-batches: Vowpal Wabbit has nothing else."""
    part, times = case.part(PART)
    several = case.outputs > 1
    labels = part.y + 1 if several else 2 * part.y - 1
    options = "--loss_function logistic" + (f" --oaa {case.outputs}" if several else "")

    def prepare(rule: str) -> Run:
        found = cache(case.X, part.X, labels, options)

        def run() -> Callable[[], NDArray[Any]]:
            learner = learn(found, f"{options} {rule}", case.settings["max_iter"])
            return lambda: weights(learner, part.X.shape[1], case.outputs)

        return run

    def note() -> str:
        return f"reading the text takes {cache(case.X, part.X, labels, options).seconds:.2g} s"

    words = "one sample a step, float32, no penalty" + (f", {part.X.shape[0]:,} rows" if times > 1 else "")
    return [Way(f"{name}, {words}", partial(prepare, rule), times, note) for name, rule in RULES.items()]


# ---- The learner ----


@dataclass(frozen=True)
class Cache:
    """A binary cache, and the seconds that it took to make from text; `source` is what it was made for."""

    source: weakref.ref[Any]
    folder: tempfile.TemporaryDirectory[str]
    seconds: float

    @property
    def path(self) -> Path:
        """The file."""
        return Path(self.folder.name) / "cache"


_kept: list[Cache] = []  # the last one


def cache(source: Any, X: Any, labels: Sequence[Any], options: str) -> Cache:
    """Return the cache of rows and labels, which is kept until one is made for another source."""
    if not _kept or _kept[0].source() is not source:
        _kept.clear()
        folder = tempfile.TemporaryDirectory(prefix="fusedgrad-bench-")
        text, target = Path(folder.name) / "text", Path(folder.name) / "cache"
        with text.open("w") as file:
            file.writelines(f"{label} | {row}\n" for label, row in zip(labels.tolist(), _words(X), strict=True))
        start = time.perf_counter()
        _workspace(f"-d {text} --cache_file {target} -k --passes 1 {options}").finish()
        _kept.append(Cache(weakref.ref(source), folder, time.perf_counter() - start))
        text.unlink()
    return _kept[0]


def learn(cache: Cache, options: str, passes: int) -> Any:
    """Return what has learned from so many passes."""
    return _workspace(f"--cache_file {cache.path} --passes {passes} {options}")


def weights(learner: Any, features: int, outputs: int) -> NDArray[np.float64]:
    """Return coefficients and intercepts, of shape (outputs, features + 1)."""
    stride = 1 << (outputs - 1).bit_length()  # from one feature's weights to the next one's
    indices = [*range(features), CONSTANT]
    return np.array([[learner.get_weight(stride * each + k) for each in indices] for k in range(outputs)])


def _workspace(options: str) -> Any:
    """With options that name data, it learns from them here and now."""
    return vowpalwabbit.Workspace(f"{options} --holdout_off --quiet")


def _words(X: Any) -> Iterator[str]:
    """Rows in words: ``index:value``, in full precision."""
    if sp.issparse(X):
        for start, end in zip(X.indptr[:-1], X.indptr[1:], strict=True):
            pairs = zip(X.indices[start:end].tolist(), X.data[start:end].tolist(), strict=True)
            yield " ".join([f"{index}:{value:.9g}" for index, value in pairs])
    else:
        words = " ".join([f"{k}:%.9g" for k in range(X.shape[1])])
        for row in X:
            yield words % tuple(row.tolist())


WAYS = {Linear: _linear}
