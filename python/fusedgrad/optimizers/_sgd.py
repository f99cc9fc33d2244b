"""Gradient descent itself, with momentum or averaging."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from .._validation.parameters import InvalidParameterError
from ._optimizer import Optimizer

__all__ = ["ASGD", "SGD"]


@dataclass(frozen=True, repr=False)
class SGD(Optimizer):
    """Gradient descent, with momentum where wanted.

    ``w -= rate * g``. With momentum ``m = momentum * m + (1 - dampening) * g`` (in the first step ``m = g``), and
    ``w -= rate * m``, or with Nesterov's momentum ``w -= rate * (g + momentum * m)``.

    Parameters
    ----------
    learning_rate : float in (0, inf), callable, str or None, default=None
        The rate, a schedule or the name of one; None: 0.001. See `Optimizer`.
    momentum : float in [0, 1), default=0.0
        The share of the last step that is kept. In the long run it multiplies the rate by `lasting`.
    dampening : float in [0, 1), default=0.0
        The share of the gradient that momentum leaves out.
    nesterov : bool, default=False
        Whether to look ahead; needs momentum without dampening.
    rate_inside : bool, default=False
        Whether momentum gathers steps, ``m = momentum * m + rate * (1 - dampening) * g``, as in scikit-learn, rather
        than gradients, as in torch. The two differ where the rate changes.
    weight_decay : float in [0, inf), default=0.0
        Coupled: ``weight_decay * w`` is added to the gradient.
    clip_value, clip_norm : float in (0, inf) or None, default=None
        Limits of the gradient's entries and of its norm. See `Optimizer`.
    lazy : bool, default=False
        Whether parameters that a batch of sparse rows or of codes does not touch stand still. See `Optimizer`.

    References
    ----------
    Polyak (1964), "Some methods of speeding up the convergence of iteration methods"; Sutskever et al. (2013), "On the
    importance of initialization and momentum in deep learning". The rate stands outside m, as in torch.

    Examples
    --------
    >>> import numpy as np
    >>> from fusedgrad.optimizers import SGD
    >>> w, opt = np.array([1.0, -2.0]), SGD(0.1, momentum=0.9)
    >>> opt.step(w, np.array([0.5, 0.0]), opt.init(w))
    >>> w
    array([ 0.95, -2.  ])
    """

    name: ClassVar[str] = "sgd"
    default_rate: ClassVar[float] = 0.001
    linear_rate: ClassVar[float | None] = None

    momentum: float = 0.0
    dampening: float = 0.0
    nesterov: bool = False
    rate_inside: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.nesterov and (self.momentum == 0.0 or self.dampening != 0.0):
            raise InvalidParameterError(
                "SGD with nesterov=True needs momentum > 0 and dampening = 0. "
                f"Got momentum={self.momentum!r} and dampening={self.dampening!r}."
            )

    @property
    def lasting(self) -> float:
        """The factor by which momentum multiplies the rate in the long run."""
        return (1 - self.dampening) / (1 - self.momentum) if self.momentum else 1.0


@dataclass(frozen=True, repr=False)
class ASGD(Optimizer):
    """Gradient descent whose answer is the average of the weights on the way: see `State.average`.

    In step t = 0, 1, ... ``eta = rate / (1 + lambd * rate * t)**alpha``, ``w = (1 - lambd * eta) * w - eta * g``; in an
    estimator the fitted coefficients are the average.

    Parameters
    ----------
    learning_rate : float in (0, inf), callable, str or None, default=None
        The rate, a schedule or the name of one; None: 0.01. See `Optimizer`.
    lambd : float in [0, inf), default=0.0001
        Decay of the weights and of the rate.
    alpha : float in [0, inf), default=0.75
        The power with which the rate falls.
    t0 : float in [0, inf), default=1000000.0
        The average is that of the weights after more than t0 + 1 steps; until then it is the last weights.
    weight_decay : float in [0, inf), default=0.0
        Coupled: ``weight_decay * w`` is added to the gradient.
    clip_value, clip_norm : float in (0, inf) or None, default=None
        Limits of the gradient's entries and of its norm. See `Optimizer`.
    lazy : bool, default=False
        Whether parameters that a batch of sparse rows or of codes does not touch stand still. See `Optimizer`.

    References
    ----------
    Polyak & Juditsky (1992), "Acceleration of stochastic approximation by averaging"; in torch's form.

    Examples
    --------
    >>> import numpy as np
    >>> from fusedgrad.optimizers import ASGD
    >>> w, opt = np.array([1.0, -2.0]), ASGD(0.1, t0=0)
    >>> opt.step(w, np.array([0.5, 0.0]), opt.init(w))
    >>> w
    array([ 0.94999, -1.99998])
    """

    name: ClassVar[str] = "asgd"
    default_rate: ClassVar[float] = 0.01
    linear_rate: ClassVar[float | None] = None

    lambd: float = 1e-4
    alpha: float = 0.75
    t0: float = 1e6

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.lazy:
            raise InvalidParameterError("ASGD averages all weights in each step: lazy must be False. Got True instead.")
