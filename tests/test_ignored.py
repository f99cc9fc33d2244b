"""A parameter that was set and is not used is told of, where scikit-learn has no say in it."""

import inspect
import warnings

import numpy as np
import pytest
from fusedgrad import fit_many
from fusedgrad.layers import Dense
from fusedgrad.linear_model import SGDClassifier, SGDClassifierCV, SGDRegressor, SGDRegressorCV
from fusedgrad.neural_network import MLPClassifier, NeuralClassifier, NeuralRegressor
from fusedgrad.optimizers import Adam
from fusedgrad.schedules import Constant
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X = np.random.default_rng(0).normal(size=(40, 3))
y = (X[:, 0] > 0).astype(int)
batches = {"batch_size": 8, "max_iter": 2, "tol": None, "random_state": 0}


def mlp(**params):
    return MLPClassifier((3,), max_iter=2, random_state=0, **params)


def grid(**params):
    return SGDClassifierCV(**{"alphas": [1e-3], "cv": 2, "optimizer": "sgd", **batches, **params})


def net(**params):
    return NeuralClassifier([Dense(3)], max_epochs=2, random_state=0, **params)


IDLE = [
    (SGDClassifier(**batches, optimizer="adam", eta0=0.5), "eta0=0.5", "learning_rate='optimal'"),
    (
        SGDClassifier(**batches, learning_rate=Constant(0.1), eta0=0.5),
        "eta0=0.5",
        r"learning_rate=Constant\(rate=0.1\)",
    ),
    (SGDClassifier(**batches, learning_rate=0.1, eta0=0.5), "eta0=0.5", "learning_rate=0.1"),
    (SGDClassifier(**batches, optimizer=Adam(0.1), eta0=0.5), "eta0=0.5", r"optimizer=Adam\(learning_rate=0.1\)"),
    (SGDClassifier(**batches, optimizer=Adam(0.1), learning_rate="adaptive"), "learning_rate='adaptive'", "optimizer="),
    (SGDClassifier(**batches, power_t=0.1), "power_t=0.1", "learning_rate='optimal'"),
    (SGDRegressor(**batches, optimizer=Adam(0.1), power_t=0.1), "power_t=0.1", "optimizer=Adam"),
    (SGDRegressor(quantile=0.9, random_state=0), "quantile=0.9", "loss='squared_error'"),
    (
        SGDClassifier(fit_intercept=False, intercept_decay=0.5, random_state=0),
        "intercept_decay=0.5",
        "fit_intercept=False",
    ),
    (mlp(solver="rmsprop", beta_1=0.5), "beta_1=0.5", "solver='rmsprop'"),
    (mlp(solver=Adam(), epsilon=1e-6), "epsilon=1e-06", r"solver=Adam\(\)"),
    (mlp(solver=Adam(0.1), learning_rate="adaptive"), "learning_rate='adaptive'", "solver=Adam"),
    (mlp(solver=Adam(0.1), learning_rate_init=0.5), "learning_rate_init=0.5", "solver=Adam"),
    (mlp(learning_rate=Constant(0.1), learning_rate_init=0.5), "learning_rate_init=0.5", "learning_rate=Constant"),
    (mlp(learning_rate="cosine", power_t=0.3), "power_t=0.3", "learning_rate='cosine'"),
    (mlp(solver="lbfgs", learning_rate=Constant(0.1)), r"learning_rate=Constant\(rate=0.1\)", "solver='lbfgs'"),
    (net(optimizer=Adam(0.1), learning_rate=0.5), "learning_rate=0.5", r"optimizer=Adam\(learning_rate=0.1\)"),
    (net(validation_fraction=0.3), "validation_fraction=0.3", "early_stopping=False"),
    (net(tol=None, n_iter_no_change=3), "n_iter_no_change=3", "tol=None"),
]


@pytest.mark.parametrize("model, parameter, reason", IDLE)
def test_a_parameter_without_effect_is_told_of_once(model, parameter, reason):
    with pytest.warns(UserWarning, match=f"^{parameter} has no effect, because .*{reason}") as caught:
        model.fit(X, y)
    assert [w.filename for w in caught if "has no effect" in str(w.message)] == [__file__]


@pytest.mark.filterwarnings("ignore:.*has no effect")
@pytest.mark.parametrize("model, parameter, reason", IDLE)
def test_the_warning_is_true(model, parameter, reason):
    """With the default in its place the model is the same."""
    name = parameter.partition("=")[0]
    default = inspect.signature(type(model)).parameters[name].default
    learned = next(a for a in ("coef_", "coefs_", "weights_") if hasattr(model.fit(X, y), a))
    before = [np.array(w) for w in getattr(model, learned)]
    after = getattr(clone(model).set_params(**{name: default}).fit(X, y), learned)
    for a, b in zip(before, after, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    "model",
    [
        # scikit-learn's own, silent as there
        SGDClassifier(**batches, l1_ratio=0.3),
        SGDRegressor(**batches, penalty=None, alpha=0.3),
        SGDClassifier(eta0=0.5, power_t=0.3, epsilon=0.5, l1_ratio=0.5, max_iter=2),
        mlp(momentum=0.3, power_t=0.3),
        mlp(solver="lbfgs", learning_rate_init=0.3, learning_rate="adaptive", beta_1=0.5),
        # used
        SGDClassifier(**batches, learning_rate="constant", eta0=0.5),
        SGDClassifier(**batches, learning_rate="cosine", eta0=0.5),
        SGDClassifier(**batches, learning_rate="invscaling", eta0=0.5, power_t=0.3, optimizer="adam"),
        SGDClassifier(**batches, loss="hinge", epsilon=0.5, l1_ratio=0.5),  # scikit-learn's, and silent there
        SGDClassifier(**batches, penalty=None, alpha=0.5),
        SGDClassifier(**batches, optimizer=Adam(0.1)),
        SGDRegressor(loss="quantile", quantile=0.9, max_iter=2),
        mlp(solver="rmsprop", learning_rate_init=0.1),
        net(optimizer=Adam(0.1)),
        net(early_stopping=True, validation_fraction=0.3),
    ],
)
def test_nothing_is_told_of_what_is_used_or_what_scikit_learn_ignores(model):
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        warnings.simplefilter("ignore", category=ConvergenceWarning)
        model.fit(X, y)


def test_partial_fit_tells_in_its_first_call():
    for model in (SGDClassifier(batch_size=8, optimizer="adam", eta0=0.5), net(optimizer=Adam(0.1), learning_rate=0.5)):
        with pytest.warns(UserWarning, match="has no effect"):
            model.partial_fit(X, y, classes=[0, 1])
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            model.partial_fit(X, y)


def test_fit_many_tells_once_and_of_whom():
    models = [SGDClassifier(**batches, optimizer="adam", eta0=0.5, alpha=a) for a in (1e-3, 1e-2)]
    with pytest.warns(UserWarning, match=r"eta0=0.5 has no effect, .*\(Models: 0, 2\.\)") as caught:
        fit_many([models[0], SGDClassifier(**batches), models[1]], X, y)
    assert len(caught) == 1


@pytest.mark.parametrize(
    "model, message",
    [
        (grid(optimizer=Adam(0.1), eta0s=[0.1, 1.0]), "^eta0s has 2 values, but"),
        (grid(l1_ratios=[0.3, 0.4]), "^l1_ratios has 2 values, but penalty='l2' does not use it"),
        (grid(alphas=[1e-3, 1e-2], penalty=None, optimizer="adam"), "^alphas has 2 values, but"),
        (SGDRegressorCV(alphas=[1e-3], cv=2, quantile=0.3, optimizer="sgd", **batches), "^quantile=0.3 has no effect"),
    ],
)
def test_grids_tell_once(model, message):
    with pytest.warns(UserWarning, match=message) as caught:
        model.fit(X, y)
    assert len(caught) == 1


def test_grids_are_silent_where_some_cell_uses_it():
    model = SGDRegressorCV(
        alphas=[1e-3], cv=2, losses=["quantile", "squared_error"], quantile=0.3, optimizer="sgd", **batches
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(X, y)
        grid(alphas=[1e-3, 1e-2], penalty=None).fit(X, y)  # alpha sets the rate of 'optimal'
        NeuralRegressor([], max_epochs=1, tol=None).fit(X, y)
