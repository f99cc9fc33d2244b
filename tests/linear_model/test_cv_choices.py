"""What a search chooses, halves, warns of; and that it is an estimator like others."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from fusedgrad import optimizers, schedules
from fusedgrad._training import margins as _scores
from fusedgrad.linear_model import SGDClassifier, SGDClassifierCV, SGDRegressor, SGDRegressorCV
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, FitFailedWarning
from sklearn.model_selection import (
    ParameterGrid,
    cross_val_score,
)

from ..covering import pairs
from .searches import KINDS, D, N, close, data, every_kind, losses_of, pair, shared

pytestmark = pytest.mark.filterwarnings("ignore", category=ConvergenceWarning)


# ---- what is chosen ----


def test_the_first_of_equal_cells_is_chosen():
    X, y = data("binary")
    model = SGDClassifierCV(alphas=[3e-4, 3e-4, 3e-4], cv=2, **shared).fit(X, y)
    assert model.best_index_ == 0
    np.testing.assert_array_equal(model.cv_results_["rank_test_score"], 1)
    np.testing.assert_array_equal(model.scores_[1:], model.scores_[:-1])


@every_kind
def test_without_refit_coefficients_are_the_mean_of_the_folds(kind):
    X, y = data(kind)
    model = pair(kind, cv=3)[0].set_params(refit=False).fit(X, y)
    mean = model.coefs_paths_[model.best_index_].mean(axis=0)
    close(np.atleast_2d(model.coef_), mean[:, :-1])
    close(model.intercept_, mean[:, -1])
    assert not hasattr(model, "refit_time_")
    assert model.n_iter_ == 4
    raw = np.squeeze(X @ mean[:, :-1].T + mean[:, -1])
    if kind in ("regression", "multioutput"):
        close(model.predict(X), raw)
    else:
        close(model.decision_function(X), raw)
        assert {*model.predict(X)} <= {*y}
    assert model.best_estimator_.alpha == model.alpha_


def test_refit_after_no_refit_and_back():
    X, y = data("binary")
    model = SGDClassifierCV(alphas=2, cv=2, **shared).fit(X, y)
    assert model.refit_time_ > 0
    assert not hasattr(model.set_params(refit=False).fit(X, y), "refit_time_")


# ---- halving ----


def halved(X, y, estimator, cells, cv, max_iter):
    """The judge: scores, epochs and rounds of each cell, by separate fits of so many epochs."""
    scores, epochs, rounds = np.zeros((len(cells), cv)), np.zeros(len(cells)), np.zeros(len(cells), dtype=int)

    def score(active, epochs_made):
        for i in active:
            model = clone(estimator).set_params(**cells[i], max_iter=epochs_made)
            scores[i], epochs[i] = cross_val_score(model, X, y, cv=cv), epochs_made

    active, made = list(range(len(cells))), 1
    while len(active) > 1 and made < max_iter:
        score(active, made)
        active = sorted(active, key=lambda i: -scores[i].mean())[: -(-len(active) // 2)]
        rounds[active] += 1
        made *= 2
    score(active, max_iter)
    return scores, epochs, rounds


@pytest.mark.parametrize(
    ("kind", "max_iter", "n_cells"), pairs(["ovr", "multinomial", "regression"], [1, 2, 3, 9], [1, 2, 5, 8])
)
def test_halving(kind, max_iter, n_cells):
    X, y = data(kind)
    alphas = [0.3, 1e-4, 1e-1, 1e-2, 1.0, 1e-3, 3.0, 1e-5][:n_cells]
    ours, theirs = pair(kind, losses=losses_of(kind)[:1], alphas=alphas, eta0s=[0.02], cv=3, max_iter=max_iter)
    ours.set_params(halving=True).fit(X, y)
    scores, epochs, rounds = halved(X, y, theirs.estimator, list(ParameterGrid(theirs.param_grid)), 3, max_iter)
    close(ours.scores_, scores, scale=1)
    np.testing.assert_array_equal(ours.cv_results_["mean_n_iter"], epochs)
    last = np.flatnonzero(rounds == rounds.max())
    assert ours.best_index_ == max(last, key=lambda i: scores[i].mean())
    keys = list(zip(rounds, ours.scores_.mean(axis=1), strict=True))  # who stayed longer ranks higher
    ranks = [1 + sum(other > key for other in keys) for key in keys]
    np.testing.assert_array_equal(ours.cv_results_["rank_test_score"], ranks)


def test_halving_finds_a_good_cell_with_fewer_epochs():
    X, y = data("regression")
    grid = {"alphas": 8, "eta0s": [1e-4, 1e-3, 1e-2, 1e-1], "cv": 3, **shared, "max_iter": 40}
    halving, full = SGDRegressorCV(halving=True, **grid).fit(X, y), SGDRegressorCV(**grid).fit(X, y)
    assert halving.cv_results_["mean_n_iter"].sum() < full.cv_results_["mean_n_iter"].sum() / 5
    assert halving.best_score_ > full.best_score_ - 0.02


def test_a_cell_that_has_left_is_not_chosen():
    # the score falls with the epochs, so that what leaves first has the best score
    X, y = data("binary")

    def scorer(estimator, X, y):
        return -np.abs(estimator.coef_).sum() - estimator.alpha

    model = SGDClassifierCV(alphas=4, cv=2, scoring=scorer, halving=True, **{**shared, "max_iter": 16}).fit(X, y)
    stayed = model.cv_results_["mean_n_iter"] == 16
    assert stayed.sum() == 1
    assert stayed[model.best_index_]
    assert model.best_score_ < np.delete(model.scores_.mean(axis=1), model.best_index_).max()
    assert model.cv_results_["rank_test_score"][model.best_index_] == 1


# ---- weights that overflow ----


def overflowing(**params):
    # the first step of the second cell is beyond the range of doubles
    params = {"alphas": [1e-4], "eta0s": [0.01, 1e308], "learning_rate": "constant", **params}
    return SGDRegressorCV(cv=3, **{**shared, **params})


@pytest.mark.parametrize("halving", [False, True])
def test_cells_that_overflow_rank_last(halving):
    X, y = data("regression")
    with pytest.warns(
        FitFailedWarning, match=r"3 of 6 fits \(2 cells x 3 folds\) failed.*cell 1 .*eta0=1e\+308.*fold 0"
    ):
        model = overflowing(halving=halving).fit(X, 10 * y)
    assert model.best_index_ == 0
    assert np.isnan(model.scores_[1]).all()
    assert np.isnan(model.coefs_paths_[1]).all()
    assert np.isfinite(model.coefs_paths_[0]).all()
    assert np.isnan(model.cv_results_["mean_n_iter"][1])
    np.testing.assert_array_equal(model.cv_results_["rank_test_score"], [1, 2])


def test_score_of_cells_that_overflow():
    X, y = data("regression")
    with pytest.warns(FitFailedWarning, match="their score is -7"):
        model = overflowing(error_score=-7).fit(X, 10 * y)
    np.testing.assert_array_equal(model.scores_[1], -7)
    assert model.best_score_ == model.scores_[0].mean()


# ---- warnings ----


def test_one_warning_of_fits_that_have_not_converged():
    X, y = data("binary")
    model = SGDClassifierCV(alphas=3, cv=2, refit=False, **{**shared, "tol": 1e-9})
    with pytest.warns(ConvergenceWarning, match=r"in 6 of 6 fits \(3 cells x 2 folds\).*max_iter") as caught:
        model.fit(X, y)
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.set_params(tol=None).fit(X, y)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"eta0s": [0.1, 0.2], "learning_rate": "optimal"}, "eta0s has 2 values.*learning_rate='optimal'.*set"),
        ({"eta0s": [0.1, 0.2], "learning_rate": schedules.Constant(0.1)}, "eta0s has 2 values.*Constant.*set"),
        ({"eta0s": [0.1, 0.2], "learning_rate": "optimal", "optimizer": "adam"}, "eta0s has 2 values.*'optimal'"),
        ({"eta0s": [0.1, 0.2, 0.3], "optimizer": optimizers.Adam(0.1)}, "eta0s has 3.*optimizer has a learning_rate"),
        ({"eta0s": [0.3, 0.3], "learning_rate": "optimal"}, "eta0s has 1 value, but learning_rate='optimal' does not"),
        ({"l1_ratios": [0.1, 0.2]}, "l1_ratios has 2 values.*penalty='l2'.*set penalty='elasticnet'"),
    ],
)
def test_grids_without_an_effect(params, message):
    X, y = data("binary")
    with pytest.warns(UserWarning, match=message):
        model = SGDClassifierCV(alphas=[1e-3], cv=2, **{**shared, **params}).fit(X, y)
    assert len({*model.scores_[:, 0]}) == 1  # the warning is true


def test_grids_with_an_effect_do_not_warn():
    X, y = data("binary")
    for params in (
        {"eta0s": [0.01, 0.3]},
        {"eta0s": [0.01, 0.3], "optimizer": optimizers.Adam()},
        {"l1_ratios": [0, 1], "penalty": "elasticnet"},
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            SGDClassifierCV(alphas=[1e-1], cv=2, **{**shared, **params}).fit(X, y)


# ---- an estimator like others ----


def test_verbose(capsys):
    X, y = data("binary")
    model = SGDClassifierCV(alphas=4, cv=3, **shared).fit(X, y)
    assert capsys.readouterr().out == ""
    model.set_params(verbose=1).fit(X, y)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("4 cells x 3 folds; memory: weights ")
    for word in ("optimizer state", "batch", "MB"):
        assert word in lines[0]
    assert [line.split(":")[0] for line in lines[1:]] == ["fold 0", "fold 1", "fold 2"]
    assert all("alpha=" in line and "best" in line for line in lines[1:])
    model.set_params(halving=True).fit(X, y)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(";")[0] for line in lines[1:3]] == [
        "after 1 epochs 2 of 4 cells go on",
        "after 2 epochs 1 of 2 cells go on",
    ]


@pytest.mark.parametrize("kind", [SGDClassifierCV, SGDRegressorCV])
def test_parameters_are_those_of_the_estimator(kind):
    cell = {SGDClassifierCV: SGDClassifier, SGDRegressorCV: SGDRegressor}[kind]
    ours, theirs = kind().get_params(), cell().get_params()
    for name in ("alpha", "l1_ratio", "eta0", "warm_start"):
        del theirs[name]
    own = {"alphas", "l1_ratios", "eta0s", "losses", "cv", "scoring", "refit", "halving", "error_score"}
    assert {*ours} - {*theirs} == own
    theirs["batch_size"], theirs["optimizer"] = 256, "auto"
    assert {name: value for name, value in ours.items() if name not in own} == theirs


@every_kind
def test_clone_and_pickle(kind):
    X, y = data(kind)
    model = pair(kind, cv=2)[0].fit(X, y)
    again = clone(model).fit(X, y)
    copy = pickle.loads(pickle.dumps(model))
    for other in (again, copy):
        np.testing.assert_array_equal(other.predict(X), model.predict(X))
        np.testing.assert_array_equal(other.scores_, model.scores_)
    assert not hasattr(clone(model), "coef_")


@pytest.mark.parametrize("batch_size", [1, 16])
def test_without_a_seed_all_cells_see_the_same_order(batch_size):
    X, y = data("binary")
    params = {**shared, "random_state": None, "batch_size": batch_size}
    model = SGDClassifierCV(alphas=[1e-3, 1e-3], cv=2, **params).fit(X, y)
    close(model.coefs_paths_[0], model.coefs_paths_[1])
    again = clone(model).fit(X, y)
    assert np.abs(again.coefs_paths_ - model.coefs_paths_).max() > 1e-6
    assert model.random_state is None


def test_a_frame_with_names():
    X, y = data("regression")
    frame = pd.DataFrame(X, columns=list("abcdef"))
    for refit in (True, False):
        model = SGDRegressorCV(alphas=2, cv=2, refit=refit, **shared).fit(frame, pd.Series(y))
        np.testing.assert_array_equal(model.feature_names_in_, list("abcdef"))
        bare = SGDRegressorCV(alphas=2, cv=2, refit=refit, **shared).fit(X, y)
        np.testing.assert_array_equal(model.predict(frame), bare.predict(X))
        with pytest.raises(ValueError, match="feature names"):
            model.predict(frame[list("bacdef")])


def test_results_are_a_frame():
    X, y = data("ovr")
    model = pair("ovr", cv=3)[0].fit(X, y)
    frame = pd.DataFrame(model.cv_results_)
    assert len(frame) == len(model.scores_) == 8
    assert (frame[[c for c in frame if "time" in c]] >= 0).all(axis=None)
    assert frame["mean_fit_time"].min() > 0
    np.testing.assert_allclose(frame["mean_test_score"], model.scores_.mean(axis=1))
    assert frame.sort_values("rank_test_score").index[0] == model.best_index_


def test_probabilities_are_there_where_the_losses_have_them():
    X, y = data("ovr")
    assert hasattr(SGDClassifierCV("log_loss"), "predict_proba")
    assert hasattr(SGDClassifierCV(losses=["log_loss", "modified_huber"]), "predict_log_proba")
    for model in (SGDClassifierCV(), SGDClassifierCV("log_loss", losses=["log_loss", "hinge"])):
        assert not hasattr(model, "predict_proba")
    model = SGDClassifierCV("log_loss", alphas=2, cv=2, **shared).fit(X, y)
    close(model.predict_proba(X), model.best_estimator_.predict_proba(X))
    close(model.predict_log_proba(X), model.best_estimator_.predict_log_proba(X))
    # what was chosen decides
    model = SGDClassifierCV(losses=["log_loss", "hinge"], alphas=2, cv=2, **shared).fit(X, y)
    assert hasattr(model, "predict_proba") == (model.loss_ == "log_loss")


@pytest.mark.parametrize("scoring", ["accuracy", "neg_log_loss"])
def test_the_number_of_threads_does_not_change_a_bit(scoring):
    X, y = data("ovr")
    grid = {"losses": ["log_loss", "modified_huber"], "scoring": scoring, "cv": 2, **shared}
    one, two = (SGDClassifierCV(alphas=5, n_jobs=n_jobs, **grid).fit(X, y) for n_jobs in (1, 2))
    np.testing.assert_array_equal(one.scores_, two.scores_)
    np.testing.assert_array_equal(one.coefs_paths_, two.coefs_paths_)


def test_margins_are_made_in_blocks(monkeypatch):
    # of few rows and few models: the scores stay the same
    for kind in KINDS:
        X, y = data(kind)
        expected = pair(kind, cv=3)[0].fit(X, y).scores_
        monkeypatch.setattr(_scores, "_BLOCK", 7 * D * 8)
        monkeypatch.setattr(_scores, "_MARGINS", 8 * N)
        close(pair(kind, cv=3)[0].fit(X, y).scores_, expected, scale=1)
        monkeypatch.undo()


def test_x_and_y_stay_as_they_were():
    X, y = data("ovr")
    X_before, y_before = X.copy(), y.copy()
    X.flags.writeable = y.flags.writeable = False
    pair("ovr", cv=2)[0].fit(X, y)
    np.testing.assert_array_equal(X, X_before)
    np.testing.assert_array_equal(y, y_before)
