"""The mini-batch engine equals its reference, whatever the model, the data, the rule and the order of rows."""

import pickle

import numpy as np
import pytest
import scipy.sparse as sp
from fusedgrad import _core, losses, optimizers, schedules
from fusedgrad.linear_model import SGDClassifier, SGDRegressor
from hypothesis import HealthCheck, given, settings
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from ..reference.losses import CLASSIFICATION
from ..reference.rules import VARIANTS, suited
from . import minibatch_strategies as strategies
from .batches import assert_equal, every_kind, fit, judged

pytestmark = pytest.mark.filterwarnings("ignore", category=ConvergenceWarning)


RTOL = {np.float64: 1e-9, np.float32: 1e-3}


REGRESSION = strategies.REGRESSION_LOSSES


repeatably = settings(
    max_examples=100, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)


# ---- the engine's side ----


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


@pytest.mark.parametrize("penalty", ["l2", "l1", "elasticnet"])
@pytest.mark.parametrize("optimizer", VARIANTS, ids=repr)
@pytest.mark.parametrize("columns", [12, 2000])  # all features are swept, and those that a batch lacks wait
def test_features_that_a_batch_lacks_meet_the_penalty_too(optimizer, penalty, columns):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(90, columns)) * (rng.random((90, columns)) < 3 / columns)
    X[::3, 0] = 1.0
    y = X @ rng.normal(size=columns) + 1
    options = {"penalty": penalty, "alpha": 0.02, "l1_ratio": 0.5, "shuffle": False, "batch_size": 4}
    rates = {"learning_rate": "constant", "eta0": suited(optimizer), "max_iter": 3, "tol": None}
    model = SGDRegressor(optimizer=optimizer, **options, **rates)
    dense, sparse = (clone(model).fit(x, y).coef_ for x in (X, sp.csr_array(X)))
    np.testing.assert_allclose(sparse, dense, rtol=1e-9, atol=1e-12)


def test_the_strategy_reaches_every_option():
    seen = set()

    @settings(repeatably, max_examples=500)
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
    for call in (model.partial_fit, model.fit):
        with pytest.raises(ValueError, match=f"Input X contains {said}"):
            call(storage(X), y, sample_weight=weight)
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
