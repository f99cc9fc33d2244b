"""What estimators accept: parameter rules, arrays, weights. Errors name the parameter and its range."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from numbers import Integral, Real
from typing import Any, TypeVar

import numpy as np
import scipy.sparse as sp
from sklearn import get_config
from sklearn.base import BaseEstimator
from sklearn.utils import assert_all_finite, check_array, column_or_1d
from sklearn.utils.validation import validate_data

from . import _core
from ._threads import threads_for

FLOATS = (np.float64, np.float32)
_LARGE = 1_000_000  # numbers; below, waking a team costs more than it brings
_REMEDY = "Convert them, for instance to days since a date: (dates - dates.min()) / np.timedelta64(1, 'D')."
_Estimator = TypeVar("_Estimator", bound=BaseEstimator)


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


# ---- attributes change in one step: who interrupts a call finds all of the old or all of the new ----


def twin(estimator: _Estimator) -> _Estimator:
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

    A second Ctrl-C while it does so is endured. With a `twin` there is nothing to give back.
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


# ---- arrays ----


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
        and X.flags.aligned
    )


def aligned(array: Any) -> Any:
    """Return the array; a copy if its numbers do not begin where the processor wants them (as `np.frombuffer` may)."""
    return array if array.flags.aligned else array.copy()


def _is_time(dtype: Any) -> bool:
    """Whether a dtype of NumPy, pandas or polars is one of dates, times or durations."""
    return getattr(dtype, "kind", "") in ("m", "M") or bool(getattr(dtype, "is_temporal", bool)())


def _is_text(dtype: Any) -> bool:
    """Whether a dtype of pandas or polars is one of strings."""
    return str(dtype).lower().partition("[")[0] in ("str", "string", "utf8")


def numbers_of(X: Any, name: str = "X") -> Any:
    """Return X, which scikit-learn's checks would take for numbers even where it holds dates or strings.

    Raises
    ------
    TypeError
        If there are dates, times or durations, as scikit-learn when it predicts.
    ValueError
        If it is an array of strings or bytes, likewise, or a data frame with columns of strings. (Objects that are
        strings of numbers are converted.)
    """
    if isinstance(X, (list, tuple)):
        X = np.asarray(X)
    dtypes = getattr(X, "dtypes", None)  # of a data frame
    if dtypes is not None and np.iterable(dtypes):
        times = [f"{name!r} ({dtype})" for name, dtype in zip(X.columns, dtypes, strict=True) if _is_time(dtype)]
        if times:
            raise TypeError(
                f"{name} must hold numbers, but these columns hold dates or times: {', '.join(times)}. {_REMEDY}"
            )
        texts = [f"{name!r} ({dtype})" for name, dtype in zip(X.columns, dtypes, strict=True) if _is_text(dtype)]
        if texts:
            raise ValueError(f"X must hold numbers, but these columns hold strings: {', '.join(texts)}. Encode them.")
        return X
    dtype = getattr(X, "dtype", None)
    if _is_time(dtype):
        raise TypeError(f"{name} must hold numbers, but it holds dates or times (dtype {dtype}). {_REMEDY}")
    if getattr(dtype, "kind", "") in ("U", "S", "V"):
        np.asarray(X).astype(float)  # raises for words, and names one
        raise ValueError(
            f"{name} must hold numbers, but dtype={str(dtype)!r} is not compatible with them: it is an array of "
            f"bytes/strings. Convert it, for instance with {name}.astype(float)."
        )
    return X


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
        numbers_of(X),
        accept_sparse="csr",
        dtype=list(dtypes),
        order="C",
        ensure_all_finite=False,
        reset=reset,
    )
    X = _for_core(X)
    check_finite(X, estimator)
    return X


def _for_core(X: Any) -> Any:
    """X in aligned arrays; the two of a CSR matrix that hold indices in one type."""
    if not sp.issparse(X):
        return aligned(X)
    parts = X.data, X.indices, X.indptr
    if X.indices.dtype == X.indptr.dtype and all(part.flags.aligned for part in parts):
        return X
    index = X.indices.dtype if X.indices.dtype == X.indptr.dtype else np.dtype(np.int64)
    # A container of its own: the one that was given stays as it is.
    return type(X)((aligned(X.data), *(aligned(part.astype(index, copy=False)) for part in parts[1:])), shape=X.shape)


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
    check_not_negative(weights, name)
    if not zeros and not np.any(weights):
        raise ValueError(f"{name} is zero for every sample, so there is nothing to learn. Give some a positive weight.")
    return aligned(weights)


def check_not_negative(weights: Any, name: str) -> None:
    if weights.size and weights.min() < 0:
        raise ValueError(
            f"Negative values in data passed to `{name}`: the smallest is {weights.min():g}. Weights must be >= 0; 0 "
            "leaves a row out."
        )


def balanced_weights(codes: Any, n_classes: int, sample_weight: Any = None) -> Any:
    """Return the weight of each class that `class_weight='balanced'` stands for.

    All classes weigh the same then: ``total / (n_classes * weight of the rows of the class)``. Without sample weights
    that is scikit-learn's ``n_samples / (n_classes * np.bincount(codes))``. A class whose rows weigh nothing gets 0.
    (scikit-learn's `compute_class_weight` divides by zero there, and refuses a class without rows.)

    Parameters
    ----------
    codes : ndarray of shape (n_samples,)
        The class of each row, 0 to n_classes - 1.
    n_classes : int
    sample_weight : ndarray of shape (n_samples,), default=None
        None: all ones.

    Returns
    -------
    weights : ndarray of shape (n_classes,), float64
    """
    sums = np.bincount(np.asarray(codes).astype(np.intp), weights=sample_weight, minlength=n_classes).astype(np.float64)
    return np.divide(sums.sum(), n_classes * sums, out=np.zeros(n_classes), where=sums > 0)


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
    except (ValueError, TypeError) as error:  # the checks speak of X and y
        text = re.sub(r"\bX (has|must)\b", r"X_val \1", str(error))
        text = re.sub(r"\bInput X\b", "Input X_val", text)
        kind = ValueError if isinstance(error, ValueError) else TypeError
        raise kind(re.sub(r"^(Input )?y\b", r"\1y_val", text)) from error
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

    A column of one target a row is made one-dimensional, with scikit-learn's DataConversionWarning. Without `finite`, X
    is not searched for NaN and infinity.
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
        numbers_of(X),
        y,
        accept_sparse="csr",
        dtype=list(dtypes),
        order="C",
        ensure_all_finite=False,
        multi_output=multi_output,
        reset=reset,
    )
    X = _for_core(X)
    if finite:
        check_finite(X, estimator, name)
    if multi_output and not sp.issparse(y) and y.ndim == 2 and y.shape[1] == 1:
        y = column_or_1d(y, warn=True)
    return X, y
