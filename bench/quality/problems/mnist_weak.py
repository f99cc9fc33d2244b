"""MNIST with a weak penalty."""

from __future__ import annotations

from bench.quality.task import Task

from . import _mnist

NAME = "mnist-weak"
DESCRIPTION = f"MNIST, {_mnist.FORM}, alpha 1e-4"


def make(scale: float) -> Task:
    """Return the problem; real data have one size."""
    return Task(*_mnist.data(), "multinomial", 1e-4, _mnist.RECIPES)
