"""Steps of every update rule equal its reference, with any option, decay, clipping and rate; the same bits anywhere."""

import pickle

import numpy as np
import pytest
from fusedgrad.linear_model import SGDRegressor
from fusedgrad.neural_network import NeuralRegressor
from fusedgrad.optimizers import (
    ASGD,
    FTRL,
    SGD,
    RMSprop,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from ..child import forked
from ..reference.rules import OPTIMIZERS, VARIANTS
from .steps import (
    CLASSES,
    DTYPES,
    FLOAT32,
    SHAPES,
    assert_near,
    bits,
    every_class,
    every_decay,
    every_dtype,
    every_variant,
    falling,
    flat,
    problem,
    reference,
    run,
    vars_of,
    ways,
    with_rate,
)

LENGTHS = tuple((n,) for n in range(68))  # ends that do not fill a register


@pytest.mark.parametrize("rate", [1e-8, 0.01, 1e3])
@every_dtype
@every_variant
def test_steps_equal_the_reference(variant, dtype, rate):
    ws, gs = problem(LENGTHS, dtype, 200)
    ours, state = run(with_rate(variant, rate), ws, gs)
    expected, room, kept = reference(variant, ws, gs, [rate] * 200)
    assert_near(flat(ours), expected, room)
    assert state.step == 200
    if isinstance(variant, ASGD):
        assert_near(flat([state.average(i) for i in range(len(ws))]), kept["average"], room)
    if dtype == np.float64:
        assert room.max() < 1e-3 * np.abs(expected - flat(ws)).max()  # or nothing would be compared


@every_dtype
@every_variant
def test_steps_of_long_arrays_equal_the_reference(variant, dtype):
    ws, gs = problem(((100_000,),), dtype, 4)
    optimizer = with_rate(variant, 0.01)
    ours, _ = run(optimizer, ws, gs)
    assert_near(flat(ours), *reference(optimizer, ws, gs, [0.01] * 4)[:2])


@every_decay
@every_dtype
@every_class
def test_decay_and_clipping_equal_the_reference(kind, dtype, options):
    for optimizer in ways(kind, **options):
        ws, gs = problem(SHAPES, dtype, 100)
        ours, _ = run(optimizer, ws, gs)
        assert_near(flat(ours), *reference(optimizer, ws, gs, [0.01] * 100)[:2])


@every_dtype
@every_variant
def test_schedules_equal_the_reference(variant, dtype):
    steps = []

    def schedule(step):
        steps.append(step)
        return 0.1 / (1 + step % 10)

    ws, gs = problem(SHAPES, dtype, 60)
    ours, _ = run(with_rate(variant, schedule), ws, gs)
    assert steps == list(range(60)) and {type(step) for step in steps} == {int}
    assert_near(flat(ours), *reference(variant, ws, gs, list(map(schedule, range(60))))[:2])


@every_variant
def test_a_rate_of_zero_moves_nothing(variant):
    ws, gs = problem(((20,),), np.float64, 6)
    ours, state = run(with_rate(variant, lambda step: 0.0), ws, gs[:3])
    assert bits(ours) == bits(ws)
    optimizer = with_rate(variant, lambda step: 0.1 if step >= 3 else 0.0)
    for g in gs[3:]:
        optimizer.step(ours, g, state)
    assert np.isfinite(ours[0]).all() and np.abs(ours[0] - ws[0]).max() > 1e-4


@every_variant
def test_without_gradient_nothing_moves(variant):
    variant = with_rate(variant, None, weight_decay=0.0, **({"lambd": 0.0} if isinstance(variant, ASGD) else {}))
    ws, _ = problem(((20,),), np.float32, 1)
    ours, _ = run(with_rate(variant, 0.1), ws, [[np.zeros(20, np.float32)]] * 5)
    tolerance = 4 * FLOAT32.eps if isinstance(variant, FTRL) else 0  # it divides, after l1 has been taken off
    np.testing.assert_allclose(ours[0], ws[0], rtol=tolerance, atol=tolerance)


def test_a_variance_below_zero_counts_as_zero():
    # equal gradients: the mean of squares and the square of the mean differ by rounding alone
    optimizer = RMSprop(0.01, alpha=0.5, centered=True, epsilon=1.0)
    w, g = np.zeros(1000, np.float32), np.random.default_rng(0).normal(size=1000).astype(np.float32)
    state = optimizer.init(w)
    for _ in range(100):
        optimizer.step(w, g, state)
    v, a = map(np.float64, state.slots[0])
    assert (v - a**2 < 0).any() and np.isfinite(w).all()


def test_divergence_shows():
    for variant in VARIANTS:
        w = np.ones(40)
        optimizer = with_rate(variant, 0.1)
        state = optimizer.init(w)
        g = np.where(np.arange(40) == 33, np.nan, 1.0)
        optimizer.step(w, g, state)
        optimizer.step(w, np.ones(40), state)
        assert np.isnan(w[33]) and np.isfinite(np.delete(w, 33)).all(), variant


DIVIDING = [kind for kind in CLASSES if "epsilon" in vars_of(kind())]
WITHOUT_EPSILON = [with_rate(v, 0.1, epsilon=0.0, weight_decay=0.0) for v in VARIANTS if type(v) in DIVIDING]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("optimizer", WITHOUT_EPSILON, ids=repr)
def test_without_epsilon_a_gradient_of_zero_moves_nothing(optimizer, dtype):
    w = np.ones(4, dtype)
    state = optimizer.init(w)
    g = np.array([0.0, 0.0, 1.0, -1e-3], dtype)
    for _ in range(10):
        optimizer.step(w, g, state)
    np.testing.assert_array_equal(w[:2], [1, 1])
    moves = "moves without epsilon" not in OPTIMIZERS[type(optimizer)].without
    assert np.isfinite(w).all() and (w[2] < 1 < w[3] or not moves)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("epsilon", [0.0, 1e-300, 1e-30])
@pytest.mark.parametrize("kind", [k for k in DIVIDING if "small gradients" not in OPTIMIZERS[k].without])
def test_gradients_whose_squares_vanish_make_no_leaps(kind, epsilon, dtype):
    """The square of 1e-20 is no normal float, that of 1e-160 no normal double."""
    for size in (1e-3, 1e-10, 1e-20, 1e-30, 1e-100, 1e-160, 1e-300):
        w = np.ones(3, dtype)
        optimizer = kind(0.1, epsilon=epsilon, weight_decay=0.0)
        state = optimizer.init(w)
        for _ in range(10):
            optimizer.step(w, np.full(3, size, dtype), state)
            assert (np.abs(w - 1) <= 10).all(), size  # RMSprop's first step is ten times the rate


def test_numbers_too_small_to_be_normal_count_as_zero():
    optimizer = SGD(0.1, momentum=0.5)
    w = np.ones(100, np.float32)
    state = optimizer.init(w)
    optimizer.step(w, np.ones_like(w), state)
    for _ in range(130):
        optimizer.step(w, np.zeros_like(w), state)
    assert (state.slots[0][0] == 0).all()  # and not 2^-130
    assert FLOAT32.tiny / np.float32(2) > 0  # but not for others


# ---- the same bits ----


@pytest.mark.parametrize("n_jobs", [2, 3, 8, -1, 10**12])
@every_dtype
@every_class
def test_same_bits_for_any_number_of_threads(kind, dtype, n_jobs):
    optimizer = kind(0.01, weight_decay=0.01, clip_value=5.0, clip_norm=10.0)
    ws, gs = problem(((30_011,), (5,), (3, 4_001), (0,), (4096,)), dtype, 3)
    one, other = run(optimizer, ws, gs, n_jobs=1), run(optimizer, ws, gs, n_jobs=n_jobs)
    assert bits(one[0]) == bits(other[0])
    for a, b in zip(one[1].slots, other[1].slots, strict=True):
        assert bits(a) == bits(b)


@every_dtype
@every_variant
def test_a_coordinate_moves_by_itself(variant, dtype):
    """Neither its place nor its neighbours matter, and a rule turned round moves the other way."""
    optimizer = with_rate(variant, 0.01, weight_decay=0.1)
    (w,), gs = problem(((45,),), dtype, 5)
    (together,), _ = run(optimizer, [w], gs)
    alone, _ = run(optimizer, [w[i : i + 1] for i in range(45)], [[g[i : i + 1] for i in range(45)] for (g,) in gs])
    turned, _ = run(optimizer, [-w[::-1]], [[np.ascontiguousarray(-g[::-1])] for (g,) in gs])
    assert np.concatenate(alone).tobytes() == together.tobytes()
    np.testing.assert_array_equal(-turned[0][::-1], together)


@settings(max_examples=50, deadline=None)
@given(
    st.sampled_from(VARIANTS),
    st.sampled_from(DTYPES),
    st.lists(st.lists(st.integers(0, 5), max_size=3).map(tuple), min_size=1, max_size=5),
    st.integers(0, 12),
    st.integers(0, 12),
    st.sampled_from([None, 1.0]),
)
def test_going_on_equals_not_having_stopped(variant, dtype, shapes, first, rest, clip_norm):
    optimizer = with_rate(variant, falling, clip_norm=clip_norm)
    ws, gs = problem(tuple(shapes), dtype, first + rest)
    straight, _ = run(optimizer, ws, gs)
    ours, state = run(optimizer, ws, gs[:first])
    optimizer, ours, state = pickle.loads(pickle.dumps((optimizer, ours, state)))
    for g in gs[first:]:
        optimizer.step(ours, g, state)
    assert bits(ours) == bits(straight)
    assert state.step == first + rest


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.integers(0, 10_000), min_size=1, max_size=4),
    st.floats(1e-3, 1e3),
    st.sampled_from(DTYPES),
    st.integers(0, 99),
)
def test_clipped_steps_keep_their_direction_and_not_more_than_the_norm(sizes, clip_norm, dtype, seed):
    rng = np.random.default_rng(seed)
    gs = [rng.normal(size=n).astype(dtype) for n in sizes]
    ws = [np.zeros_like(g) for g in gs]
    SGD(1.0, clip_norm=clip_norm).step(ws, gs, SGD().init(ws))
    step, g = -np.concatenate(ws).astype(float), np.concatenate(gs).astype(float)
    norm = np.linalg.norm(g)
    # the squares of up to 40,000 numbers are added in an order that depends on the width of registers
    np.testing.assert_allclose(step, g * min(1, clip_norm / (norm + 1e-6)), rtol=16 * np.finfo(dtype).eps)


def test_a_gradient_that_is_what_moves_is_refused():
    a, b = np.ones(4), np.ones(4)
    sgd = SGD(0.1, momentum=0.9)
    state = sgd.init([a, b])
    cases = {
        r"grads\[0\] shares memory with params\[1\]": [b, a],
        r"grads\[1\] shares memory with params\[0\]": [np.ones(4), a],
        r"grads\[0\] shares memory with state.slots\[1\]\[0\]": [state.slots[1][0], np.ones(4)],
    }
    for message, grads in cases.items():
        with pytest.raises(ValueError, match=message):
            sgd.step([a, b], grads, state)
    long = np.ones(9)
    with pytest.raises(ValueError, match=r"grads\[1\] shares memory with params\[0\]"):
        sgd.step([long[:4], np.ones(4)], [np.ones(4), long[2:6]], sgd.init([long[:4], b]))
    sgd.step([a, b], [long[:4], long[:4]], state)  # the same gradient for both
    np.testing.assert_array_equal(a, np.full(4, 0.9))
    np.testing.assert_array_equal(b, a)


@pytest.mark.parametrize("engine", ["optimizer", "linear", "network"])
def test_a_norm_that_is_not_a_number_is_seen_everywhere(engine):
    """One rule: clipping by such a norm makes every weight NaN, and nothing passes for a norm of 1."""
    if engine == "optimizer":
        w = np.zeros(2)
        SGD(1.0, clip_norm=1.0).step(w, np.array([1.0, np.nan]), SGD().init(w))
        assert np.isnan(w).all()
        return
    X, y = np.array([[1e308, 1.0], [1.0, -1e308]]), np.array([1e308, -1e308])  # squares overflow
    with pytest.raises(ValueError, match=r"overflow|non-finite"):
        if engine == "linear":
            SGDRegressor(batch_size=2, optimizer=SGD(1.0, clip_norm=1.0), max_iter=2, tol=None).fit(X, y)
        else:
            rule = SGD(1.0, clip_norm=1.0)
            NeuralRegressor([], standardize=False, optimizer=rule, max_epochs=2, tol=None).fit(X, y)


def test_clipping_gradients_that_are_not_finite():
    for value, expected in ((np.inf, [-0.0, np.nan]), (np.nan, [np.nan, np.nan])):
        w = np.zeros(2)
        SGD(1.0, clip_norm=1.0).step(w, np.array([1.0, value]), SGD().init(w))
        np.testing.assert_array_equal(w, expected)  # as torch does
    w = np.zeros(3)
    SGD(1.0, clip_value=2.0).step(w, np.array([np.inf, -np.inf, np.nan]), SGD().init(w))
    np.testing.assert_array_equal(w, [-2, 2, np.nan])


def test_steps_after_a_fork():
    child = forked(
        "import os, warnings, numpy as np; from fusedgrad.optimizers import Adam\n"
        "warnings.simplefilter('ignore', DeprecationWarning)\n"  # Python 3.12 does not like forks of threads
        "def ends():\n"
        "    w = np.zeros(50_000); opt = Adam(); opt.step(w, np.ones_like(w), opt.init(w), n_jobs=2); return w\n"
        "before = ends(); pid = os.fork()\n"
        "if pid == 0: os._exit(0 if (ends() == before).all() else 1)\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))\n",
        timeout=60,
    )
    assert (child.stdout.strip(), child.returncode) == ("0", 0), child.stderr
