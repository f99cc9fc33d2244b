"""Arguments that several sources have."""

from __future__ import annotations

from numbers import Integral

import numpy as np
from numpy.typing import DTypeLike


def check_group(group: int) -> int:
    """Rows of a group, at least one."""
    if isinstance(group, bool) or not isinstance(group, Integral) or group < 1:
        raise ValueError(f"group must be a number of rows, an int of at least 1, not {group!r}.")
    return int(group)


def check_dtype(dtype: DTypeLike | None) -> str | None:
    """'float32', 'float64', or None, which leaves the choice to the source."""
    if dtype is None:
        return None
    name = np.dtype(dtype).name
    if name not in ("float32", "float64"):
        raise ValueError(f"dtype must be float32, float64 or None, not {dtype!r}.")
    return name
