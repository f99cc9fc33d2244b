"""Losses with kinks under L1, elastic net and coefficients of 0 at least, beside linear and quadratic programmes."""

import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from fusedgrad import losses
from fusedgrad.linear_model import SGDClassifier, SGDRegressor
from scipy.optimize import linprog
from sklearn.linear_model import QuantileRegressor

CLASSES = ("hinge", "perceptron")
PENALTIES = {
    "l1": {"penalty": "l1"},
    "elastic net": {"penalty": "elasticnet", "l1_ratio": 0.5},
    "positive": {"positive": True},
    "positive l1": {"penalty": "l1", "positive": True},
}


def problem(loss, n=120, d=6, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d))
    raw = X @ np.r_[2.0, -1.0, np.zeros(d - 2)] + rng.standard_t(2, size=n)
    return X, np.where(raw > 0.5, 1.0, -1.0) if loss in CLASSES else raw


def fitted(loss, X, y, **params):
    estimator = SGDClassifier if loss in CLASSES else SGDRegressor
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return estimator(loss, optimizer="auto", random_state=0, **params).fit(X, y)


def strengths(alpha, params):
    share = {"l1": 1.0, "elasticnet": params.get("l1_ratio")}.get(params.get("penalty", "l2"), 0.0)
    return alpha * (1 - share), alpha * share


def objective(loss, X, y, model, l2, l1):
    coef = np.ravel(model.coef_).astype(float)
    value = losses.get(loss).value(y, X @ coef + np.ravel(model.intercept_))
    return np.mean(value) + l2 / 2 * coef @ coef + l1 * np.abs(coef).sum()


def least_hinge(X, y, l1):
    """By a linear programme over the positive and the negative part of w, those of b, and what each row costs."""
    n, d = X.shape
    signed = y[:, None] * np.c_[X, -X, np.ones(n), -np.ones(n)]
    cost = np.r_[np.full(2 * d, l1), 0, 0, np.full(n, 1 / n)]
    return linprog(cost, A_ub=-np.c_[signed, np.eye(n)], b_ub=-np.ones(n)).fun


@pytest.mark.parametrize("alpha", [1e-3, 1e-2, 0.1])
@pytest.mark.parametrize("storage", [np.asarray, sp.csr_array])
def test_hinge_with_l1(alpha, storage):
    X, y = problem("hinge")
    model = fitted("hinge", storage(X), y, alpha=alpha, penalty="l1")
    least = least_hinge(X, y, alpha)
    found = objective("hinge", X, y, model, 0.0, alpha)
    assert least - 1e-9 <= found <= least * 1.001 + 1e-9
    assert found - least <= model.optimality_gap_ * found + 1e-9
    assert model.stop_reason_ == "converged"


@pytest.mark.parametrize("quantile", [0.5, 0.9])
@pytest.mark.parametrize("alpha", [1e-2, 0.1])
def test_quantiles_with_l1(alpha, quantile):
    X, y = problem("quantile", seed=1)
    model = fitted("quantile", X, y, alpha=alpha, penalty="l1", quantile=quantile)
    peer = QuantileRegressor(quantile=quantile, alpha=alpha, solver="highs").fit(X, y)

    def value(one):
        loss = losses.get("quantile", quantile=quantile).value(y, one.predict(X))
        return np.mean(loss) + alpha * np.abs(one.coef_).sum()

    assert model.stop_reason_ == "converged"
    assert value(peer) - 1e-9 <= value(model) <= 1.001 * value(peer)
    near = fitted("quantile", X, y, alpha=alpha, penalty="l1", quantile=quantile, tol=1e-7)
    np.testing.assert_allclose(near.coef_, peer.coef_, atol=1e-3)
    assert (near.coef_[peer.coef_ == 0] == 0).all()


@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("loss", ["hinge", "perceptron", "absolute_error", "quantile", "epsilon_insensitive"])
@pytest.mark.parametrize("storage", [np.asarray, sp.csr_array])
def test_every_loss_and_penalty(loss, penalty, storage):
    X, y = problem(loss, seed=2)
    params = PENALTIES[penalty]
    model = fitted(loss, storage(X), y, alpha=0.02, **params)
    near = fitted(loss, X, y, alpha=0.02, tol=1e-6, **params)
    l2, l1 = strengths(0.02, params)
    value, least = (objective(loss, X, y, each, l2, l1) for each in (model, near))
    poor = 1e-2 * losses.get(loss).value(y, np.full(len(y), np.median(y))).mean()
    assert model.stop_reason_ == "converged"
    assert value - least <= model.optimality_gap_ * max(value, poor) + 1e-6 * poor
    if "positive" in penalty:
        assert (model.coef_ >= 0).all() and (model.coef_ == 0).any()


def test_a_large_problem_begins_on_a_sample():
    X, y = problem("hinge", n=40_000, d=8, seed=3)
    model = fitted("hinge", X, y, alpha=1e-3, penalty="l1")
    assert model.stop_reason_ == "converged" and model.passes_[0] < 1
    near = fitted("hinge", X, y, alpha=1e-3, penalty="l1", tol=1e-6)
    value, least = (objective("hinge", X, y, each, 0.0, 1e-3) for each in (model, near))
    assert value - least <= 1e-3 * value


def test_the_same_bits_for_any_number_of_threads():
    X, y = problem("absolute_error", n=20_000, seed=4)
    first, *others = (fitted("absolute_error", X, y, penalty="l1", alpha=0.01, n_jobs=k) for k in (1, 2, 5))
    for other in others:
        np.testing.assert_array_equal(first.coef_, other.coef_)
