"""Training by mini-batches as users meet it: defaults that converge, optimality, history and control, bad input."""

import pickle
import re
import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from fusedgrad import losses, optimizers, schedules
from fusedgrad.linear_model import SGDClassifier, SGDRegressor
from scipy.optimize import minimize
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import scale

from ..covering import pairs
from ..reference.losses import CLASSIFICATION, REGRESSION, coded
from ..reference.rules import OPTIMIZERS
from ..reference.rules import ROWS as RULES

CONVERGING = tuple(loss for loss in CLASSIFICATION if loss != "perceptron")  # whose optimum is zero

ALPHA = 1e-4


def noisy(n=4000, d=20, seed=0):
    """Standardised features, two classes that overlap, and targets of unit scale."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d))
    score = X @ rng.normal(size=d) / np.sqrt(d) + rng.normal(size=n)
    return X, (score > 0).astype(int), score


def objective(name, X, y, w, b, alpha=ALPHA):
    return losses.get(name).value(y, X @ w + b).mean() + alpha / 2 * w @ w


def optimum(name, X, y, alpha=ALPHA):
    """By a method of another kind, from its own gradient."""
    loss = losses.get(name)

    def both(v):
        slope = loss.slope(y, X @ v[:-1] + v[-1]) / len(y)
        return objective(name, X, y, v[:-1], v[-1], alpha), np.append(X.T @ slope + alpha * v[:-1], slope.sum())

    options = {"maxiter": 5000, "maxfun": 20000, "maxcor": 50, "ftol": 1e-13, "gtol": 1e-9}
    return minimize(both, np.zeros(X.shape[1] + 1), jac=True, method="L-BFGS-B", options=options).fun


# ---- defaults ----


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("loss", CONVERGING)
def test_every_loss_of_classification_converges_with_defaults(loss, sparse):
    X, y, _ = noisy()
    model = SGDClassifier(loss=loss, batch_size=256, random_state=0).fit(sp.csr_array(X) if sparse else X, y)
    coded = np.where(y == 1, 1.0, losses.get(loss).negative)
    best = optimum(loss, X, coded)
    assert model.stop_reason_ == "converged"
    assert objective(loss, X, coded, model.coef_[0], model.intercept_[0]) < 1.003 * best


@pytest.mark.parametrize("batch_size", [64, 256])
@pytest.mark.parametrize("loss", REGRESSION)
def test_every_loss_of_regression_converges_with_defaults(loss, batch_size):
    X, _, y = noisy()
    y = coded(loss, y) + 0.4 * (loss == "gamma")
    model = SGDRegressor(loss=loss, batch_size=batch_size, random_state=0).fit(X, y)
    reached = objective(loss, X, y, model.coef_, model.intercept_[0])
    nothing = objective(loss, X, y, np.zeros(X.shape[1]), 0.0)
    best = optimum(loss, X, y)
    assert model.stop_reason_ == "converged"
    assert reached - best < 0.005 * (nothing - best)


@pytest.mark.parametrize("name", optimizers.names())
def test_every_optimizer_converges_with_defaults(name):
    X, y, _ = noisy()
    model = SGDClassifier(loss="log_loss", batch_size=256, optimizer=name, random_state=0).fit(X, y)
    best = optimum("log_loss", X, y)
    assert objective("log_loss", X, y, model.coef_[0], model.intercept_[0]) < 1.01 * best


@pytest.mark.parametrize("loss", CLASSIFICATION)
def test_raw_data_do_not_overflow(loss):
    X, y = load_breast_cancer(return_X_y=True)
    assert X.max() > 1000 * X.std(axis=0).min()
    for factor in (1.0, 1e6):
        model = SGDClassifier(loss=loss, batch_size=32, max_iter=20, tol=None, random_state=0)
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # of numbers too large
            model.fit(factor * X, y)
        assert np.isfinite(model.coef_).all()
        assert model.score(factor * X, y) > 0.7
        assert model.loss_curve_[-1] < model.loss_curve_[0]


def test_raw_targets_do_not_overflow():
    X, y = load_diabetes(return_X_y=True)
    for loss in REGRESSION:
        model = SGDRegressor(loss=loss, batch_size=32, max_iter=50, tol=None, random_state=0).fit(100 * X, 1000 * y)
        assert np.isfinite(model.coef_).all()
        assert model.loss_curve_[-1] < model.loss_curve_[0]


def test_a_rate_that_is_too_large_is_an_error_and_changes_nothing():
    X, _, y = noisy(n=300)
    model = SGDRegressor(batch_size=16, max_iter=5, tol=None, random_state=0).fit(X, y)
    before = pickle.dumps(model)
    model.set_params(learning_rate="constant", eta0=1e30)
    with pytest.raises(ValueError, match=r"overflow occurred at epoch #1, with rates from 1e\+30 to 1e\+30\. The"):
        model.fit(X, y)
    with pytest.raises(ValueError, match="overflow"):
        model.partial_fit(X, y)
    model.set_params(learning_rate="invscaling", eta0=0.01)
    assert pickle.dumps(model) == before


@pytest.mark.parametrize(
    "dtype, scale", [(np.float64, 1e200), (np.float64, 1e154), (np.float32, 1e20), (np.float32, 1e30)]
)
@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adagrad", "rmsprop", "ftrl"])
def test_numbers_whose_squares_overflow_are_learned(dtype, scale, sparse, optimizer):
    """By FTRL they are not, whose rates are those of the weights: an error names the column."""
    X, _, y = noisy(n=300)
    X = X.astype(dtype)
    model = SGDRegressor(penalty=None, batch_size=16, optimizer=optimizer, max_iter=3, tol=None, random_state=0)
    usual = model.fit(sp.csr_array(X) if sparse else X, y).predict(X)
    X[:, 1] *= dtype(scale)
    largest, rows = np.abs(X[:, 1]).max(), sp.csr_array(X) if sparse else X
    if optimizer == "ftrl":
        before = model.coef_.copy()
        with pytest.raises(ValueError, match=re.escape(f"The largest number of X is {largest:g}, in column 1.")):
            model.fit(rows, y)
        np.testing.assert_array_equal(model.coef_, before)
    else:
        np.testing.assert_allclose(model.fit(rows, y).predict(rows), usual, rtol=0, atol=1e-3 * y.std())


# ---- optimality ----


@pytest.mark.parametrize(
    ("name", "penalty", "sparse"), pairs(optimizers.names(), ["l2", "l1", "elasticnet"], [False, True])
)
def test_every_rule_ends_where_the_gradient_vanishes(name, penalty, sparse):
    X, y, _ = noisy(n=400, d=8)
    alpha, ratio = 0.02, {"l2": 0.0, "l1": 1.0, "elasticnet": 0.4}[penalty]
    steps = 2500
    optimizer = optimizers.get(name)
    known = OPTIMIZERS[type(optimizer)]
    model = SGDClassifier(
        loss="log_loss",
        penalty=penalty,
        l1_ratio=0.4,
        alpha=alpha,
        batch_size="full",
        optimizer=optimizer,
        learning_rate=schedules.Polynomial(known.optimum, steps=steps, end_rate=1e-7, power=2.0),
        max_iter=steps,
        tol=None,
    ).fit(sp.csr_array(X) if sparse else X, y)
    w, b = model.coef_[0], model.intercept_[0]
    slope = losses.LogLoss().slope(y, X @ w + b) / len(y)
    gradient = X.T @ slope + alpha * (1 - ratio) * w
    l1 = alpha * ratio
    at_zero = np.abs(w) < 1e-6
    assert np.abs(slope.sum()) < known.near
    assert np.abs(gradient + l1 * np.sign(w))[~at_zero].max(initial=0) < known.near
    assert (np.abs(gradient[at_zero]) < l1 + known.near).all()
    if penalty == "l1":
        assert at_zero.any()


def test_the_duality_gap_of_ridge_regression_closes():
    X, _, y = noisy(n=500, d=10)
    alpha = 0.1
    model = SGDRegressor(
        alpha=alpha, batch_size=50, learning_rate=schedules.Cosine(0.2, steps=2000), fit_intercept=False
    )
    model.set_params(max_iter=200, tol=None, random_state=0).fit(X, y)
    w, n = model.coef_, len(y)
    primal = ((y - X @ w) ** 2).mean() / 2 + alpha / 2 * w @ w
    dual_point = (y - X @ w) / n  # of the dual: maximise y·a - n ||a||² / 2 - ||X'a||² / (2 alpha)
    dual = y @ dual_point - n / 2 * dual_point @ dual_point - (X.T @ dual_point) @ (X.T @ dual_point) / (2 * alpha)
    assert -1e-12 < primal - dual < 1e-5 * primal


def test_positive_coefficients_satisfy_the_optimality_conditions():
    X, _, y = noisy(n=500, d=10)
    model = SGDRegressor(positive=True, alpha=0.01, batch_size="full", max_iter=3000, tol=None).fit(X, y)
    gradient = X.T @ (X @ model.coef_ + model.intercept_ - y) / len(y) + 0.01 * model.coef_
    free = model.coef_ > 0
    assert (model.coef_ >= 0).all()
    assert 0 < free.sum() < 10
    assert np.abs(gradient[free]).max() < 1e-6
    assert (gradient[~free] > -1e-6).all()


# ---- wide sparse data: features wait for their penalty ----

WAITING = ["sgd", *(name for name, known in RULES.items() if known.penalty in ("flow", "own"))]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize("penalty", ["l1", "l2", "elasticnet"])
@pytest.mark.parametrize("optimizer", WAITING)
def test_features_that_wait_end_where_dense_ones_do(optimizer, penalty, positive, dtype):
    rng = np.random.default_rng(0)
    n, d = 300, 3000
    X = sp.csr_array(sp.random(n, d, density=0.002, format="csr", random_state=rng, dtype=dtype))
    y = rng.integers(3, size=n)
    model = SGDClassifier(
        loss="log_loss",
        optimizer=optimizer,
        penalty=penalty,
        alpha=0.001,
        l1_ratio=0.3,
        positive=positive,
        batch_size=4,
        learning_rate=lambda step: 0.5 if optimizer == "ftrl" and step < 200 else 0.5 / (1 + step) ** 0.3,
        max_iter=4,  # of 75 steps
        tol=None,
        shuffle="rows",
        random_state=0,
    )
    dense = clone(model).fit(X.toarray(), y)
    tolerance = {"rtol": 1e-3, "atol": 1e-5} if dtype == np.float32 else {"rtol": 1e-8, "atol": 1e-12}
    fits = [clone(model).set_params(n_jobs=n_jobs).fit(X, y) for n_jobs in (1, 2, 3)]
    for fit in fits:
        np.testing.assert_array_equal(fit.coef_, fits[0].coef_)
        np.testing.assert_array_equal(fit.intercept_, fits[0].intercept_)
    np.testing.assert_allclose(fits[0].coef_, dense.coef_, **tolerance)
    # The penalty is measured at other moments, and moves most in the first epoch.
    np.testing.assert_allclose(fits[0].loss_curve_[1:], dense.loss_curve_[1:], rtol=0.02)
    assert np.abs(dense.coef_).max() > 0.01


# ---- history and control ----


@pytest.mark.parametrize("multi_class", ["ovr", "multinomial"])
def test_the_users_own_validation_rows_are_scored(multi_class):
    X, y = load_digits(return_X_y=True)
    X = scale(X)
    model = SGDClassifier(
        loss="log_loss", multi_class=multi_class, batch_size=100, max_iter=6, tol=None, random_state=0
    )
    model.fit(X[:1200], y[:1200], X_val=X[1200:], y_val=y[1200:])
    assert len(model.loss_curve_) == len(model.validation_scores_) == len(model.validation_loss_curve_) == 6
    assert model.validation_scores_[-1] == model.score(X[1200:], y[1200:])
    if multi_class == "multinomial":
        chosen = model.predict_proba(X[1200:])[np.arange(len(y) - 1200), y[1200:]]
        np.testing.assert_allclose(model.validation_loss_curve_[-1], -np.log(chosen).mean())


def test_several_targets_are_scored_together():
    X, _, _ = noisy(n=300, d=5)
    Y = X @ np.random.default_rng(1).normal(size=(5, 3)) + 1
    model = SGDRegressor(batch_size=32, max_iter=5, tol=None, random_state=0)
    model.fit(X[:200], Y[:200], X_val=X[200:], y_val=Y[200:])
    assert model.coef_.shape == (3, 5)
    assert model.intercept_.shape == (3,)
    assert model.predict(X).shape == (300, 3)
    np.testing.assert_allclose(model.validation_scores_[-1], r2_score(Y[200:], model.predict(X[200:])))
    with pytest.raises(ValueError, match="1d array"):
        SGDRegressor().fit(X, Y)


@pytest.mark.parametrize("call", ["fit", "partial_fit"])
@pytest.mark.parametrize("batch_size", [1, 32, "full"])
def test_a_column_of_targets_is_one_target(batch_size, call):
    X, _, _ = noisy(n=300, d=5)
    y = X @ np.random.default_rng(1).normal(size=5) + 1
    column, flat = (SGDRegressor(batch_size=batch_size, random_state=0) for _ in range(2))
    for model, targets in ((column, y[:, None]), (flat, y)):
        given = {"X_val": X[:9], "y_val": targets[:9]} if call == "fit" else {}
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            getattr(model, call)(X, targets, **given)
        conversions = [str(each.message) for each in caught if each.category is DataConversionWarning]
        assert len(conversions) == (model is column) * (1 + len(given) // 2)
        assert all("column-vector y" in message for message in conversions)
    assert column.coef_.shape == (5,)
    assert column.predict(X).shape == (300,)
    np.testing.assert_array_equal(column.coef_, flat.coef_)


def test_the_best_weights_are_restored():
    X, y, _ = noisy(n=300, d=40)
    rates = schedules.Piecewise([10, 20], [0.5, 50.0, 0.001])  # good, bad, and then nothing
    model = SGDClassifier(loss="log_loss", batch_size=20, learning_rate=rates, max_iter=6, tol=None, random_state=0)
    kept = clone(model).set_params(restore_best_weights=True)
    last, best = (m.fit(X[:200], y[:200], X_val=X[200:], y_val=y[200:]) for m in (model, kept))
    assert last.validation_scores_ == best.validation_scores_
    assert last.score(X[200:], y[200:]) == last.validation_scores_[-1]
    assert best.score(X[200:], y[200:]) == max(best.validation_scores_)
    assert np.argmax(best.validation_scores_) < 5


def test_early_stopping_stops():
    X, y, _ = noisy(n=600, d=10)
    model = SGDClassifier(batch_size=32, early_stopping=True, n_iter_no_change=3, max_iter=500, random_state=0).fit(
        X, y
    )
    assert model.stop_reason_ == "early_stopping"
    assert model.n_iter_ == len(model.validation_scores_) < 500
    best = np.maximum.accumulate(model.validation_scores_)
    assert (np.array(model.validation_scores_[-3:]) < best[-4] + model.tol).all()


def test_verbose_prints_a_line_an_epoch(capsys):
    X, y, _ = noisy(n=100)
    SGDClassifier(batch_size=10, verbose=1, max_iter=3, tol=None, random_state=0).fit(X, y, X_val=X, y_val=y)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    for epoch, line in enumerate(lines, start=1):
        assert line.startswith(f"Epoch {epoch:>3}  objective 0.")
        assert "validation score 0." in line
        assert "rate" in line


def test_adaptive_rates_end_below_a_millionth(capsys):
    X, y, _ = noisy(n=200)
    model = SGDClassifier(batch_size=20, learning_rate="adaptive", eta0=0.1, verbose=1, random_state=0).fit(X, y)
    rates = [float(line.split("rate ")[1].split()[0]) for line in capsys.readouterr().out.splitlines()]
    assert model.stop_reason_ in ("converged", "stalled")
    assert rates[0] == 0.1
    assert 1e-7 < rates[-1] <= 1e-6
    assert set(np.round(np.log(np.divide(rates[:-1], rates[1:])) / np.log(5), 2)) == {0.0, 1.0}


def test_no_penalty_needs_no_alpha():
    X, y, _ = noisy(n=200)
    model = SGDClassifier(loss="log_loss", alpha=0.0, batch_size=20, random_state=0).fit(X, y)
    assert model.score(X, y) > 0.7


def test_a_plateau_reduces_the_rate_and_outlives_pickling():
    X, y, _ = noisy(n=200)
    plateau = schedules.ReduceOnPlateau(0.5, factor=0.5, patience=0, threshold=0.5)
    model = SGDClassifier(loss="log_loss", batch_size=20, learning_rate=plateau, max_iter=4, tol=None, random_state=0)
    model.fit(X, y)
    assert model._optimizer_state.rates[0] == 0.5 * 0.5**3
    on = pickle.loads(pickle.dumps(model)).set_params(warm_start=True).fit(X, y)
    assert on._optimizer_state.rates[0] == 0.5 * 0.5**7


@pytest.mark.filterwarnings("ignore:.*has no effect:UserWarning")
def test_the_optimizers_rate_wins():
    X, y, _ = noisy(n=100)
    shared = {"loss": "log_loss", "batch_size": 10, "max_iter": 3, "tol": None, "random_state": 0}
    own = SGDClassifier(optimizer=optimizers.Adam(0.03), learning_rate="constant", eta0=9.0, **shared)
    with pytest.warns(UserWarning, match="(learning_rate='constant'|eta0=9.0) has no effect"):
        own.fit(X, y)
    given = SGDClassifier(optimizer="adam", learning_rate="constant", eta0=0.03, **shared).fit(X, y)
    np.testing.assert_array_equal(own.coef_, given.coef_)


@pytest.mark.filterwarnings("ignore:learning_rate=.*has no effect, because the optimizer has a learning_rate")
def test_estimators_with_optimizers_and_schedules_are_cloned_and_searched():
    X, y, _ = noisy(n=200, d=4)
    model = SGDClassifier(
        loss="log_loss",
        batch_size=32,
        optimizer=optimizers.SGD(momentum=0.9, nesterov=True),
        learning_rate=schedules.Warmup(schedules.Cosine(0.1, steps=20), steps=5),
        max_iter=4,
        tol=None,
        random_state=0,
    )
    assert clone(model).get_params()["optimizer"] == model.optimizer
    search = GridSearchCV(model, {"optimizer": ["adam", optimizers.Adagrad(0.1)], "batch_size": [16, "full"]}, cv=2)
    assert search.fit(X, y).best_score_ > 0.5


def test_an_average_that_begins_late_is_of_later_steps():
    X, y, _ = noisy(n=100)
    shared = {"loss": "log_loss", "batch_size": 10, "max_iter": 2, "tol": None, "random_state": 0}
    early = SGDClassifier(average=1, **shared).fit(X, y)
    late = SGDClassifier(average=1000, **shared).fit(X, y)  # of 20 steps
    plain = SGDClassifier(**shared).fit(X, y)
    np.testing.assert_array_equal(late.coef_, plain.coef_)
    np.testing.assert_array_equal(early._standard_coef, plain.coef_)
    assert np.abs(early.coef_ - plain.coef_).max() > 1e-3


def test_an_average_of_batches_goes_on_one_sample_a_step():
    X, _, score = noisy(n=300)
    y = np.digitize(score, [-0.5, 0.5])
    model = SGDClassifier(average=True, batch_size=10, random_state=0).partial_fit(X, y, [0, 1, 2])
    mean, last = model.coef_.copy(), model._standard_coef.copy()
    assert np.abs(mean - last).max() > 1e-3
    still = {"learning_rate": "constant", "eta0": 1e-300, "penalty": None}
    model.set_params(batch_size=1, **still).partial_fit(X, y)
    np.testing.assert_array_equal(model._standard_coef, last)
    np.testing.assert_allclose(model.coef_, (mean + last) / 2, rtol=1e-12, atol=1e-15)  # of as many rows


# ---- bad input ----


@pytest.mark.parametrize(
    "params, message",
    [
        (
            {"batch_size": 0},
            r"'batch_size' parameter of SGDClassifier must be an int in the range \[1, inf\) or",
        ),
        ({"batch_size": 2.5}, "'batch_size' parameter"),
        ({"batch_size": "all"}, "'batch_size' parameter .* 'full'. Got 'all' instead"),
        ({"optimizer": "adamm"}, "'optimizer' parameter .*'sgd'.*'ftrl'.*'adam'.*fusedgrad.optimizers. Got 'adamm'"),
        ({"optimizer": optimizers.Adam}, "'optimizer' parameter"),
        ({"learning_rate": "cosin"}, "'learning_rate' parameter .*'optimal'.*Got 'cosin' .*Did you mean 'cosine'"),
        ({"learning_rate": schedules.Cosine}, "'learning_rate' parameter"),
        ({"multi_class": "softmax"}, "'multi_class' parameter .*'ovr', 'multinomial'. Got 'softmax'"),
        ({"multi_class": "multinomial"}, "needs loss='log_loss'. Got loss='hinge'"),
        ({"positive": 1}, "'positive' parameter"),
        ({"n_jobs": 0, "batch_size": 8}, "n_jobs == 0"),
        ({"shuffle": "columns"}, "'shuffle' parameter .*'rows'"),
        ({"learning_rate": "pa1", "batch_size": 8}, "one sample a step: it needs batch_size=1"),
        ({"learning_rate": lambda step: -0.1 if step == 7 else 0.1}, r"Got -0\.1 at step 7 "),
        ({"learning_rate": lambda step: np.nan}, "Got nan at step 0 "),
        ({"learning_rate": lambda step: [0.1, 0.2]}, r"Got \[0\.1, 0\.2\] at step 0 "),
        ({"optimizer": optimizers.Adam(lambda step: np.inf)}, "Got inf at step 0 "),
    ],
)
def test_bad_parameters_are_refused_and_change_nothing(params, message):
    X, y, _ = noisy(n=100)
    model = SGDClassifier(batch_size=16, max_iter=2, tol=None, random_state=0).fit(X, y)
    coef = model.coef_.copy()
    model.set_params(**params)
    with pytest.raises((ValueError, TypeError), match=message):
        model.fit(X, y)
    np.testing.assert_array_equal(model.coef_, coef)
    assert model.n_iter_ == 2


def test_a_schedule_that_fails_in_the_second_epoch_changes_nothing():
    X, y, _ = noisy(n=100)
    model = SGDClassifier(batch_size=10, max_iter=3, tol=None, random_state=0).fit(X, y)
    coef = model.coef_.copy()
    with pytest.raises(ValueError, match="step 15"):
        model.set_params(learning_rate=lambda step: 0.1 if step < 15 else -1.0).fit(X, y)
    np.testing.assert_array_equal(model.coef_, coef)


def test_a_fit_without_convergence_warns():
    X, y, _ = noisy(n=100)
    with pytest.warns(ConvergenceWarning, match="Maximum number of iteration"):
        SGDClassifier(batch_size=10, max_iter=2, random_state=0).fit(X, y)
