"""What the machine can do at best, measured: nobody reads, copies, multiplies or waits faster than this."""

from __future__ import annotations

import atexit
import functools
import math
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from .case import Limit, on_threads

BLAS = ThreadpoolController().select(user_api="blas")
CHAIN = Path(__file__).parent / "chain.cpp"
GIGABYTES, GIGAFLOPS = "{:.1f} GB/s", "{:.0f} GFLOP/s"


def reading(size: float, x: NDArray[Any], threads: int) -> Limit:
    """Return the limit of work that reads `size` bytes in a unit, from memory like x."""
    return Limit("read bandwidth", size, lambda: read_bandwidth(x, threads), GIGABYTES)


def copying(size: float, values: int, threads: int) -> Limit:
    """Return the limit of work that reads and writes `size` bytes in a unit, in arrays of so many float32."""
    return Limit("memcpy", size, lambda: memcpy_bandwidth(values, threads), GIGABYTES)


def multiplying(operations: float, dtype: str, threads: int) -> Limit:
    """Return the limit of work with so many floating-point operations in a unit."""
    return Limit("GEMM peak", operations, lambda: gemm_peak(dtype, threads), GIGAFLOPS)


def chain(steps: float, features: int, dtype: str) -> Limit | None:
    """Return the limit of work with so many steps in a unit that wait for each other; None without a compiler."""
    if compiled_chain() is None:
        return None
    return Limit("dependent chain", steps, lambda: 1 / chain_seconds(features, dtype), "{:.1f} M/s", 1e-6)


def best(work: Callable[[int], Any], threads: int, times: int = 7) -> float:
    """Return the least seconds in which threads do ``work(0)``, ``work(1)``, ... side by side."""
    seconds = math.inf
    with BLAS.limit(limits=1), ThreadPoolExecutor(threads) as pool:
        for _ in range(times):
            start = time.perf_counter()
            list(pool.map(work, range(threads)))
            seconds = min(seconds, time.perf_counter() - start)
    return seconds


def read_bandwidth(x: NDArray[Any] | None = None, threads: int = 1) -> float:
    """Return bytes a second that threads read, each its own part: dot products of x (or 400 MB) with itself."""
    x = np.ones(100_000_000, dtype=np.float32) if x is None else x.ravel()
    parts = np.array_split(x, threads)
    return x.nbytes / best(lambda k: np.dot(parts[k], parts[k]), threads)


def memcpy_bandwidth(values: int = 50_000_000, threads: int = 1) -> float:
    """Return bytes a second, read and written, of copies between two arrays of float32, each thread its own part."""
    sources, targets = (np.array_split(np.ones(values, dtype=np.float32), threads) for _ in range(2))
    return 8 * values / best(lambda k: np.copyto(targets[k], sources[k]), threads)


def gemm_peak(dtype: str = "float32", threads: int = 1) -> float:
    """Return floating-point operations a second of NumPy's product of 1024 x 1024 matrices."""
    a = np.random.default_rng(0).standard_normal((1024, 1024)).astype(dtype)
    out, seconds = np.empty_like(a), math.inf
    for count in sorted({1, threads}):  # cores that share one are no faster together
        with BLAS.limit(limits=count):
            for _ in range(6):
                start = time.perf_counter()
                np.matmul(a, a, out=out)
                seconds = min(seconds, time.perf_counter() - start)
    return 2 * 1024**3 / seconds


@functools.cache
def compiled_chain() -> Path | None:
    """Return the program of chain.cpp, made with the compiler that is here; None without one."""
    compiler = shutil.which("c++") or shutil.which("g++")
    if compiler is None:
        return None
    folder = tempfile.mkdtemp(prefix="fusedgrad-bench-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    target = Path(folder) / "chain"
    flags = ["-std=c++20", "-O3", "-march=native", f"-I{CHAIN.parent.parent / 'cpp'}"]
    done = subprocess.run([compiler, *flags, str(CHAIN), "-o", str(target)], capture_output=True, check=False)
    return target if done.returncode == 0 else None


def chain_seconds(features: int, dtype: str) -> float:
    """Return the seconds of a step's dependent chain, see chain.cpp."""
    program = compiled_chain()
    assert program is not None
    return float(subprocess.run([program, str(features), dtype], capture_output=True, check=True, text=True).stdout)


def describe(threads: int) -> dict[str, str]:
    """Return all limits, on one thread and on so many, in words."""
    shown = {}
    for name, written, measured in (
        ("read bandwidth", GIGABYTES, lambda n: read_bandwidth(None, n)),
        ("memcpy bandwidth", GIGABYTES, lambda n: memcpy_bandwidth(threads=n)),
        ("GEMM peak float32", GIGAFLOPS, lambda n: gemm_peak("float32", n)),
        ("GEMM peak float64", GIGAFLOPS, lambda n: gemm_peak("float64", n)),
    ):
        counts = sorted({1, threads})
        each = (f"{written.format(measured(n) * 1e-9)} on {on_threads(n)}" for n in counts)
        shown[name] = ", ".join(each)
    shown["chain of a step of 100 features"] = (
        "not measured: no C++ compiler"
        if compiled_chain() is None
        else ", ".join(f"{chain_seconds(100, dtype) * 1e9:.0f} ns in {dtype}" for dtype in ("float32", "float64"))
    )
    return shown
