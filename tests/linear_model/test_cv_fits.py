"""Grids of models equal separate fits, fold by fold and scorer by scorer."""

import numpy as np
import pytest
import sklearn
from fusedgrad import optimizers, schedules
from fusedgrad.linear_model import SGDClassifier, SGDClassifierCV, SGDRegressor, SGDRegressorCV
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import make_scorer, mean_absolute_error
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    ParameterGrid,
    ShuffleSplit,
    StratifiedKFold,
    cross_validate,
)

from ..covering import pairs
from ..reference.table import named
from .searches import KINDS, RTOL, STORAGES, D, N, close, data, every_kind, pair, shared

pytestmark = pytest.mark.filterwarnings("ignore", category=ConvergenceWarning)


def assert_same_search(ours, theirs, dtype=np.float64):
    assert ours.cv_results_["params"] == theirs.cv_results_["params"]
    assert set(theirs.cv_results_) <= set(ours.cv_results_)
    for name, value in theirs.cv_results_.items():
        found = ours.cv_results_[name]
        if name.startswith("param_"):
            np.testing.assert_array_equal(found, value)
            assert found.dtype == value.dtype
        elif name.startswith("rank"):
            np.testing.assert_array_equal(found, value)
        elif "time" not in name and name != "params":
            close(found, value, dtype, scale=1)
    assert ours.best_index_ == theirs.best_index_
    assert ours.best_params_ == theirs.best_params_
    close(ours.best_score_, theirs.best_score_, dtype)


# ---- equal to separate fits ----


@pytest.mark.parametrize(("kind", "storage", "dtype"), pairs(KINDS, STORAGES, RTOL))
def test_grid_search(kind, storage, dtype):
    X, y = data(kind, dtype, storage)
    ours, theirs = pair(kind, cv=3)
    ours.fit(X, y)
    theirs.fit(X, y)
    assert_same_search(ours, theirs, dtype)
    best = theirs.best_estimator_
    assert ours.coef_.dtype == dtype
    assert ours.coef_.shape == best.coef_.shape
    close(ours.coef_, best.coef_, dtype)
    close(ours.intercept_, best.intercept_, dtype, scale=np.abs(best.coef_).max())
    assert ours.n_iter_ == best.n_iter_
    if kind in ("regression", "multioutput"):
        close(ours.predict(X), theirs.predict(X), dtype)
    else:
        np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))
        close(ours.decision_function(X), theirs.decision_function(X), dtype)
    close(ours.score(X, y), theirs.score(X, y), dtype)


@every_kind
@pytest.mark.parametrize("storage", STORAGES)
def test_every_model_of_every_fold(kind, storage):
    X, y = data(kind, np.float64, storage)
    cv = KFold(3, shuffle=True, random_state=1)
    ours, theirs = pair(kind, cv=cv)
    weight = np.random.default_rng(3).random(N) + 0.5
    ours.fit(X, y, sample_weight=weight)
    cells = list(ParameterGrid(theirs.param_grid))
    n_outputs = 1 if kind in ("binary", "regression") else 3
    assert ours.coefs_paths_.shape == (len(cells), 3, n_outputs, D + 1)
    assert ours.scores_.shape == (len(cells), 3)
    assert ours.n_splits_ == 3
    for i, cell in enumerate(cells):
        estimator = clone(theirs.estimator).set_params(**cell)
        for k, (train, test) in enumerate(cv.split(X, y)):
            model = estimator.fit(X[train], y[train], sample_weight=weight[train])
            expected = np.column_stack([np.atleast_2d(model.coef_), model.intercept_])
            close(ours.coefs_paths_[i, k], expected)
            close(ours.scores_[i, k], model.score(X[test], y[test]), scale=1)
            assert ours.cv_results_[f"split{k}_n_iter"][i] == model.n_iter_
    close(ours.coef_, clone(theirs.estimator).set_params(**ours.best_params_).fit(X, y, sample_weight=weight).coef_)


@pytest.mark.parametrize(
    "params",
    [
        {"max_iter": 150, "tol": 1e-2},
        {"learning_rate": "optimal", "eta0s": [0.01], "max_iter": 100, "tol": 1e-3},
        {"early_stopping": True, "max_iter": 30, "tol": 1e-3, "validation_fraction": 0.2},
        {"optimizer": optimizers.Adam(), "learning_rate": "constant"},
        {"learning_rate": schedules.Cosine(0.1, 100), "eta0s": [0.01]},
        {"average": True},
        {"positive": True, "fit_intercept": False},
        {"penalty": "l1", "class_weight": "balanced"},
        {"batch_size": 1, "learning_rate": "adaptive"},
        {"batch_size": "full", "shuffle": False},
        {"shuffle": "rows", "n_jobs": 2},
        {"random_state": np.random.RandomState(5)},
    ],
    ids=named,
)
@pytest.mark.parametrize("kind", ["binary", "ovr"])
def test_other_parameters(kind, params):
    X, y = data(kind)
    ours, theirs = pair(kind, cv=3, **params)
    assert_same_search(ours.fit(X, y), theirs.fit(X, y))
    close(ours.coef_, theirs.best_estimator_.coef_)


def test_l1_ratios():
    X, y = data("regression")
    params = {**shared, "penalty": "elasticnet", "learning_rate": "constant"}
    ours = SGDRegressorCV(alphas=[1e-2, 1], l1_ratios=[0, 0.5, 1], cv=3, **params).fit(X, y)
    grid = {"alpha": [1e-2, 1.0], "eta0": [0.01], "l1_ratio": [0.0, 0.5, 1.0], "loss": ["squared_error"]}
    theirs = GridSearchCV(SGDRegressor(**params), grid, cv=3).fit(X, y)
    assert_same_search(ours, theirs)
    assert len({*ours.scores_[:, 0]}) == 6  # every cell is another model
    assert (ours.alpha_, ours.eta0_, ours.l1_ratio_, ours.loss_) == tuple(
        ours.best_params_[name] for name in ("alpha", "eta0", "l1_ratio", "loss")
    )


def test_alphas_as_a_number():
    X, y = data("binary")
    ours = SGDClassifierCV(alphas=6, cv=2, **shared).fit(X, y)
    close(ours.cv_results_["param_alpha"].data, 10.0 ** np.arange(-6, 0))
    assert len(SGDClassifierCV(cv=2, **shared).fit(X, y).scores_) == 10


# ---- folds ----


GROUPS = np.arange(N) % 7


SPLITTERS = {
    "none": None,
    "number": 4,
    "kfold": KFold(3),
    "shuffled": KFold(3, shuffle=True, random_state=0),
    "stratified": StratifiedKFold(3),
    "groups": GroupKFold(3),
    "random": ShuffleSplit(2, test_size=0.3, random_state=0),
    "iterable": [(np.arange(60), np.arange(60, N)), (np.arange(20, N)[::-1], np.arange(20))],
    "lists": [(list(range(50)), [60, 70, 80])],
    "repeated rows": [(np.arange(N).repeat(2), np.arange(N))],
}


@pytest.mark.parametrize(("name", "kind", "halving"), pairs(SPLITTERS, ["ovr", "regression"], [False, True]))
def test_splitters(name, kind, halving):
    X, y = data(kind)
    cv = SPLITTERS[name]
    groups = {"groups": GROUPS} if isinstance(cv, GroupKFold) else {}
    if isinstance(cv, StratifiedKFold) and kind == "regression":
        y = (y > 0).astype(float)
    ours, theirs = pair(kind, cv=cv, max_iter=1)  # all have ended after an epoch, so nothing is halved
    assert_same_search(ours.set_params(halving=halving).fit(X, y, **groups), theirs.fit(X, y, **groups))


def test_masks_and_generators_as_folds():
    X, y = data("binary")
    train = np.arange(N) < 60
    expected = SGDClassifierCV(alphas=2, cv=[(np.flatnonzero(train), np.flatnonzero(~train))], **shared).fit(X, y)
    for cv in ([(train, ~train)], iter([(train, ~train)])):
        found = SGDClassifierCV(alphas=2, cv=cv, **shared).fit(X, y)
        np.testing.assert_array_equal(found.coefs_paths_, expected.coefs_paths_)


def test_groups_can_be_routed():
    X, y = data("binary")
    with sklearn.config_context(enable_metadata_routing=True):
        model = SGDClassifierCV(alphas=2, cv=GroupKFold(2), **shared).set_fit_request(groups=True)
        scores = cross_validate(model, X, y, params={"groups": GROUPS}, cv=KFold(2), error_score="raise")
    assert scores["test_score"].shape == (2,)


# ---- scorers ----


def share_of_confident_rows(estimator, X, y):
    return np.mean(np.abs(estimator.decision_function(X)) > 0.2)


def integer_scorer(estimator, X, y):
    return np.int64(estimator.coef_.shape[-1] + estimator.n_iter_)


@pytest.mark.parametrize(
    ("scoring", "kind", "dtype"),
    pairs(
        ["accuracy", "neg_log_loss", "f1_macro", share_of_confident_rows, integer_scorer],
        ["binary", "ovr", "multinomial"],
        RTOL,
    ),
)
def test_scorers_of_classifiers(scoring, kind, dtype):
    X, y = data(kind, dtype)
    losses = ["log_loss"] if kind == "multinomial" else ["log_loss", "modified_huber"]
    ours, theirs = pair(kind, scoring=scoring, losses=losses, cv=3)
    assert_same_search(ours.fit(X, y), theirs.fit(X, y), dtype)
    close(ours.score(X, y), theirs.score(X, y), dtype)


@pytest.mark.parametrize("dtype", RTOL)
def test_roc_auc(dtype):
    X, y = data("binary", dtype)
    ours, theirs = pair("binary", scoring="roc_auc", cv=4)
    assert_same_search(ours.fit(X, y), theirs.fit(X, y), dtype)


@pytest.mark.parametrize(
    ("scoring", "kind", "dtype"),
    pairs(
        [
            "r2",
            "neg_mean_squared_error",
            "neg_root_mean_squared_error",
            "explained_variance",
            make_scorer(mean_absolute_error, greater_is_better=False),
        ],
        ["regression", "multioutput"],
        RTOL,
    ),
)
def test_scorers_of_regressors(scoring, kind, dtype):
    X, y = data(kind, dtype)
    ours, theirs = pair(kind, scoring=scoring, losses=["squared_error", "poisson", "gamma"], cv=3)
    assert_same_search(ours.fit(X, np.exp(y / 2)), theirs.fit(X, np.exp(y / 2)), dtype)


@pytest.mark.parametrize("scoring", [None, "r2", "neg_mean_squared_error"])
def test_targets_that_are_whole_numbers_and_folds_of_one_row(scoring):
    X, y = data("regression")
    y = np.round(3 * y).astype(int)
    cv = [(np.arange(50), np.arange(50, N)), (np.arange(60), np.array([70, 71]))]
    ours, theirs = pair("regression", scoring=scoring, cv=cv)
    assert_same_search(ours.fit(X, y), theirs.fit(X, y))


def test_r2_of_a_fold_of_one_row_is_refused():
    # scikit-learn: NaN, with a warning, after training
    X, y = data("regression")
    folds = [(np.arange(50), np.arange(50, N)), (np.arange(60), np.array([70]))]
    for scoring in (None, "r2"):
        ours, _ = pair("regression", cv=folds)
        with pytest.raises(ValueError, match="fold 1 has one test row, but R² needs at least two"):
            ours.set_params(scoring=scoring).fit(X, y)
        assert "n_features_in_" not in vars(ours)
    assert np.isfinite(ours.set_params(scoring="neg_mean_squared_error").fit(X, y).best_score_)


def test_scorer_sees_fitted_estimators_of_the_cells():
    X, y = data("ovr")
    seen = []

    def scorer(estimator, X, y):
        assert type(estimator) is SGDClassifier
        assert (estimator.predict(X) == y).mean() > 0.3
        seen.append(estimator.alpha)
        return -estimator.alpha

    model = SGDClassifierCV(alphas=[0.2, 0.1, 0.3], cv=2, scoring=scorer, **shared).fit(X, y)
    assert model.alpha_ == 0.1
    assert seen == [0.2, 0.1, 0.3] * 2
    assert model.score(X, y) == -0.1


def test_score_takes_weights():
    X, y = data("binary")
    weight = np.random.default_rng(0).random(N)
    model = SGDClassifierCV(alphas=2, cv=2, **shared).fit(X, y)
    close(model.score(X, y, sample_weight=weight), np.average(model.predict(X) == y, weights=weight))
