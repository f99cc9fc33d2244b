"""Text of twenty classes with next to no penalty."""

from __future__ import annotations

from bench.quality.task import Task

from . import _text

NAME = "text-topics-weak"
DESCRIPTION = f"{_text.FORM}, softmax over 20 classes, alpha 1e-6"
PATIENCE = 5


def make(scale: float) -> Task:
    """Return the problem with `scale` times its rows and words."""
    X, topics = _text.data(scale)
    return Task(X, topics, "multinomial", 1e-6, _text.RECIPES)
