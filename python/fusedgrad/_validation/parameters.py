"""Rules for parameters. Errors name the parameter and its range."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator


class InvalidParameterError(ValueError, TypeError):
    """A parameter has a type or a value that is not allowed."""


class Number:
    """A rule: a real or whole number in an interval, or None where that is allowed."""

    def __init__(
        self,
        kind: type = Real,
        low: float = -np.inf,
        high: float = np.inf,
        *,
        open_low: bool = False,
        open_high: bool = False,
        none: bool = False,
    ):
        self.kind, self.low, self.high, self.none = kind, low, high, none
        self.open_low, self.open_high = open_low, open_high

    def allows(self, value: object) -> bool:
        if value is None:
            return self.none
        if type(value) is not float and type(value) is not int:
            if not isinstance(value, self.kind) or isinstance(value, (bool, np.bool_)):
                return False
        elif self.kind is Integral and type(value) is float:
            return False
        if self.kind is Real and isinstance(value, Integral) and abs(int(value)) >= 2**1024:  # no float
            return False
        above = self.low < value if self.open_low else self.low <= value  # type: ignore[operator]
        below = value < self.high if self.open_high else value <= self.high  # type: ignore[operator]
        return bool(above and below)

    def __str__(self) -> str:
        kind = "an int" if self.kind is Integral else "a float"
        everything = self.low == -np.inf and self.high == np.inf
        if everything and self.kind is not Integral and (self.open_low or self.open_high):
            kind = "a finite float"
        text = kind if everything else f"{kind} in the range {self.interval}"
        return text + " or None" if self.none else text

    @property
    def interval(self) -> str:
        left = "(" if self.open_low or self.low == -np.inf else "["
        right = ")" if self.open_high or self.high == np.inf else "]"
        return f"{left}{self.low}, {self.high}{right}"


class OneOf:
    """A rule: one of some values (strings, None, booleans)."""

    def __init__(self, *values: object, hidden: tuple[object, ...] = ()):
        self.values, self.hidden = values, hidden

    def allows(self, value: object) -> bool:
        # 1 == True, but 1 is no boolean
        return (value is None or isinstance(value, (str, bool, np.bool_))) and (
            value in self.values or value in self.hidden
        )

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(value for value in self.values if isinstance(value, str))

    def __str__(self) -> str:
        return "one of " + ", ".join(map(repr, self.values))


class Either:
    """A rule: allowed by one of several rules."""

    def __init__(self, *rules: Any):
        self.rules = rules

    def allows(self, value: object) -> bool:
        return any(rule.allows(value) for rule in self.rules)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for rule in self.rules for name in getattr(rule, "names", ()))

    def __str__(self) -> str:
        return " or ".join(map(str, self.rules))


class Instance:
    """A rule: an instance of a type, or of one of several."""

    def __init__(self, kind: type | tuple[type, ...], text: str):
        self.kind, self.text = kind, text

    def allows(self, value: object) -> bool:
        return isinstance(value, self.kind)

    def __str__(self) -> str:
        return self.text


class Function:
    """A rule: something to call, but not a class."""

    def __init__(self, text: str):
        self.text = text

    def allows(self, value: object) -> bool:
        return callable(value) and not isinstance(value, type)

    def __str__(self) -> str:
        return self.text


BOOLEAN = OneOf(True, False)


def did_you_mean(value: object, names: Iterable[object]) -> str:
    """Return " Did you mean '...'?" where one of the names is much like the value, else an empty string."""
    if not isinstance(value, str):
        return ""
    lower = {name.lower(): name for name in names if isinstance(name, str)}
    close = difflib.get_close_matches(value.lower(), lower, n=1)
    return f" Did you mean {lower[close[0]]!r}?" if close else ""


def wrong_parameter(owner: object, name: str, rule: Any, value: object, hint: str = "") -> InvalidParameterError:
    """Return the error for a parameter that its rule does not allow.

    A rule may have `names`, the strings that it allows, and a method `hint`, which says of a value what to try.
    """
    tries = [f" {hint}" if hint else "", did_you_mean(value, getattr(rule, "names", ()))]
    if hasattr(rule, "hint"):
        tries.append(rule.hint(value))
    return InvalidParameterError(
        f"The {name!r} parameter of {type(owner).__name__} must be {rule}. Got {value!r} instead.{''.join(tries)}"
    )


def check_parameters(estimator: BaseEstimator, rules: dict[str, Any]) -> None:
    """Raise `InvalidParameterError` for the first parameter that its rule does not allow."""
    for name, rule in rules.items():
        value = getattr(estimator, name)
        if not rule.allows(value):
            raise wrong_parameter(estimator, name, rule, value)


def check_n_jobs(n_jobs: int | None) -> None:
    if n_jobs == 0:
        raise InvalidParameterError("n_jobs == 0 has no meaning: use None, 1, or -1 for all threads.")
