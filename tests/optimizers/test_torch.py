"""Steps of every update rule equal torch's, where torch has it."""

import inspect

import numpy as np
import pytest
from fusedgrad.optimizers import (
    ASGD,
)

from ..reference.rules import OPTIMIZERS, VARIANTS
from .steps import (
    CLASSES,
    DTYPES,
    SHAPES,
    assert_near,
    every_decay,
    flat,
    problem,
    reference,
    run,
    vars_of,
    ways,
    with_rate,
)

TORCH_FIELDS = {"epsilon": "eps", "initial_accumulator": "initial_accumulator_value", "learning_rate": "lr"}


FORMS_NOT_IN_TORCH = {name.removeprefix("torch: ") for known in OPTIMIZERS.values() for name in known.without} - {
    "torch"
}
IN_TORCH = [kind for kind in CLASSES if "torch" not in OPTIMIZERS[kind].without]


def torch_twin(torch, optimizer, params):
    """torch's optimizer of the same formula."""
    left_out = ("clip_value", "clip_norm", *FORMS_NOT_IN_TORCH)
    values = {name: value for name, value in vars_of(optimizer).items() if name not in left_out}
    if "beta_2" in values:
        values["betas"] = (values.pop("beta_1"), values.pop("beta_2"))
    kind = getattr(torch.optim, type(optimizer).__name__)
    return kind(params, **{TORCH_FIELDS.get(name, name): value for name, value in values.items()})


@pytest.fixture(params=DTYPES)
def torch(request):
    """torch, whose own scalars (products, rates) have the dtype asked for."""
    torch = pytest.importorskip("torch")
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64 if request.param is np.float64 else torch.float32)
    yield torch
    torch.set_default_dtype(before)


def compare_with_torch(torch, optimizer, shapes, count):
    dtype = np.float64 if torch.get_default_dtype() == torch.float64 else np.float32
    ws, gs = problem(shapes, dtype, count)
    ours, state = run(optimizer, ws, gs)
    theirs = [torch.tensor(w) for w in ws]
    twin = torch_twin(torch, optimizer, theirs)
    for g in gs:
        for parameter, gradient in zip(theirs, g, strict=True):
            parameter.grad = torch.tensor(gradient)
        if optimizer.clip_value is not None:
            torch.nn.utils.clip_grad_value_(theirs, optimizer.clip_value)
        if optimizer.clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(theirs, optimizer.clip_norm)
        twin.step()
    _, room, _ = reference(optimizer, ws, gs, [optimizer.learning_rate] * count)
    assert_near(flat(ours), flat([parameter.numpy() for parameter in theirs]), 2 * room)
    if isinstance(optimizer, ASGD):
        averages = flat([twin.state[parameter]["ax"].numpy() for parameter in theirs])
        assert_near(flat([state.average(i) for i in range(len(ws))]), averages, 2 * room)


def is_in_torch(variant):
    known = OPTIMIZERS[type(variant)].without
    own = [name for name, value in vars_of(variant).items() if f"torch: {name}" in known and value]
    return "torch" not in known and not own


@pytest.mark.parametrize("rate", [1e-8, 0.01, 1e3])
@pytest.mark.parametrize("variant", list(filter(is_in_torch, VARIANTS)), ids=repr)
def test_steps_equal_torch(torch, variant, rate):
    compare_with_torch(torch, with_rate(variant, rate), ((67,),), 200)


@every_decay
@pytest.mark.parametrize("kind", IN_TORCH)
def test_decay_and_clipping_equal_torch(torch, kind, options):
    for optimizer in ways(kind, **options):
        compare_with_torch(torch, optimizer, SHAPES[:3], 30)


@pytest.mark.parametrize("kind", IN_TORCH)
def test_default_rates_are_those_of_torch(kind):
    theirs = getattr(pytest.importorskip("torch").optim, kind.__name__)
    assert kind.default_rate == inspect.signature(theirs).parameters["lr"].default
    assert kind().weight_decay == inspect.signature(theirs).parameters["weight_decay"].default
