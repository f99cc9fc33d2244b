"""What both training loops begin with: memory, and the rows of each batch."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray


def aligned_zeros(shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
    """Return zeros that begin with a cache line, so that a vector of weights is one."""
    return _aligned(np.zeros, shape, dtype)


def aligned_empty(shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
    """Return such an array of whatever memory holds."""
    return _aligned(np.empty, shape, dtype)


def _aligned(make: Callable[..., NDArray[Any]], shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
    n_bytes = math.prod(shape) * dtype.itemsize
    memory = make(n_bytes + 64, dtype=np.uint8)
    first = -memory.ctypes.data % 64
    return memory[first : first + n_bytes].view(dtype).reshape(shape)


def batch_sizes(n: int, batch_size: int) -> NDArray[np.int64]:
    """Return the rows of each batch of an epoch; the last one has what is left."""
    size = min(batch_size, n)
    sizes = np.full(-(-n // size), size)
    sizes[-1] = n - size * (len(sizes) - 1)
    return sizes


def inside(code: NDArray[Any], n_outputs: int) -> NDArray[np.bool_]:
    """Return (rows, outputs): whether a row's class code is that of the output; a single output's is 1."""
    codes = np.array([1]) if n_outputs == 1 else np.arange(n_outputs)
    return code.astype(np.intp)[:, None] == codes
