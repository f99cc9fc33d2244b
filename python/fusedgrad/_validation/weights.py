"""Weights of samples and of classes."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
from sklearn.utils import check_array

from .arrays import aligned


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
