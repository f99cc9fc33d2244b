"""Storages, threads, going on, ends, rates and edges of training by mini-batches."""

import dataclasses
import pickle

import numpy as np
import pytest
import scipy.sparse as sp
from fusedgrad import optimizers, schedules
from fusedgrad.linear_model import SGDClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import ShuffleSplit, StratifiedShuffleSplit

from ..covering import pairs
from ..reference import minibatch
from . import minibatch_strategies as strategies
from .batches import (
    assert_equal,
    estimator,
    every_kind,
    fit,
    judged,
    shuffled_within_rows,
    standard,
)

pytestmark = pytest.mark.filterwarnings("ignore", category=ConvergenceWarning)


def assert_same_bits(model, other):
    np.testing.assert_array_equal(model.coef_, other.coef_)
    np.testing.assert_array_equal(model.intercept_, other.intercept_)
    assert model.loss_curve_ == other.loss_curve_


# ---- storage ----


def plain(kind, *, n=90, d=11, sparse=False, seed=0, **params):
    """A case that is nothing special."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) / np.sqrt(d)
    if sparse:
        X = X * (rng.random(X.shape) < 0.3)
    margin = X @ rng.normal(size=(d, 3)) + rng.normal(size=(n, 3)) / 5
    y = {"regression": margin[:, 0], "multioutput": margin, "binary": (margin[:, 0] > 0) * 1}
    given = {
        "penalty": "l2",
        "alpha": 0.01,
        "l1_ratio": 0.3,
        "fit_intercept": True,
        "intercept_decay": None,
        "shuffle": True,
        "random_state": 3,
        "average": False,
        "positive": False,
        "max_iter": 4,
        "tol": None,
        "loss": "squared_error" if kind in ("regression", "multioutput") else "log_loss",
        "learning_rate": "constant",
        "eta0": 0.05,
        "batch_size": 16,
        **({"multi_class": "multinomial"} if kind == "multinomial" else {}),
        **params,
    }
    return strategies.Case(
        kind, given, ("SGD", {"momentum": 0.5}), X, y.get(kind, margin.argmax(axis=1)), lambda step: given["eta0"], {}
    )


def with_duplicates(X):
    """Every entry as three that add up to it, far from each other."""
    X = sp.csr_array(X)
    rows = [
        (np.concatenate([X.data[a:b] * part for part in (0.5, 1.5, -1.0)]), np.tile(X.indices[a:b], 3))
        for a, b in zip(X.indptr[:-1], X.indptr[1:], strict=True)
    ]
    data, indices = (np.concatenate(parts) for parts in zip(*rows, strict=True))
    return sp.csr_array((data, indices, 3 * X.indptr), shape=X.shape)


def named_rule(value):
    """The name of a rule, for pytest; None, so its own, for other values."""
    if isinstance(value, tuple):
        return "-".join([value[0], *(f"{key}={given}" for key, given in value[1].items())])


every_rule = pytest.mark.parametrize("rule", strategies.RULES, ids=named_rule)


def with_rule(case, rule):
    name, fields, rate = rule
    rates = schedules.InverseTime(rate, decay=0.1)
    return dataclasses.replace(case, rule=(name, fields), params={**case.params, "learning_rate": rates}, rates=rates)


@pytest.mark.parametrize(
    ("kind", "change", "rule"),
    pairs(["binary", "multinomial"], [shuffled_within_rows, with_duplicates], strategies.RULES),
    ids=named_rule,
)
def test_csr_need_not_be_canonical(kind, change, rule):
    case = with_rule(plain(kind, sparse=True, penalty="elasticnet"), rule)
    X = sp.csr_array(case.X)
    case.X = change(X)
    np.testing.assert_allclose(case.X.toarray(), X.toarray(), atol=1e-15)
    assert not case.X.has_canonical_format
    assert_equal(fit(case), judged(case), 1e-9, averaged=False)


@every_rule
@pytest.mark.parametrize("penalty", ["l2", "elasticnet"])
@pytest.mark.parametrize("kind", ["regression", "multiclass"])
def test_sparse_and_dense_rows_give_the_same_weights(kind, penalty, rule):
    # the order of blocks depends on the bytes of a row, that of single rows does not
    case = with_rule(plain(kind, sparse=True, penalty=penalty, shuffle="rows"), rule)
    case.X[::7] = 0  # empty rows
    case.X[:, 3] = 0  # a feature that never comes
    dense = fit(case)
    for index in ("csr32", "csr64"):
        model = fit(case, strategies.stored(case.X, index))
        scale = np.abs(dense.coef_).max()
        np.testing.assert_allclose(model.coef_, dense.coef_, rtol=0, atol=1e-11 * scale)
        np.testing.assert_allclose(model.intercept_, dense.intercept_, rtol=0, atol=1e-11 * scale)


def test_a_matrix_without_any_entry():
    case = plain("regression", sparse=True)
    case.X = sp.csr_array(case.X.shape)
    model = fit(case)
    assert not model.coef_.any()
    assert_equal(model, judged(case), 1e-9, averaged=False)


# ---- threads ----


# Enough work in a batch that eight threads pay, for sparse rows too: the engine takes fewer where they do not.
BITS = {"n": 8000, "d": 131, "batch_size": 4000, "max_iter": 2, "shuffle": True}


@pytest.mark.parametrize(
    ("kind", "storage", "dtype", "rule"),
    pairs(["binary", "multinomial", "multioutput"], ["C", "csr32"], [np.float32, np.float64], strategies.RULES),
    ids=named_rule,
)
def test_the_same_bits_for_any_number_of_threads(kind, storage, dtype, rule):
    case = with_rule(plain(kind, sparse=storage != "C", penalty="elasticnet", **BITS), rule)
    case.X = strategies.stored(case.X.astype(dtype), storage)
    one = fit(case, n_jobs=1)
    for n_jobs in (2, 3, 8):
        assert_same_bits(fit(case, n_jobs=n_jobs), one)


@pytest.mark.parametrize("storage", ["C", "csr64"])
@pytest.mark.parametrize("clip", [{"clip_norm": 0.05}, {"clip_value": 0.01}])
@pytest.mark.parametrize("kind", strategies.KINDS)
def test_the_same_bits_with_clipping_averages_and_signs(kind, clip, storage):
    case = plain(kind, sparse=storage != "C", average=2, positive=True, **BITS)
    case.rule = ("Adam", clip)
    case.X = strategies.stored(case.X.astype(np.float32), storage)
    one = fit(case, n_jobs=1)
    for n_jobs in (2, 3, 8):
        assert_same_bits(fit(case, n_jobs=n_jobs), one)


@pytest.mark.parametrize("storage", ["C", "csr32"])
def test_the_same_bits_every_time(storage):
    case = plain("binary", sparse=storage != "C", **BITS)
    case.X = strategies.stored(case.X, storage)
    assert_same_bits(fit(case, n_jobs=4), fit(case, n_jobs=4))


# ---- going on ----


def rows_of(case, rows):
    X = case.X[rows]
    weight = {key: value[rows] for key, value in case.fit_params.items()}
    return dataclasses.replace(case, X=X, y=case.y[rows], fit_params=weight)


@pytest.mark.parametrize(
    ("kind", "storage", "average", "rule"),
    pairs(["binary", "multinomial", "regression"], ["C", "csr32"], [False, 3], strategies.RULES),
    ids=named_rule,
)
def test_partial_fit_goes_on(kind, storage, average, rule):
    """State of the rule, steps of the schedule and averages go on; weights of samples count as they are."""
    average = average if rule[0] != "ASGD" else False  # has its own
    case = with_rule(plain(kind, sparse=storage != "C", average=average, penalty="elasticnet"), rule)
    case.fit_params = {"sample_weight": np.random.default_rng(1).uniform(0.2, 2, len(case.y))}
    case.X = strategies.stored(case.X, storage)
    model, expected = estimator(case), None
    classes = {} if kind == "regression" else {"classes": np.unique(case.y)}
    for rows in (slice(0, 40), slice(40, 90), slice(10, 60)):
        part = rows_of(case, rows)
        model.partial_fit(part.X, part.y, **classes, **part.fit_params)
        expected = judged(part, start=expected, epochs=1, whole=False)
        assert_equal(model, expected, 1e-8, averaged=average)


@pytest.mark.parametrize(
    ("storage", "average", "rule"), pairs(["C", "csr32"], [False, 3], strategies.RULES), ids=named_rule
)
def test_partial_fits_are_epochs_of_fit(storage, average, rule):
    case = with_rule(plain("multiclass", sparse=storage != "C", average=average, penalty="elasticnet"), rule)
    case.X = strategies.stored(case.X, storage)
    whole = fit(case)
    parts = estimator(case)
    for epoch in range(case.params["max_iter"]):
        if epoch == 2:
            parts = pickle.loads(pickle.dumps(parts))
        parts.partial_fit(case.X, case.y, classes=np.unique(case.y))
    assert_same_bits(parts, whole)
    assert parts.t_ == whole.t_


@every_rule
def test_a_warm_start_goes_on(rule):
    case = with_rule(plain("multinomial", penalty="elasticnet"), rule)
    whole = fit(case)
    warm = fit(case, max_iter=1, warm_start=True)
    warm = pickle.loads(pickle.dumps(warm))
    warm.set_params(max_iter=3).fit(case.X, case.y)
    np.testing.assert_array_equal(warm.coef_, whole.coef_)
    np.testing.assert_array_equal(warm.intercept_, whole.intercept_)
    assert warm.loss_curve_ == whole.loss_curve_
    assert warm.n_iter_ == 3


# ---- penalties that are larger than they should be, and other beginnings ----


@pytest.mark.parametrize("storage", ["C", "csr32"])
@pytest.mark.parametrize("penalty", ["l2", "elasticnet"])
@pytest.mark.parametrize("alpha, n", [(3.0, 300), (15.0, 3000), (20.0, 90), (30.0, 90)])
def test_weights_that_decay_fast(alpha, n, penalty, storage):
    """Factors whose product leaves the range of numbers, a factor of zero, and one that turns the weights round."""
    case = plain("binary", n=n, sparse=storage != "C", penalty=penalty, alpha=alpha, l1_ratio=1e-4, batch_size=2)
    case.rule = ("SGD", {})
    case.params |= {"max_iter": 2}
    case.X = strategies.stored(case.X, storage)
    assert_equal(fit(case), judged(case), 1e-9, averaged=False)


@pytest.mark.parametrize(
    ("storage", "penalty", "rule"), pairs(["C", "csr64"], ["l2", "elasticnet"], strategies.RULES), ids=named_rule
)
def test_training_begins_where_it_is_told_to(storage, penalty, rule):
    case = with_rule(plain("multinomial", sparse=storage != "C", penalty=penalty), rule)
    case.X = strategies.stored(case.X, storage)
    rng = np.random.default_rng(4)
    start = minibatch.Model(rng.normal(size=(3, 11)), rng.normal(size=3))
    start.coef[:, :3] = 0
    model = estimator(case).fit(case.X, case.y, coef_init=start.coef, intercept_init=start.intercept)
    assert_equal(model, judged(case, start=start), 1e-9, averaged=False)


# ---- when it ends ----


@pytest.mark.parametrize("rate", ["constant", "adaptive"])
@pytest.mark.parametrize("batch_size", [16, "full"])
def test_it_stops_where_the_loss_curve_says(batch_size, rate):
    case = plain("multinomial", batch_size=batch_size, learning_rate=rate, tol=1e-3, n_iter_no_change=2, max_iter=500)
    model = fit(case)
    eta, expected, best, idle = 0.05, None, np.inf, 0
    for _ in range(500):
        case.rates = lambda step, eta=eta: eta
        expected = judged(case, start=expected, epochs=1)
        idle = idle + 1 if expected.loss_curve[-1] > best - 1e-3 * min(best, 1e9) else 0
        best = min(best, expected.loss_curve[-1])
        if idle >= 2:
            if rate == "constant" or eta <= 1e-6:
                break
            eta, idle = eta / 5, 0
    assert model.stop_reason_ in ("converged", "stalled")  # a constant rate ends where its noise does
    assert model.n_iter_ == len(expected.loss_curve) > 5
    assert_equal(model, expected, 1e-9, averaged=False)


@every_kind
def test_early_stopping_trains_on_the_other_rows(kind):
    case = plain(kind, random_state=0, n_iter_no_change=3)
    stopped = fit(case, early_stopping=True, max_iter=4)
    splitter = ShuffleSplit if kind in ("regression", "multioutput") else StratifiedShuffleSplit
    train, _ = next(splitter(test_size=0.1, random_state=0).split(np.zeros((90, 1)), case.y))
    other = rows_of(case, np.sort(train))
    plainly = fit(other, max_iter=stopped.n_iter_)
    assert_same_bits(stopped, plainly)
    assert len(stopped.validation_scores_) == stopped.n_iter_


# ---- automatic rates, in the first epoch, before a plateau can have come ----


@pytest.mark.parametrize(
    "rule", [rule for rule in strategies.RULES if getattr(optimizers, rule[0]).linear_rate is not None], ids=str
)
@pytest.mark.parametrize("rate", ["optimal", "invscaling"])
def test_rates_of_rules_that_scale_their_steps(rate, rule):
    case = plain("multinomial", learning_rate=rate, eta0=0.07, power_t=0.4, max_iter=1)
    case.rule = rule[:2]
    usual = getattr(optimizers, rule[0])().linear_rate
    case.rates = (lambda step: usual) if rate == "optimal" else (lambda step: 7 * usual / (step + 1) ** 0.4)
    assert_equal(fit(case), judged(case, units=standard(case)), 1e-9, averaged=False)


def test_rates_of_plain_steps_are_those_of_their_samples_together():
    # small enough to be under the cap
    case = plain("regression", n=91, batch_size=8, learning_rate="invscaling", eta0=1e-3, power_t=0.3, max_iter=1)
    case.rule = ("SGD", {})
    case.rates = lambda step: min(8, 91 - 8 * step) * 1e-3 / (1 + 8 * step) ** 0.3
    assert_equal(fit(case), judged(case, units=standard(case)), 1e-9, averaged=False)


def test_a_warm_start_goes_on_with_automatic_rates():
    case = plain("regression", n=300, max_iter=30, learning_rate="invscaling", power_t=0.25)
    case.params["eta0"] = 0.1
    whole = fit(case, optimizer="sgd")
    warm = fit(case, optimizer="sgd", max_iter=10, warm_start=True)
    warm.set_params(max_iter=20).fit(case.X, case.y)
    np.testing.assert_array_equal(warm.coef_, whole.coef_)
    assert warm.loss_curve_ == whole.loss_curve_
    assert warm.n_iter_ == 20


# ---- the edges ----


@every_kind
@pytest.mark.parametrize("batch_size", [89, 90, 91, 10**9, "full"])
def test_batches_of_about_all_rows(kind, batch_size):
    case = plain(kind, batch_size=batch_size)
    model = fit(case)
    assert_equal(model, judged(case), 1e-9, averaged=False)
    if batch_size != 89:
        assert_same_bits(model, fit(case, batch_size="full"))


@every_kind
def test_full_batches_do_not_depend_on_the_order_but_for_rounding(kind):
    case = plain(kind, batch_size="full")
    one = fit(case)
    np.testing.assert_allclose(fit(case, shuffle=False).coef_, one.coef_, rtol=1e-10)
    np.testing.assert_allclose(fit(case, random_state=8).coef_, one.coef_, rtol=1e-10)


def test_one_row():
    case = plain("regression", n=1, batch_size=4)
    assert_equal(fit(case), judged(case), 1e-9, averaged=False)


@pytest.mark.parametrize("storage", ["C", "csr32"])
def test_rows_of_weight_zero_are_as_if_they_were_not_there_but_for_the_size_of_their_batch(storage):
    case = plain("binary", sparse=storage != "C", batch_size="full")
    weight = np.where(np.arange(90) % 3 == 0, 0.0, 1.0)
    case.fit_params = {"sample_weight": weight}
    kept = rows_of(case, weight > 0)
    for each in (case, kept):
        each.X = strategies.stored(each.X, storage)
    np.testing.assert_allclose(fit(case).coef_, fit(kept).coef_, rtol=1e-10)


@pytest.mark.parametrize("multi_class", ["ovr", "multinomial"])
def test_a_class_of_one_row_and_batches_without_it(multi_class):
    case = plain("multinomial" if multi_class == "multinomial" else "multiclass", batch_size=7, shuffle=False)
    order = np.argsort(case.y, kind="stable")
    case.X, case.y = case.X[order], case.y[order].copy()
    case.y[-1] = 9
    assert_equal(fit(case), judged(case), 1e-9, averaged=False)


@pytest.mark.parametrize("multi_class", ["ovr", "multinomial"])
def test_blocks_mix_data_that_are_sorted_by_class(multi_class):
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(4), 500)
    X = rng.normal(size=(2000, 8)) + 2 * np.eye(8)[y]
    params = {"batch_size": 64, "learning_rate": "constant", "eta0": 0.5, "max_iter": 3, "tol": None, "random_state": 0}
    scores = {}
    for shuffle in strategies.SHUFFLES:
        model = SGDClassifier(loss="log_loss", multi_class=multi_class, shuffle=shuffle, **params).fit(X, y)
        scores[shuffle] = model.score(X, y)
    assert scores[True] > scores["rows"] - 0.01
    assert scores["rows"] > scores[False] + 0.05  # the data are a trap
