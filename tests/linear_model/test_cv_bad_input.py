"""What a search over a grid refuses, with which words, and that a refused call leaves no trace."""

import json
import pickle
from dataclasses import dataclass, field

import numpy as np
import pytest
import scipy.sparse as sp
from fusedgrad.linear_model import SGDClassifierCV, SGDRegressorCV
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GroupKFold, KFold

from .. import child

pytestmark = pytest.mark.filterwarnings("ignore", category=ConvergenceWarning)

N, D = 30, 3
X = np.random.default_rng(0).normal(size=(N, D))
TWO = (X[:, 0] > 0).astype(int)
THREE = np.array(["a", "b", "c"])[np.arange(N) % 3]
KINDS = {"classifier": SGDClassifierCV, "regressor": SGDRegressorCV}
GOOD = {
    "alphas": [1e-3, 1e-1],
    "cv": 3,
    "optimizer": "sgd",
    "batch_size": 8,
    "max_iter": 2,
    "tol": None,
    "random_state": 0,
    "learning_rate": "constant",
}


@dataclass
class Case:
    """A `fit` that must fail: the good call, in which some parameters and arguments are replaced."""

    message: str
    params: dict = field(default_factory=dict)
    arguments: dict = field(default_factory=dict)
    kind: str = "classifier"
    error: type = ValueError

    def fit(self, model):
        y = TWO if self.kind == "classifier" else X[:, 0]
        return model.set_params(**self.params).fit(**{"X": X, "y": y, **self.arguments})

    def __str__(self):
        return f"{self.kind}-{'-'.join((*self.params, *self.arguments))}-{self.message[:40]}"


def state(model):
    """Every attribute, bit by bit; parameters may be functions, which are the same objects."""
    fitted = {name: value for name, value in vars(model).items() if name.endswith("_")}
    return {name: pickle.dumps(value) for name, value in fitted.items()}


def check(case):
    """The error of a fresh model and of a fitted one, which stays as it was."""
    for halving in (False, True):
        fresh = KINDS[case.kind](**GOOD, halving=halving)
        with pytest.raises(case.error, match=case.message):
            case.fit(fresh)
        assert {*vars(fresh)} == {*fresh.get_params()}

        model = KINDS[case.kind](**GOOD)
        model.fit(X, THREE if case.kind == "classifier" else X[:, 0])
        model.set_params(halving=halving, **case.params)
        before, objects = state(model), dict(vars(model))
        with pytest.raises(case.error, match=case.message):
            case.fit(model)
        assert state(model) == before
        assert all(vars(model)[name] is value for name, value in objects.items())
        assert model.predict(X).shape == (N,)


# ---- parameters ----

VALUES = {
    "alphas": [0, -3, 2.5, None, "10", True, [], [0.1, 0.0], [0.1, -1], [np.nan], [np.inf], [[0.1]], ["a"], {0.1}],
    "eta0s": [3, 0.1, [], np.array([]), [0.0], [-0.1, 1], [0.1, np.nan], [None], "0.1"],
    "l1_ratios": [3, 0.5, [], [-0.1], [0.5, 1.1], [np.nan], "half"],
    "losses": ["log_loss", [], ["hing"], [None], ["log_loss", 3], {"hinge"}],
    "scoring": ["acc", 3, ["accuracy"], {"accuracy": "accuracy"}],
    "refit": ["yes", None, 1],
    "halving": ["yes", None, 1],
    "error_score": ["nan", None, [0]],
    "loss": ["hing", None],
    "penalty": ["l3"],
    "max_iter": [0, 2.5, None],
    "tol": [-1.0, np.nan],
    "batch_size": [0, "some", None],
    "optimizer": ["sdg", None],
    "learning_rate": ["fast", None],
    "random_state": [-1, "seed"],
    "validation_fraction": [0.0],
    "verbose": [-1, "loud"],
}
PARAMETERS = [(name, value) for name, values in VALUES.items() for value in values]


@pytest.mark.parametrize(("name", "value"), PARAMETERS, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_parameters_out_of_range(kind, name, value):
    message = f"The '{name}' parameter of {KINDS[kind].__name__} must be "
    for model in (KINDS[kind](**GOOD), KINDS[kind](**GOOD).fit(X, TWO)):
        before = dict(vars(model))
        with pytest.raises(ValueError, match=message) as caught:
            model.set_params(**{name: value}).fit(X, TWO)
        assert isinstance(caught.value, TypeError)  # as scikit-learn's InvalidParameterError
        assert repr(value) in str(caught.value)
        assert {n: v for n, v in vars(model).items() if n != name} == {n: v for n, v in before.items() if n != name}


def test_what_is_allowed_is_allowed():
    for params in (
        {"alphas": np.array([0.1, 0.2], dtype=np.float32)},
        {"alphas": (1, 2)},
        {"alphas": 1},
        {"alphas": np.int64(2)},
        {"error_score": 3},
        {"error_score": np.nan},
        {"losses": np.array(["hinge", "log_loss"])},
        {"eta0s": [0.1], "l1_ratios": [1]},
    ):
        KINDS["classifier"](**{**GOOD, **params}).fit(X, TWO)


COMBINATIONS = [
    Case(
        r"cell 1 .*loss='hinge'.*multi_class='multinomial'.*needs loss='log_loss'",
        {"losses": ["log_loss", "hinge"], "multi_class": "multinomial"},
        {"y": THREE},
    ),
    Case(r"cell 0 .*'pa1'.*batch_size=1", {"learning_rate": "pa1"}),
    Case(
        r"cell 1 .*probability estimates are not.*'hinge'", {"scoring": "neg_log_loss", "losses": ["log_loss", "hinge"]}
    ),
    Case("n_jobs == 0 has no meaning", {"n_jobs": 0}),
    Case("restore_best_weights=True needs", {"restore_best_weights": True}),
]


@pytest.mark.parametrize("case", COMBINATIONS, ids=str)
def test_parameters_that_do_not_go_together(case):
    check(case)


# ---- data ----


def with_value(array, value):
    array = np.array(array, dtype=float)
    array.flat[7] = value
    return array


DATA = [
    Case("Input X contains NaN", arguments={"X": with_value(X, np.nan)}),
    Case("Input X contains infinity", arguments={"X": sp.csr_array(with_value(X, np.inf))}),
    Case("Input y contains NaN", arguments={"y": with_value(X[:, 0], np.nan)}, kind="regressor"),
    Case("Expected 2D array", arguments={"X": X[:, 0]}),
    Case("inconsistent numbers of samples", arguments={"y": TWO[:-1]}),
    Case("Unknown label type: continuous", arguments={"y": X[:, 0]}),
    Case("number of classes has to be greater than one; got 1", arguments={"y": np.zeros(N)}),
    Case("y should be a 1d array", arguments={"y": np.c_[TWO, TWO]}),
    Case("y should be a 1d array", {"batch_size": 1}, {"y": X[:, :2]}, kind="regressor"),
    Case(r"sample_weight.shape == \(3,\), expected \(30,\)", arguments={"sample_weight": np.ones(3)}),
    Case("sample_weight contains NaN", arguments={"sample_weight": with_value(np.ones(N), np.nan)}),
    Case("sample_weight is zero for every sample", arguments={"sample_weight": np.zeros(N)}),
    Case(
        "sample_weight is zero for every training row of fold 1",
        {"cv": [(np.arange(20), np.arange(20, N)), (np.arange(10), np.arange(10, N))]},
        {"sample_weight": (np.arange(N) >= 10).astype(float)},
    ),
    Case("y must be >= 0 with loss='poisson'", {"loss": "poisson"}, kind="regressor"),
]


@pytest.mark.parametrize("case", DATA, ids=str)
def test_data(case):
    check(case)


# ---- folds ----

EVERYTHING = np.arange(N)
ONE_CLASS = np.flatnonzero(TWO)
FOLDS = [
    Case("n_splits=1", {"cv": 1}),
    Case("n_splits=40 .*n_samples=30|n_splits=40 cannot be greater", {"cv": 40}),
    Case("Expected .*cv.* as an integer", {"cv": "five"}),
    Case("Expected .*cv.* as an integer", {"cv": 2.5}),
    Case("cv has no folds", {"cv": []}),
    Case("The 'groups' parameter should not be None", {"cv": GroupKFold(3)}),
    Case("inconsistent numbers of samples", {"cv": GroupKFold(3)}, {"groups": np.arange(4)}),
    Case("fold 1 must be a pair", {"cv": [(EVERYTHING, EVERYTHING), (EVERYTHING,) * 3]}),
    Case("fold 0 must be a pair", {"cv": [5, 6]}),
    Case("the training rows of fold 1 must not be empty", {"cv": [(EVERYTHING, EVERYTHING), ([], EVERYTHING)]}),
    Case("the test rows of fold 0 must not be empty", {"cv": [(EVERYTHING, np.zeros(N, dtype=bool))]}),
    Case(r"the test rows of fold 0 must be in \[0, 30\); got 29 to 30", {"cv": [(EVERYTHING, [29, 30])]}),
    Case(r"the training rows of fold 0 must be in \[0, 30\); got -1", {"cv": [([-1, 0, 1, 2], EVERYTHING)]}),
    Case("the training rows of fold 0 must be indices.*float64", {"cv": [(EVERYTHING / 2, EVERYTHING)]}),
    Case("the training rows of fold 0 must be indices.*2 dim", {"cv": [(EVERYTHING.reshape(2, -1), EVERYTHING)]}),
    Case("the test rows of fold 0 must be indices.*bool", {"cv": [(EVERYTHING, np.ones(4, dtype=bool))]}),
    Case(
        "fold 2 has only one class in its training rows .*StratifiedKFold",
        {"cv": [(EVERYTHING, EVERYTHING)] * 2 + [(ONE_CLASS, EVERYTHING)]},
    ),
    Case(
        "fold 1 has no row of class .*'b'.* among its training rows.*StratifiedKFold",
        {"cv": [(EVERYTHING, EVERYTHING), (np.flatnonzero(THREE != "b"), EVERYTHING)]},
        {"y": THREE},
    ),
    Case("fold 0 has only one class in its training rows", {"cv": KFold(2)}, {"y": (EVERYTHING >= 15).astype(int)}),
]


@pytest.mark.parametrize("case", FOLDS, ids=str)
def test_folds(case):
    check(case)


# ---- scorers ----


def failing(estimator, X, y):
    if estimator.alpha == 0.1:
        raise KeyError("no such thing")
    return 1.0


def returning(value):
    return lambda estimator, X, y: value


SCORERS = [
    Case(r"scorer failed for cell 1 \(alpha=0.1\), fold 0: KeyError: 'no such thing'", {"scoring": failing}),
    Case(r"must return a number; for cell 0 .*fold 0 it returned 'good'", {"scoring": returning("good")}),
    Case("must return a number; .*returned None", {"scoring": returning(None)}),
    Case("must return a number; .*array", {"scoring": returning(np.ones(2))}),
    Case("must return a number; .*dict", {"scoring": returning({"a": 1.0})}),
    Case("must return a number; .*complex", {"scoring": returning(1j)}),
    Case("every cell has a fold without a score and the scorer returned NaN", {"scoring": returning(np.nan)}),
    Case("scorer failed for cell 0 .*multi_class", {"scoring": "roc_auc"}, {"y": THREE}),
    Case("scorer failed for cell 0 .*", {"scoring": "neg_mean_squared_error"}, {"y": THREE}),
]


@pytest.mark.parametrize("case", SCORERS, ids=str)
def test_scorers(case):
    check(case)


def test_an_error_of_a_scorer_is_the_cause():
    with pytest.raises(ValueError, match="cell 1") as caught:
        SGDClassifierCV(**{**GOOD, "scoring": failing}).fit(X, TWO)
    assert isinstance(caught.value.__cause__, KeyError)


def test_an_interrupted_search_leaves_no_trace():
    def interrupted(estimator, X, y):
        raise KeyboardInterrupt

    model = SGDClassifierCV(**GOOD).fit(X, TWO)
    model.set_params(scoring=interrupted)
    before = dict(vars(model))
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, THREE)
    assert vars(model) == before


INTERRUPT = """
import json, os, signal, sys, threading, time
import numpy as np
from fusedgrad import SGDClassifierCV

rng = np.random.default_rng(0)
X = rng.normal(size=(20_000, 50))
y = X @ rng.normal(size=50) > 0
for params in json.loads(sys.argv[1]):
    grid = SGDClassifierCV(
        "log_loss", alphas=[1e-4, 1e-3], max_iter=10**8, tol=None, learning_rate="constant", eta0s=[1e-4], **params
    )
    before = dict(vars(grid))
    sender = ctrl_c_in(0.7)
    try:
        grid.fit(X, y)
        outcome = "returned"
    except KeyboardInterrupt:
        outcome = "interrupted"
    took = time.monotonic() - sent
    print(json.dumps({"params": params, "outcome": outcome, "took": took, "unchanged": vars(grid) == before}))
    sender.join()
"""


def test_ctrl_c_ends_the_search_and_leaves_no_trace():
    searches = [
        {"optimizer": "sgd", "batch_size": 1024, "n_jobs": 1},
        {"optimizer": "sgd", "batch_size": 1024, "n_jobs": 2},
        {"optimizer": "sgd", "batch_size": 64, "n_jobs": 2, "halving": True},
        {"optimizer": "sgd", "batch_size": 1, "n_jobs": 2},
        {"optimizer": "auto", "batch_size": 1, "n_jobs": 2},
        {"optimizer": "auto", "batch_size": 1, "n_jobs": 2, "halving": True},
    ]
    result = child.forked(INTERRUPT, json.dumps(searches))
    assert result.returncode == 0, result.stderr
    reports = [json.loads(line) for line in result.stdout.splitlines()]
    assert max(report.pop("took") for report in reports) < 2.0  # it is about 0.1; the rest is for busy machines
    assert reports == [{"params": params, "outcome": "interrupted", "unchanged": True} for params in searches]


# ---- weights that overflow ----


def overflow(message, **params):
    return Case(message, {"alphas": [1e-3], **params}, {"y": 1e3 * X[:, 0]}, "regressor")


OVERFLOWS = [
    overflow("All 3 fits failed. The first, cell 0 .*fold 0: .*overflow", eta0s=[1e308]),
    overflow(r"cell 1 \(eta0=1e\+308\), fold 0: .*overflow", eta0s=[0.01, 1e308], error_score="raise"),
    overflow("is the best, but overflowed in a fold.*refit=True", eta0s=[0.01, 1e308], error_score=9, refit=False),
]


@pytest.mark.parametrize("case", OVERFLOWS, ids=str)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.FitFailedWarning")
def test_overflow(case):
    check(case)


# ---- after the fit ----


@pytest.mark.parametrize("kind", KINDS.values())
def test_an_estimator_must_be_fitted_first(kind):
    model = kind("log_loss" if kind is SGDClassifierCV else "huber")
    for method in ("predict", "decision_function", "predict_proba", "predict_log_proba"):
        if hasattr(model, method):
            with pytest.raises(NotFittedError):
                getattr(model, method)(X)
    with pytest.raises(NotFittedError):
        model.score(X, TWO)


@pytest.mark.parametrize("kind", KINDS.values())
@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (X[:, :2], "X has 2 features, but .* is expecting 3 features"),
        (sp.csr_array(X[:, :2]), "X has 2 features, but .* is expecting 3 features"),
        (with_value(X, np.nan), "X contains NaN"),
        (X[0], "Expected 2D array"),
    ],
)
def test_predicting_from_bad_rows(kind, bad, message):
    for refit in (True, False):
        model = kind(**GOOD, refit=refit).fit(X, TWO)
        with pytest.raises(ValueError, match=message):
            model.predict(bad)
