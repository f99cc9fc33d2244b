"""Problems for update rules, and steps of both sides."""

import inspect
from dataclasses import fields
from functools import cache

import numpy as np
import pytest
from fusedgrad import optimizers

from ..reference.rules import VARIANTS, trajectory

CLASSES = [
    kind
    for kind in vars(optimizers).values()
    if inspect.isclass(kind) and issubclass(kind, optimizers.Optimizer) and kind is not optimizers.Optimizer
]


DTYPES = (np.float64, np.float32)


FLOAT32 = np.finfo(np.float32)


def with_rate(optimizer, learning_rate, **changes):
    return type(optimizer)(**{**vars_of(optimizer), "learning_rate": learning_rate, **changes})


def vars_of(optimizer):
    return {parameter.name: getattr(optimizer, parameter.name) for parameter in fields(optimizer)}


@cache
def problem(shapes, dtype, count):
    """Start and gradients of so many steps, random and read-only.

    Gradients differ in size by place and by step; some coordinates never have one, some steps have none.
    """
    rng = np.random.default_rng(0)
    ws = [rng.normal(size=shape) for shape in shapes]
    sizes = [10 ** rng.uniform(-2, 2, shape) * (rng.random(shape) < 0.9) for shape in shapes]
    steps = [0.0 if t % 17 == 5 else 10 ** rng.uniform(-1, 1) for t in range(count)]
    gs = [[step * size * rng.normal(size=size.shape) for size in sizes] for step in steps]
    return [read_only(w, dtype) for w in ws], [[read_only(g, dtype) for g in each] for each in gs]


def read_only(array, dtype=None):
    array = np.asarray(array, dtype)
    array.flags.writeable = False
    return array


def run(optimizer, ws, gs, **options):
    """Copies of the weights after all steps, and the state."""
    ws = [w.copy() for w in ws]
    state = optimizer.init(ws)
    for g in gs:
        optimizer.step(ws, g, state, **options)
    return ws, state


def flat(arrays):
    return np.concatenate([array.ravel() for array in arrays])


def reference(optimizer, ws, gs, rates):
    """The reference's weights after all steps as one array, how far they may be missed, and what its rule kept."""
    rule, values = optimizer.rule
    limits = {"clip_value": optimizer.clip_value, "clip_norm": optimizer.clip_norm}
    before, eps = flat(ws).astype(float), np.finfo(ws[0].dtype).eps
    way, largest = np.zeros(before.shape), np.abs(before)
    steps = list(trajectory(rule, before, map(flat, gs), rates, **optimizer.penalty, **limits, **values))
    for after, _ in steps:
        way += np.abs(after - before)
        largest = np.maximum(largest, np.abs(after))
        before = after
    # A step is wrong by some units in the last place (decays are rounded too, and are powers), the sum by half a unit.
    # FTRL's weights are what is left of the sum after l1 has been taken off.
    taken = max(rates) * values["l1"] / values["beta"] if rule == "ftrl" else 0.0
    return before, eps * (150 * way + len(gs) * (largest + taken)), steps[-1][1]


def assert_near(ours, expected, room):
    assert ours.shape == expected.shape
    assert np.all(np.abs(ours - expected) <= room), (
        f"{np.max(np.abs(ours - expected) / room):.3g} times what is allowed"
    )


def bits(ws):
    return [w.tobytes() for w in ws]


def falling(step):
    return 0.5 / (1 + step)


SHAPES = ((19,), (), (3, 5, 2), (0, 4), (1,))


OPTIONS = {
    "decay": {"weight_decay": 0.1},
    "clip_value": {"clip_value": 0.3},
    "clip_norm": {"clip_norm": 2.0},
    "all": {"weight_decay": 0.1, "clip_value": 0.3, "clip_norm": 0.5},
}


every_dtype = pytest.mark.parametrize("dtype", DTYPES)


every_variant = pytest.mark.parametrize("variant", VARIANTS, ids=repr)
every_class = pytest.mark.parametrize("kind", CLASSES)
every_decay = pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)


def ways(kind, **options):
    """An optimizer of a class, and its twin with decoupled weight decay where there is that choice."""
    choice = "decoupled_weight_decay" in inspect.signature(kind).parameters
    return [kind(0.01, **options), *([kind(0.01, decoupled_weight_decay=True, **options)] if choice else [])]
