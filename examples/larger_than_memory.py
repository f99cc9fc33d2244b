"""Train on a Parquet file of 3 GB within a bounded memory, be killed on the way, and go on with the same bits.

python examples/larger_than_memory.py              # makes rows.parquet here (3 GB, a minute), if it is not there
python examples/larger_than_memory.py OTHER.parquet
python examples/larger_than_memory.py --quick      # 20 MB, to see that it runs

The file is written group by group, sorted by class, as tables often are. Training shuffles: row groups come in random
order, and rows are mixed in a buffer. Needs pyarrow: pip install fusedgrad[data].
"""

import argparse
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from fusedgrad.callbacks import Checkpoint
from fusedgrad.data import Parquet
from fusedgrad.linear_model import SGDClassifier

COLUMNS, GROUP = 50, 20_000


def make(path, rows):
    """Write rows of two classes, those of one class first."""
    rng = np.random.default_rng(0)
    weights = rng.normal(size=COLUMNS) / np.sqrt(COLUMNS)
    names = [f"x{k}" for k in range(COLUMNS)]
    unfinished = path.with_suffix(".part")
    schema = pa.schema([*((name, pa.float32()) for name in names), ("label", pa.string())])
    with pq.ParquetWriter(unfinished, schema, compression="none") as writer:
        for first in range(0, rows, GROUP):
            label = "no" if first < rows / 2 else "yes"
            X = rng.normal(size=(GROUP, COLUMNS)).astype(np.float32) + (0.5 if label == "yes" else -0.5) * weights
            columns = [*X.astype(np.float32).T, np.full(GROUP, label)]
            writer.write_table(pa.table(dict(zip([*names, "label"], columns, strict=True)), schema=schema))
    unfinished.rename(path)


def train(path, checkpoint, resume):
    """Fit, with a line an epoch and a checkpoint a second."""
    model = SGDClassifier("log_loss", batch_size=256, max_iter=5, tol=None, random_state=0, verbose=1)
    model.set_callbacks(Checkpoint(checkpoint, every="1 s"))
    began = time.monotonic()
    model.fit(Parquet(path, target="label"), resume=checkpoint if resume else None)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"bits {model.coef_.tobytes().hex()[:16]}, {time.monotonic() - began:.1f} s, {peak:.0f} MB at most")
    return model


def child(path, checkpoint, *, resume, seconds=None):
    """Train in a process of its own, which is killed after some seconds; return what it printed."""
    command = [sys.executable, __file__, str(path), "--child", str(checkpoint), *(["--resume"] if resume else [])]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        return process.communicate(timeout=seconds)[0]
    except subprocess.TimeoutExpired:
        os.kill(process.pid, signal.SIGKILL)
        return process.communicate()[0] + "killed\n"


def main():
    """Make the file, train once without a break and once with one, and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", nargs="?", type=Path, default=Path("rows.parquet"))
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--resume", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child is not None:
        train(given.path, given.child, given.resume)
        return
    if not given.path.exists():
        make(given.path, 100_000 if given.quick else 10_000_000)
    print(f"{given.path}: {given.path.stat().st_size / 1e6:.0f} MB")
    checkpoint = given.path.with_suffix(".checkpoint")
    began = time.monotonic()
    unbroken = child(given.path, checkpoint, resume=False)
    print(unbroken, end="")
    took = time.monotonic() - began
    checkpoint.unlink(missing_ok=True)
    print(child(given.path, checkpoint, resume=False, seconds=0.6 * took), end="")
    resumed = child(given.path, checkpoint, resume=checkpoint.exists())
    print(resumed, end="")
    same = unbroken.rsplit("bits ", 1)[1][:16] == resumed.rsplit("bits ", 1)[1][:16]
    print("the same bits" if same else "OTHER BITS")


if __name__ == "__main__":
    main()
