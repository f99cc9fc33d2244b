"""The folds of a cross-validation, as row numbers that every cell can be trained on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import check_cv
from sklearn.utils import check_consistent_length

from ._data import Data


def splits_of(cv: Any, data: Data, groups: Any, *, scoring: Any) -> list[tuple[Any, Any]]:
    """The folds: training rows and test rows of each, checked."""
    check_consistent_length(data.X, groups)
    splits = []
    splitter = check_cv(pairs_of(cv), data.y, classifier=data.classes is not None)
    for k, (train, test) in enumerate(splitter.split(data.X, data.y, groups)):
        train = row_numbers(train, data.X.shape[0], f"the training rows of fold {k}")
        test = row_numbers(test, data.X.shape[0], f"the test rows of fold {k}")
        check_training_rows(data, train, k)
        if scoring == "r2" and len(test) < 2:
            raise ValueError(
                f"fold {k} has one test row, but R² needs at least two. Use fewer folds, or another scoring such "
                "as 'neg_mean_squared_error'."
            )
        splits.append((train, test))
    if not splits:
        raise ValueError("cv has no folds. Give an int, a splitter or pairs of training rows and test rows.")
    return splits


def pairs_of(cv: Any) -> Any:
    """cv; where it is an iterable, a list of pairs."""
    if hasattr(cv, "split") or isinstance(cv, str) or not isinstance(cv, Iterable):
        return cv
    cv = list(cv)
    for k, split in enumerate(cv):
        if not isinstance(split, (tuple, list, np.ndarray)) or len(split) != 2:
            raise ValueError(f"cv: fold {k} must be a pair, training rows and test rows. Got {split!r}.")
    return cv


def row_numbers(part: Any, n: int, what: str) -> NDArray[np.intp]:
    """Indices of rows, of a part of a split: indices or a mask."""
    rows = np.asarray(part)
    if rows.dtype == bool and rows.shape == (n,):
        rows = np.flatnonzero(rows)
    if rows.size == 0:
        raise ValueError(f"cv: {what} must not be empty. Every fold needs rows of both kinds: try fewer folds.")
    if rows.ndim != 1 or rows.dtype.kind not in "iu":
        raise ValueError(f"cv: {what} must be indices in one dimension; got {rows.dtype} in {rows.ndim} dimensions.")
    if rows.min() < 0 or rows.max() >= n:
        raise ValueError(f"cv: {what} must be in [0, {n}); got {rows.min()} to {rows.max()}.")
    return rows.astype(np.intp, copy=False)


def check_training_rows(data: Data, rows: NDArray[np.intp], fold: int) -> None:
    if data.sample_weight is not None and not data.sample_weight[rows].any():
        raise ValueError(
            f"sample_weight is zero for every training row of fold {fold}. Shuffle the rows, or drop them."
        )
    if data.classes is None:
        return
    counts = np.bincount(data.targets[rows].astype(np.intp), minlength=len(data.classes))
    if np.count_nonzero(counts) == 1:
        raise ValueError(
            f"fold {fold} has only one class in its training rows ({data.classes[counts.argmax()]!r}). Try "
            "StratifiedKFold, or shuffle the rows."
        )
    if not counts.all():
        raise ValueError(
            f"fold {fold} has no row of class {data.classes[counts.argmin()]!r} among its training rows, so its models "
            "would not know that class. Try StratifiedKFold, fewer folds, or shuffle the rows."
        )
