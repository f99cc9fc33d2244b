"""Searches over grids, beside separate fits."""

import numpy as np
import pytest
import scipy.sparse as sp
from fusedgrad.linear_model import SGDClassifier, SGDClassifierCV, SGDRegressor, SGDRegressorCV
from sklearn.model_selection import (
    GridSearchCV,
)

N, D = 91, 6


RTOL = {np.float64: 1e-10, np.float32: 1e-5}


KINDS = ("binary", "ovr", "multinomial", "regression", "multioutput")


STORAGES = {"dense": np.ascontiguousarray, "csr": sp.csr_array}


every_kind = pytest.mark.parametrize("kind", KINDS)


shared = {
    "optimizer": "sgd",
    "learning_rate": "invscaling",
    "batch_size": 16,
    "max_iter": 4,
    "tol": None,
    "random_state": 0,
}


def data(kind, dtype=np.float64, storage="dense"):
    rng = np.random.default_rng(0)
    X = (rng.normal(size=(N, D)) * (rng.random((N, D)) < 0.7)).astype(dtype)
    raw = X @ rng.normal(size=(D, 3)) + 0.5 * rng.normal(size=(N, 3))
    y = {
        "binary": np.array(["no", "yes"])[(raw[:, 0] > 0).astype(int)],
        "ovr": raw.argmax(axis=1) + 10,
        "multinomial": np.array(list("abc"))[raw.argmax(axis=1)],
        "regression": raw[:, 0],
        "multioutput": raw,
    }[kind]
    return STORAGES[storage](X), y


def losses_of(kind):
    if kind == "multinomial":
        return ["log_loss"]
    return ["squared_error", "huber"] if kind in ("regression", "multioutput") else ["log_loss", "hinge"]


def pair(kind, *, losses=None, alphas=(1e-4, 1e-1), eta0s=(0.01, 0.1), cv=None, scoring=None, refit=True, **params):
    """The grid of this library, and scikit-learn's search over the same cells."""
    losses = losses_of(kind) if losses is None else losses
    params = {**shared, **params}
    if kind == "multinomial":
        params["multi_class"] = "multinomial"
    classes = kind in ("binary", "ovr", "multinomial")
    search = {"cv": cv, "scoring": scoring, "refit": refit}
    ours = (SGDClassifierCV if classes else SGDRegressorCV)(
        alphas=list(alphas), eta0s=list(eta0s), losses=losses, **search, **params
    )
    grid = {"alpha": list(alphas), "eta0": list(eta0s), "l1_ratio": [0.15], "loss": losses}
    return ours, GridSearchCV((SGDClassifier if classes else SGDRegressor)(**params), grid, **search)


def close(found, expected, dtype=np.float64, scale=None):
    rtol = RTOL[dtype]
    scale = np.abs(expected).max() if scale is None else scale
    np.testing.assert_allclose(found, expected, rtol=rtol, atol=rtol * scale)
