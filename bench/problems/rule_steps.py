"""Steps of the other rules that torch has: a million parameters."""

from __future__ import annotations

from collections.abc import Iterator

from fusedgrad.optimizers import ASGD, SGD, Adadelta, Adagrad, Adam, Adamax, AdamW, NAdam, RAdam, RMSprop

from bench.steps import Steps, steps

NAME, GROUP = "rule-steps", "Optimizer steps"
FUSED = (SGD(), SGD(momentum=0.9), Adagrad(), AdamW(), Adam(amsgrad=True))  # torch has a kernel, in one pass as ours
OTHERS = (
    Adadelta(),
    RMSprop(),
    RMSprop(momentum=0.9, centered=True),
    Adamax(),
    NAdam(),
    RAdam(),
)


def cases(scale: float) -> Iterator[Steps]:
    """Yield a case for each rule."""
    for optimizer in (*FUSED, ASGD()):
        yield steps(optimizer, 1_000_000, scale)
    for optimizer in OTHERS:
        yield steps(optimizer, 1_000_000, scale, targets={"torch": 3.0})
