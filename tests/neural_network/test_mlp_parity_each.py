"""MLPClassifier and MLPRegressor are scikit-learn's, one thing at a time; and where they differ."""

import warnings

import numpy as np
import pytest
import scipy.optimize
import scipy.sparse as sp
import sklearn
from scipy.special import expit, log_expit, log_softmax, xlogy
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils.fixes import parse_version

from ..covering import pairs
from .beside_sklearn import (
    ACTIVATIONS,
    KINDS,
    OURS,
    RATES,
    RTOL,
    STORAGES,
    THEIR_MLP,
    THEIRS,
    assert_equal_models,
    assert_equal_predictions,
    both,
    data,
    make,
    name_of,
)

if parse_version(sklearn.__version__) < parse_version("1.9"):
    pytest.skip("the algorithm is that of scikit-learn 1.9", allow_module_level=True)

pytestmark = [
    pytest.mark.filterwarnings("ignore", category=ConvergenceWarning),
    pytest.mark.filterwarnings("ignore:Got `batch_size` less than 1 or larger:UserWarning"),
]


# ---- one thing at a time ----


SOLVERS = {
    "adam": {"solver": "adam", "learning_rate_init": 0.01},
    "sgd": {"solver": "sgd", "learning_rate_init": 0.02},
    "heavy": {"solver": "sgd", "nesterovs_momentum": False, "learning_rate_init": 0.01},
    "plain": {"solver": "sgd", "momentum": 0.0, "learning_rate_init": 0.1},
}


@pytest.mark.parametrize(("kind", "solver", "activation"), pairs(KINDS, SOLVERS, ACTIVATIONS))
def test_solvers_and_activations(kind, solver, activation):
    X, y = data(kind)
    params = {"hidden_layer_sizes": (7, 4), "activation": activation, "random_state": 1, "max_iter": 30, "tol": 0.0}
    theirs, ours = both(kind, X, y, {**params, **SOLVERS[solver], "batch_size": 16})
    assert ours.loss_curve_[-1] < ours.loss_curve_[0]
    assert_equal_models(theirs, ours)
    assert_equal_predictions(theirs, ours, X)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_rates_until_training_stops_by_itself(rate, early_stopping, momentum):
    X, y = data("binary", 120)
    params = {"solver": "sgd", "learning_rate": rate, "learning_rate_init": 0.2, "momentum": momentum, "tol": 1e-3}
    params |= {"hidden_layer_sizes": 6, "early_stopping": early_stopping, "n_iter_no_change": 2, "random_state": 0}
    theirs, ours = both("binary", X, y, {**params, "max_iter": 400})
    assert 2 < ours.n_iter_ < 400
    assert ours.stop_reason_ == ("early_stopping" if early_stopping else "converged")
    assert_equal_models(theirs, ours)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_early_stopping_keeps_the_best_weights(kind, weighted, solver):
    X, y = data(kind, 90)
    weight = np.random.default_rng(3).uniform(0.1, 3.0, 90) if weighted else None
    params = {**SOLVERS[solver], "early_stopping": True, "validation_fraction": 0.3, "n_iter_no_change": 4}
    theirs, ours = both(kind, X, y, {**params, "random_state": 2, "max_iter": 80}, sample_weight=weight)
    assert ours.best_validation_score_ == max(ours.validation_scores_)
    assert_equal_models(theirs, ours)
    assert_equal_predictions(theirs, ours, X)


def test_scikit_learn_can_lose_a_rare_class_and_ours_does_not(monkeypatch):
    """Of several classes scikit-learn does not stratify."""
    X, y = data("multiclass", 60)
    y = np.where(np.arange(60) < 3, 2, y % 2)
    seen = {"theirs": [], "ours": []}

    def noted(X, y, *others, **options):
        parts = train_test_split(X, y, *others, **options)
        seen["theirs"].append(parts[2][:, 2].sum())  # rows of class 2 to train on
        return parts

    class Noted(OURS.MLPClassifier):
        def _split(self, X, y, weight, rng):
            parts = super()._split(X, y, weight, rng)
            seen["ours"].append((parts[1] == 2).sum())
            return parts

    monkeypatch.setattr(THEIR_MLP, "train_test_split", noted)
    for seed in range(20):
        params = {"early_stopping": True, "validation_fraction": 0.4, "max_iter": 1, "random_state": seed}
        for kind in (THEIRS.MLPClassifier, Noted):
            kind((2,), **params).fit(X, y)
    assert {0, 3} < set(seen["theirs"])
    assert set(seen["ours"]) == {2}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("solver", SOLVERS)
def test_warm_starts(kind, solver):
    X, y = data(kind)
    params = {**SOLVERS[solver], "hidden_layer_sizes": 5, "warm_start": True, "max_iter": 3, "tol": 0.0}
    theirs, ours = make(kind, {**params, "random_state": 0, "n_iter_no_change": 50})
    for number in range(3):
        for model in (theirs, ours):
            model.fit(X[::-1] if number == 1 else X, y[::-1] if number == 1 else y)
        assert_equal_models(theirs, ours)
        assert len(ours.loss_curve_) == 3 * (number + 1)


def test_warm_starts_with_early_stopping():
    X, y = data("regression", 300)
    params = {"hidden_layer_sizes": 5, "warm_start": True, "max_iter": 3, "early_stopping": True, "random_state": 0}
    theirs, ours = make("regression", {**params, "solver": "sgd", "learning_rate_init": 0.01})
    for number in range(5):
        before = theirs.best_validation_score_ if number else -np.inf
        for model in (theirs, ours):
            model.fit(X, y)
        assert theirs.best_validation_score_ > before  # otherwise the two differ: see below
        assert_equal_models(theirs, ours)
        assert len(ours.validation_scores_) == 3 * (number + 1)


@pytest.mark.parametrize("rate", ["constant", "adaptive"])
def test_warm_starts_begin_with_the_first_rate(rate):
    X, y = data("binary")
    params = {"solver": "sgd", "learning_rate": rate, "learning_rate_init": 0.3, "warm_start": True, "max_iter": 40}
    theirs, ours = make("binary", {**params, "random_state": 0, "tol": 0.5, "n_iter_no_change": 15})
    for number in range(3):
        for model in (theirs, ours):
            model.fit(X, y)
            theirs._no_improvement_count = 0  # see below
        assert_equal_models(theirs, ours)
        assert ours.n_iter_ == (40 if rate == "adaptive" else 17 - (number > 0))


@pytest.mark.parametrize("solver", SOLVERS)
def test_partial_fit_after_fit_and_after_a_warm_start(solver):
    X, y = data("multiclass")
    theirs, ours = make("multiclass", {**SOLVERS[solver], "random_state": 0, "max_iter": 4, "warm_start": True})
    for call in ("fit", "partial_fit", "partial_fit", "fit", "partial_fit"):
        for model in (theirs, ours):
            getattr(model, call)(X, y)
        assert_equal_models(theirs, ours)


def test_one_random_state_object_serves_both_alike():
    X, y = data("binary")
    theirs, ours = make("binary", {"max_iter": 3, "batch_size": 9})
    for model in (theirs, ours):
        model.set_params(random_state=np.random.RandomState(5)).fit(X, y).partial_fit(X, y)
    assert_equal_models(theirs, ours)


@pytest.mark.parametrize("batch_size", [1, 7, 59, 60, 61, "auto"])
@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_batches_that_do_not_divide_the_rows(batch_size, shuffle, weighted):
    X, y = data("multiclass")
    weight = np.random.default_rng(3).uniform(0.1, 3.0, 60) if weighted else None
    params = {"hidden_layer_sizes": (6,), "batch_size": batch_size, "shuffle": shuffle, "max_iter": 6, "alpha": 0.3}
    assert_equal_models(*both("multiclass", X, y, {**params, "random_state": 0}, sample_weight=weight))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shuffle", [False, True])
def test_sample_weights_are_relative_to_those_of_their_batch(kind, shuffle):
    X, y = data(kind)
    weight = np.random.default_rng(3).uniform(0.1, 3.0, 60)
    params = {"hidden_layer_sizes": (6,), "batch_size": 13, "max_iter": 5, "shuffle": shuffle, "random_state": 0}
    theirs, ours = both(kind, X, y, params, sample_weight=weight)
    assert_equal_models(theirs, ours)
    assert np.abs(ours.coefs_[0] - both(kind, X, y, params)[1].coefs_[0]).max() > 1e-4


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_no_hidden_layers(kind, activation):
    X, y = data(kind)
    params = {"hidden_layer_sizes": (), "activation": activation, "max_iter": 5, "random_state": 0}
    assert_equal_models(*both(kind, X, y, params))


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_storages(storage, kind, dtype):
    X, y = data(kind, d=9)
    X = STORAGES[storage](X.astype(dtype))
    params = {"hidden_layer_sizes": (8,), "max_iter": 10, "tol": 0.0, "random_state": 0, "batch_size": 13}
    theirs, ours = both(kind, X, y, params)
    assert_equal_models(theirs, ours, RTOL[dtype])
    assert_equal_predictions(theirs, ours, X, RTOL[dtype])
    other = sp.csr_array(X.toarray()[:7] if sp.issparse(X) else X[:7])
    assert_equal_predictions(theirs, ours, other, RTOL[dtype])


# ---- L-BFGS ----


def raw_and_penalty(model, X):
    """What the output layer gives, and half the sum of the squares of the weights; by NumPy."""
    functions = {"identity": lambda a: a, "logistic": expit, "tanh": np.tanh, "relu": lambda a: np.maximum(a, 0)}
    a = X
    for k, (coef, intercept) in enumerate(zip(model.coefs_, model.intercepts_, strict=True)):
        a = a @ coef + intercept
        if k + 1 < len(model.coefs_):
            a = functions[model.activation](a)
    return a, sum((coef**2).sum() for coef in model.coefs_) / 2


def objective(kind, model, X, y, weight):
    """The mean loss (summed over outputs), and the penalty; by NumPy."""
    raw, squares = raw_and_penalty(model, X)
    if kind == "multiclass":
        values = -log_softmax(raw, axis=1)[np.arange(len(y)), y]
    elif name_of(kind) == "MLPClassifier":
        target = (y == "yes").astype(float)[:, None] if kind == "binary" else y
        values = -(target * log_expit(raw) + (1 - target) * log_expit(-raw)).sum(axis=1)
    elif kind == "poisson":
        values = xlogy(y, y) - y - y * raw[:, 0] + np.exp(raw[:, 0])
    else:
        values = 0.5 * ((raw - np.reshape(y, raw.shape)) ** 2).sum(axis=1)
    total = len(y) if weight is None else weight.sum()
    return np.average(values, weights=weight) + model.alpha * squares / total


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("weighted", [False, True])
def test_lbfgs_reaches_the_same_optimum(kind, weighted):
    """Without hidden layers and with a penalty there is one optimum."""
    X, y = data(kind)
    weight = np.random.default_rng(3).uniform(0.1, 3.0, 60) if weighted else None
    params = {"solver": "lbfgs", "hidden_layer_sizes": (), "alpha": 1.0, "tol": 1e-9, "max_iter": 5000}
    theirs, ours = both(kind, X, y, {**params, "random_state": 0}, sample_weight=weight)
    values = [objective(kind, model, X, y, weight) for model in (theirs, ours)]
    assert values[1] <= values[0] * (1 + 1e-10)
    if kind != "targets":  # scikit-learn's loss of several targets does not fit its gradient
        np.testing.assert_allclose(values[1], values[0], rtol=1e-8)
        for our, their in zip(ours.coefs_ + ours.intercepts_, theirs.coefs_ + theirs.intercepts_, strict=True):
            np.testing.assert_allclose(our, their, rtol=0, atol=1e-4)
    np.testing.assert_allclose(ours.loss_, values[1], rtol=1e-10)
    assert ours.stop_reason_ == "converged"


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "targets"])
@pytest.mark.parametrize("activation", ["tanh", "logistic"])
def test_lbfgs_makes_the_same_first_iterations(kind, activation):
    X, y = data(kind)
    params = {"solver": "lbfgs", "hidden_layer_sizes": (6,), "activation": activation, "max_iter": 8, "random_state": 0}
    theirs, ours = both(kind, X, y, params)
    assert_equal_models_of_lbfgs(theirs, ours)
    assert_equal_predictions(theirs, ours, X, 1e-5)


def assert_equal_models_of_lbfgs(theirs, ours):
    assert ours.n_iter_ == theirs.n_iter_
    np.testing.assert_allclose(ours.loss_, theirs.loss_, rtol=1e-6)
    for our, their in zip(ours.coefs_ + ours.intercepts_, theirs.coefs_ + theirs.intercepts_, strict=True):
        np.testing.assert_allclose(our, their, rtol=0, atol=1e-5 * max(1.0, np.abs(their).max()))


@pytest.mark.parametrize("kind", ["binary", "regression"])
def test_lbfgs_warm_starts_go_on_from_the_weights(kind):
    X, y = data(kind)
    params = {"solver": "lbfgs", "hidden_layer_sizes": (5,), "activation": "tanh", "max_iter": 3, "warm_start": True}
    theirs, ours = make(kind, {**params, "random_state": 0})
    for _ in range(2):
        for model in (theirs, ours):
            model.fit(X, y)
        assert_equal_models_of_lbfgs(theirs, ours)


@pytest.mark.parametrize("kind", ["binary", "regression"])
def test_lbfgs_keeps_no_rows_aside_and_scores_those_given(kind):
    X, y = data(kind)
    params = {"solver": "lbfgs", "hidden_layer_sizes": (5,), "activation": "tanh", "max_iter": 6, "random_state": 0}
    theirs, ours = both(kind, X, y, {**params, "early_stopping": True})
    assert_equal_models_of_lbfgs(theirs, ours)
    seen = make(kind, params)[1].fit(X, y, X_val=X[:20], y_val=y[:20])
    assert len(seen.validation_scores_) == len(seen.validation_loss_curve_) == seen.n_iter_ == 6
    assert seen.validation_scores_[-1] == pytest.approx(seen.score(X[:20], y[:20]))
    for our, their in zip(seen.coefs_, ours.coefs_, strict=True):
        np.testing.assert_array_equal(our, their)  # to look changes nothing


# ---- the differences that the docstrings name: what scikit-learn does, and what we do ----


@pytest.mark.parametrize("rate", ["invscaling", "adaptive"])
def test_difference_learning_rate_acts_with_every_solver(rate):
    X, y = data("binary")
    params = {"solver": "adam", "learning_rate_init": 0.05, "max_iter": 60, "random_state": 0, "tol": 1e-2}
    params |= {"n_iter_no_change": 2, "hidden_layer_sizes": (5,)}
    their_constant, our_constant = both("binary", X, y, params)
    theirs, ours = both("binary", X, y, {**params, "learning_rate": rate})
    assert_equal_models(their_constant, our_constant)
    assert_equal_models(their_constant, theirs)  # not used
    if rate == "adaptive":
        assert ours.n_iter_ > our_constant.n_iter_  # goes on at a smaller rate where the constant one stops
    else:
        assert np.abs(ours.coefs_[0] - our_constant.coefs_[0]).max() > 1e-3


@pytest.mark.parametrize("early_stopping", [False, True])
def test_difference_idle_epochs_are_not_inherited_by_a_warm_start(early_stopping):
    X, y = data("binary", 100)
    params = {"tol": 10.0, "n_iter_no_change": 3, "warm_start": True, "random_state": 0, "solver": "sgd"}
    theirs, ours = both("binary", X, y, {**params, "early_stopping": early_stopping})
    assert ours.n_iter_ == theirs.n_iter_ > 3
    assert_equal_models(theirs, ours)
    for model in (theirs, ours):
        model.fit(X, y)
    assert theirs.n_iter_ == 1
    assert ours.n_iter_ == 4


def test_difference_a_warm_start_goes_on_with_the_rates_of_invscaling():
    """scikit-learn goes back to the first rate for one epoch, then on to where ours is."""
    X, y = data("binary")
    params = {"solver": "sgd", "learning_rate": "invscaling", "learning_rate_init": 0.3, "momentum": 0.0}
    params |= {"hidden_layer_sizes": 4, "random_state": 0, "max_iter": 1, "warm_start": True, "shuffle": False}
    theirs, ours = both("binary", X, y, params)
    assert_equal_models(theirs, ours)
    before = [coef.copy() for coef in ours.coefs_]
    for model in (theirs, ours):
        model.fit(X, y)
    for start, our, their in zip(before, ours.coefs_, theirs.coefs_, strict=True):  # one batch: one step
        np.testing.assert_allclose((their - start) / 61**0.5, our - start, rtol=1e-6, atol=1e-12)


def test_difference_a_warm_start_keeps_the_best_weights_of_before():
    """scikit-learn keeps their score, but trains in the arrays that it keeps them in."""
    X, y = data("regression", 100)
    params = {"early_stopping": True, "warm_start": True, "random_state": 0, "learning_rate_init": 0.05}
    theirs, ours = both("regression", X, y, {**params, "max_iter": 100})
    assert_equal_models(theirs, ours)
    before = [coef.copy() for coef in ours.coefs_]
    for model in (theirs, ours):
        model.set_params(max_iter=1, learning_rate_init=1.0).fit(X, y)  # worse
        assert model.best_validation_score_ > model.validation_scores_[-1]
    for start, our, their in zip(before, ours.coefs_, theirs.coefs_, strict=True):
        np.testing.assert_array_equal(our, start)
        assert np.abs(their - start).max() > 0.1


def test_difference_partial_fit_is_not_there_with_lbfgs():
    X, y = data("regression")
    for name in ("MLPClassifier", "MLPRegressor"):
        model = getattr(OURS, name)(solver="lbfgs")
        assert not hasattr(model, "partial_fit")
        with pytest.raises(AttributeError, match="partial_fit"):
            model.partial_fit(X, y)
    assert not hasattr(THEIRS.MLPClassifier(solver="lbfgs"), "partial_fit")
    assert hasattr(THEIRS.MLPRegressor(solver="lbfgs"), "partial_fit")


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_difference_losses_are_exact(dtype):
    X = np.array([[-1.0], [1.0]], dtype=dtype)
    params = {"hidden_layer_sizes": (), "solver": "sgd", "learning_rate_init": 1e-9, "random_state": 0, "alpha": 0.0}
    theirs, ours = make("binary", params)
    for model in (theirs, ours):
        model.partial_fit(X, [0, 1], classes=[0, 1])
        model.coefs_, model.intercepts_ = [np.array([[1000.0]], dtype)], [np.zeros(1, dtype)]
        model.partial_fit(X, [1, 0])  # both wrong, by 1000
    assert ours.loss_curve_[-1] == pytest.approx(1000.0, rel=1e-6)
    assert theirs.loss_curve_[-1] == pytest.approx(-np.log(np.finfo(dtype).eps), rel=1e-3)


def test_difference_lbfgs_has_a_loss_curve():
    X, y = data("regression")
    params = {"solver": "lbfgs", "hidden_layer_sizes": (5,), "max_iter": 20, "random_state": 0}
    theirs, ours = both("regression", X, y, params)
    assert not getattr(theirs, "loss_curve_", [])
    assert len(ours.loss_curve_) == ours.n_iter_ == 20
    assert ours.loss_curve_[-1] == ours.loss_
    assert np.all(np.diff(ours.loss_curve_) <= 0)
    assert ours.loss_curve_[0] == pytest.approx(
        objective("regression", OURS.MLPRegressor(**{**params, "max_iter": 1}).fit(X, y), X, y, None), rel=1e-9
    )


def test_difference_training_that_diverges_is_an_error():
    X, y = data("regression")
    params = {"solver": "sgd", "activation": "identity", "learning_rate_init": 50.0, "max_iter": 20, "random_state": 0}
    theirs, ours = make("regression", params)
    with pytest.raises(ValueError, match=r"non-finite parameter weights.*after [0-9]+ epochs"):
        ours.fit(X, y)
    assert not hasattr(ours, "coefs_")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        with pytest.raises(ValueError, match="non-finite parameter weights"):
            theirs.fit(X, y)
    assert hasattr(theirs, "coefs_")  # left there, half trained

    theirs, ours = make("regression", {**params, "early_stopping": True, "n_iter_no_change": 30})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        theirs.fit(X, y)
    assert theirs.n_iter_ == 20  # of which the last ones train on NaN
    with pytest.warns(ConvergenceWarning, match="diverged after [0-9]+ epochs: .* best validation score are kept"):
        ours.fit(X, y)
    assert ours.stop_reason_ == "diverged"
    assert ours.n_iter_ < 20
    assert np.isfinite(ours.predict(X)).all()
    for our, their in zip(ours.coefs_, theirs.coefs_, strict=True):
        np.testing.assert_allclose(our, their, rtol=1e-9)


def test_note_the_loss_of_several_targets():
    X, y = data("targets")
    params = {"hidden_layer_sizes": (), "random_state": 0, "max_iter": 1, "alpha": 0.0, "learning_rate_init": 1e-12}
    theirs, ours = both("targets", X, y, params)
    mean = 0.5 * ((ours.predict(X) - y) ** 2).mean()
    np.testing.assert_allclose([theirs.loss_, ours.loss_], mean, rtol=1e-8)

    theirs, ours = both("targets", X, y, {**params, "solver": "lbfgs", "alpha": 1.0, "max_iter": 2000, "tol": 1e-10})
    raw, squares = raw_and_penalty(ours, X)
    np.testing.assert_allclose(ours.loss_, 0.5 * ((raw - y) ** 2).sum() / 60 + squares / 60, rtol=1e-12)
    raw, squares = raw_and_penalty(theirs, X)
    np.testing.assert_allclose(theirs.loss_, 0.5 * ((raw - y) ** 2).mean() + squares / 60, rtol=1e-12)

    def gradient(coef):
        """Of the sum of losses, at the weights of the mean."""
        model_raw = X @ coef.reshape(5, 3) + ours.intercepts_[0]
        return (X.T @ (model_raw - y) + coef.reshape(5, 3)) / 60

    assert np.abs(gradient(ours.coefs_[0])).max() < 1e-5
    assert (
        scipy.optimize.check_grad(
            lambda c: 0.5 * ((X @ c.reshape(5, 3) + ours.intercepts_[0] - y) ** 2).sum() / 60 + (c**2).sum() / 120,
            lambda c: gradient(c).ravel(),
            ours.coefs_[0].ravel(),
        )
        < 1e-5
    )
    assert objective("targets", ours, X, y, None) < objective("targets", theirs, X, y, None)
