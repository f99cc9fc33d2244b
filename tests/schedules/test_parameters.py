"""What schedules refuse; names, numbers, callables and tables of rates; documentation."""

import inspect
import math
import re
import runpy
import sys
from fractions import Fraction
from pathlib import Path

import fusedgrad
import numpy as np
import pytest
from fusedgrad import schedules
from fusedgrad.schedules import (
    Constant,
    Cosine,
    Linear,
    MultiStep,
    Optimal,
    Piecewise,
    ReduceOnPlateau,
    Step,
    Warmup,
)

from ..reference.schedules import ROWS, decaying
from ..reference.table import named

ROOT = Path(__file__).parents[2]


LAST_STEP = 2**53


BY_NAME = {known.name: known for known in ROWS.values()}
EXAMPLES = [known.example for known in ROWS.values()]
every_example = pytest.mark.parametrize("schedule", EXAMPLES, ids=lambda schedule: type(schedule).__name__)


GOOD = {name: known.example for name, known in BY_NAME.items()}


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


@pytest.mark.parametrize("value", [*EXAMPLES, decaying, math.sqrt], ids=named)
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


# ---- documentation ----


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
