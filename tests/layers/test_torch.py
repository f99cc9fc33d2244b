"""torch, from the same weights, says the same: outputs, slopes, and steps of training."""

import itertools

import numpy as np
import pytest
from fusedgrad import layers as L
from fusedgrad.layers._layer import walk

from ..networks import Net, goal_of, gradient_of, training_of
from ..reference.layers import KINDS, SEQUENTIAL

torch = pytest.importorskip("torch")
from ..torch_twins import Sequence, load, ours_of, pair  # noqa: E402

pytestmark = [
    pytest.mark.usefixtures("one_torch_thread"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths:UserWarning"),  # torch copies then
]


# ---- one pass ----


DTYPES = [np.float32, np.float64]


RTOL = {np.float32: 1e-4, np.float64: 1e-10}  # of one pass; torch always counts in float64


ROWS = 5


def assert_near(found, expected, rtol, floor=0.0):
    """Every array to `rtol` of its largest number."""
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=0, atol=rtol * np.abs(expected).max(initial=0) + floor)


def assert_same_pass(layers, shape, dtype, X=None, seed=0, rtol=None):
    """Predictions, loss, and the slope of every parameter; two outputs behind the layers. Returns the slopes."""
    rtol = RTOL[dtype] if rtol is None else rtol
    rng = np.random.default_rng(seed)
    out = [shape, *(after for *_, after in walk(layers, shape))][-1]
    layers = [*layers, *([L.Flatten()] if len(out) > 1 else []), L.Dense(2)]
    net = Net(layers, shape)
    weights, kept = net.fresh(np.random.RandomState(seed), dtype)
    weights = [(w + rng.normal(scale=0.1, size=w.shape)).astype(dtype) for w in weights]  # biases and scales, too
    X = (rng.normal(size=(ROWS, *shape)) if X is None else X).astype(dtype)
    y = rng.normal(size=(len(X), 2)).astype(dtype)
    rows = np.ascontiguousarray(X.reshape(len(X), -1))

    module = load(Sequence(layers, shape).to(torch.float64), weights)
    x, target = torch.tensor(X, dtype=torch.float64), torch.tensor(y, dtype=torch.float64)
    module.eval()
    with torch.no_grad():
        assert_near(net.predict(weights, kept, rows, layer=-1, threads=1), module(x).numpy(), rtol)
    module.train()
    loss = ((module(x) - target) ** 2).sum(dim=1).mean() / 2
    loss.backward()

    value, _, slopes = gradient_of(training_of(net, weights, kept, rows, goal_of(y, 2, "squared_error", dtype=dtype)))
    assert value == pytest.approx(float(loss.detach()), rel=rtol)
    expected = ours_of(module, lambda parameter: parameter.grad)
    largest = max(np.abs(slope).max() for slope in expected)
    assert largest > 1e-3
    for found, one in zip(slopes, expected, strict=True):
        assert_near(found, one, rtol, 1e-2 * rtol * largest)
    return slopes


def with_and_without_slopes_of_the_input(layers, channels, dtype):
    """The first layer of a network needs none."""
    return [[L.Dense(channels), *layers], *([layers] if dtype == np.float64 else [])]


def combinations(dtype, *choices):
    """All in float64; in float32, where the code is the same, every fifth (coprime to the lists)."""
    return list(itertools.product(*choices))[:: 5 if dtype == np.float32 else 1]


KERNELS = [1, (2, 3), 3, 5]


STRIDES = [1, 2, (1, 3)]


PADDINGS = ["valid", "same", 1, (0, 2)]


DILATIONS = [1, 2, (2, 1)]


GROUPS = [(3, 5, 1), (1, 17, 1), (4, 6, 2), (6, 6, 6), (3, 6, 3), (20, 20, 20)]  # channels, filters, groups


@pytest.mark.parametrize(
    "kind, layers, shape",
    [(kind, *example) for kind, known in KINDS.items() if known.torch for example in known.examples],
)
@pytest.mark.parametrize("dtype", DTYPES)
def test_examples_are_torchs(kind, layers, shape, dtype):
    X, first = None, layers[0]
    if isinstance(first, (L.Embedding, L.Masking)):  # torch skips padding at the end alone
        rng, padding = np.random.default_rng(0), getattr(first, "padding", None)
        X = (
            rng.integers(first.codes, size=(ROWS, *shape))
            if isinstance(first, L.Embedding)
            else rng.normal(size=(ROWS, *shape))
        )
        if isinstance(first, L.Masking) or padding is not None:
            padding = first.value if isinstance(first, L.Masking) else padding
            X[padding == X] = padding + 1
            X[np.arange(shape[0]) >= rng.integers(1, shape[0] + 1, size=(ROWS, 1))] = padding
    if not any(getattr(layer, "truncate", None) and layer.bidirectional for layer in layers):  # torch cannot
        assert_same_pass(layers, shape, dtype, X=X)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("channels", "filters", "groups"), GROUPS)
@pytest.mark.parametrize("kernel", KERNELS)
def test_convolutions_of_images_are_torchs(kernel, channels, filters, groups, dtype):
    shape = (11, 10, channels)
    for stride, padding, dilation in combinations(dtype, STRIDES, PADDINGS, DILATIONS):
        if kernel == 1 and dilation != 1:
            continue
        conv = L.Conv2D(
            filters, kernel, "tanh", stride=stride, padding=padding, dilation=dilation, groups=groups, bias=stride != 2
        )
        for layers in with_and_without_slopes_of_the_input([conv], channels, dtype):
            assert_same_pass(layers, shape, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activation", [None, "relu", "gelu"])
@pytest.mark.parametrize("shape", [(1, 1, 2), (1, 9, 1), (9, 1, 3), (2, 17, 16), (16, 16, 33)])
def test_images_of_any_shape_are_torchs(shape, activation, dtype):
    layers = [
        L.Conv2D(7, 3, activation, padding="same"),
        L.Conv2D(16, (1, 3), activation, padding=(0, 1)),
        L.Conv2D(16, 3, padding="same", groups=16),
        L.Conv2D(5, 1, activation),
    ]
    assert_same_pass(layers, shape, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("channels", "filters", "groups"), GROUPS)
@pytest.mark.parametrize("kernel", [2, 5])
def test_convolutions_of_sequences_are_torchs(kernel, channels, filters, groups, dtype):
    shape = (13, channels)
    for stride, padding, dilation in combinations(dtype, [1, 3], ["valid", "same", 2], [1, 2]):
        conv = L.Conv1D(
            filters, kernel, "tanh", stride=stride, padding=padding, dilation=dilation, groups=groups, bias=stride == 1
        )
        for layers in with_and_without_slopes_of_the_input([conv], channels, dtype):
            assert_same_pass(layers, shape, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("channels", [1, 19])
@pytest.mark.parametrize("pool", [L.MaxPool2D, L.AvgPool2D])
def test_pools_are_torchs(pool, channels, dtype):
    for size, stride, padding in combinations(
        dtype, [1, 2, (3, 2), 4], [None, 1, (3, 1)], ["valid", "same", 1, (2, 1)]
    ):
        if not isinstance(padding, str) and any(p >= k for p, k in zip(pair(padding), pair(size), strict=True)):
            continue
        layer = pool(size, stride=stride, padding=padding)
        for layers in with_and_without_slopes_of_the_input([layer], channels, dtype):
            assert_same_pass(layers, (9, 7, channels), dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(1, 1, 1), (5, 3, 4), (7, 7, 33)])
def test_the_global_pool_is_torchs(shape, dtype):
    for layers in with_and_without_slopes_of_the_input([L.GlobalAvgPool2D()], shape[-1], dtype):
        assert_same_pass(layers, shape, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_norms_and_blocks_between_convolutions_are_torchs(dtype):
    norm = L.BatchNorm(epsilon=1e-3)
    layers = [
        L.Conv2D(8, 3, padding="same", bias=False),
        norm,
        L.Activation("relu"),
        L.Residual([L.Conv2D(8, 3, "tanh", padding="same", groups=2), norm, L.Conv2D(8, 1)]),
        L.MaxPool2D(3, stride=2, padding=1),
        L.Conv2D(4, (2, 3), bias=False),
        L.BatchNorm(affine=False),
        L.AvgPool2D(2, padding="same"),
        L.GlobalAvgPool2D(),
    ]
    assert_same_pass(layers, (9, 8, 3), dtype, X=np.random.default_rng(1).normal(size=(9, 9, 8, 3)))
    along = [L.Conv1D(6, 3, padding="same", bias=False), norm, L.Activation("tanh"), L.GRU(5)]
    assert_same_pass(along, (7, 3), dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_passes_of_many_rows_are_torchs(dtype):
    rng = np.random.default_rng(0)
    layers = [L.Conv2D(5, 3, "tanh"), L.AvgPool2D(2), L.Conv2D(4, 2, "tanh", padding="same", groups=1)]
    assert_same_pass(layers, (6, 7, 2), dtype, X=rng.normal(size=(301, 6, 7, 2)))
    X = np.where(np.arange(8) < rng.integers(1, 9, size=(301, 1)), rng.integers(1, 20, size=(301, 8)), 0)
    layers = [L.Embedding(20, 4, padding=0), L.GRU(5, return_sequences=True, bidirectional=True), L.LSTM(3)]
    assert_same_pass(layers, (8,), dtype, X=X)


# ---- sequences ----


CELLS = {
    **{kind.__name__: kind for kind in SEQUENTIAL},
    "relu": lambda units, **options: L.SimpleRNN(units, "relu", **options),
}


every_cell = pytest.mark.parametrize("cell", CELLS)


def codes_of(rows, steps):
    """Each step of each row has a code of its own, so that the slope of the table is that of every step."""
    return np.arange(rows * steps).reshape(rows, steps)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("ways", [False, True], ids=["one way", "both ways"])
@pytest.mark.parametrize("sequences", [False, True], ids=["last", "sequences"])
@every_cell
def test_recurrent_layers_are_torchs(cell, sequences, ways, dtype):
    for steps, features, units, bias in [
        (1, 1, 1, True), (7, 3, 5, True), (5, 9, 16, False), (12, 2, 33, True), (6, 17, 8, True),
    ]:  # fmt: skip
        layer = CELLS[cell](units, return_sequences=sequences, bidirectional=ways, bias=bias)
        assert_same_pass([layer], (steps, features), dtype)
        table = L.Embedding(ROWS * steps, features)
        slopes = assert_same_pass([table, layer], (steps,), dtype, X=codes_of(ROWS, steps))
        assert np.abs(slopes[0]).max(axis=1).min() > 0 or cell == "relu"


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("ways", [False, True], ids=["one way", "both ways"])
@pytest.mark.parametrize("sequences", [False, True], ids=["last", "sequences"])
@every_cell
def test_stacked_recurrent_layers_are_torchs(cell, sequences, ways, dtype):
    make = CELLS[cell]
    layers = [
        make(6, return_sequences=True, bidirectional=ways),
        L.Dense(7, "tanh"),
        make(5, return_sequences=True),
        make(4, return_sequences=sequences, bidirectional=ways),
    ]
    assert_same_pass(layers, (8, 3), dtype)
    assert_same_pass([L.Embedding(ROWS * 8, 3), *layers], (8,), dtype, X=codes_of(ROWS, 8))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("sequences", [False, True], ids=["last", "sequences"])
@pytest.mark.parametrize("truncate", [1, 3, 4, 9])
@every_cell
def test_truncated_slopes_are_those_of_a_detached_state(cell, truncate, sequences, dtype):
    layer = CELLS[cell](5, truncate=truncate, return_sequences=sequences)
    cut = assert_same_pass([L.Embedding(ROWS * 9, 3), layer], (9,), dtype, X=codes_of(ROWS, 9))
    whole = CELLS[cell](5, return_sequences=sequences)
    through = assert_same_pass([L.Embedding(ROWS * 9, 3), whole], (9,), dtype, X=codes_of(ROWS, 9))
    assert np.array_equal(cut[0], through[0]) == (truncate == 9)


LENGTHS = np.array([4, 1, 9, 6, 9, 2, 7])


def padded(features, value, seed=0):
    """Sequences of several lengths, filled up at the end."""
    X = np.random.default_rng(seed).normal(size=(len(LENGTHS), LENGTHS.max(), features))
    for row, length in zip(X, LENGTHS, strict=True):
        row[length:] = value
    return X


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("value", [0.0, -7.5])
@pytest.mark.parametrize("ways", [False, True], ids=["one way", "both ways"])
@pytest.mark.parametrize("sequences", [False, True], ids=["last", "sequences"])
@every_cell
def test_sequences_of_several_lengths_are_torchs_packed_ones(cell, sequences, ways, value, dtype):
    layer = CELLS[cell](5, return_sequences=sequences, bidirectional=ways)
    X = padded(3, value)
    assert_same_pass([L.Masking(value), layer], X.shape[1:], dtype, X=X)
    stack = [
        L.Masking(value),
        CELLS[cell](6, return_sequences=True, bidirectional=ways),
        L.Dense(4, "tanh"),
        layer,
    ]
    assert_same_pass(stack, X.shape[1:], dtype, X=X)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("padding", [0, 3])
@pytest.mark.parametrize("ways", [False, True], ids=["one way", "both ways"])
@pytest.mark.parametrize("sequences", [False, True], ids=["last", "sequences"])
@every_cell
def test_codes_of_several_lengths_are_torchs_packed_ones(cell, sequences, ways, padding, dtype):
    rng = np.random.default_rng(0)
    codes = (padding + rng.integers(1, 11, size=(len(LENGTHS), LENGTHS.max()))) % 11
    for row, length in zip(codes, LENGTHS, strict=True):
        row[length - 1] = (padding + 1) % 11  # the last step is none of padding
        row[length:] = padding
    layer = CELLS[cell](5, return_sequences=sequences, bidirectional=ways)
    slopes = assert_same_pass([L.Embedding(11, 4, padding=padding), layer], codes.shape[1:], dtype, X=codes)
    np.testing.assert_array_equal(slopes[0][padding], 0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("ways", [False, True], ids=["one way", "both ways"])
@every_cell
def test_padding_anywhere_is_as_if_it_were_not_there(cell, ways, dtype):
    rng = np.random.default_rng(0)
    dense = padded(3, 0.0)
    spread = np.zeros((len(dense), 14, 3))
    for row, source, length in zip(spread, dense, LENGTHS, strict=True):
        row[np.sort(rng.choice(14, length, replace=False))] = source[:length]
    layers = [
        L.Masking(),
        CELLS[cell](6, return_sequences=True, bidirectional=ways),
        CELLS[cell](4, bidirectional=ways),
    ]
    expected = assert_same_pass(layers, dense.shape[1:], dtype, X=dense)
    net, other = (Net([*layers, L.Dense(2)], rows.shape[1:]) for rows in (dense, spread))
    weights, kept = net.fresh(np.random.RandomState(0), dtype)
    y = rng.normal(size=(len(dense), 2)).astype(dtype)
    slopes = []
    for one, rows in ((net, dense), (other, spread)):
        task = training_of(
            one,
            weights,
            kept,
            np.ascontiguousarray(rows.reshape(len(rows), -1), dtype),
            goal_of(y, 2, "squared_error", dtype=dtype),
        )
        loss, _, gradient = gradient_of(task)
        slopes.append((loss, np.concatenate([g.ravel() for g in gradient])))
    assert slopes[0][0] == pytest.approx(slopes[1][0], rel=RTOL[dtype])
    assert_near(slopes[1][1], slopes[0][1], RTOL[dtype])
    assert len(expected) == len(weights)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("codes", "units", "steps"), [(1, 1, 1), (7, 3, 5), (40, 16, 9), (3, 33, 12)])
def test_embeddings_are_torchs(codes, units, steps, dtype):
    X = np.random.default_rng(0).integers(0, codes, size=(11, steps))
    assert_same_pass([L.Embedding(codes, units)], (steps,), dtype, X=X)
    assert_same_pass([L.Embedding(codes, units), L.Conv1D(4, 3, "tanh", padding="same")], (steps,), dtype, X=X)
