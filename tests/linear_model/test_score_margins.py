"""The core's metrics of many models at once equal those of sklearn.metrics, model by model."""

import warnings

import numpy as np
import pytest
from fusedgrad import _core
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.special import expit, softmax
from sklearn import metrics

RTOL = {np.float64: 1e-10, np.float32: 1e-5}
repeatably = settings(
    max_examples=50, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)
every_dtype = pytest.mark.parametrize("dtype", [np.float64, np.float32])


# ---- the judge ----


def probabilities(margins, link):
    """Of one model (rows, outputs), in the type of its margins, as the estimators' `predict_proba`."""
    if link == "softmax":
        return softmax(margins, axis=1)
    positive = expit(margins) if link == "sigmoid" else (np.clip(margins, -1, 1) + 1) / 2
    if margins.shape[1] == 1:
        return np.column_stack([1 - positive, positive])
    total = positive.sum(axis=1, keepdims=True)
    return np.where(total == 0, positive.dtype.type(1 / margins.shape[1]), positive / np.where(total == 0, 1, total))


def judged(metric, margins, y, link):
    outputs = margins.shape[1]
    if metric == "accuracy":
        predicted = margins[:, 0] > 0 if outputs == 1 else margins.argmax(axis=1)
        return metrics.accuracy_score(y, predicted.astype(y.dtype))
    if metric == "log_loss":
        return metrics.log_loss(y, probabilities(margins, link), labels=np.arange(max(outputs, 2)))
    if metric == "roc_auc":
        return metrics.roc_auc_score(y, margins[:, 0])
    y, predicted = y.astype(float), np.exp(margins.astype(float)) if link == "exp" else margins.astype(float)
    of = {"r2": "r2_score", "mse": "mean_squared_error", "rmse": "root_mean_squared_error"}
    return getattr(metrics, of[metric])(y, predicted)


def check(metric, margins, y, *, outputs=1, link="sigmoid"):
    """Scores equal the judge's, and have the same bits on any number of threads."""
    found = _core.score_margins(metric, margins, y, outputs, link, 1)
    assert found.dtype == np.float64
    assert found.shape == (margins.shape[1] // outputs,)
    for threads in (2, 3, 4):
        np.testing.assert_array_equal(_core.score_margins(metric, margins, y, outputs, link, threads), found)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of scores that are not defined
        models = np.split(margins, len(found), axis=1)
        expected = [judged(metric, model, y, link) for model in models]
    rtol = RTOL[margins.dtype.type]
    np.testing.assert_allclose(found, expected, rtol=rtol, atol=rtol)
    return found


# ---- properties ----


@st.composite
def tables(draw, outputs, *, grid=False):
    """Margins of some models and a generator; with `grid` they have many ties and zeros."""
    rows, models = draw(st.integers(1, 60)), draw(st.integers(1, 6))
    dtype = draw(st.sampled_from([np.float64, np.float32]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    margins = rng.normal(0, draw(st.sampled_from([0.1, 1.0, 3.0])), size=(rows, models * outputs))
    return (np.round(margins) if grid or draw(st.booleans()) else margins).astype(dtype), rng


@pytest.mark.parametrize("outputs", [1, 3, 5])
def test_accuracy(outputs):
    @repeatably
    @given(tables(outputs))
    def check_one(table):
        margins, rng = table
        y = rng.integers(max(outputs, 2), size=len(margins)).astype(margins.dtype)
        check("accuracy", margins, y, outputs=outputs)

    check_one()


LINKS = [(1, "sigmoid"), (1, "modified_huber"), (3, "sigmoid"), (4, "modified_huber"), (3, "softmax"), (6, "softmax")]


@pytest.mark.parametrize(("outputs", "link"), LINKS)
def test_log_loss(outputs, link):
    @repeatably
    @given(tables(outputs))
    def check_one(table):
        margins, rng = table
        y = rng.integers(max(outputs, 2), size=len(margins)).astype(margins.dtype)
        check("log_loss", margins, y, outputs=outputs, link=link)

    check_one()


@pytest.mark.parametrize("grid", [False, True])
def test_roc_auc(grid):
    @repeatably
    @given(tables(1, grid=grid))
    def check_one(table):
        margins, rng = table
        y = (rng.random(len(margins)) < rng.random()).astype(margins.dtype)
        check("roc_auc", margins, y)

    check_one()


@pytest.mark.parametrize("link", ["identity", "exp"])
@pytest.mark.parametrize("metric", ["r2", "mse", "rmse"])
@pytest.mark.parametrize("outputs", [1, 3])
def test_regression(metric, outputs, link):
    @repeatably
    @given(tables(outputs), st.booleans())
    def check_one(table, constant):
        margins, rng = table
        if len(margins) == 1 and metric == "r2":
            return  # not defined
        margins = np.ascontiguousarray(np.clip(margins, -3, 3))
        y = rng.normal(3, 2, size=(len(margins), outputs)).astype(margins.dtype)
        if constant:
            y[:, 0] = 2
        check(metric, margins, y, outputs=outputs, link=link)

    check_one()


# ---- corners ----


@every_dtype
def test_one_row(dtype):
    margins, y = np.array([[2.0, -1.0, 0.0]], dtype=dtype), np.ones(1, dtype=dtype)
    np.testing.assert_array_equal(check("accuracy", margins, y), [1, 0, 0])
    check("log_loss", margins, y)
    assert np.isnan(check("roc_auc", margins, y)).all()
    check("mse", margins, y, link="identity")


@every_dtype
@pytest.mark.parametrize("size", [50.0, 100.0, 1000.0, np.inf])
def test_log_loss_of_certainty_is_clipped(dtype, size):
    margins, y = np.array([[size, -size], [-size, size]], dtype=dtype), np.array([1, 0], dtype=dtype)
    right, wrong = check("log_loss", margins, y)
    assert 0 < right <= 2 * np.finfo(dtype).eps
    np.testing.assert_allclose(wrong, -np.log(np.finfo(dtype).eps), rtol=1e-6)
    check("log_loss", margins, y, link="modified_huber")
    if np.isfinite(size):
        check("log_loss", np.tile(margins, (1, 2)), y, outputs=2, link="softmax")


@every_dtype
def test_no_class_has_a_probability(dtype):
    # then all are equally probable
    margins, y = np.full((4, 3), -2, dtype=dtype), np.array([0, 1, 2, 2], dtype=dtype)
    np.testing.assert_allclose(check("log_loss", margins, y, outputs=3, link="modified_huber"), np.log(3), rtol=1e-6)
    np.testing.assert_allclose(check("log_loss", 1000 * margins, y, outputs=3, link="sigmoid"), np.log(3), rtol=1e-6)


@every_dtype
def test_the_first_of_equal_margins_is_predicted(dtype):
    y = np.array([0, 1, 2], dtype=dtype)
    np.testing.assert_array_equal(check("accuracy", np.zeros((3, 3), dtype=dtype), y, outputs=3), [1 / 3])


@every_dtype
def test_roc_auc_of_ties_only_and_of_infinite_margins(dtype):
    y = np.array([0, 1, 1, 0], dtype=dtype)
    margins = np.array([[0, 0, -np.inf], [0, 1, np.inf], [0, 1, 0], [-0.0, 0, 0]], dtype=dtype)
    np.testing.assert_array_equal(_core.score_margins("roc_auc", margins, y, 1, "sigmoid", 1), [0.5, 1.0, 0.875])


@every_dtype
def test_roc_auc_of_margins_without_an_order(dtype):
    margins = np.array([[np.nan, 0], [1, 1], [2, 2]], dtype=dtype)
    found = _core.score_margins("roc_auc", margins, np.array([0, 1, 1], dtype=dtype), 1, "sigmoid", 1)
    np.testing.assert_array_equal(found, [np.nan, 1.0])


@pytest.mark.parametrize("value", [0.1, 1 / 3, 1e300])
def test_r2_of_a_constant_target_does_not_depend_on_rounding(value):
    y = np.full((7, 1), value)
    margins = np.column_stack([y, 2 * y])
    np.testing.assert_array_equal(_core.score_margins("r2", margins, y, 1, "identity", 1), [1, 0])


def test_r2_of_a_target_far_from_zero():
    rng = np.random.default_rng(0)
    y = 1e9 + rng.normal(size=(500, 1))
    np.testing.assert_allclose(_core.score_margins("r2", y + 0.5, y, 1, "identity", 1), 1 - 0.25 / y.var(), rtol=1e-6)


@pytest.mark.parametrize("metric", ["accuracy", "log_loss", "roc_auc", "r2", "mse", "rmse"])
def test_many_rows_and_models(metric):
    rng = np.random.default_rng(0)
    margins = rng.normal(size=(20_000, 7))
    y = rng.integers(2, size=20_000).astype(float)
    check(metric, margins, y, link="sigmoid" if metric in ("accuracy", "log_loss", "roc_auc") else "identity")


# ---- what is refused ----

GOOD = {"metric": "accuracy", "margins": np.zeros((3, 4)), "y": np.zeros(3), "outputs": 1, "link": "sigmoid"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"metric": "f1"}, "metric: no such metric: f1"),
        ({"link": "probit"}, "link: no such link: probit"),
        ({"outputs": 3}, "margins: expected"),
        ({"outputs": 0}, "margins: expected"),
        ({"margins": np.zeros(4)}, "margins: expected"),
        ({"margins": np.zeros((0, 4))}, "margins: expected"),
        ({"margins": np.zeros((3, 4), dtype=int)}, "margins: expected an aligned, C-contiguous array"),
        ({"margins": np.asfortranarray(np.zeros((3, 4)))}, "margins: expected an aligned, C-contiguous array"),
        ({"y": np.zeros(4)}, "y: expected an aligned, C-contiguous array of 3 elements"),
        ({"y": np.zeros(3, dtype=np.float32)}, "y: expected an aligned, C-contiguous array of 3 elements"),
        ({"y": np.full(3, 2.0)}, "y: expected codes"),
        ({"y": np.full(3, -1.0)}, "y: expected codes"),
        ({"y": np.full(3, 0.5)}, "y: expected codes"),
        ({"y": np.full(3, np.nan)}, "y: expected codes"),
        ({"y": np.full(3, 4.0), "outputs": 4}, "y: expected codes"),
        ({"metric": "roc_auc", "outputs": 2}, "two classes"),
        ({"link": "identity"}, "link: it does not belong"),
        ({"metric": "mse"}, "link: it does not belong"),
        (
            {"metric": "mse", "link": "identity", "outputs": 2},
            "y: expected an aligned, C-contiguous array of 6 elements",
        ),
    ],
)
def test_what_is_refused(change, message):
    assert _core.score_margins(**GOOD).shape == (4,)
    with pytest.raises(ValueError, match=message):
        _core.score_margins(**{**GOOD, **change})
