"""Learning-rate schedules: small immutable functions of the step.

A schedule is called with the number of mini-batch steps made so far (0 at the first step), or with an array of
such numbers, and returns the rate of that step. It does not count epochs: an epoch has
``ceil(n_samples / batch_size)`` steps. Wherever a schedule is accepted, so are a number and any callable
``step -> rate``; estimators and optimizers also take the name of a schedule, see `as_schedule`.

>>> from fusedgrad import schedules
>>> schedule = schedules.Warmup(schedules.Cosine(0.1, steps=4), steps=2, start_factor=0.5)
>>> schedule
Warmup(schedule=Cosine(rate=0.1, steps=4, end_rate=0.0), steps=2, start_factor=0.5)
>>> schedule(0), schedule(2), schedule(6)
(0.05, 0.1, 0.0)
>>> schedule([0, 1, 2, 4, 6])
array([0.05 , 0.075, 0.1  , 0.05 , 0.   ])
"""

from __future__ import annotations

import inspect
import math
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from numbers import Integral, Real
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, cast, final, get_type_hints, overload

import numpy as np
from numpy.typing import NDArray

from ._parts import Part
from ._validation.parameters import InvalidParameterError, Number, OneOf, did_you_mean, wrong_parameter

__all__ = [
    "Constant",
    "Cosine",
    "CosineRestarts",
    "Cyclic",
    "Exponential",
    "InverseScaling",
    "InverseTime",
    "Linear",
    "MultiStep",
    "OneCycle",
    "Optimal",
    "Piecewise",
    "PlateauState",
    "Polynomial",
    "ReduceOnPlateau",
    "Schedule",
    "Step",
    "Warmup",
    "as_schedule",
    "get",
    "names",
    "table",
]

Floats = NDArray[np.float64]
LAST_STEP = 2**53  # up to here every whole number is a float64
_LEAST_CHANGE = 1e-8  # torch's eps: a plateau changes a rate by more than this, or not at all


class _Several:
    """A rule: a sequence whose items another rule allows."""

    def __init__(self, rule: Number, *, increasing: bool = False):
        self.rule, self.increasing = rule, increasing

    def allows(self, value: object) -> bool:
        if not isinstance(value, (list, tuple, range, np.ndarray)) or not all(map(self.rule.allows, value)):
            return False
        return not self.increasing or all(a < b for a, b in pairwise(value))

    def __str__(self) -> str:
        return f"a sequence{', strictly increasing,' if self.increasing else ''} of numbers, each {self.rule}"


# A kind of parameter: its type, the values it may have, what to try instead of others.
_COUNT = Number(Integral, 1, LAST_STEP)
_COUNT_OR_NONE = Number(Integral, 1, LAST_STEP, none=True)
_ZERO_OR_MORE = Number(low=0, high=np.inf, open_high=True)
_POSITIVE = Number(low=0, high=np.inf, open_low=True, open_high=True)
_POSITIVE_OR_NONE = Number(low=0, high=np.inf, open_low=True, open_high=True, none=True)
_DECAY = Number(low=0, high=1, open_low=True)
_AN_EPOCH = "An epoch has ceil(n_samples / batch_size) steps."
_USUAL = "Usual rates lie between 0.001 and 1."

PositiveRate = Annotated[float, _POSITIVE, _USUAL]
Rate = Annotated[float, _ZERO_OR_MORE, _USUAL]
Steps = Annotated[int, _COUNT, _AN_EPOCH]
Boundaries = Annotated[Sequence[int], _Several(_COUNT, increasing=True), f"Try [1000, 2000]. {_AN_EPOCH}"]
Decay = Annotated[float, _DECAY, "Try 0.1 where steps are many, 0.999 where the rate decays at every step."]
Updates = Annotated[int, Number(Integral, 0, LAST_STEP), "Try 0 to 10."]


@cache
def _parameters(kind: type[Schedule]) -> list[tuple[str, Any, str]]:
    """(name, rule, what to try) of every parameter that has a rule."""
    hints = get_type_hints(kind, include_extras=True).items()
    return [(name, *hint.__metadata__) for name, hint in hints if hasattr(hint, "__metadata__")]


def _plain(value: Any) -> Any:
    """NumPy's numbers and all sequences as Python's numbers and tuples, so that equal schedules also print alike."""
    if isinstance(value, (list, tuple, range, np.ndarray)):
        return tuple(map(_plain, value))
    if isinstance(value, Real):
        return int(value) if isinstance(value, Integral) else float(value)
    return value


def _as_steps(step: object) -> NDArray[Any]:
    steps = np.asarray(step)
    if steps.size == 0:
        return steps
    if steps.dtype.kind not in "iu" or steps.min() < 0 or steps.max() > LAST_STEP:
        raise InvalidParameterError(
            "step must be the number of steps made so far, a whole number in the range "
            f"[0, {LAST_STEP}], or an array of them. Got {step!r}."
        )
    return steps


class Schedule(Part, ABC):
    """A learning rate as a function of the step.

    The classes of this module are its subclasses. They are immutable, compare by value, and can be hashed, copied
    and pickled; `set_params` returns a new one. For a rule of your own, no class is needed: any callable
    ``step -> rate`` is a schedule.
    """

    _spans_training: ClassVar[bool] = False  # whether `steps` is the length of the whole training

    def __post_init__(self) -> None:
        for name, rule, hint in _parameters(type(self)):
            value = getattr(self, name)
            if not rule.allows(value):
                raise wrong_parameter(self, name, rule, value, hint)
            object.__setattr__(self, name, _plain(value))  # the dataclass is frozen

    @overload
    def __call__(self, step: int) -> float: ...
    @overload
    def __call__(self, step: Sequence[int] | NDArray[np.integer[Any]]) -> Floats: ...
    def __call__(self, step: object) -> float | Floats:
        """Return the rate of a step.

        Parameters
        ----------
        step : int or array-like of int, of any shape
            The number of steps made so far, in [0, 2**53].

        Returns
        -------
        float, or ndarray of float64 of the shape of `step`

        Raises
        ------
        ValueError
            If a step is negative, too large or not a whole number.
        """
        steps = _as_steps(step)
        # always one dimension: NumPy may round powers of single numbers and of arrays differently
        rates = _rates_of(self, steps.astype(np.float64).ravel())
        return rates.reshape(steps.shape) if steps.ndim else float(rates[0])

    @abstractmethod
    def _rates(self, step: Floats) -> Floats:
        """The rates of a one-dimensional array of steps."""


def _mix(keep: Floats, start: float, end: float) -> Floats:
    """From start (keep 1) to end (keep 0); both are met exactly."""
    return keep * start + (1 - keep) * end


def _progress(step: Floats, first: float, last: float) -> Floats:
    """How much of the way from one step to another is done, in [0, 1]."""
    return np.clip((step - first) / max(last - first, 1e-12), 0, 1)


def _half_cosine(done: Floats) -> Floats:
    """From 1 (nothing done) to 0 (all done)."""
    return (1 + np.cos(np.pi * done)) / 2


@final
@dataclass(frozen=True)
class Constant(Schedule):
    """The same rate at every step.

    Parameters
    ----------
    rate : float in (0, inf)
        The rate.

    Examples
    --------
    >>> from fusedgrad.schedules import Constant
    >>> Constant(0.1)([0, 1, 1000])
    array([0.1, 0.1, 0.1])
    """

    rate: PositiveRate

    def _rates(self, step: Floats) -> Floats:
        return np.full_like(step, self.rate)


@final
@dataclass(frozen=True)
class Step(Schedule):
    """A rate that is multiplied by `decay` every so many steps: ``rate * decay ** (step // steps)``.

    Parameters
    ----------
    rate : float in (0, inf)
        The first rate.
    steps : int >= 1
        How many steps keep the same rate.
    decay : float in (0, 1], default=0.1
        The factor from one rate to the next.

    Notes
    -----
    ``StepLR`` of torch.

    Examples
    --------
    >>> from fusedgrad.schedules import Step
    >>> Step(0.8, steps=2, decay=0.5)([0, 1, 2, 3, 4])
    array([0.8, 0.8, 0.4, 0.4, 0.2])
    """

    rate: PositiveRate
    steps: Steps
    decay: Decay = 0.1

    def _rates(self, step: Floats) -> Floats:
        return self.rate * self.decay ** (step // self.steps)


@final
@dataclass(frozen=True)
class Piecewise(Schedule):
    """One rate up to the first boundary, another one up to the second, and so on.

    Parameters
    ----------
    boundaries : sequence of int >= 1, strictly increasing
        The steps at which a new rate begins.
    values : sequence of float in [0, inf), one more than boundaries
        The rates; ``values[i]`` holds while ``boundaries[i - 1] <= step < boundaries[i]``.

    Raises
    ------
    ValueError
        If the number of values is not the number of boundaries plus one.

    See Also
    --------
    MultiStep : The rates of all pieces from one factor.

    Examples
    --------
    >>> from fusedgrad.schedules import Piecewise
    >>> Piecewise([2, 4], [0.5, 0.1, 0.2])([0, 1, 2, 3, 4])
    array([0.5, 0.5, 0.1, 0.1, 0.2])
    """

    boundaries: Boundaries
    values: Annotated[Sequence[float], _Several(_ZERO_OR_MORE), _USUAL]

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.values) != len(self.boundaries) + 1:
            raise InvalidParameterError(
                f"The 'values' parameter of Piecewise must have one value more than boundaries, which are "
                f"{len(self.boundaries)}. Got {len(self.values)} values. Give the rate before the first boundary too."
            )

    def _rates(self, step: Floats) -> Floats:
        return np.array(self.values, np.float64)[np.searchsorted(self.boundaries, step, side="right")]


@final
@dataclass(frozen=True)
class MultiStep(Schedule):
    """A rate that is multiplied by `gamma` at each milestone.

    Parameters
    ----------
    rate : float in (0, inf)
        The first rate.
    milestones : sequence of int >= 1, strictly increasing
        The steps at which the rate changes.
    gamma : float in (0, 1], default=0.1
        The factor from one rate to the next.

    See Also
    --------
    Piecewise : Any rates between boundaries.

    Notes
    -----
    ``MultiStepLR`` of torch.

    Examples
    --------
    >>> from fusedgrad.schedules import MultiStep
    >>> MultiStep(0.8, milestones=[1, 3], gamma=0.5)([0, 1, 2, 3, 4])
    array([0.8, 0.4, 0.4, 0.2, 0.2])
    """

    rate: PositiveRate
    milestones: Boundaries
    gamma: Decay = 0.1

    def _rates(self, step: Floats) -> Floats:
        passed = np.searchsorted(self.milestones, step, side="right")
        return self.rate * self.gamma ** passed.astype(np.float64)


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
    power: Annotated[float, _POSITIVE, "Try 1 (a line) or 2."] = 1.0

    def _rates(self, step: Floats) -> Floats:
        return _mix((1 - _progress(step, 0, self.steps)) ** self.power, self.rate, self.end_rate)


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
        return _mix(1 - _progress(step, 0, self.steps), self.rate, self.end_rate)


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
    decay: Annotated[float, _ZERO_OR_MORE, "Try 1.0, which halves the rate after `steps` steps."]
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
    power: Annotated[float, _ZERO_OR_MORE, "Try 0.5 or 0.25."] = 0.5

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

    alpha: Annotated[float, _POSITIVE, "Try the penalty's alpha, such as 0.0001."]
    t0: Annotated[float | None, _POSITIVE_OR_NONE, "Try None."] = None

    def _rates(self, step: Floats) -> Floats:
        t0 = self.alpha**-0.75 if self.t0 is None else self.t0
        return 1 / (self.alpha * (t0 + step))


@final
@dataclass(frozen=True)
class Cosine(Schedule):
    """From one rate to another along half a cosine, then constant.

    ``end_rate + (rate - end_rate) * (1 + cos(pi * step / steps)) / 2`` while ``step < steps``.

    Parameters
    ----------
    rate : float in [0, inf)
        The first rate.
    steps : int >= 1
        The step at which `end_rate` is reached.
    end_rate : float in [0, inf), default=0.0
        The last rate.

    Notes
    -----
    ``CosineAnnealingLR`` of torch up to `steps`; later torch's rate rises again, and this one stays.

    References
    ----------
    Loshchilov and Hutter, "SGDR: stochastic gradient descent with warm restarts", 2017, equation 5.

    Examples
    --------
    >>> from fusedgrad.schedules import Cosine
    >>> Cosine(0.4, steps=4)([0, 2, 4, 5])
    array([0.4, 0.2, 0. , 0. ])
    """

    _spans_training: ClassVar[bool] = True

    rate: Rate
    steps: Steps
    end_rate: Rate = 0.0

    def _rates(self, step: Floats) -> Floats:
        return _mix(_half_cosine(_progress(step, 0, self.steps)), self.rate, self.end_rate)


@final
@dataclass(frozen=True)
class CosineRestarts(Schedule):
    """Half cosines one after another; each begins anew at the first rate (SGDR).

    Parameters
    ----------
    rate : float in [0, inf)
        The rate at the beginning of each cycle.
    steps : int >= 1
        The length of the first cycle.
    t_mult : int >= 1, default=1
        How many times as long as the one before each cycle is.
    end_rate : float in [0, inf), default=0.0
        The rate that a cycle approaches. The next one begins at the step that would reach it.

    Notes
    -----
    ``CosineAnnealingWarmRestarts`` of torch.

    References
    ----------
    Loshchilov and Hutter, "SGDR: stochastic gradient descent with warm restarts", 2017.

    Examples
    --------
    >>> from fusedgrad.schedules import CosineRestarts
    >>> CosineRestarts(0.4, steps=2, t_mult=2)([0, 1, 2, 4, 6])
    array([0.4, 0.2, 0.4, 0.2, 0.4])
    """

    rate: Rate
    steps: Steps
    t_mult: Annotated[int, _COUNT, "Try 1 or 2."] = 1
    end_rate: Rate = 0.0

    def _rates(self, step: Floats) -> Floats:
        if self.t_mult == 1:
            done = step % self.steps / self.steps
        else:
            starts, lengths = [0], [self.steps]
            while starts[-1] + lengths[-1] <= LAST_STEP:
                starts.append(starts[-1] + lengths[-1])
                lengths.append(lengths[-1] * self.t_mult)
            cycle = np.searchsorted(starts, step, side="right") - 1
            done = (step - np.array(starts, np.float64)[cycle]) / np.array(lengths, np.float64)[cycle]
        return _mix(_half_cosine(done), self.rate, self.end_rate)


@final
@dataclass(frozen=True)
class OneCycle(Schedule):
    """Up from a small rate to a large one, then down to almost nothing (Smith's one-cycle policy).

    The rate goes from ``rate / div_factor`` at step 0 to `rate` at step ``pct_start * steps - 1`` and to
    ``rate / div_factor / final_div_factor`` at step ``steps - 1``, where it stays.

    Parameters
    ----------
    rate : float in (0, inf)
        The largest rate.
    steps : int >= 1
        The length of the cycle.
    pct_start : float in [0, 1], default=0.3
        The part of the cycle in which the rate rises. If that is less than two steps, it begins at its largest.
    anneal : {'cos', 'linear'}, default='cos'
        The shape of the way up and of the way down.
    div_factor : float in [1, inf), default=25.0
        How many times smaller than the largest rate the first is.
    final_div_factor : float in [1, inf), default=1e4
        How many times smaller than the first rate the last is.

    Notes
    -----
    ``OneCycleLR`` of torch with two phases (its momentum is not cycled here). torch refuses steps beyond the cycle.

    References
    ----------
    Smith and Topin, "Super-convergence: very fast training of neural networks using large learning rates", 2018.

    Examples
    --------
    >>> from fusedgrad.schedules import OneCycle
    >>> OneCycle(0.5, steps=10, anneal="linear", div_factor=5, final_div_factor=10)([0, 1, 2, 9, 10])
    array([0.1 , 0.3 , 0.5 , 0.01, 0.01])
    """

    _spans_training: ClassVar[bool] = True

    rate: PositiveRate
    steps: Steps
    pct_start: Annotated[float, Number(low=0, high=1), "Try 0.3."] = 0.3
    anneal: Annotated[Literal["cos", "linear"], OneOf("cos", "linear"), "Try 'cos'."] = "cos"
    div_factor: Annotated[float, Number(low=1, high=np.inf, open_high=True), "Try 25."] = 25.0
    final_div_factor: Annotated[float, Number(low=1, high=np.inf, open_high=True), "Try 10000."] = 1e4

    def _rates(self, step: Floats) -> Floats:
        first = self.rate / self.div_factor
        peak = max(self.pct_start * self.steps - 1, 0)
        rise, fall = _progress(step, 0, peak), _progress(step, peak, self.steps - 1)
        if self.anneal == "cos":
            rise, fall = 1 - _half_cosine(rise), 1 - _half_cosine(fall)
        up = _mix(1 - rise, first, self.rate)
        down = _mix(1 - fall, self.rate, first / self.final_div_factor)
        return np.where(step < peak, up, down)


@final
@dataclass(frozen=True)
class Cyclic(Schedule):
    """Up and down between two rates, again and again (Smith's cyclical rates).

    Parameters
    ----------
    rate : float in [0, inf)
        The smallest rate, with which each cycle begins.
    max_rate : float in [rate, inf)
        The largest rate of the first cycle.
    steps_up : int >= 1, default=2000
        The steps from the smallest to the largest rate.
    steps_down : int >= 1 or None, default=None
        The steps back. None: as many as up.
    mode : {'triangular', 'triangular2', 'exp_range'}, default='triangular'
        'triangular': all cycles are alike. 'triangular2': each is half as high as the one before.
        'exp_range': the height is multiplied by ``gamma ** step``.
    gamma : float in (0, 1], default=1.0
        The decay of ``mode='exp_range'``; the other modes take none.

    Raises
    ------
    ValueError
        If max_rate is smaller than rate, or if gamma is given to a mode that has none.

    Notes
    -----
    ``CyclicLR`` of torch (its momentum is not cycled here).

    References
    ----------
    Smith, "Cyclical learning rates for training neural networks", 2017.

    Examples
    --------
    >>> from fusedgrad.schedules import Cyclic
    >>> Cyclic(0.1, 0.5, steps_up=2, mode="triangular2")([0, 1, 2, 3, 4, 5, 6])
    array([0.1, 0.3, 0.5, 0.3, 0.1, 0.2, 0.3])
    """

    rate: Rate
    max_rate: Rate
    steps_up: Steps = 2000
    steps_down: Annotated[int | None, _COUNT_OR_NONE, "Try None."] = None
    mode: Annotated[
        Literal["triangular", "triangular2", "exp_range"],
        OneOf("triangular", "triangular2", "exp_range"),
        "Try 'triangular'.",
    ] = "triangular"
    gamma: Annotated[float, _DECAY, "Try 0.9999 with mode='exp_range'."] = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.max_rate < self.rate:
            raise InvalidParameterError(
                f"The 'max_rate' parameter of Cyclic must be at least rate={self.rate!r}. Got {self.max_rate!r} "
                "instead. Swap the two."
            )
        if self.gamma != 1 and self.mode != "exp_range":
            raise InvalidParameterError(
                f"The 'gamma' parameter of Cyclic must be 1 with mode={self.mode!r}, which does not use it. Got "
                f"{self.gamma!r} instead. Try mode='exp_range'."
            )

    def _rates(self, step: Floats) -> Floats:
        down = self.steps_up if self.steps_down is None else self.steps_down
        cycle, position = np.divmod(step, self.steps_up + down)
        height = np.minimum(position / self.steps_up, (self.steps_up + down - position) / down)
        if self.mode == "triangular2":
            height *= 0.5**cycle
        elif self.mode == "exp_range":
            height *= self.gamma**step
        return _mix(height, self.max_rate, self.rate)


@final
@dataclass(frozen=True)
class Warmup(Schedule):
    """A line up to the first rate of another schedule, which then begins at its own step 0.

    Parameters
    ----------
    schedule : Schedule, callable ``step -> rate`` or number
        What follows. A number stands for a constant rate.
    steps : int >= 1
        The steps before the other schedule begins.
    start_factor : float in [0, 1], default=1/3
        The first rate is this factor times the first rate of the other schedule.

    Raises
    ------
    TypeError
        If the schedule is a ReduceOnPlateau, which is not a function of the step.

    Notes
    -----
    ``SequentialLR`` of torch, of a ``LinearLR`` and another scheduler.

    References
    ----------
    Goyal et al., "Accurate, large minibatch SGD: training ImageNet in 1 hour", 2017, section 2.2.

    Examples
    --------
    >>> from fusedgrad.schedules import Step, Warmup
    >>> Warmup(Step(0.4, steps=2, decay=0.5), steps=2, start_factor=0.5)([0, 1, 2, 3, 4])
    array([0.2, 0.3, 0.4, 0.4, 0.2])
    """

    schedule: Schedule | Callable[[int], float] | float
    steps: Steps
    start_factor: Annotated[float, Number(low=0, high=1), "Try 0.1."] = 1 / 3

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.schedule, ReduceOnPlateau):
            raise InvalidParameterError(
                f"The 'schedule' parameter of Warmup must be a function of the step. Got {self.schedule!r}, whose rate "
                "follows a value that is watched. Try a number, or ReduceOnPlateau alone."
            )
        object.__setattr__(self, "schedule", as_schedule(self.schedule))

    def _rates(self, step: Floats) -> Floats:
        after = _rates_of(cast(Callable[[int], float], self.schedule), np.maximum(step - self.steps, 0))
        return after * _mix(1 - _progress(step, 0, self.steps), self.start_factor, 1.0)


class PlateauState(NamedTuple):
    """Where a ReduceOnPlateau stands.

    Attributes
    ----------
    rate : float
        The rate to use now.
    best : float
        The best value so far.
    waited : int
        The values without improvement since the last improvement or reduction.
    resting : int
        The values to come until waiting begins again.
    """

    rate: float
    best: float
    waited: int = 0
    resting: int = 0


@final
@dataclass(frozen=True)
class ReduceOnPlateau(Schedule):
    """A rate that is reduced when a value, such as the loss of an epoch, no longer improves.

    It is not a function of the step. The object itself stays immutable: `start` gives a state, and `update` gives the
    next state from a state and a value. Called with a step, it returns its first rate.

    Parameters
    ----------
    rate : float in (0, inf)
        The first rate.
    factor : float in (0, 1), default=0.1
        What the rate is multiplied by.
    patience : int >= 0, default=10
        How many values in a row may fail to improve. The next one reduces the rate.
    threshold : float in [0, 1), default=1e-4
        By which part of the best value another has to be better to count as an improvement.
    cooldown : int >= 0, default=0
        How many values after a reduction are not counted.
    min_rate : float in [0, rate], default=0.0
        The rate is not reduced below this.
    mode : {'min', 'max'}, default='min'
        Whether small or large values are good.

    Raises
    ------
    ValueError
        If min_rate is larger than rate.

    Notes
    -----
    The decisions are those of torch's ``ReduceLROnPlateau`` with a relative threshold. So NaN is not an improvement, a
    change of the rate by at most 1e-8 is not made, and values should be positive: a part of a negative best value
    has the wrong sign.

    Examples
    --------
    >>> from fusedgrad.schedules import ReduceOnPlateau
    >>> plateau = ReduceOnPlateau(0.1, factor=0.5, patience=1)
    >>> state = plateau.start()
    >>> for loss in (1.0, 0.9, 0.9, 0.9):
    ...     state = plateau.update(state, loss)
    ...     print(state.rate, state.waited)
    0.1 0
    0.1 0
    0.1 1
    0.05 0
    """

    rate: PositiveRate
    factor: Annotated[float, Number(low=0, high=1, open_low=True, open_high=True), "Try 0.1."] = 0.1
    patience: Updates = 10
    threshold: Annotated[float, Number(low=0, high=1, open_high=True), "Try 1e-4."] = 1e-4
    cooldown: Updates = 0
    min_rate: Rate = 0.0
    mode: Annotated[Literal["min", "max"], OneOf("min", "max"), "Try 'min' for losses, 'max' for scores."] = "min"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.min_rate > self.rate:
            raise InvalidParameterError(
                f"The 'min_rate' parameter of ReduceOnPlateau must be at most rate={self.rate!r}. Got "
                f"{self.min_rate!r} instead. Try 0."
            )

    def _rates(self, step: Floats) -> Floats:
        return np.full_like(step, self.rate)

    def start(self) -> PlateauState:
        """Return the state before the first value.

        Returns
        -------
        PlateauState
        """
        return PlateauState(self.rate, math.inf if self.mode == "min" else -math.inf)

    def update(self, state: PlateauState, value: float) -> PlateauState:
        """Return the state after another value.

        Parameters
        ----------
        state : PlateauState
            What `start` or `update` returned before.
        value : float
            What is watched, such as the loss of the epoch that has ended.

        Returns
        -------
        PlateauState
        """
        rate, best, waited, resting = state
        better = value < best * (1 - self.threshold) if self.mode == "min" else value > best * (1 + self.threshold)
        best, waited = (float(value), 0) if better else (best, waited + 1)
        if resting > 0:
            waited, resting = 0, resting - 1
        if waited > self.patience:
            reduced = max(rate * self.factor, self.min_rate)
            rate = reduced if rate - reduced > _LEAST_CHANGE else rate
            waited, resting = 0, self.cooldown
        return PlateauState(rate, best, waited, resting)


CATALOG: dict[str, type[Any]] = {
    re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__).lower(): kind for kind in Schedule.__subclasses__()
}


def names() -> list[str]:
    """Return the names of all schedules.

    Returns
    -------
    list of str

    Examples
    --------
    >>> from fusedgrad import schedules
    >>> schedules.names()[:3]
    ['constant', 'step', 'piecewise']
    """
    return list(CATALOG)


def get(name: str, **parameters: Any) -> Schedule:
    """Return a schedule by its name.

    Parameters
    ----------
    name : str
        One of `names`.
    **parameters
        The parameters of the schedule.

    Returns
    -------
    Schedule

    Raises
    ------
    ValueError
        If there is no such name, or a parameter is out of its range.
    TypeError
        If a parameter is missing, or the schedule has none of that name.

    Examples
    --------
    >>> from fusedgrad import schedules
    >>> schedules.get("cosine", rate=0.1, steps=1000)
    Cosine(rate=0.1, steps=1000, end_rate=0.0)
    """
    if name not in CATALOG:
        raise ValueError(
            f"There is no schedule named {name!r}. Schedules: {', '.join(CATALOG)}.{did_you_mean(name, CATALOG)}"
        )
    kind = CATALOG[name]
    signature = inspect.signature(kind)
    try:
        signature.bind(**parameters)
    except TypeError as error:
        raise TypeError(f"{kind.__name__}: {error}. Its parameters: {', '.join(signature.parameters)}.") from None
    return cast(Schedule, kind(**parameters))


def as_schedule(value: object, *, rate: float | None = None, steps: int | None = None) -> Callable[[int], float]:
    """Return the schedule that a value stands for.

    Parameters
    ----------
    value : Schedule, callable ``step -> rate``, float in (0, inf), or str
        A number becomes a `Constant`. A name of `names` becomes the schedule of that name with `rate` as its first
        parameter and, where its length is that of the training ('cosine', 'linear', 'polynomial', 'one_cycle'), with
        `steps`. Anything else is returned as it is.
    rate : float in (0, inf) or None, default=None
        The rate of a schedule that goes by its name.
    steps : int >= 1 or None, default=None
        Its length.

    Returns
    -------
    Schedule or callable

    Raises
    ------
    ValueError, TypeError
        If the value is none of these, or if a name leaves a parameter open. (One error that is both.)

    Examples
    --------
    >>> from fusedgrad import schedules
    >>> schedules.as_schedule(0.1)
    Constant(rate=0.1)
    >>> schedules.as_schedule("cosine", rate=0.1, steps=1000)
    Cosine(rate=0.1, steps=1000, end_rate=0.0)
    """
    if _POSITIVE.allows(value):
        return Constant(cast(float, value))
    if isinstance(value, str) and value in CATALOG:
        return _by_name(value, {"rate": rate, "steps": steps})
    if isinstance(value, (type, str)) or not callable(value):
        raise InvalidParameterError(
            "A schedule must be a number in (0, inf), an object of fusedgrad.schedules, the name of one that needs no "
            f"more than a rate and steps ({', '.join(map(repr, NAMEABLE))}), or a callable step -> rate. Got {value!r}."
            f"{did_you_mean(value, NAMEABLE)} Try 0.1, schedules.Cosine(0.1, steps=1000), or "
            "lambda step: 0.1 / (1 + step)."
        )
    return value


def _by_name(name: str, known: dict[str, Any]) -> Schedule:
    """The schedule of a name, where what is known (None: it is not) is all that it needs."""
    kind = CATALOG[name]
    found = {key: known[key] for key in _derived(kind) if known.get(key) is not None}
    missing = [key for key in required(kind) if key not in found]
    if missing:
        raise InvalidParameterError(
            f"The schedule {name!r} also needs {' and '.join(missing)}, which cannot be derived here. Give an object "
            f"in place of the name: {call_of(kind)}."
        )
    return cast(Schedule, kind(**found))


def required(kind: type[Schedule]) -> list[str]:
    """The parameters without a default."""
    return [p.name for p in inspect.signature(kind).parameters.values() if p.default is p.empty]


def call_of(kind: type[Schedule]) -> str:
    """How a schedule is made, for messages."""
    return f"schedules.{kind.__name__}({', '.join(f'{key}=...' for key in required(kind))})"


def _derived(kind: type[Schedule]) -> list[str]:
    """The parameters that an estimator can tell a schedule that goes by its name."""
    derivable = ["rate", "steps"] if kind._spans_training else ["rate"]
    return [name for name in derivable if name in inspect.signature(kind).parameters]


# The schedules that are complete when rate and steps are known.
NAMEABLE = tuple(name for name, kind in CATALOG.items() if set(required(kind)) <= set(_derived(kind)))


def table(schedule: Schedule | Callable[[int], float] | float, first_step: int, count: int) -> Floats:
    """Return the rates of steps in a row.

    Parameters
    ----------
    schedule : Schedule, callable ``step -> rate``, or float in (0, inf)
        A plain callable is called once a step, with an int.
    first_step : int >= 0
        The first of the steps.
    count : int >= 0
        How many steps.

    Returns
    -------
    ndarray of float64 of shape (count,)

    Raises
    ------
    ValueError
        If a rate is not a number in [0, inf). The message names the step, the rate and the schedule.

    Examples
    --------
    >>> from fusedgrad import schedules
    >>> schedules.table(lambda step: 0.1 / (1 + step), first_step=1, count=3)
    array([0.05      , 0.03333333, 0.025     ])
    """
    for name, number in (("first_step", first_step), ("count", count)):
        if not (rule := Number(Integral, 0, LAST_STEP)).allows(number):
            raise InvalidParameterError(f"The {name!r} parameter of table must be {rule}. Got {number!r} instead.")
    steps = _as_steps(np.arange(first_step, first_step + count))
    rates = _rates_of(as_schedule(schedule), steps.astype(np.float64))
    wrong = np.flatnonzero(~((rates >= 0) & (rates < np.inf)))
    if wrong.size:
        raise _wrong_rate(schedule, steps[wrong[0]], rates[wrong[0]].item())
    return rates


def _rates_of(schedule: Callable[[int], float], step: Floats) -> Floats:
    """The rates of a one-dimensional array of steps, by a Schedule or a plain callable."""
    if isinstance(schedule, Schedule):
        with np.errstate(all="ignore"):  # rates that are out of range are for `table` to report
            return schedule._rates(step)
    return np.array([_number(schedule, int(t)) for t in step], np.float64)


def _number(schedule: Callable[[int], float], step: int) -> float:
    rate: object = schedule(step)
    if isinstance(rate, np.ndarray) and rate.ndim == 0:
        rate = rate.item()
    if isinstance(rate, bool) or not isinstance(rate, Real):
        raise _wrong_rate(schedule, step, rate)
    return float(rate)


def _wrong_rate(schedule: object, step: int, rate: object) -> ValueError:
    return ValueError(
        f"A learning rate must be a number in the range [0, inf). Got {rate!r} at step {step} from {schedule!r}. "
        "Change the schedule so that each step has one finite rate that is not negative."
    )
