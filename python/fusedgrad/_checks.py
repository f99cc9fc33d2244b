"""What estimators accept: parameter rules, arrays, weights. Errors name the parameter and its range."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from numbers import Integral, Real
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn import get_config
from sklearn.base import BaseEstimator
from sklearn.utils import assert_all_finite, check_array
from sklearn.utils.validation import validate_data

from . import _core
from ._threads import threads_for

FLOATS = (np.float64, np.float32)
_NOT_NUMERIC = "{}, but only numbers will do. Use astype(float) for numbers in strings, and make numbers of dates."
_LARGE = 1_000_000  # numbers; below, waking a team costs more than it brings


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
        above = self.low < value if self.open_low else self.low <= value  # type: ignore[operator]
        below = value < self.high if self.open_high else value <= self.high  # type: ignore[operator]
        return bool(above and below)

    def __str__(self) -> str:
        kind = "an int" if self.kind is Integral else "a float"
        text = f"{kind} in the range {self.interval}"
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

    def __str__(self) -> str:
        return "one of " + ", ".join(map(repr, self.values))


class Either:
    """A rule: allowed by one of several rules."""

    def __init__(self, *rules: Any):
        self.rules = rules

    def allows(self, value: object) -> bool:
        return any(rule.allows(value) for rule in self.rules)

    def __str__(self) -> str:
        return " or ".join(map(str, self.rules))


class Instance:
    """A rule: an instance of a type."""

    def __init__(self, kind: type, text: str):
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


def check_parameters(estimator: BaseEstimator, rules: dict[str, Any]) -> None:
    """Raise `InvalidParameterError` for the first parameter that its rule does not allow."""
    for name, rule in rules.items():
        value = getattr(estimator, name)
        if not rule.allows(value):
            raise InvalidParameterError(
                f"The {name!r} parameter of {type(estimator).__name__} must be {rule}. Got {value!r} instead."
            )


@contextmanager
def unchanged_on_error(estimator: BaseEstimator) -> Iterator[None]:
    """Give an estimator its attributes back if the block raises. Arrays must not be changed in place."""
    before = estimator.__dict__.copy()
    try:
        yield
    except BaseException:
        estimator.__dict__.clear()
        estimator.__dict__.update(before)
        raise


def balanced_weights(codes: NDArray[np.intp], n_classes: int, sample_weight: Any) -> NDArray[np.float64]:
    """Weights that make classes equally heavy: ``sum(w) / (K * sum of w in the class)``, K the classes that have any.

    scikit-learn's ``class_weight="balanced"``, for rows with weights; 1 for a class without rows.
    """
    totals = np.bincount(codes, weights=sample_weight, minlength=n_classes).astype(np.float64)
    there = totals > 0
    return np.divide(totals.sum(), there.sum() * totals, out=np.ones(n_classes), where=there)


def check_numeric(data: Any, name: str = "X") -> None:
    """Refuse dates, times and strings, which NumPy would turn into numbers where it can.

    Raises
    ------
    ValueError
        If there are any.
    """
    if sp.issparse(data) or (type(data) is np.ndarray and data.dtype.kind in "fiub"):
        return
    dtypes = getattr(data, "dtypes", None)  # one a column, where data is a frame
    if dtypes is not None:
        dtypes = [str(dtype) for dtype in (dtypes if np.iterable(dtypes) else [dtypes])]
        for column, dtype in zip(getattr(data, "columns", [name]), dtypes, strict=False):
            if re.match(r"date|time|duration|period|str|utf8", dtype, re.IGNORECASE):
                raise ValueError(_NOT_NUMERIC.format(f"{name} has a column {column!r} of type {dtype}"))
        if not any(re.match("object|categor|enum", dtype, re.IGNORECASE) for dtype in dtypes):
            return
    values = np.asarray(data)
    if values.dtype.kind in "mMSU":
        raise ValueError(_NOT_NUMERIC.format(f"{name} has the type {values.dtype}"))
    if values.dtype.kind == "O":
        for value in values.ravel():
            if isinstance(value, (str, bytes, date, timedelta, np.datetime64, np.timedelta64)):
                raise ValueError(_NOT_NUMERIC.format(f"{name} has {value!r} in it"))


def is_plain(X: object, dtypes: tuple[Any, ...], n_features: int) -> bool:
    """Whether X is an array that the core can take as it is, so that the general checks can be spared."""
    return (
        type(X) is np.ndarray
        and X.dtype in dtypes
        and X.ndim == 2
        and X.shape[1] == n_features
        and X.shape[0] > 0
        and n_features > 0
        and X.flags.c_contiguous
    )


def check_finite(X: Any, estimator: BaseEstimator, name: str = "X") -> None:
    values = X.data if sp.issparse(X) else X
    if get_config()["assume_finite"]:
        return
    threads = threads_for(estimator.__dict__.get("n_jobs"), None, values.size) if values.size > _LARGE else 1
    if _core.all_finite(values, threads):
        return
    assert_all_finite(values, input_name=name, estimator_name=type(estimator).__name__)


def check_X(estimator: BaseEstimator, X: Any, *, dtypes: tuple[Any, ...] = FLOATS, reset: bool = False) -> Any:
    """Return X as C-contiguous array or CSR matrix of one of the dtypes, without a copy where it is one."""
    if (
        not reset
        and "feature_names_in_" not in estimator.__dict__
        and is_plain(X, dtypes, estimator.__dict__.get("n_features_in_", 0))
    ):
        check_finite(X, estimator)
        return X
    X = validate_data(
        estimator,
        X,
        accept_sparse="csr",
        dtype=list(dtypes),
        order="C",
        ensure_all_finite=False,
        reset=reset,
    )
    check_finite(X, estimator)
    return _same_index_type(X)


def _same_index_type(X: Any) -> Any:
    if sp.issparse(X) and X.indices.dtype != X.indptr.dtype:
        return type(X)((X.data, X.indices.astype(np.int64), X.indptr.astype(np.int64)), shape=X.shape)
    return X


def as_core(X: Any) -> Any:
    """X as the core takes it: an array, or the three arrays of a CSR matrix and its width."""
    return (X.data, X.indices, X.indptr, X.shape[1]) if sp.issparse(X) else X


def check_weights(weights: Any, X: Any, *, name: str = "sample_weight", zeros: bool = False) -> Any:
    """Return sample weights in X's dtype; None stays None (all ones)."""
    if weights is None:
        return None
    n = X.shape[0]
    if isinstance(weights, Real):
        weights = np.full(n, weights, dtype=X.dtype)
    weights = check_array(
        weights, ensure_2d=False, allow_nd=True, dtype=X.dtype, order="C", input_name=name, accept_sparse=False
    )
    if weights.ndim != 1:
        raise ValueError(f"{name} must be a 1D array or a scalar; got {weights.ndim} dimensions.")
    if weights.shape != (n,):
        raise ValueError(f"{name}.shape == {weights.shape}, expected {(n,)}: one weight for each row of X.")
    if not zeros and not np.any(weights):
        raise ValueError(f"{name} is zero for every sample, so there is nothing to learn. Give some a positive weight.")
    return weights


def check_validation(
    check: Callable[[Any, Any], tuple[Any, Any]], X_val: Any, y_val: Any, sample_weight_val: Any
) -> tuple[Any, Any, Any] | None:
    """Return a user's own validation rows, as `check` of X and y returns them, with weights; None: there are none."""
    if X_val is None:
        if y_val is not None or sample_weight_val is not None:
            raise ValueError("y_val and sample_weight_val belong to X_val, which was not given.")
        return None
    if y_val is None:
        raise ValueError("X_val was given without y_val.")
    try:
        X_val, y_val = check(X_val, y_val)
    except ValueError as error:  # the checks speak of X and y
        text = re.sub(r"\bX has\b", "X_val has", str(error))
        text = re.sub(r"\bInput X\b", "Input X_val", text)
        raise ValueError(re.sub(r"^(Input )?y\b", r"\1y_val", text)) from error
    return X_val, y_val, check_weights(sample_weight_val, X_val, name="sample_weight_val")


def check_X_y(
    estimator: BaseEstimator,
    X: Any,
    y: Any,
    *,
    dtypes: tuple[Any, ...] = FLOATS,
    reset: bool = False,
    name: str = "X",
    multi_output: bool = False,
    finite: bool = True,
) -> tuple[Any, Any]:
    """`check_X` together with one target a row, or with `multi_output` several.

    Without `finite`, X is not searched for NaN and infinity.
    """
    if (
        not reset
        and type(y) is np.ndarray
        and y.ndim == 1
        and y.dtype.kind in "iubf"
        and "feature_names_in_" not in estimator.__dict__
        and is_plain(X, dtypes, estimator.__dict__.get("n_features_in_", 0))
        and y.shape[0] == X.shape[0]
        and (y.dtype.kind != "f" or np.isfinite(y).all())
    ):
        if finite:
            check_finite(X, estimator, name)
        return X, y
    X, y = validate_data(
        estimator,
        X,
        y,
        accept_sparse="csr",
        dtype=list(dtypes),
        order="C",
        ensure_all_finite=False,
        multi_output=multi_output,
        reset=reset,
    )
    if finite:
        check_finite(X, estimator, name)
    return _same_index_type(X), y
