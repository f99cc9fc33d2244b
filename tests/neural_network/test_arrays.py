"""Rows and targets of networks: numbers, shapes, storage, types, weights."""

import numpy as np
import pytest
import scipy.sparse as sp
from fusedgrad import losses
from fusedgrad.layers import BatchNorm, Dense, Flatten, LayerNorm
from scipy.special import expit, log_expit, log_softmax
from sklearn.model_selection import GridSearchCV

from ..reference.losses import OF_NETWORKS
from .small import (
    CLASSIFIERS,
    CODES,
    LABELS,
    MLPS,
    NAMES,
    NEURALS,
    REGRESSORS,
    SCORE,
    THREE,
    Case,
    D,
    N,
    X,
    Y,
    assert_all_close,
    assert_same_bits,
    check,
    make,
    on_all,
    rich,
    weights_of,
    with_value,
)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


# ---- numbers that are not finite, and shapes ----


BROKEN = [(np.nan, "NaN"), (np.inf, "infinity"), (-np.inf, "infinity")]


FINITE = [
    *(
        case
        for value, word in BROKEN
        for storage in (np.asarray, np.float32, np.asfortranarray, sp.csr_array, sp.csc_array, np.ndarray.tolist)
        for case in on_all(f"Input X contains {word}", {"X": storage(with_value(X, value))})
    ),
    *(
        case
        for value, word in BROKEN
        for case in on_all(f"Input X contains {word}", {"X": with_value(X, value)[:, :, None]}, names=NEURALS)
    ),
    *(
        case
        for value, word in BROKEN
        for case in on_all(f"[Ii]nput y contains {word}", {"y": with_value(SCORE, value)}, names=REGRESSORS)
        + on_all(f"[Ii]nput y contains {word}", {"y": with_value(THREE, value)}, names=CLASSIFIERS)
    ),
    *(
        case
        for value, word in BROKEN
        for weights in (with_value(np.ones(N), value), value)
        for case in on_all(f"sample_weight contains {word}", {"sample_weight": weights})
    ),
]


@pytest.mark.parametrize("case", FINITE, ids=str)
def test_numbers_that_are_not_finite(case):
    check(case)


SHAPES = [
    *on_all("Expected 2D array, got 1D array", {"X": X[:, 0]}),
    *on_all("dim 3", {"X": X[:, :, None]}, names=MLPS),
    *on_all(r"0 sample\(s\)", {"X": X[:0], "y": SCORE[:0]}),
    *on_all(r"0 feature\(s\)", {"X": X[:, :0]}),
    *on_all("Complex data not supported", {"X": X + 1j}),
    *on_all("could not convert string to float: .*'a'", {"X": np.full((N, D), "a")}),
    *on_all(r"\[40, 39\]", {"y": THREE[:-1]}),
    *on_all("requires y|y cannot be None", {"y": None}),
    *on_all("could not convert string to float: .*'c'", {"y": np.array(["a", "b", "c"])[THREE]}, names=REGRESSORS),
    *on_all("Unknown label type: continuous", {"y": SCORE}, names=CLASSIFIERS, methods=["fit"]),
    *on_all("several columns of classes", {"y": np.c_[THREE, THREE]}, names=CLASSIFIERS, methods=["fit"]),
    *on_all(r"sample_weight.shape == \(5,\), expected \(40,\)", {"sample_weight": np.ones(5)}),
    *on_all("sample_weight must be a 1D array or a scalar; got 2", {"sample_weight": np.ones((N, 2))}),
    *on_all("sample_weight is zero for every sample", {"sample_weight": np.zeros(N)}, methods=["fit"]),
    *on_all("classes, .*1.*2.*, are not in class_weight", params={"class_weight": {0: 1.0, 7: 2.0}}, names=CLASSIFIERS),
    *on_all(
        "loss='poisson' needs y >= 0; the smallest value is -", {"y": SCORE}, {"loss": "poisson"}, names=REGRESSORS
    ),
    *on_all("loss='gamma' needs y > 0; the smallest value is 0", {"y": CODES}, {"loss": "gamma"}, names=REGRESSORS),
    *on_all(
        "loss='gamma' needs y > 0",
        {"y": np.c_[1 - CODES, SCORE]},
        {"loss": losses.Gamma()},
        names=REGRESSORS,
        methods=["fit"],
    ),
]


@pytest.mark.parametrize("case", SHAPES, ids=str)
def test_shapes_types_and_ranges_of_data(case):
    check(case)


VALIDATION = [
    ({"X_val": X}, "X_val was given without y_val"),
    ({"y_val": THREE}, "y_val .*X_val"),
    ({"sample_weight_val": np.ones(N)}, "sample_weight_val .*X_val"),
    ({"X_val": with_value(X, np.nan), "y_val": THREE}, "X_val contains NaN"),
    ({"X_val": sp.csr_array(with_value(X, np.inf)), "y_val": THREE}, "X_val contains infinity"),
    ({"X_val": X, "y_val": with_value(THREE, np.nan)}, "y_val contains NaN"),
    ({"X_val": X, "y_val": THREE, "sample_weight_val": np.ones(3)}, r"sample_weight_val.shape == \(3,\)"),
    ({"X_val": X, "y_val": THREE, "sample_weight_val": with_value(np.ones(N), np.nan)}, "sample_weight_val .*NaN"),
    ({"X_val": X, "y_val": THREE, "sample_weight_val": np.zeros(N)}, "sample_weight_val is zero"),
    ({"X_val": X[:4], "y_val": THREE}, r"\[4, 40\]"),
    ({"X_val": X[:, :2], "y_val": THREE}, "X_val has 2 features.* 3"),
    ({"X_val": sp.csr_array(X[:, :2]), "y_val": THREE}, "X_val has 2 features.* 3"),
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("arguments", "message"), VALIDATION)
def test_validation_rows(name, arguments, message):
    check(Case(name, message, arguments))


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_validation_rows_with_labels_that_are_unknown(name):
    check(Case(name, r"`y_val` has classes not in `self.classes_`.*\[0 1 2\].*7", {"X_val": X, "y_val": THREE + 5}))
    check(Case(name, r"y_val has shape \(40, 3\).*one label a row", {"X_val": X, "y_val": LABELS}))
    check(Case(name, r"y_val has shape \(40,\).*3 labels", {"y": LABELS, "X_val": X, "y_val": THREE}))


@pytest.mark.parametrize("name", REGRESSORS)
def test_validation_rows_with_targets_that_do_not_fit(name):
    check(Case(name, "y_val has 2 targets a row.*made for 1", {"X_val": X, "y_val": X[:, :2]}))
    arguments = {"y": CODES, "X_val": X, "y_val": SCORE}
    check(Case(name, "loss='poisson' needs y_val >= 0", arguments, {"loss": "poisson"}))


# ---- storage and shape of X ----


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_storages_agree(name, dtype):
    rows = np.where(np.abs(X) < 0.4, 0, X).astype(dtype)
    dense = rich(name).fit(rows, Y[name])
    assert {w.dtype for w in weights_of(dense)} == {np.dtype(dtype)}
    same = [np.asfortranarray(rows), rows.tolist() if dtype == np.float64 else rows[::-1][::-1]]
    for given_rows in same:
        assert_same_bits(rich(name).fit(given_rows, Y[name]), dense)
    for kind in (sp.csr_array, sp.csc_array, sp.coo_array, sp.csr_matrix):
        sparse = rich(name).fit(kind(rows), Y[name])
        assert_all_close(sparse, dense, rtol=0, atol=1e-4 if dtype == np.float32 else 1e-12)
        np.testing.assert_allclose(dense.transform(kind(rows)), dense.transform(rows), rtol=0, atol=1e-5)
    integers = np.round(rows * 3).astype(int)
    assert_same_bits(rich(name).fit(integers, Y[name]), rich(name).fit(integers.astype(float), Y[name]))


@pytest.mark.parametrize("name", NEURALS)
def test_rows_of_several_dimensions(name):
    images = np.random.default_rng(0).normal(size=(N, 4, 3))
    flat = images.reshape(N, 12)
    stack = [Dense(5, "tanh"), BatchNorm(), LayerNorm(), Flatten(), Dense(4, "relu")]
    model = make(name, layers=stack).fit(images, Y[name])
    given_shape = make(name, layers=stack, input_shape=(4, 3)).fit(flat, Y[name])
    assert_same_bits(model, given_shape)
    np.testing.assert_array_equal(model.predict(images), given_shape.predict(flat))
    assert model.weights_[0].shape == (3, 5)
    first = np.tanh(images @ model.weights_[0] + model.weights_[1])
    np.testing.assert_allclose(model.transform(images, 0), first, rtol=1e-12)
    assert model.transform(images, 2).shape == (N, 4, 5)
    assert model.transform(images, 3).shape == (N, 20)
    np.testing.assert_allclose(make(name, layers=[Flatten()]).fit(images, Y[name]).transform(images, 0), flat)
    np.testing.assert_allclose(given_shape.predict(sp.csr_array(flat)), given_shape.predict(flat), rtol=1e-12)
    search = GridSearchCV(make(name, layers=stack), {"input_shape": [(4, 3), (2, 6), (12,)]}, cv=2).fit(flat, Y[name])
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


# ---- targets ----


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_several_labels_a_row(name):
    model = make(name, epochs=200, rate=0.02).fit(X, LABELS)
    probabilities = model.predict_proba(X)
    assert probabilities.shape == LABELS.shape
    np.testing.assert_allclose(probabilities, expit(model.transform(X, -1)), rtol=1e-12)
    np.testing.assert_array_equal(model.predict(X), (probabilities > 0.5).astype(int))
    assert model.score(X, LABELS) == np.mean((model.predict(X) == LABELS).all(axis=1)) > 0.7
    assert_same_bits(make(name, epochs=200, rate=0.02).fit(X, sp.csr_array(LABELS).toarray()), model)


@pytest.mark.parametrize("name", CLASSIFIERS)
@pytest.mark.parametrize("labels", [np.array(["a", "b", "c"]), np.array([7, 5, -1]), np.array([True, False])])
def test_labels_of_any_type(name, labels):
    codes = THREE if len(labels) == 3 else CODES
    y = labels[codes]
    model = make(name, epochs=150, rate=0.02).fit(X, y)
    np.testing.assert_array_equal(model.classes_, np.unique(labels))
    assert model.predict(X).dtype == y.dtype
    assert model.score(X, y) > 0.8
    np.testing.assert_allclose(model.predict_proba(X).sum(axis=1), 1.0)
    np.testing.assert_array_equal(model.classes_[model.predict_proba(X).argmax(axis=1)], model.predict(X))


@pytest.mark.parametrize("name", REGRESSORS)
@pytest.mark.parametrize("loss", losses.names())
def test_networks_offer_the_losses_that_the_table_says(name, loss):
    model = make(name, loss=loss, epochs=1)
    if loss in OF_NETWORKS:
        model.fit(X, np.exp(SCORE / 2))
    else:
        with pytest.raises(ValueError, match="'loss' parameter of"):
            model.fit(X, np.exp(SCORE / 2))


@pytest.mark.parametrize("name", REGRESSORS)
@pytest.mark.parametrize("loss", OF_NETWORKS)
def test_losses_of_regression(name, loss):
    y = np.exp(SCORE / 2)
    by_name = make(name, loss=loss, epochs=3).fit(X, y)
    by_object = make(name, loss=losses.get(loss), epochs=3).fit(X, y)
    assert_same_bits(by_name, by_object)
    assert by_name.out_activation_ == ("exp" if loss in ("poisson", "gamma") else "identity")
    raw = by_name.transform(X, -1).ravel()
    expected = np.exp(raw) if loss in ("poisson", "gamma") else raw
    np.testing.assert_allclose(by_name.predict(X), expected, rtol=1e-12)
    still = make(name, loss=loss, epochs=1, rate=1e-12, batch_size="full", alpha=0.0).fit(X, y)
    value = losses.get(loss).value(y, still.transform(X, -1).ravel()).mean()
    if loss == "poisson":
        value += np.mean(y * np.log(y) - y)  # half the deviance, which is zero at the best
    np.testing.assert_allclose(still.loss_curve_[0], value, rtol=1e-7)


# ---- weights of samples and classes, smoothing ----


@pytest.mark.parametrize("name", CLASSIFIERS)
@pytest.mark.parametrize("weighted", [False, True])
def test_class_weights_are_sample_weights(name, weighted):
    weight = np.random.default_rng(2).uniform(0.5, 2.0, N) if weighted else np.ones(N)
    given_weight = {"sample_weight": weight} if weighted else {}
    table = {0: 0.5, 1: 3.0, 2: 1.0}
    model = make(name, class_weight=table).fit(X, THREE, **given_weight)
    assert_same_bits(model, make(name).fit(X, THREE, weight * np.array([table[code] for code in THREE])))
    y = np.where(np.arange(N) < 30, 0, THREE)
    balanced = weight.sum() / (len(np.unique(y)) * np.bincount(y, weight))
    model = make(name, class_weight="balanced").fit(X, y, **given_weight)
    assert_all_close(model, make(name).fit(X, y, weight * balanced[y]), rtol=0, atol=1e-12)
    model = make(name, class_weight=table).partial_fit(X, THREE, classes=[0, 1, 2])
    expected = make(name).partial_fit(X, THREE, np.array([table[code] for code in THREE]), classes=[0, 1, 2])
    assert_same_bits(model, expected)


@pytest.mark.parametrize("name", NAMES)
def test_a_weight_of_zero_takes_a_row_out_of_its_batch(name):
    weight = np.ones(N)
    weight[::3] = 0.0
    kept = weight > 0
    params = {"batch_size": "full", "shuffle": False}
    model = make(name, **params).fit(X, Y[name], weight)
    assert_all_close(model, make(name, **params).fit(X[kept], Y[name][kept]), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", CLASSIFIERS)
@pytest.mark.parametrize("y", [CODES, THREE, LABELS], ids=["two", "three", "labels"])
def test_label_smoothing_is_a_loss_of_smoothed_targets(name, y):
    share = 0.2
    model = make(name, label_smoothing=share, batch_size="full", epochs=1, rate=1e-12, alpha=0.0).fit(X, y)
    raw = model.transform(X, -1)
    if raw.shape[1] == 3 and y.ndim == 1:
        targets = np.eye(3)[y] * (1 - share) + share / 3
        value = -(targets * log_softmax(raw, axis=1)).sum(axis=1).mean()
    else:
        targets = y.reshape(N, -1) * (1 - share) + share / 2
        value = -(targets * log_expit(raw) + (1 - targets) * log_expit(-raw)).sum(axis=1).mean()
    np.testing.assert_allclose(model.loss_curve_[0], value, rtol=1e-9)
