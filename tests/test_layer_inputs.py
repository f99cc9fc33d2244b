"""Layers of images and sequences: what they take, what they refuse, and how estimators live with them."""

import copy
import dataclasses
import inspect
import pickle
import re

import fusedgrad.neural_network
import joblib
import numpy as np
import pytest
import scipy.sparse as sp
from fusedgrad import layers, optimizers, schedules
from fusedgrad._validation.parameters import InvalidParameterError
from fusedgrad.layers import (
    GRU,
    LSTM,
    Activation,
    AvgPool2D,
    BatchNorm,
    Conv1D,
    Conv2D,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    GlobalAvgPool2D,
    Masking,
    MaxPool2D,
    Residual,
    SimpleRNN,
)
from fusedgrad.layers._layer import walk
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.signal import correlate2d
from scipy.special import softmax
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from . import child

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

N = 30
RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(N, 6, 5, 2))
SEQUENCES = RNG.normal(size=(N, 6, 3))
PADDED = np.where(np.arange(6)[:, None] < RNG.integers(1, 7, size=(N, 1, 1)), SEQUENCES, 0.0)
CODES = np.where(np.arange(6) < RNG.integers(1, 7, size=(N, 1)), RNG.integers(1, 7, size=(N, 6)), 0).astype(float)
NAMES = ("NeuralClassifier", "NeuralRegressor")
Y = {"NeuralClassifier": np.arange(N) % 3, "NeuralRegressor": np.sin(np.arange(N))}

STACKS = {
    "images": (
        [
            Conv2D(4, 3, "relu", padding="same", label="filters"),
            BatchNorm(),
            MaxPool2D(2),
            Residual([Conv2D(4, 3, padding="same", groups=2), Activation("tanh"), Conv2D(4, 1)]),
            AvgPool2D(2, padding="same", label="means"),
            GlobalAvgPool2D(),
            Dense(5, "tanh"),
        ],
        IMAGES,
    ),
    "sequences": (
        [
            Conv1D(4, 3, "tanh", padding="same", label="filters"),
            GRU(3, return_sequences=True, bidirectional=True),
            Dropout(0.2),
            SimpleRNN(4, "relu", return_sequences=True, label="states"),
        ],
        SEQUENCES,
    ),
    "padded": ([Masking(), GRU(4, return_sequences=True, label="states"), LSTM(3, bidirectional=True)], PADDED),
    "codes": ([Embedding(7, 3, padding=0, label="vectors"), LSTM(4, truncate=2), Dense(5, "relu")], CODES),
}
each = pytest.mark.parametrize("stack", STACKS)
both = pytest.mark.parametrize("name", NAMES)


def make(name, made, **params):
    """An estimator for quick fits."""
    defaults = {"max_epochs": 3, "tol": None, "batch_size": 8, "learning_rate": 0.01, "random_state": 0}
    return getattr(fusedgrad.neural_network, name)(made, **{**defaults, **params})


def fitted(name, stack, **params):
    made, X = STACKS[stack]
    return make(name, made, **params).fit(X, Y[name])


def assert_same_bits(a, b):
    for one, other in zip([*a.weights_, *a.statistics_], [*b.weights_, *b.statistics_], strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)
    assert a.loss_curve_ == b.loss_curve_


def assert_same_weights(a, b):
    for one, other in zip([*a.weights_, *a.statistics_], [*b.weights_, *b.statistics_], strict=True):
        np.testing.assert_array_equal(one, other)


def state(model):
    """Every attribute, bit by bit."""
    return {key: pickle.dumps(value) for key, value in vars(model).items()}


def refuses(model, call, *words):
    """`call` is a ValueError with these words in it, and the model stays as it was."""
    before, objects = state(model), dict(vars(model))
    with pytest.raises(ValueError) as caught:
        call(model)
    for word in words:
        assert word in str(caught.value)
    assert state(model) == before
    assert all(vars(model)[key] is value for key, value in objects.items())


def first_partial_fit(model, X, y):
    return model.partial_fit(X, y, **({"classes": np.unique(y)} if "Classifier" in type(model).__name__ else {}))


# ---- parameters of layers ----

COUNTS = [0, -1, 2.5, "3", None, True, (2, 2)]
COUNTS_OR_NONE = [0, -1, 2.5, "3", True]
PAIRS = [0, -1, 2.5, "3", True, (3,), (3, 3, 3), (0, 3), (3, -1), (1.5, 2), (True, 2), {3}]
FLAGS = [1, 0, None, "yes"]
INITS = ["xavier", np.nan, np.inf, None, True]
LABEL = ["", 3, True, ("a",)]
ACTIVATIONS = ["rel", 3, True]
CONVOLUTION = {
    "filters": COUNTS,
    "activation": ACTIVATIONS,
    "groups": COUNTS,
    "bias": FLAGS,
    "init": INITS,
    "bias_init": INITS,
    "label": LABEL,
}
POOL = {
    "pool_size": [*PAIRS, None],
    "stride": PAIRS,
    "padding": [-1, 2.5, "full", None, True, (0,), (0, -1), 2, (0, 2), 7],
    "label": LABEL,
}
RECURRENT = {
    "units": COUNTS,
    "return_sequences": FLAGS,
    "bidirectional": FLAGS,
    "truncate": COUNTS_OR_NONE,
    "bias": FLAGS,
    "init": INITS,
    "recurrent_init": INITS,
    "bias_init": INITS,
    "label": LABEL,
}
WRONG = {
    Conv2D: {
        **CONVOLUTION,
        "kernel_size": [*PAIRS, None],
        "stride": [*PAIRS, None],
        "dilation": [*PAIRS, None],
        "padding": [-1, 2.5, "full", None, True, (0,), (0, -1), (1, 1, 1)],
    },
    Conv1D: {
        **CONVOLUTION,
        "kernel_size": COUNTS,
        "stride": COUNTS,
        "dilation": COUNTS,
        "padding": [-1, 2.5, "full", None, True, (1, 1)],
    },
    MaxPool2D: POOL,
    AvgPool2D: POOL,
    GlobalAvgPool2D: {"label": LABEL},
    SimpleRNN: {**RECURRENT, "activation": ["logistic", "rel", None, 3]},
    GRU: RECURRENT,
    LSTM: {**RECURRENT, "forget_bias": [np.nan, np.inf, "1", None, True]},
    Embedding: {
        "codes": [*COUNTS, 2**24 + 1],
        "units": COUNTS,
        "padding": [-1, 2.5, "0", True, 5, 6],
        "empty": ["zero", None, True, 0],
        "init": INITS,
        "label": LABEL,
    },
    Masking: {"value": [np.nan, np.inf, -np.inf, "0", None, True], "empty": ["zero", None, 0], "label": LABEL},
}
NEEDED = {
    **{kind: {"filters": 4, "kernel_size": 3} for kind in (Conv2D, Conv1D)},
    **{kind: {"units": 3} for kind in (SimpleRNN, GRU, LSTM)},
    Embedding: {"codes": 5, "units": 3},
}


def documented_interval(kind, parameter):
    for line in inspect.getdoc(kind).splitlines():
        names, _, text = line.partition(" : ")
        if text and not line.startswith(" ") and parameter in names.split(", "):
            found = re.search(r"[\[(]-?[0-9]+, (?:[0-9]+|inf)[\])]", text)
            return found and found.group()
    raise AssertionError(f"{kind.__name__} does not document {parameter}")


@pytest.mark.parametrize(
    ("kind", "parameter", "value"),
    [(kind, parameter, value) for kind in WRONG for parameter, values in WRONG[kind].items() for value in values],
)
def test_parameters_out_of_range(kind, parameter, value):
    message = f"'{parameter}' parameter of {kind.__name__} must be .*Got {re.escape(repr(value))} instead"
    with pytest.raises(InvalidParameterError, match=message) as caught:
        kind(**{**NEEDED.get(kind, {}), parameter: value})
    interval = documented_interval(kind, parameter)
    named = re.search(r"in (?:the range )?([\[(].*?[\])])", str(caught.value))
    if interval and named and kind is not Embedding:  # Embedding's padding is a code
        assert named.group(1) == interval


def test_the_largest_number_of_codes_is_documented():
    Embedding(2**24, 1)
    with pytest.raises(InvalidParameterError) as caught:
        Embedding(2**24 + 1, 1)
    assert "16777216" in str(caught.value) and "2**24" in inspect.getdoc(Embedding)


@pytest.mark.parametrize("kind", WRONG)
def test_every_parameter_has_a_case(kind):
    assert set(WRONG[kind]) == {parameter.name for parameter in dataclasses.fields(kind)}


def test_every_layer_of_images_and_sequences_has_cases():
    old = {"Activation", "BatchNorm", "Dense", "Dropout", "Flatten", "Layer", "LayerNorm", "Residual"}
    new = {name for name in layers.__all__ if inspect.isclass(getattr(layers, name))} - old
    assert new == {kind.__name__ for kind in WRONG}


@pytest.mark.parametrize("kind", [layers.LayerNorm, BatchNorm, Activation, Dense, Dropout, Flatten, Residual])
@pytest.mark.parametrize("label", ["", 3, True])
def test_labels_are_checked_everywhere(kind, label):
    needed = {Activation: {"name": "relu"}, Dense: {"units": 2}, Residual: {"layers": [Dense(2)]}}
    with pytest.raises(InvalidParameterError, match=f"'label' parameter of {kind.__name__} must be a str"):
        kind(**needed.get(kind, {}), label=label)
    assert kind(**needed.get(kind, {}), label="a").label == "a"


# ---- layers are values ----

EXAMPLES = [
    Conv2D(4, 3),
    Conv2D(4, 3, label="a"),
    Conv2D(4, (3, 2), "relu", stride=(2, 1), padding=(1, 0), dilation=2, groups=2, bias=False, init="zeros"),
    Conv2D(4, 3, "tanh", padding="same", bias_init=0.5, label="b"),
    Conv1D(4, 3),
    Conv1D(4, 3, "relu", stride=2, padding=1, dilation=2, groups=2, bias=False, init=0.1, label="a"),
    MaxPool2D(),
    MaxPool2D(label="a"),
    MaxPool2D(3, stride=(1, 2), padding="same"),
    AvgPool2D(),
    AvgPool2D((3, 2), stride=2, padding=(2, 1), label="a"),
    GlobalAvgPool2D(),
    GlobalAvgPool2D(label="it's"),
    SimpleRNN(3),
    SimpleRNN(3, "relu", return_sequences=True, truncate=3, label="a"),
    GRU(3),
    GRU(3, bidirectional=True, bias=False, label="a"),
    LSTM(3),
    LSTM(3, recurrent_init="zeros", bias_init=0.5, init="he_normal", forget_bias=0.0, label="a"),
    Embedding(5, 3),
    Embedding(5, 3, padding=0, init=0.5, label="a"),
    Masking(),
    Masking(-1.0, label="a"),
    Dense(3, "relu", label="a"),
    Residual([Conv2D(2, 3, padding="same", label="inner"), MaxPool2D(1)], label="a"),
    Dropout(0.2, label="a"),
    Activation("elu", alpha=0.5, label="a"),
    BatchNorm(label="a"),
    Flatten(label="a"),
]


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


sizes = st.integers(1, 9)
pairs = st.one_of(sizes, st.tuples(sizes, sizes))
names = st.one_of(st.none(), st.text(min_size=1, max_size=5))
inits = st.one_of(st.sampled_from(layers.initializers()), st.floats(-1, 1))
any_layer = st.one_of(
    st.builds(
        Conv2D,
        sizes,
        pairs,
        st.sampled_from([None, "relu", "gelu"]),
        stride=pairs,
        padding=st.one_of(pairs, st.sampled_from(["same", "valid"])),
        dilation=pairs,
        groups=sizes,
        bias=st.booleans(),
        init=inits,
        label=names,
    ),
    st.builds(MaxPool2D, pairs, stride=st.one_of(st.none(), pairs), label=names),
    st.builds(
        LSTM,
        sizes,
        return_sequences=st.booleans(),
        bidirectional=st.booleans(),
        truncate=st.one_of(st.none(), sizes),
        recurrent_init=inits,
        forget_bias=st.floats(-3, 3),
        label=names,
    ),
    st.builds(SimpleRNN, sizes, st.sampled_from(["tanh", "relu"]), bias=st.booleans(), label=names),
    st.builds(Embedding, st.just(10), sizes, padding=st.one_of(st.none(), sizes), label=names),
    st.builds(Masking, st.floats(allow_nan=False, allow_infinity=False), label=names),
)


@settings(max_examples=60, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(layer=any_layer, other=any_layer)
def test_a_representation_is_the_layer(layer, other):
    assert eval(repr(layer), vars(layers)) == layer
    assert (repr(layer) == repr(other)) == (layer == other)


# ---- layers that do not fit ----

IMAGE = "(height, width, channels)"
SEQUENCE = "(time, features)"
FIRST = "must be the first layer"
UNFIT = [
    # layers, which of them, shape of a row, shape before the layer, what would fit
    ([Conv2D(3, 7)], 0, (6, 5, 2), (6, 5, 2), "smaller window"),
    ([Conv2D(3, (7, 1))], 0, (6, 5, 2), (6, 5, 2), "7 x 1"),
    ([Conv2D(3, 3, dilation=3)], 0, (6, 5, 2), (6, 5, 2), "7 x 7"),
    ([Conv2D(3, 3)] * 3, 2, (6, 5, 2), (2, 1, 3), "padding='same'"),
    ([MaxPool2D(6)], 0, (6, 5, 2), (6, 5, 2), "6 x 6"),
    ([MaxPool2D(2)] * 3, 2, (6, 5, 2), (1, 1, 2), "fewer layers"),
    ([AvgPool2D((1, 6))], 0, (6, 5, 2), (6, 5, 2), "1 x 6"),
    ([Conv1D(3, 7)], 0, (6, 3), (6, 3), "7 steps"),
    ([Conv1D(3, 4, dilation=2)], 0, (6, 3), (6, 3), "7 steps"),
    ([Conv1D(3, 4), Conv1D(3, 4)], 1, (6, 3), (3, 3), "smaller window or padding='same'"),
    ([Conv2D(3, 3, groups=3)], 0, (6, 5, 2), (6, 5, 2), "multiples of groups=3"),
    ([Conv2D(3, 3, groups=2)], 0, (6, 5, 2), (6, 5, 2), "multiples of groups=2"),
    ([Conv1D(4, 3, groups=2)], 0, (6, 3), (6, 3), "multiples of groups=2"),
    *(([one], 0, shape, shape, IMAGE) for one in (Conv2D(3, 1), MaxPool2D(), AvgPool2D(), GlobalAvgPool2D())
      for shape in ((6,), (6, 3), (6, 5, 2, 1))),
    *(([one], 0, shape, shape, SEQUENCE) for one in (Conv1D(3, 1), SimpleRNN(3), GRU(3), LSTM(3))
      for shape in ((6,), (6, 5, 2))),
    *(([Masking(), GRU(3)], 0, shape, shape, SEQUENCE) for shape in ((6,), (6, 5, 2))),
    *(([Embedding(7, 3)], 0, shape, shape, "(time,)") for shape in ((6, 3), (6, 5, 2))),
    ([Flatten(), Conv2D(3, 1)], 1, (6, 5, 2), (60,), IMAGE),
    ([GlobalAvgPool2D(), MaxPool2D()], 1, (6, 5, 2), (2,), IMAGE),
    ([GRU(3), LSTM(4)], 1, (6, 3), (3,), SEQUENCE),
    *(([one], 0, (0, 3), (0, 3), "at least one time step")
      for one in (Conv1D(3, 1), Conv1D(3, 1, padding="same"), SimpleRNN(3), GRU(3), LSTM(3))),
    ([Masking(), GRU(3)], 0, (0, 3), (0, 3), "at least one time step"),
    ([Conv2D(3, 1, padding=1)], 0, (0, 5, 2), (0, 5, 2), "at least one pixel"),
    ([GlobalAvgPool2D()], 0, (0, 5, 2), (0, 5, 2), ""),
    ([Residual([Conv2D(3, 3, padding="same")])], 0, (6, 5, 2), (6, 5, 2), "(6, 5, 3)"),
    ([Residual([Conv2D(2, 3)])], 0, (6, 5, 2), (6, 5, 2), "(4, 3, 2)"),
    ([Residual([GRU(3)])], 0, (6, 3), (6, 3), "(3,)"),
]  # fmt: skip
MISPLACED = [
    ([Activation("tanh"), Masking(), GRU(3)], 1, (6, 3), FIRST),
    ([Masking(), Masking(-1.0), GRU(3)], 1, (6, 3), FIRST),
    ([Activation("relu"), Embedding(7, 3)], 1, (6,), FIRST),
    ([Residual([Activation("tanh")]), Masking(), GRU(3)], 1, (6, 3), FIRST),
    ([Masking()], 0, (6, 3), "no recurrent layer"),
    ([Masking(), Dense(4)], 0, (6, 3), "no recurrent layer"),
    ([Masking(), Flatten()], 0, (6, 3), "no recurrent layer"),
    ([Masking(), Conv1D(3, 1), GRU(3)], 0, (6, 3), "convolutions and Flatten lose the marks"),
    ([Masking(), Residual([Conv1D(3, 1)]), GRU(3)], 0, (6, 3), "no recurrent layer"),
    ([Embedding(7, 3, padding=0)], 0, (6,), "no recurrent layer"),
    ([Embedding(7, 3, padding=0), Conv1D(3, 1), GRU(3)], 0, (6,), "no recurrent layer"),
]


def rows_of(shape):
    return np.ones((N, *shape))


@pytest.mark.parametrize(("made", "k", "shape", "before", "hint"), UNFIT, ids=lambda value: repr(value)[:60])
@both
def test_layers_that_do_not_fit(name, made, k, shape, before, hint):
    rows, words = rows_of(shape), (f"layers[{k}]", repr(made[k]), str(before), hint)
    refuses(make(name, made), lambda model: model.fit(rows, Y[name]), *words)
    refuses(make(name, made), lambda model: first_partial_fit(model, rows, Y[name]), *words)
    model = fitted(name, "images").set_params(layers=made)
    refuses(model, lambda model: model.fit(rows, Y[name]), *words)
    with pytest.raises(ValueError, match=re.escape(repr(made[k]))):
        shapes = list(walk(made, shape))
        assert len(shapes) == len(made)


@pytest.mark.parametrize(("made", "k", "shape", "hint"), MISPLACED, ids=lambda value: repr(value)[:60])
@both
def test_layers_in_places_where_they_mean_nothing(name, made, k, shape, hint):
    rows, words = rows_of(shape), (repr(made[k]), hint)
    refuses(make(name, made), lambda model: model.fit(rows, Y[name]), *words)
    refuses(make(name, made), lambda model: first_partial_fit(model, rows, Y[name]), *words)
    refuses(fitted(name, "codes").set_params(layers=made), lambda model: model.fit(rows, Y[name]), *words)


@both
def test_errors_name_the_layer_that_takes_codes(name):
    """Flatten does nothing, so it may stand before."""
    for made in ([Flatten(), Embedding(3, 2)], [Flatten(), Embedding(7, 2, padding=0)]):
        refuses(make(name, made), lambda model: model.fit(CODES, Y[name]), repr(made[1]))


NO_CHANNELS = """
import numpy as np
from fusedgrad.layers import *
from fusedgrad.neural_network import NeuralRegressor
for layer, shape in CASES:
    print(repr(layer), end=" ", flush=True)
    try:
        NeuralRegressor([layer], max_epochs=1, tol=None).fit(np.zeros((8, *shape)), np.arange(8.0))
        print("fitted", flush=True)
    except ValueError as error:
        print("refused" if repr(layer) in str(error) else error, flush=True)
"""


def test_rows_without_channels_do_not_end_the_process():
    images = [Conv2D(3, 1), Conv2D(3, 1, padding=2), GlobalAvgPool2D(), MaxPool2D(), AvgPool2D()]
    sequences = [Conv1D(3, 1), SimpleRNN(3), GRU(3), LSTM(3, bidirectional=True), Masking()]
    cases = [*((layer, (5, 5, 0)) for layer in images), *((layer, (5, 0)) for layer in sequences)]
    result = child.python(NO_CHANNELS.replace("CASES", repr(cases)))
    lines = result.stdout.splitlines()
    for line, (layer, _) in zip(lines, cases, strict=False):
        assert line in (f"{layer!r} fitted", f"{layer!r} refused"), result.stderr
    assert len(lines) == len(cases)
    assert result.returncode == 0


@both
def test_labels_must_differ(name):
    made = [Dense(4, label="one"), Dense(3), Dense(4, label="one")]
    refuses(make(name, made), lambda model: model.fit(IMAGES[:, 0, 0], Y[name]), "'one'", "must differ")


# ---- numbers that the first layer does not take ----


def with_codes(value):
    rows = CODES.copy()
    rows[4, 0] = value
    return rows


def with_padding(rows, value=0.0):
    rows = rows.copy()
    rows[[3, 5]] = value
    return rows


FORMS = {"dense": np.asarray, "sparse": sp.csr_array, "csc": sp.csc_array, "float32": np.float32}
BAD_CODES = [(7, "is 7"), (-1, "is -1"), (0.5, "is 0.5"), (6.999, "is 6.999"), (1e9, "is 1e+09")]


class Rate:
    """A schedule that knows whether there was a step."""

    asked = False

    def __call__(self, step):
        self.asked = True
        return 0.01


def refuses_rows(name, stack, bad, *words, predicts=False):
    """At every door (that of predictions left open, if it `predicts`); with the name that the rows have there."""
    y, (made, X) = Y[name], STACKS[stack]
    of_X = [word.format("X") for word in words]
    of_X_val = [word.format("X_val") for word in words]
    shape = None
    if sp.issparse(bad) and X.ndim > 2:
        X, shape = X.reshape(N, -1), X.shape[1:]

    def new(**params):
        return make(name, made, input_shape=shape, **params)

    refuses(new(), lambda model: model.fit(bad, y), *of_X)
    refuses(new(), lambda model: first_partial_fit(model, bad, y), *of_X)
    rate = Rate()
    refuses(new(learning_rate=rate), lambda model: model.fit(X, y, X_val=bad, y_val=y), *of_X_val)
    assert not rate.asked
    model = new(learning_rate=rate, warm_start=True).fit(X, y, X_val=X, y_val=y)
    assert rate.asked
    calls = ["predict", "transform", *(["predict_proba", "predict_log_proba"] if "Classifier" in name else [])]
    for call in [] if predicts else calls:
        refuses(model, lambda model, call=call: getattr(model, call)(bad), *of_X)
    for call in ("fit", "partial_fit", *([] if predicts else ["score"])):
        refuses(model, lambda model, call=call: getattr(model, call)(bad, y), *of_X)
    refuses(model, lambda model: model.fit(X, y, X_val=bad, y_val=y), *of_X_val)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("value", "word"), BAD_CODES)
@both
def test_codes_must_be_whole_numbers_below_the_number_of_codes(name, value, word, form):
    first = STACKS["codes"][0][0]
    bad = FORMS[form](with_codes(value))
    refuses_rows(name, "codes", bad, f"{{}}[4, 0] {word}", repr(first), "from 0 to 6")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("value", "word"), [(np.nan, "NaN"), (np.inf, "infinity")])
@both
def test_codes_must_be_finite(name, value, word, form):
    refuses_rows(name, "codes", FORMS[form](with_codes(value)), f"Input {{}} contains {word}")


@pytest.mark.parametrize("form", FORMS)
@both
def test_nothing_is_learned_from_rows_of_nothing_but_padding(name, form):
    words = "Rows 3, 5 of {} are nothing but padding", "there is no step to learn from", "(..., empty='zeros')"
    made = STACKS["codes"][0]
    refuses_rows(name, "codes", FORMS[form](with_padding(CODES)), *words, repr(made[0]), predicts=True)
    rows = with_padding(PADDED)
    rows = rows.reshape(N, -1) if form in ("sparse", "csc") else rows
    refuses_rows(name, "padded", FORMS[form](rows), *words, "Masking()", predicts=True)


@both
def test_many_rows_of_nothing_but_padding_are_told_shortly(name):
    rows = np.concatenate([np.ones((5000, 6, 3)), np.zeros((9, 6, 3))])
    model = fitted(name, "padded")
    refuses(model, lambda model: model.partial_fit(rows, np.arange(5009) % 3), "Rows 5000, 5001, 5002, 5003, 5004, ...")
    with pytest.warns(UserWarning, match="^Rows 5000, 5001, 5002, 5003, 5004, ... of X are nothing but padding"):
        model.predict(rows)


EMPTY = {
    "masking": (lambda **more: Masking(**more), (5, 3)),
    "embedding": (lambda **more: Embedding(6, 3, padding=0, **more), (5,)),
}


@pytest.mark.parametrize("first", EMPTY)
@pytest.mark.parametrize("kind", [SimpleRNN, GRU, LSTM])
@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("sequences", [False, True])
def test_rows_of_nothing_but_padding_are_predicted_from_a_state_of_zero(first, kind, deep, sequences):
    """With a warning that names them; the others as if they were not there."""
    made, shape = EMPTY[first]
    rng = np.random.default_rng(0)
    rows = rng.integers(1, 6, (20, *shape)).astype(float)
    rows[1, 2:] = 0
    layers = [
        *[kind(4, return_sequences=True, bidirectional=True)] * deep,
        kind(4, return_sequences=sequences, bidirectional=deep, label="state"),
        *[Flatten()] * sequences,
    ]
    y = np.arange(20) % 3
    model = make("NeuralClassifier", [made(), *layers]).fit(rows, y)
    expected = model.predict_proba(rows)
    with_empty = rows.copy()
    with_empty[[7, 12]] = 0
    for call in (model.predict, model.predict_proba, model.predict_log_proba, model.transform):
        with pytest.warns(UserWarning, match=r"^Rows 7, 12 of X are nothing but padding .*empty='zeros'\)"):
            call(with_empty)
    with pytest.warns(UserWarning, match="nothing but padding"):
        found = model.predict_proba(with_empty)
    others = np.delete(np.arange(20), [7, 12])
    np.testing.assert_array_equal(found[others], expected[others])
    np.testing.assert_allclose(found[[7, 12]], softmax(np.tile(model.weights_[-1], (2, 1)), axis=1), rtol=1e-12)
    wanted = make("NeuralClassifier", [made(empty="zeros"), *layers]).fit(rows, y)
    assert_same_weights(wanted, model)
    np.testing.assert_array_equal(wanted.predict_proba(with_empty), found)
    assert not wanted.transform(with_empty, "state")[[7, 12]].any()


@both
@pytest.mark.parametrize("first", EMPTY)
def test_wanted_rows_of_nothing_but_padding_are_learned_from(name, first):
    """They are sequences of no steps, which teach the biases behind them."""
    made, shape = EMPTY[first]
    rows = np.zeros((12, *shape))
    y = np.repeat([0, 1, 2], [1, 2, 9])
    layers = [made(empty="zeros"), GRU(3)]
    model = make(name, layers, optimizer="sgd", learning_rate=0.5, max_epochs=300, batch_size="full")
    model.fit(rows, y, X_val=rows, y_val=y).partial_fit(rows, y)
    if name == "NeuralClassifier":
        np.testing.assert_allclose(model.predict_proba(rows[:1]), [[1 / 12, 2 / 12, 9 / 12]], atol=1e-3)
    else:
        np.testing.assert_allclose(model.predict(rows[:1]), y.mean(), atol=1e-6)


def test_an_embedding_without_padding_has_no_empty_rows():
    with pytest.raises(InvalidParameterError, match="empty='zeros' of Embedding .* no padding"):
        Embedding(5, 3, empty="zeros")
    assert repr(Embedding(5, 3, padding=0, empty="zeros")) == "Embedding(5, 3, padding=0, empty='zeros')"
    assert repr(Masking(empty="zeros")) == "Masking(empty='zeros')"


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_padding_is_known_by_its_value_in_the_type_of_x(dtype):
    """A tenth is not the same number in both types."""
    plain = PADDED.astype(dtype)
    tenths = np.where(plain == 0, dtype(0.1), plain)
    models = [
        make("NeuralRegressor", [Masking(value), GRU(4)]).fit(rows, Y["NeuralRegressor"])
        for value, rows in ((0.0, plain), (0.1, tenths))
    ]
    assert_same_bits(*models)
    np.testing.assert_array_equal(models[0].predict(plain), models[1].predict(tenths))
    unmasked = make("NeuralRegressor", [GRU(4)]).fit(plain, Y["NeuralRegressor"])
    assert unmasked.loss_curve_ != models[0].loss_curve_


def test_padding_that_float32_cannot_hold_is_no_padding():
    rows = SEQUENCES.astype(np.float32)
    model = make("NeuralRegressor", [Masking(1e300), GRU(4)]).fit(rows, Y["NeuralRegressor"])
    assert_same_bits(model, make("NeuralRegressor", [GRU(4)]).fit(rows, Y["NeuralRegressor"]))


# ---- shapes of rows ----


def others(X):
    """The same rows in other storages, flat."""
    flat = X.reshape(N, -1)
    return {"array": flat, "fortran": np.asfortranarray(flat), "list": flat.tolist()}


@both
@each
def test_flat_rows_with_a_shape_are_rows_of_that_shape(name, stack):
    made, X = STACKS[stack]
    model = fitted(name, stack)
    for flat in others(X).values():
        given_shape = make(name, made, input_shape=X.shape[1:]).fit(flat, Y[name])
        assert_same_bits(given_shape, model)
        np.testing.assert_array_equal(given_shape.predict(flat), model.predict(X))
    np.testing.assert_array_equal(given_shape.predict(X), model.predict(X))
    for layer in range(len(made)):
        np.testing.assert_array_equal(given_shape.transform(flat, layer), model.transform(X, layer))
    again = make(name, made, input_shape=list(X.shape[1:])).fit(X, Y[name])
    assert_same_bits(again, model)
    validated = make(name, made, input_shape=X.shape[1:]).fit(flat, Y[name], X_val=flat[:9], y_val=Y[name][:9])
    expected = make(name, made).fit(X, Y[name], X_val=X[:9], y_val=Y[name][:9])
    assert validated.validation_loss_curve_ == expected.validation_loss_curve_


@both
@each
def test_sparse_rows_are_rows(name, stack):
    made, X = STACKS[stack]
    X = np.where(np.abs(X) < 0.5, 0, X) if stack in ("images", "sequences") else X
    flat = X.reshape(N, -1)
    model = make(name, made, input_shape=X.shape[1:]).fit(flat, Y[name])
    sparse = make(name, made, input_shape=X.shape[1:]).fit(sp.csr_array(flat), Y[name])
    for one, other in zip(sparse.weights_, model.weights_, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-11)
    for layer in range(len(made)):
        np.testing.assert_allclose(
            model.transform(sp.csr_array(flat), layer), model.transform(flat, layer), rtol=0, atol=1e-11
        )


@both
@each
def test_data_frames_with_a_shape(name, stack):
    pandas = pytest.importorskip("pandas")
    made, X = STACKS[stack]
    flat = X.reshape(N, -1)
    frame = pandas.DataFrame(flat, columns=[f"x{k}" for k in range(flat.shape[1])])
    model = make(name, made, input_shape=X.shape[1:]).fit(frame, Y[name], X_val=frame, y_val=Y[name])
    assert_same_bits(model, fitted(name, stack))
    assert list(model.feature_names_in_) == list(frame.columns)
    np.testing.assert_array_equal(model.predict(frame), fitted(name, stack).predict(X))
    refuses(model, lambda model: model.predict(frame[frame.columns[::-1]]), "feature names")


@both
def test_shapes_that_do_not_fit_the_rows(name):
    made = STACKS["images"][0]
    refuses(
        make(name, made, input_shape=(6, 5, 3)),
        lambda model: model.fit(IMAGES.reshape(N, -1), Y[name]),
        "input_shape=(6, 5, 3) has 90 numbers",
        "60",
    )
    model = fitted(name, "images")
    for call in (model.predict, model.transform):
        refuses(model, lambda _, call=call: call(IMAGES[:, :5]), "(5, 5, 2)", "(6, 5, 2)")
    refuses(model, lambda model: model.partial_fit(IMAGES[:, :5], Y[name]), "(5, 5, 2)", "(6, 5, 2)")
    refuses(model, lambda model: model.fit(IMAGES, Y[name], X_val=IMAGES[:, :5], y_val=Y[name]), "X_val", "(5, 5, 2)")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@both
@each
def test_types_stay(name, stack, dtype):
    made, X = STACKS[stack]
    X = X.astype(dtype)
    model = make(name, made, average=0.9).fit(X, Y[name], X_val=X, y_val=Y[name]).partial_fit(X, Y[name])
    found = [*model.weights_, *model.statistics_, *(model.transform(X, k) for k in range(len(made) + 1))]
    found.append(model.predict_proba(X) if "Classifier" in name else model.predict(X))
    found.append(model.transform(X.astype(np.float64)))
    assert {array.dtype for array in found} == {np.dtype(dtype)}


@both
def test_whole_numbers_are_numbers(name):
    whole = fitted(name, "codes")
    made = STACKS["codes"][0]
    assert_same_bits(make(name, made).fit(CODES.astype(int), Y[name]), whole)
    pixels = np.random.default_rng(0).integers(0, 256, size=IMAGES.shape).astype(np.uint8)
    made = STACKS["images"][0]
    assert_same_bits(make(name, made).fit(pixels, Y[name]), make(name, made).fit(pixels.astype(float), Y[name]))


# ---- features of a layer, and the table of layers ----


@both
@each
def test_features_by_number_and_by_label(name, stack):
    made, X = STACKS[stack]
    model = fitted(name, stack)
    shapes = [after for *_, after in walk(made, X.shape[1:])]
    count = len(model.summary().splitlines()) - 3
    for k, (layer, shape) in enumerate(zip(made, shapes, strict=True)):
        features = model.transform(X, k)
        assert features.shape == (N, *shape)
        np.testing.assert_array_equal(model.transform(X, k - count), features)
        if layer.label is not None:
            np.testing.assert_array_equal(model.transform(X, layer.label), features)
    labels = [layer.label for layer in made if layer.label is not None]
    assert labels
    np.testing.assert_array_equal(model.transform(X), model.transform(X, count - 2))
    for unknown in ("nobody", "", "0"):
        refuses(model, lambda model, unknown=unknown: model.transform(X, unknown), repr(unknown), *map(repr, labels))
    for number in (-count - 1, count, 1.0, True, None):
        refuses(model, lambda model, number=number: model.transform(X, number), f"from {-count} to {count - 1}")


@both
def test_without_labels_none_is_found(name):
    model = make(name, [Dense(3)]).fit(SEQUENCES[:, 0], Y[name])
    refuses(model, lambda model: model.transform(SEQUENCES[:, 0], "a"), "'a'", "label=")


@both
def test_a_label_of_the_output_layer_is_found(name):
    X, outputs = SEQUENCES[:, 0], 3 if "Classifier" in name else 1
    model = make(name, [Dense(4), Dense(outputs, label="scores")]).fit(X, Y[name])
    np.testing.assert_array_equal(model.transform(X, "scores"), model.transform(X, -1))
    assert model.transform(X, "scores").shape == (N, outputs)


@both
@each
def test_labels_change_nothing_else(name, stack):
    made, X = STACKS[stack]
    plain = [dataclasses.replace(layer, label=None) for layer in made]
    assert_same_bits(make(name, plain).fit(X, Y[name]), fitted(name, stack))


def test_masked_steps_have_features_of_zeros():
    model = fitted("NeuralRegressor", "padded")
    padding = (PADDED == 0).all(axis=2)
    states = model.transform(PADDED, "states")
    assert padding.any()
    np.testing.assert_array_equal(states[padding], 0)
    assert (np.abs(states[~padding]).max(axis=1) > 0).all()
    np.testing.assert_array_equal(model.transform(PADDED, 0), PADDED)


COUNTS_OF = {  # parameters of each layer; the output layer comes after them
    "images": [9 * 2 * 4 + 4, 8, 0, 9 * 2 * 4 + 4 + 4 * 4 + 4, 0, 0, 5 * 5],
    "sequences": [3 * 3 * 4 + 4, 2 * 3 * (4 * 3 + 3 * 3 + 2 * 3), 0, 6 * 4 + 4 * 4 + 2 * 4, 0],
    "padded": [0, 3 * (3 * 4 + 4 * 4 + 2 * 4), 2 * 4 * (4 * 3 + 3 * 3 + 2 * 3)],
    "codes": [7 * 3, 4 * (3 * 4 + 4 * 4 + 2 * 4), 5 * 5],
}


@both
@each
def test_the_summary_lists_layers_shapes_and_parameters(name, stack):
    made, X = STACKS[stack]
    outputs = 3 if "Classifier" in name else 1
    model = fitted(name, stack)
    made = [*made, *([Flatten()] if stack == "sequences" else [])]
    shapes = [after for *_, after in walk(made, X.shape[1:])]
    head, first, *lines, last_layer, last = model.summary().splitlines()
    assert head.split() == ["layer", "shape", "parameters"]
    assert re.split(r"\s{2,}", first) == ["input", str(X.shape[1:]), "0"]
    for line, layer, shape, count in zip(lines, made, shapes, COUNTS_OF[stack], strict=True):
        assert re.split(r"\s{2,}", line.strip()) == [repr(layer), str(shape), str(count)]
    of_output = (shapes[-1][0] + 1) * outputs
    assert re.split(r"\s{2,}", last_layer) == [f"output: Dense({outputs})", f"({outputs},)", str(of_output)]
    total = sum(COUNTS_OF[stack]) + of_output
    assert total == sum(w.size for w in model.weights_)
    assert f"{total:,} parameters, {8 * total:,} bytes" in last


# ---- copies, and training that goes on ----

COPIES = {"pickle": lambda model: pickle.loads(pickle.dumps(model)), "deepcopy": copy.deepcopy, "joblib": None}


@pytest.mark.parametrize("way", COPIES)
@both
@each
def test_copies_predict_and_go_on_with_the_same_bits(name, stack, way, tmp_path):
    made, X = STACKS[stack]
    model = make(name, made, warm_start=True, average=0.9).fit(X, Y[name])
    if way == "joblib":
        joblib.dump(model, tmp_path / "model")
        copied = joblib.load(tmp_path / "model")
    else:
        copied = COPIES[way](model)
    assert copied.summary() == model.summary()
    np.testing.assert_array_equal(copied.predict(X), model.predict(X))
    for layer in [*range(len(made)), *(layer.label for layer in made if layer.label)]:
        np.testing.assert_array_equal(copied.transform(X, layer), model.transform(X, layer))
    before = state(copied)
    model.partial_fit(X, Y[name])
    assert state(copied) == before
    copied.partial_fit(X, Y[name])
    assert_same_bits(copied.fit(X, Y[name]), model.fit(X, Y[name]))


@both
@each
def test_clones_have_equal_layers_and_nothing_learned(name, stack):
    made, X = STACKS[stack]
    model = fitted(name, stack)
    copied = clone(model)
    assert copied.layers == made
    assert vars(copied).keys() == model.get_params(deep=False).keys()
    assert_same_bits(copied.fit(X, Y[name]), model)


def rest(stack):
    """Without dropout, whose noise belongs to the fit."""
    made, X = STACKS[stack]
    return [layer for layer in made if not isinstance(layer, Dropout)], X


@both
@each
def test_partial_fits_are_epochs_of_a_fit(name, stack):
    made, X = rest(stack)
    params = {"shuffle": False, "optimizer": optimizers.NAdam()}
    expected = make(name, made, max_epochs=5, **params).fit(X, Y[name])
    model = make(name, made, max_epochs=1, **params).fit(X, Y[name])
    for _ in range(4):
        model.partial_fit(X, Y[name])
    assert_same_bits(model, expected)
    other = make(name, made, **params)
    for _ in range(5):
        first_partial_fit(other, X, Y[name])
    assert_same_bits(other, expected)


@both
@each
def test_warm_starts_are_epochs_of_a_fit(name, stack):
    made, X = rest(stack)
    params = {"shuffle": False, "optimizer": optimizers.NAdam()}
    expected = make(name, made, max_epochs=6, **params).fit(X, Y[name])
    model = make(name, made, max_epochs=2, warm_start=True, **params)
    for _ in range(3):
        model.fit(X, Y[name])
    assert_same_weights(model, expected)


@both
def test_a_warm_start_needs_the_same_weights(name):
    model = fitted(name, "images", warm_start=True)
    made = [Conv2D(4, 5, "relu", padding="same"), *STACKS["images"][0][1:]]
    refuses(model.set_params(layers=made), lambda model: model.fit(IMAGES, Y[name]), "network has changed", "(50, 4)")
    refuses(model, lambda model: model.partial_fit(IMAGES, Y[name]), "network has changed")


@both
@each
def test_parameters_set_after_a_fit_change_nothing_before_the_next(name, stack):
    X = STACKS[stack][1]
    model = fitted(name, stack)
    predicted, summary = model.predict(X), model.summary()
    model.set_params(layers=[Flatten(), Dense(3)], input_shape=(X[0].size,))
    for one in (model, pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(one.predict(X), predicted)
        assert one.summary() == summary


# ---- everything around training ----


@both
@each
def test_validation_rows_are_scored_after_every_epoch(name, stack):
    made, X = STACKS[stack]
    y = Y[name]
    model = make(name, made).fit(X, y, X_val=X[:11], y_val=y[:11])
    prefixes = [make(name, made, max_epochs=k).fit(X, y) for k in (1, 2, 3)]
    np.testing.assert_allclose(model.validation_scores_, [p.score(X[:11], y[:11]) for p in prefixes], rtol=1e-12)
    assert_same_weights(model, prefixes[-1])


@both
@each
def test_early_stopping_keeps_the_best_weights(name, stack):
    made, X = STACKS[stack]
    y = Y[name]
    params = {"early_stopping": True, "n_iter_no_change": 3, "tol": 1e-4, "max_epochs": 200, "learning_rate": 0.03}
    model = make(name, made, restore_best_weights=True, **params).fit(X, y, X_val=X[20:], y_val=y[20:])
    assert model.stop_reason_ == "early_stopping"
    assert model.score(X[20:], y[20:]) == pytest.approx(max(model.validation_scores_), rel=1e-12)
    split = make(name, made, validation_fraction=0.3, **params).fit(X, y)
    assert split.stop_reason_ == "early_stopping"
    assert len(split.validation_scores_) == split.n_iter_ < 200


@both
@each
def test_schedules_give_the_rates(name, stack):
    made, X = STACKS[stack]
    constant = make(name, made, learning_rate=0.01).fit(X, Y[name])
    assert_same_bits(make(name, made, learning_rate=lambda step: 0.01).fit(X, Y[name]), constant)
    for rate in (schedules.Cosine(0.05, 12), schedules.ReduceOnPlateau(0.01), "adaptive"):
        model = make(name, made, learning_rate=rate).fit(X, Y[name])
        assert model.n_iter_ == 3
        assert model.loss_curve_ != constant.loss_curve_ or not isinstance(rate, (schedules.Cosine, str))


@each
def test_class_weights_are_weights_of_rows(stack):
    made, X = STACKS[stack]
    y, weights = Y["NeuralClassifier"], {0: 2.0, 1: 0.5, 2: 1.0}
    model = make("NeuralClassifier", made, class_weight=weights).fit(X, y)
    expected = make("NeuralClassifier", made).fit(X, y, sample_weight=np.array([weights[c] for c in y]))
    assert_same_bits(model, expected)
    assert model.loss_curve_ != fitted("NeuralClassifier", stack).loss_curve_


@both
@each
def test_a_weight_of_zero_takes_a_row_out_of_its_batch(name, stack):
    made, X = rest(stack)
    made = [layer for layer in made if not isinstance(layer, BatchNorm)]  # which counts every row
    kept = np.arange(N) % 3 != 1
    weighted = make(name, made, batch_size="full").fit(X, Y[name], sample_weight=kept.astype(float))
    y, params = Y[name][kept], {"batch_size": "full"}
    if "Classifier" in name:  # no row of class 1 is left, but it is known
        expected = make(name, made, **params)
        for _ in range(3):
            expected.partial_fit(X[kept], y, classes=[0, 1, 2])
    else:
        expected = make(name, made, **params).fit(X[kept], y)
    for one, other in zip(weighted.weights_, expected.weights_, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-9)


def state_without(model, hidden):
    return {key: pickle.dumps(value) for key, value in vars(model).items() if key not in hidden}


@both
@each
def test_callbacks_hear_of_every_epoch_and_change_nothing(name, stack):
    pytest.importorskip("sklearn.callback")
    from .test_callbacks import Recorder

    made, X = STACKS[stack]
    listener = Recorder()
    told = make(name, made).set_callbacks(listener).fit(X, Y[name])
    assert_same_bits(told, fitted(name, stack))
    assert [event[:2] for event in listener.events].count(("end", "epoch")) == 3
    for k, shown in enumerate(listener.fitted[:3], 1):
        expected = make(name, made, max_epochs=k).fit(X, Y[name])
        np.testing.assert_array_equal(shown.predict(X), expected.predict(X))
    stopped = make(name, made).set_callbacks(Recorder(stop_at=2)).fit(X, Y[name])
    assert_same_bits(stopped, make(name, made, max_epochs=2).fit(X, Y[name]))
    failing = fitted(name, stack).set_callbacks(Recorder(fail_at=("end", 2), error=RuntimeError("a callback's own")))
    hidden = ("_skl_callbacks", "_callback_fit_ctx", "_skl_callbacks_to_teardown")
    before = state_without(failing, hidden)
    with pytest.raises(RuntimeError, match="a callback's own"):
        failing.fit(X[::-1], Y[name][::-1])
    assert state_without(failing, hidden) == before


@pytest.mark.parametrize("params", [{"learning_rate": 1e308}, {"learning_rate": 1e308, "optimizer": "sgd"}])
@both
@each
def test_divergence_leaves_no_trace(name, stack, params):
    X = STACKS[stack][1]
    with np.errstate(all="ignore"):
        refuses(make(name, STACKS[stack][0], **params), lambda model: model.fit(X, Y[name]), "non-finite")
        refuses(fitted(name, stack).set_params(**params), lambda model: model.fit(X, Y[name]), "non-finite")


@pytest.mark.parametrize("optimizer", optimizers.names())
@each
def test_every_optimizer_trains(stack, optimizer):
    made, X = STACKS[stack]
    model = make("NeuralClassifier", made, optimizer=optimizer, clip_norm=1.0, alpha=1e-3)
    model.fit(X, Y["NeuralClassifier"])
    fresh = make("NeuralClassifier", made, learning_rate=1e-300, max_epochs=1).fit(X, Y["NeuralClassifier"])
    moved = [np.abs(a - b).max() for a, b in zip(model.weights_, fresh.weights_, strict=True)]
    assert np.isfinite(moved).all()
    assert max(moved) > 1e-6


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@each
def test_n_jobs_does_not_change_a_bit(stack, dtype):
    made, X = STACKS[stack]
    X = np.concatenate([X] * 9).astype(dtype)
    y = np.arange(len(X)) % 3
    expected = make("NeuralClassifier", made, batch_size=100, n_jobs=1).fit(X, y)
    for n_jobs in (2, 3):
        model = make("NeuralClassifier", made, batch_size=100, n_jobs=n_jobs).fit(X, y)
        assert_same_bits(model, expected)
        np.testing.assert_array_equal(model.predict_proba(X), expected.predict_proba(X))


@both
@each
def test_predictions_of_a_row_do_not_depend_on_the_others(name, stack):
    X = STACKS[stack][1]
    model = fitted(name, stack)
    predict = model.predict_proba if "Classifier" in name else model.predict
    single = np.concatenate([predict(X[k : k + 1]) for k in range(N)])
    np.testing.assert_allclose(single, predict(X), rtol=0, atol=1e-12)


# ---- in scikit-learn's company ----


@both
def test_pipelines_and_grid_search(name):
    made, X = STACKS["images"]
    flat = X.reshape(N, -1)
    step = name.lower()
    pipeline = make_pipeline(StandardScaler(), make(name, made, input_shape=X.shape[1:]))
    scaled = StandardScaler().fit_transform(flat)
    expected = make(name, made).fit(scaled.reshape(X.shape), Y[name])
    assert_same_bits(pipeline.fit(flat, Y[name])[-1], expected)
    np.testing.assert_array_equal(pipeline.predict(flat), expected.predict(scaled.reshape(X.shape)))
    recurrent = [LSTM(3)]
    grid = [
        {f"{step}__layers": [made], f"{step}__batch_size": [8, 16]},
        {f"{step}__layers": [recurrent, [Masking(), GRU(2)]], f"{step}__input_shape": [(6, 10), (12, 5)]},
        {f"{step}__layers": [made], f"{step}__input_shape": [(5, 6, 2), (10, 6, 1)]},
    ]
    search = GridSearchCV(pipeline, grid, cv=2, error_score="raise").fit(flat, Y[name])
    assert len(search.cv_results_["params"]) == 8
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    again = clone(search).fit(flat, Y[name])
    np.testing.assert_array_equal(again.cv_results_["mean_test_score"], search.cv_results_["mean_test_score"])
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(search)).predict(flat), search.predict(flat))


@both
def test_features_for_the_next_step(name):
    made, X = STACKS["codes"]
    features = make(name, made).fit_transform(X, Y[name])
    np.testing.assert_array_equal(features, fitted(name, "codes").transform(X, -2))
    pipeline = make_pipeline(make(name, made), StandardScaler()).fit(X, Y[name])
    assert pipeline.transform(X).shape == (N, 5)


# ---- blocks ----


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_block_of_convolutions_adds_its_input(dtype):
    X = IMAGES.astype(dtype)
    block = Residual([Conv2D(2, 3, padding="same", bias_init=0.5)], label="block")
    model = make("NeuralRegressor", [block, GlobalAvgPool2D()]).fit(X, Y["NeuralRegressor"])
    kernel, bias = model.weights_[0].reshape(3, 3, 2, 2), model.weights_[1][0]
    expected = X.astype(np.float64)
    for row, image in zip(expected, X, strict=True):
        for f in range(2):
            row[:, :, f] += bias[f]
            row[:, :, f] += sum(correlate2d(image[:, :, c], kernel[:, :, c, f], mode="same") for c in range(2))
    tolerance = 1e-5 if dtype == np.float32 else 1e-12
    np.testing.assert_allclose(model.transform(X, "block"), expected, rtol=0, atol=tolerance)
    np.testing.assert_allclose(model.transform(X, 1), expected.mean(axis=(1, 2)), rtol=0, atol=tolerance)


@both
def test_blocks_can_hold_recurrent_layers_and_pass_padding_on(name):
    block = Residual([GRU(3, return_sequences=True)])
    model = make(name, [Masking(), block, LSTM(2)]).fit(PADDED, Y[name])
    longer = np.concatenate([PADDED, np.zeros((N, 4, 3))], axis=1)
    again = make(name, [Masking(), block, LSTM(2)]).fit(longer, Y[name])
    for one, other in zip(again.weights_, model.weights_, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-12)
