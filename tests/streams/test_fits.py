"""Fits to sources that are read block by block, in every epoch anew."""

import numpy as np
import pytest
import scipy.sparse as sp
from fusedgrad import layers
from fusedgrad._training.streams import stream, survey
from fusedgrad.data import Array, Batches, Npy
from fusedgrad.linear_model import SGDClassifier, SGDRegressor
from fusedgrad.neural_network import MLPClassifier, MLPRegressor, NeuralClassifier, NeuralRegressor
from fusedgrad.optimizers import SGD
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

pytestmark = [pytest.mark.usefixtures("large"), pytest.mark.filterwarnings("ignore", category=ConvergenceWarning)]

N, D = 3000, 6
F32 = np.float32


def rows(dtype=np.float64, sparse=False, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(N, D)).astype(dtype)
    if sparse:
        X = sp.csr_array(np.where(rng.random(X.shape) < 0.5, 0, X))
    return X


def scores(X, outputs, seed=1):
    rng = np.random.default_rng(seed)
    return np.asarray(X @ rng.normal(size=(D, outputs))) + rng.gumbel(size=(N, outputs))


def labels(X, classes=3):
    return np.array(["ant", "bee", "cat", "dog"])[np.argmax(scores(X, classes), axis=1)]


LINEAR = {"batch_size": 32, "random_state": 0, "max_iter": 3, "tol": None}


def layered(kind, **params):
    return kind([layers.Dense(4, "tanh")], batch_size=32, random_state=0, max_epochs=2, **params)


def models():
    """Name -> estimator, what its targets are, X's dtype, whether X is sparse, whether rows have weights."""
    C, R = SGDClassifier, SGDRegressor
    return {
        "binary": (C("log_loss", **LINEAR), 2, np.float64, False, False),
        "binary float32": (C("log_loss", **LINEAR), 2, np.float32, False, False),
        "hinge, three classes": (C(**LINEAR), 3, np.float64, False, True),
        "softmax, adam": (
            C("log_loss", multi_class="multinomial", optimizer="adam", **LINEAR),
            4,
            np.float32,
            True,
            False,
        ),
        "balanced": (C("log_loss", class_weight="balanced", **LINEAR), 3, np.float64, False, False),
        "averaged": (C("log_loss", average=50, **LINEAR), 2, np.float64, False, False),
        "L1, sparse": (C("log_loss", penalty="l1", **LINEAR), 2, np.float64, True, False),
        "momentum, constant": (
            C("log_loss", optimizer=SGD(momentum=0.9), learning_rate="constant", **LINEAR),
            2,
            np.float32,
            False,
            False,
        ),
        "cosine": (C("log_loss", learning_rate="cosine", **LINEAR), 2, np.float64, False, False),
        "regression": (R(**LINEAR), 1, np.float64, False, False),
        "regression, weights": (R(**LINEAR), 1, np.float64, False, True),
        "two targets": (R(**LINEAR), -2, np.float32, False, False),
        "poisson": (R("poisson", **LINEAR), 0, np.float64, False, False),
        "huber, rmsprop, sparse": (R("huber", optimizer="rmsprop", **LINEAR), 1, np.float32, True, True),
        "quantile, positive": (R("quantile", positive=True, **LINEAR), 1, np.float64, False, False),
        "network": (layered(NeuralClassifier), 3, np.float32, False, False),
        "network, balanced": (layered(NeuralClassifier, class_weight="balanced"), 2, np.float64, False, True),
        "network of numbers": (layered(NeuralRegressor), 1, np.float64, False, False),
        "poisson network": (layered(NeuralRegressor, loss="poisson"), 0, np.float64, False, True),
        "perceptron": (MLPClassifier((4,), max_iter=2, random_state=0), 3, np.float64, False, False),
        "perceptron of numbers": (
            MLPRegressor(hidden_layer_sizes=(4,), max_iter=2, random_state=0),
            -2,
            np.float32,
            True,
            False,
        ),
    }


MODELS = models()
every_model = pytest.mark.parametrize("name", MODELS)


def data_of(name):
    """The estimator, X, y, weights."""
    model, kind, dtype, sparse, weighted = MODELS[name]
    X = rows(dtype, sparse)
    if kind > 1:
        y = labels(X, kind)
    elif kind == 0:
        y = np.random.default_rng(2).poisson(np.exp(np.clip(scores(X, 1)[:, 0] / 2, -3, 2))).astype(float)
    else:
        y = scores(X, abs(kind)) if kind < 0 else scores(X, 1)[:, 0]
    weight = np.random.default_rng(3).integers(0, 4, size=N).astype(float) if weighted else None
    return clone(model), X, y, weight


def weights_of(model):
    if hasattr(model, "weights_"):
        return model.weights_
    if hasattr(model, "coefs_"):
        return [*model.coefs_, *model.intercepts_]
    return [model.coef_, model.intercept_]


def assert_same_bits(a, b):
    for one, other in zip(weights_of(a), weights_of(b), strict=True):
        np.testing.assert_array_equal(one, other)


def fit_to_arrays(model, X, y, weight):
    return model.fit(X, y) if weight is None else model.fit(X, y, sample_weight=weight)


@every_model
def test_in_order_blocks_are_the_batches_of_arrays(name):
    model, X, y, weight = data_of(name)
    model.set_params(shuffle=False)
    expected = fit_to_arrays(clone(model), X, y, weight)
    found = model.fit(Array(X, y, weight, group=170))
    assert_same_bits(found, expected)
    assert found.n_iter_ == expected.n_iter_
    np.testing.assert_allclose(found.loss_curve_, expected.loss_curve_, rtol=1e-3)


@every_model
def test_a_file_is_as_good_as_an_array(name, tmp_path):
    model, X, y, weight = data_of(name)
    expected = clone(model).fit(Array(X, y, weight, group=170))
    if sp.issparse(X):
        pytest.skip("files of NumPy hold dense arrays")
    paths = {}
    for part, values in (("X", X), ("y", y), ("weight", weight)):
        paths[part] = None if values is None else tmp_path / f"{part}.npy"
        if values is not None:
            np.save(paths[part], values)
    source = Npy(**paths, group=170)
    assert_same_bits(clone(model).fit(source), expected)


@every_model
def test_threads_and_reading_ahead_change_no_bit(name, monkeypatch):
    model, X, y, weight = data_of(name)
    source = Array(X, y, weight, group=170)
    expected = clone(model).fit(source)
    monkeypatch.setattr(stream, "DEPTH", 4)
    if "n_jobs" in model.get_params():
        model.set_params(n_jobs=2)
    assert_same_bits(model.fit(source), expected)


@every_model
def test_shuffling_mixes_what_comes_sorted(name):
    model, X, y, weight = data_of(name)
    by = y if y.ndim == 1 else y[:, 0]
    order = np.argsort(by, kind="stable")
    X, y, weight = X[order], y[order], None if weight is None else weight[order]
    epochs = "max_iter" if "max_iter" in model.get_params() else "max_epochs"
    model.set_params(**{epochs: 30})
    expected = fit_to_arrays(clone(model), X, y, weight)
    found = model.fit(Array(X, y, weight, group=40))  # a block holds about ten of them
    weighed = {} if weight is None else {"sample_weight": weight}
    assert found.score(X, y, **weighed) > expected.score(X, y, **weighed) - 0.03
    assert not np.array_equal(weights_of(found)[0], weights_of(expected)[0])


def test_predictions_and_scores_are_made_block_by_block():
    X, y = rows(), labels(rows())
    model = SGDClassifier("log_loss", **LINEAR).fit(X, y)
    source = Array(X, y, group=170)
    for method in ("predict", "predict_proba", "predict_log_proba", "decision_function"):
        np.testing.assert_array_equal(getattr(model, method)(source), getattr(model, method)(X))
    assert model.score(source) == model.score(X, y)
    weight = np.arange(N, dtype=float)
    assert model.score(Array(X, y, weight, group=170)) == pytest.approx(model.score(X, y, weight))


@pytest.mark.parametrize(
    "params", [{"early_stopping": True}, {"optimizer": "auto"}, {"batch_size": "full"}, {"batch_size": 1}], ids=str
)
def test_what_needs_all_rows_gets_them_mapped(params):
    X, y = rows(), labels(rows())
    model = SGDClassifier("log_loss", **{**LINEAR, **params})
    assert_same_bits(clone(model).fit(Array(X, y, group=170)), clone(model).fit(X, y))


def test_validation_rows_may_come_from_a_source():
    X, y = rows(), labels(rows())
    model = SGDClassifier("log_loss", **{**LINEAR, "early_stopping": True, "tol": 1e-3})
    given = Array(X[2000:], y[2000:])
    streamed = clone(model).fit(Array(X[:2000], y[:2000], group=170), X_val=given)
    assert len(streamed.validation_scores_) == streamed.n_iter_
    assert streamed.validation_scores_[-1] == streamed.score(given)
    mixed = clone(model).fit(X[:2000], y[:2000], X_val=given)
    assert_same_bits(mixed, clone(model).fit(X[:2000], y[:2000], X_val=X[2000:], y_val=y[2000:]))


def test_partial_fit_learns_block_after_block():
    X, y = rows(), labels(rows())
    model, other = (SGDClassifier("log_loss", batch_size=32, random_state=0) for _ in range(2))
    model.partial_fit(Array(X, y, group=170), classes=np.unique(y))
    for k in range(0, N, 170):
        other.partial_fit(X[k : k + 170], y[k : k + 170], classes=np.unique(y) if k == 0 else None)
    assert_same_bits(model, other)


# ---- what goes wrong ----


def unchanged(model, X, y):
    """A fitted model and what it was."""
    fitted = clone(model).fit(X, y)
    return fitted, dict(vars(fitted)), [w.copy() for w in weights_of(fitted)]


def assert_unchanged(fitted, attributes, weights):
    assert vars(fitted).keys() == attributes.keys()
    for now, before in zip(weights_of(fitted), weights, strict=True):
        np.testing.assert_array_equal(now, before)


@pytest.mark.parametrize("kind", [lambda: SGDClassifier("log_loss", **LINEAR), lambda: layered(NeuralClassifier)])
def test_an_error_while_reading_leaves_the_estimator_as_it_was(kind):
    X, y = rows(), labels(rows())
    fitted, *before = unchanged(kind(), X, y)
    passes = [0]

    def broken():
        passes[0] += 1
        for k in range(0, N, 170):
            if passes[0] == 2 and k > 1500:
                raise OSError("the disk is gone")
            yield X[k : k + 170], y[k : k + 170]

    with pytest.raises(OSError, match="the disk is gone"):
        fitted.fit(Batches(broken))
    assert_unchanged(fitted, *before)


def test_a_source_that_changes_is_an_error():
    X, y = rows(), labels(rows())
    passes = [0]

    def changing():
        passes[0] += 1
        return iter([(X[: N - (passes[0] > 2)], y[: N - (passes[0] > 2)])])

    with pytest.raises(ValueError, match=r"had 3000 rows .* and 2999 in epoch"):
        SGDClassifier("log_loss", **LINEAR).fit(Batches(changing))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_are_not_finite_are_named(value):
    X, y = rows(), labels(rows())
    X[1000, 4] = value
    with pytest.raises(ValueError, match=r"Input X contains NaN or infinity: group 5 of Array.*column 4"):
        SGDClassifier("log_loss", **LINEAR).fit(Array(X, y, group=170))


def test_targets_are_needed():
    with pytest.raises(ValueError, match="has no targets"):
        SGDClassifier("log_loss", **LINEAR).fit(Array(rows()))


def test_a_name_is_what_says_which_column_is_y():
    with pytest.raises(TypeError, match="y must be the name of a column"):
        SGDClassifier("log_loss", **LINEAR).fit(Array(rows()), np.zeros(N))


@pytest.mark.parametrize("kind", [lambda: SGDClassifier("log_loss", **LINEAR), lambda: layered(NeuralClassifier)])
def test_a_class_of_a_single_row_is_not_missed(kind, monkeypatch):
    monkeypatch.setattr(survey, "SAMPLE", 20)  # rows that are kept: the others are seen in training alone
    X, y = rows(), labels(rows())
    y[[1234, 2999]] = ["yak", "zeb"]
    model = kind().fit(Array(X, y, group=170))
    assert model.classes_.tolist() == ["ant", "bee", "cat", "yak", "zeb"]
    assert model.score(X, y) > 0.4
