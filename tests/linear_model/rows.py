"""Estimators and rows for tests of inputs."""

import numpy as np
import pytest
import sklearn
import sklearn.linear_model
from fusedgrad.linear_model import SGDClassifier, SGDOneClassSVM, SGDRegressor
from sklearn.utils.fixes import parse_version

scikit_learn_1_9 = pytest.mark.skipif(
    parse_version(sklearn.__version__) < parse_version("1.9"), reason="compares with scikit-learn 1.9"
)


N, D = 50, 9


KINDS = (SGDClassifier, SGDRegressor, SGDOneClassSVM)


every_kind = pytest.mark.parametrize("kind", KINDS)


def data(n=N, d=D, *, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) / np.sqrt(d)
    return X, X @ rng.normal(size=d) + 0.1 * rng.normal(size=n)


def target(kind, margin):
    return {SGDClassifier: np.digitize(margin, [-0.5, 0.5]), SGDRegressor: margin, SGDOneClassSVM: None}[kind]


def estimator(kind, **params):
    return kind(**{"max_iter": 3, "tol": None, "random_state": 0, "learning_rate": "invscaling", **params})


def assert_same(a, b, rtol=0.0):
    """The same weights, to the bit unless a tolerance says otherwise."""
    for name in ("coef_", "intercept_", "offset_"):
        if hasattr(b, name):
            np.testing.assert_allclose(getattr(a, name), getattr(b, name), rtol=rtol, atol=rtol, err_msg=name)


def sparse_data(*, seed=0):
    X, margin = data(seed=seed)
    X[np.random.default_rng(seed).random(X.shape) < 0.6] = 0
    X[[0, 7]] = 0  # rows without entries
    X[:, 4] = 0  # a column without entries
    return X, margin
