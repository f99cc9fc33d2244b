"""The estimators take the same path as the slow reference: weights, history and number of epochs."""

import numpy as np
import pytest
import scipy.sparse as sp
from fusedgrad.linear_model import SGDClassifier, SGDOneClassSVM, SGDRegressor
from sklearn.exceptions import ConvergenceWarning

from ..covering import pairs
from ..reference import sgd
from ..reference.losses import CLASSIFICATION, REGRESSION, ROWS, coded

pytestmark = pytest.mark.filterwarnings("ignore", category=ConvergenceWarning)

RTOL = 1e-9
N, D = 61, 7

PENALTIES = ("l2", "l1", "elasticnet", None)

# alpha and eta0 are such that the path contracts; a chaotic one would amplify the last digit of a sum without bound.
RATES = {
    "constant": {"eta0": 0.05, "alpha": 0.01},
    "optimal": {"alpha": 0.1},
    "invscaling": {"eta0": 0.1, "power_t": 0.3, "alpha": 0.01},
    "adaptive": {"eta0": 0.05, "alpha": 0.01, "tol": 1e-3, "n_iter_no_change": 2},
}


def data(*, sparse=False, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(N, D)) / np.sqrt(D)
    if sparse:
        X[rng.random(X.shape) < 0.6] = 0
    margin = X @ rng.normal(size=D) + 0.3 + 0.2 * rng.normal(size=N)
    return X, margin


def check(model, expected, *, intercept=None, rtol=RTOL):
    """The public weights are the averages once there is one."""
    averaged = model.average and model.average <= model.t_ - 1
    coef, b = (expected.average_coef, expected.average_intercept) if averaged else (expected.coef, expected.intercept)
    np.testing.assert_allclose(model.coef_.ravel(), coef, rtol=rtol, atol=1e-12)
    np.testing.assert_allclose(model.intercept_ if intercept is None else intercept, [b], rtol=rtol, atol=1e-12)
    assert model.t_ == expected.t
    assert model.n_iter_ == len(expected.objectives)
    np.testing.assert_allclose(model.loss_curve_, expected.objectives, rtol=RTOL, atol=1e-12)


def fit_both(kind, X, margin, *, random_state=3, sample_weight=None, **params):
    """A model of ours and the reference's, from the same numbers."""
    sparse = sp.issparse(X)
    dense = X.toarray() if sparse else X
    given = {"max_iter": 6, "tol": None, **params}
    if kind == "classifier":
        y = np.where(margin > 0, "yes", "no")
        model = SGDClassifier(random_state=random_state, **given).fit(X, y, sample_weight=sample_weight)
        class_weight = given.pop("class_weight", None) or {"no": 1.0, "yes": 1.0}
        given["side_weights"] = (class_weight["no"], class_weight["yes"])
        targets = np.where(margin > 0, 1.0, 0.0 if given["loss"] == "log_loss" else -1.0)
        seed = sgd.binary_seed(random_state)
    else:
        model = SGDRegressor(random_state=random_state, **given).fit(X, margin, sample_weight=sample_weight)
        targets, seed = margin, sgd.regression_seed(random_state)
    return model, sgd.train(dense, targets, seed=seed, sparse=sparse, sample_weight=sample_weight, **given)


@pytest.mark.parametrize(("loss", "penalty", "rate"), pairs(SGDClassifier.loss_functions, PENALTIES, RATES))
def test_classifier(loss, penalty, rate):
    check(*fit_both("classifier", *data(), loss=loss, penalty=penalty, learning_rate=rate, **RATES[rate]))


@pytest.mark.parametrize(("loss", "penalty", "rate"), pairs(SGDRegressor.loss_functions, PENALTIES, RATES))
def test_regressor(loss, penalty, rate):
    X, margin = data()
    fields = {"quantile": 0.8} if "quantile" in ROWS[loss].fields[0] else {}
    params = {"loss": loss, "penalty": penalty, "learning_rate": rate, **fields, **RATES[rate]}
    check(*fit_both("regressor", X, coded(loss, margin), **params))


def test_every_loss_is_one_of_the_estimators():
    assert {*SGDClassifier.loss_functions} == {*CLASSIFICATION, *(set(SGDClassifier.loss_functions) & set(REGRESSION))}
    assert {*SGDClassifier.loss_functions, *SGDRegressor.loss_functions} == set(ROWS)
    assert set(SGDRegressor.loss_functions) == set(REGRESSION)


@pytest.mark.parametrize("rate", ["pa1", "pa2"])
@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("kind, loss", [("classifier", "hinge"), ("regressor", "epsilon_insensitive")])
def test_passive_aggressive(kind, loss, penalty, rate):
    X, margin = data()
    X[5] = 0  # PA-I makes no step on an empty row, and t stays
    check(*fit_both(kind, X, margin, loss=loss, penalty=penalty, alpha=0.01, learning_rate=rate, eta0=0.5))


@pytest.mark.parametrize("kind, loss", [("classifier", "log_loss"), ("regressor", "huber")])
@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("average", [True, 40, 10_000])
def test_average(kind, loss, penalty, average):
    params = {"loss": loss, "penalty": penalty, "alpha": 0.01, "learning_rate": "constant", "eta0": 0.05}
    check(*fit_both(kind, *data(), average=average, **params))


@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("tol", [None, 1e-3])
@pytest.mark.parametrize("average", [False, 40])
def test_sparse_rows(penalty, tol, average):
    # scikit-learn 1.9's stopping rule sees the norm of the last row's weights only; ours must see all of them
    X, margin = data(sparse=True)
    params = {"loss": "log_loss", "penalty": penalty, "alpha": 0.05, "learning_rate": "constant", "eta0": 0.1}
    check(*fit_both("classifier", sp.csr_array(X), margin, tol=tol, max_iter=40, average=average, **params))


def test_an_empty_sparse_row_is_no_step_of_pa1():
    X, margin = data(sparse=True)
    X[:4] = 0
    params = {"loss": "hinge", "learning_rate": "pa1", "eta0": 0.5, "alpha": 0.01}
    check(*fit_both("classifier", sp.csr_array(X), margin, average=30, **params))


@pytest.mark.parametrize("loss, rate, alpha", [("hinge", "optimal", 0.1), ("log_loss", "constant", 1e-3)])
@pytest.mark.parametrize("sparse", [False, True])
def test_weights_of_classes_and_samples_multiply(loss, rate, alpha, sparse):
    X, margin = data(sparse=sparse)
    weight = np.random.default_rng(5).choice([0.0, 0.5, 2.0], N)
    params = {"loss": loss, "learning_rate": rate, "alpha": alpha, "eta0": 0.05}
    X = sp.csr_array(X) if sparse else X
    check(*fit_both("classifier", X, margin, sample_weight=weight, class_weight={"no": 0.5, "yes": 1.5}, **params))


def test_balanced_class_weight_is_the_inverse_frequency():
    X, margin = data()
    share = np.mean(margin > 0)
    params = {"loss": "log_loss", "learning_rate": "constant", "eta0": 0.05}
    model, _ = fit_both("classifier", X, margin, **params)
    balanced = SGDClassifier(**{**model.get_params(), "class_weight": "balanced"})
    balanced.fit(X, np.where(margin > 0, "yes", "no"))
    _, expected = fit_both(
        "classifier", X, margin, class_weight={"no": 0.5 / (1 - share), "yes": 0.5 / share}, **params
    )
    check(balanced, expected)


@pytest.mark.parametrize("change", [{"shuffle": False}, {"fit_intercept": False}, {"random_state": 0}])
@pytest.mark.parametrize("kind, loss", [("classifier", "hinge"), ("regressor", "squared_error")])
def test_switches(kind, loss, change):
    params = {"loss": loss, "learning_rate": "invscaling", "eta0": 0.05, "power_t": 0.5, "alpha": 0.01}
    check(*fit_both(kind, *data(), **params, **change))


@pytest.mark.parametrize("power_t", [0.25, 0.5, 1.0, 0.0])
def test_powers_of_inverse_scaling(power_t):
    # 0.25 and 0.5 are computed by square roots
    check(*fit_both("regressor", *data(), loss="squared_error", learning_rate="invscaling", power_t=power_t))


@pytest.mark.parametrize("rate", ["constant", "optimal", "invscaling"])
@pytest.mark.parametrize("penalty", PENALTIES)
def test_it_stops_in_the_same_epoch(penalty, rate):
    for tol, patience in ((1e-2, 2), (1e-3, 5)):
        params = {"penalty": penalty, "learning_rate": rate, "alpha": 0.1, "eta0": 0.02}
        model, expected = fit_both(
            "classifier", *data(), loss="log_loss", tol=tol, n_iter_no_change=patience, max_iter=200, **params
        )
        check(model, expected)
        assert 1 < model.n_iter_ < 200
        assert model.stop_reason_ == "converged"


def test_adaptive_rate_falls_until_it_is_tiny():
    params = {"learning_rate": "adaptive", "eta0": 0.1, "alpha": 0.01, "tol": 1e-3, "n_iter_no_change": 1}
    model, expected = fit_both("regressor", *data(), loss="squared_error", max_iter=200, **params)
    check(model, expected)
    # 0.1 / 5^8 is the first rate that is at most 1e-6, and each fall takes an epoch at least
    assert 8 < model.n_iter_ < 200


def test_a_decay_of_zero_empties_the_weights():
    # 1 - eta alpha < 0: the weights are set to zero, not turned round
    params = {"learning_rate": "constant", "eta0": 0.5, "alpha": 3.0, "average": 20}
    check(*fit_both("classifier", *data(), loss="log_loss", **params))


def test_a_scale_that_vanishes_is_folded_into_the_weights():
    # (1 - eta alpha)^61 is about 1e-18 an epoch
    params = {"learning_rate": "constant", "eta0": 0.1, "alpha": 5.0, "penalty": "elasticnet", "average": 50}
    check(*fit_both("classifier", *data(), loss="log_loss", **params))


@pytest.mark.parametrize("average", [False, True, 100])
@pytest.mark.parametrize("kind", ["classifier", "regressor"])
def test_partial_fit_goes_on(kind, average):
    # also the averaged intercept, which scikit-learn's two-class partial_fit restarts from zero
    X, margin = data()
    params = {"penalty": "elasticnet", "alpha": 0.01, "learning_rate": "invscaling", "eta0": 0.1, "power_t": 0.5}
    if kind == "classifier":
        model = SGDClassifier(loss="log_loss", random_state=1, average=average, **params)
        seed, y, targets = sgd.binary_seed(1), margin > 0, (margin > 0) * 1.0
        step = {"classes": [False, True]}
    else:
        model = SGDRegressor(random_state=1, average=average, **params)
        seed, y, targets, step = sgd.regression_seed(1), margin, margin, {}
    loss, expected, objectives = model.loss, None, []
    for rows in (slice(0, 30), slice(30, 50), slice(0, 61)):
        model.partial_fit(X[rows], y[rows], **step)
        expected = sgd.train(
            X[rows], targets[rows], loss=loss, seed=seed, max_iter=1, average=average, start=expected, **params
        )
        assert model.n_iter_ == 1
        objectives += expected.objectives
    expected.objectives = [expected.objectives[-1]]
    np.testing.assert_allclose(model.loss_curve_, objectives, rtol=RTOL)
    model.loss_curve_ = model.loss_curve_[-1:]
    check(model, expected)


@pytest.mark.parametrize(("rate", "average", "tol", "sparse"), pairs(RATES, [False, 30], [None, 1e-3], [False, True]))
def test_one_class(rate, average, tol, sparse):
    X, _ = data(sparse=sparse)
    X += 1.0 * (X != 0)
    params = {"learning_rate": rate, "eta0": 0.05, "tol": tol, "max_iter": 30, "average": average}
    model = SGDOneClassSVM(nu=0.3, random_state=2, **params).fit(sp.csr_array(X) if sparse else X)
    expected = sgd.train(
        X,
        np.ones(N),
        loss="hinge",
        alpha=0.3,
        offset_rate=0.3,
        sparse=sparse,
        seed=sgd.regression_seed(2),
        start=sgd.Model(np.zeros(D), 1.0, np.zeros(D), 0.0),  # the engine's intercept is 1 - offset
        **params,
    )
    # nu decays the weights fast, and until the scale is folded in at 1e-9 the mean of lazily scaled weights loses
    # digits, here as in scikit-learn
    check(model, expected, intercept=1 - model.offset_, rtol=1e-7 if average else RTOL)


@pytest.mark.parametrize("rate", ["optimal", "pa1"])
def test_several_classes_are_one_against_the_rest(rate):
    X, margin = data()
    y = np.digitize(margin, [-0.3, 0.5])
    weight = np.random.default_rng(5).uniform(0, 2, N)
    params = {"loss": "hinge", "alpha": 0.1, "learning_rate": rate, "eta0": 0.5, "max_iter": 6, "tol": None}
    class_weight = {0: 1.5, 1: 0.5, 2: 1.0}
    model = SGDClassifier(random_state=9, class_weight=class_weight, **params).fit(X, y, sample_weight=weight)
    seeds = np.random.RandomState(9).randint(sgd.MAX_INT, size=3)
    for k, seed in enumerate(seeds):
        # the class's own weight acts on its rows; all other rows have weight 1
        expected = sgd.train(
            X,
            np.where(y == k, 1.0, -1.0),
            seed=sgd.binary_seed(seed),
            sample_weight=weight,
            side_weights=(1.0, class_weight[k]),
            **params,
        )
        np.testing.assert_allclose(model.coef_[k], expected.coef, rtol=RTOL, atol=1e-12)
        np.testing.assert_allclose(model.intercept_[k], expected.intercept, rtol=RTOL, atol=1e-12)


def test_the_shuffle_is_a_permutation_that_depends_on_the_seed():
    assert sorted(sgd.shuffled(range(100), 7)) == list(range(100))
    assert sgd.shuffled(range(100), 7) != sgd.shuffled(range(100), 8)
    assert sgd.shuffled(range(100), 0) == sgd.shuffled(range(100), 1)  # a state of zero would stay zero
