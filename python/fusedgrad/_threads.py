"""How many threads are used for what."""

from __future__ import annotations

from . import _core

_MOST = 256  # threads that an `n_jobs` beyond the limit may ask for


def threads_for(n_jobs: int | None, most: int | None, work: float) -> int:
    """Threads for a fit, at most `most`; `n_jobs` None: as many as pay, within OpenMP's limit."""
    limit = _core.max_threads()
    if n_jobs is None:
        threads = limit if work > 1e6 else 1
    else:
        threads = min(int(n_jobs), max(limit, _MOST)) if n_jobs > 0 else max(1, limit + 1 + int(n_jobs))
    return threads if most is None else min(most, threads)
