"""A schedule before another."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, cast, final

import numpy as np

from .._validation.parameters import InvalidParameterError, Number
from ._names import as_schedule
from ._plateau import ReduceOnPlateau
from ._schedule import Floats, Schedule, Steps, mix, progress, rates_of

__all__ = ["Warmup"]


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
        after = rates_of(cast(Callable[[int], float], self.schedule), np.maximum(step - self.steps, 0))
        return after * mix(1 - progress(step, 0, self.steps), self.start_factor, 1.0)
