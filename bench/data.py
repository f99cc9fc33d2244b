"""Synthetic data: standard normal features, labels from a noisy linear model."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

NOISE = 0.5  # the linear model's own scores have variance 1


def dense(
    rows: int, features: int, dtype: Literal["float32", "float64"], *, classes: int = 2
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Return X of shape (rows, features) in C order, and labels 0, 1, ..."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((rows, features), dtype=dtype)
    return X, _labels(X, features, classes, rng)


def sparse(rows: int, features: int, nonzeros: int) -> tuple[sp.csr_array, NDArray[np.int64]]:
    """Return float64 CSR X with `nonzeros` values a row, and labels 0 and 1.

    The columns are cut into `nonzeros` stripes of equal width; each row has one value in each stripe. So indices
    (int32) are sorted and differ.
    """
    rng = np.random.default_rng(0)
    width = features // nonzeros
    indices = rng.integers(width, size=(rows, nonzeros), dtype=np.int32)
    indices += np.arange(nonzeros, dtype=np.int32) * np.int32(width)
    indptr = np.arange(rows + 1, dtype=np.int32) * np.int32(nonzeros)
    X = sp.csr_array((rng.standard_normal(rows * nonzeros), indices.ravel(), indptr), shape=(rows, features))
    return X, _labels(X, nonzeros, 2, rng)


def _labels(X: Any, nonzeros: int, classes: int, rng: np.random.Generator) -> NDArray[np.int64]:
    outputs = 1 if classes == 2 else classes
    weights = rng.standard_normal((X.shape[1], outputs)) / np.sqrt(nonzeros)
    scores = X @ weights.astype(X.dtype) + NOISE * rng.standard_normal((X.shape[0], outputs))
    return (scores[:, 0] > 0).astype(np.int64) if classes == 2 else scores.argmax(axis=1)
