"""torch, from the same weights, says the same of images and sequences: outputs, slopes, and steps of training."""

import itertools
import math

import numpy as np
import pytest
from fusedgrad import layers as L
from fusedgrad import optimizers, schedules
from fusedgrad._training import network as _network
from fusedgrad._training import rates as _rates
from fusedgrad.layers._layer import walk
from fusedgrad.neural_network import NeuralClassifier

from .test_network_torch import ACTIVATIONS, BatchNorm, nn, one_thread, statistics_of, torch  # noqa: F401

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths:UserWarning"),  # torch copies then
]

F = nn.functional
DTYPES = [np.float32, np.float64]
RTOL = {np.float32: 1e-4, np.float64: 1e-10}  # of one pass; torch always counts in float64
ROWS = 5


# ---- the layers in torch; images and sequences have their channels last between them ----


def pair(value):
    return value if isinstance(value, tuple) else (value, value)


def channels_first(x):
    return x.movedim(-1, 1)


def channels_last(x):
    return x.movedim(1, -1)


def same_sides(sizes, kernel, stride, dilation):
    """Zeros around x as `nn.functional.pad` takes them: last axis first, an odd one after."""
    sides = []
    for n, k, s, d in zip(sizes, kernel, stride, dilation, strict=True):
        total = max(0, (math.ceil(n / s) - 1) * s + d * (k - 1) + 1 - n)
        sides = [total // 2, total - total // 2, *sides]
    return sides


class Convolution(nn.Module):
    def __init__(self, layer, channels):
        super().__init__()
        kind, axes = (nn.Conv2d, 2) if isinstance(layer, L.Conv2D) else (nn.Conv1d, 1)
        sizes = [pair(value)[:axes] for value in (layer.kernel_size, layer.stride, layer.dilation)]
        self.sizes = sizes
        self.around = layer.padding == "same" and max(sizes[1]) > 1  # which torch cannot
        padding = 0 if self.around or layer.padding == "valid" else layer.padding
        kernel, stride, dilation = sizes
        self.conv = kind(
            channels,
            layer.filters,
            kernel,
            stride=stride,
            padding=padding,
            dilation=dilation,
            groups=layer.groups,
            bias=layer.bias,
        )
        self.activation = ACTIVATIONS[layer.activation or "identity"]()

    def forward(self, x):
        x = channels_first(x)
        if self.around:
            x = F.pad(x, same_sides(x.shape[2:], *self.sizes))
        return self.activation(channels_last(self.conv(x)))


class Pool(nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        layer, x = self.layer, channels_first(x)
        kernel = pair(layer.pool_size)
        stride = kernel if layer.stride is None else pair(layer.stride)
        padding = (0, 0) if layer.padding == "valid" else layer.padding
        if padding != "same" and all(2 * p <= k for p, k in zip(pair(padding), kernel, strict=True)):
            options = {"stride": stride, "padding": pair(padding)}
            if isinstance(layer, L.MaxPool2D):
                return channels_last(F.max_pool2d(x, kernel, **options))
            return channels_last(F.avg_pool2d(x, kernel, count_include_pad=False, **options))
        if padding == "same":
            sides = same_sides(x.shape[2:], kernel, stride, (1, 1))
        else:
            sides = [side for p in reversed(pair(padding)) for side in (p, p)]
        if isinstance(layer, L.MaxPool2D):
            return channels_last(F.max_pool2d(F.pad(x, sides, value=-math.inf), kernel, stride))
        sums = F.avg_pool2d(F.pad(x, sides), kernel, stride)
        return channels_last(sums / F.avg_pool2d(F.pad(torch.ones_like(x), sides), kernel, stride))


class GlobalPool(nn.Module):
    def forward(self, x):
        return x.mean(dim=(1, 2))


class Recurrent(nn.Module):
    def __init__(self, layer, features):
        super().__init__()
        self.layer = layer
        kind = {"SimpleRNN": nn.RNN, "GRU": nn.GRU, "LSTM": nn.LSTM}[type(layer).__name__]
        more = {"nonlinearity": layer.activation} if kind is nn.RNN else {}
        ways = layer.bidirectional
        self.rnn = kind(features, layer.units, bias=layer.bias, batch_first=True, bidirectional=ways, **more)

    def forward(self, x, lengths=None):
        if self.layer.truncate is not None:
            return self.truncated(x)
        steps = x.shape[1]
        if lengths is not None:
            x = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        outputs, state = self.rnn(x)
        if not self.layer.return_sequences:
            state = state[0] if isinstance(state, tuple) else state
            return torch.cat(list(state), dim=1)
        if lengths is not None:
            outputs, _ = nn.utils.rnn.pad_packed_sequence(outputs, batch_first=True, total_length=steps)
        return outputs

    def truncated(self, x):
        """One way, with a state that is cut off at times."""
        outputs, state = [], None
        for part in x.split(self.layer.truncate, dim=1):
            if state is not None:
                state = tuple(s.detach() for s in state) if isinstance(state, tuple) else state.detach()
            output, state = self.rnn(part, state)
            outputs.append(output)
        outputs = torch.cat(outputs, dim=1)
        return outputs if self.layer.return_sequences else outputs[:, -1]


class Padding(nn.Module):
    """Nothing but the lengths of rows."""

    def __init__(self, value):
        super().__init__()
        self.value = value

    def lengths(self, x):
        real = (x != self.value).flatten(2).any(dim=2) if x.ndim > 2 else x != self.value
        return (real * torch.arange(1, x.shape[1] + 1)).amax(dim=1)

    def forward(self, x):
        return x


class Embedding(Padding):
    def __init__(self, layer):
        super().__init__(layer.padding)
        self.table = nn.Embedding(layer.codes, layer.units)

    def lengths(self, x):
        return None if self.value is None else super().lengths(x)

    def forward(self, x):
        return self.table(x.long())


class Dense(nn.Module):
    def __init__(self, layer, features):
        super().__init__()
        self.linear = nn.Linear(features, layer.units, bias=layer.bias)
        self.activation = ACTIVATIONS[layer.activation or "identity"]()

    def forward(self, x):
        return self.activation(self.linear(x))


class Residual(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x, lengths=None):
        return x + self.inner(x, lengths)


class Sequence(nn.Module):
    def __init__(self, layers, shape):
        super().__init__()
        self.made = nn.ModuleList()
        for layer in layers:
            self.made.append(module_of(layer, shape))
            shape = layer.shape(shape)

    def forward(self, x, lengths=None):
        for one in self.made:
            if isinstance(one, Padding):
                lengths = one.lengths(x)
            x = one(x, lengths) if isinstance(one, (Recurrent, Residual)) else one(x)
        return x


def module_of(layer, shape):
    """The layer in torch, with parameters in the order of ours."""
    if isinstance(layer, (L.Conv2D, L.Conv1D)):
        return Convolution(layer, shape[-1])
    if isinstance(layer, (L.MaxPool2D, L.AvgPool2D)):
        return Pool(layer)
    if isinstance(layer, (L.SimpleRNN, L.GRU, L.LSTM)):
        return Recurrent(layer, shape[-1])
    if isinstance(layer, L.BatchNorm):
        return BatchNorm(shape[-1], eps=layer.epsilon, momentum=layer.momentum, affine=layer.affine)
    if isinstance(layer, L.Residual):
        return Residual(Sequence(layer.layers, shape))
    if isinstance(layer, L.Dense):
        return Dense(layer, shape[-1])
    if isinstance(layer, L.Activation):
        return ACTIVATIONS[layer.name]()
    if isinstance(layer, L.Masking):
        return Padding(layer.value)
    if isinstance(layer, L.Embedding):
        return Embedding(layer)
    return {L.GlobalAvgPool2D: GlobalPool, L.Flatten: nn.Flatten}[type(layer)]()


def tables_of(module):
    return {id(one.weight) for one in module.modules() if isinstance(one, nn.Embedding)}


def as_ours(array, table=False):
    """A parameter of torch, or its slope, as it lies in ours: inputs (kernel first, then channel) by outputs."""
    if array.ndim == 1:
        return array[None]
    if table:
        return array
    return np.moveaxis(array, (0, 1), (-1, -2)).reshape(-1, array.shape[0])


def ours_of(module, get=lambda parameter: parameter.detach()):
    tables = tables_of(module)
    return [as_ours(get(p).numpy(), id(p) in tables) for p in module.parameters()]


def load(module, weights):
    """Give a module the weights of ours."""
    tables = tables_of(module)
    with torch.no_grad():
        for parameter, weight in zip(module.parameters(), weights, strict=True):
            shape = tuple(parameter.shape)
            if parameter.ndim == 1:
                weight = weight[0]
            elif id(parameter) not in tables:
                weight = np.moveaxis(weight.reshape(*shape[2:], shape[1], shape[0]), (-1, -2), (0, 1))
            parameter.copy_(torch.tensor(weight))
    return module


# ---- one pass ----


def training_of(net, weights, kept, X, y):
    settings = _network.Settings(
        optimizer=optimizers.SGD(),
        source=_rates.Source(schedules.Constant(0.1)),
        batch_size=len(X),
        max_epochs=1,
        l2=0.0,
        l2_of_batch=False,
        tol=None,
        patience=10,
        order=None,
        seed=0,
    )
    goal = _network.Goal(y, y.shape[1], "squared_error")
    return _network.Training(net, _network.Weights(weights, kept), X, goal, None, settings)


def assert_close(found, expected, rtol, floor=0.0):
    """Every array to `rtol` of its largest number."""
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=0, atol=rtol * np.abs(expected).max(initial=0) + floor)


def assert_same_pass(layers, shape, dtype, X=None, seed=0, rtol=None):
    """Predictions, loss, and the slope of every parameter; two outputs behind the layers. Returns the slopes."""
    rtol = RTOL[dtype] if rtol is None else rtol
    rng = np.random.default_rng(seed)
    out = [shape, *(after for *_, after in walk(layers, shape))][-1]
    layers = [*layers, *([L.Flatten()] if len(out) > 1 else []), L.Dense(2)]
    net = _network.Net(layers, shape)
    weights, kept = net.fresh(np.random.RandomState(seed), dtype)
    weights = [(w + rng.normal(scale=0.1, size=w.shape)).astype(dtype) for w in weights]  # biases and scales, too
    X = (rng.normal(size=(ROWS, *shape)) if X is None else X).astype(dtype)
    y = rng.normal(size=(len(X), 2)).astype(dtype)
    rows = np.ascontiguousarray(X.reshape(len(X), -1))

    module = load(Sequence(layers, shape).to(torch.float64), weights)
    x, target = torch.tensor(X, dtype=torch.float64), torch.tensor(y, dtype=torch.float64)
    module.eval()
    with torch.no_grad():
        assert_close(net.predict(weights, kept, rows, layer=-1, threads=1), module(x).numpy(), rtol)
    module.train()
    loss = ((module(x) - target) ** 2).sum(dim=1).mean() / 2
    loss.backward()

    task = training_of(net, weights, kept, rows, y)
    gradient = np.zeros_like(task.flat)
    value, _ = task.loss_gradient(gradient)
    _, pieces, _, _ = net.core.layout(gradient.itemsize)
    assert value == pytest.approx(float(loss.detach()), rel=rtol)
    slopes = [gradient[o : o + r * c].reshape(r, c) for _, _, o, r, c in pieces]
    expected = ours_of(module, lambda parameter: parameter.grad)
    largest = max(np.abs(slope).max() for slope in expected)
    assert largest > 1e-3
    for found, one in zip(slopes, expected, strict=True):
        assert_close(found, one, rtol, 1e-2 * rtol * largest)
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
    "tanh": L.SimpleRNN,
    "relu": lambda units, **options: L.SimpleRNN(units, "relu", **options),
    "gru": L.GRU,
    "lstm": L.LSTM,
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
    net, other = (_network.Net([*layers, L.Dense(2)], rows.shape[1:]) for rows in (dense, spread))
    weights, kept = net.fresh(np.random.RandomState(0), dtype)
    y = rng.normal(size=(len(dense), 2)).astype(dtype)
    slopes = []
    for one, rows in ((net, dense), (other, spread)):
        task = training_of(one, weights, kept, np.ascontiguousarray(rows.reshape(len(rows), -1), dtype), y)
        gradient = np.zeros_like(task.flat)
        slopes.append((task.loss_gradient(gradient)[0], gradient))
    assert slopes[0][0] == pytest.approx(slopes[1][0], rel=RTOL[dtype])
    assert_close(slopes[1][1], slopes[0][1], RTOL[dtype])
    assert len(expected) == len(weights)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("codes", "units", "steps"), [(1, 1, 1), (7, 3, 5), (40, 16, 9), (3, 33, 12)])
def test_embeddings_are_torchs(codes, units, steps, dtype):
    X = np.random.default_rng(0).integers(0, codes, size=(11, steps))
    assert_same_pass([L.Embedding(codes, units)], (steps,), dtype, X=X)
    assert_same_pass([L.Embedding(codes, units), L.Conv1D(4, 3, "tanh", padding="same")], (steps,), dtype, X=X)


# ---- 50 steps ----

N, BATCH, EPOCHS = 54, 6, 6  # nine batches an epoch
CURVE = {np.float32: 1e-3, np.float64: 1e-8}
STEPS = {
    "momentum": (optimizers.SGD(momentum=0.9), 0.01, lambda p, rate: torch.optim.SGD(p, lr=rate, momentum=0.9)),
    "adam": (optimizers.Adam(), 0.001, lambda p, rate: torch.optim.Adam(p, lr=rate)),
}
# Before batch normalisation a bias has no slope but rounding, which Adam would turn into whole steps.
TRAINED = {
    "images": (
        [
            L.Conv2D(16, 3, "relu", padding="same"),
            L.MaxPool2D(2),
            L.Conv2D(32, 3, "relu", padding="same"),
            L.MaxPool2D(2),
            L.Flatten(),
            L.Dense(64, "relu"),
            L.Dense(10),
        ],
        (28, 28, 1),
    ),
    "normalised images": (
        [
            L.Conv2D(8, 3, padding="same", bias=False),
            L.BatchNorm(),
            L.Activation("relu"),
            L.MaxPool2D(2),
            L.Conv2D(12, 3, stride=2, padding="same", bias=False),
            L.BatchNorm(momentum=0.2),
            L.Activation("relu"),
            L.Residual([L.Conv2D(12, 3, padding="same", groups=3, bias=False), L.BatchNorm(), L.Activation("relu")]),
            L.GlobalAvgPool2D(),
            L.Dense(10),
        ],
        (32, 32, 3),
    ),
    "gru": ([L.GRU(64), L.Dense(10)], (28, 28)),
    "lstm": ([L.LSTM(64), L.Dense(10)], (28, 28)),
    "codes": (
        [L.Embedding(30, 12, padding=0), L.LSTM(10, return_sequences=True, bidirectional=True), L.GRU(8), L.Dense(10)],
        (15,),
    ),
}


def images(layers, shape, dtype):
    """Rows and classes that can be told apart, with noise."""
    rng = np.random.default_rng(0)
    y = rng.permutation(np.arange(N) % 10)
    if isinstance(layers[0], L.Embedding):
        X = np.where(rng.random((N, *shape)) < 0.5, 1 + y[:, None], rng.integers(1, 30, size=(N, *shape)))
        X[np.arange(shape[0]) >= rng.integers(1, shape[0] + 1, size=(N, 1))] = 0
    else:
        X = rng.normal(size=(10, *shape))[y] + 0.5 * rng.normal(size=(N, *shape))
    return X.astype(dtype), y


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("optimizer", STEPS)
@pytest.mark.parametrize("network", TRAINED)
def test_fifty_steps_are_torchs(network, optimizer, dtype):
    layers, shape = TRAINED[network]
    X, y = images(layers, shape, dtype)
    ours, rate, make = STEPS[optimizer]
    model = NeuralClassifier(
        layers,
        optimizer=ours,
        learning_rate=rate,
        batch_size=BATCH,
        max_epochs=EPOCHS,
        shuffle=False,
        tol=None,
        random_state=3,
    ).fit(X, y)

    net = _network.Net(layers, shape)
    module = Sequence(layers, shape).to(torch.float32 if dtype == np.float32 else torch.float64)
    load(module, net.fresh(np.random.RandomState(3), dtype)[0])
    rule, cost, curve, steps = make(module.parameters(), rate), nn.CrossEntropyLoss(), [], 0
    for _ in range(EPOCHS):
        total = 0.0
        for begin in range(0, N, BATCH):
            x, target = torch.tensor(X[begin : begin + BATCH]), torch.tensor(y[begin : begin + BATCH])
            loss = cost(module(x), target)
            rule.zero_grad()
            loss.backward()
            rule.step()
            total += float(loss.detach()) * len(x) / N
            steps += 1
        curve.append(total)
    assert steps >= 50
    assert curve[-1] < 0.97 * curve[0]
    np.testing.assert_allclose(model.loss_curve_, curve, rtol=CURVE[dtype])
    for found, expected in zip(model.weights_, ours_of(module), strict=True):
        assert_close(found, expected, 20 * CURVE[dtype])
    statistics = statistics_of(module)
    assert len(model.statistics_) == len(statistics)
    for found, expected in zip(model.statistics_, statistics, strict=True):
        assert_close(found, expected, 10 * CURVE[dtype])
    module.eval()
    with torch.no_grad():
        expected = module(torch.tensor(X)).softmax(dim=1).numpy()
    np.testing.assert_allclose(model.predict_proba(X), expected, rtol=0, atol=20 * CURVE[dtype])
