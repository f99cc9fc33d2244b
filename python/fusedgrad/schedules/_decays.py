"""Rates that fall at every step."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, final

from ._schedule import (
    POSITIVE,
    POSITIVE_OR_NONE,
    ZERO_OR_MORE,
    Decay,
    Floats,
    PositiveRate,
    Rate,
    Schedule,
    Steps,
    mix,
    progress,
)

__all__ = ["Exponential", "InverseScaling", "InverseTime", "Linear", "Optimal", "Polynomial"]


@final
@dataclass(frozen=True)
class Exponential(Schedule):
    """A rate that decays a little at every step: ``rate * decay ** (step / steps)``.

    Parameters
    ----------
    rate : float in (0, inf)
        The first rate.
    decay : float in (0, 1]
        The factor over `steps` steps.
    steps : int >= 1, default=1
        How many steps it takes to decay by the factor.

    Notes
    -----
    With ``steps=1``, ``ExponentialLR`` of torch.

    Examples
    --------
    >>> from fusedgrad.schedules import Exponential
    >>> Exponential(0.8, decay=0.25, steps=2)([0, 1, 2, 4])
    array([0.8 , 0.4 , 0.2 , 0.05])
    """

    rate: PositiveRate
    decay: Decay
    steps: Steps = 1

    def _rates(self, step: Floats) -> Floats:
        return self.rate * self.decay ** (step / self.steps)


@final
@dataclass(frozen=True)
class Polynomial(Schedule):
    """From one rate to another along a power, then constant.

    ``end_rate + (rate - end_rate) * (1 - step / steps) ** power`` while ``step < steps``.

    Parameters
    ----------
    rate : float in [0, inf)
        The first rate.
    steps : int >= 1
        The step at which `end_rate` is reached.
    end_rate : float in [0, inf), default=0.0
        The last rate.
    power : float in (0, inf), default=1.0
        Below 1 most of the way is made late, above 1 early.

    Notes
    -----
    With ``end_rate=0``, ``PolynomialLR`` of torch.

    Examples
    --------
    >>> from fusedgrad.schedules import Polynomial
    >>> Polynomial(0.4, steps=4, power=2)([0, 1, 2, 3, 4, 5])
    array([0.4  , 0.225, 0.1  , 0.025, 0.   , 0.   ])
    """

    _spans_training: ClassVar[bool] = True

    rate: Rate
    steps: Steps
    end_rate: Rate = 0.0
    power: Annotated[float, POSITIVE, "Try 1 (a line) or 2."] = 1.0

    def _rates(self, step: Floats) -> Floats:
        return mix((1 - progress(step, 0, self.steps)) ** self.power, self.rate, self.end_rate)


@final
@dataclass(frozen=True)
class Linear(Schedule):
    """From one rate to another along a line, then constant.

    ``rate + (end_rate - rate) * step / steps`` while ``step < steps``.

    Parameters
    ----------
    rate : float in [0, inf)
        The first rate.
    steps : int >= 1
        The step at which `end_rate` is reached.
    end_rate : float in [0, inf), default=0.0
        The last rate. It may be the larger one.

    See Also
    --------
    Warmup : A line up to another schedule.

    Notes
    -----
    ``LinearLR`` of torch, with rates in place of factors.

    Examples
    --------
    >>> from fusedgrad.schedules import Linear
    >>> Linear(0.4, steps=4)([0, 1, 2, 3, 4, 5])
    array([0.4, 0.3, 0.2, 0.1, 0. , 0. ])
    """

    _spans_training: ClassVar[bool] = True

    rate: Rate
    steps: Steps
    end_rate: Rate = 0.0

    def _rates(self, step: Floats) -> Floats:
        return mix(1 - progress(step, 0, self.steps), self.rate, self.end_rate)


@final
@dataclass(frozen=True)
class InverseTime(Schedule):
    """A rate that decays with the inverse of time: ``rate / (1 + decay * step / steps)``.

    Parameters
    ----------
    rate : float in (0, inf)
        The first rate.
    decay : float in [0, inf)
        By how much the divisor grows over `steps` steps. With 1, the rate is halved after `steps` steps.
    steps : int >= 1, default=1
        The steps over which the divisor grows by `decay`.

    References
    ----------
    Robbins and Monro, "A stochastic approximation method", 1951: rates like 1 / step converge.

    Examples
    --------
    >>> from fusedgrad.schedules import InverseTime
    >>> InverseTime(0.4, decay=1.0, steps=10)([0, 10, 30])
    array([0.4, 0.2, 0.1])
    """

    rate: PositiveRate
    decay: Annotated[float, ZERO_OR_MORE, "Try 1.0, which halves the rate after `steps` steps."]
    steps: Steps = 1

    def _rates(self, step: Floats) -> Floats:
        return self.rate / (1 + self.decay * (step / self.steps))


@final
@dataclass(frozen=True)
class InverseScaling(Schedule):
    """A rate that decays with a power of time: ``rate / (step + 1) ** power``.

    Parameters
    ----------
    rate : float in (0, inf)
        The first rate.
    power : float in [0, inf), default=0.5
        The power.

    Notes
    -----
    ``learning_rate="invscaling"`` of scikit-learn, which counts samples where this counts mini-batches.

    Examples
    --------
    >>> from fusedgrad.schedules import InverseScaling
    >>> InverseScaling(0.4)([0, 3, 15])
    array([0.4, 0.2, 0.1])
    """

    rate: PositiveRate
    power: Annotated[float, ZERO_OR_MORE, "Try 0.5 or 0.25."] = 0.5

    def _rates(self, step: Floats) -> Floats:
        return self.rate / (step + 1) ** self.power


@final
@dataclass(frozen=True)
class Optimal(Schedule):
    """Bottou's rate for an objective with an L2 penalty: ``1 / (alpha * (t0 + step))``.

    Parameters
    ----------
    alpha : float in (0, inf)
        The strength of the penalty.
    t0 : float in (0, inf) or None, default=None
        The steps that count as made before the first. None: ``alpha ** -0.75``, so that the first rate is
        ``alpha ** -0.25``.

    Notes
    -----
    ``learning_rate="optimal"`` of scikit-learn, which counts samples where this counts mini-batches. Its heuristic for
    t0 comes to the default here for each of its losses.

    References
    ----------
    Bottou, "Stochastic gradient descent tricks", 2012, section 5.2.

    Examples
    --------
    >>> from fusedgrad.schedules import Optimal
    >>> Optimal(alpha=0.01, t0=100)([0, 100, 300])
    array([1.  , 0.5 , 0.25])
    """

    alpha: Annotated[float, POSITIVE, "Try the penalty's alpha, such as 0.0001."]
    t0: Annotated[float | None, POSITIVE_OR_NONE, "Try None."] = None

    def _rates(self, step: Floats) -> Floats:
        t0 = self.alpha**-0.75 if self.t0 is None else self.t0
        return 1 / (self.alpha * (t0 + step))
