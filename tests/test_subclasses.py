"""Subclasses with parameters of their own: what trains is what their attributes say."""

import numpy as np
import pytest
from fusedgrad import fit_many
from fusedgrad.linear_model import SGDClassifier, SGDClassifierCV, SGDRegressor, SGDRegressorCV
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

pytestmark = pytest.mark.filterwarnings("ignore", category=ConvergenceWarning)
RNG = np.random.default_rng(0)
X = RNG.normal(size=(90, 4))
Y = X @ RNG.normal(size=4)
SHARED = {"batch_size": 16, "max_iter": 3, "tol": None, "random_state": 3}


class Ridge(SGDRegressor):
    def __init__(self, C=1.0):
        super().__init__(penalty="l2", alpha=1 / C, optimizer="adam", **SHARED)
        self.C = C


class RidgeCV(SGDRegressorCV):
    def __init__(self, Cs=(1.0, 10.0)):
        super().__init__(alphas=[1 / C for C in Cs], loss="huber", epsilon=0.3, optimizer="adam", cv=3, **SHARED)
        self.Cs = Cs


class LogisticCV(SGDClassifierCV):
    def __init__(self, C=1.0):
        super().__init__("log_loss", alphas=[1 / C], class_weight="balanced", cv=3, optimizer="sgd", **SHARED)
        self.C = C


@pytest.mark.parametrize("halving", [False, True])
def test_cells_of_a_search(halving):
    ours = RidgeCV(Cs=(1.0, 20.0))
    ours.halving = halving
    plain = SGDRegressorCV(
        alphas=[1.0, 1 / 20], loss="huber", epsilon=0.3, optimizer="adam", cv=3, halving=halving, **SHARED
    )
    for model in (ours, plain):
        model.fit(X, Y)
    np.testing.assert_array_equal(ours.coefs_paths_, plain.coefs_paths_)
    np.testing.assert_array_equal(ours.coef_, plain.coef_)
    assert ours.best_estimator_.loss == "huber"
    assert clone(ours).get_params() == {"Cs": (1.0, 20.0)}


def test_cells_of_a_classifier():
    ours, plain = (
        LogisticCV(C=50.0),
        SGDClassifierCV("log_loss", alphas=[1 / 50], class_weight="balanced", cv=3, optimizer="sgd", **SHARED),
    )
    for model in (ours, plain):
        model.fit(X, Y > 1)
    np.testing.assert_array_equal(ours.coef_, plain.coef_)
    np.testing.assert_array_equal(ours.predict_proba(X), plain.predict_proba(X))


@pytest.mark.parametrize("fitted", [False, True])
def test_path(fitted):
    ours = Ridge(C=7.0)
    if fitted:
        ours.fit(X, Y)
    before = dict(vars(ours))
    alphas, coefs, _ = ours.path(X, Y, alphas=[0.1, 1.0])
    assert vars(ours) == before
    for alpha, coef in zip(alphas, coefs.T, strict=True):
        plain = SGDRegressor(alpha=alpha, optimizer="adam", **SHARED).fit(X, Y)
        np.testing.assert_array_equal(coef, plain.coef_)


def test_path_leaves_a_random_state_as_it_is():
    rng = np.random.RandomState(0)
    model = SGDClassifier(**{**SHARED, "random_state": rng})
    before = rng.get_state()[1].tolist()
    _, coefs, _ = model.path(X, Y > 0, alphas=[0.1, 1.0])
    assert rng.get_state()[1].tolist() == before
    np.testing.assert_array_equal(coefs[:, 1], model.set_params(alpha=0.1).fit(X, Y > 0).coef_[0])


@pytest.mark.parametrize("batch_size", [1, 16])
def test_many(batch_size):
    ours = [Ridge(C=C) for C in (1.0, 100.0)]
    for model in ours:
        model.batch_size, model.optimizer = batch_size, "sgd"
    fit_many(ours, X, Y)
    for model in ours:
        plain = SGDRegressor(**{**SHARED, "batch_size": batch_size}, alpha=1 / model.C).fit(X, Y)
        np.testing.assert_array_equal(model.coef_, plain.coef_)
