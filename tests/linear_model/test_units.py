"""Automatic rates step in the data's own units: the steps by hand, scales that make no difference, and bad columns."""

import pickle
import warnings

import numpy as np
import pytest
from fusedgrad import fit_many, optimizers
from fusedgrad._training import rates
from fusedgrad.linear_model import SGDClassifier, SGDRegressor
from sklearn.exceptions import ConvergenceWarning

from . import batches
from . import minibatch_strategies as strategies

STILL = {"learning_rate": "constant", "eta0": 1e-12}
every_optimizer = pytest.mark.parametrize("optimizer", optimizers.names())


@pytest.fixture
def tables(monkeypatch):
    """The rates of all epochs."""
    made = []
    table = rates.Automatic.table

    def recorded(self, *arguments):
        made.append(table(self, *arguments))
        return made[-1]

    monkeypatch.setattr(rates.Automatic, "table", recorded)
    return made


@pytest.mark.parametrize("storage", ["C", "csr32"])
@pytest.mark.parametrize("penalty", ["l2", "elasticnet", None])
@every_optimizer
def test_steps_in_units_are_those_of_the_reference(optimizer, penalty, storage, tables):
    rng = np.random.default_rng(0)
    n, d = 60, 5
    X = rng.normal(size=(n, d)) * 10.0 ** np.arange(-2, 3)
    X = X * (rng.random((n, d)) < 0.5) if storage != "C" else X + 10.0 ** np.arange(-1, 4)
    y = X @ (rng.normal(size=d) / X.std(axis=0)) * 50 + 700 + 10 * rng.normal(size=n)
    X = strategies.stored(X, storage)
    name = type(optimizers.get(optimizer)).__name__
    params = {
        "loss": "squared_error", "penalty": penalty, "alpha": 1e-3, "l1_ratio": 0.4, "learning_rate": "optimal",
        "batch_size": 7, "max_iter": 3, "tol": None, "random_state": 1, "shuffle": True, "positive": False,
        "average": False, "fit_intercept": True, "intercept_decay": None, "epsilon": 0.1,
    }  # fmt: skip
    case = strategies.Case("regression", params, (name, {}), X, y, None)
    model = batches.fit(case)
    case.rates = np.concatenate(tables).__getitem__
    expected = batches.judged(case, units=batches.standard(case))
    # what is asked is what the predictions are
    dense = batches.dense64(X)
    coef, intercept = expected.answer(averaged=False)
    np.testing.assert_allclose(model.predict(X), dense @ coef[0] + intercept[0], rtol=0, atol=1e-8 * y.std())
    np.testing.assert_allclose(model.loss_curve_, expected.loss_curve, rtol=1e-8)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("storage", ["C", "csr32"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@every_optimizer
def test_the_scale_of_rows_and_targets_makes_no_difference(optimizer, dtype, storage):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 4))
    X = X * (rng.random(X.shape) < 0.5) if storage != "C" else X + 3
    y = X @ [1.0, -2, 0, 0.5] + rng.normal(size=300)

    def predictions(s, r, c):
        rows = strategies.stored((X * s).astype(dtype), storage)
        model = SGDRegressor(penalty=None, batch_size=32, optimizer=optimizer, max_iter=8, tol=None, random_state=0)
        return (model.fit(rows, (y * r + c).astype(dtype)).predict(rows) - c) / r

    plain = predictions(1.0, 1.0, 0.0)
    assert np.std(plain) > 0.1
    tolerance = 1e-3 if dtype == np.float32 else 1e-6
    for s, r, c in ((1e-6, 1.0, 0.0), (1e6, 1.0, 0.0), (1.0, 1e-6, 0.0), (1.0, 1e6, 1e6), (1e6, 1e-6, 0.0)):
        np.testing.assert_allclose(predictions(s, r, c), plain, rtol=0, atol=tolerance)


@pytest.mark.parametrize("storage", ["C", "csr32"])
def test_many_models_have_the_bits_of_one(storage):
    rng = np.random.default_rng(0)
    X = strategies.stored(rng.normal(size=(200, 19)) * 10.0 ** rng.uniform(-2, 2, 19) + 3, storage)
    y = rng.integers(0, 2, 200)
    models = [
        SGDClassifier("log_loss", alpha=alpha, batch_size=32, optimizer=optimizer, max_iter=5, tol=None, random_state=0)
        for optimizer in ("sgd", "adam", "ftrl")
        for alpha in (1e-4, 1e-2, 1.0)
    ]
    alone = [pickle.loads(pickle.dumps(model)).fit(X, y) for model in models]
    for model, one in zip(fit_many(models, X, y), alone, strict=True):
        np.testing.assert_array_equal(model.coef_, one.coef_)
        np.testing.assert_array_equal(model.intercept_, one.intercept_)


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adagrad", "lion"])
def test_columns_that_say_nothing_or_lie_far_away(optimizer):
    rng = np.random.default_rng(0)
    Z = rng.normal(size=(400, 3))
    y = Z @ [1.0, -2, 3] + 0.5 * rng.normal(size=400)
    junk = np.c_[np.zeros(400), np.full(400, 7.0), 1e-200 * rng.normal(size=400), rng.normal(size=400) + 1e6]
    X = np.c_[Z, junk, 1e100 * Z[:, :1]]
    model = SGDRegressor(batch_size=32, optimizer=optimizer, random_state=0).fit(X, y)
    assert model.score(X, y) > 0.95
    assert model.stop_reason_ == "converged"


@every_optimizer
def test_targets_that_are_all_equal(optimizer):
    X = np.random.default_rng(0).normal(size=(50, 3))
    model = SGDRegressor(batch_size=16, optimizer=optimizer, random_state=0).fit(X, np.full(50, 12.0))
    np.testing.assert_allclose(model.predict(X), 12.0, atol=1e-3)


def test_rows_of_weight_zero_and_duplicates():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 3))
    y = X @ [1.0, 2, 3] + 0.1 * rng.normal(size=200)
    twice = SGDRegressor(batch_size=50, random_state=0).fit(np.r_[X, X], np.r_[y, y])
    np.testing.assert_allclose(twice.coef_, [1, 2, 3], atol=0.05)
    weight = np.r_[np.ones(200), np.zeros(5)]
    rows, targets = np.r_[X, np.full((5, 3), 1e6)], np.r_[y, np.full(5, 1e9)]
    model = SGDRegressor(batch_size=50, random_state=0).fit(rows, targets, sample_weight=weight)
    np.testing.assert_allclose(model.coef_, [1, 2, 3], atol=0.05)


def test_classes_that_can_be_separated_without_a_penalty_have_no_optimum():
    X = np.r_[np.linspace(-2, -1, 50), np.linspace(1, 2, 50)][:, None]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = SGDClassifier("log_loss", penalty=None, batch_size=10, random_state=0).fit(X, X[:, 0] > 0)
    assert model.score(X, X[:, 0] > 0) == 1.0
    assert model.loss_curve_[-1] < 0.01


# ---- base scores ----


@pytest.mark.parametrize(
    ("loss", "base"),
    [
        ("squared_error", np.mean),
        ("absolute_error", np.median),
        ("quantile", lambda y: np.quantile(y, 0.8, method="inverted_cdf")),
        ("poisson", lambda y: np.log(np.mean(y))),
        ("gamma", lambda y: np.log(np.mean(y))),
    ],
)
def test_intercepts_of_regressors_start_at_the_best_constant(loss, base):
    rng = np.random.default_rng(0)
    X, y = np.zeros((101, 2)), rng.gamma(2.0, size=101) + 1
    given = {
        "loss": loss,
        "quantile": 0.8,
        "batch_size": 101,
        "learning_rate": "constant",
        "eta0": 1e-12,
        "max_iter": 1,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = SGDRegressor(**given, random_state=0).fit(X, y)
        zero = SGDRegressor(**given, random_state=0, base_score=False).fit(X, y)
    np.testing.assert_allclose(model.intercept_, base(y), atol=1e-9)
    np.testing.assert_allclose(zero.intercept_, 0.0, atol=1e-9)


@pytest.mark.parametrize("multi_class", ["ovr", "multinomial"])
def test_intercepts_of_classifiers_start_at_log_odds(multi_class):
    y = np.repeat([0, 1, 2], [50, 30, 20])
    given = {"batch_size": 100, "max_iter": 1, "tol": None, **STILL}
    model = SGDClassifier("log_loss", multi_class=multi_class, **given, random_state=0).fit(np.zeros((100, 2)), y)
    share = np.array([0.5, 0.3, 0.2])
    expected = np.log(share / (1 - share)) if multi_class == "ovr" else np.log(share) - np.log(share).mean()
    np.testing.assert_allclose(model.intercept_, expected, atol=1e-9)
    if multi_class == "multinomial":
        np.testing.assert_allclose(model.predict_proba(np.zeros((1, 2)))[0], share, atol=1e-9)


def test_an_intercept_that_is_given_is_kept():
    X, y = np.zeros((40, 2)), np.full(40, 5.0)
    given = {
        "batch_size": 40,
        "learning_rate": "constant",
        "eta0": 1e-12,
        "max_iter": 1,
        "tol": None,
        "random_state": 0,
    }
    assert SGDRegressor(**given).fit(X, y, intercept_init=[2.0]).intercept_ == pytest.approx([2.0])
    assert SGDRegressor(fit_intercept=False, **given).fit(X, y).intercept_ == [0.0]
    model = SGDRegressor(warm_start=True, **given).fit(X, y)
    assert model.set_params(max_iter=1).fit(X, y + 100).intercept_ == pytest.approx([5.0])


# ---- streams ----


@every_optimizer
def test_one_corrupt_row_first_in_a_stream(optimizer):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20000, 3))
    y = X @ [1.0, 2, 3]
    X[0, 0] = 1e6
    model = SGDRegressor(batch_size=32, optimizer=optimizer, random_state=0)
    for first in range(0, 20000, 32):
        model.partial_fit(X[first : first + 32], y[first : first + 32])
    # rules that remember the largest gradient there was take longer
    remembers = optimizer in ("adadelta", "adamax", "amsgrad", "adagrad", "ftrl")
    np.testing.assert_allclose(model.coef_, [1, 2, 3], atol=0.8 if remembers else 0.2)


def test_a_stream_far_from_zero_on_any_scale():
    rng = np.random.default_rng(0)
    model = SGDRegressor(penalty=None, batch_size=32, random_state=0)
    for _ in range(400):
        X = rng.normal(size=(32, 2)) * [1e-3, 1e3] + [5.0, -2e4]
        model.partial_fit(X, 1e5 + 1e3 * (X @ [1e3, 1e-3]))
    assert model.score(X, 1e5 + 1e3 * (X @ [1e3, 1e-3])) > 0.99


def test_what_a_stream_has_seen_is_stored():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(64, 3)) * [1, 10, 100], rng.normal(size=64)
    model = SGDRegressor(batch_size=16, random_state=0).partial_fit(X, y)
    copy = pickle.loads(pickle.dumps(model))
    for each in (model, copy):
        each.partial_fit(X[::-1], y)
    np.testing.assert_array_equal(model.coef_, copy.coef_)


def test_a_stream_goes_on_from_what_a_fit_has_seen():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(500, 2)) * [1e-3, 1e3] + [5.0, -2e4]
    y = 1e5 + 1e3 * ((X - [5.0, -2e4]) @ [1e3, 1e-3])
    model = SGDRegressor(penalty=None, batch_size=50, random_state=0).fit(X, y)
    before = model.score(X, y)
    assert before > 0.99
    for row in range(20):
        model.partial_fit(X[row : row + 1], y[row : row + 1])
    assert model.score(X, y) > 0.99
