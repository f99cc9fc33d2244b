"""Text of two classes with an L1 penalty."""

from __future__ import annotations

import numpy as np

from bench.quality.task import Task

from . import _text

NAME = "text-l1"
DESCRIPTION = f"{_text.FORM}, log loss, L1 1e-4"


def make(scale: float) -> Task:
    """Return the problem with `scale` times its rows and words."""
    X, topics = _text.data(scale)
    return Task(X, (topics < 10).astype(np.int64), "log_loss", 0.0, _text.RECIPES, l1=1e-4)
