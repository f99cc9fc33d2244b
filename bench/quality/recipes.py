"""What is tried with mini-batches, the same for everyone who makes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Rule = Literal["sgd", "nesterov", "adam", "adagrad"]
MOMENTUM = 0.9  # of nesterov


@dataclass(frozen=True)
class Recipe:
    """An update rule, the rate that it starts from, and the rows of a batch.

    The rate falls to zero over the fit along half a cosine, so a fit of more epochs has another schedule; unless it is
    `constant`.
    """

    rule: Rule
    rate: float
    batch_size: int
    constant: bool = False

    def __str__(self) -> str:
        rate = f"rate {self.rate:g}" if self.constant else f"cosine from {self.rate:g}"
        return f"{self.rule}, batch {self.batch_size:,}, {rate}"

    def steps(self, rows: int, epochs: int) -> int:
        """Return how many steps a fit makes."""
        return epochs * -(-rows // self.batch_size)

    def rates(self, rows: int, epochs: int) -> NDArray[np.float64]:
        """Return the rate of every step of a fit."""
        steps = self.steps(rows, epochs)
        if self.constant:
            return np.full(steps, self.rate)
        return self.rate * (1 + np.cos(np.pi * np.arange(steps) / steps)) / 2

    def slices(self, rows: int) -> list[slice]:
        """Return the batches of an epoch: rows that are adjacent, because data come in a random order here."""
        return [slice(start, start + self.batch_size) for start in range(0, rows, self.batch_size)]


def recipes(batch_sizes: Sequence[int], **rates: Sequence[float]) -> list[Recipe]:
    """Return a grid: every batch size with the rates of every rule."""
    return [Recipe(rule, rate, size) for rule, each in rates.items() for rate, size in product(each, batch_sizes)]  # type: ignore[arg-type]
