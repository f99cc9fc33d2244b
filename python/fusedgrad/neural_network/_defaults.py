"""What 'auto' stands for in networks: sizes by the rows, rates by the optimizer. Measured, see DECISIONS.md."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from .. import optimizers, schedules

# The largest rate of training, on standardised rows; of SGD without momentum.
_PEAKS = {
    "sgd": 0.3,
    "asgd": 0.3,
    "adagrad": 0.06,
    "adadelta": 3.0,
    "rmsprop": 5e-3,
    "ftrl": 0.2,
    "adam": 5e-3,
    "adamw": 5e-3,
    "amsgrad": 5e-3,
    "adamax": 1e-2,
    "nadam": 5e-3,
    "radam": 1e-2,
    "lion": 6e-4,
}
_SLOWER = 1000  # steps after which the rate of `partial_fit` has begun to fall


def peak_rate(optimizer: optimizers.Optimizer) -> float:
    """Return the largest rate of an optimizer, which its momentum shortens."""
    rate = _PEAKS.get(optimizer.name, optimizer.default_rate)
    momentum = getattr(optimizer, "momentum", 0.0)
    return rate * (1.0 - momentum) if momentum else rate


def schedule(optimizer: optimizers.Optimizer, steps: int | None) -> Callable[[int], float]:
    """Return the rates of so many steps: up to the largest and down to nothing. None: down, with no end in sight."""
    peak = peak_rate(optimizer)
    if steps is not None:
        return schedules.OneCycle(peak, steps)
    return lambda step: peak / math.sqrt(1.0 + step / _SLOWER)


def batch_rows(n: int) -> int:
    """Return the rows of a batch: a power of two near n / 100, from 16 to 256."""
    return min(n, _power_of_two(n / 100, 16, 256))


def epochs(n: int, batch: int) -> int:
    """Return how many epochs make about 3,000 steps: from 10 to 100."""
    return round(min(100, max(10, 3000 / -(-n // batch))))


def penalty(n: int) -> float:
    """Return the strength of the L2 penalty: that of five rows."""
    return 5.0 / n


def hidden_units(n: int) -> int:
    """Return the units of the hidden layer: a power of two near the root of n, from 32 to 256."""
    return _power_of_two(math.sqrt(n), 32, 256)


def _power_of_two(value: float, low: int, high: int) -> int:
    return int(2 ** round(math.log2(min(high, max(low, value)))))


def is_auto(value: Any) -> bool:
    """Whether a parameter is left to us."""
    return isinstance(value, str) and value == "auto"
