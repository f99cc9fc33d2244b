"""Learning-rate schedules, one step at a time, in plain Python.

Where there is one, by the definition that walks through the steps before, not by the closed form. `ROWS` is what tests
loop over.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from fusedgrad import schedules
from hypothesis import strategies as st

from . import table


@dataclass(frozen=True)
class Row:
    """What tests know of a schedule.

    ``formula(step, **parameters)`` is the rate; `draw` draws the parameters; ``limits(schedule)`` are what no rate
    leaves. `way`: rates go "down", or "to the end", which may lie above; None: they go both ways. `torch` holds
    (schedule, steps, ``make(torch.optim.lr_scheduler, optimizer)``), and the optimizer's rate if that is not the
    schedule's; `defaults` which of torch's classes has which of our defaults. `without` says in which kinds of tests it
    cannot take part, and why.
    """

    kind: type
    formula: Callable
    draw: st.SearchStrategy
    limits: Callable
    example: schedules.Schedule
    way: str | None = None
    torch: tuple = ()
    defaults: tuple | None = None
    without: Mapping = field(default_factory=dict)

    @property
    def name(self):
        """What `schedules.get` calls it."""
        return re.sub(r"(?<!^)(?=[A-Z])", "_", self.kind.__name__).lower()


ROWS = table.Table("tests/reference/schedules.py")
row = table.into(ROWS, Row)


RATE = st.floats(1e-6, 100)
END_RATE = st.one_of(st.just(0.0), RATE)
STEPS = st.integers(1, 60)
DECAY = st.floats(0.01, 1)
BOUNDARIES = st.lists(st.integers(1, 100), unique=True, max_size=5).map(lambda steps: tuple(sorted(steps)))


def parameters(optional=None, **required):
    return st.fixed_dictionaries(required, optional=optional or {})


def decaying(step):
    """A plain callable, of a module so that it can be pickled."""
    return 0.5 / (1 + step)


def warmed(lr, optimizer, steps, factor, after):
    first = lr.LinearLR(optimizer, start_factor=factor, total_iters=steps)
    return lr.SequentialLR(optimizer, [first, after()], milestones=[steps])


@row(
    schedules.Constant,
    draw=parameters(rate=RATE),
    limits=lambda s: (s.rate, s.rate),
    way="down",
    example=schedules.Constant(0.1),
    torch=[(schedules.Constant(0.3), 30, lambda lr, o: lr.ConstantLR(o, factor=1.0))],
)
def constant(step, rate):
    return rate


@row(
    schedules.Step,
    draw=parameters({"decay": DECAY}, rate=RATE, steps=STEPS),
    limits=lambda s: (0, s.rate),
    way="down",
    example=schedules.Step(0.8, 20, decay=0.5),
    torch=[
        (schedules.Step(0.3, 7), 100, lambda lr, o: lr.StepLR(o, 7)),
        (schedules.Step(0.3, 1, 0.9), 100, lambda lr, o: lr.StepLR(o, 1, 0.9)),
    ],
    defaults=("StepLR", {"decay": "gamma"}),
)
def step_decay(step, rate, steps, decay=0.1):
    for t in range(1, step + 1):
        if t % steps == 0:
            rate *= decay
    return rate


@row(
    schedules.Piecewise,
    draw=BOUNDARIES.flatmap(
        lambda steps: parameters(
            boundaries=st.just(steps), values=st.tuples(*[END_RATE for _ in range(len(steps) + 1)])
        )
    ),
    limits=lambda s: (min(s.values), max(s.values)),
    example=schedules.Piecewise([30, 70], [0.5, 0.1, 0.2]),
    without={"torch": "torch has no schedule of given values"},
)
def piecewise(step, boundaries, values):
    rate = values[0]
    for boundary, value in zip(boundaries, values[1:], strict=True):
        if step >= boundary:
            rate = value
    return rate


@row(
    schedules.MultiStep,
    draw=parameters({"gamma": DECAY}, rate=RATE, milestones=BOUNDARIES),
    limits=lambda s: (s.rate * s.gamma ** len(s.milestones), s.rate),
    way="down",
    example=schedules.MultiStep(0.8, [30, 70], gamma=0.5),
    torch=[
        (schedules.MultiStep(0.3, [5, 6, 40]), 60, lambda lr, o: lr.MultiStepLR(o, [5, 6, 40])),
        (schedules.MultiStep(0.3, [1], 0.5), 10, lambda lr, o: lr.MultiStepLR(o, [1], 0.5)),
    ],
    defaults=("MultiStepLR", {"gamma": "gamma"}),
)
def multi_step(step, rate, milestones, gamma=0.1):
    for milestone in milestones:
        if step >= milestone:
            rate *= gamma
    return rate


@row(
    schedules.Exponential,
    draw=parameters({"steps": STEPS}, rate=RATE, decay=DECAY),
    limits=lambda s: (0, s.rate),
    way="down",
    example=schedules.Exponential(0.8, 0.97),
    torch=[(schedules.Exponential(0.3, 0.95), 200, lambda lr, o: lr.ExponentialLR(o, 0.95))],
)
def exponential(step, rate, decay, steps=1):
    return rate * math.exp(math.log(decay) * step / steps)


@row(
    schedules.Polynomial,
    draw=parameters({"end_rate": END_RATE, "power": st.floats(0.1, 5)}, rate=END_RATE, steps=STEPS),
    limits=lambda s: sorted((s.rate, s.end_rate)),
    way="to the end",
    example=schedules.Polynomial(0.4, 80, power=2),
    torch=[
        (schedules.Polynomial(0.3, 50), 70, lambda lr, o: lr.PolynomialLR(o, 50)),
        (schedules.Polynomial(0.3, 50, power=2.5), 70, lambda lr, o: lr.PolynomialLR(o, 50, power=2.5)),
    ],
    defaults=("PolynomialLR", {"power": "power"}),
)
def polynomial(step, rate, steps, end_rate=0.0, power=1.0):
    if step >= steps:
        return end_rate
    return end_rate + (rate - end_rate) * math.pow((steps - step) / steps, power)


@row(
    schedules.Linear,
    draw=parameters({"end_rate": END_RATE}, rate=END_RATE, steps=STEPS),
    limits=lambda s: sorted((s.rate, s.end_rate)),
    way="to the end",
    example=schedules.Linear(0.4, 80),
    torch=[
        (schedules.Linear(0.1, 40, end_rate=0.3), 60, lambda lr, o: lr.LinearLR(o, 1 / 3, 1.0, 40), 0.3),
        (schedules.Linear(0.3, 40, end_rate=0.06), 60, lambda lr, o: lr.LinearLR(o, 1.0, 0.2, 40)),
    ],
)
def linear(step, rate, steps, end_rate=0.0):
    if step >= steps:
        return end_rate
    return float(Fraction(rate) + (Fraction(end_rate) - Fraction(rate)) * Fraction(step, steps))


@row(
    schedules.InverseTime,
    draw=parameters({"steps": STEPS}, rate=RATE, decay=st.floats(0, 10)),
    limits=lambda s: (0, s.rate),
    way="down",
    example=schedules.InverseTime(0.4, 1.0, steps=20),
    without={"torch": "torch has it only as a function of one's own"},
)
def inverse_time(step, rate, decay, steps=1):
    return 1 / (1 / rate + decay * step / (rate * steps))


@row(
    schedules.InverseScaling,
    draw=parameters({"power": st.floats(0, 2)}, rate=RATE),
    limits=lambda s: (0, s.rate),
    way="down",
    example=schedules.InverseScaling(0.4),
    without={"torch": "it is scikit-learn's"},
)
def inverse_scaling(step, rate, power=0.5):
    return rate * math.exp(-power * math.log(step + 1))


@row(
    schedules.Optimal,
    draw=parameters({"t0": st.one_of(st.none(), st.floats(0.1, 1e6))}, alpha=st.floats(1e-9, 10)),
    limits=lambda s: (0, s.alpha**-0.25 if s.t0 is None else 1 / (s.alpha * s.t0)),
    way="down",
    example=schedules.Optimal(0.001),
    without={"torch": "it is scikit-learn's"},
)
def optimal(step, alpha, t0=None):
    if t0 is None:  # scikit-learn's heuristic: the first rate is the size of a typical weight
        t0 = 1 / (alpha * math.sqrt(1 / math.sqrt(alpha)))
    return 1 / (alpha * t0 + alpha * step)


@row(
    schedules.Cosine,
    draw=parameters({"end_rate": END_RATE}, rate=END_RATE, steps=STEPS),
    limits=lambda s: sorted((s.rate, s.end_rate)),
    way="to the end",
    example=schedules.Cosine(0.4, 80, end_rate=0.01),
    torch=[
        (schedules.Cosine(0.3, 60), 61, lambda lr, o: lr.CosineAnnealingLR(o, 60)),
        (schedules.Cosine(0.3, 60, 0.01), 61, lambda lr, o: lr.CosineAnnealingLR(o, 60, 0.01)),
    ],
    defaults=("CosineAnnealingLR", {"end_rate": "eta_min"}),
)
def cosine(step, rate, steps, end_rate=0.0):
    # (1 + cos 2x) / 2 = cos^2 x
    return end_rate if step >= steps else end_rate + (rate - end_rate) * math.cos(math.pi / 2 * step / steps) ** 2


@row(
    schedules.CosineRestarts,
    draw=parameters({"end_rate": END_RATE, "t_mult": st.integers(1, 4)}, rate=END_RATE, steps=STEPS),
    limits=lambda s: sorted((s.rate, s.end_rate)),
    example=schedules.CosineRestarts(0.4, 12, t_mult=2),
    torch=[
        (schedules.CosineRestarts(0.3, 9), 60, lambda lr, o: lr.CosineAnnealingWarmRestarts(o, 9)),
        (schedules.CosineRestarts(0.3, 3, 2, 0.01), 200, lambda lr, o: lr.CosineAnnealingWarmRestarts(o, 3, 2, 0.01)),
    ],
    defaults=("CosineAnnealingWarmRestarts", {"t_mult": "T_mult", "end_rate": "eta_min"}),
)
def cosine_restarts(step, rate, steps, t_mult=1, end_rate=0.0):
    while step >= steps:
        step -= steps
        steps *= t_mult
    return cosine(step, rate, steps, end_rate)


@row(
    schedules.OneCycle,
    draw=parameters(
        {
            "pct_start": st.floats(0, 1),
            "anneal": st.sampled_from(["cos", "linear"]),
            "div_factor": st.floats(1, 100),
            "final_div_factor": st.floats(1, 1e5),
        },
        rate=RATE,
        steps=STEPS,
    ),
    limits=lambda s: (s.rate / s.div_factor / s.final_div_factor, s.rate),
    example=schedules.OneCycle(0.5, 100),
    torch=[
        (schedules.OneCycle(0.3, 80), 80, lambda lr, o: lr.OneCycleLR(o, 0.3, 80)),
        (
            schedules.OneCycle(0.3, 77, 0.41, "linear", 7, 30),
            77,
            lambda lr, o: lr.OneCycleLR(
                o, 0.3, 77, pct_start=0.41, anneal_strategy="linear", div_factor=7, final_div_factor=30
            ),
        ),
    ],
    defaults=(
        "OneCycleLR",
        {
            "pct_start": "pct_start",
            "div_factor": "div_factor",
            "final_div_factor": "final_div_factor",
            "anneal": "anneal_strategy",
        },
    ),
)
def one_cycle(step, rate, steps, pct_start=0.3, anneal="cos", div_factor=25.0, final_div_factor=1e4):
    first = rate / div_factor
    last = first / final_div_factor
    peak = max(0, pct_start * steps - 1)

    def way(start, end, done):
        done = math.sin(math.pi / 2 * done) ** 2 if anneal == "cos" else done
        return start + (end - start) * done

    if step < peak:
        return way(first, rate, step / peak)
    if step == peak:
        return rate
    return last if step >= steps - 1 else way(rate, last, (step - peak) / (steps - 1 - peak))


@row(
    schedules.Cyclic,
    draw=st.one_of(
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
    limits=lambda s: (s.rate, s.max_rate),
    example=schedules.Cyclic(0.1, 0.5, 15, mode="triangular2"),
    torch=[
        (schedules.Cyclic(0.1, 0.3, 11), 100, lambda lr, o: lr.CyclicLR(o, 0.1, 0.3, 11)),
        (
            schedules.Cyclic(0.1, 0.3, 5, 8, "triangular2"),
            100,
            lambda lr, o: lr.CyclicLR(o, 0.1, 0.3, 5, 8, "triangular2"),
        ),
        (
            schedules.Cyclic(0.1, 0.3, 5, 8, "exp_range", 0.97),
            100,
            lambda lr, o: lr.CyclicLR(o, 0.1, 0.3, 5, 8, "exp_range", 0.97),
        ),
    ],
    defaults=(
        "CyclicLR",
        {"steps_up": "step_size_up", "steps_down": "step_size_down", "mode": "mode", "gamma": "gamma"},
    ),
)
def cyclic(step, rate, max_rate, steps_up=2000, steps_down=None, mode="triangular", gamma=1.0):
    down = steps_down or steps_up
    t, height = step, 1.0
    while t >= steps_up + down:
        t -= steps_up + down
        if mode == "triangular2":
            height /= 2
    if mode == "exp_range":
        height = gamma**step
    way = t / steps_up if t <= steps_up else 1 - (t - steps_up) / down
    return rate + (max_rate - rate) * way * height


@row(
    schedules.Warmup,
    draw=parameters(
        {"start_factor": st.floats(0, 1)},
        schedule=st.one_of(
            RATE, st.just(decaying), st.builds(schedules.Step, RATE, STEPS), st.builds(schedules.Cosine, RATE, STEPS)
        ),
        steps=STEPS,
    ),
    limits=lambda s: (0, s.schedule(0)),
    example=schedules.Warmup(schedules.Cosine(0.4, 80), 20),
    torch=[
        (
            schedules.Warmup(schedules.Step(0.3, 7, 0.5), 10),
            50,
            lambda lr, o: warmed(lr, o, 10, 1 / 3, lambda: lr.StepLR(o, 7, 0.5)),
        ),
        (
            schedules.Warmup(schedules.Exponential(0.3, 0.9), 5, 0.01),
            50,
            lambda lr, o: warmed(lr, o, 5, 0.01, lambda: lr.ExponentialLR(o, 0.9)),
        ),
        (
            schedules.Warmup(schedules.Cosine(0.3, 40), 8),
            49,
            lambda lr, o: warmed(lr, o, 8, 1 / 3, lambda: lr.CosineAnnealingLR(o, 40)),
        ),
    ],
    defaults=("LinearLR", {"start_factor": "start_factor"}),
)
def warmup(step, schedule, steps, start_factor=1 / 3):
    target = schedule if callable(schedule) else lambda _: schedule
    if step >= steps:
        return target(step - steps)
    return target(0) * (start_factor + step * (1 - start_factor) / steps)


@row(
    schedules.ReduceOnPlateau,
    draw=parameters(
        rate=RATE,
        factor=st.floats(0.1, 0.9),
        patience=st.integers(0, 3),
        threshold=st.sampled_from([0, 1e-4, 0.125, 0.5]),
        cooldown=st.integers(0, 3),
        min_rate=st.floats(0, 1e-6),
        mode=st.sampled_from(["min", "max"]),
    ),
    limits=lambda s: (s.rate, s.rate),
    way="down",
    example=schedules.ReduceOnPlateau(0.1),
    without={"torch": "its rates follow from values, not from steps; a test of its own compares it"},
    defaults=(
        "ReduceLROnPlateau",
        {
            "factor": "factor",
            "patience": "patience",
            "threshold": "threshold",
            "cooldown": "cooldown",
            "mode": "mode",
            "min_rate": "min_lr",
        },
    ),
)
def reduce_on_plateau(step, rate, **_):
    return rate


SCHEDULES = {known.name: known.formula for known in ROWS.values()}


def plateau_rates(
    values, rate, factor=0.1, patience=10, threshold=1e-4, cooldown=0, min_rate=0.0, mode="min", least_change=1e-8
):
    """The rate after each value, by looking back at all values before it."""
    rates, since, rest_until = [], 0, 0
    best = math.inf if mode == "min" else -math.inf
    for i, value in enumerate(values):
        better = value < best * (1 - threshold) if mode == "min" else value > best * (1 + threshold)
        if better:
            best = value
        # values count as bad from `since` on; those that fall into a rest do not
        if better or i < rest_until:
            since = i + 1
        if i + 1 - since > patience:
            lower = max(rate * factor, min_rate)
            if rate - lower > least_change:
                rate = lower
            since, rest_until = i + 1, i + 1 + cooldown
        rates.append(rate)
    return rates
