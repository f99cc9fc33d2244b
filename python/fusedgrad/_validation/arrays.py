"""Arrays as the core takes them: C-contiguous or CSR, float32 or float64, finite, of numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn import get_config
from sklearn.base import BaseEstimator
from sklearn.utils import assert_all_finite, column_or_1d
from sklearn.utils.validation import validate_data

from .. import _core
from .._threads import threads_for

FLOATS = (np.float64, np.float32)
_LARGE = 1_000_000  # numbers; below, waking a team costs more than it brings
_REMEDY = "Convert them, for instance to days since a date: (dates - dates.min()) / np.timedelta64(1, 'D')."


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
    X = for_core(X)
    check_finite(X, estimator)
    return X


def for_core(X: Any) -> Any:
    """X in aligned arrays; sparse X as a CSR array, whose `*` multiplies numbers, with all indices in one type."""
    if not sp.issparse(X):
        return aligned(X)
    X = sp.csr_array(X)  # a container of its own for the same numbers
    parts = X.data, X.indices, X.indptr
    if X.indices.dtype == X.indptr.dtype and all(part.flags.aligned for part in parts):
        return X
    index = X.indices.dtype if X.indices.dtype == X.indptr.dtype else np.dtype(np.int64)
    rows = [aligned(part.astype(index, copy=False)) for part in parts[1:]]
    return sp.csr_array((aligned(X.data), *rows), shape=X.shape)


def as_core(X: Any) -> Any:
    """X as the core takes it: an array, or the three arrays of a CSR matrix and its width."""
    return (X.data, X.indices, X.indptr, X.shape[1]) if sp.issparse(X) else X


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
    X = for_core(X)
    if finite:
        check_finite(X, estimator, name)
    if multi_output and not sp.issparse(y) and y.ndim == 2 and y.shape[1] == 1:
        y = column_or_1d(y, warn=True)
    return X, y
