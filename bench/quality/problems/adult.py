"""Adult: 32,561 people, income above 50,000 or not; categories one-hot, numbers scaled, CSR float64, log loss."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import scipy.sparse as sp
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from bench.quality.recipes import recipes
from bench.quality.task import Task

from . import _files

NAME = "adult"
DESCRIPTION = "Adult, one-hot and scaled, CSR float64, 32,561 x 108, 14 non-zeros a row, log loss, alpha 1e-4"
RECIPES = recipes((16, 64, 256), sgd=(0.3, 1.0), nesterov=(0.1, 0.3), adagrad=(0.3, 1.0), adam=(0.01, 0.03))


def make(scale: float) -> Task:
    """Return the problem; real data have one size."""
    frame = pd.read_csv(io.BytesIO(_files.read("adult.csv.gz")))
    y = (frame.pop("income-per-year") == ">50K").to_numpy(np.int64)
    encoder = make_column_transformer(
        (StandardScaler(), make_column_selector(dtype_include="number")),
        (OneHotEncoder(), make_column_selector(dtype_exclude="number")),
        sparse_threshold=1.0,
    )
    X = sp.csr_array(encoder.fit_transform(frame))
    X.sort_indices()
    return Task(X, y, "log_loss", 1e-4, RECIPES)
