"""What networks take, what they refuse and with which words, and how they live with the rest of scikit-learn."""

import copy
import inspect
import json
import pickle
import re
from dataclasses import dataclass, field

import fusedgrad.neural_network
import joblib
import numpy as np
import pytest
import scipy.sparse as sp
from fusedgrad import _core, layers, losses, optimizers, schedules
from fusedgrad.layers import Activation, BatchNorm, Dense, Dropout, Flatten, LayerNorm, Residual, activations
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.special import expit, log_expit, log_softmax, ndtr, softmax
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from .. import child
from ..reference.losses import OF_NETWORKS

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

N, D = 40, 3
X = np.random.default_rng(0).normal(size=(N, D))
SCORE = X @ np.array([1.0, -2.0, 0.5]) + 0.3 * np.random.default_rng(1).normal(size=N)
CODES = (SCORE > 0).astype(int)
THREE = np.digitize(SCORE, np.quantile(SCORE, [1 / 3, 2 / 3]))
LABELS = np.c_[SCORE > 0, X[:, 0] > 0, X[:, 1] > 0].astype(int)
LABELS[0] = 1, 1, 0
NAMES = ("MLPClassifier", "MLPRegressor", "NeuralClassifier", "NeuralRegressor")
Y = {name: THREE if "Classifier" in name else SCORE for name in NAMES}
EPOCHS = {name: "max_iter" if "MLP" in name else "max_epochs" for name in NAMES}
repeatably = settings(
    max_examples=25, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)


def make(name, **params):
    """An estimator for quick fits; `epochs` and `rate` under the names that it has for them."""
    mlp = "MLP" in name
    if "epochs" in params:
        params[EPOCHS[name]] = params.pop("epochs")
    if "rate" in params and mlp:
        value = params.pop("rate")
        plain = isinstance(value, (int, float))
        params["learning_rate_init" if plain else "learning_rate"] = value
    elif "rate" in params:
        params["learning_rate"] = params.pop("rate")
    if "rule" in params:
        params["solver" if mlp else "optimizer"] = params.pop("rule")
    hidden = {"hidden_layer_sizes": (6,)} if mlp else {"layers": [Dense(6, "relu")]}
    defaults = {**hidden, "random_state": 0, EPOCHS[name]: 4, "tol": 0.0, "batch_size": 16}
    return getattr(fusedgrad.neural_network, name)(**{**defaults, **params})


def weights_of(model):
    if hasattr(model, "coefs_"):
        norms = [values for norm in getattr(model, "norms_", []) for values in norm.values()]
        return [*model.coefs_, *model.intercepts_, *norms]
    return [*model.weights_, *model.statistics_]


def assert_same_bits(a, b):
    for one, other in zip(weights_of(a), weights_of(b), strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)
    assert a.loss_curve_ == b.loss_curve_
    assert a.n_iter_ == b.n_iter_


def assert_all_close(a, b, **tolerance):
    for one, other in zip(weights_of(a), weights_of(b), strict=True):
        np.testing.assert_allclose(one, other, **tolerance)


def state(model):
    """Every attribute, bit by bit."""
    return {name: pickle.dumps(value) for name, value in vars(model).items()}


def fitted(name, **params):
    """A model of good data, with an optimizer that has a state; its parameters are those given, set after that."""
    model = make(name)
    if name == "MLPClassifier":
        model.partial_fit(X, Y[name], classes=[0, 1, 2])
    model.fit(X, Y[name])
    return model.set_params(**params)


@dataclass
class Case:
    """A call that must fail: `fit` or `partial_fit` with good data, in which some arguments are replaced."""

    estimator: str
    message: str
    arguments: dict = field(default_factory=dict)
    params: dict = field(default_factory=dict)
    method: str = "fit"

    def call(self, model):
        rest = {name: value for name, value in self.arguments.items() if name not in ("X", "y")}
        if self.method == "partial_fit" and "Classifier" in self.estimator:
            rest = {"classes": [0, 1, 2], **rest}
        y = self.arguments.get("y", Y[self.estimator])
        return getattr(model, self.method)(self.arguments.get("X", X), y, **rest)

    def __str__(self):
        return f"{self.estimator}-{self.method}-{'-'.join((*self.params, *self.arguments))}-{self.message[:40]}"


def check(case, kind=(ValueError, TypeError)):
    """The error, of a fresh model and of a fitted one; both stay as they were."""
    fresh = make(case.estimator).set_params(**case.params)
    before = dict(vars(fresh))
    with pytest.raises(kind, match=case.message) as caught:
        case.call(fresh)
    assert vars(fresh).keys() == before.keys()
    assert all(vars(fresh)[name] is value for name, value in before.items())

    model = fitted(case.estimator, **case.params)
    before, objects = state(model), dict(vars(model))
    with pytest.raises(kind, match=case.message):
        case.call(model)
    assert state(model) == before
    assert all(vars(model)[name] is value for name, value in objects.items())
    return caught.value


def on_all(message, arguments=None, params=None, *, names=NAMES, methods=("fit", "partial_fit")):
    return [Case(name, message, arguments or {}, params or {}, method) for name in names for method in methods]


CLASSIFIERS, REGRESSORS = (tuple(n for n in NAMES if kind in n) for kind in ("Classifier", "Regressor"))
MLPS, NEURALS = (tuple(n for n in NAMES if kind in n) for kind in ("MLP", "Neural"))


# ---- parameters ----

SHARED = {
    "alpha": [-1e-4, np.nan, np.inf, "0.1", None],
    "shuffle": ["yes", None, 1],
    "random_state": [-1, 2**32, "seed"],
    "verbose": [-1, "loud"],
    "warm_start": ["yes", None],
    "early_stopping": ["yes", None],
    "weight_decay": [-0.1, np.nan, np.inf, "1", None],
    "clip_norm": [0.0, -1.0, np.inf, np.nan, "1"],
    "n_jobs": ["2", 2.5],
    "n_iter_no_change": [0, 2.5, None],
    "restore_best_weights": ["yes", 1],
}
OF_MLPS = {
    "activation": ["rel", None, 3, ["relu", "rel"]],
    "solver": ["newton", None, 3, optimizers.Adam],
    "batch_size": [0, -1, 2.5, "all", None],
    "learning_rate": ["fast", None, 0.0, -0.1, "step", schedules.Cosine],
    "learning_rate_init": [0.0, -0.1, np.nan, np.inf, "0.1", None],
    "power_t": [-0.5, np.inf, "half", None],
    "max_iter": [0, -3, 2.5, "10", None],
    "tol": [-1e-3, np.nan, np.inf, "small", None],
    "momentum": [-0.1, 1.1, np.nan, None],
    "nesterovs_momentum": ["yes", None],
    "validation_fraction": [1.0, -0.1, 5, None],
    "beta_1": [1.0, -0.1, np.nan, None],
    "beta_2": [1.0, -0.1, np.nan, None],
    "epsilon": [0.0, -1e-8, np.inf, None],
    "max_fun": [0, 2.5, None],
    "dropout": [1.0, -0.1, np.nan, "half", None],
    "batch_norm": ["yes", None, 1],
    "init": ["xavier", None, 0.5],
    "hidden_layer_sizes": [2.5, [3, 2.5], "ab", [True], None],
}
OF_NEURALS = {
    "optimizer": ["newton", None, 3, optimizers.Adam],
    "learning_rate": [0.0, -0.1, np.nan, np.inf, "invscaling", None, schedules.Cosine],
    "batch_size": [0, -1, 2.5, "auto", None],
    "max_epochs": [0, -3, 2.5, "10", None],
    "average": [0.0, 1.0, -0.5, 5, np.nan, True, "yes"],
    "input_shape": [(), (0, 3), (1.5, 2), 3, "abc"],
    "tol": [-1e-3, np.nan, np.inf, "small"],
    "validation_fraction": [0.0, 1.0, -0.1, 5, None],
    "layers": [None, 3, "relu", Dense(3), {Dense(3)}],
}
OF_CLASSIFIERS = {"label_smoothing": [1.0, -0.1, np.nan, None], "class_weight": ["even", 3]}
OF_REGRESSORS = {"loss": ["hinge", "log_loss", None, 3, losses.Huber]}


def parameter_cases():
    for name in NAMES:
        tables = [SHARED, OF_MLPS if "MLP" in name else OF_NEURALS]
        tables.append(OF_CLASSIFIERS if "Classifier" in name else OF_REGRESSORS)
        if name == "NeuralClassifier":
            tables.append({"loss": ["hinge", None, losses.Huber()]})
        for table in tables:
            for parameter, values in table.items():
                for value in values:
                    yield name, parameter, value


def documented_interval(estimator, parameter):
    """The interval in the line of the docstring that describes the parameter; None where there is none."""
    for line in inspect.getdoc(getattr(fusedgrad.neural_network, estimator)).splitlines():
        names, _, kind = line.partition(" : ")
        if kind and not line.startswith(" ") and parameter in names.split(", "):
            found = re.search(r"[\[(]-?[0-9]+, (?:[0-9]+|inf)[\])]", kind)
            return found and found.group()
    raise AssertionError(f"{estimator} does not document {parameter}")


@pytest.mark.parametrize(("estimator", "name", "value"), list(parameter_cases()))
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_parameters_out_of_range(estimator, name, value, method):
    message = f"The '{name}' parameter of {estimator} must be .*Got {re.escape(repr(value))} instead"
    error = check(Case(estimator, message, params={name: value}, method=method))
    assert isinstance(error, ValueError)
    assert isinstance(error, TypeError)
    interval = documented_interval(estimator, name)
    assert interval is None or interval in str(error)


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_has_a_case(name):
    known = {parameter for estimator, parameter, _ in parameter_cases() if estimator == name}
    assert known == set(make(name).get_params(deep=False))


@pytest.mark.parametrize("sizes", [0, -3, [4, 0], (-1,)])
@pytest.mark.parametrize("name", MLPS)
def test_hidden_layers_without_units(name, sizes):
    check(Case(name, "hidden_layer_sizes must be > 0, got ", params={"hidden_layer_sizes": sizes}))


TOGETHER = [
    *on_all("n_jobs == 0 has no meaning", params={"n_jobs": 0}),
    *on_all("partial_fit does not support early_stopping", params={"early_stopping": True}, methods=["partial_fit"]),
    *on_all(
        "'balanced' is not supported for partial_fit.*dict",
        params={"class_weight": "balanced"},
        names=CLASSIFIERS,
        methods=["partial_fit"],
    ),
    *on_all("restore_best_weights=True needs a validation set.*X_val", params={"restore_best_weights": True}),
    *on_all(
        r"activation has 2 names for 1 hidden layers.*\['relu', 'tanh'\]",
        params={"activation": ["relu", "tanh"]},
        names=MLPS,
    ),
    *(
        case
        for name, value in (("dropout", 0.5), ("weight_decay", 0.1), ("clip_norm", 1.0))
        for case in on_all(
            f"{name}={value} needs steps, which solver='lbfgs' does not make",
            params={"solver": "lbfgs", name: value},
            names=MLPS,
            methods=["fit"],
        )
    ),
    *on_all(
        "restore_best_weights=True needs epochs.*'lbfgs'",
        {"X_val": X, "y_val": THREE},
        {"solver": "lbfgs", "restore_best_weights": True},
        names=MLPS,
        methods=["fit"],
    ),
    *(
        case
        for names, key in ((MLPS, "solver"), (NEURALS, "optimizer"))
        for parameter, value in (("weight_decay", 0.1), ("clip_norm", 2.0))
        for case in on_all(
            rf"{parameter}={value} was given, but Adam.*{parameter}=1.0.* of its own",
            params={key: optimizers.Adam(**{parameter: 1.0}), parameter: value},
            names=names,
        )
    ),
]


@pytest.mark.parametrize("case", TOGETHER, ids=str)
def test_parameters_that_do_not_go_together(case):
    check(case)


# ---- layers that do not fit ----

LAYERS = [
    ([Residual([Dense(4)])], r"layers\[0\] does not fit: Residual.*shape \(4,\) from rows of shape \(3,\).* 3 units"),
    ([Dense(5), Residual([Dense(8), Dense(4)])], r"layers\[1\] does not fit.*\(4,\) from rows of shape \(5,\)"),
    ([Dense(5), Residual([Residual([Dense(2)])])], r"layers\[1\] .*layers\[0\] .*\(2,\) from rows of shape \(5,\)"),
    ([Dense], r"layers\[0\] of Neural.* must be an object of fusedgrad.layers.*Call it: Dense\(\.\.\.\)"),
    ([Dense(3), "relu"], r"layers\[1\] of Neural.* Got 'relu' instead"),
    ([Dense(3), None], r"layers\[1\] of Neural.* Got None instead"),
    ([Dense(3), [Dense(3)]], r"layers\[1\] of Neural.* Got \[Dense\(3\)\] instead"),
]


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize(("made", "message"), LAYERS)
@pytest.mark.parametrize("name", NEURALS)
def test_layers_that_do_not_fit(name, made, message, method):
    fresh = make(name, layers=made)
    before = dict(vars(fresh))
    with pytest.raises(ValueError, match=message):
        Case(name, "", method=method).call(fresh)
    assert vars(fresh) == before
    if method == "fit":
        check(Case(name, message, params={"layers": made}))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Dense(0), r"'units' parameter of Dense must be an int in the range \[1, inf\). Got 0"),
        (lambda: Dense(2.5), "'units' parameter of Dense .* Got 2.5"),
        (lambda: Dense(2, "rel"), "'activation' parameter of Dense must be one of 'identity'.* Got 'rel'"),
        (lambda: Dense(2, bias=1), "'bias' parameter of Dense .* Got 1"),
        (lambda: Dense(2, init="xavier"), "'init' parameter of Dense .*'glorot_uniform'.* Got 'xavier'"),
        (lambda: Dense(2, init=np.nan), "'init' parameter of Dense must be a finite number.* Got nan"),
        (lambda: Dense(2, bias_init=True), "'bias_init' parameter of Dense .* Got True"),
        (lambda: Dropout(1.0), r"'rate' parameter of Dropout must be a float in the range \[0, 1\). Got 1.0"),
        (lambda: BatchNorm(momentum=0.0), r"'momentum' parameter of BatchNorm .*\(0, 1\]. Got 0.0"),
        (lambda: BatchNorm(epsilon=0.0), r"'epsilon' parameter of BatchNorm .*\(0, inf\). Got 0.0"),
        (lambda: LayerNorm(affine=None), "'affine' parameter of LayerNorm .* Got None"),
        (lambda: Activation("relu", alpha=0.1), r"Activation\('relu'\) has no parameter alpha.*'leaky_relu'"),
        (lambda: Activation("elu", alpha=-1.0), r"'alpha' parameter of Activation .*\[0, inf\).* Got -1.0"),
        (lambda: Residual(Dense(3)), "'layers' parameter of Residual must be a list of layers"),
        (lambda: Residual([Dense]), r"layers\[0\] of Residual .*Call it"),
    ],
)
def test_layers_name_what_is_wrong_with_them(call, message):
    with pytest.raises(ValueError, match=message) as caught:
        call()
    assert isinstance(caught.value, TypeError)


@pytest.mark.parametrize("name", NEURALS)
def test_shapes_of_rows_that_do_not_fit(name):
    check(
        Case(name, r"input_shape=\(2, 2\) has 4 numbers, but a row of X has 3.*\(3,\)", params={"input_shape": (2, 2)})
    )
    images = np.random.default_rng(0).normal(size=(N, 2, 3))
    message = r"input_shape=\(7,\) has 7 numbers, but a row of X has 6.*\(2, 3\)"
    check(Case(name, message, {"X": images}, {"input_shape": (7,)}))
    outputs = make(name).fit(X, Y[name]).n_outputs_
    last = [Dense(outputs)]  # two numbers a unit, for it acts along the last dimension
    check(
        Case(name, rf"Dense\({outputs}\).*\(2, {outputs}\).*\({outputs},\).*Flatten", {"X": images}, {"layers": last})
    )
    assert make(name, layers=[Dense(6)]).fit(images, Y[name]).transform(images).shape == (
        N,
        12,
    )  # the one that is added
    model = make(name, layers=[Flatten(), Dense(6)]).fit(images, Y[name])
    for call in (model.predict, model.transform, lambda rows: model.partial_fit(rows, Y[name][: len(rows)])):
        before = state(model)
        with pytest.raises(ValueError, match=r"rows of shape \(2, 4\).*made for rows of shape \(2, 3\)"):
            call(np.zeros((5, 2, 4)))
        assert state(model) == before


# ---- numbers that are not finite, and shapes ----


def with_value(array, value):
    array = np.array(array, dtype=float)
    array.flat[7] = value
    return array


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
    *on_all("sample_weight is zero for every sample", {"sample_weight": np.zeros(N)}),
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


# ---- partial_fit ----


@pytest.mark.parametrize("name", CLASSIFIERS)
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "classes must be passed on the first call"),
        ({"y": THREE * 5, "classes": [0, 1, 2]}, r"`y` has classes not in `self.classes_`.*\[0 1 2\].*10"),
        ({"classes": [0, 1]}, r"`y` has classes not in `self.classes_`"),
        ({"classes": [0.0, 1.0, 2.0, np.nan]}, "classes contains NaN"),
    ],
)
def test_the_first_partial_fit(name, arguments, message):
    model = make(name)
    before = dict(vars(model))
    with pytest.raises(ValueError, match=message):
        model.partial_fit(**{"X": X, "y": THREE, **arguments})
    assert vars(model) == before


@pytest.mark.parametrize("name", CLASSIFIERS)
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"y": THREE * 5}, r"`y` has classes not in `self.classes_`"),
        ({"y": np.array(["a", "b", "c"])[THREE]}, r"`y` has classes not in `self.classes_`"),
        ({"classes": [0, 1]}, r"`classes=\[0, 1\]` is not the same as on last call to partial_fit, was: .*0, 1, 2"),
        ({"y": LABELS}, r"y has shape \(40, 3\), but the model was made for one label a row"),
        ({"X": X[:, :2]}, "X has 2 features, but .* is expecting 3"),
        ({"X": sp.csr_array(X[:, :2])}, "X has 2 features, but .* is expecting 3"),
        ({"y": THREE[:-1]}, r"\[40, 39\]"),
        ({"sample_weight": np.ones(3)}, r"sample_weight.shape == \(3,\), expected \(40,\)"),
    ],
)
def test_later_partial_fits(name, arguments, message):
    model = fitted(name)
    before, objects = state(model), dict(vars(model))
    with pytest.raises(ValueError, match=message):
        model.partial_fit(**{"X": X, "y": THREE, **arguments})
    assert state(model) == before
    assert all(vars(model)[key] is value for key, value in objects.items())


@pytest.mark.parametrize("name", REGRESSORS)
def test_partial_fits_with_other_targets(name):
    model = fitted(name)
    before = state(model)
    with pytest.raises(ValueError, match="y has 2 targets a row, but the model was made for 1"):
        model.partial_fit(X, X[:, :2])
    assert state(model) == before


@pytest.mark.parametrize("name", NAMES)
def test_warm_starts_with_other_data(name):
    model = fitted(name, warm_start=True)
    before = state(model)
    with pytest.raises(ValueError, match="X has 2 features, but .* is expecting 3"):
        model.fit(X[:, :2], Y[name])
    with pytest.raises(ValueError, match="same classes.*Previously got" if "Cl" in name else "y has 2 targets a row"):
        model.fit(X, CODES if "Cl" in name else X[:, :2])
    assert state(model) == before


# ---- divergence, and errors on the way ----


def explode(step):
    return 1e300 if step >= 4 else 1e-3


def explode_late(step):
    return 1e300 if step >= 10 else 1e-3


def nothing(step):
    return float("nan") if step >= 5 else 1e-3


def fall_over(step):
    if step >= 5:
        raise RuntimeError("a schedule's own")
    return 1e-3


PLAIN = {"rule": optimizers.SGD()}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("params", [{"rate": 1e200}, {"rate": explode}], ids=["rate", "schedule"])
def test_divergence_is_an_error_that_leaves_no_trace(name, params):
    message = r"non-finite parameter weights.*learning rate was too large \(1e\+.*clip_norm"
    fresh = make(name, **PLAIN, **params)
    before = dict(vars(fresh))
    with pytest.raises(ValueError, match=message):
        fresh.fit(X, Y[name])
    assert vars(fresh) == before
    model = make(name, **PLAIN, epochs=1).fit(X, Y[name]).set_params(**make(name, **PLAIN, **params).get_params())
    before, objects = state(model), dict(vars(model))
    for method in ("fit", "partial_fit", "partial_fit"):
        with pytest.raises(ValueError, match=message):
            getattr(model, method)(X, Y[name])
        assert state(model) == before
        assert all(vars(model)[key] is value for key, value in objects.items())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("rows", ["given", "split"])
def test_divergence_with_a_validation_set_keeps_the_best_weights(name, rows):
    given = {"X_val": X, "y_val": Y[name]} if rows == "given" else {}
    params = {"early_stopping": True, "restore_best_weights": True, "epochs": 30}
    model = make(name, **PLAIN, rate=explode_late, **params)
    with pytest.warns(ConvergenceWarning, match="diverged after [0-9]+ epochs; the best weights before are kept"):
        model.fit(X, Y[name], **given)
    assert model.stop_reason_ == "diverged"
    assert 2 <= model.n_iter_ < 30
    assert len(model.loss_curve_) == len(model.validation_scores_) == model.n_iter_
    assert np.isnan(model.loss_curve_[-1])
    best = 1 + int(np.nanargmax(model.validation_scores_))
    expected = make(name, **PLAIN, rate=1e-3, **{**params, "epochs": best}).fit(X, Y[name], **given)
    for one, other in zip(weights_of(model), weights_of(expected), strict=True):
        np.testing.assert_array_equal(one, other)
    assert np.isfinite(model.predict(X)).all()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("rate", "kind", "message"),
    [(nothing, ValueError, "Got nan at step 5"), (fall_over, RuntimeError, "a schedule's own")],
)
def test_a_schedule_that_fails_leaves_no_trace(name, rate, kind, message):
    params = {"learning_rate": rate, "warm_start": True}
    fresh = make(name, **params)
    before = dict(vars(fresh))
    with pytest.raises(kind, match=message):
        fresh.fit(X, Y[name])
    assert vars(fresh) == before
    own = {"solver" if "MLP" in name else "optimizer": optimizers.SGD(rate)}
    model = fitted(name, **own)
    before = state(model)
    with pytest.raises(kind, match=message):
        model.fit(X, Y[name])
    assert state(model) == before


@pytest.mark.parametrize("name", MLPS)
@pytest.mark.parametrize("activation", ["identity", "relu"])
def test_lbfgs_that_overflows_is_an_error_that_leaves_no_trace(name, activation):
    model = fitted(name, solver="lbfgs", activation=activation)
    before = state(model)
    with pytest.raises(ValueError, match="large values"):
        model.fit(X * 1e300, Y[name])
    assert state(model) == before


# ---- not fitted ----


@pytest.mark.parametrize("name", NAMES)
def test_an_estimator_must_be_fitted_first(name):
    methods = ["predict", "transform"] + ["predict_proba", "predict_log_proba"] * ("Classifier" in name)
    for method in methods:
        with pytest.raises(NotFittedError):
            getattr(make(name), method)(X)
    if "Neural" in name:
        with pytest.raises(NotFittedError):
            make(name).summary()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (X[:, :2], "X has 2 features, but .* is expecting 3 features"),
        (sp.csr_array(X[:, :2]), "X has 2 features, but .* is expecting 3 features"),
        (with_value(X, np.nan), "X contains NaN"),
        (sp.csr_array(with_value(X, np.inf)), "X contains infinity"),
        (X[0], "Expected 2D array"),
        (X[:0], r"0 sample\(s\)"),
    ],
)
def test_predicting_from_bad_rows(name, bad, message):
    model = fitted(name)
    for method in (model.predict, model.transform):
        with pytest.raises(ValueError, match=message):
            method(bad)


# ---- copies ----

STACK = [Dense(6, "tanh"), BatchNorm(), Dropout(0.2), Residual([Dense(5, "gelu"), LayerNorm(), Dense(6)])]
RICH = {
    "MLP": {"hidden_layer_sizes": (6, 5), "batch_norm": True, "dropout": 0.2, "clip_norm": 0.5, "weight_decay": 0.01},
    "Neural": {"layers": STACK, "clip_norm": 0.5, "weight_decay": 0.01, "average": 0.9},
}


def rich(name, **params):
    """A model with everything that has a state."""
    return make(name, **{**RICH["MLP" if "MLP" in name else "Neural"], "rule": "nadam", **params})


COPIES = {"pickle": lambda m: pickle.loads(pickle.dumps(m)), "deepcopy": copy.deepcopy, "joblib": None}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("way", COPIES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_copies_predict_and_go_on_with_the_same_bits(name, way, dtype, tmp_path):
    rows = X.astype(dtype)
    model = rich(name, warm_start=True).fit(rows, Y[name]).partial_fit(rows, Y[name])
    if way == "joblib":
        joblib.dump(model, tmp_path / "model")
        copied = joblib.load(tmp_path / "model")
    else:
        copied = COPIES[way](model)
    np.testing.assert_array_equal(copied.predict(rows), model.predict(rows))
    np.testing.assert_array_equal(copied.transform(rows), model.transform(rows))
    assert_same_bits(copied, model)
    for method in ("partial_fit", "fit", "partial_fit"):
        getattr(model, method)(rows, Y[name])
        getattr(copied, method)(rows, Y[name])
        assert_same_bits(copied, model)


@pytest.mark.parametrize("name", NAMES)
def test_a_copy_is_independent(name):
    model = rich(name).fit(X, Y[name])
    copied = copy.deepcopy(model)
    before = state(copied)
    model.partial_fit(X, Y[name])
    assert state(copied) == before


@pytest.mark.parametrize("name", NAMES)
def test_training_does_not_change_arrays_that_were_handed_out(name):
    model = rich(name).fit(X, Y[name])
    arrays = weights_of(model)
    copies = [array.copy() for array in arrays]
    curve, length = model.loss_curve_, len(model.loss_curve_)
    model.partial_fit(X, Y[name])
    for array, copied in zip(arrays, copies, strict=True):
        np.testing.assert_array_equal(array, copied)
    assert len(curve) == length
    assert any(not np.array_equal(a, b) for a, b in zip(weights_of(model), copies, strict=True))


@pytest.mark.parametrize("name", NAMES)
def test_clones_have_the_parameters_and_nothing_else(name):
    model = rich(name).fit(X, Y[name])
    copied = clone(model)
    assert vars(copied).keys() == model.get_params(deep=False).keys()
    assert repr(copied.get_params()) == repr(model.get_params())
    assert_same_bits(copied.fit(X, Y[name]), model)
    other = clone(model).set_params(random_state=1).fit(X, Y[name])
    assert not np.array_equal(weights_of(other)[0], weights_of(model)[0])


@pytest.mark.parametrize("name", NAMES)
def test_parameters_are_kept_as_they_were_given(name):
    model = make(name)
    for parameter, value in model.get_params(deep=False).items():
        assert getattr(model.set_params(**{parameter: value}), parameter) is value
    with pytest.raises(ValueError, match="Invalid parameter 'colour'"):
        model.set_params(colour="red")
    given = model.get_params(deep=False)
    model.fit(X, Y[name])
    assert all(model.get_params(deep=False)[key] is value for key, value in given.items())


@pytest.mark.parametrize("name", NAMES)
def test_parameters_set_after_a_fit_change_nothing_before_the_next(name):
    model = rich(name).fit(X, Y[name])
    predicted, features = model.predict(X), model.transform(X)
    summary = model.summary() if "Neural" in name else None
    if "MLP" in name:
        model.set_params(hidden_layer_sizes=(9, 9, 9), batch_norm=False, dropout=0.0, activation="tanh")
    else:
        model.set_params(layers=[Dense(9)], input_shape=(1, 3))
    for one in (model, pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(one.predict(X), predicted)
        np.testing.assert_array_equal(one.transform(X), features)
        assert summary is None or one.summary() == summary


@pytest.mark.parametrize("name", MLPS)
def test_batches_larger_than_the_data_are_told(name):
    with pytest.warns(UserWarning, match="`batch_size`.*larger than sample size. It is going to be clipped"):
        model = make(name, batch_size=N + 1).fit(X, Y[name])
    assert_same_bits(model, make(name, batch_size=N).fit(X, Y[name]))


@pytest.mark.parametrize("name", NAMES)
def test_partial_fit_after_a_fit_goes_on_with_the_optimizer(name):
    """A fit of one epoch and k calls of partial_fit are a fit of k + 1 epochs where rows are not shuffled."""
    params = {"shuffle": False, "rule": optimizers.NAdam(), "rate": 0.01}
    expected = make(name, epochs=5, **params).fit(X, Y[name])
    model = make(name, epochs=1, **params).fit(X, Y[name])
    for _ in range(4):
        model.partial_fit(X, Y[name])
    for one, other in zip(weights_of(model), weights_of(expected), strict=True):
        np.testing.assert_array_equal(one, other)
    assert model.loss_curve_ == expected.loss_curve_


@pytest.mark.parametrize("name", NAMES)
def test_warm_starts_go_on_with_the_optimizer(name):
    params = {"shuffle": False, "rule": optimizers.NAdam(), "rate": 0.01}
    expected = make(name, epochs=6, **params).fit(X, Y[name])
    model = make(name, epochs=2, warm_start=True, **params)
    for _ in range(3):
        model.fit(X, Y[name])
    for one, other in zip(weights_of(model), weights_of(expected), strict=True):
        np.testing.assert_array_equal(one, other)


# ---- in scikit-learn's company ----


@pytest.mark.parametrize("name", NAMES)
def test_grid_search_and_pipelines(name):
    grid = {"alpha": [0.0, 0.1]}
    grid |= {"hidden_layer_sizes": [(3,), ()]} if "MLP" in name else {"layers": [[Dense(3, "tanh")], []]}
    search = GridSearchCV(make(name), grid, cv=2).fit(X, Y[name])
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert_same_bits(search.best_estimator_, make(name, **search.best_params_).fit(X, Y[name]))
    pipeline = make_pipeline(StandardScaler(), make(name)).fit(X, Y[name])
    alone = make(name).fit(StandardScaler().fit_transform(X), Y[name])
    np.testing.assert_array_equal(pipeline.predict(X), alone.predict(StandardScaler().fit_transform(X)))


@pytest.mark.parametrize("name", NAMES)
def test_features_of_a_pipeline(name):
    end = LogisticRegression() if "Classifier" in name else Ridge()
    pipeline = make_pipeline(make(name), end).fit(X, Y[name])
    features = make(name).fit(X, Y[name]).transform(X)
    assert features.shape == (N, 6)
    np.testing.assert_allclose(pipeline.predict(X), clone(end).fit(features, Y[name]).predict(features))


@pytest.mark.parametrize("name", NAMES)
def test_names_of_columns(name):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=["a", "b", "c"])
    model = make(name, early_stopping=True).fit(frame, Y[name], X_val=frame, y_val=Y[name])
    assert list(model.feature_names_in_) == ["a", "b", "c"]
    assert_same_bits(model, make(name, early_stopping=True).fit(X, Y[name], X_val=X, y_val=Y[name]))
    with pytest.raises(ValueError, match="feature names"):
        model.predict(frame[["b", "a", "c"]])


# ---- threads ----

THREADS = {
    "plain": {},
    "rich": {"rich": True},
    "sparse": {"sparse": True},
    "rich_sparse": {"rich": True, "sparse": True},
    "float32": {"dtype": np.float32, "rich": True},
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("what", THREADS)
def test_n_jobs_does_not_change_a_bit(name, what):
    options = THREADS[what]
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(700, 37)).astype(options.get("dtype", np.float64))
    rows[rng.random(rows.shape) < 0.5] = 0
    y = np.digitize(rows.sum(axis=1), [-2, 2]) if "Classifier" in name else rows[:, :3].astype(float)
    given = sp.csr_array(rows) if options.get("sparse") else rows
    params = {"batch_size": 301, "epochs": 3}
    made = rich(name, **params) if options.get("rich") else make(name, **params)
    weight = rng.uniform(0.1, 2.0, 700)
    models = [clone(made).set_params(n_jobs=n).fit(given, y, weight) for n in (1, 2, 4, None, -1)]
    for other in models[1:]:
        assert_same_bits(models[0], other)
        np.testing.assert_array_equal(models[0].predict(given), other.predict(given))
        np.testing.assert_array_equal(models[0].transform(given), other.transform(given))


@pytest.mark.parametrize("name", MLPS)
def test_n_jobs_does_not_change_a_bit_of_lbfgs(name):
    rows = np.random.default_rng(0).normal(size=(600, 20))
    y = (rows[:, 0] > 0).astype(int)
    models = [make(name, solver="lbfgs", n_jobs=n, epochs=8).fit(rows, y) for n in (1, 2, 4)]
    for other in models[1:]:
        assert_same_bits(models[0], other)


@repeatably
@given(
    name=st.sampled_from(NAMES),
    n=st.integers(2, 90),
    d=st.integers(1, 20),
    batch=st.integers(1, 100),
    units=st.integers(1, 40),
    n_jobs=st.integers(2, 5),
    sparse=st.booleans(),
    single=st.booleans(),
)
def test_any_shape_gives_the_same_bits_with_any_threads(name, n, d, batch, units, n_jobs, sparse, single):
    rng = np.random.default_rng(n)
    rows = rng.normal(size=(n, d)).astype(np.float32 if single else np.float64)
    given_rows = sp.csr_array(rows) if sparse else rows
    y = np.arange(n) % 3 if "Classifier" in name else rows[:, 0]
    hidden = {"hidden_layer_sizes": (units,)} if "MLP" in name else {"layers": [Dense(units, "tanh"), BatchNorm()]}
    made = make(name, batch_size=min(batch, n), epochs=2, **hidden)
    one, other = (clone(made).set_params(n_jobs=k).fit(given_rows, y) for k in (1, n_jobs))
    assert_same_bits(one, other)
    np.testing.assert_array_equal(one.predict(given_rows), other.predict(given_rows))
    assert np.isfinite(one.loss_curve_).all()


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


# ---- optima ----


def gradient(raw, y, smoothing=0.0):
    """Of the mean cross-entropy by raw predictions, times n."""
    if raw.shape[1] > 1 and y.ndim == 1:
        k = raw.shape[1]
        return softmax(raw, axis=1) - (np.eye(k)[y] * (1 - smoothing) + smoothing / k)
    return expit(raw) - (y.reshape(len(y), -1) * (1 - smoothing) + smoothing / 2)


@pytest.mark.parametrize("y", [CODES, THREE, LABELS], ids=["two", "three", "labels"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_without_hidden_layers_lbfgs_ends_where_the_gradient_is_zero(y, smoothing):
    model = make(
        "MLPClassifier",
        hidden_layer_sizes=(),
        solver="lbfgs",
        alpha=1.0,
        tol=1e-8,
        epochs=5000,
        label_smoothing=smoothing,
    ).fit(X, y)
    (coef,), (intercept,) = model.coefs_, model.intercepts_
    slope = gradient(X @ coef + intercept, y, smoothing)
    assert np.abs(X.T @ slope + coef).max() / N < 1e-5
    assert np.abs(slope.sum(axis=0)).max() / N < 1e-5
    if smoothing == 0 and y.ndim == 1:
        linear = LogisticRegression(C=1.0, tol=1e-10, max_iter=5000).fit(X, y)
        np.testing.assert_allclose(model.predict_proba(X), linear.predict_proba(X), rtol=0, atol=1e-4)


def test_without_hidden_layers_lbfgs_is_ridge_regression():
    y = np.c_[SCORE, X[:, 0] ** 2]
    model = make("MLPRegressor", hidden_layer_sizes=(), solver="lbfgs", alpha=2.0, tol=1e-10, epochs=5000).fit(X, y)
    ridge = Ridge(alpha=2.0, tol=1e-12).fit(X, y)
    np.testing.assert_allclose(model.coefs_[0].T, ridge.coef_, rtol=0, atol=1e-5)
    np.testing.assert_allclose(model.intercepts_[0], ridge.intercept_, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_steps_end_where_the_gradient_is_zero(name):
    """Full batches, no hidden layer: a smooth convex problem."""
    hidden = {"hidden_layer_sizes": ()} if "MLP" in name else {"layers": []}
    strength = N * 0.1 if "MLP" in name else 0.1  # divided by n there
    params = {"rule": optimizers.SGD(momentum=0.9), "rate": 0.1, "batch_size": "full", "epochs": 3000}
    params["n_iter_no_change"] = 3000  # momentum climbs on its way
    model = make(name, **hidden, **params, alpha=strength).fit(X, Y[name])
    coef, intercept = weights_of(model)
    raw = X @ coef + intercept
    slope = gradient(raw, THREE) if "Cl" in name else raw - SCORE[:, None]
    assert np.abs(X.T @ slope / N + 0.1 * coef).max() < 1e-8
    assert np.abs(slope.mean(axis=0)).max() < 1e-8


# ---- options of the networks ----


def test_an_activation_a_layer():
    sizes, names = (5, 4, 6), ["tanh", "relu", "logistic"]
    model = make("MLPClassifier", hidden_layer_sizes=sizes, activation=names).fit(X, THREE)
    a = X
    functions = {"tanh": np.tanh, "relu": lambda v: np.maximum(v, 0), "logistic": expit}
    for k, name in enumerate(names):
        a = functions[name](a @ model.coefs_[k] + model.intercepts_[k])
        np.testing.assert_allclose(model.transform(X, k), a, rtol=1e-12, atol=1e-15)
        np.testing.assert_array_equal(model.transform(X, k), model.transform(X, k - 4))
    a = a @ model.coefs_[3] + model.intercepts_[3]
    np.testing.assert_allclose(model.transform(X, -1), a, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(model.predict_proba(X), softmax(a, axis=1), rtol=1e-10)
    same = make("MLPClassifier", hidden_layer_sizes=sizes, activation=["tanh"] * 3).fit(X, THREE)
    assert_same_bits(same, make("MLPClassifier", hidden_layer_sizes=sizes, activation="tanh").fit(X, THREE))


@pytest.mark.parametrize("activation", layers.activations())
@pytest.mark.parametrize("name", NAMES)
def test_every_activation_trains(name, activation):
    hidden = (
        {"hidden_layer_sizes": (6,), "activation": activation} if "MLP" in name else {"layers": [Dense(6, activation)]}
    )
    model = make(name, **hidden, epochs=40, rate=0.01).fit(X, Y[name])
    assert model.loss_curve_[-1] < 0.9 * model.loss_curve_[0]


@pytest.mark.filterwarnings("ignore:.*has no effect:UserWarning")
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("rule", optimizers.names())
def test_optimizers_by_name_and_by_object(name, rule):
    if "MLP" in name and rule in ("sgd", "adam"):  # there in scikit-learn's form
        by_name = make(name, rule=rule, rate=0.01).fit(X, Y[name])
        kind = (
            optimizers.SGD(momentum=0.9, nesterov=True, rate_inside=True)
            if rule == "sgd"
            else optimizers.Adam(epsilon_hat=True)
        )
    else:
        by_name, kind = make(name, rule=rule, rate=0.01).fit(X, Y[name]), optimizers.get(rule)
    assert_same_bits(by_name, make(name, rule=kind, rate=0.01).fit(X, Y[name]))
    own = type(kind)(**{**{f: getattr(kind, f) for f in kind.__getstate__()}, "learning_rate": 0.01})
    with pytest.warns(UserWarning, match="=0.7 has no effect, because the optimizer has a learning_rate of its own"):
        assert_same_bits(by_name, make(name, rule=own, rate=0.7).fit(X, Y[name]))


@pytest.mark.parametrize("name", NAMES)
def test_schedules_and_callables(name):
    constant = make(name, rate=0.01).fit(X, Y[name])
    for rate in (schedules.Constant(0.01), lambda step: 0.01):
        assert_same_bits(make(name, learning_rate=rate).fit(X, Y[name]), constant)
    seen = []

    def note(step):
        seen.append(step)
        return 0.01 / (1 + step)

    model = make(name, learning_rate=note, epochs=3).fit(X, Y[name])
    assert sorted(set(seen)) == list(range(9))  # three batches an epoch
    model.partial_fit(X, Y[name])
    assert max(seen) == 11
    cosine = schedules.Cosine(0.05, steps=12)
    own = make(name, rule=optimizers.RMSprop(cosine)).fit(X, Y[name])
    assert_same_bits(own, make(name, rule="rmsprop", learning_rate=cosine).fit(X, Y[name]))


@pytest.mark.parametrize("name", NAMES)
def test_a_plateau_makes_the_rate_smaller(name):
    plateau = schedules.ReduceOnPlateau(0.5, factor=0.1, patience=1)
    model = make(name, rule=optimizers.SGD(), learning_rate=plateau, epochs=60).fit(X, Y[name])
    assert model._optimizer.learning_rate < 0.5
    assert_same_bits(pickle.loads(pickle.dumps(model)).partial_fit(X, Y[name]), model.partial_fit(X, Y[name]))


@pytest.mark.parametrize("name", NAMES)
def test_weight_decay_shrinks_weights_and_nothing_else(name):
    rate, decay = 0.01, 3.0
    params = {"rule": optimizers.SGD(), "rate": rate, "batch_size": "full", "epochs": 1, "alpha": 0.0}
    still = make(name, **{**params, "rate": 1e-300}).fit(X, Y[name])
    plain, decayed = (make(name, **params, weight_decay=d).fit(X, Y[name]) for d in (0.0, decay))
    for start, without, shrunk in zip(*map(weights_of, (still, plain, decayed)), strict=True):
        bias = start.ndim == 1 or start.shape[0] == 1
        np.testing.assert_allclose(without - shrunk, 0 if bias else rate * decay * start, rtol=0, atol=1e-15)
    own = optimizers.AdamW(weight_decay=decay)
    by_rule = make(name, rule=own, rate=rate).fit(X, Y[name])
    by_estimator = make(name, rule=optimizers.Adam(), rate=rate, weight_decay=decay).fit(X, Y[name])
    assert_all_close(by_rule, by_estimator, rtol=0, atol=1e-14)


@pytest.mark.parametrize("name", NAMES)
def test_clip_norm_limits_the_step(name):
    params = {"rule": optimizers.SGD(), "rate": 1.0, "batch_size": "full", "epochs": 1, "alpha": 0.0}
    still = make(name, **{**params, "rate": 1e-300}).fit(X, Y[name])
    clipped = make(name, **params, clip_norm=1e-3).fit(X, Y[name])
    moved = [a - b for a, b in zip(weights_of(clipped), weights_of(still), strict=True)]
    assert np.sqrt(sum((m**2).sum() for m in moved)) == pytest.approx(1e-3, rel=1e-4)
    own = make(name, **{**params, "rule": optimizers.SGD(clip_norm=1e-3)}).fit(X, Y[name])
    assert_same_bits(own, clipped)


@pytest.mark.parametrize("name", MLPS)
def test_mlp_s_keywords_are_layers(name):
    """`dropout` and `batch_norm` make the network that the same layers make."""
    mlp = make(name, hidden_layer_sizes=(6, 5), activation="gelu", batch_norm=True, init="he_normal", alpha=0.0)
    stack = [
        Dense(6, init="he_normal"), BatchNorm(), Activation("gelu"),
        Dense(5, init="he_normal"), BatchNorm(), Activation("gelu"), Dense(3 if "Cl" in name else 1, init=0.1),
    ]  # fmt: skip
    mlp.fit(X, Y[name])
    net = make(name.replace("MLP", "Neural"), layers=stack).fit(X, Y[name])
    assert [c.shape for c in mlp.coefs_] == [w.shape for w in net.weights_[::4]]
    assert [sorted(norm) for norm in mlp.norms_] == [["mean", "scale", "shift", "variance"]] * 2
    assert mlp.transform(X, 0).shape == (N, 6)
    assert mlp.transform(X).shape == (N, 5)
    a = X
    for k, norm in enumerate(mlp.norms_):
        a = a @ mlp.coefs_[k] + mlp.intercepts_[k]
        a = norm["scale"] * (a - norm["mean"]) / np.sqrt(norm["variance"] + 1e-5) + norm["shift"]
        a = a * ndtr(a)  # gelu
        np.testing.assert_allclose(mlp.transform(X, k), a, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", MLPS)
def test_dropout_is_for_training_alone(name):
    model = make(name, dropout=0.5, hidden_layer_sizes=(30,)).fit(X, Y[name])
    hidden = np.maximum(X @ model.coefs_[0] + model.intercepts_[0], 0)
    np.testing.assert_allclose(model.transform(X), hidden, rtol=1e-12, atol=1e-14)
    np.testing.assert_array_equal(model.predict(X), model.predict(X))
    assert not np.array_equal(model.coefs_[0], make(name, hidden_layer_sizes=(30,)).fit(X, Y[name]).coefs_[0])
    assert_same_bits(model, make(name, dropout=0.5, hidden_layer_sizes=(30,)).fit(X, Y[name]))


@pytest.mark.parametrize("name", MLPS)
@pytest.mark.parametrize("init", [i for i in layers.initializers() if i != "auto"])
def test_initial_weights(name, init):
    model = make(name, hidden_layer_sizes=(50, 40), init=init, rule=optimizers.SGD(), rate=1e-300, epochs=1)
    model.fit(X, Y[name])
    assert all(np.abs(b).max() < 1e-200 for b in model.intercepts_)
    if init == "zeros":
        assert all(np.abs(w).max() < 1e-200 for w in model.coefs_)
        return
    if init == "orthogonal":
        np.testing.assert_allclose(model.coefs_[1].T @ model.coefs_[1], np.eye(40), atol=1e-12)
        return
    fan_in, fan_out = 50, 40
    variance = {"glorot": 2 / (fan_in + fan_out), "he": 2 / fan_in, "lecun": 1 / fan_in}[init.partition("_")[0]]
    assert model.coefs_[1].var() == pytest.approx(variance, rel=0.15)  # of 2000 draws
    bound = np.sqrt(3 * variance)
    assert (np.abs(model.coefs_[1]).max() <= bound) == init.endswith("uniform")


@pytest.mark.parametrize("layer", [-4, 3, 1.0, True, None, "last"])
@pytest.mark.parametrize("name", NAMES)
def test_transform_needs_a_layer_that_is_there(name, layer):
    params = {"hidden_layer_sizes": (4, 4)} if "MLP" in name else {"layers": [Dense(4), Dense(4)]}
    model = make(name, **params).fit(X, Y[name])
    wanted = "No layer has the label" if isinstance(layer, str) else "layer must be a whole number from -3 to 2.*Got"
    with pytest.raises(ValueError, match=f"{wanted} {layer!r}"):
        model.transform(X, layer)


@pytest.mark.parametrize("name", NEURALS)
def test_the_summary_counts_parameters(name):
    outputs = 3 if "Cl" in name else 1
    stack = [Dense(6, "relu"), BatchNorm(), Dropout(0.1), Residual([Dense(4), Dense(6)])]
    model = make(name, layers=stack, batch_size=16, rule="adam", average=0.9).fit(X.astype(np.float32), Y[name])
    lines = model.summary().splitlines()
    assert lines[0].split() == ["layer", "shape", "parameters"]
    counts = [int(line.split()[-1].replace(",", "")) for line in lines[1:-1]]
    assert counts == [0, 24, 12, 0, 28 + 30, 7 * outputs]
    assert [line.split("  ")[0] for line in lines[2:-1]] == [*map(repr, stack), f"output: Dense({outputs})"]
    assert len({len(line) for line in lines[:-1]}) == 1  # a table
    total = sum(counts)
    assert sum(w.size for w in model.weights_) == total
    # Adam keeps two numbers a parameter; the mean one
    assert f"{total:,} parameters, {4 * total:,} bytes; with optimizer state {16 * total:,} bytes" in lines[-1]
    assert "one batch of 16 rows" in lines[-1]


@pytest.mark.parametrize("name", NEURALS)
def test_the_output_layer_is_added_or_given(name):
    outputs = 3 if "Cl" in name else 1
    added = make(name, layers=[Dense(4, "relu")]).fit(X, Y[name])
    given_too = make(name, layers=[Dense(4, "relu"), Dense(outputs, init="glorot_uniform")]).fit(X, Y[name])
    assert_same_bits(added, given_too)
    assert [w.shape for w in added.weights_] == [(3, 4), (1, 4), (4, outputs), (1, outputs)]


@pytest.mark.parametrize("name", NEURALS)
def test_an_average_is_what_predicts(name):
    decay, params = 0.8, {"rule": optimizers.SGD(), "rate": 0.05, "batch_size": "full"}
    path = [make(name, **params, epochs=k).fit(X, Y[name]) for k in range(1, 6)]
    averaged = make(name, **params, epochs=5, average=decay).fit(X, Y[name])
    mean = weights_of(path[0])  # it begins with the weights after the first step
    for model in path[1:]:
        mean = [decay * m + (1 - decay) * w for m, w in zip(mean, weights_of(model), strict=True)]
    for ours, expected in zip(weights_of(averaged), mean, strict=True):
        np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-13)


# ---- validation rows, stopping, the best weights ----


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("weighted", [False, True])
def test_curves_of_validation_rows(name, weighted):
    rows, y, weight = X[:15], Y[name][:15], np.arange(1.0, 16.0) if weighted else None
    model = rich(name).fit(X, Y[name], X_val=rows, y_val=y, sample_weight_val=weight)
    prefixes = [rich(name, epochs=k).fit(X, Y[name]) for k in range(1, 5)]
    scores = [prefix.score(rows, y, sample_weight=weight) for prefix in prefixes]
    np.testing.assert_allclose(model.validation_scores_, scores, rtol=1e-12)
    if "Classifier" in name:
        values = [-p.predict_log_proba(rows)[np.arange(15), y] for p in prefixes]
    else:
        values = [0.5 * (p.predict(rows) - y) ** 2 for p in prefixes]
    expected = [np.average(v, weights=weight) for v in values]
    np.testing.assert_allclose(model.validation_loss_curve_, expected, rtol=1e-10)
    for one, other in zip(weights_of(model), weights_of(prefixes[-1]), strict=True):
        np.testing.assert_array_equal(one, other)  # looking at rows does not change the training


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("early", [False, True])
def test_the_best_weights_are_those_of_the_best_epoch(name, early):
    rows, y = X[25:], Y[name][25:]
    params = {"rate": 0.1, "epochs": 60, "restore_best_weights": True, "early_stopping": early, "n_iter_no_change": 60}
    model = rich(name, **params).fit(X[:25], Y[name][:25], X_val=rows, y_val=y)
    best = int(np.argmax(model.validation_scores_))
    assert best + 1 < len(model.validation_scores_)
    expected = rich(name, **{**params, "restore_best_weights": False, "early_stopping": False, "epochs": best + 1})
    expected.fit(X[:25], Y[name][:25])
    for one, other in zip(weights_of(model), weights_of(expected), strict=True):
        np.testing.assert_array_equal(one, other)
    assert model.score(rows, y) == pytest.approx(max(model.validation_scores_), rel=1e-12)
    last = rich(name, **{**params, "restore_best_weights": False}).fit(X[:25], Y[name][:25], X_val=rows, y_val=y)
    assert not np.array_equal(weights_of(last)[0], weights_of(model)[0])


@pytest.mark.parametrize("name", NAMES)
def test_stopping_counts_idle_epochs(name):
    """The n-th idle epoch in a row ends Neural's training, the one after it scikit-learn's."""
    model = make(name, epochs=100, tol=1e6, n_iter_no_change=5).fit(X, Y[name])
    assert model.stop_reason_ == "converged"
    assert model.n_iter_ == 1 + 5 + ("MLP" in name)
    model = make(name, epochs=100, tol=1e6, n_iter_no_change=5, early_stopping=True).fit(X, Y[name])
    assert model.stop_reason_ == "early_stopping"
    assert model.n_iter_ == 1 + 5 + ("MLP" in name)


@pytest.mark.parametrize("name", NEURALS)
def test_no_tolerance_means_all_epochs_and_no_warning(name, recwarn):
    model = make(name, epochs=3, tol=None).fit(X, Y[name])
    assert model.n_iter_ == 3
    assert model.stop_reason_ == "max_iter"
    assert not [str(warning.message) for warning in recwarn]


@pytest.mark.parametrize("name", NAMES)
def test_epochs_that_do_not_suffice_are_told(name):
    with pytest.warns(ConvergenceWarning, match=r"Maximum iterations \(4\) reached"):
        make(name).fit(X, Y[name])


@pytest.mark.parametrize("name", MLPS)
def test_iterations_that_do_not_suffice_are_told(name):
    with pytest.warns(ConvergenceWarning, match=r"lbfgs failed to converge after 2 iteration\(s\) \(max_iter=2"):
        make(name, solver="lbfgs", epochs=2).fit(X, Y[name])


@pytest.mark.parametrize("name", NAMES)
def test_verbose_tells_every_epoch(name, capsys):
    make(name, verbose=True).fit(X, Y[name], X_val=X, y_val=Y[name])
    out = capsys.readouterr().out
    assert len(re.findall(r"^(?:Iteration|Epoch) +[1-4][, ]", out, re.MULTILINE)) == 4
    assert len(re.findall(r"(?i)validation score", out)) == 4
    make(name).fit(X, Y[name])
    assert not capsys.readouterr().out


# ---- callbacks ----


def recorder(**options):
    """scikit-learn's protocol came with 1.9."""
    pytest.importorskip("sklearn.callback")
    from ..test_callbacks import Recorder

    return Recorder(**options)


def without(model, *names):
    hidden = ("_skl_callbacks", "_callback_fit_ctx", "_skl_callbacks_to_teardown", *names)
    return {key: pickle.dumps(value) for key, value in vars(model).items() if key not in hidden}


@pytest.mark.parametrize("name", NAMES)
def test_callbacks_hear_of_every_epoch_and_change_nothing(name):
    listener = recorder()
    quiet = rich(name).fit(X, Y[name])
    told = rich(name).set_callbacks(listener).fit(X, Y[name])
    assert_same_bits(told, quiet)
    inner = [(hook, "epoch", k) for k in range(4) for hook in ("begin", "end")]
    assert listener.events == [
        ("setup", "fit", 0),
        ("begin", "fit", 0),
        *inner,
        ("end", "fit", 0),
        ("teardown", "fit", 0),
    ]
    assert listener.max_epochs == 4
    for seen_X, seen_y, _ in listener.seen:
        assert seen_X is X
        assert seen_y is Y[name]
    for k, shown in enumerate(listener.fitted[:4], 1):
        expected = rich(name, epochs=k).fit(X, Y[name])
        np.testing.assert_array_equal(shown.predict(X), expected.predict(X))
        assert shown.loss_curve_ == expected.loss_curve_


@pytest.mark.parametrize("name", NAMES)
def test_a_callback_can_stop_training(name):
    listener = recorder(stop_at=2)  # skips before scikit-learn 1.9
    stopped = rich(name).set_callbacks(listener).fit(X, Y[name])
    assert stopped.stop_reason_ == "early_stopping"
    assert_same_bits(stopped, rich(name, epochs=2).fit(X, Y[name]))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("call", ["fit", "partial_fit"])
@pytest.mark.parametrize("moment", ["setup", "begin", "end", "teardown"])
def test_a_callback_that_fails_leaves_the_model_as_it_was(name, call, moment):
    listener = recorder(fail_at=(moment, 1), error=RuntimeError("a callback's own"))
    model = rich(name).fit(X, Y[name]).set_callbacks(listener)
    before = without(model)
    with pytest.raises(RuntimeError, match="a callback's own"):
        getattr(model, call)(X[::-1], Y[name][::-1])
    assert without(model) == before


@pytest.mark.parametrize("name", NAMES)
def test_partial_fit_is_a_fit_of_one_epoch_to_callbacks(name):
    listener = recorder()
    model = make(name).fit(X, Y[name]).set_callbacks(listener).partial_fit(X, Y[name])
    assert [event[:2] for event in listener.events[1:-1]] == [
        ("begin", "fit"), ("begin", "epoch"), ("end", "epoch"), ("end", "fit")
    ]  # fmt: skip
    assert_same_bits(model, make(name).fit(X, Y[name]).partial_fit(X, Y[name]))


@pytest.mark.parametrize("name", NAMES)
def test_scoring_monitor_scores_every_epoch(name):
    callback = pytest.importorskip("sklearn.callback")
    scoring = "accuracy" if "Classifier" in name else "r2"
    monitor = callback.ScoringMonitor(scoring=scoring)
    rich(name).set_callbacks(monitor).fit(X, Y[name])
    log = [row[scoring] for row in monitor.get_logs().data if row["task_name"] == "epoch"]
    expected = [rich(name, epochs=k).fit(X, Y[name]).score(X, Y[name]) for k in range(1, 5)]
    np.testing.assert_allclose(log, expected, rtol=1e-12)


@pytest.mark.parametrize("name", MLPS)
def test_lbfgs_is_one_epoch_to_callbacks(name):
    listener = recorder()
    model = make(name, solver="lbfgs", epochs=20).set_callbacks(listener).fit(X, Y[name])
    assert [event[:2] for event in listener.events] == [
        ("setup", "fit"), ("begin", "fit"), ("begin", "epoch"), ("end", "epoch"), ("end", "fit"), ("teardown", "fit")
    ]  # fmt: skip
    assert_same_bits(model, make(name, solver="lbfgs", epochs=20).fit(X, Y[name]))


# ---- Ctrl-C and fork ----

INTERRUPT = """
import json, os, signal, threading, time, warnings
import numpy as np
from fusedgrad.layers import Dense
from fusedgrad import neural_network

rng = np.random.default_rng(0)
sent = 0.0

def send():
    global sent
    time.sleep(1.0)  # for an order of many rows to be drawn
    sent = time.monotonic()
    os.kill(os.getpid(), signal.SIGINT)

def interrupted(name, n, **params):
    X = rng.normal(size=(n, 20))
    y = np.digitize(X @ rng.normal(size=20), [-2, 2]) if "Classifier" in name else X[:, 0]
    mlp = "MLP" in name
    size = dict(hidden_layer_sizes=(32,), max_iter=10**8) if mlp else dict(layers=[Dense(32, "relu")], max_epochs=10**8)
    model = getattr(neural_network, name)(**size, tol=0.0, n_iter_no_change=10**8, random_state=0, **params)
    sender = threading.Thread(target=send)
    sender.start()
    raised = None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            model.fit(X, y)
        except KeyboardInterrupt as error:
            raised = str(error)
    took = time.monotonic() - sent
    sender.join()
    return {
        "took": took,
        "raised": raised,
        "warnings": [str(w.message) for w in caught],
        "stop_reason": model.stop_reason_,
        "finite": all(bool(np.isfinite(w).all()) for w in (model.coefs_ if mlp else model.weights_)),
        "n_iter": model.n_iter_,
        "curve": len(model.loss_curve_),
        "score": model.score(X[:2000], y[:2000]),
    }

reports = [interrupted(name, n) for name in NAMES for n in (4_000, 400_000)]
reports.append(interrupted("MLPClassifier", 200_000, solver="lbfgs", max_fun=10**8))
print(json.dumps(reports))
"""


def test_ctrl_c_keeps_the_weights_and_raises():
    result = child.python(f"NAMES = {NAMES!r}\n{INTERRUPT}")
    assert result.returncode == 0, result.stderr
    *reports, of_lbfgs = json.loads(result.stdout)
    assert len(reports) == 8
    for number, report in enumerate([*reports, of_lbfgs]):
        assert report["took"] < 2.0  # it is about 0.1; the rest is for busy machines
        assert f"interrupted after {report['n_iter']} epochs; the weights reached so far are kept" in report["raised"]
        assert not report["warnings"]
        assert report["stop_reason"] == "interrupted"
        assert report["finite"]
        assert report["n_iter"] == report["curve"] >= (number % 2 == 0)
        if number % 2 == 0:  # epochs are short
            assert report["score"] > 0.5


INTERRUPT_PARTIAL_FIT = """
import os, signal, threading, time
import numpy as np
from fusedgrad.layers import Dense
from fusedgrad.neural_network import NeuralRegressor

X = np.random.default_rng(0).normal(size=(400_000, 20))
y = X[:, 0]
model = NeuralRegressor([Dense(32, "relu")], random_state=0).partial_fit(X[:100], y[:100])
before = [w.copy() for w in model.weights_]
threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
calls = 0
try:
    while True:
        kept = model.weights_
        model.partial_fit(X, y)
        calls += 1
except KeyboardInterrupt:
    same = kept is model.weights_ and len(model.loss_curve_) == calls + 1
    print("stopped", same, np.isfinite(model.predict(X[:1])).all())
"""


def test_ctrl_c_in_partial_fit_is_raised_and_leaves_the_model_as_it_was():
    result = child.python(INTERRUPT_PARTIAL_FIT)
    assert result.stdout.strip() == "stopped True True", result.stdout + result.stderr


FORK = """
import multiprocessing, warnings
import numpy as np
from fusedgrad.layers import BatchNorm, Dense
from fusedgrad.neural_network import MLPClassifier, NeuralRegressor

warnings.simplefilter("ignore")  # Python 3.12 warns about threads and fork
X = np.random.default_rng(0).normal(size=(2000, 30))

def fit():
    mlp = MLPClassifier((40,), max_iter=2, random_state=0, n_jobs=2).fit(X, X[:, 0] > 0)
    net = NeuralRegressor([Dense(40), BatchNorm()], max_epochs=2, random_state=0, n_jobs=2).fit(X, X[:, 0])
    return mlp.predict_proba(X).tolist(), net.predict(X).tolist()

context = multiprocessing.get_context("fork")
queue = context.Queue()
here = fit()  # OpenMP's threads are alive now
process = context.Process(target=lambda: queue.put(fit()))
process.start()
there = queue.get(timeout=60)
process.join(60)
print(process.exitcode, there == here, fit() == here)
"""


def test_a_forked_child_trains_with_threads_of_its_own():
    result = child.python(FORK)
    assert result.stdout.strip() == "0 True True", result.stdout + result.stderr


def test_sigmoid_is_another_name_of_logistic():
    assert Dense(3, "sigmoid") == Dense(3, "logistic")
    assert repr(Activation("sigmoid")) == "Activation('logistic')"
    assert "sigmoid" not in activations()


@pytest.mark.parametrize("name", NAMES)
def test_ctrl_c_in_the_last_moment_is_not_lost(name, monkeypatch):
    made = _core.NetworkTraining

    class Interrupted:
        """An engine that hears of the signal when all epochs are done."""

        def __init__(self, **arrays):
            self.engine = made(**arrays)
            self.workspace = self.engine.workspace

        def train(self, *arguments):
            return *self.engine.train(*arguments)[:-1], True

    monkeypatch.setattr(_core, "NetworkTraining", Interrupted)
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 4))
    y = (X[:, 0] > 0).astype(int)
    size = {"max_iter": 1} if "MLP" in name else {"layers": [Dense(4)], "max_epochs": 1}
    kind = getattr(fusedgrad.neural_network, name)
    model = kind(**size)
    with pytest.raises(KeyboardInterrupt, match="interrupted after 1 epochs; the weights reached so far are kept"):
        model.fit(X, y)
    assert model.stop_reason_ == "interrupted"
    with pytest.raises(KeyboardInterrupt):
        kind(**size).partial_fit(X, y, **({"classes": [0, 1]} if "Classifier" in name else {}))
