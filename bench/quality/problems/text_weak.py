"""Text of two classes with next to no penalty."""

from __future__ import annotations

import numpy as np

from bench.quality.task import Task

from . import _text

NAME = "text-weak"
DESCRIPTION = f"{_text.FORM}, log loss, alpha 1e-6"


def make(scale: float) -> Task:
    """Return the problem with `scale` times its rows and words."""
    X, topics = _text.data(scale)
    return Task(X, (topics < 10).astype(np.int64), "log_loss", 1e-6, _text.RECIPES)
