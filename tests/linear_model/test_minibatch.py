"""The mini-batch engine equals its judge, whatever the model, the data, the rule, the storage and the threads."""

import dataclasses
import pickle

import numpy as np
import pytest
import scipy.sparse as sp
from fusedgrad import _core, losses, optimizers, schedules
from fusedgrad.linear_model import SGDClassifier, SGDRegressor
from hypothesis import HealthCheck, given, settings
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import ShuffleSplit, StratifiedShuffleSplit
from sklearn.utils import compute_class_weight

from ..reference import minibatch, sgd
from ..reference.losses import CLASSIFICATION
from . import minibatch_strategies as strategies

pytestmark = pytest.mark.filterwarnings("ignore", category=ConvergenceWarning)

RTOL = {np.float64: 1e-9, np.float32: 1e-3}
REGRESSION = strategies.REGRESSION_LOSSES
repeatably = settings(
    max_examples=300, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)
every_kind = pytest.mark.parametrize("kind", strategies.KINDS)


# ---- the judge's side ----


def dense64(X):
    return (X.toarray() if sp.issparse(X) else X).astype(float)


def targets_and_weights(case):
    """Targets (rows, outputs) as the loss codes them, and the products of sample and class weights."""
    y, dtype = case.y, case.X.dtype
    weight = np.ones(len(y)) if "sample_weight" not in case.fit_params else case.fit_params["sample_weight"]
    weight = weight.astype(dtype).astype(float)
    if case.kind in ("regression", "multioutput"):
        return y.astype(dtype).astype(float).reshape(len(y), -1), weight
    classes = np.unique(y)
    of_class = np.ones(len(classes))
    inside = y[:, None] == classes
    if case.params.get("class_weight") == "balanced":
        of_rows = weight @ inside
        of_class = np.divide(of_rows.sum(), len(classes) * of_rows, out=0 * of_rows, where=of_rows > 0)
    elif case.params.get("class_weight") is not None:
        of_class = compute_class_weight(case.params["class_weight"], classes=classes, y=y)
    if case.kind == "multinomial":
        return inside.astype(float), weight * of_class[inside.argmax(axis=1)]
    negative = losses.get(case.params["loss"]).negative
    if case.kind == "binary":
        return np.where(inside[:, 1:], 1.0, negative), weight * of_class[inside.argmax(axis=1)]
    return np.where(inside, 1.0, negative), weight[:, None] * np.where(inside, of_class, 1.0)


def seed_of(case):
    random_state = case.params["random_state"]
    if case.kind in ("regression", "multioutput"):
        return sgd.regression_seed(random_state)
    if case.kind == "binary":
        return sgd.binary_seed(random_state)
    return sgd.binary_seed(np.random.RandomState(random_state).randint(sgd.MAX_INT, size=len(np.unique(case.y)))[0])


def order_of(X, batch_size, shuffle, seed, epoch):
    if sp.issparse(X):
        row_bytes = X.nnz / X.shape[0] * (X.data.itemsize + X.indices.itemsize)
    else:
        row_bytes = X.shape[1] * X.itemsize
    n = X.shape[0]
    size = n if batch_size == "full" else min(batch_size, n)
    return _core.row_order(n, size, row_bytes, {False: 0, True: 1, "rows": 2}[shuffle], seed, epoch)


def moments_of(X):
    """Where rows are short against the number of features, the penalty is sampled less often."""
    return int(np.clip(8 * max(1, X.nnz / X.shape[0]) * X.shape[0] / X.shape[1], 2, 16)) if sp.issparse(X) else 16


def judged(case, *, start=None, epochs=None, whole=True):
    """What the reference makes of a case; `epochs` as many as max_iter says, `whole` as in `fit`."""
    params = case.params
    Y, weight = targets_and_weights(case)
    alpha, penalty = params["alpha"], params["penalty"]
    ratio = {"l2": 0.0, "l1": 1.0, "elasticnet": params["l1_ratio"], None: None}[penalty]
    name, fields = case.rule
    optimizer = getattr(optimizers, name)(**fields)
    own = {"weight_decay": optimizer.penalty["coupled"], "decay": optimizer.penalty["decay"]}
    own |= {"clip_norm": optimizer.clip_norm, "clip_value": optimizer.clip_value}
    decay = 1.0 if params["intercept_decay"] is None else params["intercept_decay"]
    loss = "softmax" if case.kind == "multinomial" else params["loss"]
    first = len(start.loss_curve) if start else 0
    orders = [
        order_of(case.X, params["batch_size"], params["shuffle"], seed_of(case), epoch)
        for epoch in range(first, first + (epochs or params["max_iter"]))
    ]
    return minibatch.train(
        dense64(case.X),
        Y,
        loss=loss,
        fields={key: params[key] for key in losses.get(params["loss"]).fields},
        rule=optimizer.rule,
        rates=case.rates,
        batch_size=params["batch_size"],
        orders=orders,
        weight=weight,
        whole=whole,
        l1=0.0 if ratio is None else alpha * ratio,
        l2=0.0 if ratio is None else alpha * (1 - ratio),
        positive=params["positive"],
        intercept_decay=decay if params["fit_intercept"] else 0.0,
        average=int(params["average"]),
        moments=moments_of(case.X),
        start=start,
        **own,
    )


# ---- the engine's side ----


def estimator(case, **changes):
    name, fields = case.rule
    kind = SGDRegressor if case.kind in ("regression", "multioutput") else SGDClassifier
    return kind(**{"optimizer": getattr(optimizers, name)(**fields), **case.params, **changes})


def fit(case, X=None, **changes):
    return estimator(case, **changes).fit(case.X if X is None else X, case.y, **case.fit_params)


def assert_equal(model, expected, rtol, *, averaged):
    coef, intercept = expected.answer(averaged=averaged)
    # one scale for the coefficients and the intercepts: they enter the same sum
    scale = max(np.abs(coef).max(), np.abs(intercept).max(), 1e-6)
    assert model.coef_.shape in (coef.shape, coef.shape[1:])
    np.testing.assert_allclose(np.atleast_2d(model.coef_), coef, rtol=0, atol=rtol * scale)
    np.testing.assert_allclose(model.intercept_, intercept, rtol=0, atol=rtol * scale)
    np.testing.assert_allclose(model.loss_curve_, expected.loss_curve, rtol=rtol, atol=rtol)


def assert_same_bits(model, other):
    np.testing.assert_array_equal(model.coef_, other.coef_)
    np.testing.assert_array_equal(model.intercept_, other.intercept_)
    assert model.loss_curve_ == other.loss_curve_


@every_kind
def test_fit(kind):
    @repeatably
    @given(strategies.cases(kinds=(kind,)))
    def check(case):
        model, expected = fit(case), judged(case)
        assert model.coef_.dtype == case.X.dtype
        assert model.n_iter_ == case.params["max_iter"] == len(expected.loss_curve)
        assert_equal(model, expected, RTOL[case.X.dtype.type], averaged=case.params["average"])

    check()


def test_the_strategy_reaches_every_option():
    seen = set()

    @settings(repeatably, max_examples=1000)
    @given(strategies.cases())
    def collect(case):
        n, batch_size = case.X.shape[0], case.params["batch_size"]
        for name in ("kind", "rule"):
            seen.add((name, getattr(case, name) if name == "kind" else case.rule[0]))
        for name in ("loss", "penalty", "shuffle", "positive", "fit_intercept"):
            seen.add((name, case.params[name]))
        seen.add(("dtype", case.X.dtype.name))
        seen.add(("sparse", case.X.indices.dtype.name if sp.issparse(case.X) else ""))
        seen.add(("contiguous", not sp.issparse(case.X) and case.X.flags.c_contiguous))
        seen.add(("clip", tuple(sorted(key for key in case.rule[1] if key.startswith("clip")))))
        seen.add(("average", case.params["average"] if isinstance(case.params["average"], bool) else "int"))
        seen.add(("tail", case.X.shape[1] % 16))
        if batch_size == "full":
            seen.add(("batch", "full"))
        else:
            short = "larger" if batch_size > n else "short last" if n % batch_size else "even"
            seen.update({("batch", short), ("batch", "one" if batch_size == 1 else "several")})

    collect()
    wanted = {
        "kind": strategies.KINDS,
        "rule": {name for name, *_ in strategies.RULES},
        "loss": {*SGDClassifier.loss_functions, *SGDRegressor.loss_functions},
        "penalty": ("l1", "l2", "elasticnet", None),
        "shuffle": strategies.SHUFFLES,
        "positive": (False, True),
        "fit_intercept": (False, True),
        "dtype": ("float32", "float64"),
        "sparse": ("", "int32", "int64"),
        "contiguous": (False, True),
        "clip": ((), ("clip_norm",), ("clip_value",), ("clip_norm", "clip_value")),
        "average": (False, True, "int"),
        "tail": range(16),
        "batch": ("full", "larger", "short last", "even", "one", "several"),
    }
    assert {(name, value) for name, values in wanted.items() for value in values} <= seen


# ---- the order of rows ----


@pytest.mark.parametrize("dtype, rtol", [(np.float32, 1e-6), (np.float64, 1e-14)])
@pytest.mark.parametrize("name", losses.names())
def test_losses_are_exact_in_the_type_of_the_data(name, dtype, rtol):
    loss = losses.get(name)
    rng = np.random.default_rng(0)
    far = 80 if losses.get(name).curvature < np.inf else 20
    p = np.concatenate([rng.normal(0, 3, 300), rng.uniform(-far, far, 300)]).astype(dtype)
    # Of row i, feature i alone is not zero: its margin is its weight, and its step the slope. The rate is so large that
    # what the weight was is a rounding error.
    X, rate = np.eye(len(p), dtype=dtype), 2.0**40
    classes = name in CLASSIFICATION
    y = rng.integers(2, size=len(p)) if classes else np.abs(np.round(p + rng.normal(size=len(p)), 3))
    target = np.where(y == 1, 1.0, loss.negative) if classes else y.astype(dtype)
    model = (SGDClassifier if classes else SGDRegressor)(
        loss=name,
        alpha=0,
        batch_size="full",
        learning_rate=schedules.Constant(len(p) * rate),
        fit_intercept=False,
        max_iter=1,
        **({"epsilon": loss.fields["epsilon"]} if "epsilon" in loss.fields else {}),
    ).fit(X, y, coef_init=p)
    value, slope = loss.value(target, p.astype(float)), loss.slope(target, p.astype(float))
    found = (p.astype(float) - model.coef_.ravel()) / rate
    # beside small slopes stand the rounding errors of the weight, and of p - y or 1 - y p
    atol = far / rate if name == "log_loss" else far * np.finfo(dtype).eps
    np.testing.assert_allclose(found, slope, rtol=rtol, atol=atol)
    np.testing.assert_allclose(model.loss_curve_[0], value.mean(), rtol=rtol)


@pytest.mark.parametrize("value, said", [(np.nan, "NaN"), (np.inf, "infinity"), (-np.inf, "infinity")])
@pytest.mark.parametrize("storage", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("rule", [optimizers.SGD(clip_value=0.1), optimizers.Lion(), optimizers.FTRL()])
@pytest.mark.parametrize("loss", [*losses.names(), "multinomial"])
def test_training_notices_x_that_is_not_finite(loss, rule, storage, value, said):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 12)), rng.integers(3, size=60) + (loss == "gamma")
    kind = SGDRegressor if losses.get("hinge" if loss == "multinomial" else loss).name in REGRESSION else SGDClassifier
    params = {"loss": "log_loss", "multi_class": loss} if loss == "multinomial" else {"loss": loss}
    model = kind(**params, batch_size=16, optimizer=rule, learning_rate=schedules.Constant(0.1), max_iter=1)
    model.partial_fit(storage(X), y, **({"classes": [0, 1, 2]} if kind is SGDClassifier else {}))
    before = pickle.dumps(model)
    weight = np.ones(60)
    weight[-1] = 0  # the row counts for nothing, and is looked at
    X[-1, 5] = value
    for fit in (model.partial_fit, model.fit):
        with pytest.raises(ValueError, match=f"Input X contains {said}"):
            fit(storage(X), y, sample_weight=weight)
        assert pickle.dumps(model) == before


@pytest.mark.parametrize("n", [1, 2, 7, 1000])
def test_rows_are_drawn_from_64_bits(n):
    """SplitMix64, and Fisher-Yates by the high half of a product of 128 bits: no row is likelier than another."""
    word = 2**64 - 1

    def numbers(state):
        while True:
            state = (state + 0x9E3779B97F4A7C15) & word
            z = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9 & word
            z = (z ^ (z >> 27)) * 0x94D049BB133111EB & word
            yield z ^ (z >> 31)

    seed, epoch = 12345, 7
    draws = numbers(next(numbers(seed)) ^ epoch)
    next(draws)  # where the first block begins, of which there is one place
    order = list(range(n))
    for i in range(n - 1):
        j = i + (next(draws) * (n - i) >> 64)
        order[i], order[j] = order[j], order[i]
    np.testing.assert_array_equal(_core.row_order(n, 4, 8.0, 2, seed, epoch), order)


@pytest.mark.parametrize("n", [1, 2, 63, 1000])
@pytest.mark.parametrize("batch_size", [1, 16, 100, 1000])
@pytest.mark.parametrize("row_bytes", [0.0, 8.0, 400.0, 1e6])
@pytest.mark.parametrize("shuffle", [0, 1, 2])
def test_the_order_is_a_permutation(n, batch_size, row_bytes, shuffle):
    order = _core.row_order(n, batch_size, row_bytes, shuffle, 7, 3)
    assert order.dtype == np.uint32
    np.testing.assert_array_equal(np.sort(order), np.arange(n))
    np.testing.assert_array_equal(order, _core.row_order(n, batch_size, row_bytes, shuffle, 7, 3))


def test_orders_differ_between_epochs_and_seeds():
    for shuffle in (1, 2):
        orders = {tuple(_core.row_order(200, 32, 8.0, shuffle, seed, epoch)) for seed in range(5) for epoch in range(5)}
        assert len(orders) == 25
    np.testing.assert_array_equal(_core.row_order(200, 32, 8.0, 0, 1, 1), np.arange(200))


def test_blocks_are_adjacent_rows_of_four_pages_and_at_most_a_sixteenth_of_a_batch():
    for batch_size, row_bytes, block in ((1600, 400.0, 40), (64, 400.0, 4), (16, 400.0, 1), (1600, 16384.0, 1)):
        order = _core.row_order(10_000, batch_size, row_bytes, 1, 5, 0).astype(int)
        runs = np.count_nonzero(np.diff(order) != 1) + 1
        # two blocks that happen to follow each other are one run
        assert 0.97 * 10_000 / block < runs <= 10_000 // block + 2


def test_each_row_is_equally_likely_everywhere():
    # mean place of each row over 400 epochs: for a fair shuffle within 6 standard deviations of the middle
    for shuffle in (1, 2):
        places = np.zeros(300)
        for epoch in range(400):
            order = _core.row_order(300, 64, 400.0, shuffle, 11, epoch)
            places[order] += np.arange(300)
        deviations = (places / 400 - 149.5) / (300 / np.sqrt(12 * 400))
        assert np.abs(deviations).max() < 6


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


def shuffled_within_rows(X):
    X = X.copy()
    for begin, end in zip(X.indptr[:-1], X.indptr[1:], strict=True):
        order = np.random.default_rng(begin).permutation(end - begin) + begin
        X.indices[begin:end], X.data[begin:end] = X.indices[order], X.data[order]
    X.has_sorted_indices = False
    return X


def with_duplicates(X):
    """Every entry as three that add up to it, far from each other."""
    X = sp.csr_array(X)
    rows = [
        (np.concatenate([X.data[a:b] * part for part in (0.5, 1.5, -1.0)]), np.tile(X.indices[a:b], 3))
        for a, b in zip(X.indptr[:-1], X.indptr[1:], strict=True)
    ]
    data, indices = (np.concatenate(parts) for parts in zip(*rows, strict=True))
    return sp.csr_array((data, indices, 3 * X.indptr), shape=X.shape)


every_rule = pytest.mark.parametrize(
    "rule",
    strategies.RULES,
    ids=lambda rule: "-".join([rule[0], *(f"{key}={value}" for key, value in rule[1].items())]),
)


def with_rule(case, rule):
    name, fields, rate = rule
    rates = schedules.InverseTime(rate, decay=0.1)
    return dataclasses.replace(case, rule=(name, fields), params={**case.params, "learning_rate": rates}, rates=rates)


@every_rule
@pytest.mark.parametrize("change", [shuffled_within_rows, with_duplicates])
@pytest.mark.parametrize("kind", ["binary", "multinomial"])
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


@every_rule
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("storage", ["C", "csr32"])
@pytest.mark.parametrize("kind", ["binary", "multinomial", "multioutput"])
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


@every_rule
@pytest.mark.parametrize("average", [False, 3])
@pytest.mark.parametrize("storage", ["C", "csr32"])
@pytest.mark.parametrize("kind", ["binary", "multinomial", "regression"])
def test_partial_fit_goes_on(kind, storage, average, rule):
    """State of the rule, steps of the schedule and averages go on; weights of samples count as they are."""
    if average and rule[0] == "ASGD":
        pytest.skip("has its own average")
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


@every_rule
@pytest.mark.parametrize("average", [False, 3])
@pytest.mark.parametrize("storage", ["C", "csr32"])
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


@every_rule
@pytest.mark.parametrize("penalty", ["l2", "elasticnet"])
@pytest.mark.parametrize("storage", ["C", "csr64"])
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
        idle = idle + 1 if expected.loss_curve[-1] > best - 1e-3 else 0
        best = min(best, expected.loss_curve[-1])
        if idle >= 2:
            if rate == "constant" or eta <= 1e-6:
                break
            eta, idle = eta / 5, 0
    assert model.stop_reason_ == "converged"
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
    case.rates = (lambda step: usual) if rate == "optimal" else (lambda step: 0.07 / (step + 1) ** 0.4)
    assert_equal(fit(case), judged(case), 1e-9, averaged=False)


def test_rates_of_plain_steps_are_those_of_their_samples_together():
    # small enough to be under the cap
    case = plain("regression", n=91, batch_size=8, learning_rate="invscaling", eta0=1e-3, power_t=0.3, max_iter=1)
    case.rule = ("SGD", {})
    case.rates = lambda step: min(8, 91 - 8 * step) * 1e-3 / (1 + 8 * step) ** 0.3
    assert_equal(fit(case), judged(case), 1e-9, averaged=False)


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
