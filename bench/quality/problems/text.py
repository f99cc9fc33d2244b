"""Text of two classes: the first ten topics and the others."""

from __future__ import annotations

import numpy as np

from bench.quality.task import Task

from . import _text

NAME = "text"
DESCRIPTION = f"{_text.FORM}, log loss, alpha 1e-4"


def make(scale: float) -> Task:
    """Return the problem with `scale` times its rows and words."""
    X, topics = _text.data(scale)
    return Task(X, (topics < 10).astype(np.int64), "log_loss", 1e-4, _text.RECIPES)
