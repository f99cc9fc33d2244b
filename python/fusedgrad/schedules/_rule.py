"""What may be a learning rate."""

from __future__ import annotations

from ._names import CATALOG, call_of, nameable
from ._schedule import POSITIVE, Schedule


class _LearningRate:
    """A rule: what may be a learning rate. `own` are the names with a meaning of their own in the estimator."""

    def __init__(self, *own: str):
        self.names = tuple(dict.fromkeys([*own, *nameable()]))
        self._own = own

    def allows(self, value: object) -> bool:
        if isinstance(value, str):
            return value in self.names
        return POSITIVE.allows(value) or (callable(value) and not isinstance(value, type))

    def hint(self, value: object) -> str:
        """What to try in place of a value."""
        if isinstance(value, str) and value in CATALOG:
            return f" Give an object: {call_of(CATALOG[value])}."
        if isinstance(value, type) and issubclass(value, Schedule):
            return f" Call it: {value.__name__}(...)."
        return ""

    def __str__(self) -> str:
        own = f"one of {', '.join(map(repr, self._own))}, " if self._own else ""
        others = ", ".join(repr(name) for name in self.names if name not in self._own)
        return (
            f"{own}a float in the range (0, inf), an object of fusedgrad.schedules, the name of one ({others}), or a "
            "callable step -> rate"
        )


def learning_rate_rule(*own: str) -> _LearningRate:
    """The rule for a parameter that is a learning rate; `own` are the names with a meaning of their own."""
    return _LearningRate(*own)
