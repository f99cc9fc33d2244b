"""The arrays and states that optimizers step, and those that they refuse."""

import math
import pickle
import re

import numpy as np
import pytest
from fusedgrad.optimizers import (
    ASGD,
    SGD,
    Adam,
    AdamW,
    NAdam,
    RMSprop,
    State,
)

from ..reference.rules import VARIANTS
from .steps import every_variant, read_only


def test_kinds_of_arrays():
    optimizer = Adam(0.5)
    single, scalar, cube = np.zeros(3), np.zeros(()), np.zeros((2, 0, 3), np.float32)
    for params in (single, scalar, [single], (scalar, cube), []):
        state = optimizer.init(params)
        gradient = [np.ones_like(p) for p in params] if isinstance(params, (list, tuple)) else np.ones_like(params)
        assert optimizer.step(params, gradient, state) is None
        assert state.step == 1
    np.testing.assert_allclose(single, -1.0, rtol=1e-6)  # twice half
    np.testing.assert_allclose(scalar, -1.0, rtol=1e-6)


def test_dtypes_may_differ_between_arrays():
    params = [np.ones(5), np.ones(5, np.float32)]
    optimizer = RMSprop(0.01, clip_norm=0.5)
    state = optimizer.init(params)
    optimizer.step(params, [np.ones(5), np.ones(5, np.float32)], state)
    assert [p.dtype for p in params] == [np.float64, np.float32] == [slots[0].dtype for slots in state.slots]
    np.testing.assert_allclose(params[0], params[1], rtol=1e-6)


@every_variant
def test_states(variant):
    state = variant.init([np.ones((2, 3), np.float32), np.ones(4)])
    assert (state.step, state.carry, state.rule) == (0, 1.0, variant.rule[0])
    assert [len(slots) for slots in state.slots] == [len(state.slots[0])] * 2
    for kept, (shape, dtype) in zip(state.slots, [((2, 3), np.float32), ((4,), np.float64)], strict=True):
        assert all(slot.shape == shape and slot.dtype == dtype and not slot.any() for slot in kept)
    text = repr(state)
    assert text.startswith(f"State(rule='{variant.rule[0]}', step=0")
    assert f"{len(state.slots[1])} x (4,)" in text or not state.slots[1]


def test_slots():
    counts = {repr(variant): len(variant.init(np.ones(1)).slots[0]) for variant in VARIANTS}
    assert counts["SGD()"] == 0
    assert counts["SGD(momentum=0.9)"] == counts["RMSprop()"] == counts["Lion()"] == counts["ASGD()"] == 1
    assert counts["Adam()"] == counts["RMSprop(momentum=0.5)"] == counts["FTRL()"] == 2
    assert counts["Adam(beta_2=0.9, amsgrad=True)"] == 3


def test_states_are_for_their_rule():
    w = np.ones(3)
    state = Adam(0.1).init(w)
    AdamW(0.2).step(w, w + 1, state)  # other numbers, same rule
    for other, message in ((NAdam(), "rule 'adam'.*NAdam.*'nadam'"), (Adam(amsgrad=True), "2 slots.*has 3")):
        before = w.copy(), pickle.dumps(state)
        with pytest.raises(ValueError, match=message):
            other.step(w, w + 1, state)
        assert (w == before[0]).all() and pickle.dumps(state) == before[1]
    with pytest.raises(TypeError, match="state must be what init returned.*{}"):
        Adam().step(w, w + 1, {})


def test_only_asgd_has_an_average():
    with pytest.raises(ValueError, match="'adam' has no averaged weights; only ASGD"):
        Adam().init(np.ones(2)).average()
    optimizer, params = ASGD(1.0, lambd=0.0, t0=0), [np.zeros(2), np.zeros(1)]
    state = optimizer.init(params)
    for _ in range(4):
        optimizer.step(params, [np.ones(2), -np.ones(1)], state)
    np.testing.assert_allclose(state.average(), np.mean([-2, -3, -4]))
    np.testing.assert_allclose(state.average(1), np.mean([2, 3, 4]))


# (params, gradients, message); the good ones are two arrays, of shapes (3,) and (2, 2)
BAD_PARAMS = {
    "list of lists": ([np.ones(3), [[1.0, 2.0], [3.0, 4.0]]], r"params\[1\] is of type list; it must be an array"),
    "a number": (1.0, "params is of type float; it must be an array of numpy, or a list or tuple"),
    "integers": ([np.ones(3), np.ones((2, 2), int)], r"params\[1\] has dtype int64; it must be float32 or float64"),
    "half": ([np.ones(3), np.ones((2, 2), np.float16)], r"params\[1\] has dtype float16"),
    "objects": ([np.ones(3), np.ones((2, 2), object)], r"params\[1\] has dtype object"),
    "byte order": ([np.ones(3), np.ones((2, 2), ">f8")], r"params\[1\] has dtype >f8"),
    "read-only": ([np.ones(3), read_only(np.ones((2, 2)))], r"params\[1\] is read-only; it must be writeable"),
    "Fortran": ([np.ones(3), np.asfortranarray(np.ones((2, 2)))], r"params\[1\] is not contiguous in C order"),
    "strided": ([np.ones(3), np.ones((2, 4))[:, ::2]], r"params\[1\] is not contiguous.*ascontiguousarray"),
    "alone": (np.ones((3, 2))[:, 0], "params is not contiguous"),
    "unaligned": (np.frombuffer(bytearray(25), np.uint8)[1:].view(np.float64), r"params is not .*aligned"),
}


@pytest.mark.parametrize("params, message", BAD_PARAMS.values(), ids=BAD_PARAMS)
def test_bad_params(params, message):
    optimizer = Adam(0.5)
    with pytest.raises((ValueError, TypeError), match=message):
        optimizer.init(params)
    single = isinstance(params, np.ndarray) or not isinstance(params, list)
    good = np.ones(3) if single else [np.ones(3), np.ones((2, 2))]
    state = optimizer.init(good)
    before = pickle.dumps((params, state))
    with pytest.raises((ValueError, TypeError), match=message):
        optimizer.step(params, good, state)
    assert pickle.dumps((params, state)) == before


SHARED = np.ones((2, 2))


BAD_GRADS = {
    "one array": (np.ones(3), "grads is one array, but params is a list of 2"),
    "too few": ([np.ones(3)], "grads is a list of 1, but params is a list of 2; there must be a gradient for each"),
    "None": (None, "grads is of type NoneType"),
    "None inside": ([np.ones(3), None], r"grads\[1\] is of type NoneType"),
    "shape": ([np.ones(3), np.ones(4)], r"grads\[1\] has shape \(4,\), but params\[1\] has shape \(2, 2\)"),
    "dtype": (
        [np.ones(3), np.ones((2, 2), np.float32)],
        r"grads\[1\] has dtype float32, but params\[1\] has dtype float64",
    ),
    "integers": ([np.ones(3), np.ones((2, 2), int)], r"grads\[1\] has dtype int64; it must be float32 or float64"),
    "strided": ([np.ones(6)[::2], np.ones((2, 2))], r"grads\[0\] is not contiguous in C order"),
    "itself": ([np.ones(3), SHARED], r"grads\[1\] shares memory with params\[1\]; pass a copy"),
}


@pytest.mark.parametrize("grads, message", BAD_GRADS.values(), ids=BAD_GRADS)
def test_bad_grads(grads, message):
    optimizer, params = Adam(0.5), [np.ones(3), SHARED]
    state = optimizer.init(params)
    before = pickle.dumps((params, state))
    with pytest.raises((ValueError, TypeError), match=message):
        optimizer.step(params, grads, state)
    assert pickle.dumps((params, state)) == before


def test_read_only_gradients_are_welcome():
    w = np.ones(3)
    SGD(1.0).step(w, read_only(np.ones(3)), SGD().init(w))
    assert (w == 0).all()


def test_arrays_must_not_share_memory():
    memory = np.ones(10)
    for params in ([memory, memory], [memory[:6], memory[5:]], [np.ones(2), memory[4:6], memory]):
        grads = [np.ones_like(p) for p in params]
        state = SGD().init(params)
        with pytest.raises(
            ValueError, match=r"params\[\d\] shares memory with params\[\d\]; each number must be given"
        ):
            SGD(1.0).step(params, grads, state)
        assert (memory == 1).all() and state.step == 0
    neighbours = [memory[:5], memory[5:], memory[5:5]]
    SGD(1.0).step(neighbours, [np.ones_like(p) for p in neighbours], SGD().init(neighbours))
    assert (memory == 0).all()


def test_states_must_fit():
    w = [np.ones(3), np.ones(2)]
    grads = [np.ones(3), np.ones(2)]
    states = [
        (Adam().init([np.ones(3)]), "state was made for 1 arrays, but params is a list of 2"),
        (
            Adam().init([np.ones(3), np.ones(3)]),
            r"state.slots\[1\]\[0\] has shape \(3,\), but params\[1\] has shape \(2,\)",
        ),
        (Adam().init([np.ones(3), np.ones(2, np.float32)]), r"state.slots\[1\]\[0\] has dtype float32"),
        (State("adam", [(), ()]), "state has 0 slots for params"),
        (State("adam", 5), "state.slots is of type int"),
    ]
    for state, message in states:
        before = pickle.dumps((w, state))
        with pytest.raises((ValueError, TypeError), match=message):
            Adam().step(w, grads, state)
        assert pickle.dumps((w, state)) == before


@pytest.mark.parametrize("rate", [-1.0, math.nan, math.inf, "0.1", None, True, np.ones(1), np.ones(2), 1j])
def test_schedules_must_give_rates(rate):
    w = np.ones(3)
    optimizer = Adam(lambda step: rate if step == 2 else 0.1)
    state = optimizer.init(w)
    for _ in range(2):
        optimizer.step(w, np.ones(3), state)
    before = pickle.dumps((w, state))
    with pytest.raises(ValueError, match=f"learning rate must be.*Got {re.escape(repr(rate))} at step 2"):
        optimizer.step(w, np.ones(3), state)
    assert pickle.dumps((w, state)) == before


@pytest.mark.parametrize("rate", [0.5, np.float32(0.5), np.float64(0.5), np.array(0.5)])
def test_schedules_may_give_any_number(rate):
    w = np.ones(3)
    SGD(lambda step: rate).step(w, np.ones(3), SGD().init(w))
    assert (w == 0.5).all()


def test_errors_of_schedules_pass_through():
    def broken(step):
        raise RuntimeError("no rate today")

    w = np.ones(3)
    state = SGD(broken).init(w)
    with pytest.raises(RuntimeError, match="no rate today"):
        SGD(broken).step(w, np.ones(3), state)
    assert (w == 1).all() and state.step == 0


@pytest.mark.parametrize("n_jobs", [0, 1.5, "2", True])
def test_bad_n_jobs(n_jobs):
    w = np.ones(3)
    with pytest.raises(ValueError, match=f"n_jobs must be an int other than 0, or None. Got {n_jobs!r}"):
        SGD().step(w, np.ones(3), SGD().init(w), n_jobs=n_jobs)
    assert (w == 1).all()
