"""Rules for the parameters of a search."""

from __future__ import annotations

import math
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.metrics import get_scorer_names

from ..._validation.parameters import BOOLEAN, Either, Function, Number, OneOf
from .._path import MOST_ALPHAS

OWN_OF_CELLS = ("alpha", "eta0", "l1_ratio", "warm_start")  # parameters of a cell alone


class ListOf:
    """A rule: a list (or another array-like) of values, at least one, that all obey a rule."""

    def __init__(self, rule: Any):
        self.rule = rule

    def allows(self, value: Any) -> bool:
        if not isinstance(value, (list, tuple)) and not hasattr(value, "__array__"):
            return False
        return np.ndim(value) == 1 and len(value) > 0 and all(map(self.rule.allows, value))

    def __str__(self) -> str:
        return f"a list of at least one value, each {self.rule}"


class NotANumber:
    """A rule: NaN."""

    def allows(self, value: object) -> bool:
        return isinstance(value, (float, np.floating)) and math.isnan(value)

    def __str__(self) -> str:
        return "nan"


class ScorerName:
    """A rule: the name of one of scikit-learn's scorers."""

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(get_scorer_names())

    def allows(self, value: object) -> bool:
        return isinstance(value, str) and value in get_scorer_names()

    def __str__(self) -> str:
        return "a name of sklearn.metrics.get_scorer_names()"


def rules_of(cell: Any) -> dict[str, Any]:
    rules = {name: rule for name, rule in cell._rules.items() if name not in OWN_OF_CELLS}
    positive = Number(low=0, open_low=True, high=np.inf, open_high=True)
    return rules | {
        "alphas": Either(Number(Integral, 1, MOST_ALPHAS), ListOf(positive)),
        "eta0s": Either(ListOf(positive), OneOf(None)),
        "l1_ratios": Either(ListOf(Number(low=0, high=1)), OneOf(None)),
        "losses": Either(ListOf(rules["loss"]), OneOf(None)),
        "scoring": Either(ScorerName(), Function("a callable scorer(estimator, X, y)"), OneOf(None)),
        "refit": BOOLEAN,
        "halving": BOOLEAN,
        "error_score": Either(Number(), NotANumber(), OneOf("raise")),
    }
