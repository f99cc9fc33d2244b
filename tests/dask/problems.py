"""Rows for tests of shards: of several kinds, with targets for every loss."""

import numpy as np
import scipy.sparse as sp
from fusedgrad import losses
from fusedgrad.linear_model import SGDClassifier

FEATURES = 6


def rows(n=600, *, sparse=False, dtype=np.float64, seed=0):
    """X of shape (n, FEATURES), whose columns differ in scale."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, FEATURES)) * np.geomspace(0.1, 10, FEATURES)
    if not sparse:
        return X.astype(dtype)
    return sp.csr_array((X * (rng.random(X.shape) < 0.4)).astype(dtype))


def targets(X, loss, *, classes=2, seed=1):
    """Targets that X says something of."""
    rng = np.random.default_rng(seed)
    scores = X @ (rng.normal(size=(FEATURES, classes)) / np.geomspace(0.1, 10, FEATURES)[:, None])
    scores = scores + rng.gumbel(size=scores.shape)
    if loss in SGDClassifier.loss_functions:
        return scores.argmax(axis=1)
    return rng.poisson(np.exp(scores[:, 0].clip(-2, 2))) + 1.0 if loss in losses.LOG_LINK else scores[:, 0]


def weights(n, seed=2):
    """Some of them zero."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, 3, size=n) * rng.random(n)
