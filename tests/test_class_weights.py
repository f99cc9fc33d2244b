"""Weights of classes: 'balanced' together with sample weights, and dicts that name other classes than there are."""

import numpy as np
import pytest
import sklearn.linear_model
from fusedgrad import fit_many
from fusedgrad._validation.weights import balanced_weights
from fusedgrad.linear_model import SGDClassifier, SGDClassifierCV
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.utils import compute_class_weight

pytestmark = pytest.mark.filterwarnings("ignore", category=ConvergenceWarning)
ENGINES = {
    "one sample a step": {},
    "batches": {"batch_size": 64},
    "adam": {"batch_size": 64, "optimizer": "adam"},
    "full": {"batch_size": "full"},
}
every_engine = pytest.mark.parametrize("engine", ENGINES)


def rare(n=4000, seed=0):
    """Few positive rows, which weigh as much as all others."""
    rng = np.random.default_rng(seed)
    y = (rng.random(n) < 0.03).astype(int)
    return rng.normal(size=(n, 3)) + y[:, None], y, np.where(y, 97 / 3, 1.0)


def test_the_formula():
    codes, weight = np.array([0, 0, 1, 2, 2, 2]), np.array([1.0, 3, 2, 1, 1, 4])
    np.testing.assert_allclose(balanced_weights(codes, 3, weight), 12 / (3 * np.array([4, 2, 6])))
    np.testing.assert_array_equal(
        balanced_weights(codes, 3), compute_class_weight("balanced", classes=np.arange(3), y=codes)
    )
    np.testing.assert_array_equal(balanced_weights(codes, 4, weight * (codes != 1))[[1, 3]], [0, 0])


@every_engine
def test_balanced_classes_that_weigh_the_same_already_stay_as_they_are(engine):
    X, y, weight = rare()
    params = {"loss": "log_loss", "random_state": 0, **ENGINES[engine]}
    ours = SGDClassifier(class_weight="balanced", **params).fit(X, y, sample_weight=weight)
    judge = LogisticRegression().fit(X, y, sample_weight=weight)  # 'balanced' counts no sample weights in all versions
    assert ours.predict(X).mean() == pytest.approx(judge.predict(X).mean(), abs=0.08)
    theirs = sklearn.linear_model.SGDClassifier(loss="log_loss", class_weight="balanced", random_state=0)
    assert theirs.fit(X, y, sample_weight=weight).predict(X).mean() > 0.6  # it weighs the rare class twice


@every_engine
@pytest.mark.parametrize("classes", [2, 3])
def test_balanced_is_the_dict_of_its_weights(classes, engine):
    rng = np.random.default_rng(1)
    X, weight = rng.normal(size=(200, 4)), rng.uniform(size=200)
    y = np.digitize(X[:, 0], [0.8, 1.2][: classes - 1])
    weight[y == 0] *= 3
    sums = np.bincount(y, weights=weight)
    params = {"random_state": 0, "max_iter": 5, "tol": None, **ENGINES[engine]}
    of_class = dict(enumerate((sums.sum() / (classes * sums)).tolist()))
    balanced, given = (SGDClassifier(class_weight=each, **params) for each in ("balanced", of_class))
    for model in (balanced, given):
        model.fit(X, y, sample_weight=weight)
    np.testing.assert_allclose(balanced.coef_, given.coef_, rtol=1e-9)
    (together,) = fit_many([SGDClassifier(class_weight="balanced", **params)], X, y, weight)
    np.testing.assert_array_equal(together.coef_, balanced.coef_)


def test_balanced_in_a_search_counts_the_weights_of_each_fold():
    X, y, weight = rare(600)
    folds = [(np.arange(400), np.arange(400, 600)), (np.arange(200, 600), np.arange(200))]
    shared = {"batch_size": 32, "random_state": 0, "max_iter": 5, "tol": None, "class_weight": "balanced"}
    shared["optimizer"] = "sgd"
    search = SGDClassifierCV(alphas=[0.01], cv=folds, **shared).fit(X, y, sample_weight=weight)
    for k, (rows, _) in enumerate(folds):
        alone = SGDClassifier(alpha=0.01, **shared).fit(X[rows], y[rows], sample_weight=weight[rows])
        np.testing.assert_array_equal(search.coefs_paths_[0, k, :, :-1], alone.coef_)


@every_engine
def test_a_class_without_weight_divides_nothing_by_zero(engine):
    X, y, weight = rare(300)
    y = y + (X[:, 0] > 1)
    weight[y == 2] = 0
    model = SGDClassifier("log_loss", class_weight="balanced", random_state=0, **ENGINES[engine])
    assert np.isfinite(model.fit(X, y, sample_weight=weight).coef_).all()


# ---- dicts ----


@every_engine
@pytest.mark.parametrize(
    "weights", [{0: 1.0, 1: 2.0, 7: 3.0}, {1: 5.0}, {}, {0: 0.0, 1: 1.0}], ids=["stranger", "one", "empty", "zero"]
)
def test_a_dict_may_name_other_classes_than_y_has(weights, engine):
    X, y, _ = rare(400)
    params = {"random_state": 0, "max_iter": 5, "tol": None}
    ours = SGDClassifier(class_weight=weights, **params, **ENGINES[engine]).fit(X, y)
    full = SGDClassifier(class_weight={0: weights.get(0, 1), 1: weights.get(1, 1)}, **params, **ENGINES[engine])
    np.testing.assert_array_equal(ours.coef_, full.fit(X, y).coef_)
    if engine == "one sample a step":
        theirs = sklearn.linear_model.SGDClassifier(class_weight=weights, **params).fit(X, y)
        np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=1e-6)


@every_engine
@pytest.mark.parametrize("present", [[0, 1], [1], [2]])
def test_a_first_partial_fit_without_some_classes(present, engine):
    X, y, _ = rare(400)
    y = y + (X[:, 0] > 1)
    rows = np.isin(y, present)
    weights = {0: 1.0, 1: 2.0, 2: 3.0}
    model = SGDClassifier(class_weight=weights, random_state=0, **ENGINES[engine])
    model.partial_fit(X[rows], y[rows], classes=[0, 1, 2])
    assert model.coef_.shape == (3, 3)
    if engine == "one sample a step":
        theirs = sklearn.linear_model.SGDClassifier(class_weight=weights, random_state=0)
        theirs.partial_fit(X[rows], y[rows], classes=[0, 1, 2])
        np.testing.assert_allclose(model.coef_, theirs.coef_, rtol=1e-6, atol=1e-12)


def test_a_dict_that_misses_a_class_and_names_a_stranger_is_refused_as_by_scikit_learn():
    X, y, _ = rare(100)
    for library in (sklearn.linear_model.SGDClassifier, SGDClassifier):
        with pytest.raises(ValueError, match=r"The classes, \[1\], are not in class_weight"):
            library(class_weight={0: 1.0, 7: 3.0}).fit(X, y)


def test_partial_fit_balances_the_rows_of_the_call_and_needs_all_classes():
    X, y, _ = rare(400)
    model = SGDClassifier(class_weight="balanced", random_state=0).fit(X, y)
    coef = model.coef_.copy()
    with pytest.raises(ValueError, match="no row of class 1.*a dict of weights"):
        model.partial_fit(X[y == 0], y[y == 0])
    np.testing.assert_array_equal(model.coef_, coef)
