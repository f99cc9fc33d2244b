"""What linear estimators take and refuse: dates, strings, labels, weights, arrays that lie anywhere, large integers."""

import io
from contextlib import redirect_stdout

import numpy as np
import pytest
import scipy.sparse as sp
from fusedgrad import fit_many
from fusedgrad.linear_model import SGDClassifier, SGDClassifierCV, SGDOneClassSVM, SGDRegressor, SGDRegressorCV
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

pytestmark = pytest.mark.filterwarnings("ignore", category=ConvergenceWarning)
RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 4))
Y = X @ RNG.normal(size=(4, 3)) + 1
LABELS = (X[:, 0] > 0).astype(int)
WEIGHT = RNG.uniform(0.5, 2, 60)
SHARED = {"random_state": 0, "max_iter": 3, "tol": None}
MODELS = [
    SGDClassifier(**SHARED),
    SGDClassifier(batch_size=16, **SHARED),
    SGDRegressor(**SHARED),
    SGDRegressor(batch_size=16, **SHARED),
    SGDOneClassSVM(**SHARED),
    SGDClassifierCV(alphas=2, cv=2, **SHARED),
    SGDRegressorCV(alphas=2, cv=2, **SHARED),
]
every_model = pytest.mark.parametrize("model", MODELS, ids=lambda model: f"{type(model).__name__}")


def refuses(model, method, error, match, *arrays, **named):
    """The call raises, and the model stays as it is."""
    model = clone(model)
    if method != "fit":
        model.fit(X, LABELS)
    before = dict(vars(model))
    with pytest.raises(error, match=match):
        getattr(model, method)(*arrays, **named)
    assert vars(model) == before


# ---- numbers ----


def columns(kind):
    """X with dates or strings in it: the error, what it says, and the data."""
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    days = np.arange(60).astype("datetime64[D]")
    mixed = {"a": X[:, 0], "b": X[:, 1], "c": X[:, 2], "d": days}
    dates = np.tile(days[:, None], (1, 4))
    return {
        "dates": (TypeError, r"dates or times \(dtype datetime64", dates),
        "durations": (TypeError, r"dates or times \(dtype timedelta64", dates - dates[0]),
        "a frame of dates": (TypeError, "'b' .*dates.min", pandas.DataFrame(dict.fromkeys("abcd", days))),
        "a column of dates": (
            TypeError,
            "these columns.*'d' ",
            pandas.DataFrame(mixed),
        ),
        "dates of a zone": (
            TypeError,
            "'a' .*UTC",
            pandas.DataFrame({name: pandas.to_datetime(days, utc=True) for name in "abcd"}),
        ),
        "dates of polars": (TypeError, "'a' ", polars.DataFrame(dict.fromkeys("abcd", days))),
        "strings": (ValueError, "not compatible.*bytes/strings.*astype", X.round(2).astype(str)),
        "bytes": (ValueError, "not compatible.*bytes/strings", X.round(2).astype("S")),
        "lists of strings": (ValueError, "not compatible.*bytes/strings", X.round(2).astype(str).tolist()),
        "words": (ValueError, "could not convert string to float: .*'a'", np.full((60, 4), "a")),
    }[kind]


KINDS = [
    "dates",
    "durations",
    "a frame of dates",
    "a column of dates",
    "dates of a zone",
    "dates of polars",
    "strings",
    "bytes",
    "lists of strings",
    "words",
]


@pytest.mark.filterwarnings("ignore:X has feature names")
@pytest.mark.parametrize("kind", KINDS)
@every_model
def test_what_is_no_number_is_refused(model, kind):
    error, match, data = columns(kind)
    refuses(model, "fit", error, match, data, LABELS)
    refuses(model, "predict", error, match, data)
    if hasattr(model, "partial_fit"):
        refuses(model, "partial_fit", error, match, data, LABELS)


@every_model
def test_objects_that_are_numbers_are_numbers(model):
    pandas = pytest.importorskip("pandas")
    expected = clone(model).fit(X, LABELS).coef_
    for data in (X.astype(object), X.astype(str).astype(object), X.tolist()):
        np.testing.assert_array_equal(clone(model).fit(data, LABELS).coef_, expected)
    np.testing.assert_array_equal(clone(model).fit(pandas.DataFrame(X.astype(object)), LABELS).coef_, expected)


# ---- rows, labels, weights ----


@pytest.mark.parametrize("storage", [np.asarray, sp.csr_array])
@every_model
def test_no_rows(model, storage):
    for method in {"predict", "decision_function", "score_samples"} & {*dir(model)}:
        message = r"Found array with 0 sample\(s\) \(shape=\(0, 4\)\) while a minimum of 1 is required"
        refuses(model, method, ValueError, message, storage(X)[:0])


ONE = "The number of classes has to be greater than one; got 1 class"


@pytest.mark.parametrize("batch_size", [1, 16])
def test_one_class_is_the_same_error_everywhere(batch_size):
    y = np.ones(60)
    for model in (SGDClassifier(batch_size=batch_size), SGDClassifierCV(batch_size=batch_size)):
        refuses(model, "fit", ValueError, ONE, X, y)
    with pytest.raises(ValueError, match=ONE):
        SGDClassifier(batch_size=batch_size).partial_fit(X, y, classes=[1])
    with pytest.raises(ValueError, match=ONE):
        fit_many([SGDClassifier(batch_size=batch_size)], X, y)
    with pytest.raises(ValueError, match=ONE):
        SGDClassifier(batch_size=batch_size).path(X, y, alphas=2)


@pytest.mark.parametrize("labels", [(2**63 + 1, 2**63 + 5), (3, 2**64 - 1), (2**63 - 1, 2**63)], ids=str)
@pytest.mark.parametrize("batch_size", [1, 16])
def test_labels_above_2_to_the_63(batch_size, labels):
    y = np.array(labels, dtype=np.uint64)[LABELS]
    model = SGDClassifier(batch_size=batch_size, **SHARED)
    plain = clone(model).fit(X, LABELS)
    for fitted in (model.fit(X, y), clone(model).partial_fit(X, y, classes=np.array(labels, np.uint64))):
        assert fitted.classes_.dtype == np.uint64
        assert fitted.classes_.tolist() == [*labels]
        assert set(fitted.predict(X).tolist()) <= set(labels)
    np.testing.assert_array_equal(model.coef_, plain.coef_)
    assert SGDClassifierCV(alphas=2, cv=2, **SHARED).fit(X, y).classes_.tolist() == [*labels]
    assert fit_many([clone(model)], X, y)[0].classes_.tolist() == [*labels]


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int64])
def test_labels_at_both_ends_of_their_type(dtype):
    ends = np.array([np.iinfo(dtype).min, np.iinfo(dtype).max], dtype)
    model = SGDClassifier(**SHARED).fit(X, ends[LABELS])
    np.testing.assert_array_equal(model.classes_, ends)
    assert model.classes_.dtype == dtype


NEGATIVE = "Negative values in data passed to `{}`: the smallest is -0.5"


@every_model
def test_negative_weights_are_refused(model):
    weight = WEIGHT.copy()
    weight[7] = -0.5
    refuses(model, "fit", ValueError, NEGATIVE.format("sample_weight"), X, LABELS, sample_weight=weight)
    if hasattr(model, "partial_fit"):
        refuses(model, "partial_fit", ValueError, NEGATIVE.format("sample_weight"), X, LABELS, sample_weight=weight)
    if hasattr(model, "path"):
        message = NEGATIVE.format("sample_weights?")
        refuses(model, "path", ValueError, message, X, LABELS, alphas=2, sample_weight=weight)
        given = {"X_val": X, "y_val": LABELS, "sample_weight_val": weight}
        refuses(model, "fit", ValueError, NEGATIVE.format("sample_weight_val"), X, LABELS, **given)
        for weights in (weight, weight[:, None]):
            with pytest.raises(ValueError, match=NEGATIVE.format("sample_weights")):
                fit_many([clone(model)], X, LABELS, weights)


# ---- arrays that do not begin where the processor wants them ----


def misaligned(array):
    array = np.ascontiguousarray(array)
    moved = np.frombuffer(b"\0" + array.tobytes(), dtype=array.dtype, offset=1).reshape(array.shape)
    assert not moved.flags.aligned
    return moved


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@every_model
def test_misaligned_arrays_are_copied(model, dtype):
    plain, moved = clone(model), clone(model)
    y = LABELS if "Classifier" in type(model).__name__ else Y[:, 0].astype(dtype)
    arrays = X.astype(dtype), y, WEIGHT.astype(dtype)
    for fitted, (X_, y_, weight) in ((plain, arrays), (moved, map(misaligned, arrays))):
        fitted.fit(X_, y_, sample_weight=weight)
        if hasattr(model, "partial_fit"):
            fitted.partial_fit(X_, y_, sample_weight=weight)
    np.testing.assert_array_equal(moved.coef_, plain.coef_)
    np.testing.assert_array_equal(moved.predict(misaligned(arrays[0])), plain.predict(arrays[0]))


@pytest.mark.parametrize("index", [np.int32, np.int64])
@pytest.mark.parametrize("batch_size", [1, 16])
def test_misaligned_sparse_arrays_are_copied(batch_size, index):
    S = sp.csr_array(X * (X > 0))
    S.indices, S.indptr = S.indices.astype(index), S.indptr.astype(index)
    parts = misaligned(S.data), misaligned(S.indices), misaligned(S.indptr)
    moved = sp.csr_array(S.shape)
    moved.data, moved.indices, moved.indptr = parts
    model = SGDRegressor(batch_size=batch_size, **SHARED).fit(S, Y[:, 0])
    other = clone(model).fit(moved, misaligned(Y[:, 0]), X_val=moved, y_val=misaligned(Y[:, 0]))
    np.testing.assert_array_equal(other.coef_, model.coef_)
    np.testing.assert_array_equal(other.predict(moved), model.predict(S))
    assert all(getattr(moved, name) is part for name, part in zip(("data", "indices", "indptr"), parts, strict=True))


def test_misaligned_arrays_of_several_targets_and_models():
    model = SGDRegressor(batch_size=16, **SHARED).fit(X, Y, coef_init=Y[:3, :].repeat(2, 1)[:, :4])
    init = misaligned(Y[:3, :].repeat(2, 1)[:, :4])
    other = clone(model).fit(misaligned(X), misaligned(Y), coef_init=init)
    np.testing.assert_array_equal(other.coef_, model.coef_)
    one, two = (clone(model) for _ in range(2))
    fit_many([one], X, Y, WEIGHT[:, None])
    fit_many([two], misaligned(X), misaligned(Y), misaligned(WEIGHT[:, None]))
    np.testing.assert_array_equal(one.coef_, two.coef_)


# ---- integers that no machine word holds ----

LARGE = {
    "batch_size": lambda k: SGDClassifier(batch_size=k, **SHARED),
    "max_iter": lambda k: SGDClassifier(max_iter=k, tol=1e300),
    "max_iter of batches": lambda k: SGDRegressor(max_iter=k, tol=1e300, batch_size=16),
    "n_iter_no_change": lambda k: SGDClassifier(n_iter_no_change=k, max_iter=2),
    "n_iter_no_change of batches": lambda k: SGDRegressor(n_iter_no_change=k, max_iter=2, batch_size=16),
    "average": lambda k: SGDClassifier(average=k, **SHARED),
    "average of batches": lambda k: SGDRegressor(average=k, batch_size=16, **SHARED),
    "average of outliers": lambda k: SGDOneClassSVM(average=k, **SHARED),
    "n_jobs": lambda k: SGDClassifier(n_jobs=k, **SHARED),
    "n_jobs of batches": lambda k: SGDClassifier(n_jobs=k, batch_size=16, **SHARED),
    "n_jobs below zero": lambda k: SGDClassifier(n_jobs=-k, batch_size=16, **SHARED),
    "n_jobs of a search": lambda k: SGDClassifierCV(alphas=2, cv=2, n_jobs=k, **SHARED),
    "verbose": lambda k: SGDClassifier(verbose=k, **SHARED),
    "eta0": lambda k: SGDClassifier(eta0=k, **SHARED),
    "tol": lambda k: SGDClassifier(tol=k, max_iter=2),
}
REFUSED = {
    "random_state": (lambda k: SGDClassifier(random_state=k), "'random_state'"),
    "alphas": (lambda k: SGDClassifierCV(alphas=k), "'alphas' parameter .* int in the range .1, 1000000."),
    "cv": (lambda k: SGDClassifierCV(alphas=2, cv=k, **SHARED), "n_splits"),
}


@pytest.mark.parametrize("power", [31, 32, 53, 62, 63, 64, 70])
@pytest.mark.parametrize("name", LARGE)
def test_large_integers_work(name, power):
    model = LARGE[name](2**power)
    with redirect_stdout(io.StringIO()):
        assert np.isfinite(model.fit(X, LABELS).coef_).all()
        if hasattr(model, "partial_fit"):
            model.partial_fit(X, LABELS)


@pytest.mark.parametrize("power", [32, 53, 63, 64, 70])
@pytest.mark.parametrize("name", REFUSED)
def test_large_integers_that_make_no_sense_are_refused(name, power):
    make, match = REFUSED[name]
    refuses(make(2**power), "fit", ValueError, match, X, LABELS)


def test_a_path_of_too_many_alphas_is_refused():
    for k in (2**32, 2**70):
        refuses(SGDRegressor(), "path", ValueError, "alphas must be an int in .1, 1000000.", X, LABELS, alphas=k)


@pytest.mark.parametrize("name", ["alpha", "eta0", "power_t", "tol", "epsilon"])
def test_integers_that_no_float_holds_are_refused(name):
    refuses(SGDClassifier(**{name: 10**400}), "fit", ValueError, f"'{name}' parameter", X, LABELS)


# ---- curves ----


@pytest.mark.parametrize("batch_size", [1, 16])
def test_curves_of_warm_starts_go_on(batch_size):
    given = {"X_val": X[:9], "y_val": LABELS[:9]}
    model = SGDClassifier(warm_start=True, batch_size=batch_size, **SHARED).fit(X, LABELS, **given)
    first = list(model.loss_curve_), list(model.validation_scores_), list(model.validation_loss_curve_)
    model.set_params(max_iter=2).fit(X, LABELS, **given)
    again = model.loss_curve_, model.validation_scores_, model.validation_loss_curve_
    assert [len(curve) for curve in again] == [5, 5, 5]
    assert [curve[:3] for curve in again] == [*first]
    assert model.n_iter_ == 2
    model.fit(X, LABELS)
    assert len(model.loss_curve_) == 7
    assert model.validation_scores_ is None
    model.set_params(warm_start=False).fit(X, LABELS)
    assert len(model.loss_curve_) == model.n_iter_ == 2
