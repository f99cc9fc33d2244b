"""What the numbers were measured on."""

from __future__ import annotations

import os
import platform
import re
from datetime import datetime, timezone
from pathlib import Path
from types import ModuleType
from typing import Any

from fusedgrad._config import config

from . import limits


def describe(solvers: dict[str, ModuleType], threads: int) -> dict[str, Any]:
    """Return date, machine, instruction set, threads, limits and versions; a solver that is not there is missing."""
    build = config()
    libraries = {name: build[name] for name in ("python", "numpy", "scipy", "compiler")}
    return {
        "date": datetime.now(timezone.utc).isoformat(timespec="minutes"),
        "machine": f"{cpu_model()}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}",
        "instruction set": build["instruction set"],
        "threads": threads,
        "limits": limits.describe(threads),
        "versions": {
            **{name: solver.VERSION or "not installed" for name, solver in solvers.items()},
            **libraries,
        },
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
