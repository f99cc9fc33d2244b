"""``partial_fit(..., classes="grow")``: labels that are new become classes, and known classes keep what they know."""

import copy
import pickle

import numpy as np
import pytest
import scipy.sparse as sp
from fusedgrad import fit_many, layers, optimizers
from fusedgrad.data import Array
from fusedgrad.linear_model import SGDClassifier
from fusedgrad.neural_network import MLPClassifier, NeuralClassifier
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone

from ..networks import REPEATABLY

N, D = 60, 5
LINEAR = {"penalty": None, "random_state": 0}
BATCHES = {**LINEAR, "batch_size": 8}

MODELS = {
    "one sample": lambda: SGDClassifier("log_loss", learning_rate="constant", **LINEAR),
    "mini-batches": lambda: SGDClassifier("log_loss", **BATCHES),
    "averaged": lambda: SGDClassifier("log_loss", average=True, **BATCHES),
    "softmax, adam": lambda: SGDClassifier("log_loss", multi_class="multinomial", optimizer="adam", **BATCHES),
    "softmax, mean": lambda: SGDClassifier("log_loss", multi_class="multinomial", optimizer="asgd", **BATCHES),
    "network": lambda: NeuralClassifier([layers.Dense(4, "tanh")], batch_size=8, random_state=0),
    "network, chosen": lambda: NeuralClassifier(random_state=0),
    "network, averaged": lambda: NeuralClassifier([layers.Dense(4, "tanh")], average=0.9, batch_size=8, random_state=0),
    "perceptron": lambda: MLPClassifier((4,), batch_size=8, random_state=0),
    "perceptron, norms": lambda: MLPClassifier((4,), batch_norm=True, solver="asgd", batch_size=8, random_state=0),
}
pytestmark = pytest.mark.filterwarnings("ignore:Got `batch_size` less than 1 or larger than sample size")
every_model = pytest.mark.parametrize("name", MODELS)
every_storage = pytest.mark.parametrize("dtype", [np.float64, np.float32])


def rows(dtype=np.float64, sparse=False, n=N, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, D)).astype(dtype)
    return sp.csr_array(np.where(rng.random(X.shape) < 0.5, 0, X)) if sparse else X


def labels(X, words):
    """One of the words for each row, by its two first columns."""
    codes = np.floor(4 * (X[:, [0]].toarray() if sp.issparse(X) else X[:, [0]]).ravel()).astype(int)
    return np.array(words)[codes % len(words)]


def outputs(model):
    """(weights, intercepts) to predict with, classes first."""
    if hasattr(model, "coef_"):
        return model.coef_, model.intercept_
    if hasattr(model, "coefs_"):
        return model.coefs_[-1].T, model.intercepts_[-1]
    return model.weights_[-2].T, model.weights_[-1].ravel()


def hidden(model):
    """All other weights."""
    if hasattr(model, "coef_"):
        return []
    norms = [values for norm in getattr(model, "norms_", []) for values in norm.values()]
    return [*model.coefs_[:-1], *model.intercepts_[:-1], *norms] if hasattr(model, "coefs_") else model.weights_[:-2]


def state(model):
    """Every attribute, bit by bit."""
    return {name: pickle.dumps(value) for name, value in model.__getstate__().items()}


def assert_same_state(one, other):
    np.testing.assert_equal(one.__getstate__(), other.__getstate__())


def odds(model, X, classes):
    """Log odds of classes against the first of them."""
    logs = np.log(model.predict_proba(X))[:, np.searchsorted(model.classes_, classes)].astype(float)
    return logs - logs[:, :1]


# ---- known classes keep what they know ----


@every_model
@every_storage
@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "csr"])
@pytest.mark.parametrize("known", [["fly", "wasp"], ["bee", "fly", "wasp"]], ids=["two", "three"])
def test_new_classes_leave_known_ones_as_they_are(name, dtype, sparse, known):
    X = rows(dtype, sparse)
    model = MODELS[name]().partial_fit(X, labels(X, known), classes="grow")
    model.partial_fit(X, labels(X, known))
    weights, intercepts = map(np.copy, outputs(model))
    others, before = copy.deepcopy(hidden(model)), odds(model, X, known)
    model.partial_fit(X, labels(X, ["ant", "gnat", "zebra"]), sample_weight=np.zeros(N))

    assert model.classes_.tolist() == sorted([*known, "ant", "gnat", "zebra"])
    found = model.predict_proba(X)
    assert found.shape == (N, len(known) + 3)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)
    after, biases = outputs(model)
    places = np.searchsorted(model.classes_, known)
    if len(known) == 2:
        half = 1.0 if "softmax" not in name and hasattr(model, "coef_") else 0.5
        weights, intercepts = half * np.vstack([-weights, weights]), half * np.hstack([-intercepts, intercepts])
    np.testing.assert_array_equal(after[places], weights)
    np.testing.assert_array_equal(biases[places], intercepts)
    new = np.setdiff1d(np.arange(len(known) + 3), places)
    assert not after[new].any()
    assert not biases[new].any()
    assert after.dtype == dtype
    for one, other in zip(hidden(model), others, strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_allclose(odds(model, X, known), before, rtol=1e-4, atol=1e-4 if dtype == np.float32 else 1e-10)


@settings(max_examples=60, **REPEATABLY)
@given(st.data())
def test_any_stream_of_labels(data):
    name = data.draw(st.sampled_from(["mini-batches", "averaged", "softmax, adam", "network", "perceptron"]))
    model, met, at = MODELS[name](), set(), 0
    X = rows(data.draw(st.sampled_from([np.float32, np.float64])), data.draw(st.booleans()), n=200)
    for y in data.draw(st.lists(st.lists(st.integers(0, 8), min_size=1, max_size=20), min_size=1, max_size=6)):
        some, known = X[at : at + len(y)], sorted(met)
        before = odds(model, X, known) if len(met) > 1 else None
        model.partial_fit(some, y, classes="grow", sample_weight=np.zeros(len(y)))
        met, at = met | set(y), at + len(y)
        assert model.classes_.tolist() == sorted(met)
        if before is not None:
            np.testing.assert_allclose(odds(model, X, known), before, rtol=1e-3, atol=1e-4)
        model.partial_fit(some, y)
        np.testing.assert_allclose(model.predict_proba(X).sum(axis=1), 1, rtol=1e-5)
        assert set(model.predict(X).tolist()) <= met


def test_coefficients_that_may_not_be_negative_stay_so():
    X = rows()
    model = SGDClassifier("log_loss", positive=True, **BATCHES).partial_fit(X, labels(X, [0, 1]), classes="grow")
    coef = model.coef_[0].copy()
    assert (coef > 0).any()
    model.partial_fit(X, np.full(N, 2), sample_weight=np.zeros(N))
    np.testing.assert_array_equal(model.coef_, [np.zeros(D), coef, np.zeros(D)])


def test_sparse_coefficients_become_dense_to_grow():
    X = rows()
    one, other = (SGDClassifier(**LINEAR).partial_fit(X, labels(X, [0, 1]), classes="grow") for _ in range(2))
    y = labels(X, [0, 1, 2])
    np.testing.assert_array_equal(one.sparsify().partial_fit(X, y).coef_, other.partial_fit(X, y).coef_)


# ---- a model that was told all classes ahead ----


def beside_one_that_was_told(model, first, last, dtype=np.float64):
    """Both after two calls: classes come with the second one, or were told in the first one."""
    X, Z = rows(dtype), rows(dtype, seed=1)
    told = clone(model).partial_fit(X, labels(X, first), classes=last).partial_fit(Z, labels(Z, last))
    return model.partial_fit(X, labels(X, first), classes="grow").partial_fit(Z, labels(Z, last)), told


@every_storage
@pytest.mark.parametrize("average", [False, True])
@pytest.mark.parametrize("loss", ["hinge", "squared_hinge", "modified_huber", "squared_error"])
@pytest.mark.parametrize(("first", "last"), [([1, 2], [0, 1, 2, 3]), ([0, 2, 4], [0, 1, 2, 3, 4])])
def test_against_the_rest_known_classes_learn_as_if_all_were_told_ahead(loss, average, dtype, first, last):
    model = SGDClassifier(loss, average=average, shuffle=False, learning_rate="constant", eta0=0.01, alpha=0.01)
    grown, told = beside_one_that_was_told(model, first, last, dtype)
    for name in ("coef_", "intercept_"):
        np.testing.assert_array_equal(getattr(grown, name)[first], getattr(told, name)[first])
        new = np.setdiff1d(last, first)
        assert not np.array_equal(getattr(grown, name)[new], getattr(told, name)[new])
    assert grown.t_ == told.t_
    if not average:  # a new class learns from the rows of its time
        Z = rows(dtype, seed=1)
        for label in new:
            alone = clone(model).partial_fit(Z, labels(Z, last) == label, classes=[False, True])
            np.testing.assert_array_equal(grown.coef_[label], alone.coef_[0])


@pytest.mark.parametrize("rate", ["optimal", 0.1])
@pytest.mark.parametrize("name", [*optimizers.names(), "centered momentum", "ftrl with penalties"])
@pytest.mark.parametrize(("first", "last"), [([0, 1], [0, 1, 2]), ([1, 2, 4], [0, 1, 2, 3, 4])])
def test_the_state_of_optimizers_moves_with_the_weights(name, rate, first, last):
    own = {
        "centered momentum": optimizers.RMSprop(centered=True, momentum=0.9),
        "ftrl with penalties": optimizers.FTRL(l1=0.01, l2=0.01),
    }
    model = SGDClassifier(
        "hinge",
        optimizer=own.get(name, name),
        learning_rate=rate,
        batch_size=8,
        shuffle=False,
        alpha=0.01,
        base_score=False,
    )
    grown, told = beside_one_that_was_told(model, first, last)
    places = np.searchsorted(last, first)
    np.testing.assert_allclose(grown.coef_[places], told.coef_[places], rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(grown.intercept_[places], told.intercept_[places], rtol=1e-12, atol=1e-14)
    assert grown.t_ == told.t_


def test_moments_of_networks_move_with_the_output_layer():
    X = rows()
    model = MODELS["network"]().partial_fit(X, labels(X, [1, 3, 5]), classes="grow")
    before = [[piece.copy() for piece in slot] for slot in model._optimizer.slots]
    step = model._optimizer.step
    model.partial_fit(X, labels(X, [0, 2, 4]), sample_weight=np.zeros(N))
    assert model._optimizer.step == step
    for slot, old in zip(model._optimizer.slots, before, strict=True):
        for k in (0, 1):
            np.testing.assert_array_equal(slot[k], old[k])
        for k in (2, 3):
            np.testing.assert_array_equal(slot[k][:, [1, 3, 5]], old[k])
            assert old[k].any()
            assert not slot[k][:, [0, 2, 4]].any()


# ---- one class alone ----


@every_model
@every_storage
def test_one_class_alone_teaches_nothing(name, dtype):
    X = rows(dtype)
    model = MODELS[name]()
    for some in (X[:20], X[20:50]):
        model.partial_fit(some, ["bee"] * len(some), classes="grow")
        assert model.classes_.tolist() == ["bee"]
        assert model.predict(X).tolist() == ["bee"] * N
        np.testing.assert_array_equal(model.predict_proba(X), np.ones((N, 1)))
        assert model.score(X[:2], ["ant", "bee"]) == 0.5
        assert model.loss_curve_ == []
    y = labels(X, ["ant", "bee"])
    assert_same_state(model.partial_fit(X, y), MODELS[name]().partial_fit(X, y, classes="grow"))
    told = MODELS[name]().partial_fit(X, y, classes=["ant", "bee"])
    np.testing.assert_array_equal(model.predict_proba(X), told.predict_proba(X))


@pytest.mark.parametrize("name", ["one sample", "mini-batches", "network", "perceptron"])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_fit_forgets_what_one_class_has_left(name):
    X = rows()
    y = labels(X, [0, 1, 2])
    model = MODELS[name]().set_params(warm_start=True).partial_fit(X, np.ones(N, int), classes="grow")
    expected = MODELS[name]().fit(X, y)
    np.testing.assert_array_equal(model.fit(X, y).predict_proba(X), expected.predict_proba(X))
    with pytest.raises(ValueError, match="number of classes has to be greater than one"):
        model.set_params(warm_start=False).fit(X, y * 0)


# ---- labels ----


@every_model
@pytest.mark.parametrize(
    ("first", "then", "expected"),
    [
        ([False, True], [3], np.array([0, 1, 3])),
        (["a", "b"], ["longer"], np.array(["a", "b", "longer"])),
        ([1.0, 2.0], [0.0], np.array([0.0, 1.0, 2.0])),
        (np.array(["b", "c"], object), np.array(["a"], object), np.array(["a", "b", "c"], object)),
        (np.array([1, 2], np.uint8), np.array([-1], np.int64), np.array([-1, 1, 2])),
    ],
    ids=["bool", "str", "float", "object", "uint8"],
)
def test_types_of_labels(name, first, then, expected):
    X = rows()
    model = MODELS[name]().partial_fit(X[:4], np.tile(first, 2), classes="grow").partial_fit(X[:2], np.tile(then, 2))
    np.testing.assert_array_equal(model.classes_, expected)
    assert model.classes_.dtype == expected.dtype
    assert model.predict(X).dtype == expected.dtype


@pytest.mark.parametrize("name", ["one sample", "network", "perceptron"])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_it_is_said_once_and_until_the_next_fit(name):
    X = rows()
    y = labels(X, [0, 1])
    model = MODELS[name]().partial_fit(X, y, classes=[0, 1])
    model.partial_fit(X, y, classes="grow").partial_fit(X, y + 1).partial_fit(X, y + 2)
    assert model.classes_.tolist() == [0, 1, 2, 3]
    assert model.partial_fit(X, y, classes=[3, 2, 1, 0, 7]).classes_.tolist() == [0, 1, 2, 3, 7]
    message = "not among the classes" if name == "one sample" else "not in `self.classes_`"
    for other in (clone(model).partial_fit(X, y, classes=[0, 1]), model.fit(X, y)):
        with pytest.raises(ValueError, match=f"{message}.*classes='grow'"):
            other.partial_fit(X, y + 5)


def test_fits_of_several_models_end_it_too():
    X = rows()
    y = labels(X, [0, 1])
    models = [MODELS["mini-batches"]().partial_fit(X, y, classes="grow") for _ in range(2)]
    for model in fit_many(models, X, y):
        with pytest.raises(ValueError, match="not among the classes"):
            model.partial_fit(X, y + 5)


@pytest.mark.parametrize("name", ["one sample", "mini-batches", "network", "perceptron"])
def test_weights_may_name_classes_that_are_yet_to_come(name):
    X = rows()
    y, linear = labels(X, [0, 1]), name in ("one sample", "mini-batches")
    weighted, plain = (MODELS[name]().set_params(class_weight=weight) for weight in ({2: 3.0}, None))
    for model in (weighted, plain):
        model.set_params(learning_rate=0.01 if name == "mini-batches" else "constant")
        model.partial_fit(X, y, classes="grow")
    np.testing.assert_array_equal(weighted.predict_proba(X), plain.predict_proba(X))
    y = labels(X, [0, 1, 2])
    weighted.partial_fit(X, y)
    plain.partial_fit(X, y, sample_weight=np.where(y == 2, 3.0, 1.0))
    # Against the rest, the weight of a class counts in its own model only.
    found, expected = (outputs(model)[0][2 if linear else slice(None)] for model in (weighted, plain))
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert found.any()


# ---- copies, sources, errors ----


@every_model
def test_stored_models_go_on_growing_with_the_same_bits(name):
    X = rows()
    for known in ([0], [0, 2], [0, 2, 4]):
        model = MODELS[name]().partial_fit(X, labels(X, known), classes="grow")
        other = pickle.loads(pickle.dumps(model))
        for y in (labels(X, [0, 1, 2, 4]), labels(X, [1, 3])):
            assert_same_state(model.partial_fit(X, y), other.partial_fit(X, y))


@every_model
def test_of_a_source_every_block_may_bring_classes(name):
    X = rows()
    y = np.sort(labels(X, [0, 1, 2, 3]))
    model, other = MODELS[name](), MODELS[name]()
    model.partial_fit(Array(X, y, group=20), classes="grow")
    for k in range(0, N, 20):
        other.partial_fit(X[k : k + 20], y[k : k + 20], classes="grow")
    np.testing.assert_array_equal(model.predict_proba(X), other.predict_proba(X))
    assert model.classes_.tolist() == [0, 1, 2, 3]


X, WORDS = rows(), labels(rows(), ["a", "b", "c"])
BROKEN = rows()
BROKEN[7, 2] = np.nan


@every_model
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"classes": "grown"}, "classes must be an array of labels or 'grow'; got 'grown'"),
        ({"y": np.arange(N)}, "some are strings, and some numbers"),
        ({"y": np.arange(N), "classes": "grow"}, "some are strings, and some numbers"),
        ({"classes": ["a", "b", "d"]}, "not the same as on last call"),
        ({"classes": [1, 2, 3]}, "not the same as on last call"),
        ({"y": np.arange(N, dtype=float), "classes": [0.0, np.nan]}, "classes contains NaN"),
        ({"y": labels(X, ["a", "d"]), "sample_weight": np.full(N, -1.0)}, "Negative values"),
        ({"y": labels(X, ["a", "d"]), "X": BROKEN}, "NaN"),
        ({"y": labels(X, ["a", "d"]), "X": X[:, :2]}, "2 features"),
    ],
)
def test_errors_leave_no_trace(name, arguments, message):
    for classes, y in ((["a"], ["a"] * N), (["a", "b"], labels(X, ["a", "b"])), (["a", "b", "c"], WORDS)):
        model = MODELS[name]().partial_fit(X, y, classes="grow")
        before = state(model)
        good = {"X": X, "y": y}
        if len(classes) < 3 and arguments.get("classes") == ["a", "b", "d"]:
            continue
        with pytest.raises(ValueError, match=message):
            model.partial_fit(**{**good, **arguments})
        assert state(model) == before


@every_model
@pytest.mark.parametrize(
    ("y", "message"),
    [(np.linspace(0, 1, N), "continuous"), (np.eye(3, dtype=int)[np.arange(N) % 3], "1d array|one label a row")],
)
def test_targets_that_are_no_labels(name, y, message):
    fresh, model = MODELS[name](), MODELS[name]().partial_fit(X, labels(X, [0, 1]), classes="grow")
    for each in (fresh, model):
        before = state(each)
        with pytest.raises(ValueError, match=message):
            each.partial_fit(X, y, classes="grow")
        assert state(each) == before


@pytest.mark.parametrize("last", [layers.Dense(3), layers.Dense(2, "identity"), layers.Dense(1, "logistic")])
def test_an_output_layer_of_ones_own_cannot_grow(last):
    model = NeuralClassifier([layers.Dense(4, "tanh"), last])
    with pytest.raises(ValueError, match=r"`layers` ends with Dense\(.*Leave it out"):
        model.partial_fit(X, labels(X, [0, 1]), classes="grow")
    assert "classes_" not in vars(model)
    NeuralClassifier([layers.Dense(4, "logistic")]).partial_fit(X, labels(X, [0, 1, 2, 3]), classes="grow")


def test_indicator_matrices_cannot_grow():
    Y = (rows()[:, :3] > 0).astype(int)
    for model in (MODELS["network"](), MODELS["perceptron"]()):
        model.partial_fit(X, Y, classes=[0, 1, 2])
        with pytest.raises(ValueError, match="for one label a row"):
            model.partial_fit(X, Y, classes="grow")
