"""Attributes change in one step: who interrupts a call finds all of the old ones or all of the new."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

import numpy as np
from sklearn.base import BaseEstimator

_Estimator = TypeVar("_Estimator", bound=BaseEstimator)


def shallow_copy(estimator: _Estimator) -> _Estimator:
    """Return another estimator with the same attributes: what is trained, while the first stays as it is."""
    other = object.__new__(type(estimator))
    other.__dict__.update(estimator.__dict__)
    return other


def settle(
    estimator: BaseEstimator,
    attributes: Mapping[str, Any],
    *,
    without: Iterable[str] = (),
    in_place: Iterable[tuple[Any, Any]] = (),
) -> None:
    """Give an estimator new attributes in one step; the others stay, but for those it is to be `without`.

    `in_place` is as for `settle_all`.
    """
    without = frozenset(without)
    others = {name: value for name, value in estimator.__dict__.items() if name not in without}
    settle_all([(estimator, {**others, **attributes})], in_place)


def settle_all(
    settled: Iterable[tuple[BaseEstimator, Mapping[str, Any]]], in_place: Iterable[tuple[Any, Any]] = ()
) -> None:
    """Replace all attributes of some estimators in one step.

    Parameters
    ----------
    settled : iterable of (estimator, attributes)
        The attributes are all that the estimator has from now on.
    in_place : iterable of (list or ndarray, values), default=()
        Attributes that stay the same objects: the values are appended to a list (so that a long history costs no more
        than what is new in it), and become those of an array.
    """
    steps: list[partial[Any]] = [
        partial(list.extend, old, new) if isinstance(old, list) else partial(np.ndarray.__setitem__, old, ..., new)
        for old, new in in_place
    ]
    steps += [partial(object.__setattr__, estimator, "__dict__", dict(attributes)) for estimator, attributes in settled]
    # C code calls C code: the interpreter, which raises KeyboardInterrupt, does not come by before all is done.
    list(map(partial.__call__, steps))


@contextmanager
def unchanged_on_error(estimator: BaseEstimator) -> Iterator[None]:
    """Give an estimator its attributes back if the block raises. Arrays must not be changed in place.

    A second Ctrl-C while it does so is endured. With a `shallow_copy` there is nothing to give back.
    """
    before = estimator.__dict__.copy()
    try:
        try:
            yield
        except BaseException:
            estimator.__dict__ = before
            raise
    except BaseException:
        estimator.__dict__ = before
        raise
