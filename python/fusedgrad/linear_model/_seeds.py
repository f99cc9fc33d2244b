"""The random numbers of a fit, drawn as scikit-learn draws them, so that equal seeds shuffle equally.

scikit-learn draws one number that it does not use besides the seed of the shuffle: before it in classification, after
it in regression; with several classes each class has a generator of its own. The generator of an int is made afresh in
every call, which costs more than training on one row; its numbers are therefore remembered.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from numbers import Integral
from typing import Any, TypeVar

import numpy as np
from sklearn.utils import check_random_state

_MAX_INT = np.iinfo(np.int32).max
_Split = TypeVar("_Split")


def binary(random_state: Any, split: Callable[[], _Split]) -> tuple[list[int], _Split]:
    """Seed of a binary classifier, and what `split` returns, called where scikit-learn splits off validation rows."""
    if isinstance(random_state, Integral):
        return [_second(int(random_state))], split()
    rng = check_random_state(random_state)
    rng.randint(1, _MAX_INT)
    rows = split()
    return [int(rng.randint(_MAX_INT))], rows


def multiclass(random_state: Any, n_classes: int, split: Callable[[], _Split]) -> tuple[list[int], _Split]:
    """Seeds of one-vs-rest classifiers."""
    rows = split()
    if isinstance(random_state, Integral):
        return list(_of_classes(int(random_state), n_classes)), rows
    return [_second(int(seed)) for seed in check_random_state(random_state).randint(_MAX_INT, size=n_classes)], rows


def regression(random_state: Any, split: Callable[[], _Split]) -> tuple[list[int], _Split]:
    """Seed of a regression."""
    rows = split()
    if isinstance(random_state, Integral):
        return [_first(int(random_state))], rows
    rng = check_random_state(random_state)
    seed = int(rng.randint(0, _MAX_INT))
    rng.randint(1, _MAX_INT)
    return [seed], rows


def one_class(random_state: Any) -> list[int]:
    """Seed of a one-class SVM."""
    if isinstance(random_state, Integral):
        return [_first(int(random_state))]
    return [int(check_random_state(random_state).randint(0, _MAX_INT))]


@lru_cache(maxsize=256)
def _first(seed: int) -> int:
    return int(np.random.RandomState(seed).randint(0, _MAX_INT))


@lru_cache(maxsize=256)
def _second(seed: int) -> int:
    rng = np.random.RandomState(seed)
    rng.randint(1, _MAX_INT)
    return int(rng.randint(_MAX_INT))


@lru_cache(maxsize=64)
def _of_classes(seed: int, n_classes: int) -> tuple[int, ...]:
    return tuple(_second(int(s)) for s in np.random.RandomState(seed).randint(_MAX_INT, size=n_classes))
