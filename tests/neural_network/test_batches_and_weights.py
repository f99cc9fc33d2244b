"""Batch normalisation, weights of classes, rows that early stopping keeps aside."""

import math

import numpy as np
import pytest
from fusedgrad import optimizers
from fusedgrad._validation.weights import balanced_weights
from fusedgrad.layers import (
    BatchNorm,
    Conv2D,
    Dense,
    Flatten,
    LayerNorm,
    Residual,
)
from fusedgrad.neural_network import MLPRegressor, NeuralRegressor
from sklearn.model_selection import train_test_split
from sklearn.utils.class_weight import compute_class_weight, compute_sample_weight

from .promised import (
    LABELS,
    REGRESSORS,
    SCORE,
    THREE,
    N,
    X,
    Y,
    every,
    every_classifier,
    make,
    refuses,
    same_weights,
    weights_of,
)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


every_regressor = pytest.mark.parametrize("name", REGRESSORS)


# ---- batch norm ----


ONE_ROW = r"Batch normalisation needs batches of two rows or more.*larger batch_size.*LayerNorm"


@every
def test_batch_norm_needs_batches_of_two_rows(name):
    refuses(ONE_ROW, make(name, norm=True, batch_size=1), X, Y[name])
    model = make(name, norm=True).fit(X, Y[name])
    refuses(ONE_ROW, model.set_params(batch_size=1), X, Y[name])
    refuses(ONE_ROW, model.set_params(batch_size=1), X[:1], Y[name][:1], method="partial_fit")
    if name in REGRESSORS:
        refuses(ONE_ROW, make(name, norm=True, batch_size="full"), X[:1], SCORE[:1])
    model.set_params(batch_size=2).partial_fit(X[:2], Y[name][:2]).predict(X[:1])


def test_batch_norm_over_positions_takes_one_row():
    images = X.reshape(N, 2, 2, 1)
    made = [Conv2D(3, 1), BatchNorm(), Residual([LayerNorm(), BatchNorm()]), Flatten()]
    model = NeuralRegressor(made, max_epochs=2, batch_size=1, random_state=0).fit(images, SCORE)
    assert np.isfinite(model.predict(images)).all()
    inside = [Dense(4), Residual([Dense(4), BatchNorm()])]
    refuses(ONE_ROW, NeuralRegressor(inside, batch_size=1), X, SCORE)


def test_a_last_batch_of_one_row_leaves_running_statistics_alone():
    params = {"norm": True, "batch_size": 20, "shuffle": False, "epochs": 1, "rule": optimizers.SGD()}
    rate = {"learning_rate_init": 1e-300}
    one = make("MLPRegressor", **params, **rate).fit(X[:41], SCORE[:41])
    none = make("MLPRegressor", **params, **rate).fit(X[:40], SCORE[:40])
    for statistic in ("mean", "variance"):
        np.testing.assert_allclose(one.norms_[0][statistic], none.norms_[0][statistic], rtol=1e-12)


@pytest.mark.parametrize("rows", [600, 601])
def test_a_last_batch_of_one_row_does_not_spoil_the_fit(rows):
    rng = np.random.default_rng(0)
    data = rng.normal(size=(3000, 4))
    y = data @ [3.0, -2.0, 1.0, 4.0]
    model = MLPRegressor(
        hidden_layer_sizes=(32,), batch_norm=True, max_iter=100, learning_rate_init=0.02, random_state=0
    )
    assert model.fit(data[:rows], y[:rows]).score(data[2000:], y[2000:]) > 0.99


# ---- weights of classes ----


def test_balanced_weights_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    codes, weight = rng.integers(3, size=50), rng.integers(1, 4, size=50).astype(float)
    repeated = np.repeat(codes, weight.astype(int))
    for given, seen in ((None, codes), (weight, repeated)):
        expected = compute_class_weight("balanced", classes=np.arange(3), y=seen)
        np.testing.assert_allclose(balanced_weights(codes, 3, given), expected)
    weight[codes == 1] = 0  # scikit-learn knows no class without weight
    two = compute_class_weight("balanced", classes=np.array([0, 2]), y=repeated[repeated != 1])
    np.testing.assert_allclose(balanced_weights(codes, 3, weight), [two[0] * 2 / 3, 0, two[1] * 2 / 3])


@every_classifier
def test_balanced_counts_the_classes_that_are_trained_on(name):
    """A class whose rows weigh nothing is as if it were not there; so is a label that no row has, or every one."""
    weight = np.random.default_rng(0).integers(1, 4, size=N).astype(float)
    weight[THREE == 1] = 0
    repeated = np.repeat(THREE, weight.astype(int))
    model = make(name, class_weight="balanced").fit(X, THREE)
    table = compute_class_weight("balanced", classes=np.array([0, 2]), y=repeated)
    np.testing.assert_allclose(model._class_weights(THREE, weight)[THREE != 1], table[THREE[THREE != 1] // 2])
    labels = np.c_[LABELS, np.ones(N, dtype=int)]
    model.fit(X, labels)
    np.testing.assert_allclose(model._class_weights(labels, None), compute_sample_weight("balanced", LABELS))


@every_classifier
def test_balanced_counts_sample_weights(name):
    """Rows that weigh three times as much count as if they were there three times."""
    rng = np.random.default_rng(0)
    y = np.where(rng.random(N) < 0.8, 0, THREE)
    weight = rng.integers(1, 4, N).astype(float)
    params = {"class_weight": "balanced", "batch_size": "full", "shuffle": False, "alpha": 0.0}
    repeated = np.repeat(np.arange(N), weight.astype(int))
    found = make(name, **params).fit(X, y, weight)
    expected = make(name, **params).fit(X[repeated], y[repeated])
    for one, other in zip(weights_of(found), weights_of(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-10)
    share = make(name, **params, hidden=(), epochs=3000, rule=optimizers.SGD(1.0), tol=1e-12).fit(X * 0, y, weight)
    np.testing.assert_allclose(share.predict_proba(X[:1] * 0), 1 / 3, atol=1e-3)


@every_classifier
def test_balanced_counts_the_rows_that_are_trained_on(name):
    y = np.where(np.arange(N) < 45, 0, THREE)
    model = make(name, class_weight="balanced", early_stopping=True, restore_best_weights=False)
    seen = {}
    made = type(model)._class_weights

    class Seen(type(model)):
        def _class_weights(self, y, weight):
            seen["y"], seen["weights"] = y, made(self, y, weight)
            return seen["weights"]

    Seen(**model.get_params(deep=False)).fit(X, y)
    assert len(seen["y"]) == 54
    np.testing.assert_allclose(seen["weights"], compute_sample_weight("balanced", seen["y"]))


@every_classifier
def test_balanced_labels_are_balanced_column_by_column(name):
    weight = np.random.default_rng(0).uniform(0.5, 2, N)
    model = make(name, class_weight="balanced").fit(X, LABELS)
    expected = make(name).fit(X, LABELS, compute_sample_weight("balanced", LABELS))
    for one, other in zip(weights_of(model), weights_of(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-12)
    product = np.prod(
        [balanced_weights(column, 2, weight)[column] for column in LABELS.T],
        axis=0,
    )
    model = make(name, class_weight="balanced").fit(X, LABELS, weight)
    expected = make(name).fit(X, LABELS, weight * product)
    for one, other in zip(weights_of(model), weights_of(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-12)
    tables = [{0: 1.0, 1: 2.0}, {1: 0.5}, {0: 3.0}]
    by_hand = np.prod([[t.get(v, 1.0) for v in column] for t, column in zip(tables, LABELS.T, strict=True)], axis=0)
    given = make(name, class_weight=tables).fit(X, LABELS)
    assert same_weights(given, make(name).fit(X, LABELS, by_hand))


@every_classifier
def test_class_weights_of_labels_that_do_not_fit(name):
    for wrong in ({0: 1.0}, [{0: 1.0}] * 2):
        refuses(
            "For an indicator matrix class_weight must be 'balanced' or a list of 3 dicts",
            make(name, class_weight=wrong),
            X,
            LABELS,
        )
    refuses(
        "class_weight must be a dict or 'balanced' for one label a row", make(name, class_weight=[{0: 1.0}]), X, THREE
    )
    for wrong in ({0: -1.0}, {1: np.nan}, {2: np.inf}):
        refuses("class_weight must be finite and not negative", make(name, class_weight=wrong), X, THREE)
    refuses("Every row to train on has the weight zero", make(name, class_weight={0: 0, 1: 0, 2: 0}), X, THREE)


@every_classifier
@pytest.mark.parametrize("labels", [[0, 1, 2], ["a", "b", "c"]])
def test_a_dict_of_class_weights_may_name_classes_that_are_not_there_yet(name, labels):
    """In a first partial_fit, in a later one, and in a split."""
    labels = np.array(labels)
    table = {labels[0]: 2.0, labels[2]: 0.5}  # and 1 for the one that it leaves out
    y = labels[THREE]
    weight = np.array([2.0, 1.0, 0.5])[THREE]
    some = THREE < 2
    model = make(name, class_weight=table).partial_fit(X[some], y[some], classes=labels)
    expected = make(name).partial_fit(X[some], y[some], weight[some], classes=labels)
    assert same_weights(model, expected)
    model.partial_fit(X[~some], y[~some])
    assert same_weights(model, expected.partial_fit(X[~some], y[~some], weight[~some]))
    rare = np.where(np.arange(N) == 7, 2, THREE % 2)
    early = {"early_stopping": True}
    model = make(name, class_weight=table, **early).fit(X, labels[rare])
    assert same_weights(model, make(name, **early).fit(X, labels[rare], np.array([2.0, 1.0, 0.5])[rare]))


# ---- rows that early stopping keeps aside ----


def parts_of(name, y, **params):
    """The rows that a fit trains on, and those it validates with."""
    model = make(name, early_stopping=True, **params)
    found = {}

    class Seen(type(model)):
        def _split(self, X, y, weight, rng):
            X, y, weight, rows = super()._split(X, y, weight, rng)
            found["train"], found["held"] = X[:, 0].astype(int), rows.X[:, 0].astype(int)
            return X, y, weight, rows

    Seen(**model.get_params(deep=False)).fit(np.arange(len(y), dtype=float)[:, None], y)
    assert sorted([*found["train"], *found["held"]]) == list(range(len(y)))
    return found["train"], found["held"]


@every_classifier
def test_a_rare_class_is_in_both_parts(name):
    y = np.array([0] * 50 + [1] * 40 + [2] * 10)
    for seed in range(5):
        train, held = parts_of(name, y, random_state=seed, validation_fraction=0.2)
        assert np.bincount(y[held]).tolist() == [10, 8, 2]
        assert np.bincount(y[train]).tolist() == [40, 32, 8]


@every_classifier
@pytest.mark.parametrize("classes", [2, 3, 5])
def test_a_class_of_one_row_is_trained_on(name, classes):
    y = np.arange(60) % (classes - 1)
    y[17] = classes - 1
    for seed in range(5):
        train, held = parts_of(name, y, random_state=seed)
        assert 17 in train
        assert len(held) == 6


@every_classifier
def test_more_classes_than_rows_to_keep_aside(name):
    """Then every class is trained on, whatever the others validate with."""
    y = np.arange(60) % 20
    for seed in range(5):
        train, held = parts_of(name, y, random_state=seed)
        assert set(y[train]) == set(range(20))
        assert len(held) == 4


def test_the_split_is_that_of_scikit_learn_where_that_one_stratifies():
    y = (np.arange(N) % 3 == 0).astype(int)
    train, held = parts_of("MLPClassifier", y)
    rng = np.random.RandomState(0)
    for shape in ((1, 6), (6,), (6, 1), (1,)):  # weights and biases are drawn first
        rng.uniform(size=shape)
    expected = train_test_split(np.arange(N), random_state=rng, test_size=0.1, stratify=y)
    assert [train.tolist(), held.tolist()] == [part.tolist() for part in expected]


@every_classifier
def test_too_few_rows_to_keep_aside(name):
    refuses(
        "The validation set is too small. Increase 'validation_fraction'",
        make(name, early_stopping=True),
        X[:4],
        [0, 0, 0, 1],
    )
    refuses("The validation set is too small", make(name, early_stopping=True), X[:3], [0, 1, 2])


@every
def test_weights_that_leave_nothing_to_validate_or_to_train_with(name):
    y = Y[name]
    model = make(name, early_stopping=True)
    held = np.zeros(N, dtype=bool)

    class Seen(type(model)):
        def _split(self, X, y, weight, rng):
            marked = np.c_[X, np.arange(N)]
            marked, y, weight, rows = super()._split(marked, y, weight, rng)
            held[rows.X[:, -1].astype(int)] = True
            rows.X = np.ascontiguousarray(rows.X[:, :-1])
            return np.ascontiguousarray(marked[:, :-1]), y, weight, rows

    Seen(**model.get_params(deep=False)).fit(X, y)
    refuses(
        "sample_weight is zero for every row that early_stopping keeps aside", model, X, y, np.where(held, 0.0, 1.0)
    )
    refuses("Every row to train on has the weight zero", model, X, y, np.where(held, 1.0, 0.0))


@every_regressor
@pytest.mark.parametrize("params", [{"early_stopping": True}, {"restore_best_weights": True}], ids=str)
def test_r2_of_one_row_decides_nothing(name, params):
    message = "validation set has 1 row, but .* R2, which needs two"
    model = make(name, **params)
    refuses(message, model, X, SCORE, X_val=X[:1], y_val=SCORE[:1])
    weight = np.zeros(N)
    weight[3] = 2
    refuses(message, model, X, SCORE, X_val=X, y_val=SCORE, sample_weight_val=weight)
    model.fit(X, SCORE, X_val=X[:2], y_val=SCORE[:2])
    shown = make(name).fit(X, SCORE, X_val=X[:1], y_val=SCORE[:1])  # here it is only looked at
    assert np.isnan(shown.validation_scores_).all() and np.isfinite(shown.validation_loss_curve_).all()


@every_regressor
def test_a_score_of_nan_is_no_progress(name, monkeypatch):
    model = make(name, early_stopping=True, epochs=100, n_iter_no_change=5, restore_best_weights=True)
    scores = iter([0.1, 0.2, *[math.nan] * 200])
    monkeypatch.setattr(type(model), "_score_loss", lambda *arguments: (next(scores), 1.0))
    model.fit(X, SCORE)
    assert model.stop_reason_ == "early_stopping"
    assert model.n_iter_ == 2 + 5 + ("MLP" in name)
    two = make(name, epochs=2, early_stopping=True, restore_best_weights=False, n_iter_no_change=5)
    scores = iter([0.1, 0.2])
    assert same_weights(model, two.fit(X, SCORE))
