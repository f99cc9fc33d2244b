"""What all schedules have in common: kinds of parameters, and rates of steps.

Annotations are objects here and where schedules are defined, not strings: rules of parameters are read from them, and
the classes get another `__module__`, in which strings would be looked up.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import cache
from itertools import pairwise
from numbers import Integral, Real
from typing import Annotated, Any, ClassVar, get_type_hints, overload

import numpy as np
from numpy.typing import NDArray

from .._parts import Part
from .._validation.parameters import InvalidParameterError, Number, wrong_parameter

Floats = NDArray[np.float64]
LAST_STEP = 2**53  # up to here every whole number is a float64


class Several:
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
COUNT = Number(Integral, 1, LAST_STEP)
COUNT_OR_NONE = Number(Integral, 1, LAST_STEP, none=True)
ZERO_OR_MORE = Number(low=0, high=np.inf, open_high=True)
POSITIVE = Number(low=0, high=np.inf, open_low=True, open_high=True)
POSITIVE_OR_NONE = Number(low=0, high=np.inf, open_low=True, open_high=True, none=True)
DECAY = Number(low=0, high=1, open_low=True)
AN_EPOCH = "An epoch has ceil(n_samples / batch_size) steps."
USUAL = "Usual rates lie between 0.001 and 1."

PositiveRate = Annotated[float, POSITIVE, USUAL]
Rate = Annotated[float, ZERO_OR_MORE, USUAL]
Steps = Annotated[int, COUNT, AN_EPOCH]
Boundaries = Annotated[Sequence[int], Several(COUNT, increasing=True), f"Try [1000, 2000]. {AN_EPOCH}"]
Decay = Annotated[float, DECAY, "Try 0.1 where steps are many, 0.999 where the rate decays at every step."]
Updates = Annotated[int, Number(Integral, 0, LAST_STEP), "Try 0 to 10."]


@cache
def _parameters(kind: "type[Schedule]") -> list[tuple[str, Any, str]]:
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


def as_steps(step: object) -> NDArray[Any]:
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
        steps = as_steps(step)
        # always one dimension: NumPy may round powers of single numbers and of arrays differently
        rates = rates_of(self, steps.astype(np.float64).ravel())
        return rates.reshape(steps.shape) if steps.ndim else float(rates[0])

    @abstractmethod
    def _rates(self, step: Floats) -> Floats:
        """The rates of a one-dimensional array of steps."""


def mix(keep: Floats, start: float, end: float) -> Floats:
    """From start (keep 1) to end (keep 0); both are met exactly."""
    return keep * start + (1 - keep) * end


def progress(step: Floats, first: float, last: float) -> Floats:
    """How much of the way from one step to another is done, in [0, 1]."""
    return np.clip((step - first) / max(last - first, 1e-12), 0, 1)


def half_cosine(done: Floats) -> Floats:
    """From 1 (nothing done) to 0 (all done)."""
    return (1 + np.cos(np.pi * done)) / 2


def rates_of(schedule: Callable[[int], float], step: Floats) -> Floats:
    """The rates of a one-dimensional array of steps, by a Schedule or a plain callable."""
    if isinstance(schedule, Schedule):
        with np.errstate(all="ignore"):  # rates that are out of range are for `table` to report
            return schedule._rates(step)
    return np.array([number_at(schedule, int(t)) for t in step], np.float64)


def number_at(schedule: Callable[[int], float], step: int) -> float:
    rate: object = schedule(step)
    if isinstance(rate, np.ndarray) and rate.ndim == 0:
        rate = rate.item()
    if isinstance(rate, bool) or not isinstance(rate, Real):
        raise wrong_rate(schedule, step, rate)
    return float(rate)


def wrong_rate(schedule: object, step: int, rate: object) -> ValueError:
    return ValueError(
        f"A learning rate must be a number in the range [0, inf). Got {rate!r} at step {step} from {schedule!r}. "
        "Change the schedule so that each step has one finite rate that is not negative."
    )


def rate_at(schedule: Callable[[int], float], step: int) -> float:
    """The rate of a step.

    Raises
    ------
    ValueError
        If it is not a number in [0, inf).
    """
    rate = number_at(schedule, step)
    if not 0 <= rate < math.inf:
        raise wrong_rate(schedule, step, rate)
    return rate
