"""What is refused, with which words, and that a refused call leaves no trace.

Every case is given to scikit-learn too: where that raises, ours must be caught by the same `except` clauses.
"""

import pickle

import fusedgrad.linear_model
import numpy as np
import pytest
import scipy.sparse as sp
import sklearn.linear_model
from sklearn.exceptions import ConvergenceWarning

from ..refused import Call

pytestmark = pytest.mark.filterwarnings("ignore", category=ConvergenceWarning)

N, D = 20, 3
X = np.random.default_rng(0).normal(size=(N, D))
Y = {"SGDClassifier": (X[:, 0] > 0).astype(int), "SGDRegressor": X[:, 0], "SGDOneClassSVM": None}
CODES = Y["SGDClassifier"]
THREE = np.arange(N) % 3
ESTIMATORS = tuple(Y)
SUPERVISED = ("SGDClassifier", "SGDRegressor")
OURS_ONLY = {"intercept_decay", "restore_best_weights"}


class Case(Call):
    def call(self, model):
        return self.on(model, X, Y[self.estimator])


def fresh(library, case):
    return getattr(library, case.estimator)(**{"random_state": 0, **case.params})


def fitted(case):
    """A model of good data; its parameters are the bad ones, set after that."""
    model = getattr(fusedgrad.linear_model, case.estimator)(random_state=0, average=5)
    model.fit(X, THREE if case.estimator == "SGDClassifier" and case.method == "fit" else Y[case.estimator])
    return model.set_params(average=False).set_params(**case.params)


def state(model):
    """Every attribute, bit by bit."""
    return {name: pickle.dumps(value) for name, value in vars(model).items()}


def check(case):
    """The error of `fit`, of a fresh model and of a fitted one, which stays as it was."""
    with pytest.raises((ValueError, TypeError), match=case.message) as ours:
        case.call(fresh(fusedgrad.linear_model, case))

    model = fitted(case)
    before, objects = state(model), dict(vars(model))
    with pytest.raises((ValueError, TypeError), match=case.message):
        case.call(model)
    assert state(model) == before
    assert all(vars(model)[name] is value for name, value in objects.items())

    new = {"X_val", "y_val", "sample_weight_val"} & {*case.arguments} or OURS_ONLY & {*case.params}
    if not new:
        theirs = error_of(lambda: case.call(fresh(sklearn.linear_model, case)))
        if theirs is not None:
            for kind in (ValueError, TypeError, AttributeError):
                assert isinstance(ours.value, kind) or not isinstance(theirs, kind)


def error_of(call):
    try:
        call()
    except Exception as error:
        return error
    return None


# ---- parameters ----

VALUES = {
    "fit_intercept": ["yes", None, 1],
    "max_iter": [0, -3, 2.5, "10", None],
    "tol": [-1e-3, np.nan, "small"],
    "shuffle": ["yes", None],
    "verbose": [-1, "loud"],
    "random_state": [-1, 2**32, "seed"],
    "learning_rate": ["fast", None, 0, -0.1, True],
    "eta0": [0.0, -0.1, np.nan, "0.1", None],
    "power_t": ["half", None],
    "warm_start": ["yes", None],
    "average": [-1, 0, 2.5, "yes"],
    "intercept_decay": [-0.1, np.nan, np.inf, "1"],
}
SUPERVISED_VALUES = {
    "loss": ["hing", None, 3],
    "penalty": ["l3", "none", 2],
    "alpha": [-1e-4, np.nan, "0.1", None],
    "l1_ratio": [-0.1, 1.1, "half"],
    "epsilon": [-0.1, np.nan, None],
    "early_stopping": ["yes", None],
    "validation_fraction": [0.0, 1.0, -0.1, 5],
    "n_iter_no_change": [0, 2.5, None],
    "restore_best_weights": ["yes", None],
}
OWN_VALUES = {
    "SGDClassifier": {"n_jobs": ["2", 2.5], "class_weight": ["even", 3], "loss": ["poisson"]},
    "SGDRegressor": {"loss": ["hinge", "log_loss"]},
    "SGDOneClassSVM": {"nu": [0.0, 1.1, -0.5, np.nan, None]},
}


def parameter_cases():
    for estimator in ESTIMATORS:
        tables = [VALUES, SUPERVISED_VALUES, OWN_VALUES[estimator]]
        for table in tables if estimator in SUPERVISED else (VALUES, OWN_VALUES[estimator]):
            for name, values in table.items():
                for value in values:
                    yield estimator, name, value


@pytest.mark.parametrize(("estimator", "name", "value"), list(parameter_cases()))
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_parameters_out_of_range(estimator, name, value, method):
    arguments = {"classes": [0, 1]} if (estimator, method) == ("SGDClassifier", "partial_fit") else {}
    message = f"The '{name}' parameter of {estimator} must be .*Got {value!r} instead"
    case = Case(estimator, message, arguments, {name: value}, method)
    check(case)
    error = error_of(lambda: case.call(fresh(fusedgrad.linear_model, case)))
    # scikit-learn's InvalidParameterError is both of these
    assert isinstance(error, ValueError)
    assert isinstance(error, TypeError)


@pytest.mark.parametrize("estimator", SUPERVISED)
@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"learning_rate": "optimal", "alpha": 0.0}, "alpha must be > 0 since learning_rate is 'optimal'"),
        ({"learning_rate": "pa1", "loss": "squared_error"}, "'pa1' only works with loss '(hinge|epsilon_insensitive)'"),
        ({"learning_rate": "pa2", "loss": "huber"}, "'pa2' only works with loss '(hinge|epsilon_insensitive)'"),
        ({"penalty": "elasticnet", "l1_ratio": None}, "l1_ratio must be set when penalty is 'elasticnet'"),
    ],
)
def test_parameters_that_do_not_go_together(estimator, params, message):
    check(Case(estimator, message, params=params))


def test_zero_jobs_have_no_meaning():
    # scikit-learn says so only when there are several classes
    check(Case("SGDClassifier", "n_jobs == 0 has no meaning", {"y": THREE}, {"n_jobs": 0}))


@pytest.mark.parametrize("name", ["max_iter", "n_iter_no_change", "average"])
def test_a_count_beyond_64_bits(name):
    model = fusedgrad.linear_model.SGDRegressor(**{name: 2**70})
    error = error_of(lambda: model.fit(X, X[:, 0]))
    assert error is None or isinstance(error, (ValueError, OverflowError))
    assert error is None or name in str(error)


# ---- X, y and weights ----


def with_value(array, value):
    array = np.array(array, dtype=float)
    array.flat[7] = value
    return array


MISSING = [(np.nan, "NaN"), (np.inf, "infinity"), (-np.inf, "infinity")]
FINITE_CASES = [
    *(
        Case(estimator, f"Input X contains {word}", {"X": storage(with_value(X, value))}, method=method)
        for estimator in ESTIMATORS
        for value, word in MISSING
        for storage in (np.asarray, np.float32, np.asfortranarray, sp.csr_array, sp.csc_array, np.ndarray.tolist)
        for method in ("fit", "partial_fit")
    ),
    *(
        Case(estimator, f"Input y contains {word}", {"y": with_value(Y[estimator], value)}, method=method)
        for estimator in SUPERVISED
        for value, word in MISSING
        for method in ("fit", "partial_fit")
    ),
    *(
        Case(estimator, f"sample_weight contains {word}", {"sample_weight": weights}, method=method)
        for estimator in ESTIMATORS
        for value, word in MISSING
        for weights in (with_value(np.ones(N), value), value)
        for method in ("fit", "partial_fit")
    ),
    *(
        Case(estimator, "coef_init contains NaN or infinity", {"coef_init": with_value(np.ones(8), value)[-D:]})
        for estimator in ESTIMATORS
        for value, _ in MISSING
    ),
    *(
        Case(estimator, f"{name} contains NaN or infinity", {name: [value]})
        for estimator, name in zip(ESTIMATORS, ("intercept_init", "intercept_init", "offset_init"), strict=True)
        for value, _ in MISSING
    ),
]


@pytest.mark.parametrize("case", FINITE_CASES, ids=str)
def test_numbers_that_are_not_finite(case):
    if case.method == "partial_fit" and case.estimator == "SGDClassifier":
        case.arguments = {"classes": [0, 1], **case.arguments}
    check(case)


SHAPE_CASES = [
    *(
        Case(estimator, message, {"X": bad})
        for estimator in ESTIMATORS
        for bad, message in (
            (X[:, 0], "Expected 2D array, got 1D array"),
            (X[:, :, None], "dim 3"),
            (X[:0], r"0 sample\(s\) \(shape=\(0, 3\)\)"),
            (X[:, :0], r"0 feature\(s\) \(shape=\(20, 0\)\)"),
            (X + 1j, "Complex data not supported"),
            (np.full((N, D), "a"), "could not convert string to float: .*'a'"),
            (None, "Expected 2D array"),
        )
    ),
    *(
        Case(estimator, message, {"y": bad})
        for estimator in SUPERVISED
        for bad, message in (
            (CODES[:-1], r"\[20, 19\]"),
            (np.c_[CODES, CODES], r"y should be a 1d array.*\(20, 2\)"),
            (None, "requires y"),
        )
    ),
    Case("SGDRegressor", "could not convert string to float: .*'b'", {"y": np.array(["a", "b"])[CODES]}),
    Case("SGDClassifier", "Unknown label type: continuous", {"y": X[:, 0]}),
    *(
        Case(estimator, message, {"sample_weight": bad})
        for estimator in ESTIMATORS
        for bad, message in (
            (np.ones(5), r"sample_weight.shape == \(5,\), expected \(20,\)"),
            (np.ones((N, 2)), "sample_weight must be a 1D array or a scalar; got 2"),
            (["a"] * N, "could not convert string to float: .*'a'"),
            (np.zeros(N), "sample_weight is zero for every sample"),
            (0.0, "sample_weight is zero for every sample"),
        )
    ),
    *(
        Case(estimator, r"coef_init does not match.*\(4,\).*\(3,\)", {"coef_init": np.ones(4)})
        for estimator in ESTIMATORS
    ),
    *(
        Case(estimator, rf"{name} does not match.*\(2,\).*\(1,\)", {name: np.ones(2)})
        for estimator, name in zip(ESTIMATORS, ("intercept_init", "intercept_init", "offset_init"), strict=True)
    ),
    Case("SGDClassifier", r"coef_init does not match.*\(3,\).*\(3, 3\)", {"y": THREE, "coef_init": np.ones(3)}),
    Case("SGDClassifier", r"intercept_init does not.*\(1,\).*\(3,\)", {"y": THREE, "intercept_init": [0.0]}),
    Case("SGDClassifier", "number of classes has to be greater than one; got 1", {"y": np.zeros(N)}),
    Case("SGDClassifier", r"classes, \[1\], are not in class_weight", params={"class_weight": {0: 1.0, 7: 2.0}}),
]


@pytest.mark.parametrize("case", SHAPE_CASES, ids=str)
def test_shapes_types_and_missing_classes(case):
    check(case)


def huge(case):
    case.arguments = {"X": X * 1e300, **case.arguments}
    return case


DIVERGING = "Floating-point under-/overflow occurred at epoch #1.*StandardScaler.*eta0"


@pytest.mark.parametrize(
    "case",
    [
        huge(Case("SGDClassifier", DIVERGING, params={"loss": "squared_error"})),
        huge(Case("SGDClassifier", DIVERGING, {"y": THREE}, {"loss": "squared_error", "n_jobs": 2})),
        huge(Case("SGDClassifier", DIVERGING, {"classes": [0, 1]}, {"loss": "squared_error"}, "partial_fit")),
        huge(Case("SGDRegressor", DIVERGING)),
        huge(Case("SGDRegressor", DIVERGING, method="partial_fit")),
        huge(Case("SGDRegressor", DIVERGING, params={"early_stopping": True, "restore_best_weights": True})),
        huge(Case("SGDOneClassSVM", DIVERGING, params={"learning_rate": "constant", "eta0": 1e10})),
        Case("SGDClassifier", DIVERGING, params={"class_weight": {0: np.nan, 1: 1.0}}),
    ],
    ids=str,
)
def test_overflow(case):
    check(case)


@pytest.mark.parametrize(("rows", "epoch"), [(1, 9), (4, 3), (20, 1)])
def test_the_epoch_of_an_overflow_is_named(rows, epoch):
    # each step adds 2e307 to the weight, so the ninth passes the largest double, 1.8e308; the target stays out of reach
    params = {"loss": "epsilon_insensitive", "penalty": None, "learning_rate": "constant", "eta0": 4e307}
    for library in (sklearn.linear_model, fusedgrad.linear_model):
        model = library.SGDRegressor(fit_intercept=False, tol=None, **params)
        with pytest.raises(ValueError, match=f"Floating-point under-/overflow occurred at epoch #{epoch}\\."):
            model.fit(np.full((rows, 1), 0.5), np.full(rows, 1e308))


# ---- partial_fit ----


@pytest.mark.parametrize(
    "case",
    [
        Case("SGDClassifier", r"\[5\].*not among the classes \[0 1\]", {"y": CODES * 5, "classes": [0, 1]}),
        Case("SGDClassifier", "number of classes has to be greater than one", {"y": CODES * 0, "classes": [0]}),
    ],
    ids=str,
)
def test_first_partial_fit(case):
    model = fusedgrad.linear_model.SGDClassifier()
    theirs = error_of(lambda: sklearn.linear_model.SGDClassifier().partial_fit(X, **case.arguments))
    with pytest.raises(type(theirs), match=case.message):
        model.partial_fit(X, **case.arguments)
    assert vars(model) == vars(fusedgrad.linear_model.SGDClassifier())


def test_classes_are_needed_in_the_first_partial_fit():
    for library in (sklearn.linear_model, fusedgrad.linear_model):
        with pytest.raises(ValueError, match="classes must be passed on the first call to partial_fit"):
            library.SGDClassifier().partial_fit(X, CODES)
        with pytest.raises(ValueError, match="class_weight 'balanced' is not supported for partial_fit"):
            library.SGDClassifier(class_weight="balanced").partial_fit(X, CODES, classes=[0, 1])


def test_classes_must_be_numbers():
    for library in (sklearn.linear_model, fusedgrad.linear_model):
        with pytest.raises(ValueError, match="NaN"):
            library.SGDClassifier().partial_fit(X, CODES, classes=[0.0, 1.0, np.nan])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"y": CODES * 5}, r"y has labels \[5\] that are not among the classes \[0 1\]"),
        ({"y": X[:, 0]}, r"y has labels .* that are not among the classes \[0 1\]"),
        ({"y": np.array(["a", "b"])[CODES]}, r"y has labels \['a' 'b'\] that are not among the classes \[0 1\]"),
        ({"classes": [0, 1, 2]}, r"classes=.*\[0, 1, 2\].*not the same as on last call.*\[0, 1\]"),
        ({"X": X[:, :2]}, "X has 2 features, but SGDClassifier is expecting 3"),
        ({"X": sp.csr_array(X[:, :2])}, "X has 2 features, but SGDClassifier is expecting 3"),
        ({"X": X.astype(np.float32)[:, :2]}, "X has 2 features, but SGDClassifier is expecting 3"),
        ({"y": CODES[:-1]}, r"\[20, 19\]"),
        ({"X": with_value(X, np.nan)}, "X contains NaN"),
        ({"sample_weight": np.ones(3)}, r"sample_weight.shape == \(3,\), expected \(20,\)"),
    ],
)
def test_later_partial_fit(arguments, message):
    theirs = sklearn.linear_model.SGDClassifier().fit(X, CODES)
    ours = fusedgrad.linear_model.SGDClassifier().fit(X, CODES)
    before = state(ours)
    their_error = error_of(lambda: theirs.partial_fit(**{"X": X, "y": CODES, **arguments}))
    with pytest.raises(ValueError, match=message):
        ours.partial_fit(**{"X": X, "y": CODES, **arguments})
    assert isinstance(their_error, ValueError)
    assert state(ours) == before


# ---- validation rows ----

VALIDATION_CASES = [
    ({"X_val": X}, "X_val was given without y_val"),
    ({"y_val": CODES}, "y_val .*X_val"),
    ({"sample_weight_val": np.ones(N)}, "sample_weight_val .*X_val"),
    ({"X_val": with_value(X, np.nan), "y_val": CODES}, "X_val contains NaN"),
    ({"X_val": sp.csr_array(with_value(X, np.inf)), "y_val": CODES}, "X_val contains infinity"),
    ({"X_val": X, "y_val": CODES, "sample_weight_val": np.ones(3)}, r"sample_weight_val.shape == \(3,\)"),
    ({"X_val": X, "y_val": CODES, "sample_weight_val": with_value(np.ones(N), np.nan)}, "sample_weight_val .*NaN"),
    ({"X_val": X, "y_val": CODES, "sample_weight_val": np.zeros(N)}, "sample_weight_val is zero"),
    ({"X_val": X[:4], "y_val": CODES}, r"\[4, 20\]"),
]
VALIDATION_CASES += [
    ({"X_val": X[:, :2], "y_val": CODES}, "X_val has 2 features.* 3"),
    ({"X_val": sp.csr_array(X[:, :2]), "y_val": CODES}, "X_val has 2 features.* 3"),
    ({"X_val": X, "y_val": with_value(CODES, np.nan)}, "y_val contains NaN"),
    ({"X_val": X, "y_val": np.c_[CODES, CODES]}, "y_val .*1d"),
]


@pytest.mark.parametrize("estimator", SUPERVISED)
@pytest.mark.parametrize(("arguments", "message"), VALIDATION_CASES)
def test_validation_rows(estimator, arguments, message):
    check(Case(estimator, message, arguments))


# ---- after the fit ----


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("method", ["predict", "score_samples", "decision_function", "sparsify", "densify"])
def test_an_estimator_must_be_fitted_first(estimator, method):
    arguments = () if method in ("sparsify", "densify") else (X,)
    errors = []
    for library in (sklearn.linear_model, fusedgrad.linear_model):
        model = getattr(library, estimator)()
        errors.append(error_of(lambda model=model: getattr(model, method)(*arguments)))
    assert errors[1] is not None
    assert type(errors[1]) is type(errors[0])


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (X[:, :2], "X has 2 features, but .* is expecting 3 features"),
        (sp.csr_array(X[:, :2]), "X has 2 features, but .* is expecting 3 features"),
        (with_value(X, np.nan), "X contains NaN"),
        (X[0], "Expected 2D array"),
        (X[:0], r"0 sample\(s\)"),
    ],
)
def test_predicting_from_bad_rows(estimator, bad, message):
    for library in (sklearn.linear_model, fusedgrad.linear_model):
        model = getattr(library, estimator)().fit(X, Y[estimator])
        with pytest.raises(ValueError, match=message):
            model.predict(bad)


@pytest.mark.parametrize("loss", ["hinge", "squared_hinge", "perceptron", "huber"])
def test_probabilities_are_not_there_for_other_losses(loss):
    for library in (sklearn.linear_model, fusedgrad.linear_model):
        model = library.SGDClassifier(loss=loss).fit(X, CODES)
        assert not hasattr(model, "predict_proba")
        with pytest.raises(AttributeError, match="has no attribute 'predict_proba'") as caught:
            model.predict_proba(X)
        assert f"probability estimates are not available for loss={loss!r}" in str(caught.value.__cause__)
