"""Adult: 32,561 people, income above 50,000 or not; CSR float64."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from bench.quality.recipes import recipes

from . import _files

FORM = "CSR float64, 32,561 x 108, 14 non-zeros a row, log loss"
RECIPES = recipes((16, 64, 256), sgd=(0.3, 1.0), nesterov=(0.1, 0.3), adagrad=(0.3, 1.0), adam=(0.01, 0.03))


def data(*, scaled: bool) -> tuple[sp.csr_array, NDArray[np.int64]]:
    """Return X, its categories one-hot, its numbers `scaled` or as they are, and labels 0 and 1."""
    frame = pd.read_csv(io.BytesIO(_files.read("adult.csv.gz")))
    y = (frame.pop("income-per-year") == ">50K").to_numpy(np.int64)
    numbers: Any = StandardScaler() if scaled else "passthrough"
    encoder = make_column_transformer(
        (numbers, make_column_selector(dtype_include="number")),
        (OneHotEncoder(), make_column_selector(dtype_exclude="number")),
        sparse_threshold=1.0,
    )
    X = sp.csr_array(encoder.fit_transform(frame))
    X.sort_indices()
    return X, y
