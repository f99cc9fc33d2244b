"""Every schedule of the catalog equals its reference, torch where torch has it, and keeps the contract of them all."""

import copy
import inspect
import math
import pickle
import re
import runpy
import sys
from dataclasses import FrozenInstanceError
from fractions import Fraction
from pathlib import Path

import fusedgrad
import numpy as np
import pytest
from fusedgrad import schedules
from fusedgrad.schedules import (
    Constant,
    Cosine,
    CosineRestarts,
    Cyclic,
    Exponential,
    InverseScaling,
    InverseTime,
    Linear,
    MultiStep,
    OneCycle,
    Optimal,
    Piecewise,
    PlateauState,
    Polynomial,
    ReduceOnPlateau,
    Step,
    Warmup,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone

from .reference.schedules import SCHEDULES, plateau_rates

ROOT = Path(__file__).parents[1]
LAST_STEP = 2**53
SMALLEST_NORMAL = np.finfo(float).tiny  # rates below have fewer digits


# ---- The catalog, with random parameters ----


def decaying(step):
    """A plain callable, of a module so that it can be pickled."""
    return 0.5 / (1 + step)


RATE = st.floats(1e-6, 100)
END_RATE = st.one_of(st.just(0.0), RATE)
STEPS = st.integers(1, 60)
DECAY = st.floats(0.01, 1)
BOUNDARIES = st.lists(st.integers(1, 100), unique=True, max_size=5).map(lambda steps: tuple(sorted(steps)))


def parameters(optional=None, **required):
    return st.fixed_dictionaries(required, optional=optional or {})


PARAMETERS = {
    "constant": parameters(rate=RATE),
    "step": parameters({"decay": DECAY}, rate=RATE, steps=STEPS),
    "piecewise": BOUNDARIES.flatmap(
        lambda steps: parameters(
            boundaries=st.just(steps), values=st.tuples(*[END_RATE for _ in range(len(steps) + 1)])
        )
    ),
    "multi_step": parameters({"gamma": DECAY}, rate=RATE, milestones=BOUNDARIES),
    "exponential": parameters({"steps": STEPS}, rate=RATE, decay=DECAY),
    "polynomial": parameters({"end_rate": END_RATE, "power": st.floats(0.1, 5)}, rate=END_RATE, steps=STEPS),
    "linear": parameters({"end_rate": END_RATE}, rate=END_RATE, steps=STEPS),
    "inverse_time": parameters({"steps": STEPS}, rate=RATE, decay=st.floats(0, 10)),
    "inverse_scaling": parameters({"power": st.floats(0, 2)}, rate=RATE),
    "optimal": parameters({"t0": st.one_of(st.none(), st.floats(0.1, 1e6))}, alpha=st.floats(1e-9, 10)),
    "cosine": parameters({"end_rate": END_RATE}, rate=END_RATE, steps=STEPS),
    "cosine_restarts": parameters({"end_rate": END_RATE, "t_mult": st.integers(1, 4)}, rate=END_RATE, steps=STEPS),
    "one_cycle": parameters(
        {
            "pct_start": st.floats(0, 1),
            "anneal": st.sampled_from(["cos", "linear"]),
            "div_factor": st.floats(1, 100),
            "final_div_factor": st.floats(1, 1e5),
        },
        rate=RATE,
        steps=STEPS,
    ),
    "cyclic": st.one_of(
        *[
            parameters(
                {"steps_up": STEPS, "steps_down": st.one_of(st.none(), STEPS), **gamma},
                rate=st.floats(0, 1),
                max_rate=st.floats(1, 10),
                mode=st.just(mode),
            )
            for mode, gamma in (("triangular", {}), ("triangular2", {}), ("exp_range", {"gamma": DECAY}))
        ]
    ),
    "warmup": parameters(
        {"start_factor": st.floats(0, 1)},
        schedule=st.one_of(RATE, st.just(decaying), st.builds(Step, RATE, STEPS), st.builds(Cosine, RATE, STEPS)),
        steps=STEPS,
    ),
    "reduce_on_plateau": parameters(
        rate=RATE,
        factor=st.floats(0.1, 0.9),
        patience=st.integers(0, 3),
        threshold=st.sampled_from([0, 1e-4, 0.125, 0.5]),
        cooldown=st.integers(0, 3),
        min_rate=st.floats(0, 1e-6),
        mode=st.sampled_from(["min", "max"]),
    ),
}

# What no rate leaves: (lowest, highest), from the schedule.
LIMITS = {
    "constant": lambda s: (s.rate, s.rate),
    "step": lambda s: (0, s.rate),
    "piecewise": lambda s: (min(s.values), max(s.values)),
    "multi_step": lambda s: (s.rate * s.gamma ** len(s.milestones), s.rate),
    "exponential": lambda s: (0, s.rate),
    "polynomial": lambda s: sorted((s.rate, s.end_rate)),
    "linear": lambda s: sorted((s.rate, s.end_rate)),
    "inverse_time": lambda s: (0, s.rate),
    "inverse_scaling": lambda s: (0, s.rate),
    "optimal": lambda s: (0, s.alpha**-0.25 if s.t0 is None else 1 / (s.alpha * s.t0)),
    "cosine": lambda s: sorted((s.rate, s.end_rate)),
    "cosine_restarts": lambda s: sorted((s.rate, s.end_rate)),
    "one_cycle": lambda s: (s.rate / s.div_factor / s.final_div_factor, s.rate),
    "cyclic": lambda s: (s.rate, s.max_rate),
    "warmup": lambda s: (0, s.schedule(0)),
    "reduce_on_plateau": lambda s: (s.rate, s.rate),
}
NEVER_RISING = {
    *("constant", "step", "multi_step", "exponential", "inverse_time", "inverse_scaling", "optimal"),
    "reduce_on_plateau",
}
ONE_WAY = {"polynomial", "linear", "cosine"}

every_schedule = pytest.mark.parametrize("name", schedules.names())
step_lists = st.lists(st.integers(0, 300), min_size=1, max_size=30)


def draw(data, name):
    """(schedule, the parameters it was made of)"""
    chosen = data.draw(PARAMETERS[name])
    return schedules.get(name, **chosen), chosen


def assert_rates(actual, expected):
    expected = np.asarray(expected, dtype=float)
    np.testing.assert_allclose(actual, expected, rtol=1e-12, atol=max(1e-14 * expected.max(initial=0), SMALLEST_NORMAL))


def test_every_schedule_has_a_reference_and_random_parameters():
    assert set(schedules.names()) == set(SCHEDULES) == set(PARAMETERS) == set(LIMITS)


def test_every_class_is_exported_and_in_the_catalog():
    kinds = {kind.__name__ for kind in schedules.Schedule.__subclasses__() if kind.__module__ == schedules.__name__}
    assert {type(s).__name__ for s in EXAMPLES} == kinds
    assert kinds < set(schedules.__all__)
    assert len(schedules.names()) == len(kinds)
    assert set(schedules.__all__) <= set(vars(schedules))


@every_schedule
@given(data=st.data(), steps=step_lists)
def test_equals_reference(name, data, steps):
    schedule, chosen = draw(data, name)
    assert_rates(schedule(steps), [SCHEDULES[name](step, **chosen) for step in steps])


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
    low, high = LIMITS[name](schedule)
    rates = schedule([*steps, LAST_STEP])
    assert (rates >= low * (1 - 1e-14)).all()
    assert (rates <= high * (1 + 1e-14)).all()


@pytest.mark.parametrize("name", sorted(NEVER_RISING | ONE_WAY))
@settings(max_examples=40)
@given(data=st.data())
def test_rates_go_one_way(name, data):
    schedule, _ = draw(data, name)
    rates = schedules.table(schedule, 0, 150)
    sign = 1 if name in NEVER_RISING or schedule.rate >= schedule.end_rate else -1
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


# ---- What a step may be ----

EXAMPLES = [
    Constant(0.1),
    Step(0.8, 20, decay=0.5),
    Piecewise([30, 70], [0.5, 0.1, 0.2]),
    MultiStep(0.8, [30, 70], gamma=0.5),
    Exponential(0.8, 0.97),
    Polynomial(0.4, 80, power=2),
    Linear(0.4, 80),
    InverseTime(0.4, 1.0, steps=20),
    InverseScaling(0.4),
    Optimal(0.001),
    Cosine(0.4, 80, end_rate=0.01),
    CosineRestarts(0.4, 12, t_mult=2),
    OneCycle(0.5, 100),
    Cyclic(0.1, 0.5, 15, mode="triangular2"),
    Warmup(Cosine(0.4, 80), 20),
    ReduceOnPlateau(0.1),
]
every_example = pytest.mark.parametrize("schedule", EXAMPLES, ids=lambda schedule: type(schedule).__name__)


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


@every_example
def test_schedules_cannot_be_changed(schedule):
    before = repr(schedule)
    for parameter in (*fields(schedule), "new"):
        with pytest.raises(FrozenInstanceError):
            setattr(schedule, parameter, 1)
    assert repr(schedule) == before


# ---- Shapes of single schedules ----


@pytest.mark.parametrize("kind", [Linear, Polynomial, Cosine])
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


# ---- A plateau ----


def rates_after(plateau, values):
    state, rates = plateau.start(), []
    assert state.rate == plateau.rate
    for value in values:
        state = plateau.update(state, value)
        rates.append(state.rate)
    return rates


# few values, so that ties and returns to old values are common; the thresholds above are exact on them
WATCHED = st.lists(st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0, 1.125, 2.0, math.nan, math.inf]), max_size=40)


@settings(max_examples=300)
@given(chosen=PARAMETERS["reduce_on_plateau"], values=WATCHED)
def test_plateau_equals_reference(chosen, values):
    assert rates_after(ReduceOnPlateau(**chosen), values) == plateau_rates(values, **chosen)


@given(chosen=PARAMETERS["reduce_on_plateau"], values=st.lists(st.floats(), max_size=40))
def test_plateau_rates_only_fall(chosen, values):
    plateau = ReduceOnPlateau(**chosen)
    rates = rates_after(plateau, values)
    assert rates == sorted(rates, reverse=True)
    assert all(plateau.min_rate <= rate <= plateau.rate for rate in rates)
    assert plateau == ReduceOnPlateau(**chosen)


@given(chosen=PARAMETERS["reduce_on_plateau"], values=WATCHED)
def test_plateau_goes_on_from_a_pickled_state(chosen, values):
    plateau, state = ReduceOnPlateau(**chosen), ReduceOnPlateau(**chosen).start()
    for value in values:
        before = tuple(state)
        after = plateau.update(state, value)
        assert tuple(state) == before
        state = pickle.loads(pickle.dumps(after))
        assert state == after
    assert [state.rate] == (rates_after(plateau, values) or [plateau.rate])[-1:]


def test_plateau_counts_patience_and_cooldown():
    plateau = ReduceOnPlateau(1.0, factor=0.5, patience=1, cooldown=2)
    assert plateau.start() == PlateauState(rate=1.0, best=math.inf, waited=0, resting=0)
    #                     best, waits, reduces, rests, rests, waits, reduces
    assert rates_after(plateau, [1] * 7) == [1.0, 1.0, 0.5, 0.5, 0.5, 0.5, 0.25]


def test_plateau_makes_no_change_that_is_next_to_none():
    assert rates_after(ReduceOnPlateau(1e-8, factor=0.5, patience=0), [1, 1, 1]) == [1e-8] * 3
    assert rates_after(ReduceOnPlateau(1.0, factor=0.5, patience=0, min_rate=0.4), [1, 1, 1]) == [1.0, 0.5, 0.4]


# ---- torch ----


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch")


def torch_rates(torch, make, rate, count):
    """The rates of `count` steps with a scheduler of torch; `make` gets torch's module of schedulers."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=rate, momentum=0.9)
    scheduler = make(torch.optim.lr_scheduler, optimizer)
    rates = []
    for _ in range(count):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


def warmed(lr, optimizer, steps, factor, after):
    first = lr.LinearLR(optimizer, start_factor=factor, total_iters=steps)
    return lr.SequentialLR(optimizer, [first, after(lr, optimizer)], milestones=[steps])


# ours -> (torch's, its first rate, how many steps)
TORCH = {
    Constant(0.3): (lambda lr, o: lr.ConstantLR(o, factor=1.0), 0.3, 30),
    Step(0.3, 7): (lambda lr, o: lr.StepLR(o, 7), 0.3, 100),
    Step(0.3, 1, 0.9): (lambda lr, o: lr.StepLR(o, 1, 0.9), 0.3, 100),
    MultiStep(0.3, [5, 6, 40]): (lambda lr, o: lr.MultiStepLR(o, [5, 6, 40]), 0.3, 60),
    MultiStep(0.3, [1], 0.5): (lambda lr, o: lr.MultiStepLR(o, [1], 0.5), 0.3, 10),
    Exponential(0.3, 0.95): (lambda lr, o: lr.ExponentialLR(o, 0.95), 0.3, 200),
    Polynomial(0.3, 50): (lambda lr, o: lr.PolynomialLR(o, 50), 0.3, 70),
    Polynomial(0.3, 50, power=2.5): (lambda lr, o: lr.PolynomialLR(o, 50, power=2.5), 0.3, 70),
    Linear(0.1, 40, end_rate=0.3): (lambda lr, o: lr.LinearLR(o, 1 / 3, 1.0, 40), 0.3, 60),
    Linear(0.3, 40, end_rate=0.06): (lambda lr, o: lr.LinearLR(o, 1.0, 0.2, 40), 0.3, 60),
    Cosine(0.3, 60): (lambda lr, o: lr.CosineAnnealingLR(o, 60), 0.3, 61),
    Cosine(0.3, 60, 0.01): (lambda lr, o: lr.CosineAnnealingLR(o, 60, 0.01), 0.3, 61),
    CosineRestarts(0.3, 9): (lambda lr, o: lr.CosineAnnealingWarmRestarts(o, 9), 0.3, 60),
    CosineRestarts(0.3, 3, 2, 0.01): (lambda lr, o: lr.CosineAnnealingWarmRestarts(o, 3, 2, 0.01), 0.3, 200),
    OneCycle(0.3, 80): (lambda lr, o: lr.OneCycleLR(o, 0.3, 80), 0.3, 80),
    OneCycle(0.3, 77, 0.41, "linear", 7, 30): (
        lambda lr, o: lr.OneCycleLR(
            o, 0.3, 77, pct_start=0.41, anneal_strategy="linear", div_factor=7, final_div_factor=30
        ),
        0.3,
        77,
    ),
    Cyclic(0.1, 0.3, 11): (lambda lr, o: lr.CyclicLR(o, 0.1, 0.3, 11), 0.1, 100),
    Cyclic(0.1, 0.3, 5, 8, "triangular2"): (lambda lr, o: lr.CyclicLR(o, 0.1, 0.3, 5, 8, "triangular2"), 0.1, 100),
    Cyclic(0.1, 0.3, 5, 8, "exp_range", 0.97): (
        lambda lr, o: lr.CyclicLR(o, 0.1, 0.3, 5, 8, "exp_range", 0.97),
        0.1,
        100,
    ),
    Warmup(Step(0.3, 7, 0.5), 10): (
        lambda lr, o: warmed(lr, o, 10, 1 / 3, lambda lr, o: lr.StepLR(o, 7, 0.5)),
        0.3,
        50,
    ),
    Warmup(Exponential(0.3, 0.9), 5, 0.01): (
        lambda lr, o: warmed(lr, o, 5, 0.01, lambda lr, o: lr.ExponentialLR(o, 0.9)),
        0.3,
        50,
    ),
    Warmup(Cosine(0.3, 40), 8): (
        lambda lr, o: warmed(lr, o, 8, 1 / 3, lambda lr, o: lr.CosineAnnealingLR(o, 40)),
        0.3,
        49,
    ),
}
ONLY_HERE = {Piecewise, InverseTime, InverseScaling, Optimal}  # ReduceOnPlateau has a test of its own


def test_every_schedule_is_compared_with_torch_or_known_to_be_only_here():
    assert {type(ours) for ours in TORCH} | ONLY_HERE | {ReduceOnPlateau} == {type(example) for example in EXAMPLES}


@pytest.mark.parametrize("ours", TORCH, ids=repr)
def test_equals_torch(torch, ours):
    make, rate, count = TORCH[ours]
    theirs = torch_rates(torch, make, rate, count)
    # torch multiplies step by step, so its rounding errors add up
    np.testing.assert_allclose(schedules.table(ours, 0, count), theirs, rtol=1e-11, atol=1e-13)


def test_plateau_decides_as_torch(torch):
    @settings(max_examples=300)
    @given(chosen=PARAMETERS["reduce_on_plateau"], values=WATCHED)
    def decides(chosen, values):
        theirs = {{"rate": "lr", "min_rate": "min_lr"}.get(name, name): value for name, value in chosen.items()}
        optimizer = torch.optim.SGD([torch.zeros(1)], lr=theirs.pop("lr"))
        scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, **theirs)
        expected = []
        for value in values:
            scheduler.step(value)
            expected.append(optimizer.param_groups[0]["lr"])
        assert rates_after(ReduceOnPlateau(**chosen), values) == expected

    decides()


def test_defaults_are_torchs(torch):
    lr = torch.optim.lr_scheduler
    names = {
        Step: (lr.StepLR, {"decay": "gamma"}),
        MultiStep: (lr.MultiStepLR, {"gamma": "gamma"}),
        Polynomial: (lr.PolynomialLR, {"power": "power"}),
        Cosine: (lr.CosineAnnealingLR, {"end_rate": "eta_min"}),
        CosineRestarts: (lr.CosineAnnealingWarmRestarts, {"t_mult": "T_mult", "end_rate": "eta_min"}),
        OneCycle: (
            lr.OneCycleLR,
            {name: name for name in ("pct_start", "div_factor", "final_div_factor")} | {"anneal": "anneal_strategy"},
        ),
        Cyclic: (
            lr.CyclicLR,
            {"steps_up": "step_size_up", "steps_down": "step_size_down", "mode": "mode", "gamma": "gamma"},
        ),
        Warmup: (lr.LinearLR, {"start_factor": "start_factor"}),
        ReduceOnPlateau: (
            lr.ReduceLROnPlateau,
            {name: name for name in ("factor", "patience", "threshold", "cooldown", "mode")} | {"min_rate": "min_lr"},
        ),
    }
    for ours, (theirs, pairs) in names.items():
        for name, their_name in pairs.items():
            default = inspect.signature(ours).parameters[name].default
            assert default == inspect.signature(theirs).parameters[their_name].default, (ours, name)


# ---- What is refused ----

GOOD = dict(zip(schedules.names(), EXAMPLES, strict=True))


def fields(schedule):
    return {name: getattr(schedule, name) for name in inspect.signature(type(schedule)).parameters}


PAIRS = [(name, parameter) for name, example in GOOD.items() for parameter in fields(example)]


@pytest.mark.parametrize("name, parameter", PAIRS)
def test_every_parameter_refuses_what_makes_no_sense(name, parameter):
    for value in ("high", -1, -0.5, math.nan, math.inf, True, {}, [0.5, "x"], 1j, np.ones((2, 2))):
        with pytest.raises(ValueError, match=parameter) as raised:
            schedules.get(name, **(fields(GOOD[name]) | {parameter: value}))
        message = str(raised.value)
        assert f"Got {value!r}" in message
        assert re.search(r"must be .* Got .*(Try|Usual rates|An epoch)", message, re.DOTALL)


@pytest.mark.parametrize(
    "name, change, message",
    [
        ("constant", {"rate": 0}, r"'rate' parameter of Constant .* \(0, inf\)\. Got 0 instead"),
        ("step", {"steps": 0}, r"'steps' .* an int .* \[1, .* Got 0 instead\. An epoch has"),
        ("step", {"steps": 2.0}, r"'steps' .* an int .* Got 2\.0"),
        ("step", {"steps": LAST_STEP + 1}, r"'steps' .* an int"),
        ("step", {"decay": 0}, r"'decay' .* \(0, 1\]\. Got 0 instead\. Try 0\.1"),
        ("step", {"decay": 1.5}, r"'decay' .* \(0, 1\]\. Got 1\.5"),
        ("piecewise", {"boundaries": [30, 30]}, r"'boundaries' .* strictly increasing.* Got \[30, 30\]"),
        ("piecewise", {"boundaries": [0, 30]}, r"'boundaries' .* \[1, .* Got \[0, 30\]"),
        ("piecewise", {"boundaries": 30}, r"'boundaries' .* a sequence.* Got 30"),
        ("piecewise", {"values": [1.0, 2.0]}, r"'values' .* one .* more than boundaries, which are 2\. Got 2 values"),
        ("piecewise", {"values": [1.0, 2.0, -3.0]}, r"'values' .* \[0, inf\)"),
        ("multi_step", {"milestones": [5, 2]}, r"'milestones' .* strictly increasing.* Got \[5, 2\]"),
        ("polynomial", {"power": 0}, r"'power' .* \(0, inf\)"),
        ("optimal", {"t0": 0}, r"'t0' .* \(0, inf\) or None\. Got 0 instead\. Try None"),
        ("one_cycle", {"pct_start": 1.1}, r"'pct_start' .* \[0, 1\]"),
        ("one_cycle", {"anneal": "cosine"}, r"'anneal' .* one of 'cos', 'linear'\. Got 'cosine'"),
        ("one_cycle", {"div_factor": 0.5}, r"'div_factor' .* \[1, inf\)"),
        ("cyclic", {"max_rate": 0.05}, r"'max_rate' .* at least rate=0\.1\. Got 0\.05 .* Swap"),
        ("cyclic", {"gamma": 0.9}, r"'gamma' .* must be 1 with mode='triangular2'.* Try mode='exp_range'"),
        (
            "warmup",
            {"schedule": "cosine"},
            r"'cosine' also needs rate and steps.*: schedules.Cosine\(rate=\.\.\.",
        ),
        ("warmup", {"schedule": "cosin"}, r"A schedule must be a number .* Got 'cosin'. Did you mean 'cosine'"),
        ("warmup", {"schedule": ReduceOnPlateau(0.1)}, r"'schedule' .* function of the step\. Got ReduceOnPl.* Try"),
        ("warmup", {"start_factor": 2}, r"'start_factor' .* \[0, 1\]"),
        ("reduce_on_plateau", {"factor": 1}, r"'factor' .* \(0, 1\)"),
        ("reduce_on_plateau", {"min_rate": 0.2}, r"'min_rate' .* at most rate=0\.1\. Got 0\.2"),
        ("reduce_on_plateau", {"patience": 1.5}, r"'patience' .* an int"),
    ],
)
def test_messages_name_parameter_range_and_value(name, change, message):
    with pytest.raises(ValueError, match=message) as raised:
        schedules.get(name, **(fields(GOOD[name]) | change))
    assert isinstance(raised.value, TypeError)  # so that either way of catching it works


def test_parameters_become_plain_python():
    schedule = Piecewise(np.array([3, 5]), np.array([0.5, 0.25, 0.0]))
    assert repr(schedule) == "Piecewise(boundaries=(3, 5), values=(0.5, 0.25, 0.0))"
    assert repr(Step(np.float64(0.5), np.int32(3))) == "Step(rate=0.5, steps=3, decay=0.1)"
    assert Piecewise(range(1, 3), [1, 2, 3])(range(4)).tolist() == [1, 2, 3, 3]
    assert Piecewise([], [0.5])(range(2)).tolist() == [0.5, 0.5]
    assert MultiStep(1, [2, 3], gamma=1)(range(4)).tolist() == [1.0] * 4


# ---- names, get, as_schedule, table ----


def test_get_names_what_exists():
    with pytest.raises(ValueError, match="'cosin'.*constant.*cosine_restarts"):
        schedules.get("cosin", rate=0.1)
    with pytest.raises(TypeError, match="Cosine.*'steps'.*rate, steps, end_rate"):
        schedules.get("cosine", rate=0.1)
    with pytest.raises(TypeError, match="Cosine.*'t_max'.*rate, steps, end_rate"):
        schedules.get("cosine", rate=0.1, steps=3, t_max=4)


def test_the_module_is_part_of_the_package():
    assert fusedgrad.schedules is schedules
    assert "schedules" in fusedgrad.__all__


@pytest.mark.parametrize("number", [0.5, 1, np.float32(0.5), np.int64(2), Fraction(1, 2)])
def test_a_number_is_a_constant_schedule(number):
    schedule = schedules.as_schedule(number)
    assert schedule == Constant(float(number))
    assert schedule(3) == number


@pytest.mark.parametrize("value", [*EXAMPLES, decaying, math.sqrt], ids=repr)
def test_a_schedule_or_a_callable_stays_itself(value):
    assert schedules.as_schedule(value) is value


@pytest.mark.parametrize(
    "value",
    ["fast", "step by step", None, [0.1], True, np.True_, 1j, Cosine, float, np.ones(3), 0, -0.1, math.nan, math.inf],
    ids=repr,
)
def test_anything_else_is_no_schedule(value):
    with pytest.raises((ValueError, TypeError), match=r"A schedule must be a number .* callable.* Got .* Try 0\.1"):
        schedules.as_schedule(value)


def test_a_table_asks_a_callable_step_by_step():
    asked = []

    def schedule(step):
        asked.append(step)
        return 1 / step

    rates = schedules.table(schedule, 4, 3)
    assert rates.tolist() == [1 / 4, 1 / 5, 1 / 6]
    assert rates.dtype == np.float64
    assert asked == [4, 5, 6]
    assert {type(step) for step in asked} == {int}


@pytest.mark.parametrize("rate", [0, 1, np.float32(0.5), np.array(0.5), np.int8(1), Fraction(1, 2), 1e308])
def test_a_table_takes_every_kind_of_number(rate):
    assert schedules.table(lambda step: rate, 0, 2).tolist() == [float(rate)] * 2


@pytest.mark.parametrize(
    "rate",
    [-0.1, math.nan, math.inf, None, "0.1", True, [0.1], np.array([0.1]), np.array("0.1"), np.array(True), 1j],
    ids=repr,
)
def test_a_table_refuses_a_rate_that_is_none(rate):
    def schedule(step):
        return rate if step == 17 else 0.1

    with pytest.raises(
        ValueError, match=r"must be a number in the range \[0, inf\)\. Got .* at step 17 from .*"
    ) as error:
        schedules.table(schedule, 10, 20)
    shown = rate.item() if isinstance(rate, np.ndarray) and rate.ndim == 0 else rate
    assert f"Got {shown!r} at step 17 from {schedule!r}" in str(error.value)
    assert schedules.table(schedule, 10, 7).tolist() == [0.1] * 7
    assert schedules.table(schedule, 18, 3).tolist() == [0.1] * 3


def test_a_table_refuses_an_infinite_rate_of_a_schedule():
    tiny = Optimal(1e-300, t0=1e-300)
    with pytest.raises(ValueError, match=r"Got inf at step 0 from Optimal\(alpha=1e-300, t0=1e-300\)"):
        schedules.table(tiny, 0, 2)
    with pytest.raises(ValueError, match=r"Got -1\.0 at step 5 from Warmup\("):
        schedules.table(Warmup(lambda step: -step, 4), 0, 10)
    with pytest.raises(ValueError, match=r"Got None at step 0 from <function"):
        schedules.table(Warmup(lambda step: None, 4), 0, 10)


def test_an_error_of_a_callable_reaches_the_caller():
    with pytest.raises(ZeroDivisionError):
        schedules.table(lambda step: 1 / step, 0, 2)


def test_a_table_of_numbers_schedules_and_nothing():
    assert schedules.table(0.5, 3, 2).tolist() == [0.5, 0.5]
    assert schedules.table(Linear(1.0, 4), 2, 4).tolist() == [0.5, 0.25, 0, 0]
    for schedule in (0.5, Linear(1.0, 4), decaying):
        empty = schedules.table(schedule, 7, 0)
        assert empty.shape == (0,)
        assert empty.dtype == np.float64
    with pytest.raises(ValueError, match="'cosine' also needs rate and steps"):
        schedules.table("cosine", 0, 2)


@pytest.mark.parametrize("arguments", [(-1, 2), (0, -2), (1.5, 2), (0, 2.0), (True, 2), (None, 2)])
def test_a_table_counts_whole_steps(arguments):
    with pytest.raises(ValueError, match=r"'(first_step|count)' parameter of table must be an int in .* Got"):
        schedules.table(0.1, *arguments)


# ---- Documentation ----


@every_example
def test_parameters_are_documented_in_order_with_source_and_example(schedule):
    doc = inspect.cleandoc(type(schedule).__doc__)
    section = re.search(r"Parameters\n-+\n(.*?)\n\n[A-Z]\w+( Also)?\n---", doc, re.DOTALL)[1]
    assert re.findall(r"^(\w+) :", section, re.MULTILINE) == list(fields(schedule))
    assert ">>> " in doc
    for name, parameter in inspect.signature(type(schedule)).parameters.items():
        shown = re.search(rf"^{name} : .*?(, default=(.*))?$", section, re.MULTILINE)[2]
        assert (shown is None) == (parameter.default is inspect.Parameter.empty), name
        assert shown is None or eval(shown) == parameter.default, name


def test_the_picture_shows_every_schedule(tmp_path, monkeypatch):
    script = ROOT / "docs" / "plot_schedules.py"
    if not script.exists():
        pytest.skip("the tests run outside the repository, without its documentation")
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(sys, "argv", [str(script), str(tmp_path / "schedules.png")])
    module = runpy.run_path(str(script), run_name="__main__")
    assert set(module["EXAMPLES"]) == set(schedules.names())
    assert (tmp_path / "schedules.png").read_bytes().startswith(b"\x89PNG")
