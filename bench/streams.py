"""Data larger than memory: epochs from files beside what reading them takes, beside memory, and beside peers.

``python -m bench.streams`` makes a Parquet file in a temporary folder (``--rows 2000000``: 800 MB) and prints a table
of ratios: medians of pairs of runs, one after the other in turn. An epoch is the difference between fits of one and of
several epochs, divided: so what comes first (a look at all rows) does not count. Lazy rules are measured on hashed text
and on an embedding of a million codes. ``--memory`` trains on a file of 4 GB
(``--gigabytes``), in groups of 40 MB and of 0.4 MB, in a process of its own, and prints what that had resident at most
above its imports. ``--json`` keeps what is measured.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import scipy.sparse as sp
from fusedgrad import SGDClassifier
from fusedgrad.data import Parquet
from fusedgrad.layers import Embedding, Flatten
from fusedgrad.neural_network import NeuralClassifier
from fusedgrad.optimizers import Adam

from bench import machine
from bench.solvers import vowpal_wabbit
from bench.table import Row, duration, layout

try:
    import river
    from river import linear_model as river_models
except ImportError:
    river = None

COLUMNS, BATCH, PAIRS, EPOCHS = 100, 256, 5, 3
RIVER_ROWS = 100_000


def make(path: Path, rows: int, group: int) -> None:
    """Write rows of two classes, float32, uncompressed."""
    rng = np.random.default_rng(0)
    names = [f"x{k}" for k in range(COLUMNS)]
    schema = pa.schema([*((name, pa.float32()) for name in names), ("y", pa.int64())])
    w = rng.normal(size=COLUMNS).astype(np.float32) / np.sqrt(COLUMNS)
    with pq.ParquetWriter(path, schema, compression="none", use_dictionary=False) as writer:
        for begin in range(0, rows, group):
            X = rng.standard_normal((min(group, rows - begin), COLUMNS), dtype=np.float32)
            y = (X @ w + rng.logistic(size=len(X)) > 0).astype(np.int64)
            writer.write_table(pa.table(dict(zip([*names, "y"], [*X.T, y], strict=True)), schema=schema))


def blocks(path: Path) -> Iterator[tuple[Any, Any]]:
    """Read a file into C-ordered float32, group by group, by pyarrow and NumPy alone."""
    with pq.ParquetFile(path, pre_buffer=False) as file:
        for k in range(file.num_row_groups):
            table = file.read_row_group(k)
            X = np.empty((table.num_rows, COLUMNS), dtype=np.float32)
            for j in range(COLUMNS):
                X[:, j] = table.column(j).to_numpy()
            yield X, table.column(COLUMNS).to_numpy()


def seconds(run: Callable[[], Any]) -> float:
    """Time a run."""
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def model(epochs: int) -> SGDClassifier:
    """A model that makes so many epochs."""
    return SGDClassifier("log_loss", batch_size=BATCH, max_iter=epochs, tol=None, random_state=0)


def epoch_of(fit: Callable[[int], Any]) -> float:
    """Seconds of an epoch of a fit that gets a number of epochs."""
    one = seconds(lambda: fit(1))
    return max((seconds(lambda: fit(1 + EPOCHS)) - one) / EPOCHS, 1e-9)


def compare(name: str, ours: Callable[[], float], theirs: Callable[[], float], what: str, target: float) -> Row:
    """Run both in turn; `target` is the largest ratio of our time to theirs."""
    ours(), theirs()
    pairs = [(ours(), theirs()) for _ in range(PAIRS)]
    ratios = sorted(a / b for a, b in pairs)
    ratio = median(ratios)
    print(f"{name}: {ratio:.3g}", file=sys.stderr, flush=True)
    return {
        "name": name,
        "ours": median(a for a, _ in pairs),
        "theirs": median(b for _, b in pairs),
        "what": what,
        "ratio": ratio,
        "spread": [ratios[0], ratios[-1]],
        "target": target,
        "holds": ratio <= target,
    }


def scikit_epoch(path: Path) -> float:
    """Seconds of an epoch of scikit-learn's, by `partial_fit` on batches of pyarrow's."""
    from sklearn.linear_model import SGDClassifier as Theirs

    theirs = Theirs("log_loss", random_state=0)

    def epoch() -> None:
        for X, y in blocks(path):
            theirs.partial_fit(X, y, classes=[0, 1])

    return seconds(epoch)


def vowpal_epoch(X: Any, y: Any) -> float:
    """Seconds of an epoch of Vowpal Wabbit's over its cache, for as many rows as the file has."""
    part = X[: vowpal_wabbit.PART]
    found = vowpal_wabbit.cache(X, part, 2 * y[: len(part)] - 1, "--loss_function logistic")
    several = seconds(lambda: vowpal_wabbit.learn(found, "--loss_function logistic", 1 + EPOCHS))
    one = seconds(lambda: vowpal_wabbit.learn(found, "--loss_function logistic", 1))
    return (several - one) / EPOCHS * len(X) / len(part)


def river_epoch(X: Any, y: Any) -> float:
    """Seconds of river's for as many rows as the file has, from those of a part."""
    learner = river_models.LogisticRegression()
    names = [f"x{k}" for k in range(COLUMNS)]
    some = min(RIVER_ROWS, len(X)) // 10

    def epoch() -> None:
        for row, label in zip(X[:some].tolist(), y[:some].tolist(), strict=True):
            learner.learn_one(dict(zip(names, row, strict=True)), bool(label))

    return seconds(epoch) * len(X) / some


def speed(folder: Path, rows: int) -> list[Row]:
    """Measure ratios of times."""
    path = folder / "rows.parquet"
    make(path, rows, 100_000)
    source = Parquet(path, target="y")
    cached = source.cache(folder / "cache")
    parts = list(blocks(path))
    X, y = np.concatenate([part for part, _ in parts]), np.concatenate([part for _, part in parts])
    del parts

    def streamed() -> float:
        return epoch_of(lambda epochs: model(epochs).fit(source))

    def mapped() -> float:
        return epoch_of(lambda epochs: model(epochs).fit(cached))

    def in_memory() -> float:
        return epoch_of(lambda epochs: model(epochs).fit(X, y))

    def reading() -> float:
        return seconds(lambda: [None for _ in blocks(path)])

    found = [
        compare("Parquet", streamed, reading, "pyarrow alone reads it into C-ordered float32", 1.15),
        compare("cache", mapped, in_memory, "an epoch from memory", 1.25),
        compare("Parquet", streamed, lambda: scikit_epoch(path), "scikit-learn's partial_fit on the same", 1 / 5),
    ]
    if vowpal_wabbit.VERSION is not None:
        found.append(compare("cache", mapped, lambda: vowpal_epoch(X, y), "Vowpal Wabbit over its cache", 1 / 5))
    if river is not None:
        found.append(compare("memory", in_memory, lambda: river_epoch(X, y), "river, a row at a time", 1 / 100))
    return found + lazy()


def lazy() -> list[Row]:
    """Measure rules that move what a batch touches and nothing else: 30 of 2^20 columns a row; 10 codes a row."""
    rng = np.random.default_rng(0)
    rows, columns, words = 20_000, 1 << 20, 30
    X = sp.csr_array(
        (np.ones(rows * words), rng.integers(0, columns, rows * words), np.arange(0, rows * words + 1, words)),
        shape=(rows, columns),
    )
    y = rng.integers(0, 2, rows)
    texts = {codes: rng.integers(0, codes, size=(rows, 10)) for codes in (1000, 1_000_000)}

    def hashed(optimizer: Any) -> float:
        model = SGDClassifier("log_loss", batch_size=32, optimizer=optimizer, tol=None, random_state=0)
        return epoch_of(lambda epochs: model.set_params(max_iter=epochs).fit(X, y))

    def embedded(codes: int) -> float:
        layers = [Embedding(codes, 16), Flatten()]
        model = NeuralClassifier(layers, optimizer=Adam(1e-3, lazy=True), batch_size=32, tol=None, random_state=0)
        return epoch_of(lambda epochs: model.set_params(max_epochs=epochs).fit(texts[codes], y))

    adam = Adam(lazy=True)
    return [
        compare("hashed text, lazy Adam", lambda: hashed(adam), lambda: hashed("sgd"), "plain SGD", 1.5),
        compare("a million codes", lambda: embedded(1_000_000), lambda: embedded(1000), "a thousand codes", 1.5),
    ]


CHILD = """
import resource, sys, threading, time, warnings
import numpy as np, pyarrow.parquet
from fusedgrad import SGDClassifier
from fusedgrad.data import Parquet
warnings.simplefilter("ignore")

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()

before, peaks = resident(), []
model = SGDClassifier("log_loss", batch_size=256, max_iter=int(sys.argv[2]), tol=None, random_state=0)
alive = True

def watch():
    while alive:
        peaks.append(resident())
        time.sleep(0.02)

watched = threading.Thread(target=watch)
watched.start()
model.fit(Parquet(sys.argv[1], target="y"))
alive = False
watched.join()
third = len(peaks) // 3
print((max(peaks) - before) / 1e6, (max(peaks[:third]) - before) / 1e6, (max(peaks[-third:]) - before) / 1e6)
"""


def memory(folder: Path, gigabytes: float) -> list[Row]:
    """Measure what a fit has resident at most, above its imports: in all, in the first third and in the last."""
    found = []
    for group in (100_000, 1_000):
        path = folder / f"{group}.parquet"
        make(path, int(gigabytes * 1e9) // (4 * COLUMNS), group)
        command = [sys.executable, "-c", CHILD, str(path), "3"]
        said = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ).stdout
        most, first, last = map(float, said.split())
        groups = pq.ParquetFile(path).num_row_groups
        name = f"{path.stat().st_size / 1e9:.1f} GB in {groups:,} groups"
        found.append({"name": name, "most": most, "first": first, "last": last, "holds": most <= 600})
        print(f"{name}: {most:.0f} MB", file=sys.stderr, flush=True)
        path.unlink()
    return found


def markdown(report: dict[str, Any]) -> str:
    """Return the tables."""
    tables = []
    if report.get("speed"):
        lines = [["an epoch from", "fusedgrad", "beside", "its", "ratio", "spread", "at most", "holds"]]
        lines += [
            [
                row["name"],
                duration(row["ours"]),
                row["what"],
                duration(row["theirs"]),
                f"{row['ratio']:.3g}",
                f"{row['spread'][0]:.3g} to {row['spread'][1]:.3g}",
                f"{row['target']:g}",
                "yes" if row["holds"] else "no",
            ]
            for row in report["speed"]
        ]
        tables.append(layout(lines))
    if report.get("memory"):
        lines = [["three epochs of", "MB at most", "first third", "last third", "at most 600"]]
        lines += [
            [row["name"], *(f"{row[part]:.0f}" for part in ("most", "first", "last")), "yes" if row["holds"] else "no"]
            for row in report["memory"]
        ]
        tables.append(layout(lines))
    return "\n\n".join(tables)


def main() -> None:
    """Measure, print, keep."""
    warnings.simplefilter("ignore")
    parser = argparse.ArgumentParser(prog="python -m bench.streams", description="Epochs from files.")
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--memory", action="store_true", help="measure memory alone")
    parser.add_argument("--gigabytes", type=float, default=4.0)
    parser.add_argument("--json", type=Path, metavar="PATH")
    given = parser.parse_args()
    report: dict[str, Any] = {"machine": machine.cpu_model(), "rows": given.rows}
    with tempfile.TemporaryDirectory() as folder:
        if given.memory:
            report["memory"] = memory(Path(folder), given.gigabytes)
        else:
            report["speed"] = speed(Path(folder), given.rows)
    print(markdown(report))
    if given.json is not None:
        given.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
