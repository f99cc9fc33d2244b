"""What the numbers were measured on."""

from __future__ import annotations

import os
import platform
import re
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from fusedgrad._config import config
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits


def describe(solvers: dict[str, ModuleType]) -> dict[str, Any]:
    """Return date, machine, instruction set, threads, read bandwidth and versions."""
    build = config()
    libraries = {name: build[name] for name in ("python", "numpy", "scipy", "compiler")}
    return {
        "date": datetime.now(timezone.utc).isoformat(timespec="minutes"),
        "machine": f"{cpu_model()}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}",
        "instruction set": build["instruction set"],
        "threads": build["threads"],
        "read bandwidth": f"{read_bandwidth() / 1e9:.1f} GB/s (one thread, 400 MB of float32)",
        "versions": {**{name: solver.VERSION for name, solver in solvers.items()}, **libraries},
    }


def report_path(folder: Path, described: dict[str, Any]) -> Path:
    """Return where a report is kept: DATE-MACHINE.json."""
    words = re.findall(r"[a-z]+", re.sub(r"\(\w+\)", " ", cpu_model().lower()))
    return folder / f"{described['date'][:10]}-{'-'.join(words[:2])}.json"


def cpu_model() -> str:
    """Return the processor's name."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown processor"


def read_bandwidth(x: NDArray[Any] | None = None, threads: int = 1) -> float:
    """Return bytes a second that threads read, each its own part: the best of seven dot products of x with itself.

    Without x it is 400 MB of float32.
    """
    x = np.ones(100_000_000, dtype=np.float32) if x is None else x.ravel()
    parts = np.array_split(x, threads)
    seconds = []
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(threads) as pool:
        for _ in range(7):
            start = time.perf_counter()
            list(pool.map(np.dot, parts, parts))
            seconds.append(time.perf_counter() - start)
    return x.nbytes / min(seconds)
