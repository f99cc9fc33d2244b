"""Warnings that point at the line of the user's that called the package."""

from __future__ import annotations

import sys
import warnings

_OURS = ("fusedgrad.", "sklearn.callback", "sklearn.utils._available_if")  # with what wraps our methods


def warn(text: str, category: type[Warning] = UserWarning) -> None:
    """Warn the caller of the package."""
    level, frame = 2, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith(_OURS):
        level, frame = level + 1, frame.f_back
    warnings.warn(text, category, stacklevel=level)
