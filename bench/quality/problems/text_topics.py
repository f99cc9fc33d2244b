"""Text of twenty classes."""

from __future__ import annotations

from bench.quality.task import Task

from . import _text

NAME = "text-topics"
DESCRIPTION = f"{_text.FORM}, softmax over 20 classes, alpha 1e-4"
PATIENCE = 5


def make(scale: float) -> Task:
    """Return the problem with `scale` times its rows and words."""
    X, topics = _text.data(scale)
    return Task(X, topics, "multinomial", 1e-4, _text.RECIPES)
