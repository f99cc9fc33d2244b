"""Steps over the size of the gradients so far: their sum of squares, or a running mean of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ._optimizer import Optimizer

__all__ = ["FTRL", "Adadelta", "Adagrad", "RMSprop"]


@dataclass(frozen=True, repr=False)
class Adagrad(Optimizer):
    """The gradient over the root of the sum of all squared gradients.

    ``h += g**2``, ``w -= rate * g / (sqrt(h) + epsilon)``. Rare features keep large steps, which suits sparse data.

    Parameters
    ----------
    learning_rate : float in (0, inf), callable, str or None, default=None
        The rate, a schedule or the name of one; None: 0.01. See `Optimizer`.
    lr_decay : float in [0, inf), default=0.0
        The rate of step t = 0, 1, ... is divided by ``1 + t * lr_decay``.
    epsilon : float in [0, inf), default=1e-10
        Added to the root.
    initial_accumulator : float in [0, inf), default=0.0
        Where the sum starts.
    weight_decay : float in [0, inf), default=0.0
        Coupled: ``weight_decay * w`` is added to the gradient.
    clip_value, clip_norm : float in (0, inf) or None, default=None
        Limits of the gradient's entries and of its norm. See `Optimizer`.
    lazy : bool, default=False
        Whether parameters that a batch of sparse rows or of codes does not touch stand still. See `Optimizer`.

    References
    ----------
    Duchi, Hazan & Singer (2011), "Adaptive subgradient methods for online learning and stochastic optimization".

    Examples
    --------
    >>> import numpy as np
    >>> from fusedgrad.optimizers import Adagrad
    >>> w, opt = np.array([1.0, -2.0]), Adagrad(0.1)
    >>> opt.step(w, np.array([0.5, 0.0]), opt.init(w))
    >>> w
    array([ 0.9, -2. ])
    """

    name: ClassVar[str] = "adagrad"
    default_rate: ClassVar[float] = 0.01
    linear_rate: ClassVar[float | None] = 0.1

    lr_decay: float = 0.0
    epsilon: float = 1e-10
    initial_accumulator: float = 0.0


@dataclass(frozen=True, repr=False)
class Adadelta(Optimizer):
    """The gradient over its root mean square, times the root mean square of the steps so far; the rate may stay at 1.

    ``v = rho * v + (1 - rho) * g**2``, ``d = g * sqrt(u + epsilon) / sqrt(v + epsilon)``,
    ``u = rho * u + (1 - rho) * d**2``, ``w -= rate * d``.

    Parameters
    ----------
    learning_rate : float in (0, inf), callable, str or None, default=None
        The rate, a schedule or the name of one; None: 1.0. See `Optimizer`.
    rho : float in [0, 1), default=0.9
        Decay of both means of squares.
    epsilon : float in [0, inf), default=1e-06
        Added under the roots; it decides on the first steps.
    weight_decay : float in [0, inf), default=0.0
        Coupled: ``weight_decay * w`` is added to the gradient.
    clip_value, clip_norm : float in (0, inf) or None, default=None
        Limits of the gradient's entries and of its norm. See `Optimizer`.
    lazy : bool, default=False
        Whether parameters that a batch of sparse rows or of codes does not touch stand still. See `Optimizer`.

    References
    ----------
    Zeiler (2012), "ADADELTA: an adaptive learning rate method".

    Examples
    --------
    >>> import numpy as np
    >>> from fusedgrad.optimizers import Adadelta
    >>> w, opt = np.array([1.0, -2.0]), Adadelta()
    >>> opt.step(w, np.array([0.5, 0.0]), opt.init(w))
    >>> w
    array([ 0.99683779, -2.        ])
    """

    name: ClassVar[str] = "adadelta"
    default_rate: ClassVar[float] = 1.0
    linear_rate: ClassVar[float | None] = 1.0

    rho: float = 0.9
    epsilon: float = 1e-6


@dataclass(frozen=True, repr=False)
class RMSprop(Optimizer):
    """The gradient over its root mean square, with momentum where wanted.

    ``v = alpha * v + (1 - alpha) * g**2``, ``w -= rate * g / (sqrt(v) + epsilon)``. With momentum
    ``m = momentum * m + g / (sqrt(v) + epsilon)``, ``w -= rate * m``.

    Parameters
    ----------
    learning_rate : float in (0, inf), callable, str or None, default=None
        The rate, a schedule or the name of one; None: 0.01. See `Optimizer`.
    alpha : float in [0, 1), default=0.99
        Decay of the mean of squares.
    epsilon : float in [0, inf), default=1e-08
        Added to the root.
    momentum : float in [0, 1), default=0.0
        The share of the last step that is kept.
    centered : bool, default=False
        Whether v is the variance: the square of the gradients' mean is taken off.
    weight_decay : float in [0, inf), default=0.0
        Coupled: ``weight_decay * w`` is added to the gradient.
    clip_value, clip_norm : float in (0, inf) or None, default=None
        Limits of the gradient's entries and of its norm. See `Optimizer`.
    lazy : bool, default=False
        Whether parameters that a batch of sparse rows or of codes does not touch stand still. See `Optimizer`.

    References
    ----------
    Tieleman & Hinton (2012), "Neural networks for machine learning", lecture 6.5; centered: Graves (2013), "Generating
    sequences with recurrent neural networks". A variance that rounding makes negative counts as zero (in torch it makes
    the weights NaN).

    Examples
    --------
    >>> import numpy as np
    >>> from fusedgrad.optimizers import RMSprop
    >>> w, opt = np.array([1.0, -2.0]), RMSprop(0.01)
    >>> opt.step(w, np.array([0.5, 0.0]), opt.init(w))
    >>> w
    array([ 0.90000002, -2.        ])
    """

    name: ClassVar[str] = "rmsprop"
    default_rate: ClassVar[float] = 0.01
    linear_rate: ClassVar[float | None] = 0.01

    alpha: float = 0.99
    epsilon: float = 1e-8
    momentum: float = 0.0
    centered: bool = False


@dataclass(frozen=True, repr=False)
class FTRL(Optimizer):
    """Follow the regularised leader, proximal: for sparse data, with an L1 penalty that gives exact zeros.

    Without penalty it is Adagrad with ``eta = rate / (beta + sqrt(h))``. The penalties `l1` and `l2` are those of all
    steps together. In an estimator the objective's penalty joins them, growing with the steps.

    Parameters
    ----------
    learning_rate : float in (0, inf), callable, str or None, default=None
        The rate, a schedule or the name of one; None: 0.1. See `Optimizer`.
    beta : float in (0, inf), default=1.0
        Added to the root of the sum of squares.
    l1 : float in [0, inf), default=0.0
        The L1 penalty.
    l2 : float in [0, inf), default=0.0
        The L2 penalty.
    weight_decay : float in [0, inf), default=0.0
        Coupled: ``weight_decay * w`` is added to the gradient.
    clip_value, clip_norm : float in (0, inf) or None, default=None
        Limits of the gradient's entries and of its norm. See `Optimizer`.
    lazy : bool, default=False
        Whether parameters that a batch of sparse rows or of codes does not touch stand still. See `Optimizer`.

    References
    ----------
    McMahan et al. (2013), "Ad click prediction: a view from the trenches". It starts from the weights given, and the
    rate may change from step to step.

    Examples
    --------
    >>> import numpy as np
    >>> from fusedgrad.optimizers import FTRL
    >>> w, opt = np.array([1.0, -2.0]), FTRL(0.1, l1=0.7)
    >>> opt.step(w, np.array([0.5, 0.0]), opt.init(w))
    >>> w
    array([ 0.96666667, -2.        ])
    """

    name: ClassVar[str] = "ftrl"
    default_rate: ClassVar[float] = 0.1
    linear_rate: ClassVar[float | None] = 0.1

    beta: float = 1.0
    l1: float = 0.0
    l2: float = 0.0
