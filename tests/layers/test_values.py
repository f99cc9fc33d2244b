"""Layers are values: what their parameters refuse, how they are shown, compared, copied and pickled."""

import copy
import dataclasses
import inspect
import pickle
import re

import numpy as np
import pytest
from fusedgrad import layers
from fusedgrad.layers import Activation, Conv2D, Dense, Embedding, MaxPool2D, Residual
from hypothesis import given, settings
from hypothesis import strategies as st

from ..networks import REPEATABLY
from ..reference.activations import ROWS
from ..reference.layers import KINDS, LAYERS, Wish, made

EXAMPLES = [
    *dict.fromkeys(layer for known in KINDS.values() for stack, _ in known.examples for layer in stack),
    *(made(kind, label="a") for kind in LAYERS),
    Conv2D(4, 3, init="zeros", bias_init=0.5, label="it's"),
    layers.LSTM(3, recurrent_init="zeros", bias_init=0.5, init="he_normal", forget_bias=0.0),
    Embedding(5, 3, padding=0, init=0.5, empty="zeros"),
    Residual([Conv2D(2, 3, padding="same", label="inner"), MaxPool2D(1)], label="a"),
]
each = pytest.mark.parametrize("kind", LAYERS)


# ---- parameters ----


def documented_interval(kind, parameter):
    for line in inspect.getdoc(kind).splitlines():
        names, _, text = line.partition(" : ")
        if text and not line.startswith(" ") and parameter in names.split(", "):
            found = re.search(r"[\[(]-?[0-9]+, (?:[0-9]+|inf)[\])]", text)
            return found and found.group()
    raise AssertionError(f"{kind.__name__} does not document {parameter}")


@pytest.mark.parametrize(
    ("kind", "parameter", "value"),
    [
        (kind, name, value)
        for kind, known in KINDS.items()
        for name, values in known.refused.items()
        for value in values
    ],
)
def test_parameters_out_of_range(kind, parameter, value):
    message = f"'{parameter}' parameter of {kind.__name__} must be .*Got {re.escape(repr(value))} instead"
    with pytest.raises(ValueError, match=message) as caught:
        made(kind, **{parameter: value})
    assert isinstance(caught.value, TypeError)
    interval = documented_interval(kind, parameter)
    named = re.search(r"in (?:the range )?([\[(].*?[\])])", str(caught.value))
    if interval and named and "documented ranges" not in KINDS[kind].without:
        assert named.group(1) == interval


@each
def test_every_parameter_has_values_that_are_refused(kind):
    assert set(KINDS[kind].refused) == {parameter.name for parameter in dataclasses.fields(kind)}


def test_the_largest_number_of_codes_is_documented():
    Embedding(2**24, 1)
    with pytest.raises(ValueError, match="parameter of Embedding") as caught:
        Embedding(2**24 + 1, 1)
    assert "16777216" in str(caught.value) and "2**24" in inspect.getdoc(Embedding)


@pytest.mark.parametrize("name", [name for name, known in ROWS.items() if not known.names])
def test_activations_without_a_parameter_take_none(name):
    with pytest.raises(ValueError, match=rf"Activation\('{name}'\) has no parameter alpha.*'leaky_relu'"):
        Activation(name, alpha=0.1)


@pytest.mark.parametrize("given", [[Dense], [Dense(3), None], [Dense(3), [Dense(3)]]])
def test_what_is_no_layer_in_a_block_is_named(given):
    with pytest.raises(ValueError, match=r"layers\[[01]\] of Residual must be an object of fusedgrad.layers. Got"):
        Residual(given)
    if given == [Dense]:
        with pytest.raises(ValueError, match=r"Call it: Dense\(\.\.\.\)"):
            Residual(given)


# ---- values ----


@pytest.mark.parametrize("layer", EXAMPLES, ids=repr)
def test_layers_are_values(layer):
    again = eval(repr(layer), vars(layers))
    assert repr(again) == repr(layer)
    for same in (again, copy.copy(layer), copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert type(same) is type(layer)
        assert same == layer
        assert hash(same) == hash(layer)
    assert [other for other in EXAMPLES if other == layer] == [layer]
    with pytest.raises(dataclasses.FrozenInstanceError):
        layer.label = "other"


def test_lists_and_tuples_are_the_same_pair():
    assert Conv2D(4, [3, 2], stride=[1, 2]) == Conv2D(4, (3, 2), stride=(1, 2))
    assert hash(MaxPool2D([3, 2])) == hash(MaxPool2D((3, 2)))
    assert Conv2D(np.int64(4), np.int64(3)) == Conv2D(4, 3)
    assert Conv2D(4, 3, "sigmoid") == Conv2D(4, 3, "logistic")


@st.composite
def any_layer(draw):
    """Of any kind, with any of its parameters, and what its weights begin with."""
    kind = draw(st.sampled_from(LAYERS))
    if KINDS[kind].first is not None:
        layer, _ = draw(KINDS[kind].first)
    else:
        rows = [KINDS[kind].draw((5, 4, 3)[-rank:], Wish(depth=1)) for rank in (1, 2, 3)]
        layer = draw(st.one_of([one for one in rows if one is not None]))
    own = {parameter.name for parameter in dataclasses.fields(kind)}
    begin = {"init", "recurrent_init", "bias_init"} & own
    inits = st.one_of(st.sampled_from(layers.initializers()), st.floats(-1, 1))
    values = {name: draw(inits) for name in sorted(begin)}
    return dataclasses.replace(layer, label=draw(st.one_of(st.none(), st.text(min_size=1, max_size=5))), **values)


@settings(max_examples=60, **REPEATABLY)
@given(layer=any_layer(), other=any_layer())
def test_a_representation_is_the_layer(layer, other):
    assert eval(repr(layer), vars(layers)) == layer
    assert (repr(layer) == repr(other)) == (layer == other)
