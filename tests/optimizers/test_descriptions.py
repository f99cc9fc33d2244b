"""What optimizers are called, take, refuse and are documented as."""

import copy
import inspect
import math
import pickle
import re
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from fusedgrad import _core, optimizers
from fusedgrad.optimizers import (
    SGD,
    Adam,
    AdamW,
    Optimizer,
    RMSprop,
)
from sklearn.base import BaseEstimator, clone

from ..reference.rules import OPTIMIZERS, RULES, VARIANTS
from .steps import (
    CLASSES,
    bits,
    every_class,
    every_variant,
    falling,
    ways,
    with_rate,
)

CATALOG = {name: {field[0]: field[1:] for field in described} for name, _, described in _core.rule_catalog()}


def test_every_rule_has_a_reference_and_a_class():
    assert set(CATALOG) == set(RULES) == {kind().rule[0] for kind in CLASSES}
    assert set(OPTIMIZERS) == set(CLASSES)


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
    assert sorted(optimizers.names()) == sorted({*(kind.name for kind in OPTIMIZERS), "amsgrad"})
    assert optimizers.names()[0] == "sgd"
    for kind in CLASSES:
        assert type(optimizers.get(kind.name)) is kind
    assert optimizers.get("amsgrad", epsilon=0.1) == Adam(amsgrad=True, epsilon=0.1)


def test_unknown_names_are_errors_that_list_what_exists():
    with pytest.raises(ValueError, match="'adm'.*sgd, .*amsgrad"):
        optimizers.get("adm")
    with pytest.raises(TypeError, match="beta_3"):
        optimizers.get("adam", beta_3=0.5)


def test_the_base_class_is_abstract():
    with pytest.raises(TypeError, match="abstract"):
        Optimizer()


@every_class
def test_signature(kind):
    parameters = inspect.signature(kind).parameters
    assert next(iter(parameters)) == "learning_rate"
    only = [name for name, parameter in parameters.items() if parameter.kind is parameter.KEYWORD_ONLY]
    assert only == ["weight_decay", "clip_value", "clip_norm", "lazy"]


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
    assert {kind: kind.linear_rate for kind in CLASSES} == {k: known.linear_rate for k, known in OPTIMIZERS.items()}
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
        assert kind(weight_decay=0.5).penalty == (decoupled if OPTIMIZERS[kind].decoupled else coupled)
        for other in ways(kind, weight_decay=0.5)[1:]:
            assert other.penalty == decoupled
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
