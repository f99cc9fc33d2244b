"""Parameters, and layers that do not fit, are refused with a sentence; what is not fitted says so."""

import inspect
import re
from itertools import cycle, product

import fusedgrad.neural_network
import numpy as np
import pytest
import scipy.sparse as sp
from fusedgrad import losses, optimizers, schedules
from fusedgrad.layers import Activation, BatchNorm, Dense, Dropout, Flatten, LayerNorm, Residual
from sklearn.exceptions import NotFittedError

from .small import (
    CLASSIFIERS,
    MLPS,
    NAMES,
    NEURALS,
    THREE,
    Case,
    N,
    X,
    Y,
    check,
    fitted,
    make,
    on_all,
    state,
    with_value,
)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


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
    "batch_size": [0, -1, 2.5, "all", None],
    "max_epochs": [0, -3, 2.5, "10", None],
    "standardize": ["yes", None, 1],
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
                for value, method in zip(values, cycle(["fit", "partial_fit"]), strict=False):
                    yield name, parameter, value, method


def documented_interval(estimator, parameter):
    """The interval in the line of the docstring that describes the parameter; None where there is none."""
    for line in inspect.getdoc(getattr(fusedgrad.neural_network, estimator)).splitlines():
        names, _, kind = line.partition(" : ")
        if kind and not line.startswith(" ") and parameter in names.split(", "):
            found = re.search(r"[\[(]-?[0-9]+, (?:[0-9]+|inf)[\])]", kind)
            return found and found.group()
    raise AssertionError(f"{estimator} does not document {parameter}")


@pytest.mark.parametrize(("estimator", "name", "value", "method"), list(parameter_cases()))
def test_parameters_out_of_range(estimator, name, value, method):
    message = f"The '{name}' parameter of {estimator} must be .*Got {re.escape(repr(value))} instead"
    error = check(Case(estimator, message, params={name: value}, method=method))
    assert isinstance(error, ValueError)
    assert isinstance(error, TypeError)
    interval = documented_interval(estimator, name)
    assert interval is None or interval in str(error)


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_has_a_case(name):
    known = {(parameter, method) for estimator, parameter, _, method in parameter_cases() if estimator == name}
    assert known == {*product(make(name).get_params(deep=False), ["fit", "partial_fit"])}


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
