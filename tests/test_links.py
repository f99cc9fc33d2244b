"""Predictions are those of the model that was fitted, whatever its parameters are set to afterwards."""

import copy

import numpy as np
import pytest
from fusedgrad import fit_many
from fusedgrad.linear_model import SGDClassifier, SGDClassifierCV, SGDRegressor, SGDRegressorCV
from sklearn.exceptions import ConvergenceWarning, NotFittedError

pytestmark = pytest.mark.filterwarnings("ignore", category=ConvergenceWarning)
RNG = np.random.default_rng(0)
X = RNG.normal(size=(120, 4))
LABELS = (X @ RNG.normal(size=(4, 3))).argmax(axis=1)
COUNTS = RNG.poisson(np.exp(X[:, 0] / 3))
SHARED = {"random_state": 0, "max_iter": 5, "tol": None}
MODELS = {
    "poisson": SGDRegressor("poisson", eta0=0.01, **SHARED),
    "squared error": SGDRegressor(**SHARED),
    "log loss": SGDClassifier("log_loss", **SHARED),
    "huber": SGDClassifier("modified_huber", batch_size=16, **SHARED),
    "softmax": SGDClassifier("log_loss", multi_class="multinomial", **SHARED),
    "hinge": SGDClassifier(**SHARED),
}
CHANGES = {
    SGDRegressor: [{"loss": "poisson"}, {"loss": "gamma"}, {"loss": "squared_error"}, {"batch_size": 8}],
    SGDClassifier: [
        {"loss": "hinge"},
        {"loss": "modified_huber"},
        {"loss": "log_loss"},
        {"loss": "log_loss", "multi_class": "multinomial"},
        {"multi_class": "ovr"},
    ],
}


def targets(model):
    return COUNTS if isinstance(model, SGDRegressor) else LABELS


def said(model):
    """What the model answers, or None where it has no such method."""
    X_new = X[::3]
    names = ("predict", "decision_function", "predict_proba", "predict_log_proba")
    answers = [getattr(model, name)(X_new).tolist() if hasattr(model, name) else None for name in names]
    return [*answers, model.score(X_new, targets(model)[::3])]


@pytest.mark.parametrize("fit", ["fit", "partial_fit", "fit_many"])
@pytest.mark.parametrize("name", MODELS)
def test_parameters_that_change_later_change_no_answer(name, fit):
    model = copy.deepcopy(MODELS[name])
    y = targets(model)
    if fit == "fit":
        model.fit(X, y)
    elif fit == "fit_many":
        fit_many([model], X, y)
    else:
        model.partial_fit(X, y, **({} if isinstance(model, SGDRegressor) else {"classes": [0, 1, 2]}))
    before = said(model)
    for change in CHANGES[type(model)]:
        changed = copy.deepcopy(model).set_params(**change)
        assert said(changed) == before


def test_probabilities_are_there_for_what_is_fitted_or_to_be_fitted():
    model = SGDClassifier("hinge")
    assert not hasattr(model, "predict_proba")
    assert hasattr(model.set_params(loss="log_loss"), "predict_proba")
    with pytest.raises(NotFittedError):
        model.predict_proba(X)
    model.fit(X, LABELS).set_params(loss="hinge")
    assert model.predict_proba(X).shape == (120, 3)
    model.fit(X, LABELS).set_params(loss="log_loss")
    with pytest.raises(AttributeError) as caught:
        model.predict_proba(X)
    assert "the loss that was fitted" in str(caught.value.__cause__)


@pytest.mark.parametrize("refit", [True, False])
def test_searches_keep_the_link_of_their_best_model(refit):
    shared = {"alphas": [0.1, 0.01], "cv": 3, "optimizer": "sgd", "refit": refit, **SHARED}
    regressor = SGDRegressorCV("poisson", **shared).fit(X, COUNTS)
    before = regressor.predict(X)
    np.testing.assert_array_equal(regressor.set_params(loss="squared_error").predict(X), before)
    classifier = SGDClassifierCV("log_loss", **shared).fit(X, LABELS)
    before = classifier.predict_proba(X)
    np.testing.assert_array_equal(classifier.set_params(loss="hinge").predict_proba(X), before)
    classifier.best_estimator_.set_params(loss="hinge")
    np.testing.assert_array_equal(classifier.predict_proba(X), before)
