"""Every schedule equals torch's, where torch has it."""

import inspect

import numpy as np
import pytest
from fusedgrad import schedules
from fusedgrad.schedules import (
    ReduceOnPlateau,
)
from hypothesis import given, settings

from ..reference.schedules import ROWS
from .test_plateau import WATCHED, rates_after


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


COMPARED = [(ours, more) for known in ROWS.values() for ours, *more in known.torch]


@pytest.mark.parametrize("ours, theirs", COMPARED, ids=lambda value: repr(value) if not isinstance(value, list) else "")
def test_equals_torch(torch, ours, theirs):
    count, make, *rate = theirs
    first = rate[0] if rate else getattr(ours, "schedule", ours).rate
    # torch multiplies step by step, so its rounding errors add up
    expected = torch_rates(torch, make, first, count)
    np.testing.assert_allclose(schedules.table(ours, 0, count), expected, rtol=1e-11, atol=1e-13)


def test_plateau_decides_as_torch(torch):
    @settings(max_examples=300)
    @given(chosen=ROWS[ReduceOnPlateau].draw, values=WATCHED)
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
    for kind, known in ROWS.items():
        theirs, pairs = known.defaults or ("", {})
        for name, their_name in pairs.items():
            default = inspect.signature(kind).parameters[name].default
            found = inspect.signature(getattr(torch.optim.lr_scheduler, theirs)).parameters[their_name].default
            assert default == found, (kind, name)
