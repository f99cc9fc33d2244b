"""Learning-rate schedules, one step at a time, in plain Python.

Where there is one, by the definition that walks through the steps before, not by the closed form.
"""

import math
from fractions import Fraction


def constant(step, rate):
    return rate


def step_decay(step, rate, steps, decay=0.1):
    for t in range(1, step + 1):
        if t % steps == 0:
            rate *= decay
    return rate


def piecewise(step, boundaries, values):
    rate = values[0]
    for boundary, value in zip(boundaries, values[1:], strict=True):
        if step >= boundary:
            rate = value
    return rate


def multi_step(step, rate, milestones, gamma=0.1):
    for milestone in milestones:
        if step >= milestone:
            rate *= gamma
    return rate


def exponential(step, rate, decay, steps=1):
    return rate * math.exp(math.log(decay) * step / steps)


def polynomial(step, rate, steps, end_rate=0.0, power=1.0):
    if step >= steps:
        return end_rate
    return end_rate + (rate - end_rate) * math.pow((steps - step) / steps, power)


def linear(step, rate, steps, end_rate=0.0):
    if step >= steps:
        return end_rate
    return float(Fraction(rate) + (Fraction(end_rate) - Fraction(rate)) * Fraction(step, steps))


def inverse_time(step, rate, decay, steps=1):
    return 1 / (1 / rate + decay * step / (rate * steps))


def inverse_scaling(step, rate, power=0.5):
    return rate * math.exp(-power * math.log(step + 1))


def optimal(step, alpha, t0=None):
    if t0 is None:  # scikit-learn's heuristic: the first rate is the size of a typical weight
        t0 = 1 / (alpha * math.sqrt(1 / math.sqrt(alpha)))
    return 1 / (alpha * t0 + alpha * step)


def cosine(step, rate, steps, end_rate=0.0):
    # (1 + cos 2x) / 2 = cos^2 x
    return end_rate if step >= steps else end_rate + (rate - end_rate) * math.cos(math.pi / 2 * step / steps) ** 2


def cosine_restarts(step, rate, steps, t_mult=1, end_rate=0.0):
    while step >= steps:
        step -= steps
        steps *= t_mult
    return cosine(step, rate, steps, end_rate)


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


def warmup(step, schedule, steps, start_factor=1 / 3):
    target = schedule if callable(schedule) else lambda _: schedule
    if step >= steps:
        return target(step - steps)
    return target(0) * (start_factor + step * (1 - start_factor) / steps)


def reduce_on_plateau(step, rate, **_):
    return rate


# By name; each takes a step and the schedule's parameters.
SCHEDULES = {
    "constant": constant,
    "step": step_decay,
    "piecewise": piecewise,
    "multi_step": multi_step,
    "exponential": exponential,
    "polynomial": polynomial,
    "linear": linear,
    "inverse_time": inverse_time,
    "inverse_scaling": inverse_scaling,
    "optimal": optimal,
    "cosine": cosine,
    "cosine_restarts": cosine_restarts,
    "one_cycle": one_cycle,
    "cyclic": cyclic,
    "warmup": warmup,
    "reduce_on_plateau": reduce_on_plateau,
}


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
