"""Every update rule equals its reference and torch; optimizers step arrays, refuse what they cannot, and minimise.

The tests are driven by the core's catalog of rules: a rule without a reference, or without a class, is a red test.
"""

import copy
import inspect
import math
import pickle
import re
from dataclasses import FrozenInstanceError, fields
from functools import cache

import numpy as np
import pytest
from fusedgrad import _core, optimizers
from fusedgrad.linear_model import SGDRegressor
from fusedgrad.neural_network import NeuralRegressor
from fusedgrad.optimizers import (
    ASGD,
    FTRL,
    SGD,
    Adadelta,
    Adagrad,
    Adam,
    Adamax,
    AdamW,
    Lion,
    NAdam,
    Optimizer,
    RAdam,
    RMSprop,
    State,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import OptimizeWarning, minimize, rosen, rosen_der
from sklearn.base import BaseEstimator, clone

from .child import python
from .reference.rules import RULES, trajectory

CATALOG = {name: {field[0]: field[1:] for field in described} for name, _, described in _core.rule_catalog()}
CLASSES = [
    getattr(optimizers, name) for name in optimizers.__all__ if name not in ("Optimizer", "State", "get", "names")
]
DTYPES = (np.float64, np.float32)
FLOAT32 = np.finfo(np.float32)

# Every rule, with its options.
VARIANTS = [
    SGD(),
    SGD(momentum=0.9),
    SGD(momentum=0.9, dampening=0.3),
    SGD(momentum=0.8, nesterov=True),
    SGD(momentum=0.8, nesterov=True, rate_inside=True),
    SGD(momentum=0.9, dampening=0.3, rate_inside=True),
    Adagrad(),
    Adagrad(lr_decay=0.1, initial_accumulator=0.5, epsilon=1e-3),
    Adadelta(),
    Adadelta(rho=0.5, epsilon=1e-2),
    RMSprop(),
    RMSprop(momentum=0.5),
    RMSprop(centered=True, alpha=0.9),
    RMSprop(centered=True, momentum=0.9, epsilon=1e-3),
    Adam(),
    Adam(beta_1=0.5, beta_2=0.6, epsilon=1e-2),
    Adam(beta_1=0.0, beta_2=0.0),
    Adam(amsgrad=True, beta_2=0.9),
    Adam(epsilon_hat=True, beta_2=0.9, epsilon=1e-2),
    AdamW(weight_decay=0.0),
    Adamax(),
    NAdam(),
    NAdam(momentum_decay=0.1, beta_2=0.9),
    RAdam(),
    RAdam(beta_2=0.5),
    Lion(),
    FTRL(),
    FTRL(beta=0.1, l1=0.5, l2=0.2),
    ASGD(),
    ASGD(lambd=0.01, alpha=0.5, t0=50),
]
every_variant = pytest.mark.parametrize("variant", VARIANTS, ids=repr)
every_dtype = pytest.mark.parametrize("dtype", DTYPES)
every_class = pytest.mark.parametrize("kind", CLASSES)


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


# ---- The catalog ----


def test_every_rule_has_a_reference_and_a_class():
    assert set(CATALOG) == set(RULES) == {kind().rule[0] for kind in CLASSES}


def test_every_rule_and_every_option_is_among_the_variants():
    assert {variant.rule[0] for variant in VARIANTS} == set(CATALOG)
    for rule, described in CATALOG.items():
        of_rule = [variant.rule[1] for variant in VARIANTS if variant.rule[0] == rule]
        for name in described:
            assert len({values[name] for values in of_rule}) > 1 or name in ("epsilon", "beta_1", "beta_2"), (
                rule,
                name,
            )


@every_class
def test_defaults_agree_between_core_reference_and_class(kind):
    rule, values = kind().rule
    assert values == {name: field[0] for name, field in CATALOG[rule].items()}
    signature = inspect.signature(RULES[rule]).parameters
    assert values == {name: float(signature[name].default) for name in values}


def test_names():
    assert optimizers.names() == [
        *("sgd", "adagrad", "adadelta", "rmsprop", "adam", "adamw", "adamax", "nadam", "radam", "lion", "ftrl", "asgd"),
        "amsgrad",
    ]
    for kind in CLASSES:
        assert type(optimizers.get(kind.name)) is kind
    assert optimizers.get("amsgrad", epsilon=0.1) == Adam(amsgrad=True, epsilon=0.1)


def test_unknown_names_are_errors_that_list_what_exists():
    with pytest.raises(ValueError, match="'adm'.*sgd, adagrad.*amsgrad"):
        optimizers.get("adm")
    with pytest.raises(TypeError, match="beta_3"):
        optimizers.get("adam", beta_3=0.5)


def test_the_base_class_is_abstract():
    with pytest.raises(TypeError, match="abstract"):
        Optimizer()


# ---- Descriptions ----


@every_class
def test_signature(kind):
    parameters = inspect.signature(kind).parameters
    assert next(iter(parameters)) == "learning_rate"
    only = [name for name, parameter in parameters.items() if parameter.kind is parameter.KEYWORD_ONLY]
    assert only == ["weight_decay", "clip_value", "clip_norm"]


@every_class
def test_documentation(kind):
    doc = inspect.getdoc(kind)
    names = re.findall(r"^(\w[\w, ]*) :", doc.split("References")[0], flags=re.MULTILINE)
    assert [name for line in names for name in line.split(", ")] == list(inspect.signature(kind).parameters)
    for name, parameter in inspect.signature(kind).parameters.items():
        if name not in ("clip_value", "clip_norm"):
            assert re.search(rf"^{name} : .*default={re.escape(str(parameter.default))}$", doc, re.MULTILINE), name
    assert f"None: {kind.default_rate}." in doc
    assert "References" in doc and ">>>" in doc


def test_rates():
    linear = {kind.name: kind.linear_rate for kind in CLASSES}
    assert linear == {
        **{"sgd": None, "asgd": None, "adagrad": 0.1, "adadelta": 1.0, "lion": 0.03, "radam": 0.03, "ftrl": 0.1},
        **dict.fromkeys(("rmsprop", "adam", "adamw", "adamax", "nadam"), 0.01),
    }
    w, g = np.zeros(1), np.ones(1)
    SGD().step(w, g, SGD().init(w))
    assert w == -SGD.default_rate


@every_variant
def test_repr_rebuilds_the_optimizer(variant):
    assert eval(repr(variant), vars(optimizers)) == variant


def test_repr_names_what_differs_from_the_defaults():
    assert repr(Adam()) == "Adam()"
    assert repr(Adam(0.1, amsgrad=True, clip_norm=1)) == "Adam(learning_rate=0.1, amsgrad=True, clip_norm=1.0)"
    assert repr(AdamW(weight_decay=0.0)) == "AdamW(weight_decay=0.0)"


@every_variant
def test_equality_hash_and_copies(variant):
    w = np.ones(3)
    variant.step(w, w + 1, variant.init(w))  # whatever is kept for speed must not show
    for twin in (
        pickle.loads(pickle.dumps(variant)),
        copy.deepcopy(variant),
        copy.copy(variant),
        with_rate(variant, None),
    ):
        assert twin == variant and hash(twin) == hash(variant) and twin is not variant
        again = np.ones(3)
        twin.step(again, np.full(3, 2.0), twin.init(again))
        assert bits([again]) == bits([w])
    assert variant != with_rate(variant, 0.125)
    assert variant != with_rate(variant, None, weight_decay=0.125)
    assert Adam() != AdamW(weight_decay=0.0) and Adam() != "adam"


def test_optimizers_are_immutable():
    with pytest.raises(FrozenInstanceError):
        Adam().beta_1 = 0.5


class Holder(BaseEstimator):
    def __init__(self, optimizer=None):
        self.optimizer = optimizer


def falling(step):
    return 0.5 / (1 + step)


@pytest.mark.parametrize("rate", [None, 0.5, falling])
def test_estimators_with_optimizers_can_be_cloned_and_pickled(rate):
    holder = Holder(Adam(rate, beta_1=0.5))
    assert clone(holder).optimizer == holder.optimizer == pickle.loads(pickle.dumps(holder)).optimizer


def test_numbers_are_plain():
    odd = Adam(np.float32(0.5), beta_1=np.float64(0.25), amsgrad=np.True_, clip_norm=2)
    assert repr(odd) == "Adam(learning_rate=0.5, beta_1=0.25, amsgrad=True, clip_norm=2.0)"
    assert odd == Adam(0.5, beta_1=0.25, amsgrad=True, clip_norm=2.0)


def test_what_estimators_ask_for():
    fields = {"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-8, "amsgrad": 1.0, "epsilon_hat": 0.0}
    assert Adam(amsgrad=True).rule == ("adam", fields)
    coupled, decoupled = {"coupled": 0.5, "decay": 0.0}, {"coupled": 0.0, "decay": 0.5}
    for kind in CLASSES:
        assert kind(weight_decay=0.5).penalty == (decoupled if kind in (AdamW, Lion) else coupled)
    for kind in (NAdam, RAdam):
        assert kind(weight_decay=0.5, decoupled_weight_decay=True).penalty == decoupled
    assert AdamW().penalty == {"coupled": 0.0, "decay": 0.01}
    assert SGD(momentum=0.9, dampening=0.5).lasting == pytest.approx(5)
    assert SGD(dampening=0.5).lasting == RMSprop(momentum=0.9).lasting == 1


def test_momentum_multiplies_the_rate_by_lasting():
    for optimizer in (SGD(0.1, momentum=0.8, dampening=0.25), SGD(0.1, momentum=0.8, nesterov=True)):
        w = np.zeros(1)
        state = optimizer.init(w)
        for _ in range(300):
            before = w.copy()
            optimizer.step(w, np.ones(1), state)
        assert before - w == pytest.approx(0.1 * optimizer.lasting)


def out_of_range():
    """(class, parameter, bad values) by the core's ranges."""
    for kind in CLASSES:
        for name, (_, low, high, open_low, open_high, _) in CATALOG[kind().rule[0]].items():
            if isinstance(getattr(kind(), name), bool):
                yield kind, name, (0.5, 2, "yes", None)
                continue
            beyond = [low if open_low else np.nextafter(low, -1), high if open_high else np.nextafter(high, 2 * high)]
            yield kind, name, (*beyond, math.nan, math.inf, "0.5", None, True)
        yield kind, "learning_rate", (0, -1.0, math.nan, math.inf, "step", "cosin", True, [0.1], float)
        yield kind, "weight_decay", (-1e-9, math.nan, math.inf, None, "0", True)
        for name in ("clip_value", "clip_norm"):
            yield kind, name, (0, -1, math.nan, math.inf, "1", False)


@pytest.mark.parametrize("kind, name, values", list(out_of_range()))
def test_parameters_out_of_range(kind, name, values):
    for value in values:
        shown = re.escape(repr(value))
        with pytest.raises(ValueError, match=f"'{name}' parameter of {kind.__name__} must be .*Got {shown}") as caught:
            kind(**{name: value})
        assert isinstance(caught.value, TypeError)


@pytest.mark.parametrize("bad", [{}, {"momentum": 0.9, "dampening": 0.1}])
def test_nesterov_needs_momentum_without_dampening(bad):
    with pytest.raises(ValueError, match="nesterov=True needs momentum > 0 and dampening = 0.*Got momentum="):
        SGD(nesterov=True, **bad)


# ---- Steps equal the reference ----

LENGTHS = tuple((n,) for n in range(68))  # ends that do not fill a register
SHAPES = ((19,), (), (3, 5, 2), (0, 4), (1,))


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


OPTIONS = {
    "decay": {"weight_decay": 0.1},
    "clip_value": {"clip_value": 0.3},
    "clip_norm": {"clip_norm": 2.0},
    "all": {"weight_decay": 0.1, "clip_value": 0.3, "clip_norm": 0.5},
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@every_dtype
@every_class
def test_decay_and_clipping_equal_the_reference(kind, dtype, options):
    kinds = [kind(0.01, **options)]
    if kind in (NAdam, RAdam):
        kinds.append(kind(0.01, decoupled_weight_decay=True, **options))
    for optimizer in kinds:
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
    if isinstance(variant, ASGD):
        variant = with_rate(variant, None, lambd=0.0)
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


WITHOUT_EPSILON = [
    Adagrad(epsilon=0.0),
    Adadelta(epsilon=0.0),
    RMSprop(epsilon=0.0),
    RMSprop(epsilon=0.0, momentum=0.5),
    RMSprop(epsilon=0.0, centered=True),
    Adam(epsilon=0.0),
    Adam(epsilon=0.0, amsgrad=True),
    Adam(epsilon=0.0, epsilon_hat=True),
    AdamW(epsilon=0.0, weight_decay=0.0),
    Adamax(epsilon=0.0),
    NAdam(epsilon=0.0),
    RAdam(epsilon=0.0),
]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("optimizer", WITHOUT_EPSILON, ids=repr)
def test_without_epsilon_a_gradient_of_zero_moves_nothing(optimizer, dtype):
    w = np.ones(4, dtype)
    optimizer, state = with_rate(optimizer, 0.1), optimizer.init(w)
    g = np.array([0.0, 0.0, 1.0, -1e-3], dtype)
    for _ in range(10):
        optimizer.step(w, g, state)
    np.testing.assert_array_equal(w[:2], [1, 1])
    assert (np.isfinite(w).all() and w[2] < 1 < w[3]) or type(optimizer) is Adadelta


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("epsilon", [0.0, 1e-300, 1e-30])
@pytest.mark.parametrize("kind", [Adagrad, RMSprop, Adam, Adamax, NAdam, RAdam])
def test_gradients_whose_squares_vanish_make_no_leaps(kind, epsilon, dtype):
    """The square of 1e-20 is no normal float, that of 1e-160 no normal double."""
    for size in (1e-3, 1e-10, 1e-20, 1e-30, 1e-100, 1e-160, 1e-300):
        w = np.ones(3, dtype)
        optimizer = kind(0.1, epsilon=epsilon)
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


# ---- Steps equal torch's ----

NOT_IN_TORCH = (Lion, FTRL)
FORMS_NOT_IN_TORCH = ("rate_inside", "epsilon_hat")
TORCH_FIELDS = {"epsilon": "eps", "initial_accumulator": "initial_accumulator_value", "learning_rate": "lr"}


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
    return not isinstance(variant, NOT_IN_TORCH) and not any(getattr(variant, f, False) for f in FORMS_NOT_IN_TORCH)


@pytest.mark.parametrize("rate", [1e-8, 0.01, 1e3])
@pytest.mark.parametrize("variant", list(filter(is_in_torch, VARIANTS)), ids=repr)
def test_steps_equal_torch(torch, variant, rate):
    compare_with_torch(torch, with_rate(variant, rate), ((67,),), 200)


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("kind", [kind for kind in CLASSES if kind not in NOT_IN_TORCH])
def test_decay_and_clipping_equal_torch(torch, kind, options):
    compare_with_torch(torch, kind(0.01, **options), SHAPES[:3], 30)
    if kind in (NAdam, RAdam):
        compare_with_torch(torch, kind(0.01, decoupled_weight_decay=True, **options), SHAPES[:3], 30)


@pytest.mark.parametrize("kind", [kind for kind in CLASSES if kind not in NOT_IN_TORCH])
def test_default_rates_are_those_of_torch(kind):
    theirs = getattr(pytest.importorskip("torch").optim, kind.__name__)
    assert kind.default_rate == inspect.signature(theirs).parameters["lr"].default
    assert kind().weight_decay == inspect.signature(theirs).parameters["weight_decay"].default


# ---- The same bits ----


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
            NeuralRegressor([], optimizer=SGD(1.0, clip_norm=1.0), max_epochs=2, tol=None).fit(X, y)


def test_clipping_gradients_that_are_not_finite():
    for value, expected in ((np.inf, [-0.0, np.nan]), (np.nan, [np.nan, np.nan])):
        w = np.zeros(2)
        SGD(1.0, clip_norm=1.0).step(w, np.array([1.0, value]), SGD().init(w))
        np.testing.assert_array_equal(w, expected)  # as torch does
    w = np.zeros(3)
    SGD(1.0, clip_value=2.0).step(w, np.array([np.inf, -np.inf, np.nan]), SGD().init(w))
    np.testing.assert_array_equal(w, [-2, 2, np.nan])


def test_steps_after_a_fork():
    child = python(
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


# ---- Arrays and states ----


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


# ---- SciPy ----

SCALES = np.array([1.0, 3.0, 0.3, 10.0])


def bowl(x, center=0.0):
    return 0.5 * np.sum(SCALES * (x - center) ** 2)


def bowl_der(x, center=0.0):
    return SCALES * (x - center)


METHODS = [
    SGD(0.1),
    SGD(0.05, momentum=0.8, nesterov=True),
    Adagrad(1.0),
    Adadelta(30.0),
    RMSprop(lambda step: 0.1 * 0.99**step),
    Adam(0.1),
    AdamW(0.1, weight_decay=0.0),
    Adam(0.1, amsgrad=True),
    Adamax(0.1),
    NAdam(0.1),
    RAdam(0.1),
    Lion(lambda step: 0.1 * 0.99**step),
    FTRL(1.0),
    ASGD(0.1, lambd=1e-9),
]


@pytest.mark.parametrize("method", METHODS, ids=repr)
def test_every_optimizer_minimises_a_bowl(method):
    result = minimize(bowl, np.full(4, 2.0), args=(1.0,), jac=bowl_der, method=method, options={"gtol": 1e-6})
    assert result.success and result.status == 0, result.message
    assert np.abs(result.jac).max() <= 1e-6
    np.testing.assert_allclose(result.x, 1.0, atol=1e-5)
    assert result.message == "The gradient is small: no entry of it exceeds gtol=1e-06."


def test_the_methods_are_all_optimizers():
    assert {type(method) for method in METHODS} == set(CLASSES)


def test_rosenbrock():
    options = {"maxiter": 5000, "gtol": 1e-6, "return_all": True}
    result = minimize(rosen, [-1.0, 1.5, 0.5], jac=rosen_der, method=Adam(0.05), options=options)
    assert result.success
    np.testing.assert_allclose(result.x, 1.0, atol=1e-4)
    assert 10 < result.nit < 5000 and result.nfev == result.njev == result.nit + 1
    assert len(result.fun_history) == len(result.x_history) == result.nit + 1
    assert result.fun_history == [rosen(x) for x in result.x_history]
    np.testing.assert_array_equal(result.x_history[0], [-1.0, 1.5, 0.5])
    np.testing.assert_array_equal(result.x_history[-1], result.x)
    assert result.fun == result.fun_history[-1] == rosen(result.x)
    np.testing.assert_array_equal(result.jac, rosen_der(result.x))


def test_iterates_are_those_of_step():
    method, x = Adam(0.1), np.array([3.0, -1.0])
    options = {"maxiter": 7, "return_all": True}
    result = minimize(lambda x: x @ x, x, jac=lambda x: 2 * x, method=method, options=options)
    state = method.init(x)
    for iterate in result.x_history:
        np.testing.assert_array_equal(x, iterate)
        method.step(x, 2 * x, state)


def test_the_end_of_patience():
    result = minimize(bowl, np.ones(4), jac=bowl_der, method=SGD(1e-3), options={"maxiter": 3})
    assert (result.success, result.status, result.nit) == (False, 1, 3)
    assert result.message == "Maximum number of iterations has been exceeded."
    assert "x_history" not in result
    start = minimize(bowl, np.ones(4), jac=bowl_der, method=SGD(1e-3), options={"maxiter": 0})
    assert (start.nit, start.nfev, start.fun_history) == (0, 1, [bowl(np.ones(4))])
    there = minimize(bowl, np.zeros(4), jac=bowl_der, method=SGD(1e-3), options={"maxiter": 0})
    assert there.success


def test_divergence_is_no_success():
    with np.errstate(over="ignore"):
        result = minimize(bowl, np.ones(4), jac=bowl_der, method=SGD(10.0), options={"maxiter": 5000})
    assert (result.success, result.status) == (False, 3)
    assert re.match(
        r"The (objective is inf|gradient is not finite) after \d+ iterations. Try a smaller", result.message
    )
    nowhere = minimize(lambda x: math.nan, np.ones(4), jac=bowl_der, method=SGD(0.1))
    assert (nowhere.nit, nowhere.success) == (0, False)
    assert nowhere.message == "The objective is nan after 0 iterations. Try another x0."


def test_a_descent_that_drifts_away_has_diverged():
    """A rate a little too large: the objective grows, and stays finite."""
    result = minimize(bowl, np.ones(4), jac=bowl_der, method=SGD(1.5), options={"maxiter": 60})
    assert (result.success, result.status, result.nit) == (False, 4, 60)
    assert 1e17 < result.fun < math.inf
    message = (
        r"Diverged: the objective grew from [0-9.]+ to [0-9.]+e\+\d+ in 60 iterations. Try a smaller learning_rate"
    )
    assert re.match(message, result.message)


@pytest.mark.parametrize(
    "fun, jac, x0, method",
    [
        (bowl, bowl_der, np.ones(4), SGD(1e-9)),  # far from the end
        (bowl, bowl_der, np.full(4, 1e9), SGD(1e-9)),  # far out, and on its way down
        (lambda x: -x.sum(), lambda x: -np.ones(4), np.ones(4), SGD(1e9)),  # without end, but down
        (bowl, bowl_der, np.full(4, 0.3), Lion(2.0)),  # to and fro about the minimum
    ],
)
def test_a_descent_that_is_not_done_has_not_diverged(fun, jac, x0, method):
    result = minimize(fun, x0, jac=jac, method=method, options={"maxiter": 25})
    assert (result.success, result.status) == (False, 1)
    assert result.message == "Maximum number of iterations has been exceeded."


def test_of_a_saddle_point_is_said_what_is_known():
    result = minimize(lambda x: x[0] ** 2 - x[1] ** 2, [1.0, 0.0], jac=lambda x: 2 * x * [1, -1], method=SGD(0.1))
    assert result.status == 0
    assert result.message == "The gradient is small: no entry of it exceeds gtol=1e-05."


@pytest.mark.parametrize("jac", [None, False, "2-point"])
def test_gradients_by_finite_differences(jac):
    result = minimize(bowl, np.ones(4), jac=jac, method=SGD(0.1, momentum=0.5), options={"gtol": 1e-5})
    assert result.success and result.njev == result.nit + 1
    np.testing.assert_allclose(result.x, 0.0, atol=1e-4)
    assert result.nfev == (result.nit + 1) * 6  # the value, and approx_fprime's five


def test_objectives_that_return_their_gradient():
    calls = []

    def both(x):
        calls.append(x)
        return bowl(x), bowl_der(x)

    through = minimize(both, np.ones(4), jac=True, method=SGD(0.1))
    assert len(calls) == through.nfev
    directly = SGD(0.1)(both, np.ones(4), jac=True)
    np.testing.assert_array_equal(through.x, directly.x)
    assert directly.nfev == directly.njev == through.nfev


def test_callbacks_hear_of_every_iterate():
    seen, results = [], []

    def by_x(xk):
        seen.append(xk)

    def by_result(intermediate_result):
        results.append(intermediate_result)

    for callback in (by_x, by_result):
        options = {"return_all": True, "maxiter": 20}
        result = minimize(bowl, np.ones(4), jac=bowl_der, method=SGD(0.1), callback=callback, options=options)
    np.testing.assert_array_equal(seen, result.x_history[1:])
    np.testing.assert_array_equal([r.x for r in results], result.x_history[1:])
    assert [r.fun for r in results] == result.fun_history[1:]
    minimize(bowl, np.ones(4), jac=bowl_der, method=SGD(0.1), callback=[].append)  # tells no signature


def test_callbacks_may_stop():
    def stop(xk):
        if xk[0] < 0.5:
            raise StopIteration

    result = minimize(bowl, np.ones(4), jac=bowl_der, method=SGD(0.1), callback=stop)
    assert (result.success, result.status) == (False, 99)
    assert result.message == "`callback` raised `StopIteration`."
    assert result.x[0] < 0.5 and result.nit == len(result.fun_history) - 1 < 10


def test_functions_cannot_change_the_iterates():
    def rude(x):
        value = bowl(x)
        x[:] = 1e9
        return value

    result = minimize(rude, np.ones(4), jac=lambda x: bowl_der(x.copy()), method=SGD(0.1), callback=rude)
    assert result.success
    np.testing.assert_allclose(result.x, 0, atol=1e-4)


def test_unknown_options_are_warned_of():
    with pytest.warns(OptimizeWarning, match="Unknown solver options: ftol, disp"):
        minimize(bowl, np.ones(4), jac=bowl_der, method=SGD(0.1), options={"ftol": 1e-3, "disp": False})


@pytest.mark.parametrize(
    "unused",
    [
        {"bounds": [(0, 1)] * 4},
        {"constraints": {"type": "eq", "fun": bowl}},
        {"hess": lambda x: np.diag(SCALES)},
        {"hessp": lambda x, p: SCALES * p},
    ],
    ids=lambda unused: next(iter(unused)),
)
def test_what_cannot_be_used_is_warned_of(unused):
    with pytest.warns(RuntimeWarning, match=f"Method Adam cannot handle {next(iter(unused))}"):
        minimize(bowl, np.ones(4), jac=bowl_der, method=Adam(0.1), **unused)


def test_tol_is_gtol():
    by_tol = minimize(bowl, np.ones(4), jac=bowl_der, method=SGD(0.1), tol=0.5)
    by_gtol = minimize(bowl, np.ones(4), jac=bowl_der, method=SGD(0.1), options={"gtol": 0.5})
    assert by_tol.nit == by_gtol.nit < minimize(bowl, np.ones(4), jac=bowl_der, method=SGD(0.1)).nit


@pytest.mark.parametrize(
    "options, message",
    [
        ({"maxiter": 1.5}, "'maxiter' option must be an int in the range"),
        ({"maxiter": -1}, "'maxiter' option.*Got -1"),
        ({"gtol": -1e-3}, "'gtol' option must be a float in the range"),
        ({"gtol": math.nan}, "'gtol' option"),
        ({"eps": 0.0}, "'eps' option"),
        ({"return_all": "yes"}, "'return_all' option must be one of True, False"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        minimize(bowl, np.ones(4), jac=bowl_der, method=SGD(0.1), options=options)


def test_bad_functions():
    with pytest.raises(ValueError, match=r"objective function must return a number. Got an array of shape \(4,\)"):
        minimize(lambda x: x, np.ones(4), jac=bowl_der, method=SGD(0.1))
    with pytest.raises(
        ValueError, match=r"jac must return an array of the shape of x, \(4,\). Got one of shape \(3,\)"
    ):
        minimize(bowl, np.ones(4), jac=lambda x: x[:3], method=SGD(0.1))
    with pytest.raises(ValueError, match="one dimension"):
        SGD(0.1)(bowl, np.ones((2, 2)), jac=bowl_der)


def test_start_points_of_any_kind():
    for x0 in ([1, 2, 3, 4], np.ones(4, np.float32), (1.0,) * 4):
        result = minimize(bowl, x0, jac=bowl_der, method=SGD(0.1))
        assert result.success and result.x.dtype == np.float64
    scalar = minimize(lambda x: x[0] ** 2, 3.0, jac=lambda x: 2 * x, method=SGD(0.1))
    assert scalar.success and scalar.x.shape == (1,)
