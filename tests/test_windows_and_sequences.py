"""Convolutions, pools, recurrent layers and embeddings equal their judge, and the judge equals central differences."""

import copy
import ctypes
import math

import numpy as np
import pytest
from fusedgrad import layers as L
from fusedgrad import optimizers
from fusedgrad._training import network as _network
from fusedgrad.neural_network import NeuralRegressor
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from .child import python
from .reference import network
from .test_network_reference import (
    ALL,
    EXAMPLES,
    LOSSES,
    SMOOTH,
    STORAGES,
    Case,
    all_differences,
    assert_close,
    every_dtype,
    gradient_of,
    predicted,
    steps_of,
)

RECURRENT = (L.SimpleRNN, L.GRU, L.LSTM)
every_recurrent = pytest.mark.parametrize("kind", RECURRENT, ids=lambda kind: kind.__name__)


# ---- random layers ----


def sizes(low=1, most=67):
    """Whole numbers, small ones often."""
    return st.one_of(st.integers(low, min(most, 6)), st.integers(low, most))


@st.composite
def pairs(draw, low, *most):
    """A number for each axis, or one for both."""
    if draw(st.booleans()):
        return draw(st.integers(low, min(most)))
    return tuple(draw(st.integers(low, one)) for one in most)


def fits(make, shape):
    try:
        make.shape(shape)
    except ValueError:
        return False
    return True


@st.composite
def groups_of(draw, channels, most):
    """(groups, filters): none, some, or as many as channels (depthwise)."""
    groups = draw(st.sampled_from([g for g in range(1, channels + 1) if channels % g == 0 and g <= most]))
    if groups == channels > 1 and draw(st.booleans()):
        return groups, channels
    return groups, groups * draw(st.integers(1, max(1, min(most // groups, 24))))


@st.composite
def convolutions(draw, shape, activations=(None,), most=67):
    *extent, channels = shape
    groups, filters = draw(groups_of(channels, most)) if draw(st.booleans()) else (1, draw(sizes(1, most)))
    more = {"bias": draw(st.booleans()), "groups": groups}
    activation = draw(st.sampled_from([None, *activations]))
    if len(extent) == 1:
        kernel, stride = draw(st.integers(1, min(5, *extent))), draw(st.integers(1, 3))
        numbers, dilation = st.integers(0, 3), draw(st.integers(1, 3))
        kind = L.Conv1D
    else:
        kernel, stride = draw(pairs(1, *(min(4, size) for size in extent))), draw(pairs(1, 3, 3))
        numbers, dilation = pairs(0, 3, 3), draw(pairs(1, 3, 3))
        kind = L.Conv2D
    padding = draw(st.one_of(st.sampled_from(["valid", "same"]), numbers))
    layer = kind(filters, kernel, activation, stride=stride, padding=padding, dilation=dilation, **more)
    if fits(layer, shape):
        return layer
    return kind(filters, kernel, activation, stride=stride, padding=padding, **more)


@st.composite
def pools(draw, shape, kinds=(L.MaxPool2D, L.AvgPool2D)):
    kernel = draw(pairs(1, *(min(4, size) for size in shape[:2])))
    stride = draw(st.one_of(st.none(), pairs(1, 3, 3)))
    k = kernel if isinstance(kernel, tuple) else (kernel, kernel)
    padding = draw(st.one_of(st.sampled_from(["valid", "same"]), pairs(0, k[0] - 1, k[1] - 1)))
    return draw(st.sampled_from(kinds))(kernel, stride=stride, padding=padding)


@st.composite
def recurrents(draw, *, units=None, smooth=False, sequences=None, truncated=True, most=67):
    kind = draw(st.sampled_from(RECURRENT))
    options = {
        "return_sequences": draw(st.booleans()) if sequences is None else sequences,
        "bidirectional": draw(st.booleans()),
        "bias": draw(st.integers(0, 3)) > 0,
        "truncate": draw(st.sampled_from([None, None, 1, 2, 3, 20])) if truncated else None,
    }
    if kind is L.SimpleRNN:
        options["activation"] = draw(st.sampled_from(["tanh"] if smooth else ["tanh", "relu"]))
    if units is not None and units % 2:
        options["bidirectional"] = False
    units = draw(sizes(1, most)) if units is None else units // (2 if options["bidirectional"] else 1)
    return kind(units, **options)


@st.composite
def old_layers(draw, shape, activations, dropout):
    kind = draw(st.sampled_from(["dense", "batch_norm", "layer_norm", "activation", *["dropout"] * dropout]))
    if kind == "dense":
        return L.Dense(draw(sizes(1, 20)), draw(st.sampled_from([None, *activations])), bias=draw(st.booleans()))
    if kind == "batch_norm":
        return L.BatchNorm(affine=draw(st.booleans()), momentum=draw(st.sampled_from([0.1, 1.0])), epsilon=1e-2)
    if kind == "layer_norm":
        return L.LayerNorm(affine=draw(st.booleans()), epsilon=1e-2)
    if kind == "activation":
        return L.Activation(draw(st.sampled_from(activations)))
    return L.Dropout(draw(st.sampled_from([0.2, 0.5])))


@st.composite
def image_lists(draw, shape, activations, smooth, dropout):
    """Layers for images, that end as an image or as a row."""
    made = []
    for _ in range(draw(st.integers(1, 3))):
        kind = draw(st.sampled_from(["convolution", "convolution", "pool", "pool", "old", "residual"]))
        if kind == "convolution":
            layer = draw(convolutions(shape, activations, most=40))
        elif kind == "pool":
            layer = draw(pools(shape, kinds=(L.AvgPool2D,) if smooth else (L.MaxPool2D, L.AvgPool2D)))
        elif kind == "old":
            layer = draw(old_layers(shape, activations, dropout))
        else:
            inner = [draw(old_layers(shape, activations, dropout))]
            size = draw(st.integers(1, 3))
            layer = L.Residual([*inner, L.Conv2D(shape[2], size, padding="same", dilation=draw(st.integers(1, 2)))])
        made.append(layer)
        shape = layer.shape(shape)
    made += draw(st.sampled_from([[], [L.Flatten()], [L.GlobalAvgPool2D()]]))
    return made


@st.composite
def sequence_lists(draw, shape, activations, smooth, dropout, masked):
    """Layers for sequences; with `masked` a recurrent layer comes before the first that loses the marks."""
    made = []
    for k in range(draw(st.integers(1, 3))):
        kinds = ["recurrent", "recurrent", "old", "residual"] + ["convolution"] * (not masked)
        kind = draw(st.sampled_from(kinds)) if len(shape) == 2 else "old"
        if kind == "recurrent" or (masked and k == 2):
            layer = draw(recurrents(smooth=smooth, most=40))
            masked = False
        elif kind == "old":
            layer = draw(old_layers(shape, activations, dropout))
        elif kind == "residual":
            layer = L.Residual([draw(recurrents(units=shape[1], smooth=smooth, sequences=True))])
            masked = False
        else:
            layer = draw(convolutions(shape, activations, most=30))
        made.append(layer)
        shape = layer.shape(shape)
    if masked:
        made.append(draw(recurrents(smooth=smooth, most=40)))
    return made


@st.composite
def cases(draw, smooth=False, dropout=True, most=21):
    activations = SMOOTH if smooth else ALL
    kind = draw(st.sampled_from(["image", "sequence", "masking", "codes"]))
    if kind == "image":
        shape = draw(st.integers(1, 8)), draw(st.integers(1, 8)), draw(sizes(1, 20))
        layers = draw(image_lists(shape, activations, smooth, dropout))
    elif kind == "codes":
        shape, codes = (draw(st.integers(1, 9)),), draw(st.one_of(st.integers(2, 9), st.integers(60, 200)))
        padding = draw(st.one_of(st.none(), st.integers(0, codes - 1)))
        first = L.Embedding(codes, draw(sizes(1, 20)), padding=padding)
        layers = draw(sequence_lists(first.shape(shape), activations, smooth, dropout, padding is not None))
        layers = [first, *layers]
    else:
        shape = draw(st.integers(1, 9)), draw(sizes(1, 20))
        layers = draw(sequence_lists(shape, activations, smooth, dropout, kind == "masking"))
        if kind == "masking":
            layers = [L.Masking(draw(st.sampled_from([0.0, -1.5]))), *layers]
    loss = draw(st.sampled_from([*LOSSES, "softmax"]))
    layers.append(L.Dense(draw(st.integers(2, 5))))
    return Case(
        layers,
        shape,
        draw(st.integers(1, most)),
        loss,
        draw(st.integers(0, 2**32 - 1)),
        smoothing=0.1 if loss == "softmax" else 0.0,
        weighted=draw(st.booleans()),
        sparse=draw(st.booleans()),
        l2=draw(st.sampled_from([0.0, 0.1])),
        l2_of_batch=draw(st.booleans()),
    )


# ---- the judge is right itself ----


def assert_slopes(layer, x, rng, wanted=(), h=1e-4):
    """Slopes along random directions of x and of all weights are those of central differences."""
    toward = rng.normal(size=layer.forward(x, True).shape)
    dx = layer.backward(toward)
    pairs = [(w, g) for w, g in zip(layer.weights, layer.gradients, strict=True)]
    if wanted != "weights":
        pairs.append((x, dx))
    largest = max(np.abs(g).max(initial=0) for _, g in pairs)
    for array, slope in pairs:
        assert slope.shape == array.shape
        kept, along = array.copy(), rng.normal(size=array.shape)
        along /= np.linalg.norm(along)
        value = {}
        for k in (-2, -1, 1, 2):
            array[:] = kept + k * h * along
            value[k] = np.sum(toward * layer.forward(x, True))
        array[:] = kept
        difference = (8 * (value[1] - value[-1]) - (value[2] - value[-2])) / (12 * h)
        size = np.abs(list(value.values())).max()
        assert abs(np.sum(slope * along) - difference) <= 1e-7 * largest + 1e-11 * size / h


def made_judge(layer, shape, rng):
    """The reference's layer, with random weights."""
    return Case([layer, L.Flatten(), L.Dense(1)], shape, 1, "squared_error", int(rng.integers(2**31))).judge().layers[0]


seeds = st.integers(0, 2**32 - 1)
dtypes = st.sampled_from([np.float64, np.float32])
images = st.tuples(st.integers(1, 9), st.integers(1, 9), sizes())
sequences = st.tuples(st.integers(1, 9), sizes())


@settings(max_examples=120, **EXAMPLES)
@given(data=st.data(), shape=st.one_of(images, sequences), seed=seeds)
def test_the_judges_convolutions_have_the_slopes_of_their_values(data, shape, seed):
    rng = np.random.default_rng(seed)
    judge = made_judge(data.draw(convolutions(shape, ["tanh", "gelu"])), shape, rng)
    assert_slopes(judge, rng.normal(size=(3, *shape)), rng)


@settings(max_examples=100, **EXAMPLES)
@given(data=st.data(), shape=images, seed=seeds)
def test_the_judges_pools_have_the_slopes_of_their_values(data, shape, seed):
    rng = np.random.default_rng(seed)
    judge = made_judge(data.draw(pools(shape)), shape, rng)
    x = rng.permutation(3 * math.prod(shape)).reshape(3, *shape) / 10  # no two are near each other
    assert_slopes(judge, x, rng)
    assert judge.to_kink() > 0.09
    assert_slopes(network.GlobalAvgPool2D(), x, rng)


@settings(max_examples=150, **EXAMPLES)
@given(data=st.data(), shape=sequences, masked=st.booleans(), seed=seeds)
def test_the_judges_recurrent_layers_have_the_slopes_of_their_values(data, shape, masked, seed):
    rng = np.random.default_rng(seed)
    judge = made_judge(data.draw(recurrents()), shape, rng)
    x = rng.normal(size=(3, *shape))
    if masked:
        judge.told(rng.random((3, shape[0])) < 0.4)
    judge.forward(x, True)
    judge.hold = True  # so that truncated slopes are those of the values
    assume(judge.to_kink() > 1e-2)
    assert_slopes(judge, x, rng)


@settings(max_examples=50, **EXAMPLES)
@given(codes=sizes(), units=sizes(), steps=st.integers(1, 9), seed=seeds)
def test_the_judges_embeddings_have_the_slopes_of_their_values(codes, units, steps, seed):
    rng = np.random.default_rng(seed)
    judge = network.Embedding(rng.normal(size=(codes, units)))
    assert_slopes(judge, rng.integers(codes, size=(4, steps)).astype(float), rng, wanted="weights")


def test_the_judges_windows_are_those_of_the_definition():
    rng = np.random.default_rng(0)
    x, W = rng.normal(size=(1, 5, 6, 4)), rng.normal(size=(2 * 3 * 2, 6))
    judge = network.Conv2D(W, None, (2, 3), stride=(2, 1), padding=(1, 2), dilation=(3, 2), groups=2)
    found = judge.forward(x, False)
    assert found.shape == (1, (5 + 2 - 4) // 2 + 1, 6 + 4 - 5 + 1, 6)
    for y, x_, f in np.ndindex(found.shape[1:]):
        total = 0.0
        for ky, kx, c in np.ndindex(2, 3, 2):
            at = 2 * y + 3 * ky - 1, x_ + 2 * kx - 2
            if 0 <= at[0] < 5 and 0 <= at[1] < 6:
                total += x[0, at[0], at[1], c + 2 * (f // 3)] * W[(ky * 3 + kx) * 2 + c, f]
        assert found[0, y, x_, f] == pytest.approx(total, abs=1e-12)


@pytest.mark.parametrize("stride, kernel", [(1, 2), (1, 3), (2, 3), (3, 2), (2, 5), (4, 1)])
@pytest.mark.parametrize("size", [5, 6, 7])
def test_same_makes_as_many_windows_as_strides_fit(size, stride, kernel):
    before, after = network.Window(kernel, stride, "same").around(size, 0)
    assert 0 <= after - before <= 1
    assert (size + before + after - kernel) // stride + 1 == math.ceil(size / stride)
    assert L.Conv2D(1, kernel, stride=stride, padding="same").shape((size, size, 1))[0] == math.ceil(size / stride)
    assert L.Conv1D(1, kernel, stride=stride, padding="same").shape((size, 1))[0] == math.ceil(size / stride)


def test_of_equal_numbers_the_first_gets_the_slope_and_padding_does_not_count():
    judge = network.MaxPool2D(2, padding=1)
    x = np.full((1, 2, 2, 1), -3.0)
    np.testing.assert_array_equal(judge.forward(x, True), x)
    np.testing.assert_array_equal(judge.backward(np.ones((1, 2, 2, 1))), np.ones((1, 2, 2, 1)))
    judge = network.MaxPool2D(2)
    judge.forward(x, True)
    np.testing.assert_array_equal(judge.backward(np.ones((1, 1, 1, 1))).ravel(), [1, 0, 0, 0])
    np.testing.assert_array_equal(network.AvgPool2D(2, padding=1).forward(x, True), x)


# ---- loss, gradient and predictions ----


@settings(max_examples=500, **EXAMPLES)
@given(case=cases(), storage=st.sampled_from(STORAGES), threads=st.integers(1, 4))
def test_loss_and_gradient_equal_the_judges(case, storage, threads):
    storage = "dense" if isinstance(case.layers[0], L.Residual) else storage
    judge, *expected = case.judged()
    assume(not judge.rounding_decides())
    found = gradient_of(case.training(storage, threads))
    np.testing.assert_allclose(found[:2], expected[:2], rtol=1e-9, atol=1e-12)
    largest = max(np.abs(g).max(initial=0) for g in expected[2])
    assert_close(found[2], expected[2], 1e-9, 1e-10 * largest + 1e-13)


@settings(max_examples=200, **EXAMPLES)
@given(case=cases(), threads=st.integers(1, 4))
def test_predictions_equal_the_judges(case, threads):
    found = predicted(case, case.X, threads=threads)
    assert found.dtype == np.float64
    assert_close([found], [case.judge().forward(case.X)], 1e-11, 1e-12)


def rounded(case):
    """The case with numbers that float32 has, too."""
    single = copy.copy(case)
    for name in ("X", "weight", "y"):
        value = getattr(case, name)
        if value is not None:
            setattr(single, name, value.astype(np.float32).astype(float))
    single.weights = [w.astype(np.float32).astype(float) for w in case.weights]
    single.kept = [r.astype(np.float32).astype(float) for r in case.kept]
    return single


def norms_multiply_roundings(judge):
    norms = [layer for layer in judge.all() if isinstance(layer, (network.LayerNorm, network.BatchNorm))]
    return any(layer.variance.min() < 0.05 for layer in norms)


@settings(max_examples=150, **EXAMPLES)
@given(case=cases(), threads=st.integers(1, 4))
def test_in_float32_everything_equals_the_judges(case, threads):
    case = rounded(case)
    judge = case.judge()
    expected = judge.forward(case.X)
    assume(not norms_multiply_roundings(judge))
    found = predicted(case, case.X, np.float32, threads=threads)
    assert found.dtype == np.float32
    assert_close([found], [expected], 1e-4, 1e-5)
    judge, *expected = case.judged()
    assume(not norms_multiply_roundings(judge) and not judge.rounding_decides(1e-4))
    assume(all(np.abs(g).max() < 1e4 for g in expected[2]))
    found = gradient_of(case.training(threads=threads, dtype=np.float32))
    np.testing.assert_allclose(found[:2], expected[:2], rtol=1e-4, atol=1e-5)
    largest = max(np.abs(g).max(initial=0) for g in expected[2])
    assert_close(found[2], expected[2], 1e-3, 1e-3 * largest + 1e-6)


@settings(max_examples=250, **EXAMPLES)
@given(data=st.data(), shape=images, seed=seeds, dtype=dtypes)
def test_convolutions_and_pools_of_all_sizes(data, shape, seed, dtype):
    layer = data.draw(st.one_of(convolutions(shape, ["tanh"]), pools(shape)))
    case = rounded(Case([L.Conv2D(shape[2], 1), layer, L.Flatten(), L.Dense(2)], shape, 3, "squared_error", seed))
    judge, *expected = case.judged()
    assume(not judge.rounding_decides(1e-9 if dtype == np.float64 else 1e-4))
    found = gradient_of(case.training(dtype=dtype, threads=2))
    rtol = 1e-10 if dtype == np.float64 else 1e-3
    largest = max(np.abs(g).max(initial=0) for g in expected[2])
    assert_close(found[2], expected[2], rtol, rtol * largest)
    assert_close([predicted(case, case.X, dtype)], [judge.forward(case.X)], rtol / 10, rtol / 10)


@settings(max_examples=80, **EXAMPLES)
@given(
    data=st.data(), shape=sequences, masked=st.booleans(), seed=seeds, dtype=st.sampled_from([np.float64, np.float32])
)
def test_recurrent_layers_of_all_sizes(data, shape, masked, seed, dtype):
    layer = data.draw(recurrents())
    layers = [*[L.Masking(0.5)] * masked, L.Dense(shape[1]), layer, L.Flatten(), L.Dense(2)]
    case = rounded(Case(layers, shape, data.draw(st.integers(1, 20)), "squared_error", seed))
    judge, *expected = case.judged()
    assume(not judge.rounding_decides(1e-9 if dtype == np.float64 else 1e-4))
    found = gradient_of(case.training(dtype=dtype, threads=2))
    rtol = 1e-10 if dtype == np.float64 else 1e-3
    largest = max(np.abs(g).max(initial=0) for g in expected[2])
    assert_close(found[2], expected[2], rtol, rtol * largest)
    assert_close([predicted(case, case.X, dtype)], [judge.forward(case.X)], rtol / 10, rtol / 10)


@every_dtype
@pytest.mark.parametrize("kind", [L.Conv2D, *RECURRENT], ids=lambda kind: kind.__name__)
def test_all_numbers_of_units_and_channels(kind, dtype):
    rtol = 1e-10 if dtype == np.float64 else 1e-3
    for units in range(1, 68):
        features = 7 * units % 67 + 1
        shape, layer = ((3, 4, features), L.Conv2D(units, 2)) if kind is L.Conv2D else ((3, features), kind(units))
        case = rounded(Case([L.Dense(features), layer, L.Flatten(), L.Dense(2)], shape, 3, "squared_error", units))
        judge, *expected = case.judged()
        assert not judge.rounding_decides()
        largest = max(np.abs(g).max() for g in expected[2])
        assert_close(gradient_of(case.training(dtype=dtype))[2], expected[2], rtol, rtol * largest)
        assert_close([predicted(case, case.X, dtype)], [judge.forward(case.X)], rtol / 10, rtol / 10)


@settings(max_examples=60, **EXAMPLES)
@given(case=cases(dropout=False), threads=st.integers(1, 3))
def test_every_layer_gives_what_the_judges_gives(case, threads):
    judge = case.judge()
    for k in range(len(case.layers)):
        found = case.net.predict(case.weights, case.kept, case.X, layer=k, threads=threads)
        expected = network.Network(judge.layers[: k + 1], case.shape).forward(case.X)
        assert_close([found], [expected], 1e-11, 1e-12)


@every_dtype
@pytest.mark.parametrize("options", [{}, {"stride": 1}, {"stride": 1, "padding": "same"}, {"stride": 2, "padding": 1}])
def test_of_equally_large_pixels_the_first_gets_the_slope(dtype, options):
    case = Case([L.Conv2D(9, 1), L.MaxPool2D((2, 3), **options), L.Flatten(), L.Dense(2)], (4, 5, 2), 12, "softmax", 0)
    rng = np.random.default_rng(0)
    case.X = rng.integers(2, size=case.X.shape).astype(float)
    case.weights[0][:], case.weights[1][:] = rng.choice([-1.0, 1.0], (2, 9)), 0.0
    judge, *expected = case.judged()
    assert (judge.layers[1].gaps() == 0).mean() > 0.2  # where different pixels have the same sum
    assert not judge.rounding_decides(0.5)
    rtol = 1e-11 if dtype == np.float64 else 1e-5
    assert_close(gradient_of(case.training(dtype=dtype))[2], expected[2], rtol)


def test_a_state_of_zero_has_no_slope_through_relu():
    layers = [L.Dense(3), L.SimpleRNN(4, activation="relu", bias=False, return_sequences=True), L.Dense(2)]
    case = Case(layers, (3, 2), 5, "squared_error", 0)
    case.weights[0][:] = case.weights[1][:] = 0
    _, *expected = case.judged()
    found = gradient_of(case.training())[2]
    assert_close(found, expected[2], 1e-12)
    for gradient in found[:2]:
        np.testing.assert_array_equal(gradient, 0.0)
    assert np.abs(found[-1]).max() > 0.1


@settings(max_examples=150, **EXAMPLES)
@given(data=st.data(), shape=images, activation=st.sampled_from(ALL), seed=seeds, threads=st.integers(1, 3))
def test_whatever_lies_between_a_convolution_and_a_pool(data, shape, activation, seed, threads):
    between = [[], [L.BatchNorm(epsilon=1e-2)], [L.Activation(activation)], [L.Dropout(0.3)]]
    layers = [data.draw(convolutions(shape, [activation], most=30)), *data.draw(st.sampled_from(between))]
    layers.append(data.draw(pools(layers[0].shape(shape))))
    layers += data.draw(st.sampled_from(between[:3]))
    *_, after = _network.Net(layers, shape).shapes
    layers += [data.draw(convolutions(after, ["relu"], most=30)), L.Flatten(), L.Dense(2)]
    case = Case(layers, shape, data.draw(st.integers(1, 20)), "squared_error", seed)
    judge, *expected = case.judged()
    assume(not judge.rounding_decides())
    largest = max(np.abs(g).max() for g in expected[2])
    assert_close(gradient_of(case.training(threads=threads))[2], expected[2], 1e-9, 1e-10 * largest + 1e-13)
    judge = case.judge()
    for k in range(len(layers)):
        found = case.net.predict(case.weights, case.kept, case.X, layer=k, threads=threads)
        assert_close([found], [network.Network(judge.layers[: k + 1], shape).forward(case.X)], 1e-11, 1e-12)


@pytest.mark.parametrize("layer, shape", [("Conv2D(2, 2)", (3, 3, 0)), ("Conv1D(2, 2)", (4, 0)), ("GRU(2)", (4, 0))])
def test_rows_without_channels_are_refused_or_give_what_the_bias_makes(layer, shape):
    code = f"""
import numpy as np
from fusedgrad import layers as L
from fusedgrad.neural_network import NeuralRegressor
from tests.test_network_reference import Case, gradient_of, predicted
try:
    case = Case([L.{layer}, L.Flatten(), L.Dense(2)], {shape}, 3, "squared_error", 0)
except ValueError as error:
    assert "rows of shape" in str(error), error
else:
    np.testing.assert_allclose(predicted(case, case.X), case.judge().forward(case.X), rtol=1e-12)
    for ours, judges in zip(gradient_of(case.training())[2], case.judged()[-1], strict=True):
        np.testing.assert_allclose(ours, judges, rtol=1e-10, atol=1e-12)
"""
    done = python(code)  # which might be killed
    assert done.returncode == 0, (done.returncode, done.stderr)


# More rows than gradients are made of at once, more weights than a tile has.
MANY = {
    "cnn": ((6, 7, 40), [L.Conv2D(20, 3, "tanh", padding="same"), L.MaxPool2D(2), L.Conv2D(20, 2, groups=20)], 300),
    "conv1d": ((30, 3), [L.Conv1D(60, 7, "silu"), L.BatchNorm(), L.Conv1D(5, 5, dilation=2)], 261),
    "tanh": ((5, 130), [L.Masking(), L.SimpleRNN(130, bidirectional=True)], 150),
    "gru": ((4, 70), [L.Masking(), L.GRU(70, return_sequences=True), L.GRU(3)], 300),
    "lstm": ((4, 70), [L.LSTM(70, bidirectional=True)], 131),
    "codes": ((6,), [L.Embedding(5000, 7, padding=4999), L.LSTM(9)], 200),
    "large images": ((30, 31, 1), [L.Conv2D(2, 1, "tanh"), L.Conv2D(3, 2, padding=1), L.AvgPool2D(9)], 9),
    "large images, padded": ((40, 40, 1), [L.Dense(1), L.Conv2D(1, 1, padding=1), L.MaxPool2D(7, padding=3)], 10),
    "long sequences": ((150, 2), [L.Masking(), L.LSTM(5, return_sequences=True), L.GRU(4, bidirectional=True)], 19),
}


@pytest.mark.parametrize("shape, layers, rows", MANY.values(), ids=MANY)
@pytest.mark.parametrize("threads", [1, 3])
def test_many_rows_and_wide_layers_equal_the_judges(shape, layers, rows, threads):
    case = Case([*layers, L.Flatten(), L.Dense(3)], shape, rows, "softmax", 0, weighted=True, l2=0.1)
    judge, *expected = case.judged()
    assert not judge.rounding_decides()
    found = gradient_of(case.training(threads=threads))
    np.testing.assert_allclose(found[:2], expected[:2], rtol=1e-11)
    assert_close(found[2], expected[2], 1e-9, 1e-13)
    assert_close([predicted(case, case.X, threads=threads)], [case.judge().forward(case.X)], 1e-11)


# ---- the library's own gradient ----

CONVOLUTIONS = {
    "plain": ((4, 5, 2), L.Conv2D(3, (2, 3), "tanh")),
    "padded": ((4, 5, 2), L.Conv2D(2, 3, "gelu", stride=(2, 1), padding="same")),
    "dilated": ((5, 5, 1), L.Conv2D(2, 2, dilation=(3, 2), padding=(1, 2))),
    "grouped": ((3, 4, 4), L.Conv2D(6, 2, groups=2, padding=1)),
    "depthwise": ((4, 4, 3), L.Conv2D(3, 3, "silu", groups=3, padding="same")),
    "depthwise, twice": ((4, 4, 3), L.Conv2D(6, 2, groups=3)),
    "relu": ((4, 4, 2), L.Conv2D(2, 3, "relu")),
    "of sequences": ((7, 3), L.Conv1D(4, 3, "tanh", stride=2, padding="same")),
    "of sequences, dilated": ((7, 2), L.Conv1D(2, 2, "mish", dilation=3, padding=2, groups=2)),
    "max": ((4, 5, 2), L.MaxPool2D(2)),
    "max, padded": ((5, 4, 2), L.MaxPool2D(3, stride=2, padding=1)),
    "max, overlapping": ((4, 4, 2), L.MaxPool2D((2, 3), stride=1, padding="same")),
    "mean": ((4, 5, 2), L.AvgPool2D(2)),
    "mean, padded": ((5, 4, 2), L.AvgPool2D(3, stride=(2, 1), padding=1)),
    "mean of all": ((3, 4, 3), L.GlobalAvgPool2D()),
}
CELLS = {
    "tanh": lambda **more: L.SimpleRNN(3, **more),
    "relu": lambda **more: L.SimpleRNN(2, activation="relu", **more),
    "gru": lambda **more: L.GRU(3, **more),
    "lstm": lambda **more: L.LSTM(3, **more),
}


def assert_own_gradient(layers, shape, rows=3):
    """Of a case where every weight counts and nothing is near a kink."""
    for seed in range(2000):
        case = Case(layers, shape, rows, "squared_error", seed)
        judge, _, _, expected = case.judged()
        if judge.to_kink() > 2e-3 and all(np.abs(g).max() > 1e-3 for g in expected):
            break
    else:
        raise AssertionError("no weights found")
    task = case.training()
    loss, _, gradients = gradient_of(task)
    scratch = np.zeros_like(task.flat)
    differences = all_differences(lambda: task.loss_gradient(scratch)[0] - loss, task.parts)
    assert_close(gradients, differences, 1e-7, 1e-9)


@pytest.mark.parametrize("shape, layer", CONVOLUTIONS.values(), ids=CONVOLUTIONS)
def test_the_gradient_through_windows_is_that_of_the_loss(shape, layer):
    assert_own_gradient([L.Dense(shape[-1], "tanh"), layer, L.Flatten(), L.Dense(2)], shape, rows=2)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("both_ways", [False, True])
@pytest.mark.parametrize("sequences", [False, True])
@pytest.mark.parametrize("name", CELLS)
def test_the_gradient_through_time_is_that_of_the_loss(name, sequences, both_ways, masked):
    layer = CELLS[name](return_sequences=sequences, bidirectional=both_ways)
    layers = [*[L.Masking()] * masked, L.Dense(2, "tanh"), layer, L.Flatten(), L.Dense(2)]
    assert_own_gradient(layers, (5, 2))


@pytest.mark.parametrize("padding", [None, 1])
def test_the_gradient_of_an_embedding_is_that_of_the_loss(padding):
    case = Case([L.Embedding(4, 3, padding=padding), L.GRU(3), L.Dense(2)], (5,), 6, "softmax", 0)
    assert len(np.unique(case.X)) == 4
    task = case.training()
    loss, _, gradients = gradient_of(task)
    scratch = np.zeros_like(task.flat)
    differences = all_differences(lambda: task.loss_gradient(scratch)[0] - loss, task.parts)
    assert_close(gradients, differences, 1e-7, 1e-9)
    for code in range(4):
        assert (np.abs(gradients[0][code]).max() > 0) == (code != padding)


# ---- truncation ----


@every_recurrent
@pytest.mark.parametrize("both_ways", [False, True])
@pytest.mark.parametrize("sequences", [False, True])
def test_truncation_that_never_happens_changes_nothing(kind, sequences, both_ways):
    def gradient(truncate):
        layer = kind(5, return_sequences=sequences, bidirectional=both_ways, truncate=truncate)
        return gradient_of(Case([L.Dense(4), layer, L.Dense(2)], (6, 3), 9, "squared_error", 0).training())

    whole = gradient(None)
    for truncate in (6, 7, 100):
        other = gradient(truncate)
        assert other[:2] == whole[:2]
        for ours, first in zip(other[2], whole[2], strict=True):
            np.testing.assert_array_equal(ours, first)
    for truncate in (1, 2, 5):  # the loss is the same, the gradient is not
        other = gradient(truncate)
        assert other[0] == whole[0]
        assert np.abs(other[2][2] - whole[2][2]).max() > 1e-6


@every_recurrent
@pytest.mark.parametrize("truncate", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("masked", [False, True])
def test_truncated_slopes_equal_the_judges(kind, truncate, masked):
    layer = kind(6, return_sequences=True, bidirectional=True, truncate=truncate)
    layers = [*[L.Masking()] * masked, L.Dense(4), layer, kind(3, truncate=truncate), L.Dense(2)]
    case = Case(layers, (8, 3), 17, "squared_error", 0, weighted=True)
    _, *expected = case.judged()
    found = gradient_of(case.training(threads=2))
    assert_close(found[2], expected[2], 1e-10)


# ---- masks ----


@every_recurrent
@every_dtype
@pytest.mark.parametrize("sequences", [False, True])
def test_padding_changes_nothing(kind, sequences, dtype):
    """A short sequence, filled up anywhere (with a number that float32 rounds), gives what it gives by itself."""
    rng = np.random.default_rng(0)
    layer, steps, length = kind(5, return_sequences=sequences, bidirectional=True), 9, 4
    padded = Case([L.Masking(0.1), layer], (steps, 3), 30, "squared_error", 0)
    alone = Case([layer], (length, 3), 30, "squared_error", 0)
    alone.weights = padded.weights
    X, there = np.full((30, steps, 3), 0.1), np.sort(np.argsort(rng.random((30, steps)), axis=1)[:, :length], axis=1)
    np.put_along_axis(X, there[:, :, None], alone.X.reshape(30, length, 3), axis=1)
    found, expected = predicted(padded, X.reshape(30, -1), dtype), predicted(alone, alone.X, dtype)
    if sequences:
        found = found.reshape(30, steps, 10)
        gone = np.ones((30, steps), dtype=bool)
        np.put_along_axis(gone, there, False, axis=1)
        assert (found[gone] == 0).all()
        found = np.take_along_axis(found, there[:, :, None], axis=1).reshape(30, -1)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-13 if dtype == np.float64 else 1e-5)


def test_a_step_is_padding_only_if_all_its_numbers_are():
    case = Case([L.Masking(0.0), L.GRU(4)], (3, 2), 1, "squared_error", 0)
    plain = Case([L.GRU(4)], (3, 2), 1, "squared_error", 0)
    plain.weights = case.weights
    X = np.array([[1.0, 0.0, 0.0, 2.0, 3.0, 4.0]])
    np.testing.assert_array_equal(predicted(case, X), predicted(plain, X))
    X = np.array([[1.0, 0.0, 0.0, 0.0, 3.0, 4.0]])
    assert np.abs(predicted(case, X) - predicted(plain, X)).max() > 1e-3


def test_the_mask_ends_where_time_steps_change():
    first = L.GRU(4, return_sequences=True)
    case = Case([L.Masking(), first, L.Conv1D(3, 1), L.GRU(2)], (6, 2), 12, "squared_error", 0)
    assert (case.X.reshape(12, 6, 2) == 0).all(axis=2).any()
    judge = case.judge()
    assert_close([predicted(case, case.X)], [judge.forward(case.X)], 1e-12)
    assert judge.layers[1].skipped is not None
    assert judge.layers[3].skipped is None


# ---- storage, other rows, threads ----


@settings(max_examples=80, **EXAMPLES)
@given(case=cases(), dtype=dtypes, storage=st.sampled_from(STORAGES[1:]))
def test_sparse_rows_are_what_dense_ones_are(case, dtype, storage):
    assume(not isinstance(case.layers[0], L.Residual))
    case = rounded(case)
    np.testing.assert_array_equal(predicted(case, case.X, dtype, storage), predicted(case, case.X, dtype))
    dense, sparse = gradient_of(case.training(dtype=dtype)), gradient_of(case.training(storage, dtype=dtype))
    assert sparse[:2] == dense[:2]
    for ours, first in zip(sparse[2], dense[2], strict=True):
        np.testing.assert_array_equal(ours, first)


@settings(max_examples=80, **EXAMPLES)
@given(case=cases(most=80), dtype=dtypes, data=st.data())
def test_a_prediction_does_not_depend_on_other_rows(case, dtype, data):
    whole = predicted(case, case.X, dtype, threads=2)
    cut = data.draw(st.integers(0, case.rows))
    np.testing.assert_array_equal(whole[cut:], predicted(case, case.X[cut:], dtype))
    some = data.draw(st.lists(st.integers(0, case.rows - 1), min_size=1, max_size=5))
    for i in some:
        np.testing.assert_array_equal(whole[i : i + 1], predicted(case, case.X[i : i + 1], dtype))
    np.testing.assert_array_equal(whole[some], predicted(case, case.X[some], dtype))


CNN = (
    (10, 9, 3),
    [
        L.Conv2D(8, 3, "relu", padding="same"),
        L.BatchNorm(),
        L.MaxPool2D(2),
        L.Residual([L.Conv2D(8, 3, "gelu", padding="same", groups=8), L.BatchNorm(), L.Conv2D(8, 1)]),
        L.Conv2D(12, 2, "silu", stride=2, groups=2),
        L.AvgPool2D(2, stride=1, padding="same"),
        L.Dropout(0.3),
        L.Flatten(),
        L.Dense(20, "tanh"),
        L.Dropout(0.2),
    ],
)


def masked_network(kind, **more):
    return (
        (7, 3),
        [
            L.Masking(),
            L.Dense(6, "tanh"),
            L.BatchNorm(),
            kind(20, return_sequences=True, bidirectional=True, **more),
            L.Dropout(0.3),
            L.Residual([kind(40, return_sequences=True, **more), L.LayerNorm()]),
            kind(9, **more),
            L.Dropout(0.2),
        ],
    )


NETWORKS = {
    "cnn": CNN,
    "tanh": masked_network(L.SimpleRNN),
    "relu": masked_network(L.SimpleRNN, activation="relu"),
    "gru": masked_network(L.GRU),
    "lstm": masked_network(L.LSTM, truncate=3),
    "codes": ((9,), [L.Embedding(300, 10, padding=0), L.Dropout(0.1), L.GRU(17, return_sequences=True), L.LSTM(5)]),
    "conv1d": ((20, 2), [L.Conv1D(9, 3, "relu", stride=2), L.BatchNorm(), L.GRU(8), L.Dropout(0.5)]),
}
every_network = pytest.mark.parametrize("shape, layers", NETWORKS.values(), ids=NETWORKS)


@every_network
@pytest.mark.parametrize("storage", ["dense", "csr32"])
@every_dtype
def test_predictions_are_the_same_bits_for_any_number_of_threads(shape, layers, storage, dtype):
    case = Case([*layers, L.Dense(3)], shape, 301, "softmax", 0, sparse=True)
    one = predicted(case, case.X, dtype, storage)
    assert np.isfinite(one).all()
    for threads in (2, 3, 4):
        np.testing.assert_array_equal(predicted(case, case.X, dtype, storage, threads), one)


@every_network
@every_dtype
@pytest.mark.parametrize("batch_size", [32, 61])  # the last batches have 29 and 3 rows
def test_training_is_the_same_bits_for_any_number_of_threads(shape, layers, batch_size, dtype):
    rows, epochs = 125, 2
    case = Case([*layers, L.Dense(3)], shape, rows, "softmax", 0, weighted=True, l2=0.01)
    order = np.concatenate([np.random.default_rng(k).permutation(rows) for k in range(epochs)]).astype(np.uint32)
    steps = epochs * math.ceil(rows / batch_size)

    def trained(threads):
        task = case.training(optimizer=optimizers.Adam(), batch_size=batch_size, clip_norm=0.5, dtype=dtype)
        before = task.flat.copy()
        found = task.engine.train(epochs, order, np.full(steps, 0.01), 1, 1.0, threads)
        assert found[1] == steps
        assert np.isfinite(task.flat).all()
        assert np.abs(task.flat - before).max() > 0.01
        return task.flat.copy(), task.flat_kept.copy(), np.array(found[2:4])

    one = trained(1)
    for threads in (2, 3, 4):
        for ours, first in zip(trained(threads), one, strict=True):
            np.testing.assert_array_equal(ours, first)


@every_network
def test_loss_and_gradient_are_the_same_bits_for_any_number_of_threads(shape, layers):
    case = Case([*layers, L.Dense(3)], shape, 203, "softmax", 0, weighted=True, l2=0.1)
    one = gradient_of(case.training(threads=1))
    for threads in (2, 3, 4):
        other = gradient_of(case.training(threads=threads))
        assert other[:2] == one[:2]
        for ours, first in zip(other[2], one[2], strict=True):
            np.testing.assert_array_equal(ours, first)


# ---- training ----

SMALL = {
    "cnn": (
        (5, 6, 2),
        [
            L.Conv2D(4, 3, "tanh", padding="same"),
            L.BatchNorm(),
            L.AvgPool2D(2),
            L.Conv2D(4, 2, "gelu", groups=4),
            L.Dropout(0.2),
            L.Flatten(),
        ],
    ),
    "max": ((4, 4, 1), [L.Conv2D(3, 2, "silu"), L.MaxPool2D(2, stride=1), L.Dropout(0.2), L.Flatten()]),
    "gru": ((5, 3), [L.Masking(), L.BatchNorm(), L.GRU(4, return_sequences=True, bidirectional=True), L.GRU(3)]),
    "lstm": ((5, 3), [L.Masking(), L.Dense(4), L.Dropout(0.2), L.LSTM(4, truncate=2, bidirectional=True)]),
    "codes": ((6,), [L.Embedding(9, 3, padding=2), L.Dropout(0.2), L.SimpleRNN(4)]),
}


@pytest.mark.parametrize("shape, layers", SMALL.values(), ids=SMALL)
@pytest.mark.parametrize("l2", [0.0, 0.05])
def test_training_goes_the_judges_way(shape, layers, l2):
    n, batch_size, epochs, rate = 23, 10, 3, 0.01
    case = Case([*layers, L.Dense(3)], shape, n, "softmax", 1, smoothing=0.1, weighted=True, l2=l2)
    rng = np.random.default_rng(0)
    orders = [rng.permutation(n) for _ in range(epochs)]
    optimizer = optimizers.AdamW(epsilon=1e-4, weight_decay=0.1)
    judge, curve = steps_of(case, optimizer, "adam", {"epsilon": 1e-4}, orders, batch_size, rate)
    task = case.training(optimizer=optimizer, batch_size=batch_size)
    steps = epochs * 3
    found = task.engine.train(epochs, np.concatenate(orders).astype(np.uint32), np.full(steps, rate), 1, 1.0, 2)
    np.testing.assert_allclose(np.column_stack(found[2:4]), curve, rtol=1e-8)
    assert_close(task.parts, judge.weights, 1e-7)
    assert_close(task.kept_parts, judge.kept, 1e-8)


# ---- memory ----


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="needs glibc's mallinfo2")
def test_memory_does_not_grow_after_the_first_step():
    code = """
import ctypes, gc
import numpy as np
from fusedgrad import optimizers
from fusedgrad import layers as L
from fusedgrad.neural_network import NeuralRegressor
from fusedgrad import _core
from tests.test_windows_and_sequences import NETWORKS, Case

_core.set_team_policy("whole")  # changing teams end and start threads, which takes memory

class Info(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in
                "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split()]

mallinfo = ctypes.CDLL(None).mallinfo2
mallinfo.restype = Info

def used():
    info = mallinfo()
    return info.uordblks + info.hblkhd

for name, (shape, layers) in NETWORKS.items():
    for threads in (1, 3):
        case = Case([*layers, L.Dense(3)], shape, 100, "softmax", 0, weighted=True, l2=0.1)
        task = case.training(optimizer=optimizers.Adam(), batch_size=15, clip_norm=1.0)
        rates, order = np.full(7, 1e-4), np.arange(100, dtype=np.uint32)[::-1].copy()
        gc.collect()
        gc.disable()
        steps = 0
        while steps < 70:
            task.engine.train(1, order, rates, steps + 1, 1.0, threads)
            steps += 7
            if steps == 7:
                used()  # which allocates, the first time
                before = used()
        after = used()
        assert before > task.flat.nbytes, before
        assert after == before, (name, threads, before, after)
kept = np.zeros(100_000)
assert used() >= before + kept.nbytes  # it would have been seen
"""
    done = python(code, GLIBC_TUNABLES="glibc.malloc.tcache_count=0")
    assert done.returncode == 0, done.stderr


# ---- how weights begin ----


def fresh(layer, shape, seed=0, dtype=np.float64):
    weights, _ = _network.Net([layer], shape).fresh(np.random.RandomState(seed), dtype)
    return weights


@pytest.mark.parametrize("groups", [1, 4, 16])
@pytest.mark.parametrize("activation, scale", [("relu", 2), ("selu", 1), (None, None)])
def test_filters_begin_with_the_variance_of_their_fan_in(activation, scale, groups):
    layer, channels, taps, filters = L.Conv2D(64, (3, 5), activation, groups=groups), 16, 15, 64
    W, b = fresh(layer, (9, 9, channels))
    fan_in, fan_out = taps * channels // groups, taps * filters // groups
    assert W.shape == (fan_in, filters)
    assert b.shape == (1, filters)
    assert not b.any()
    variance = 2 / (fan_in + fan_out) if scale is None else scale / fan_in
    uniform = activation != "selu"
    # The variance of a mean of squares is (kurtosis - 1) variance² / n.
    deviation = variance * math.sqrt((9 / 5 if uniform else 3) - 1) / math.sqrt(W.size)
    assert abs(np.mean(W**2) - variance) < 5 * deviation
    assert (np.abs(W).max() <= math.sqrt(3 * variance)) == uniform


def test_filters_of_sequences_begin_as_those_of_images_of_one_row():
    one = fresh(L.Conv1D(6, 5, "relu", groups=2), (9, 4))
    two = fresh(L.Conv2D(6, (1, 5), "relu", groups=2), (1, 9, 4))
    for ours, other in zip(one, two, strict=True):
        np.testing.assert_array_equal(ours, other)


@pytest.mark.parametrize("kind, gates", [(L.SimpleRNN, 1), (L.GRU, 3), (L.LSTM, 4)])
@pytest.mark.parametrize("both_ways", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_recurrent_weights_begin_gate_by_gate(kind, gates, both_ways, bias):
    units, features = 24, 70
    weights = fresh(kind(units, bidirectional=both_ways, bias=bias), (5, features))
    each = 4 if bias else 2
    assert len(weights) == each * (1 + both_ways)
    matrices = []
    for way in range(1 + both_ways):
        W, U, *biases = weights[way * each : (way + 1) * each]
        assert W.shape == (features, gates * units)
        assert U.shape == (units, gates * units)
        assert [b.shape for b in biases] == [(1, gates * units)] * 2 * bias
        variance = 2 / (features + units)  # Glorot's, uniform
        for gate in range(gates):
            block, kernel = U[:, gate * units :][:, :units], W[:, gate * units :][:, :units]
            np.testing.assert_allclose(block.T @ block, np.eye(units), atol=1e-12)
            assert abs(np.mean(kernel**2) - variance) < 5 * variance * math.sqrt(0.8 / kernel.size)
            assert np.abs(kernel).max() <= math.sqrt(3 * variance)
            matrices += [block, kernel]
        expected = np.zeros((1, gates * units))
        if kind is L.LSTM:
            expected[:, units : 2 * units] = 1.0
        if bias:
            np.testing.assert_array_equal(biases[0], expected)
            np.testing.assert_array_equal(biases[1], 0.0)
    drawn = {matrix.tobytes() for matrix in matrices}
    assert len(drawn) == len(matrices)  # none is another's copy


@pytest.mark.parametrize("forget_bias", [0.0, 1.0, -2.5])
def test_the_forget_gate_has_a_bias_of_its_own(forget_bias):
    _, _, b, inner = fresh(L.LSTM(3, forget_bias=forget_bias, bias_init=0.25), (4, 2))
    np.testing.assert_array_equal(b.reshape(4, 3), 0.25 + np.outer([0, forget_bias, 0, 0], np.ones(3)))
    assert not inner.any()


def test_an_embedding_begins_with_vectors_of_length_one_or_so():
    (table,) = fresh(L.Embedding(500, 30), (4,))
    assert table.shape == (500, 30)
    assert abs(np.mean(table**2) * 30 - 1) < 5 * math.sqrt(2 / table.size)
    assert abs(table.mean()) < 5 / math.sqrt(30 * table.size)


@every_dtype
@pytest.mark.parametrize("layer, shape", [(L.Conv2D(4, 2), (3, 3, 2)), (L.LSTM(3), (4, 2)), (L.Embedding(5, 2), (4,))])
def test_beginnings_follow_the_seed_and_the_dtype(layer, shape, dtype):
    first, again, other = (fresh(layer, shape, seed, dtype) for seed in (0, 0, 1))
    assert all(w.dtype == dtype for w in first)
    for ours, same in zip(first, again, strict=True):
        np.testing.assert_array_equal(ours, same)
    assert np.abs(first[0] - other[0]).max() > 1e-3


@pytest.mark.parametrize("side", range(18, 40, 3))
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_batch_norm_of_long_rows_has_the_same_bits_for_any_number_of_threads(side, dtype):
    """Rows this long go by pieces of a few, which must cut sums over the batch at the same places for everybody."""
    rng = np.random.default_rng(side)
    X = rng.normal(size=(77, side, side, 1)).astype(dtype)
    layers = [L.Conv2D(8, 3, padding="same"), L.BatchNorm(), L.Activation("relu"), L.MaxPool2D(), L.BatchNorm()]
    settings = {"batch_size": 40, "max_epochs": 2, "tol": None, "random_state": 0}
    nets = [NeuralRegressor(layers, **settings, n_jobs=n).fit(X, X.mean(axis=(1, 2, 3))) for n in (1, 2, 3, 4)]
    for net in nets[1:]:
        assert net.loss_curve_ == nets[0].loss_curve_
        for ours, theirs in zip(net.weights_ + net.statistics_, nets[0].weights_ + nets[0].statistics_, strict=True):
            np.testing.assert_array_equal(ours, theirs)
