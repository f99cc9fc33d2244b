"""Validation rows: which they are, how they are scored, when training stops, and which weights are kept."""

import contextlib
import io
import warnings

import fusedgrad.linear_model
import numpy as np
import pytest
import scipy.sparse as sp
import sklearn
import sklearn.linear_model
from fusedgrad.linear_model import SGDClassifier, SGDRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import ShuffleSplit, StratifiedShuffleSplit
from sklearn.utils.fixes import parse_version

from .reference.losses import LOSSES

pytestmark = pytest.mark.filterwarnings("ignore", category=ConvergenceWarning)

N, D = 200, 6
# What is trained alike with and without early stopping: an order that does not depend on the number of rows.
IN_ORDER = {"shuffle": False, "learning_rate": "constant", "eta0": 0.02, "alpha": 0.01}

CASES = {
    "binary": (SGDClassifier, {"loss": "log_loss"}),
    "multiclass": (SGDClassifier, {"loss": "modified_huber"}),
    "regression": (SGDRegressor, {"loss": "squared_error"}),
}
every_case = pytest.mark.parametrize("case", CASES)
scikit_learn_1_9 = pytest.mark.skipif(
    parse_version(sklearn.__version__) < parse_version("1.9"), reason="shows a defect of scikit-learn 1.9"
)


def data(case, *, n=N, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, D))
    margin = X @ np.linspace(-1, 1, D) + 0.5 * rng.normal(size=n)
    if case == "regression":
        return X, margin + 1
    return X, np.digitize(margin, [0] if case == "binary" else [-1, 1])


def estimator(case, **params):
    kind, own = CASES[case]
    return kind(**{**IN_ORDER, **own, **params})


def split(case, y, *, fraction=0.1, random_state=0):
    """scikit-learn's split: stratified by the labels in classification."""
    splitter = ShuffleSplit if case == "regression" else StratifiedShuffleSplit
    train, held = next(splitter(test_size=fraction, random_state=random_state).split(np.zeros((len(y), 1)), y))
    return np.sort(train), held


def validation(case):
    X, y = data(case, n=80, seed=7)
    return {"X_val": X, "y_val": y}


def true_score(model, X, y, sample_weight=None):
    """Accuracy of one class against the rest, averaged over the classes; or R²."""
    if isinstance(model, SGDRegressor):
        return r2_score(y, model.predict(X), sample_weight=sample_weight)
    positive = model.classes_[1:] if len(model.classes_) == 2 else model.classes_
    margins = (X @ model.coef_.T + model.intercept_).T
    pairs = zip(margins, positive, strict=True)
    return np.mean([accuracy_score(y == label, p > 0, sample_weight=sample_weight) for p, label in pairs])


def true_loss(model, X, y, sample_weight=None):
    margins = np.atleast_2d((X @ model.coef_.T + model.intercept_).T)
    if isinstance(model, SGDRegressor):
        targets = [y]
    else:
        negative = 0.0 if model.loss == "log_loss" else -1.0
        positive = model.classes_[1:] if len(model.classes_) == 2 else model.classes_
        targets = [np.where(y == label, 1.0, negative) for label in positive]
    losses = [LOSSES[model.loss](t, p)[0] for t, p in zip(targets, margins, strict=True)]
    return np.mean([np.average(values, weights=sample_weight) for values in losses])


# ---- which rows ----


@every_case
@pytest.mark.parametrize("fraction", [0.1, 0.35])
@pytest.mark.parametrize("random_state", [0, 3])
@pytest.mark.parametrize("storage", [np.asarray, sp.csr_array])
def test_it_trains_on_scikit_learns_training_rows_in_order(case, fraction, random_state, storage):
    X, y = data(case)
    early = {"early_stopping": True, "validation_fraction": fraction, "random_state": random_state}
    if case == "multiclass":
        early |= {"tol": None, "max_iter": 4}  # else each class stops in an epoch of its own
    stopped = estimator(case, n_iter_no_change=3, **early).fit(storage(X), y)
    train, _ = split(case, y, fraction=fraction, random_state=random_state)
    plain = estimator(case, max_iter=stopped.n_iter_, tol=None).fit(storage(X[train]), y[train])
    np.testing.assert_array_equal(stopped.coef_, plain.coef_)
    np.testing.assert_array_equal(stopped.intercept_, plain.intercept_)
    assert stopped.loss_curve_ == plain.loss_curve_
    assert len(stopped.loss_curve_) == stopped.n_iter_ > 1


@every_case
def test_a_single_epoch_leaves_the_validation_rows_out_too(case):
    X, y = data(case)
    stopped = estimator(case, max_iter=1, early_stopping=True, random_state=0).fit(X, y)
    train, _ = split(case, y)
    plain = estimator(case, max_iter=1).fit(X[train], y[train])
    np.testing.assert_array_equal(stopped.coef_, plain.coef_)
    assert len(stopped.validation_scores_) == 1


@every_case
def test_steps_are_counted_over_all_rows(case):
    # scikit-learn's t_ counts validation rows too
    X, y = data(case)
    model = estimator(case, early_stopping=True, max_iter=30).fit(X, y)
    assert model.t_ == 1 + model.n_iter_ * N


@pytest.mark.parametrize("case", ["binary", "regression"])
def test_rows_are_shuffled_before_the_validation_rows_are_left_out(case):
    X, y = data(case)
    theirs = getattr(sklearn.linear_model, CASES[case][0].__name__)
    params = {**IN_ORDER, **CASES[case][1], "shuffle": True, "early_stopping": True, "random_state": 1}
    params |= {"max_iter": 4, "tol": None}
    ours = CASES[case][0](**params).fit(X, y)
    np.testing.assert_allclose(ours.coef_, theirs(**params).fit(X, y).coef_, rtol=1e-9)


# ---- scores and losses of each epoch ----


@every_case
@pytest.mark.parametrize("penalty", ["l2", "l1", None])
@pytest.mark.parametrize("storage", [np.asarray, sp.csr_array])
def test_scores_are_those_of_the_true_model(case, penalty, storage):
    X, y = data(case)
    weight = np.random.default_rng(1).uniform(0.1, 2, N)
    params = {"penalty": penalty, "alpha": 0.1, "early_stopping": True, "random_state": 0, "tol": None}
    model = estimator(case, max_iter=4, **params).fit(storage(X), y, sample_weight=weight)
    _, held = split(case, y)
    for k in range(4):
        past = estimator(case, max_iter=k + 1, **params).fit(storage(X), y, sample_weight=weight)
        of_epoch = (past, X[held], y[held], weight[held])
        np.testing.assert_allclose(model.validation_scores_[k], true_score(*of_epoch), rtol=1e-9)
        np.testing.assert_allclose(model.validation_loss_curve_[k], true_loss(*of_epoch), rtol=1e-9)


@every_case
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("early", [False, True])
def test_scores_on_given_rows(case, weighted, early):
    X, y = data(case)
    given = validation(case)
    weight = np.random.default_rng(1).uniform(0, 2, 80) if weighted else None
    params = {"tol": None, "early_stopping": early}
    model = estimator(case, max_iter=4, **params).fit(X, y, **given, sample_weight_val=weight)
    assert model.n_iter_ == len(model.validation_scores_) == len(model.validation_loss_curve_) == 4
    for k in range(4):
        past = estimator(case, max_iter=k + 1, tol=None).fit(X, y)
        of_epoch = (past, given["X_val"], given["y_val"], weight)
        np.testing.assert_allclose(model.validation_scores_[k], true_score(*of_epoch), rtol=1e-9)
        np.testing.assert_allclose(model.validation_loss_curve_[k], true_loss(*of_epoch), rtol=1e-9)


@every_case
def test_given_rows_do_not_change_the_training(case):
    X, y = data(case)
    watched = estimator(case, max_iter=10).fit(X, y, **validation(case))
    plain = estimator(case, max_iter=10).fit(X, y)
    np.testing.assert_array_equal(watched.coef_, plain.coef_)
    assert plain.validation_scores_ is None
    assert plain.validation_loss_curve_ is None


@every_case
def test_a_constant_target_scores_as_in_scikit_learn(case):
    # R² of a constant target is 1 when all predictions are right, else 0
    X, y = data(case)
    given = {"X_val": X[:5], "y_val": np.full(5, y[0])}
    model = estimator(case, max_iter=1, tol=None).fit(X, y, **given)
    assert model.validation_scores_[0] == pytest.approx(true_score(model, *given.values()))


def test_a_constant_target_that_is_met_exactly_scores_one():
    # empty rows and no intercept: all predictions are 0
    X, y = data("regression")
    model = estimator("regression", fit_intercept=False, max_iter=1, tol=None)
    model.fit(X, y, X_val=np.zeros((5, D)), y_val=np.zeros(5))
    assert model.validation_scores_ == [r2_score(np.zeros(5), np.zeros(5))] == [1.0]


@pytest.mark.parametrize("batch_size", [1, 16])
def test_r2_of_a_single_row_is_refused_before_training(batch_size):
    X, y = data("regression")
    model = estimator("regression", max_iter=1, tol=None).set_params(batch_size=batch_size)
    with pytest.raises(ValueError, match="R².*at least two rows.*X_val has 1"):
        model.fit(X, y, X_val=X[:1], y_val=y[:1])
    with pytest.raises(ValueError, match="R².*at least two rows.*X_val has 1"):
        model.fit(X, y, X_val=X[:3], y_val=y[:3], sample_weight_val=[0, 2, 0])
    model.set_params(early_stopping=True)
    with pytest.raises(ValueError, match=r"R².*at least two rows.*validation_fraction=0.1 has 1"):
        model.fit(X[:8], y[:8])
    assert "n_features_in_" not in vars(model)
    model.fit(X[:8], y[:8], X_val=X[:2], y_val=y[:2])
    # what is scored by accuracy needs no second row
    X, y = data("binary")
    model = estimator("binary", max_iter=1, tol=None).set_params(batch_size=batch_size)
    assert model.fit(X, y, X_val=X[:1], y_val=y[:1]).validation_scores_[0] in (0.0, 1.0)


# ---- where scikit-learn 1.9 is wrong ----


@scikit_learn_1_9
def test_log_loss_is_scored_with_the_right_labels():
    # scikit-learn compares {0, 1} with the classes {-1, 1}, so that no negative row is ever right
    X, y = data("binary")
    params = {"loss": "log_loss", "early_stopping": True, "max_iter": 3, "tol": None, "random_state": 0, "alpha": 1e-4}
    theirs = sklearn.linear_model.SGDClassifier(verbose=1, **params)
    shown = printed_scores(theirs, X, y)
    _, held = split("binary", y)
    truth = theirs.score(X[held], y[held])
    assert truth > 0.8
    assert shown[-1] <= np.mean(y[held] == 1) < truth
    ours = SGDClassifier(**params).fit(X, y)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=1e-9)
    assert ours.validation_scores_[-1] == truth


@scikit_learn_1_9
def test_scores_contain_the_scale_of_the_weights():
    # scikit-learn scores the weights without the factor that holds the L2 decay
    X, y = data("regression")
    params = {"alpha": 0.1, "learning_rate": "constant", "eta0": 0.01, "early_stopping": True}
    params |= {"max_iter": 5, "tol": None, "random_state": 0}
    theirs = sklearn.linear_model.SGDRegressor(verbose=1, **params)
    shown = printed_scores(theirs, X, y)
    _, held = split("regression", y)
    truth = theirs.score(X[held], y[held])
    assert shown[-1] < 0 < truth - 0.5
    ours = SGDRegressor(**params).fit(X, y)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=1e-9)
    np.testing.assert_allclose(ours.validation_scores_[-1], truth, rtol=1e-9)


def printed_scores(model, X, y):
    """scikit-learn keeps no history: fit with verbose=1 and read what it prints."""
    with contextlib.redirect_stdout(io.StringIO()) as out:
        model.fit(X, y)
    lines = [line for line in out.getvalue().splitlines() if "Validation score" in line]
    return [float(line.rsplit(" ", 1)[1]) for line in lines]


# ---- when it stops ----


@every_case
@pytest.mark.parametrize("tol", [1e-3, 0.02])
@pytest.mark.parametrize("patience", [1, 4])
def test_it_stops_after_so_many_epochs_without_improvement(case, tol, patience):
    X, y = data(case)
    model = estimator(case, early_stopping=True, max_iter=300, tol=tol, n_iter_no_change=patience, eta0=0.005)
    model.fit(X, y)
    if case == "multiclass":  # each class stops for itself, and the mean curve does not tell when
        assert model.stop_reason_ == "early_stopping"
        return
    best, idle, epochs = -np.inf, 0, 0
    for score in model.validation_scores_:
        epochs += 1
        idle = idle + 1 if score < best + tol else 0
        best = max(best, score)
        if idle >= patience:
            break
    assert model.n_iter_ == epochs < 300
    assert model.stop_reason_ == "early_stopping"


@every_case
def test_reasons_to_stop(case):
    X, y = data(case)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        assert estimator(case, max_iter=1000).fit(X, y).stop_reason_ == "converged"
        assert estimator(case, early_stopping=True, max_iter=1000).fit(X, y).stop_reason_ == "early_stopping"
        assert estimator(case, max_iter=2, tol=None).fit(X, y).stop_reason_ == "max_iter"
        with pytest.raises(ConvergenceWarning, match="max_iter"):
            estimator(case, max_iter=2).fit(X, y)


@every_case
@pytest.mark.parametrize("early", [False, True])
def test_without_a_tolerance_it_never_stops_early(case, early):
    X, y = data(case)
    model = estimator(case, early_stopping=early, tol=None, max_iter=50, n_iter_no_change=1).fit(X, y)
    assert model.n_iter_ == 50


def test_the_adaptive_rate_falls_before_early_stopping_stops():
    X, y = data("regression")
    params = {"early_stopping": True, "n_iter_no_change": 1, "max_iter": 500, "tol": 1e-3, "random_state": 0}
    constant = estimator("regression", **params).fit(X, y)
    adaptive = estimator("regression", **{**params, "learning_rate": "adaptive"}).fit(X, y)
    # from 0.02 it takes seven divisions by 5 to get to 1e-6
    assert adaptive.n_iter_ >= constant.n_iter_ + 7
    assert adaptive.stop_reason_ == "early_stopping"


# ---- which weights ----


@every_case
@pytest.mark.parametrize("average", [False, True])
@pytest.mark.parametrize("given", [False, True])
def test_the_best_weights_are_restored(case, average, given):
    X, y = data(case)
    rows = validation(case) if given else {}
    # a rate so large that the score goes up and down
    params = {"eta0": 0.2, "shuffle": True, "max_iter": 12, "tol": None, "average": average, "random_state": 0}
    params["early_stopping"] = not given
    best = estimator(case, restore_best_weights=True, **params).fit(X, y, **rows)
    last = estimator(case, **params).fit(X, y, **rows)
    assert best.validation_scores_ == last.validation_scores_
    if case == "multiclass":  # each class has a best epoch of its own: none is worse than after the last
        _, held = split(case, y)
        X_val, y_val = (rows["X_val"], rows["y_val"]) if given else (X[held], y[held])
        if not average:
            assert true_score(best, X_val, y_val) >= max(best.validation_scores_)
        return
    epoch = int(np.argmax(best.validation_scores_))
    assert epoch < 11
    past = estimator(case, **{**params, "max_iter": epoch + 1}).fit(X, y, **rows)
    np.testing.assert_allclose(best.coef_, past.coef_, rtol=1e-12)
    np.testing.assert_allclose(best.intercept_, past.intercept_, rtol=1e-12)
    assert np.abs(best.coef_ - last.coef_).max() > 1e-3


def test_restoring_needs_a_validation_set():
    X, y = data("binary")
    for case in ("binary", "regression"):
        with pytest.raises(ValueError, match="restore_best_weights=True needs a validation set"):
            estimator(case, restore_best_weights=True).fit(X, y)


# ---- the validation set that is given ----


@every_case
@pytest.mark.parametrize("X_storage", [np.asarray, sp.csr_array, sp.csr_matrix])
@pytest.mark.parametrize("val_storage", [np.asarray, np.asfortranarray, sp.csr_array, sp.csc_matrix, np.ndarray.tolist])
def test_its_storage_does_not_matter(case, X_storage, val_storage):
    X, y = data(case)
    given = validation(case)
    expected = estimator(case, max_iter=2, intercept_decay=1.0, tol=None).fit(X, y, **given)
    model = estimator(case, max_iter=2, intercept_decay=1.0, tol=None)
    model.fit(X_storage(X), y, X_val=val_storage(given["X_val"]), y_val=given["y_val"].tolist())
    np.testing.assert_allclose(model.validation_scores_, expected.validation_scores_, rtol=1e-9)
    np.testing.assert_allclose(model.validation_loss_curve_, expected.validation_loss_curve_, rtol=1e-9)


def test_its_index_type_does_not_matter():
    X, y = data("binary")
    given = validation("binary")
    curves = []
    for train_type in (np.int32, np.int64):
        for val_type in (np.int32, np.int64):
            A, B = sp.csr_array(X), sp.csr_array(given["X_val"])
            for M, kind in ((A, train_type), (B, val_type)):
                M.indices, M.indptr = M.indices.astype(kind), M.indptr.astype(kind)
            model = estimator("binary", max_iter=2, tol=None).fit(A, y, X_val=B, y_val=given["y_val"])
            curves.append(model.validation_loss_curve_)
            assert B.indices.dtype == val_type  # the user's matrix stays as it was
    assert curves[0] == curves[1] == curves[2] == curves[3]


@every_case
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("val_dtype", [np.float32, np.float64, np.float16])
def test_its_dtype_does_not_matter(case, dtype, val_dtype):
    X, y = data(case)
    given = validation(case)
    X_val = given["X_val"].astype(val_dtype)
    model = estimator(case, max_iter=2, tol=None).fit(X.astype(dtype), y, X_val=X_val, y_val=given["y_val"])
    assert model.coef_.dtype == dtype
    expected = true_loss(model, X_val.astype(float), given["y_val"])
    np.testing.assert_allclose(model.validation_loss_curve_[-1], expected, rtol=1e-4)


@pytest.mark.parametrize("case", ["binary", "multiclass"])
def test_labels_of_y_val_must_be_among_the_classes(case):
    X, y = data(case)
    given = validation(case)
    given["y_val"] = np.where(np.arange(80) == 3, 17, given["y_val"])
    model = estimator(case)
    with pytest.raises(ValueError, match=r"y_val has labels \[17\]"):
        model.fit(X, y, **given)
    assert not hasattr(model, "coef_")


def test_labels_may_be_strings():
    X, y = data("multiclass")
    given = validation("multiclass")
    words = np.array(["low", "middle", "high"])
    named = estimator("multiclass", max_iter=2, tol=None).fit(
        X, words[y], X_val=given["X_val"], y_val=words[given["y_val"]]
    )
    coded = estimator("multiclass", max_iter=2, tol=None).fit(X, y, **given)
    np.testing.assert_allclose(named.validation_scores_, coded.validation_scores_)


# ---- weights, threads, history ----


@every_case
@pytest.mark.parametrize("part", ["validation", "training"])
def test_a_part_of_the_split_without_weight_is_an_error(case, part):
    X, y = data(case)
    weight = np.ones(N)
    weight[split(case, y)[part == "validation"]] = 0
    with pytest.raises(ValueError, match=f"sample weights for {part} set are all zero"):
        estimator(case, early_stopping=True, random_state=0).fit(X, y, sample_weight=weight)


@every_case
def test_a_split_without_training_rows_is_an_error(case):
    X, y = data(case)
    for library in (sklearn.linear_model, fusedgrad.linear_model):
        model = getattr(library, CASES[case][0].__name__)(early_stopping=True, validation_fraction=0.99)
        with pytest.raises(ValueError, match="train set will be empty|train_size = 0"):
            model.fit(X[:8], y[:8])


@pytest.mark.parametrize("storage", [np.asarray, sp.csr_array])
def test_threads_do_not_change_a_bit(storage):
    X, y = data("multiclass")
    models = [
        estimator("multiclass", early_stopping=True, n_jobs=n_jobs, random_state=0, restore_best_weights=restore)
        for restore in (False, True)
        for n_jobs in (1, 2)
    ]
    for model in models:
        model.fit(storage(X), y)
    for one, two in (models[:2], models[2:]):
        np.testing.assert_array_equal(one.coef_, two.coef_)
        np.testing.assert_array_equal(one.intercept_, two.intercept_)
        assert one.validation_scores_ == two.validation_scores_
        assert one.loss_curve_ == two.loss_curve_
        assert one.n_iter_ == two.n_iter_


def test_a_class_that_has_stopped_counts_with_its_last_epoch():
    X, y = data("multiclass")
    params = {"early_stopping": True, "random_state": 0, "max_iter": 300, "eta0": 0.002}
    model = estimator("multiclass", **params).fit(X, y)
    # one against the rest by hand, on the rows that the split of three classes leaves
    train, held = split("multiclass", y)
    curves = []
    for k in range(3):
        one = estimator("binary", loss="modified_huber", **{**params, "early_stopping": True})
        one.fit(X[train], y[train] == k, X_val=X[held], y_val=y[held] == k)
        curves.append(one.validation_scores_)
    longest = max(map(len, curves))
    assert len(set(map(len, curves))) > 1
    assert model.n_iter_ == longest
    mean = np.mean([curve + curve[-1:] * (longest - len(curve)) for curve in curves], axis=0)
    np.testing.assert_allclose(model.validation_scores_, mean)


@pytest.mark.parametrize("shift", [0, 1, 2])
def test_one_class_that_would_go_on_decides_the_reason(shift):
    X, y = data("multiclass")
    y = (y + shift) % 3  # whichever class comes first
    params = {"early_stopping": True, "random_state": 0, "eta0": 0.002}
    longest = estimator("multiclass", max_iter=300, **params).fit(X, y)
    assert longest.stop_reason_ == "early_stopping"
    shorter = estimator("multiclass", max_iter=longest.n_iter_ - 1, **params)
    with pytest.warns(ConvergenceWarning, match="max_iter"):
        shorter.fit(X, y)
    assert shorter.stop_reason_ == "max_iter"


def test_partial_fit_and_early_stopping_exclude_each_other():
    X, y = data("binary")
    for case in ("binary", "regression"):
        with pytest.raises(ValueError, match="early_stopping should be False with partial_fit"):
            estimator(case, early_stopping=True).partial_fit(X, y, **({"classes": [0, 1]} if case == "binary" else {}))


@every_case
def test_partial_fit_appends_to_the_loss_curve(case):
    X, y = data(case)
    model = estimator(case, max_iter=3, tol=None).fit(X, y)
    curve = list(model.loss_curve_)
    assert len(curve) == model.n_iter_ == 3
    for count in (4, 5):
        model.partial_fit(X, y)
        assert len(model.loss_curve_) == count
        assert model.loss_curve_[:3] == curve
        assert model.n_iter_ == 1
    # one epoch more is one epoch more: in order, and with a rate that does not depend on the step
    longer = estimator(case, max_iter=5, tol=None).fit(X, y)
    np.testing.assert_allclose(model.loss_curve_, longer.loss_curve_, rtol=1e-9)
    assert len(model.fit(X, y).loss_curve_) == 3  # fit begins anew


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("average", [False, True])
def test_the_best_weights_stay_when_batches_go_on(outputs, average):
    """Rates that grow make the last weights bad, and the best ones must not follow them."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 5))
    y = np.digitize(X[:, 0] + 0.5 * rng.normal(size=300), [0.0] if outputs == 1 else [-0.5, 0.5])
    model = SGDClassifier(
        "log_loss",
        batch_size=16,
        learning_rate=lambda step: 0.5 if step < 40 else 300.0,
        max_iter=8,
        tol=None,
        average=average,
        restore_best_weights=True,
        random_state=0,
    ).fit(X[:200], y[:200], X_val=X[200:], y_val=y[200:])
    assert model.validation_scores_[-1] < max(model.validation_scores_)
    assert model.score(X[200:], y[200:]) == max(model.validation_scores_)
