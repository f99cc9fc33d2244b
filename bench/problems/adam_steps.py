"""Steps of Adam: arrays that fit in cache, and larger ones."""

from __future__ import annotations

from collections.abc import Iterator

from fusedgrad.optimizers import Adam

from bench.steps import Steps, steps

NAME, GROUP = "adam-steps", "Optimizer steps"


def cases(scale: float) -> Iterator[Steps]:
    """Yield three sizes."""
    yield steps(Adam(), 10_000, scale, targets={"torch": 10.0})
    yield steps(Adam(), 1_000_000, scale, targets={"NumPy float32": 8.0})
    yield steps(Adam(), 25_000_000, scale, targets={"torch": 1.0}, share=0.8)
