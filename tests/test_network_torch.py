"""torch, from the same weights and on the same batches, takes the same steps."""

import numpy as np
import pytest
from fusedgrad import layers as L
from fusedgrad import optimizers
from fusedgrad._training.net import Net
from fusedgrad.neural_network import NeuralClassifier, NeuralRegressor

torch = pytest.importorskip("torch")
nn = torch.nn

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

N, BATCH, EPOCHS = 97, 20, 10  # 50 steps; the last batch of an epoch is short
SEED = 3
RTOL = {np.float32: 1e-4, np.float64: 1e-8}
ACTIVATIONS = {
    "identity": nn.Identity,
    "logistic": nn.Sigmoid,
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "selu": nn.SELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "softplus": lambda: nn.Softplus(threshold=40),
    "hard_swish": nn.Hardswish,
    "mish": nn.Mish,
}
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


@pytest.fixture(autouse=True)
def one_thread():
    """Batches this small are slower with several."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


class Residual(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return x + self.inner(x)


class BatchNorm(nn.BatchNorm1d):
    """torch has channels before positions, we have them last."""

    def forward(self, x):
        return super().forward(x.reshape(-1, x.shape[-1])).reshape(x.shape)


def module_of(layer, shape):
    """The layer in torch, with parameters in the order of ours."""
    if isinstance(layer, L.Dense):
        linear = nn.Linear(shape[-1], layer.units, bias=layer.bias)
        return nn.Sequential(linear, ACTIVATIONS[layer.activation or "identity"]())
    if isinstance(layer, L.Activation):
        return ACTIVATIONS[layer.name]()
    if isinstance(layer, L.BatchNorm):
        return BatchNorm(shape[-1], eps=layer.epsilon, momentum=layer.momentum, affine=layer.affine)
    if isinstance(layer, L.LayerNorm):
        return nn.LayerNorm(shape[-1], eps=layer.epsilon, elementwise_affine=layer.affine)
    if isinstance(layer, L.Residual):
        return Residual(modules_of(layer.layers, shape))
    return nn.Flatten()


def modules_of(layers, shape):
    made = []
    for layer in layers:
        made.append(module_of(layer, shape))
        shape = layer.shape(shape)
    return nn.Sequential(*made)


def torch_of(layers, shape, dtype):
    """The network in torch, with the weights that an estimator begins with."""
    weights, _ = Net(layers, shape).fresh(np.random.RandomState(SEED), dtype)
    module = modules_of(layers, shape).to(torch.float32 if dtype == np.float32 else torch.float64)
    with torch.no_grad():
        for parameter, weight in zip(module.parameters(), weights, strict=True):
            weight = weight.T if parameter.ndim == 2 else weight[0]
            parameter.copy_(torch.tensor(weight))
    return module


def weights_of(module):
    """Parameters as ours are laid out."""
    arrays = [parameter.detach().numpy() for parameter in module.parameters()]
    return [array.T if array.ndim == 2 else array[None] for array in arrays]


def statistics_of(module):
    norms = [one for one in module.modules() if isinstance(one, BatchNorm)]
    return [r.numpy()[None] for norm in norms for r in (norm.running_mean, norm.running_var)]


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
    params = {"batch_size": BATCH, "max_epochs": EPOCHS, "shuffle": False, "tol": None, "random_state": SEED, **params}
    return (NeuralClassifier if kind == "classes" else NeuralRegressor)(layers, **params).fit(X, y)


def assert_same(model, module, curve, dtype):
    rtol = RTOL[dtype]
    assert len(curve) == len(model.loss_curve_) == EPOCHS
    np.testing.assert_allclose(model.loss_curve_, curve, rtol=rtol)
    assert curve[-1] < 0.97 * curve[0]
    for ours, theirs in zip(model.weights_, weights_of(module), strict=True):
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


def test_every_activation_has_one_in_torch():
    assert set(L.activations()) == set(ACTIVATIONS)


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
