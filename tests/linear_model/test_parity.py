"""The same results as scikit-learn, to rounding, wherever scikit-learn 1.9 is right."""

import copy

import fusedgrad.linear_model
import numpy as np
import pytest
import scipy.sparse as sp
import sklearn
import sklearn.linear_model
from fusedgrad import _isa
from hypothesis import HealthCheck, given, settings
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import compute_class_weight
from sklearn.utils.fixes import parse_version

from .. import child
from . import strategies

if parse_version(sklearn.__version__) < parse_version("1.9"):
    pytest.skip("the algorithm is that of scikit-learn 1.9", allow_module_level=True)

pytestmark = pytest.mark.filterwarnings("ignore", category=ConvergenceWarning)

NAMES = {
    "binary": "SGDClassifier",
    "multiclass": "SGDClassifier",
    "regression": "SGDRegressor",
    "one_class": "SGDOneClassSVM",
}
RTOL = {np.float64: 1e-6, np.float32: 1e-3}
repeatably = settings(
    max_examples=100, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)


def fit_both(case):
    models = []
    for library in (sklearn.linear_model, fusedgrad.linear_model):
        model = getattr(library, NAMES[case.kind])(**case.params)
        if library is sklearn.linear_model and case.params.get("class_weight") == "balanced":
            # it does not count sample weights there
            labels = np.unique(case.y)
            with np.errstate(divide="ignore"):  # of a class without weight
                weights = compute_class_weight("balanced", classes=labels, y=case.y, **case.fit_params)
            weights = np.where(np.isfinite(weights), weights, 0.0)
            model.set_params(class_weight=dict(zip(labels.tolist(), weights.tolist(), strict=True)))
        # scikit-learn trains in the array that is given as coef_init
        models.append(model.fit(case.X, case.y, **copy.deepcopy(case.fit_params)))
    return models


def assert_equal_models(theirs, ours, rtol):
    intercept = "offset_" if hasattr(theirs, "offset_") else "intercept_"
    assert ours.n_iter_ == theirs.n_iter_
    assert ours.t_ == theirs.t_
    assert ours.coef_.shape == theirs.coef_.shape
    assert ours.coef_.dtype == theirs.coef_.dtype
    assert getattr(ours, intercept).shape == getattr(theirs, intercept).shape
    # one scale for the coefficients and the intercept: they enter the same sum; a single step is larger than 1e-6
    scale = max(np.abs(theirs.coef_).max(), np.abs(getattr(theirs, intercept)).max(), 1e-6)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=0, atol=rtol * scale)
    np.testing.assert_allclose(getattr(ours, intercept), getattr(theirs, intercept), rtol=0, atol=rtol * scale)


@pytest.mark.parametrize("kind", strategies.KINDS)
def test_fit(kind):
    @repeatably
    @given(strategies.cases(kinds=(kind,)))
    def check(case):
        theirs, ours = fit_both(case)
        assert_equal_models(theirs, ours, RTOL[case.X.dtype.type])

    check()


def test_the_strategy_reaches_every_option():
    seen = set()

    @settings(repeatably, max_examples=600)
    @given(strategies.cases())
    def collect(case):
        params = case.params
        for name in ("loss", "penalty", "learning_rate", "shuffle", "fit_intercept", "tol", "class_weight"):
            value = params.get(name, "absent")
            seen.add((name, "dict" if isinstance(value, dict) else value))
        seen.add(("average", params["average"] if isinstance(params["average"], bool) else "int"))
        seen.add(("kind", case.kind))
        seen.add(("dtype", case.X.dtype.name))
        seen.add(("sparse", sp.issparse(case.X)))
        seen.add(("weighted", "sample_weight" in case.fit_params))
        seen.add(("tail", case.X.shape[1] % 8))
        seen.add(("tiny", case.X.shape[0] < 5))

    collect()
    wanted = {
        "loss": (*strategies.CLASSIFICATION_LOSSES, *strategies.REGRESSION_LOSSES),
        "penalty": strategies.PENALTIES,
        "learning_rate": (*strategies.RATES, *strategies.PASSIVE),
        "shuffle": (False, True),
        "fit_intercept": (False, True),
        "tol": (None, 1e-3),
        "class_weight": (None, "balanced", "dict"),
        "average": (False, True, "int"),
        "kind": strategies.KINDS,
        "dtype": ("float32", "float64"),
        "sparse": (False, True),
        "weighted": (False, True),
        "tail": range(8),
        "tiny": (False, True),
    }
    assert {(name, value) for name, values in wanted.items() for value in values} <= seen


def test_the_strategy_knows_every_loss_and_schedule():
    # a loss that is added to an estimator must be added to the strategy too
    for name in ("SGDClassifier", "SGDRegressor"):
        theirs = getattr(sklearn.linear_model, name).loss_functions
        known = {*strategies.REGRESSION_LOSSES, *(strategies.CLASSIFICATION_LOSSES if "Cl" in name else ())}
        assert set(theirs) == known
        assert set(theirs) <= set(getattr(fusedgrad.linear_model, name).loss_functions)


METHODS = ("predict", "decision_function", "score_samples", "predict_proba", "predict_log_proba")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("storage", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("loss", ["log_loss", "modified_huber", "hinge"])
@pytest.mark.parametrize("kind", strategies.KINDS)
def test_predictions(kind, loss, storage, dtype):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 6)).astype(dtype) / 3
    y = {"binary": np.array(["a", "b"])[(X[:, 0] > 0) * 1], "multiclass": np.arange(80) % 4}.get(kind, X[:, 0])
    params = {"random_state": 0, "max_iter": 5, "tol": None, "learning_rate": "constant", "eta0": 0.1}
    if kind in ("binary", "multiclass"):
        params["loss"] = loss
    case = strategies.Case(kind, params, storage(X), y)
    theirs, ours = fit_both(case)
    rows = storage(np.vstack([X, 100 * X, 0 * X]))  # some far out, where probabilities are 0 and 1
    for method in METHODS:
        assert hasattr(ours, method) == hasattr(theirs, method)
        if hasattr(theirs, method):
            with np.errstate(divide="ignore"):
                expected, result = getattr(theirs, method)(rows), getattr(ours, method)(rows)
            if "log" in method:  # scikit-learn's float32 is -inf sooner than our float64
                expected, result = np.exp(expected), np.exp(result)
            assert result.shape == expected.shape
            assert result.dtype.kind == expected.dtype.kind
            if method == "predict" and kind != "regression":
                # scores within rounding of a boundary could fall on either side of it; here there are none
                np.testing.assert_array_equal(result, expected)
            else:
                rtol = 10 * RTOL[dtype]
                np.testing.assert_allclose(result, expected, rtol=rtol, atol=rtol, err_msg=method)


@pytest.mark.parametrize("average", [False, True])
@pytest.mark.parametrize("kind", strategies.KINDS)
def test_fitted_attributes(kind, average):
    X = np.random.default_rng(0).normal(size=(30, 3))
    y = {"binary": X[:, 0] > 0, "multiclass": np.arange(30) % 3}.get(kind, X[:, 0])
    theirs, ours = fit_both(strategies.Case(kind, {"average": average, "random_state": 0}, X, y))
    public = {name for name in vars(theirs) if name.endswith("_") and name[0] != "_"}
    for name in public | {name for name in vars(theirs) if name.startswith(("_standard_", "_average_"))}:
        expected, value = getattr(theirs, name), getattr(ours, name)
        if name == "n_iter_":
            assert isinstance(value, int)  # scikit-learn has a float where there are several classes
        elif isinstance(expected, np.ndarray):
            assert value.dtype == expected.dtype, name
        else:
            assert type(value) is type(expected), name


@pytest.mark.parametrize("kind", strategies.KINDS)
def test_a_generator_as_random_state_is_drawn_from_in_the_same_order(kind):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 5))
    y = {"binary": X[:, 0] > 0, "multiclass": np.arange(60) % 3, "regression": X[:, 0], "one_class": None}[kind]
    after = []
    for library in (sklearn.linear_model, fusedgrad.linear_model):
        state = np.random.RandomState(5)
        model = getattr(library, NAMES[kind])(max_iter=3, tol=None, random_state=state)
        if kind != "one_class":
            model.set_params(early_stopping=True, alpha=0.1, n_iter_no_change=99)
        model.fit(X, y)
        after.append((model, state.randint(1 << 30)))
    (theirs, their_draw), (ours, our_draw) = after
    assert_equal_models(theirs, ours, 1e-6)
    assert our_draw == their_draw


def sequence(kind, average):
    """Models of both libraries after two warm-started fits and two partial fits on other rows."""
    rng = np.random.default_rng(1)
    X = rng.normal(size=(60, 9)) / 3
    y = {"binary": X[:, 0] > 0, "multiclass": np.arange(60) % 3}.get(kind, X[:, 0])
    for library in (sklearn.linear_model, fusedgrad.linear_model):
        model = getattr(library, NAMES[kind])(
            max_iter=3, tol=None, random_state=4, learning_rate="invscaling", average=average, warm_start=not average
        )
        model.fit(X, y).fit(X[:40], y[:40])
        yield model.partial_fit(X[:20], y[:20]).partial_fit(X[10:], y[10:])


@pytest.mark.parametrize("kind", strategies.KINDS)
def test_partial_fit_and_warm_start(kind):
    assert_equal_models(*sequence(kind, average=False), 1e-6)


@pytest.mark.parametrize("kind", ["regression", "one_class"])
def test_partial_fit_with_an_average(kind):
    # scikit-learn restarts or mixes up the intercepts of averaged classifiers, see test_inputs.py
    assert_equal_models(*sequence(kind, average=7), 1e-6)


def test_an_intercept_goes_back_to_zero_exactly():
    X, y = sp.csr_array((3, 1)), np.array([0, 1, 0])
    params = {"loss": "perceptron", "shuffle": False, "max_iter": 1, "tol": None, "learning_rate": "constant"}
    case = strategies.Case("binary", {**params, "eta0": 0.005}, X, y)
    assert_equal_models(*fit_both(case), 1e-6)


@pytest.mark.parametrize("average", [False, True])
def test_coef_init(average):
    rng = np.random.default_rng(1)
    X, start = rng.normal(size=(60, 9)) / 3, rng.normal(size=9)
    for kind, y, names in (
        ("binary", X[:, 0] > 0, ("coef_init", "intercept_init")),
        ("regression", X[:, 0], ("coef_init", "intercept_init")),
        ("one_class", None, ("coef_init", "offset_init")),
    ):
        params = {"max_iter": 2, "tol": None, "random_state": 4, "learning_rate": "constant", "average": average}
        case = strategies.Case(kind, params, X, y, dict(zip(names, (start, [0.5]), strict=True)))
        assert_equal_models(*fit_both(case), 1e-6)


FIT_ON_AN_INSTRUCTION_SET = """
import sys
import numpy as np
import scipy.sparse as sp
from fusedgrad import SGDClassifier, SGDOneClassSVM, SGDRegressor, _core

rng = np.random.default_rng(0)
X = rng.normal(size=(150, 37)) / 6
y = X @ rng.normal(size=37)
labels = np.digitize(y, [-1, 1])
weights = []
for dtype in (np.float64, np.float32):
    for data in (X.astype(dtype), sp.csr_array(np.where(X > 0.1, X, 0).astype(dtype))):
        for loss in SGDClassifier.loss_functions:
            for penalty in ("l2", "elasticnet"):
                params = dict(penalty=penalty, learning_rate="invscaling", max_iter=5, tol=None, average=100)
                model = SGDClassifier(loss=loss, alpha=0.01, random_state=0, **params).fit(data, labels)
                weights += [model.coef_.ravel(), model.intercept_]
        model = SGDRegressor(max_iter=5, tol=None, random_state=0).fit(data, y)
        weights += [model.coef_, model.intercept_]
        model = SGDOneClassSVM(max_iter=5, tol=None, random_state=0).fit(data)
        weights += [model.coef_, model.offset_]
np.save(sys.argv[1], np.concatenate(weights).astype(float))
print(_core.build()["isa"])
"""


def test_every_instruction_set_gives_the_same_result(tmp_path):
    levels = _isa.runnable()
    assert levels
    weights = {}
    for level in levels:
        file = tmp_path / f"{level}.npy"
        result = child.python(FIT_ON_AN_INSTRUCTION_SET, str(file), FUSEDGRAD_ISA=level)
        assert result.stdout.strip() == level, result.stderr
        weights[level] = np.load(file)
    for level in levels[1:]:
        # half of the numbers come from float32 data; all are of order one
        half = weights[level].size // 2
        np.testing.assert_allclose(weights[level][:half], weights[levels[0]][:half], rtol=0, atol=1e-9)
        np.testing.assert_allclose(weights[level][half:], weights[levels[0]][half:], rtol=0, atol=1e-4)
