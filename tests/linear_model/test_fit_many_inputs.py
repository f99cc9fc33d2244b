"""What fit_many refuses, says and leaves behind; Ctrl-C."""

import copy
import json
from dataclasses import dataclass, field
from numbers import Integral

import numpy as np
import pytest
import scipy.sparse as sp
import sklearn.linear_model
from fusedgrad import fit_many, losses, optimizers
from fusedgrad.linear_model import SGDClassifier, SGDOneClassSVM, SGDRegressor
from fusedgrad.linear_model._together import Together
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning

from .. import child
from ..covering import pairs
from .sets import (
    GOOD,
    KINDS,
    attributes,
    bits,
    data,
)

pytestmark = pytest.mark.filterwarnings("ignore", category=ConvergenceWarning)


# ---- what is refused ----


X_GOOD, Y_GOOD = data("several")


N = len(Y_GOOD)


@dataclass
class Refused:
    """A call that must fail: three models and good data, of which something is replaced."""

    message: str
    params: dict = field(default_factory=dict)  # of model 1
    arguments: dict = field(default_factory=dict)
    kind: str = "several"
    error: type = ValueError

    def __str__(self):
        return f"{self.kind}-{'-'.join((*self.params, *self.arguments))}-{self.message[:40]}"


def with_value(array, value, place=(50, 2)):
    array = np.array(array, dtype=float)
    array[place[: array.ndim]] = value
    return array


REFUSED = [
    *(
        Refused(f"Input X contains {said}", params, {"X": storage(with_value(X_GOOD, value))}, kind)
        for value, said in ((np.nan, "NaN"), (np.inf, "infinity"))
        for storage in (np.asarray, sp.csr_array)
        for kind in ("several", "regression")
        for params in ({}, {"early_stopping": True}, {"batch_size": 1})
    ),
    Refused("y contains NaN", arguments={"y": with_value(Y_GOOD, np.nan)}),
    Refused("y contains NaN", arguments={"y": with_value(Y_GOOD, np.nan)}, kind="regression"),
    Refused("y contains infinity", arguments={"y": with_value(Y_GOOD, np.inf)}, kind="regression"),
    Refused("Unknown label type: continuous", arguments={"y": X_GOOD[:, 0]}),
    Refused("number of classes has to be greater than one; got 1", arguments={"y": np.zeros(N)}),
    Refused(r"\[120, 119\]", arguments={"y": Y_GOOD[:-1]}),
    Refused("Expected 2D array", arguments={"X": X_GOOD[:, 0]}),
    Refused("1d array", arguments={"y": np.c_[Y_GOOD, Y_GOOD]}),
    Refused("1d array", {"batch_size": 1}, {"y": X_GOOD[:, :2]}, "regression"),
    Refused("^model 1: y must be >= 0 with loss='poisson'", {"loss": "poisson"}, {"y": X_GOOD[:, 0]}, "regression"),
    Refused("^model 1: y must be > 0 with loss='gamma'", {"loss": "gamma"}, {"y": X_GOOD[:, 0]}, "regression"),
    Refused("^model 1: .*'alpha' parameter of SGDClassifier", {"alpha": -1.0}),
    Refused("^model 1: .*'eta0' parameter of SGDClassifier", {"eta0": 0.0}),
    Refused("^model 1: .*needs loss='log_loss'", {"multi_class": "multinomial", "loss": "hinge"}),
    Refused("^model 1: restore_best_weights=True needs a validation set", {"restore_best_weights": True}),
    Refused("^model 1: .*not in class_weight", {"class_weight": {0: 1.0, 7: 2.0}}),
    Refused("^model 1: The test_size = 1", {"early_stopping": True, "validation_fraction": 1e-9}),
    Refused("^model 1: Floating-point", {"loss": "squared_error", "eta0": 1e300}),
    Refused(r"sample_weights.shape == \(5,\), expected \(120,\)", arguments={"sample_weights": np.ones(5)}),
    Refused(r"sample_weights.shape == \(120, 2\), .*\(120, 3\)", arguments={"sample_weights": np.ones((N, 2))}),
    Refused(r"sample_weights.shape == \(3, 120\), .*\(120, 3\)", arguments={"sample_weights": np.ones((3, N))}),
    Refused("(?i)3 ?-?d|dim", arguments={"sample_weights": np.ones((N, 3, 1))}),
    Refused("sample_weights contains NaN", arguments={"sample_weights": with_value(np.ones(N), np.nan)}),
    Refused("sample_weights contains NaN", arguments={"sample_weights": with_value(np.ones((N, 3)), np.nan)}),
    Refused("sample_weights are zero for every sample", arguments={"sample_weights": np.zeros(N)}),
    Refused("^model 1: .*sample_weights.* zero", arguments={"sample_weights": np.ones((N, 3)) * [1, 0, 1]}),
    Refused("^model 1: .*sample_weights.* zero", {"batch_size": 1}, {"sample_weights": np.ones((N, 3)) * [1, 0, 1]}),
]


@pytest.mark.parametrize("fitted_before", [False, True])
@pytest.mark.parametrize("case", REFUSED, ids=str)
def test_bad_input_changes_no_estimator(case, fitted_before):
    y = Y_GOOD if case.kind == "several" else np.abs(X_GOOD[:, 0])
    models = [KINDS[case.kind](**GOOD, n_jobs=1) for _ in range(3)]
    if fitted_before:
        fit_many(models, X_GOOD, Y_GOOD)
    models[1].set_params(**case.params)
    before, attributes = [bits(model) for model in models], [dict(vars(model)) for model in models]
    with pytest.raises(case.error, match=case.message):
        fit_many(models, **{"X": X_GOOD, "y": y, **case.arguments})
    assert [bits(model) for model in models] == before
    for model, had in zip(models, attributes, strict=True):
        assert vars(model).keys() == had.keys()
        assert all(vars(model)[name] is value for name, value in had.items())


@pytest.mark.parametrize("storage", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("rule", optimizers.names())
def test_any_neighbours_notice_x_that_is_not_finite(rule, storage):
    """In a row whose weight is zero too, and whatever becomes of the weights."""
    for loss in losses.names():
        kind = SGDClassifier if loss in SGDClassifier.loss_functions else SGDRegressor
        models = [kind(**{**GOOD, "loss": loss, "optimizer": o, "max_iter": 1}) for o in ("sgd", rule)]
        weights = np.ones((N, 2))
        weights[50] = 0
        with pytest.raises(ValueError, match="Input X contains NaN"):
            fit_many(models, storage(with_value(X_GOOD, np.nan)), Y_GOOD + 1, weights)
        assert not any(hasattr(model, "coef_") for model in models)


@pytest.mark.parametrize(
    "stranger", [None, "hinge", SGDClassifier, SGDOneClassSVM(), sklearn.linear_model.SGDClassifier()], ids=repr
)
def test_what_is_no_linear_estimator_is_named(stranger):
    good = SGDClassifier(**GOOD)
    with pytest.raises(TypeError, match="^model 1 is .*Only SGDClassifier and SGDRegressor"):
        fit_many([good, stranger], X_GOOD, Y_GOOD)
    assert not hasattr(good, "coef_")


def test_lists_that_make_no_sense():
    model, other = SGDClassifier(**GOOD), SGDClassifier(**GOOD)
    with pytest.raises(ValueError, match="no estimators.*empty"):
        fit_many([], X_GOOD, Y_GOOD)
    with pytest.raises(TypeError, match="(?s)^model 2 is SGDRegressor.*model 0 is SGDClassifier"):
        fit_many([model, other, SGDRegressor(**GOOD)], X_GOOD, Y_GOOD)
    with pytest.raises(TypeError, match="(?s)^model 1 is SGDClassifier.*model 0 is SGDRegressor"):
        fit_many([SGDRegressor(**GOOD), model], X_GOOD, Y_GOOD)
    with pytest.raises(ValueError, match=r"twice.*sklearn\.base\.clone"):
        fit_many([model, other, model], X_GOOD, Y_GOOD)
    with pytest.raises(TypeError):
        fit_many(model, X_GOOD, Y_GOOD)
    assert not hasattr(model, "coef_")
    assert not hasattr(other, "coef_")


def test_a_warm_start_from_other_data_is_refused_by_name():
    models = fit_many([SGDClassifier(**GOOD, warm_start=k == 1) for k in range(3)], X_GOOD, Y_GOOD)
    before = [bits(model) for model in models]
    with pytest.raises(ValueError, match=r"^model 1: .*coef_init.*\(3, 11\).*\(3, 5\)"):
        fit_many(models, X_GOOD[:, :5], Y_GOOD)
    assert [bits(model) for model in models] == before


# ---- Ctrl-C ----


INTERRUPT = """
import json, os, signal, sys, threading, time, warnings
import numpy as np
from fusedgrad import SGDClassifier, fit_many

rng = np.random.default_rng(0)
X = rng.normal(size=(20_000, 50))
y = np.digitize(X @ rng.normal(size=50), [-5, 5])
for batch_size in (1024, 1):
    params = dict(max_iter=3, tol=None, random_state=0, learning_rate="constant", eta0=1e-4, batch_size=batch_size)
    models = [SGDClassifier(alpha=alpha, **params) for alpha in (1e-4, 1e-3, 1e-2)]
    models[1].fit(X, y)
    before = [dict(vars(model)) for model in models]
    coef = models[1].coef_.copy()
    for model, had in zip(models, before):
        model.max_iter = had["max_iter"] = 10**8

    sender = ctrl_c_in(0.5)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            fit_many(models, X, y)
            outcome = "returned"
        except KeyboardInterrupt:
            outcome = "interrupted"
    print(json.dumps({
        "batch_size": batch_size,
        "outcome": outcome,
        "took": time.monotonic() - sent,
        "warnings": [str(w.message) for w in caught],
        "unchanged": all(
            vars(model).keys() == had.keys() and all(vars(model)[name] is had[name] for name in had)
            for model, had in zip(models, before)
        ) and np.array_equal(models[1].coef_, coef),
    }))
    sender.join()
"""


def test_ctrl_c_ends_the_call_and_changes_no_estimator():
    result = child.forked(INTERRUPT)
    assert result.returncode == 0, result.stderr
    for batch_size, line in zip((1024, 1), result.stdout.splitlines(), strict=True):
        report = json.loads(line)
        assert report.pop("took") < 1.0  # it is about 0.05; the rest is for busy machines
        expected = {"batch_size": batch_size, "outcome": "interrupted", "warnings": [], "unchanged": True}
        assert report == expected


# ---- what it says ----


def test_lines_of_verbose_name_the_model(capsys):
    X, y = data()
    fit_many([SGDClassifier(**{**GOOD, "max_iter": epochs}, verbose=1) for epochs in (2, 1, 3)], X, y)
    lines = capsys.readouterr().out.splitlines()
    told = [line.split("  objective")[0].split() for line in lines]
    assert [(words[0], words[1], words[-1]) for words in told] == [
        ("model", f"{k}:", str(epoch)) for epoch, left in ((1, (0, 1, 2)), (2, (0, 2)), (3, (2,))) for k in left
    ]


def test_only_those_models_speak_that_are_asked_to(capsys):
    X, y = data()
    fit_many([SGDClassifier(**GOOD, verbose=k == 1) for k in range(3)], X, y)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == GOOD["max_iter"]
    assert all(line.startswith("model 1: Epoch") for line in lines)
    fit_many([SGDClassifier(**GOOD) for k in range(3)], X, y)
    assert capsys.readouterr().out == ""


def test_names_and_verbose_of_whoever_asks_for_the_models(capsys):
    X, y = data()
    names = ["alpha=0.1, fold 2", "alpha=0.2, fold 2"]
    models = [SGDClassifier(**GOOD, verbose=k) for k in (0, 1)]
    Together(models, X, y, names=names, verbose=0).run()
    assert capsys.readouterr().out == ""
    Together(models, X, y, names=names, verbose=1).run(1)
    lines = capsys.readouterr().out.splitlines()
    assert [line.startswith(f"{name}: Epoch") for line, name in zip(lines, names, strict=True)] == [True, True]
    with pytest.raises(ValueError, match=r"^alpha=0.2, fold 2: .*'alpha'"):
        Together([models[0], SGDClassifier(**GOOD, alpha=-1)], X, y, names=names)


def test_memory_counts_every_model():
    X, y = data("several")
    few, many = (
        Together([SGDClassifier(**GOOD, optimizer="adam") for _ in range(count)], X, y).memory for count in (2, 6)
    )
    assert few.keys() == {"weights", "optimizer state", "batch"}
    assert all(isinstance(size, Integral) and size > 0 for size in few.values())
    assert many["weights"] == 3 * few["weights"] >= 6 * 3 * 12 * 8
    assert many["optimizer state"] == 3 * few["optimizer state"] >= 2 * many["weights"]
    assert few["batch"] < many["batch"] < 3 * few["batch"]


# ---- every attribute ----


SETS = {
    "losses": [{"loss": loss, "batch_size": 16} for loss in ("squared_error", "huber", "absolute_error")],
    "sizes": [{"batch_size": size} for size in (1, 16, 1, "full", 16)],
    "rules": [{"batch_size": 16, "optimizer": rule, "average": rule != "asgd"} for rule in ("sgd", "adam", "asgd")],
    "stopping": [
        {"batch_size": size, "early_stopping": True, "restore_best_weights": size == 16, "tol": 1e-3, "max_iter": 9}
        for size in (1, 16, 16)
    ],
    "penalties": [{"batch_size": 16, "penalty": penalty, "alpha": 0.1} for penalty in ("l1", "elasticnet", None)],
}


@pytest.mark.parametrize(
    ("params", "outputs", "container", "weights"),
    pairs(SETS, [1, 2, 3, 5], ["array", "frame", "csr"], ["no", "the same", "of each"]),
)
def test_every_attribute_is_that_of_a_fit(params, outputs, container, weights):
    pandas = pytest.importorskip("pandas")
    X = np.random.default_rng(1).normal(size=(70, 5))
    y = X @ np.random.default_rng(2).normal(size=(5, outputs)) + 1
    params = [{"random_state": 0, "max_iter": 3, "tol": None, "n_jobs": 1, **each} for each in SETS[params]]
    if outputs == 1:
        y = y[:, 0]
    else:
        params = [each for each in params if each["batch_size"] != 1]
    weight = {"no": None, "the same": np.abs(X[:, 0]), "of each": np.abs(X[:, np.arange(len(params)) % 5])}[weights]
    X = {"array": np.asarray, "frame": lambda X: pandas.DataFrame(X, columns=list("abcde")), "csr": sp.csr_array}[
        container
    ](X)
    together = [SGDRegressor(**each, warm_start=k % 2 == 0) for k, each in enumerate(params)]
    for _ in range(2):  # the second time some start warm
        alone = copy.deepcopy(together)
        fit_many(together, X, y, weight)
        for k, model in enumerate(alone):
            model.fit(X, y, sample_weight=weight if weight is None or weight.ndim == 1 else weight[:, k])
        assert [attributes(model) for model in together] == [attributes(model) for model in alone]


@pytest.mark.parametrize("frame", [False, True])
@pytest.mark.parametrize("classes", [2, 3, 4])
def test_every_attribute_is_that_of_a_fit_of_classifiers(classes, frame):
    pandas = pytest.importorskip("pandas")
    X = np.random.default_rng(1).normal(size=(90, 5))
    y = np.array(list("abcd"))[(X @ np.random.default_rng(2).normal(size=(5, classes))).argmax(axis=1)]
    X = pandas.DataFrame(X, columns=list("vwxyz")) if frame else X
    weight = np.random.default_rng(3).uniform(size=90)
    shared = {"random_state": 0, "max_iter": 3, "tol": None, "n_jobs": 1}
    params = [
        {"batch_size": 1},
        {"batch_size": 16, "class_weight": "balanced"},
        {"batch_size": 16, "loss": "log_loss", "multi_class": "multinomial"},
        {"batch_size": 16, "loss": "modified_huber", "early_stopping": True},
        {"batch_size": 1, "loss": "log_loss", "class_weight": "balanced", "average": True},
    ]
    together = [SGDClassifier(**shared, **each) for each in params]
    alone = [clone(model).fit(X, y, sample_weight=weight) for model in together]
    fit_many(together, X, y, weight)
    assert [attributes(model) for model in together] == [attributes(model) for model in alone]


@pytest.mark.parametrize("batch_sizes", [(1, 16), (16, 16), (16, 1)])
def test_a_column_of_targets_is_one_target_for_every_model(batch_sizes):
    X, y = data("regression")
    models = [SGDRegressor(batch_size=size, max_iter=2, tol=None, random_state=0) for size in batch_sizes]
    alone = [clone(model).fit(X, y) for model in models]
    with pytest.warns(DataConversionWarning, match="column-vector"):
        fit_many(models, X, y[:, None])
    assert [attributes(model) for model in models] == [attributes(model) for model in alone]


def test_a_model_whose_held_out_rows_weigh_nothing_is_named():
    X, y = data()
    models = [SGDClassifier(**{**GOOD, "early_stopping": True}) for _ in range(2)]
    held = models[0]._held_out(y, None)
    weights = np.ones((len(X), 2))
    weights[held, 1] = 0  # the first model's are fine, and the split is found once for both
    before = [attributes(model) for model in models]
    with pytest.raises(ValueError, match="^model 1: The sample weights for validation set are all zero"):
        fit_many(models, X, y, weights)
    weights[:, 1] = held
    with pytest.raises(ValueError, match="^model 1: The sample weights for training set are all zero"):
        fit_many(models, X, y, weights)
    assert [attributes(model) for model in models] == before
