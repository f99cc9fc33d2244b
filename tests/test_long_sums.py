"""Sums over many rows: what float32 loses does not grow with the number of rows."""

import numpy as np
import pytest
import scipy.sparse as sp
from fusedgrad import _core, fit_many, optimizers
from fusedgrad.layers import BatchNorm, Dense
from fusedgrad.linear_model import SGDClassifier, SGDRegressor
from fusedgrad.neural_network import NeuralRegressor

MANY = pytest.mark.parametrize("n", [100_000, pytest.param(8_000_000, marks=pytest.mark.slow)])


def bound(n):
    """Of the error, in units of the mean size of what is added up: the promise in cpp/DECISIONS.md."""
    return 1e-6 * np.sqrt(np.log(n))


def rows(n, outputs=1):
    """Columns of ones, of numbers all but equal, and of noise; targets far from zero."""
    rng = np.random.default_rng(0)
    X = np.empty((n, 3), np.float32)
    X[:, 0], X[:, 1], X[:, 2] = 1, 0.1 + 1e-3 * rng.random(n, np.float32), rng.standard_normal(n, np.float32)
    y = 0.3 + 0.1 * rng.random((n, outputs), np.float32)
    return X, y[:, 0] if outputs == 1 else y


def assert_gradient(found, X, y):
    """The first step of least squares from zero moves by -X'(0 - y) / n, and the intercept by the mean of y."""
    X, y = X.astype(float), y.reshape(len(y), -1).astype(float)
    exact = y.T @ X / len(X)
    sizes = np.abs(y).T @ np.abs(X) / len(X)
    coef, intercept = np.atleast_2d(found[0]), np.atleast_1d(found[1])
    assert np.abs(coef - exact).max() > 0  # float32 was used
    assert (np.abs(coef - exact) <= bound(len(X)) * sizes).all()
    assert (np.abs(intercept - y.mean(axis=0)) <= bound(len(X)) * np.abs(y).mean(axis=0)).all()


def one_step(**params):
    return SGDRegressor(
        batch_size="full",
        learning_rate="constant",
        eta0=1.0,
        alpha=0.0,
        max_iter=1,
        tol=None,
        random_state=0,
        n_jobs=2,
        base_score=False,
        **params,
    )


@MANY
@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("storage", [np.asarray, sp.csr_array])
def test_a_full_batch_has_an_exact_gradient(n, outputs, storage):
    X, y = rows(n, outputs)
    model = one_step().fit(storage(X), y)
    assert_gradient((model.coef_, model.intercept_), X, y)


@pytest.mark.parametrize("optimizer", optimizers.names())
@pytest.mark.parametrize("columns", [None, 64, 4_000_000])
def test_slots_have_exact_sums_too(optimizer, columns):
    """Dense rows; sparse rows whose features are all swept; sparse rows whose features wait for those who have them."""
    X, y = rows(100_000)
    if columns is not None:
        X = sp.csr_array(X)
        X.resize((len(y), columns))
    model = one_step(optimizer=optimizer).fit(X, y)
    exact = one_step(optimizer=optimizer).fit(X.astype(float), y.astype(float))
    for slot, wide in zip(model._optimizer_state.slots, exact._optimizer_state.slots, strict=True):
        np.testing.assert_allclose(slot[:2], wide[:2], rtol=4 * bound(len(y)), atol=1e-7)


@pytest.mark.parametrize("d", [3, 170])  # 170: tiles of a model alone and of many differ
def test_many_models_have_the_bits_of_one(d):
    X, y = rows(100_000)
    X = np.resize(X, (30_000, d))
    y = y[: len(X)]
    together = fit_many([one_step() for _ in range(3)], X, y)
    alone = one_step().fit(X, y)
    for model in together:
        np.testing.assert_array_equal(model.coef_, alone.coef_)
        np.testing.assert_array_equal(model.intercept_, alone.intercept_)


@MANY
@pytest.mark.parametrize("layers", [[], [BatchNorm(affine=False)]])
def test_a_network_has_an_exact_gradient(n, layers):
    X, y = rows(n)
    head = Dense(1, init="zeros")
    net = NeuralRegressor(
        [*layers, head],
        standardize=False,
        alpha=0.0,
        optimizer=optimizers.SGD(1.0),
        batch_size="full",
        max_epochs=1,
        tol=None,
        n_jobs=2,
    ).fit(X, y)
    coef, intercept = net.weights_[-2].T, net.weights_[-1].ravel()
    if layers:
        wide = X.astype(float)
        X = ((wide - wide.mean(axis=0)) / np.sqrt(wide.var(axis=0) + 1e-5)).astype(np.float32)
        assert abs(intercept[0] - y.astype(float).mean()) <= bound(n)
        exact = y.astype(float) @ X / n
        np.testing.assert_allclose(coef[0, 1:], exact[1:], atol=1e-4)
    else:
        assert_gradient((coef, intercept), X, y)


@MANY
def test_scores_are_exact(n):
    rng = np.random.default_rng(0)
    margins, y = rng.standard_normal((n, 2), np.float32), rng.integers(0, 2, n).astype(np.float32)
    accuracy = _core.score_margins("accuracy", margins, y, 1, "sigmoid", 2)
    np.testing.assert_array_equal(accuracy, ((margins > 0) == y[:, None]).mean(axis=0))
    targets = (0.1 + margins[:, 0]).astype(np.float32)
    mse = _core.score_margins("mse", margins, targets, 1, "identity", 2)
    np.testing.assert_allclose(mse, ((margins.astype(float) - targets[:, None]) ** 2).mean(axis=0), rtol=1e-12)


@pytest.mark.parametrize("storage", [np.asarray, sp.csr_matrix])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_contributions_below_half_a_unit_of_the_weight_count(storage, dtype):
    """Each row moves the weight, of about 10, by 2.5e-8 of it at most; all rows of a batch together move it."""
    n = 4096
    X, y = storage(np.full((n, 1), 0.05, dtype)), np.full(n, 0.5)
    params = {"batch_size": 1024, "learning_rate": "constant", "eta0": 0.1, "alpha": 0, "fit_intercept": False}
    model = SGDRegressor(**params, max_iter=8_000, tol=None).fit(X, y, coef_init=np.array([9.0]))
    # A step is 2.5e-4 (10 - w): a float32 weight rests where that is half a unit in its last place.
    assert abs(model.coef_[0] - 10) < (0.02 if dtype == np.float32 else 5e-4)


def test_sparse_weights_of_float32_end_where_dense_ones_do():
    rng = np.random.default_rng(0)
    X = (rng.random((3000, 40)) < 0.2) * rng.standard_normal((3000, 40))
    y = (X @ rng.standard_normal(40) > 0).astype(int)
    params = {"batch_size": "full", "max_iter": 300, "tol": None, "learning_rate": "constant", "eta0": 2.0}
    found = [
        SGDClassifier("log_loss", alpha=1e-3, **params).fit(storage(X.astype(dtype)), y).coef_
        for storage, dtype in [(np.asarray, np.float64), (np.asarray, np.float32), (sp.csr_array, np.float32)]
    ]
    np.testing.assert_allclose(found[1], found[0], atol=2e-5)
    np.testing.assert_allclose(found[2], found[0], atol=2e-5)
