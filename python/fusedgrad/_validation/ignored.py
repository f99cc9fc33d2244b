"""Which parameters a fit does not use, and why: each kind of estimator has a table, asked once a fit.

Warnings are about what is fusedgrad's own: where scikit-learn's estimator silently ignores a parameter, so does ours.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache
from typing import Any

from .warn import warn

Reason = Callable[[Any], str]  # estimator -> what makes a parameter idle; "" where it is used


@cache
def _defaults(kind: Any) -> dict[str, Any]:
    return {name: parameter.default for name, parameter in inspect.signature(kind).parameters.items()}


def is_set(estimator: Any, name: str) -> bool:
    """Whether a parameter has another value than its default."""
    kind: Any = type(estimator)
    defaults = _defaults(kind)
    if name not in defaults:
        return False
    value = getattr(estimator, name)
    return not (value is defaults[name] or (type(value) is type(defaults[name]) and value == defaults[name]))


def unused(estimator: Any, table: dict[str, Reason]) -> dict[str, str]:
    """The parameters that were set in vain, each with the reason."""
    reasons = {name: table[name](estimator) for name in table if is_set(estimator, name)}
    return {name: reason for name, reason in reasons.items() if reason}


def message(name: str, value: object, reason: str) -> str:
    return f"{name}={value!r} has no effect, because {reason}."


def warn_of(estimator: Any, table: dict[str, Reason]) -> None:
    """Warn the caller of the package of each parameter that was set in vain."""
    for name, reason in unused(estimator, table).items():
        warn(message(name, getattr(estimator, name), reason))


def shown(estimator: Any, name: str) -> str:
    return f"{name}={getattr(estimator, name)!r}"
