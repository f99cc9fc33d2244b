"""Every schedule of the catalog equals its reference and keeps the contract of them all."""

import copy
import inspect
import math
import pickle
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from fusedgrad import schedules
from fusedgrad.schedules import (
    Constant,
    Cosine,
    CosineRestarts,
    Linear,
    OneCycle,
    Optimal,
    Warmup,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone

from ..reference.schedules import END_RATE, RATE, ROWS, SCHEDULES, STEPS, decaying

LAST_STEP = 2**53


SMALLEST_NORMAL = np.finfo(float).tiny  # rates below have fewer digits


BY_NAME = {known.name: known for known in ROWS.values()}
EXAMPLES = [known.example for known in ROWS.values()]
every_schedule = pytest.mark.parametrize("name", schedules.names())
every_example = pytest.mark.parametrize("schedule", EXAMPLES, ids=lambda schedule: type(schedule).__name__)


step_lists = st.lists(st.integers(0, 300), min_size=1, max_size=30)


def draw(data, name):
    """(schedule, the parameters it was made of)"""
    chosen = data.draw(BY_NAME[name].draw)
    return schedules.get(name, **chosen), chosen


def assert_rates(actual, expected, **parameters):
    """Rates are differences of the rates among the parameters, and have their rounding."""
    expected = np.asarray(expected, dtype=float)
    given = [value for name, value in parameters.items() if "rate" in name and isinstance(value, float)]
    size = max([expected.max(initial=0), *given])
    np.testing.assert_allclose(actual, expected, rtol=1e-12, atol=max(1e-14 * size, SMALLEST_NORMAL))


def test_every_schedule_has_a_reference_and_random_parameters():
    assert set(schedules.names()) == set(BY_NAME)
    for known in ROWS.values():
        assert type(known.example) is known.kind
        assert (not known.torch) == ("torch" in known.without)
        assert all(type(ours) is known.kind for ours, *_ in known.torch)


def test_every_class_is_exported_and_in_the_catalog():
    kinds = {kind.__name__ for kind in schedules.Schedule.__subclasses__() if kind.__module__ == schedules.__name__}
    assert {kind.__name__ for kind in ROWS} == kinds
    assert kinds < set(schedules.__all__)
    assert len(schedules.names()) == len(kinds)
    assert set(schedules.__all__) <= set(vars(schedules))


@every_schedule
@given(data=st.data(), steps=step_lists)
def test_equals_reference(name, data, steps):
    schedule, chosen = draw(data, name)
    assert_rates(schedule(steps), [SCHEDULES[name](step, **chosen) for step in steps], **chosen)


@every_schedule
@settings(max_examples=40)
@given(data=st.data(), steps=step_lists)
def test_one_step_an_array_and_a_table_give_the_same_bits(name, data, steps):
    schedule, _ = draw(data, name)
    rates = schedule(np.array(steps))
    assert rates.dtype == np.float64
    assert [schedule(step) for step in steps] == rates.tolist()
    assert type(schedule(steps[0])) is type(schedule(np.int32(steps[0]))) is float
    first, last = min(steps), max(steps)
    rows = schedules.table(schedule, first, last - first + 1)
    assert rows[np.array(steps) - first].tolist() == rates.tolist()


@every_schedule
@settings(max_examples=40)
@given(data=st.data(), first=st.integers(0, 200), counts=st.lists(st.integers(0, 40), max_size=4))
def test_tables_one_after_another_are_one_table(name, data, first, counts):
    schedule, _ = draw(data, name)
    starts = first + np.cumsum([0, *counts])
    parts = [schedules.table(schedule, int(start), count) for start, count in zip(starts, counts, strict=False)]
    whole = schedules.table(schedule, first, sum(counts))
    assert whole.tobytes() == b"".join(part.tobytes() for part in parts)


@every_schedule
@settings(max_examples=40)
@given(data=st.data(), steps=step_lists)
def test_rates_stay_within_their_limits(name, data, steps):
    schedule, _ = draw(data, name)
    low, high = BY_NAME[name].limits(schedule)
    rates = schedule([*steps, LAST_STEP])
    assert (rates >= low * (1 - 1e-14)).all()
    assert (rates <= high * (1 + 1e-14)).all()


@pytest.mark.parametrize("name", [name for name, known in BY_NAME.items() if known.way])
@settings(max_examples=40)
@given(data=st.data())
def test_rates_go_one_way(name, data):
    schedule, _ = draw(data, name)
    rates = schedules.table(schedule, 0, 150)
    sign = 1 if BY_NAME[name].way == "down" or schedule.rate >= schedule.end_rate else -1
    assert (sign * np.diff(rates) <= 1e-15 * rates.max()).all()


@every_schedule
@settings(max_examples=40)
@given(data=st.data(), steps=step_lists)
def test_a_rate_depends_on_nothing_but_the_step(name, data, steps):
    schedule, chosen = draw(data, name)
    asked = np.array(steps)
    before, parameters = schedule(asked), repr(schedule)
    schedule(7), schedule(np.arange(100)), schedules.table(schedule, 3, 5)
    assert schedule(asked).tobytes() == before.tobytes() == schedules.get(name, **chosen)(asked).tobytes()
    assert asked.tolist() == steps
    assert repr(schedule) == parameters


@every_schedule
@settings(max_examples=40)
@given(data=st.data())
def test_schedules_are_values(name, data):
    schedule, chosen = draw(data, name)
    for other in (
        pickle.loads(pickle.dumps(schedule)),
        copy.deepcopy(schedule),
        copy.copy(schedule),
        clone(schedule, safe=False),
        schedules.get(name, **chosen),
    ):
        assert other == schedule
        assert hash(other) == hash(schedule)
        assert repr(other) == repr(schedule)
    if "function" not in repr(schedule):
        assert eval(repr(schedule), vars(schedules)) == schedule


def test_schedules_differ_by_class_and_parameters():
    assert len(set(EXAMPLES)) == len(EXAMPLES)
    assert Linear(0.1, 10) != Cosine(0.1, 10)
    assert Linear(0.1, 10) != Linear(0.1, 11)
    assert Linear(0.1, 10) == Linear(np.float64(0.1), np.int64(10), end_rate=0)


# ---- what a step may be ----


@every_example
def test_rates_have_the_shape_of_the_steps(schedule):
    steps = np.arange(24).reshape(2, 3, 4)
    flat = schedule(np.arange(24)).tolist()
    for shaped in (steps, steps.astype(np.uint8), np.asfortranarray(steps), steps.tolist()):
        rates = schedule(shaped)
        assert rates.shape == (2, 3, 4)
        assert rates.dtype == np.float64
        assert rates.ravel().tolist() == flat
    assert schedule(np.arange(0, 24, 5)).tolist() == flat[::5]
    assert schedule(range(24)).tolist() == flat
    assert schedule(np.array(3)) == flat[3]
    assert schedule([]).shape == (0,)
    assert schedule(np.zeros((0, 3), int)).shape == (0, 3)


@every_example
def test_a_step_that_is_no_count_is_refused(schedule):
    for step in (
        -1,
        np.array([0, -1]),
        1.5,
        2.0,
        [1.0],
        True,
        "3",
        None,
        math.nan,
        LAST_STEP + 1,
        10**30,
        [[1], [2.5]],
    ):
        with pytest.raises(ValueError, match=r"^step must be .* a whole number in the range \[0, 9007.*Got ") as raised:
            schedule(step)
        assert repr(step) in str(raised.value)


def fields(schedule):
    return {name: getattr(schedule, name) for name in inspect.signature(type(schedule)).parameters}


@every_example
def test_schedules_cannot_be_changed(schedule):
    before = repr(schedule)
    for parameter in (*fields(schedule), "new"):
        with pytest.raises(FrozenInstanceError):
            setattr(schedule, parameter, 1)
    assert repr(schedule) == before


# ---- shapes of single schedules ----


@pytest.mark.parametrize("kind", [kind for kind, known in ROWS.items() if known.way == "to the end"])
@given(rate=END_RATE, end_rate=END_RATE, steps=STEPS)
def test_both_ends_are_met_exactly_and_the_last_is_kept(kind, rate, end_rate, steps):
    schedule = kind(rate, steps, end_rate=end_rate)
    assert schedule([0, steps, steps + 1, LAST_STEP]).tolist() == [rate, end_rate, end_rate, end_rate]


@given(rate=RATE, steps=STEPS, t_mult=st.integers(1, 5), cycles=st.integers(0, 6))
def test_cosine_cycles_begin_exactly_at_the_rate(rate, steps, t_mult, cycles):
    schedule = CosineRestarts(rate, steps, t_mult, end_rate=rate / 8)
    start = sum(steps * t_mult**i for i in range(cycles))
    assert schedule(start) == rate
    assert schedule(start + 1) <= rate
    if steps > 1 and start:
        assert schedule(start - 1) < rate


def test_cosine_cycles_are_found_exactly_far_out():
    schedule = CosineRestarts(1.0, 3, t_mult=3)
    start = 3 * (3**30 - 1) // 2
    assert schedule(start) == 1.0
    assert schedule(start - 1) < 1e-20
    assert CosineRestarts(1.0, 7)(7 * 10**14) == 1.0
    assert CosineRestarts(1.0, LAST_STEP, t_mult=LAST_STEP)(LAST_STEP) == 1.0
    assert CosineRestarts(1.0, 1, t_mult=LAST_STEP)(LAST_STEP // 2) == pytest.approx(0.5)


@given(alpha=st.floats(1e-9, 10))
def test_optimal_begins_with_the_fourth_root(alpha):
    assert Optimal(alpha)(0) == pytest.approx(alpha**-0.25, rel=1e-14)


def test_optimal_is_scikit_learns():
    from sklearn.linear_model import SGDRegressor

    # One feature that is always 1, no penalty in effect, epsilon-insensitive slope -1: each sample moves by its rate.
    alpha = 1e-4
    rates = Optimal(alpha)(range(5))
    for n in range(1, 6):
        model = SGDRegressor("epsilon_insensitive", penalty=None, alpha=alpha, learning_rate="optimal", epsilon=0)
        model.set_params(fit_intercept=False, max_iter=1, tol=None, shuffle=False)
        model.fit(np.ones((n, 1)), np.full(n, 1e6))
        assert model.coef_[0] == pytest.approx(rates[:n].sum(), rel=1e-12)


@pytest.mark.parametrize("anneal", ["cos", "linear"])
@pytest.mark.parametrize(
    "steps, pct_start, expected",
    [
        (1, 0.3, [1, 0.01, 0.01]),
        (2, 0.3, [1, 0.01, 0.01]),
        (5, 0.0, [1, None, None, None, 0.01, 0.01]),
        (5, 0.2, [1, None, None, None, 0.01, 0.01]),
        (5, 0.6, [0.1, None, 1, None, 0.01, 0.01]),
        (5, 1.0, [0.1, None, None, None, 1, 0.01]),
    ],
)
def test_one_cycle_has_its_corners_where_it_says(anneal, steps, pct_start, expected):
    schedule = OneCycle(1.0, steps, pct_start, anneal, div_factor=10, final_div_factor=10)
    for step, rate in enumerate(expected):
        if rate is not None:
            assert schedule(step) == pytest.approx(rate, rel=1e-14), step


@given(data=st.data(), steps=STEPS, start_factor=st.floats(0, 1), step=st.integers(0, 200))
def test_warmup_ends_in_the_other_schedule(data, steps, start_factor, step):
    inner = data.draw(st.sampled_from([*EXAMPLES[:-1], decaying, 0.5]))
    schedule = Warmup(inner, steps, start_factor)
    first = schedules.as_schedule(inner)(0)
    assert schedule(0) == pytest.approx(start_factor * first, rel=1e-15)
    assert schedule(steps + step) == schedules.as_schedule(inner)(step)
    assert (np.diff(schedule(range(steps + 1))) >= -1e-15).all()


def test_warmup_asks_a_callable_with_steps_of_its_own():
    asked = []

    def inner(step):
        asked.append(step)
        return 1.0

    assert Warmup(inner, 2, start_factor=0)(range(5)).tolist() == [0, 0.5, 1, 1, 1]
    assert set(asked) == {0, 1, 2}
    assert {type(step) for step in asked} == {int}


def test_warmup_takes_a_number_as_constant():
    assert Warmup(0.5, 10) == Warmup(Constant(0.5), 10)
    assert Warmup(Warmup(0.5, 10), 5)(15) == 0.5
