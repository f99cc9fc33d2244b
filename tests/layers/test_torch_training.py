"""torch, from the same weights and on the same batches, takes the same steps."""

import numpy as np
import pytest
from fusedgrad import layers as L
from fusedgrad import optimizers
from fusedgrad.neural_network import NeuralClassifier, NeuralRegressor

from ..networks import Net, assert_close

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

from ..torch_twins import Sequence, load, ours_of, statistics_of  # noqa: E402

pytestmark = [
    pytest.mark.usefixtures("one_torch_thread"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]


N, BATCH, EPOCHS = 97, 20, 10  # 50 steps; the last batch of an epoch is short


SEED = 3


RTOL = {np.float32: 1e-4, np.float64: 1e-8}


# Before batch normalisation a bias has no slope but rounding, which Adam would turn into whole steps.
NETWORKS = {
    "dense": ([L.Dense(16, "tanh"), L.Dense(8, "relu")], (7,)),
    "batch norm": ([L.Dense(16, bias=False), L.BatchNorm(), L.Activation("relu"), L.Dense(8, "tanh")], (7,)),
    "layer norm": ([L.Dense(16, "gelu"), L.LayerNorm(), L.Dense(8, "silu")], (7,)),
    "residual": (
        [L.Dense(10, "silu"), L.Residual([L.Dense(6, "tanh"), L.Residual([L.Dense(6, "elu")]), L.Dense(10)])],
        (7,),
    ),
    "positions": (
        [
            L.Dense(6, bias=False),
            L.BatchNorm(momentum=0.3, epsilon=1e-3),
            L.Residual([L.LayerNorm(), L.Dense(9, "mish"), L.Dense(6, bias=False)]),
            L.BatchNorm(affine=False),
            L.Flatten(),
            L.Dense(8, "softplus"),
        ],
        (4, 3),
    ),
}


OPTIMIZERS = {
    "momentum": (optimizers.SGD(momentum=0.9), 0.02, lambda g, lr: torch.optim.SGD(g, lr=lr, momentum=0.9)),
    "nesterov": (
        optimizers.SGD(momentum=0.8, nesterov=True),
        0.02,
        lambda g, lr: torch.optim.SGD(g, lr=lr, momentum=0.8, nesterov=True),
    ),
    "adam": (optimizers.Adam(), 0.005, lambda g, lr: torch.optim.Adam(g, lr=lr)),
    "adamw": (optimizers.AdamW(weight_decay=0.1), 0.005, lambda g, lr: torch.optim.AdamW(g, lr=lr)),
}


def torch_of(layers, shape, dtype):
    """The network in torch, with the weights that an estimator begins with."""
    weights, _ = Net(layers, shape).fresh(np.random.RandomState(SEED), dtype)
    return load(Sequence(layers, shape).to(torch.float32 if dtype == np.float32 else torch.float64), weights)


def train(module, X, y, cost, make, rate, decay=0.0):
    """The mean loss of each epoch, as it was before each step."""
    matrices = [parameter for parameter in module.parameters() if parameter.ndim == 2]
    others = [parameter for parameter in module.parameters() if parameter.ndim < 2]
    optimizer = make(
        [{"params": matrices, "weight_decay": decay}, {"params": others, "weight_decay": 0.0}][: 1 + bool(others)], rate
    )
    curve = []
    for _ in range(EPOCHS):
        total = 0.0
        for begin in range(0, N, BATCH):
            x, target = torch.tensor(X[begin : begin + BATCH]), torch.tensor(y[begin : begin + BATCH])
            loss = cost(module(x), target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += float(loss.detach()) * len(x) / N
        curve.append(total)
    return curve


def data(shape, kind, dtype):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N, *shape)).astype(dtype)
    margin = X.reshape(N, -1) @ rng.normal(size=(X[0].size, 3)) / 2 + rng.normal(size=(N, 3)) / 3
    if kind == "classes":
        return X, margin.argmax(axis=1)
    return X, margin.astype(dtype)


def fitted(kind, layers, X, y, **params):
    loop = {"batch_size": BATCH, "max_epochs": EPOCHS, "shuffle": False, "tol": None, "random_state": SEED}
    params = {"standardize": False, "alpha": 0.0, **loop, **params}
    return (NeuralClassifier if kind == "classes" else NeuralRegressor)(layers, **params).fit(X, y)


def assert_same(model, module, curve, dtype):
    rtol = RTOL[dtype]
    assert len(curve) == len(model.loss_curve_) == EPOCHS
    np.testing.assert_allclose(model.loss_curve_, curve, rtol=rtol)
    assert curve[-1] < 0.97 * curve[0]
    for ours, theirs in zip(model.weights_, ours_of(module), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=20 * rtol * np.abs(theirs).max())
    for ours, theirs in zip(model.statistics_, statistics_of(module), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=rtol * np.abs(theirs).max())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("network", NETWORKS)
def test_a_classifier_takes_torchs_steps(network, optimizer, dtype):
    smoothing = 0.1 if optimizer == "adamw" else 0.0
    layers, shape = NETWORKS[network]
    layers = [*layers, L.Dense(3)]
    X, y = data(shape, "classes", dtype)
    ours, rate, make = OPTIMIZERS[optimizer]
    model = fitted(
        "classes", layers, X, y, optimizer=ours, learning_rate=rate, label_smoothing=smoothing, input_shape=shape
    )
    module = torch_of(layers, shape, dtype)
    cost = nn.CrossEntropyLoss(label_smoothing=smoothing)
    curve = train(module, X, y, cost, make, rate, decay=ours.weight_decay)
    assert_same(model, module, curve, dtype)
    assert len(model.statistics_) == 2 * sum(isinstance(layer, L.BatchNorm) for layer in layers)
    module.eval()
    with torch.no_grad():
        expected = module(torch.tensor(X)).softmax(dim=1).numpy()
    np.testing.assert_allclose(model.predict_proba(X), expected, rtol=0, atol=20 * RTOL[dtype])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("network", NETWORKS)
def test_a_regressor_takes_torchs_steps(network, dtype):
    layers, shape = NETWORKS[network]
    layers = [*layers, L.Dense(3)]
    X, y = data(shape, "numbers", dtype)
    ours, rate, make = OPTIMIZERS["adam"]
    model = fitted("numbers", layers, X, y, optimizer=ours, learning_rate=rate, loss="squared_error", input_shape=shape)
    module = torch_of(layers, shape, dtype)
    curve = train(module, X, y, lambda p, t: ((p - t) ** 2).sum(dim=1).mean() / 2, make, rate)
    assert_same(model, module, curve, dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("activation", L.activations())
def test_every_activation_takes_torchs_steps(activation, dtype):
    layers = [L.Dense(12, activation), L.Dense(9), L.Activation(activation), L.Dense(3)]
    X, y = data((7,), "classes", dtype)
    ours, rate, make = OPTIMIZERS["momentum"]
    model = fitted("classes", layers, X, y, optimizer=ours, learning_rate=rate)
    module = torch_of(layers, (7,), dtype)
    curve = train(module, X, y, nn.CrossEntropyLoss(), make, rate)
    assert_same(model, module, curve, dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_clipped_steps_are_torchs(dtype):
    layers, shape = NETWORKS["batch norm"]
    layers = [*layers, L.Dense(3)]
    X, y = data(shape, "classes", dtype)
    ours, rate, make = OPTIMIZERS["momentum"]
    model = fitted("classes", layers, X, y, optimizer=ours, learning_rate=rate, clip_norm=0.2)
    module = torch_of(layers, shape, dtype)

    def clipping(groups, rate):
        optimizer = make(groups, rate)
        step = optimizer.step

        def clipped():
            norm = nn.utils.clip_grad_norm_(module.parameters(), 0.2)
            norms.append(float(norm))
            step()

        optimizer.step = clipped
        return optimizer

    norms = []
    curve = train(module, X, y, nn.CrossEntropyLoss(), clipping, rate)
    assert max(norms) > 0.3
    assert_same(model, module, curve, dtype)


# ---- images and sequences ----


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


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("optimizer", STEPS)
@pytest.mark.parametrize("network", TRAINED)
def test_fifty_steps_are_torchs(network, optimizer, dtype):
    layers, shape = TRAINED[network]
    X, y = images(layers, shape, dtype)
    ours, rate, make = STEPS[optimizer]
    model = NeuralClassifier(
        layers,
        standardize=False,
        alpha=0.0,
        optimizer=ours,
        learning_rate=rate,
        batch_size=BATCH,
        max_epochs=EPOCHS,
        shuffle=False,
        tol=None,
        random_state=3,
    ).fit(X, y)

    net = Net(layers, shape)
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
        assert_close([found], [expected], 20 * CURVE[dtype])
    statistics = statistics_of(module)
    assert len(model.statistics_) == len(statistics)
    for found, expected in zip(model.statistics_, statistics, strict=True):
        assert_close([found], [expected], 10 * CURVE[dtype])
    module.eval()
    with torch.no_grad():
        expected = module(torch.tensor(X)).softmax(dim=1).numpy()
    np.testing.assert_allclose(model.predict_proba(X), expected, rtol=0, atol=20 * CURVE[dtype])
