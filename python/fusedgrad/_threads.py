"""How many threads may be used, and how many are for what."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator
from pathlib import Path

from . import _core

_MOST = 256  # threads that an `n_jobs` beyond the limit may ask for
_RECENT = 1.0  # seconds for which processors and quota are taken to be as they were

_looked_at = -math.inf


def threads_for(n_jobs: int | None, most: int | None, work: float) -> int:
    """Threads for a fit at most, and at most `most`; `n_jobs` None: as many as the process may use."""
    threads = requested(n_jobs) if n_jobs is not None else allowed() if work > 1e6 else 1
    return threads if most is None else min(most, threads)


def requested(n_jobs: int) -> int:
    """Threads that a number asks for, by joblib's convention: -1 is as many as the process may use, -2 one less."""
    limit = allowed()
    return min(int(n_jobs), max(limit, _MOST)) if n_jobs > 0 else max(1, limit + 1 + int(n_jobs))


def allowed() -> int:
    """Threads within OpenMP's limit, the processors that the process may run on, and its container's quota."""
    global _looked_at
    if time.monotonic() - _looked_at > _RECENT:
        _core.set_usable_threads(min(count for count, _ in _usable()))
        _looked_at = time.monotonic()
    return _core.max_threads()


def explained() -> str:
    """Return how many threads are used at most, and what limits them."""
    found = [*_usable(), (_core.openmp_threads(), _openmp_reason())]
    return f"{allowed()} ({', '.join(f'{reason}: {count}' for count, reason in found)})"


def _openmp_reason() -> str:
    limit = os.environ.get("OMP_NUM_THREADS")
    return f"OpenMP, OMP_NUM_THREADS={limit}" if limit else "OpenMP"


def _usable() -> Iterator[tuple[int, str]]:
    """Yield numbers of processors that the process may use, and what says so."""
    yield processors(), "processors"
    found = quota()
    if found is not None:
        yield max(1, math.ceil(found)), f"quota of {found:g} processors"


def processors() -> int:
    """Processors that the process may run on (its affinity)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def quota(root: Path = Path("/")) -> float | None:
    """Processors' time that control groups allow (Docker's ``--cpus``, systemd's ``CPUQuota``); None: all of it.

    The least of the process's group and those around it counts. Both versions of control groups are known; in a
    container, whose own group is the top of what it sees, the path may be one of the host's and is then left out.
    """
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return None
    found = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        names = controllers.split(",")
        if controllers and "cpu" not in names:
            continue
        for mount in (controllers, "cpu") if controllers else ("", "unified"):
            top = root / "sys/fs/cgroup" / mount
            group = top / path.lstrip("/")
            for folder in (group, *group.parents):
                found.append(_quota_of(folder))
                if folder == top:
                    break
    return min((each for each in found if each is not None), default=None)


def _quota_of(group: Path) -> float | None:
    """The quota of one group, by the files of either version."""
    try:
        if (group / "cpu.max").exists():
            allowance, period = (group / "cpu.max").read_text().split()
        else:
            allowance, period = ((group / f"cpu.cfs_{what}_us").read_text() for what in ("quota", "period"))
        return float(allowance) / float(period) if float(allowance) > 0 else None
    except (OSError, ValueError):  # no such group, or "max"
        return None
