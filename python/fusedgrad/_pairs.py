"""What steps and changes of the gradient tell of the curvature: the two loops of L-BFGS.

Nocedal, "Updating quasi-Newton matrices with limited storage", Math. of Computation 1980.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_LEAST = 1e-12  # cosine between a step and the change of the gradient, below which they tell nothing
_TINY = 1e-290  # product of the two, below which so do numbers that have lost their decimals


def dot(a: Floats, b: Floats) -> float:
    """Sum of the products, not by BLAS: the same bits for any number of threads."""
    return float(np.einsum("i,i->", a.ravel(), b.ravel()))


class Pairs:
    """The last steps s and changes of the gradient y, `most` at most.

    Attributes
    ----------
    kept : deque of (s, y, 1 / s'y)
        The latest is the last.
    """

    def __init__(self, most: int):
        self.kept: deque[tuple[Floats, Floats, float]] = deque(maxlen=most)

    def __len__(self) -> int:
        return len(self.kept)

    def clear(self) -> None:
        """Forget them."""
        self.kept.clear()

    def add(self, s: Floats, y: Floats) -> None:
        """Keep a pair, if the gradient has grown along the step."""
        along = dot(s, y)
        if along > max(_TINY, _LEAST * np.sqrt(dot(s, s) * dot(y, y))):
            self.kept.append((s, y, 1.0 / along))

    def solve(self, g: Floats, inverse: Callable[[Floats], Floats], most: float = np.inf) -> Floats:
        """About the inverse Hessian times g; `inverse` is known of it besides, but for a factor, which is `most`."""
        q, shares = g.copy(), []
        for s, y, scale in reversed(self.kept):
            share = scale * dot(s, q)
            shares.append(share)
            q -= share * y
        found = inverse(q)
        if self.kept:
            s, y, _ = self.kept[-1]
            expected = dot(y, inverse(y))  # zero where y is so small that it underflows
            found *= min(most, max(1.0 / most, dot(s, y) / expected)) if expected > 0.0 else 1.0
        for (s, y, scale), share in zip(self.kept, reversed(shares), strict=True):
            found += s * (share - scale * dot(y, found))
        return found
