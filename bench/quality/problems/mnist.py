"""MNIST: one softmax; alpha as is best for the other 2,000 digits."""

from __future__ import annotations

from bench.quality.task import Task

from . import _mnist

NAME = "mnist"
DESCRIPTION = f"MNIST, {_mnist.FORM}, alpha 3e-3"


def make(scale: float) -> Task:
    """Return the problem; real data have one size."""
    return Task(*_mnist.data(), "multinomial", 3e-3, _mnist.RECIPES)
