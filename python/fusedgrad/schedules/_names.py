"""Schedules by their names, and what else may stand for one."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache
from typing import Any, cast

from .._validation.parameters import InvalidParameterError, did_you_mean
from ._schedule import POSITIVE, Schedule

CATALOG: dict[str, type[Any]] = {}  # filled by the package, in the order of its families


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
    if POSITIVE.allows(value):
        return cast(Callable[[int], float], CATALOG["constant"](value))
    if isinstance(value, str) and value in CATALOG:
        return _by_name(value, {"rate": rate, "steps": steps})
    if isinstance(value, (type, str)) or not callable(value):
        raise InvalidParameterError(
            "A schedule must be a number in (0, inf), an object of fusedgrad.schedules, the name of one that needs no "
            f"more than a rate and steps ({', '.join(map(repr, nameable()))}), or a callable step -> rate. "
            f"Got {value!r}.{did_you_mean(value, nameable())} Try 0.1, schedules.Cosine(0.1, steps=1000), or "
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


@cache
def nameable() -> tuple[str, ...]:
    """The schedules that are complete when rate and steps are known."""
    return tuple(name for name, kind in CATALOG.items() if set(required(kind)) <= set(_derived(kind)))
