"""The rates of many steps at once."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral

import numpy as np

from .._validation.parameters import InvalidParameterError, Number
from ._names import as_schedule
from ._schedule import LAST_STEP, Floats, Schedule, as_steps, rates_of, wrong_rate


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
    steps = as_steps(np.arange(first_step, first_step + count))
    rates = rates_of(as_schedule(schedule), steps.astype(np.float64))
    wrong = np.flatnonzero(~((rates >= 0) & (rates < np.inf)))
    if wrong.size:
        raise wrong_rate(schedule, steps[wrong[0]], rates[wrong[0]].item())
    return rates
