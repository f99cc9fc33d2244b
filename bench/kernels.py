"""Small cases for each kernel of the core, timed or counted one at a time: what regressions are looked for in."""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

from .case import Case, Way
from .linear import Linear
from .measure import clock, timed

LEAST_SECONDS = 0.03  # a measurement is as many runs as take so long
FREED = 31 << 20
CLIENT = Path(__file__).parent / "callgrind.cpp"


@dataclass(frozen=True)
class Kernel:
    """The case of that number that the file bench/problems/PROBLEM.py yields at that scale, with other fields."""

    problem: str
    scale: float
    number: int = 0
    fields: dict[str, Any] = field(default_factory=dict)

    def case(self, threads: int | None = None) -> Case:
        """Return the case, for so many threads where it names a number of them."""
        cases = importlib.import_module(f"bench.problems.{self.problem}").cases(self.scale)
        case = replace(next(islice(cases, self.number, None)), **self.fields)
        if threads is None or not isinstance(case, Linear):
            return case
        settings, ours = (
            {**each, "n_jobs": threads} if "n_jobs" in each else each for each in (case.settings, case.ours)
        )
        return replace(case, settings=settings, ours=ours)


KERNELS = {
    "dense-float32": Kernel("dense_float32_cache", 1.0),
    "dense-float64": Kernel("dense_float64", 0.04),
    "csr-float64": Kernel("csr_float64", 0.02),
    "mini-batch-dense": Kernel("mini_batch_dense", 0.1),
    "mini-batch-rows": Kernel("mini_batch_rows", 0.1),
    "mini-batch-ten-classes": Kernel("mini_batch_ten_classes", 0.1),
    "mini-batch-csr": Kernel("mini_batch_csr", 0.02),
    "partial-fit-row": Kernel("partial_fit_row", 0.2),
    "predict-row": Kernel("predict_row", 0.2),
    "adam-10-thousand": Kernel("adam_steps", 0.1, 0),
    "adam-million": Kernel("adam_steps", 0.1, 1),
    "sgd-million": Kernel("rule_steps", 0.1, 0),
    "adagrad-million": Kernel("rule_steps", 0.1, 2),
    "rmsprop-million": Kernel("rule_steps", 0.1, 7),
    "radam-million": Kernel("rule_steps", 0.1, 11),
    "tiny-network": Kernel("tiny_network", 0.1),
    "perceptron": Kernel("perceptron_small", 0.02),
    "cnn": Kernel("cnn", 0.1, 0, {"rows": 128, "repeats": 1}),
    "cnn-batch-norm": Kernel("cnn_batch_norm", 0.1, 0, {"rows": 16, "batch": 16, "repeats": 1}),
    "gru": Kernel("gru", 0.1, 0, {"rows": 128, "repeats": 1}),
    "lstm": Kernel("lstm", 0.1, 0, {"rows": 128, "repeats": 1}),
    "perceptron-row": Kernel("network_rows", 0.1, 0, {"rows": 200}),
    "cnn-row": Kernel("network_rows", 0.01, 1, {"rows": 200}),
    "gru-row": Kernel("network_rows", 0.01, 2, {"rows": 200}),
}


def way(case: Case) -> Way:
    """Return how fusedgrad runs the case."""
    from .solvers import fusedgrad

    return fusedgrad.ways(case)[0]


def amount(case: Any) -> tuple[str, float]:
    """Return what a kernel's work is counted in, and how much of it a run has."""
    if case.unit == "epoch":
        rows = case.X.shape[0] if hasattr(case, "X") else case.rows
        return "row", case.count * rows * getattr(case, "outputs", 1)
    return ("parameter", case.count * case.size) if hasattr(case, "optimizer") else (case.unit, case.count)


# ---- A process that measures the kernels of the build it has imported ----


class Seconds:
    """The seconds of a run, the mean of as many as take a while."""

    def __init__(self, way: Way) -> None:
        self.way = way
        least = min(timed(way)[0] for _ in range(2))
        self.times = max(1, round(LEAST_SECONDS / least))

    def __call__(self) -> float:
        return sum(clock(self.way.prepare())[0] for _ in range(self.times)) / self.times


class Instructions:
    """The instructions of a run, in a process that valgrind's callgrind watches."""

    client: Any = None
    written = ""  # what callgrind's files begin with
    dumps = 0

    def __init__(self, way: Way) -> None:
        self.way = way
        timed(way)

    def __call__(self) -> float:
        run = self.way.prepare()

        def counted() -> None:
            self.client.start()
            run()
            self.client.stop()

        clock(counted)  # without collections, which come within a run by chance
        Instructions.dumps += 1
        lines = Path(f"{self.written}.{self.dumps}").read_text().splitlines()
        return float(next(line for line in lines if line.startswith("totals:")).split()[1])


def compile_client(folder: Path) -> Path:
    """Return the library that switches callgrind on and off."""
    compiler = shutil.which("c++") or shutil.which("g++")
    if compiler is None or shutil.which("valgrind") is None:
        raise SystemExit("counting instructions takes valgrind, its headers and a C++ compiler")
    target = folder / "callgrind.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-O2", str(CLIENT), "-o", str(target)], check=True)
    return target


def serve(threads: int, client: str = "", written: str = "") -> None:
    """Read a kernel's name a line, measure it, and answer with a line of JSON; first tell what is measured."""
    from fusedgrad._config import config

    from . import network

    network.THREADS = threads
    bytearray(FREED)  # glibc then keeps freed memory up to twice that: or which build meets fresh pages is chance

    Measure: Callable[[Way], Callable[[], float]] = Seconds
    if client:
        Measure, Instructions.client, Instructions.written = Instructions, ctypes.CDLL(client), written
    build, answers = config(), sys.stdout
    sys.stdout = sys.stderr
    print(json.dumps({"folder": str(Path(sys.modules["fusedgrad"].__file__ or "").parent), **build}), file=answers)
    answers.flush()
    ready: dict[str, tuple[Any, ...]] = {}
    for name in map(str.strip, sys.stdin):
        try:
            if name not in ready:
                case = KERNELS[name].case(threads)
                ready = {name: (Measure(way(case)), *amount(case))}
                gc.freeze()  # or collections before each run would take longer than many a run
            measure, per, units = ready[name]
            answer = {"value": measure() / units, "per": per}
        except Exception as error:  # an older build lacks what the kernel needs
            answer = {"skipped": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers, flush=True)
