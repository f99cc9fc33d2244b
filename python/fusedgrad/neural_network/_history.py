"""Curves that grow from call to call, without a copy of a long one."""

from __future__ import annotations

from typing import Any


class Growth:
    """A history, and what this call adds to it; one list as soon as the estimator takes it over."""

    def __init__(self, values: list[float], more: list[float]):
        self.values, self.more = values, more

    def whole(self) -> list[float]:
        return [*self.values, *self.more]


def extended(before: list[float] | None, more: list[float]) -> Growth | list[float]:
    """What comes after a history, of which None is the empty one."""
    return Growth(before, more) if before else more


class History:
    """A list that belongs to the estimator: whoever asks gets a copy, so that `partial_fit` needs to make none."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, model: Any, owner: type) -> Any:
        if model is None:
            return self
        if self.name not in model.__dict__:
            raise AttributeError(f"{type(model).__name__!r} object has no attribute {self.name!r}")
        return copied(model.__dict__[self.name])

    def __set__(self, model: Any, value: Any) -> None:
        model.__dict__[self.name] = None if value is None else list(value)

    def __delete__(self, model: Any) -> None:
        del model.__dict__[self.name]


def copied(history: Growth | list[float] | None) -> list[float] | None:
    if history is None:
        return None
    return history.whole() if isinstance(history, Growth) else history.copy()
