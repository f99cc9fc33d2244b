"""Steps of an optimizer on one float32 array."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from fusedgrad.optimizers import Optimizer
from numpy.typing import NDArray

from . import limits
from .case import Agreement, Case, Limit, Run
from .linear import THREADS
from .measure import difference

TOLERANCE = 1e-5  # of the weights after the steps that are compared
COMPARED = 3
WORK = 50_000_000  # parameters times steps of a run
CACHED = 100_000  # parameters up to which the machine's memory is no limit


@dataclass(frozen=True, kw_only=True)
class Steps(Case):
    """An optimizer with its settings, and how many parameters it moves; the gradient is always the same one."""

    optimizer: Optimizer
    size: int
    repeats: int
    unit: str = "step"

    @property
    def count(self) -> int:
        """How many steps a run has."""
        return self.repeats

    @property
    def numbers(self) -> int:
        """Numbers for each parameter: itself, its slope, and what the optimizer remembers."""
        return 2 + len(self.optimizer.init(np.zeros(1, np.float32)).slots[0])

    @property
    def limit(self) -> Limit | None:
        """All numbers are read, and all but the slope written; a copy of as many bytes shows how fast that can be."""
        if self.size <= CACHED:
            return None
        return limits.copying(4 * (2 * self.numbers - 1) * self.size, self.numbers * self.size // 2, THREADS)

    def problem(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return weights, to be changed, and their gradient."""
        w, g = _problem(self.size)
        return w.copy(), g.copy()

    def run(self, step: Callable[[], Any], w: NDArray[np.float32]) -> Run:
        """Make the steps that are compared, and return the run with those that are timed; `step` moves w."""
        for _ in range(COMPARED):
            step()
        compared = w.copy()

        def steps() -> NDArray[np.float32]:
            for _ in range(self.repeats):
                step()
            return compared

        return steps

    def short(self) -> Steps:
        """Return the same case with fewer steps."""
        return replace(self, repeats=max(self.repeats // 5, 1))

    def agree(self, mine: NDArray[Any], theirs: NDArray[Any], peer: str) -> Agreement:
        """The weights are equal after the same steps."""
        apart = difference(mine, theirs)
        return Agreement(apart <= TOLERANCE, f"weights differ by {apart:.0e} after {COMPARED} steps")

    def describe(self) -> dict[str, Any]:
        """Return sizes and settings, for the record."""
        return {"optimizer": repr(self.optimizer), "parameters": self.size, "repeats": self.repeats}


def steps(optimizer: Optimizer, size: int, scale: float, **others: Any) -> Steps:
    """Return the case of `size` parameters; `scale` makes fewer steps, and fewer parameters of what is very large."""
    size = round(size * scale) if size > 1_000_000 else size
    return Steps(
        description=f"{optimizer!r}, {size:,} parameters",
        optimizer=optimizer,
        size=size,
        repeats=max(round(WORK / size * scale), 3),
        **others,
    )


@functools.lru_cache(maxsize=1)
def _problem(size: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return weights and gradient, normal; weights are of the size of a step, so that they show differences."""
    rng = np.random.default_rng(0)
    w = rng.standard_normal(size, dtype=np.float32)
    w *= 0.01
    return w, rng.standard_normal(size, dtype=np.float32)
