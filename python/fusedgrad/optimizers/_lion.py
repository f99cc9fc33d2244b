"""Steps by the sign of the gradients alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ._optimizer import Optimizer

__all__ = ["Lion"]


@dataclass(frozen=True, repr=False)
class Lion(Optimizer):
    """Steps of the size of the rate, in the direction of the sign of a mean of gradients.

    ``w -= rate * sign(beta_1 * m + (1 - beta_1) * g)``, then ``m = beta_2 * m + (1 - beta_2) * g``. It wants a rate
    3 to 10 times smaller than Adam's. In an estimator an L1 penalty enters as a subgradient, so coefficients do not
    become exactly zero.

    Parameters
    ----------
    learning_rate : float in (0, inf), callable, str or None, default=None
        The rate, a schedule or the name of one; None: 0.0001. See `Optimizer`.
    beta_1 : float in [0, 1), default=0.9
        The share of the mean in the direction.
    beta_2 : float in [0, 1), default=0.99
        Decay of the mean of gradients.
    weight_decay : float in [0, inf), default=0.0
        Decoupled: the weights shrink by ``rate * weight_decay`` before the step.
    clip_value, clip_norm : float in (0, inf) or None, default=None
        Limits of the gradient's entries and of its norm. See `Optimizer`.
    lazy : bool, default=False
        Whether parameters that a batch of sparse rows or of codes does not touch stand still. See `Optimizer`.

    References
    ----------
    Chen et al. (2023), "Symbolic discovery of optimization algorithms".

    Examples
    --------
    >>> import numpy as np
    >>> from fusedgrad.optimizers import Lion
    >>> w, opt = np.array([1.0, -2.0]), Lion(0.01)
    >>> opt.step(w, np.array([0.5, 0.0]), opt.init(w))
    >>> w
    array([ 0.99, -2.  ])
    """

    name: ClassVar[str] = "lion"
    default_rate: ClassVar[float] = 0.0001
    linear_rate: ClassVar[float | None] = 0.03

    beta_1: float = 0.9
    beta_2: float = 0.99

    def _decoupled(self) -> bool:
        return True
