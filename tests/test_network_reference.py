"""Networks equal their judge: losses, gradients, steps, predictions; whatever the layers, the storage, the threads."""

import ctypes
import math

import numpy as np
import pytest
import scipy.sparse as sp
from fusedgrad import layers as L
from fusedgrad import optimizers, schedules
from fusedgrad._training import network as _network
from fusedgrad._training import rates as _rates
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from .child import python
from .reference import network, rules

ALL = tuple(L.activations())
SMOOTH = tuple(name for name in ALL if name not in network.KINKS)
LOSSES = {  # fields of the loss
    "softmax": {},
    "log_loss": {},
    "squared_error": {},
    "absolute_error": {},
    "huber": {"epsilon": 0.1},
    "quantile": {"quantile": 0.3},
    "poisson": {},
    "gamma": {},
}
STORAGES = ("dense", "csr32", "csr64")
EXAMPLES = {"deadline": None, "derandomize": True, "database": None, "suppress_health_check": list(HealthCheck)}
every_loss = pytest.mark.parametrize("loss, smoothing", [("softmax", 0.1), *((loss, 0.0) for loss in LOSSES)])
every_dtype = pytest.mark.parametrize("dtype", [np.float64, np.float32])


# ---- networks of both sides ----


def weights_of(net, rng, dtype):
    """Random weights and statistics, in which nothing has a value of its own."""
    draws = {
        "coef": lambda shape: rng.normal(size=shape) / math.sqrt(max(1, shape[0])),
        "recurrent": lambda shape: rng.normal(size=shape) / math.sqrt(shape[0]),
        "intercept": lambda shape: rng.normal(0, 0.3, shape),
        "recurrent_intercept": lambda shape: rng.normal(0, 0.3, shape),
        "scale": lambda shape: rng.uniform(0.5, 1.5, shape),
        "shift": lambda shape: rng.normal(0, 0.3, shape),
        "mean": lambda shape: rng.normal(0, 0.3, shape),
        "variance": lambda shape: rng.uniform(0.5, 2, shape),
    }
    _, trained, _, kept = net.core.layout(np.dtype(dtype).itemsize)
    return tuple([draws[name]((r, c)).astype(dtype) for _, name, _, r, c in pieces] for pieces in (trained, kept))


def judge_of(layers, shape, weights, kept, mask=None):
    """The reference's network; ``mask(node, rate, numbers of a row)`` gives the masks of dropout."""
    weights, kept = iter(np.array(w, dtype=float) for w in weights), iter(np.array(r, dtype=float) for r in kept)
    nodes = 0

    def several(layers, shape):
        made = []
        for layer in layers:
            made.append(one(layer, shape))
            shape = layer.shape(shape)
        return made

    def one(layer, shape):
        nonlocal nodes
        if isinstance(layer, L.Flatten):
            return network.Flatten()
        if isinstance(layer, L.Masking):
            return network.Masking(layer.value)
        if isinstance(layer, L.Residual):
            inner = several(layer.layers, shape)
            nodes += 1
            return network.Residual(inner)
        nodes += 1
        if isinstance(layer, L.Dense):
            W = next(weights)
            return network.Dense(W, next(weights) if layer.bias else None, layer.activation or "identity")
        if isinstance(layer, L.Activation):
            return network.Activation(layer.name, **({} if layer.alpha is None else {"alpha": layer.alpha}))
        if isinstance(layer, L.Dropout):
            one = network.Dropout(layer.rate)
            if mask is not None:
                one.mask = mask(nodes - 1, layer.rate, math.prod(shape)).reshape(-1, *shape)
            return one
        if isinstance(layer, (L.Conv2D, L.Conv1D)):
            W, b = next(weights), next(weights) if layer.bias else None
            kind = network.Conv2D if isinstance(layer, L.Conv2D) else network.Conv1D
            places = layer.stride, layer.padding, layer.dilation, layer.groups
            return kind(W, b, layer.kernel_size, layer.activation or "identity", *places)
        if isinstance(layer, (L.MaxPool2D, L.AvgPool2D)):
            kind = network.MaxPool2D if isinstance(layer, L.MaxPool2D) else network.AvgPool2D
            return kind(layer.pool_size, layer.stride, layer.padding)
        if isinstance(layer, L.GlobalAvgPool2D):
            return network.GlobalAvgPool2D()
        if isinstance(layer, L.Embedding):
            return network.Embedding(next(weights), layer.padding)
        if isinstance(layer, (L.SimpleRNN, L.GRU, L.LSTM)):
            own = [next(weights) for _ in range((4 if layer.bias else 2) * (2 if layer.bidirectional else 1))]
            options = {"bias": layer.bias, "sequences": layer.return_sequences, "truncate": layer.truncate}
            if isinstance(layer, L.SimpleRNN):
                options["activation"] = layer.activation
            return getattr(network, type(layer).__name__)(own, both_ways=layer.bidirectional, **options)
        affine = [next(weights), next(weights)] if layer.affine else []
        if isinstance(layer, L.LayerNorm):
            return network.LayerNorm(affine, layer.epsilon)
        return network.BatchNorm(affine, [next(kept), next(kept)], layer.momentum, layer.epsilon)

    return network.Network(several(layers, shape), shape)


def dropped(rate, rows, numbers, *, seed=0, step=1, node=0, dtype=np.float64, threads=1):
    """What dropout makes of ones in a step of training, (rows, numbers).

    Row k alone has a slope, and that for output k; so one step of size 1 from zero makes the weights of output k equal
    to what comes out of dropout for row k, over the number of rows.
    """
    identity = L.Activation("identity")
    net = _network.Net([identity] * node + [L.Dropout(rate), L.Dense(rows, bias=False)], (numbers,))
    weights = _network.Weights([np.zeros((numbers, rows), dtype=dtype)], [])
    goal = _network.Goal(np.eye(rows, dtype=dtype), rows, "squared_error")
    task = training_of(net, weights, np.ones((rows, numbers), dtype=dtype), goal, seed=seed, threads=threads)
    task.engine.train(1, None, np.ones(1), step, 1.0, threads)
    return task.parts[0].T * rows


def masks_of(rows, seed=0, step=1):
    return lambda node, rate, numbers: dropped(rate, rows, numbers, seed=seed, step=step, node=node) != 0


def settings_of(n, batch_size=None, *, optimizer=None, l2=0.0, l2_of_batch=False, seed=0, **more):
    return _network.Settings(
        optimizer=optimizer or optimizers.SGD(),
        source=_rates.Source(schedules.Constant(0.1)),
        batch_size=batch_size or n,
        max_epochs=1,
        l2=l2,
        l2_of_batch=l2_of_batch,
        tol=None,
        patience=10,
        order=None,
        seed=seed,
        **more,
    )


def training_of(net, weights, X, goal, weight=None, *, threads=1, **more):
    return _network.Training(net, weights, X, goal, weight, settings_of(X.shape[0], **more), threads=threads)


def goal_of(y, outputs, loss, smoothing=0.0, dtype=np.float64):
    if loss == "softmax":
        y = y.astype(dtype)
        return _network.Goal(y, outputs, "log_loss", coded=True, multinomial=True, smoothing=smoothing)
    return _network.Goal(np.ascontiguousarray(y, dtype=dtype), outputs, loss, dict(LOSSES[loss]))


def targets_of(P, loss, rng):
    """Targets for which no prediction lies at a kink of the loss."""
    if loss == "softmax":
        return rng.integers(P.shape[1], size=len(P))
    if loss == "log_loss":
        return rng.choice([0.0, 1.0, 0.25, 0.6], P.shape)
    if loss == "poisson":
        return rng.choice([0.0, 0.5, 1.0, 3.0], P.shape)
    if loss == "gamma":
        return rng.uniform(0.1, 3, P.shape)
    near, far = rng.uniform(0.02, 0.07, P.shape), rng.uniform(0.3, 2, P.shape)
    return P + rng.choice([-1, 1], P.shape) * np.where(rng.random(P.shape) < 0.5, near, far)


def fitting(layers, shape, X, rng):
    """Rows that the first layer takes: codes, or steps some of which are padding, but never all of a row."""
    first = layers[0] if layers else None
    if isinstance(first, L.Embedding):
        X = rng.integers(first.codes, size=X.shape).astype(float)
        marks, padding = first.padding == X, first.padding
    elif isinstance(first, L.Masking):
        marks, padding = rng.random((len(X), shape[0])) < rng.choice([0.1, 0.4, 0.8]), first.value
    else:
        return X
    if padding is None or (isinstance(first, L.Embedding) and first.codes == 1):
        return X
    # Some rows have padding at the end alone, as is usual.
    short = rng.random(len(X)) < 0.5
    lengths = rng.integers(1, shape[0] + 1, len(X))
    marks[short] = np.arange(shape[0]) >= lengths[short, None]
    marks[np.arange(len(X)), rng.integers(shape[0], size=len(X))] = False
    X = X.reshape(len(X), shape[0], -1)
    # What is no padding must not look like it.
    other = (first.padding + 1) % first.codes if isinstance(first, L.Embedding) else padding + 0.5
    X[~marks & (padding == X).all(axis=2)] = other
    X[marks] = padding
    return X.reshape(len(X), -1)


def stored(X, storage):
    if storage == "dense":
        return X
    X = sp.csr_array(X)
    index = np.int32 if storage == "csr32" else np.int64
    X.indices, X.indptr = X.indices.astype(index), X.indptr.astype(index)
    return X


class Case:
    """A network with random weights, rows, targets, and weights of rows."""

    def __init__(self, layers, shape, rows, loss, seed, *, smoothing=0.0, weighted=False, sparse=False, l2=0.0, **more):
        rng = np.random.default_rng(seed)
        self.layers, self.shape, self.rows, self.loss, self.smoothing = layers, shape, rows, loss, smoothing
        self.net = _network.Net(layers, shape)
        self.weights, self.kept = weights_of(self.net, rng, np.float64)
        self.X = rng.normal(size=(rows, math.prod(shape)))
        if sparse:
            self.X[rng.random(self.X.shape) < 0.7] = 0
        self.X = fitting(layers, shape, self.X, rng)
        self.outputs = math.prod(self.net.shapes[-1])
        self.y = targets_of(self.judge().forward(self.X, training=True), loss, rng)
        self.weight = None
        if weighted:
            self.weight = rng.uniform(0.2, 2, rows)
            self.weight[rng.random(rows) < 0.2] = 0
            self.weight[-1] = 1
        self.options = {"l2": l2, **more}

    def judge(self):
        return judge_of(self.layers, self.shape, self.weights, self.kept, masks_of(self.rows))

    def judged(self):
        """The reference's network after a pass back and forth, and what came of it."""
        judge = self.judge()
        found = judge.loss_gradient(
            self.X,
            self.y,
            loss=self.loss,
            smoothing=self.smoothing,
            weight=self.weight,
            fields=LOSSES[self.loss],
            **self.options,
        )
        return judge, *found

    def training(self, storage="dense", threads=1, dtype=np.float64, **more):
        weights = _network.Weights([w.astype(dtype) for w in self.weights], [r.astype(dtype) for r in self.kept])
        goal = goal_of(self.y, self.outputs, self.loss, self.smoothing, dtype)
        X = stored(self.X.astype(dtype, copy=False), storage)
        weight = None if self.weight is None else self.weight.astype(dtype)
        return training_of(self.net, weights, X, goal, weight, threads=threads, **self.options, **more)

    def __repr__(self):
        weighted = "" if self.weight is None else ", weighted"
        return (
            f"Case({list(self.layers)}, {self.shape}, {self.rows} rows, {self.loss}, {self.smoothing}, {self.options}"
            f"{weighted})"
        )


def gradient_of(task):
    """(loss, penalty, gradients by parameter)."""
    gradient = np.zeros_like(task.flat)
    loss, penalty = task.loss_gradient(gradient)
    _, pieces, _, _ = task.net.core.layout(gradient.itemsize)
    return loss, penalty, [gradient[o : o + r * c].reshape(r, c) for _, _, o, r, c in pieces]


def assert_close(found, expected, rtol, floor=0.0):
    """Every array to `rtol` of its largest number; `floor` is added."""
    assert len(found) == len(expected)
    for ours, reference in zip(found, expected, strict=True):
        assert ours.shape == reference.shape
        np.testing.assert_allclose(ours, reference, rtol=0, atol=rtol * np.abs(reference).max(initial=0) + floor)


# ---- random networks ----


@st.composite
def layer_lists(draw, shape, activations, *, longest=4, depth=2, dropout=False, residual_first=True, flat=True):
    """A list of layers and the shape of its rows; blocks keep the shape."""
    kinds = ["dense", "dense", "batch_norm", "layer_norm", "activation", *(["dropout"] if dropout else [])]
    made = []
    for k in range(draw(st.integers(0, longest))):
        blocks = ["residual"] * 2 if depth and (k or residual_first) else []
        kind = draw(st.sampled_from(kinds + blocks + (["flatten"] if flat and len(shape) > 1 else [])))
        if kind == "dense":
            layer = L.Dense(
                draw(st.integers(1, 40)), draw(st.sampled_from([None, *activations])), bias=draw(st.booleans())
            )
        elif kind == "batch_norm":
            layer = L.BatchNorm(
                affine=draw(st.booleans()),
                momentum=draw(st.sampled_from([0.1, 0.3, 1.0])),
                epsilon=draw(st.sampled_from([1e-5, 1e-2])),
            )
        elif kind == "layer_norm":
            layer = L.LayerNorm(affine=draw(st.booleans()), epsilon=draw(st.sampled_from([1e-5, 1e-2])))
        elif kind == "activation":
            name = draw(st.sampled_from(activations))
            alpha = draw(st.sampled_from([None, 0.3])) if name == "leaky_relu" else None
            layer = L.Activation(name, alpha=alpha)
        elif kind == "dropout":
            layer = L.Dropout(draw(st.sampled_from([0.0, 0.2, 0.5])))
        elif kind == "flatten":
            layer = L.Flatten()
        else:
            inner, after = draw(
                layer_lists(shape, activations, longest=3, depth=depth - 1, dropout=dropout, flat=False)
            )
            layer = L.Residual(inner if after == shape else [*inner, L.Dense(shape[-1])])
        made.append(layer)
        shape = layer.shape(shape)
    return made, shape


@st.composite
def shapes(draw):
    if draw(st.integers(0, 2)):
        return (draw(st.integers(1, 40)),)
    return draw(st.sampled_from([(4, 3), (5, 1), (1, 6), (2, 3, 2)]))


@st.composite
def cases(draw, activations=ALL, fewest=1, most=67, **more):
    shape = draw(shapes())
    sparse = draw(st.booleans())
    layers, after = draw(layer_lists(shape, activations, residual_first=not sparse, **more))
    loss = draw(st.sampled_from([*LOSSES, "softmax"]))
    if len(after) > 1 and draw(st.booleans()):
        layers.append(L.Flatten())
    layers.append(L.Dense(draw(st.integers(1 + (loss == "softmax"), 9)), bias=draw(st.booleans())))
    rows = draw(st.integers(fewest, most))
    if most == 67 and draw(st.integers(0, 9)) == 0:
        rows = draw(st.sampled_from([128, 131, 200, 300]))  # gradients by blocks of rows
    return Case(
        layers,
        shape,
        rows,
        loss,
        draw(st.integers(0, 2**32 - 1)),
        smoothing=draw(st.sampled_from([0.0, 0.1])) if loss == "softmax" else 0.0,
        weighted=draw(st.booleans()),
        sparse=sparse,
        l2=draw(st.sampled_from([0.0, 0.1])),
        l2_of_batch=draw(st.booleans()),
    )


# ---- the judge is right itself ----


def all_differences(f, arrays, h=1e-4):
    """Slopes of f by every number of the arrays, to the fourth order."""
    slopes = []
    for array in arrays:
        slope = np.zeros_like(array)
        for at in np.ndindex(array.shape):
            kept = array[at]
            value = {}
            for k in (-2, -1, 1, 2):
                array[at] = kept + k * h
                value[k] = f()
            array[at] = kept
            slope[at] = (8 * (value[1] - value[-1]) - (value[2] - value[-2])) / (12 * h)
        slopes.append(slope)
    return slopes


def away_from_kinks(layers, shape, rows, loss, gap=0.02, **more):
    """A case where no input of an activation is near a kink."""
    for seed in range(2000):
        case = Case(layers, shape, rows, loss, seed, **more)
        if case.judged()[0].to_kink() > gap:
            return case
    raise AssertionError("no weights found")


SMALL = [
    L.Dense(4, "tanh"),
    L.Dropout(0.2),
    L.Residual([L.BatchNorm(), L.Dense(3, "mish"), L.LayerNorm(), L.Residual([L.Activation("silu")]), L.Dense(4)]),
    L.LayerNorm(affine=False),
    L.BatchNorm(affine=False, epsilon=0.1),
    L.Dense(2),
]


@every_loss
@pytest.mark.parametrize("shape", [(3,), (2, 3)])
def test_the_judges_gradient_is_that_of_its_loss(loss, smoothing, shape):
    case = Case(SMALL, shape, 5, loss, 0, smoothing=smoothing, weighted=True, l2=0.1, l2_of_batch=True)
    judge, loss_value, penalty, gradients = case.judged()
    options = {"loss": loss, "smoothing": smoothing, "weight": case.weight, "fields": LOSSES[loss]}

    def value():
        return sum(judge.loss_gradient(case.X, case.y, **options, **case.options)[:2]) - scale

    scale = loss_value + penalty
    # The penalty is reported over the weight of the rows, too.
    per_row = {id(w): case.options["l2"] / case.weight.sum() for w in judge.matrices()}
    assert_close(gradients, all_differences(value, judge.weights), 1e-7, 1e-8)
    expected = sum(per_row[id(w)] / 2 * np.sum(w**2) for w in judge.matrices())
    assert penalty == pytest.approx(expected)


# ---- loss and gradient over all rows ----


@settings(max_examples=250, **EXAMPLES)
@given(case=cases(dropout=True), storage=st.sampled_from(STORAGES), threads=st.integers(1, 4))
def test_loss_and_gradient_equal_the_judges(case, storage, threads):
    storage = storage if isinstance(case.layers[0], L.Dense) else "dense"
    judge, *expected = case.judged()
    assume(judge.to_kink() == 0 or judge.to_kink() > 1e-9)  # else rounding decides
    found = gradient_of(case.training(storage, threads))
    np.testing.assert_allclose(found[:2], expected[:2], rtol=1e-9, atol=1e-12)
    largest = max(np.abs(g).max(initial=0) for g in expected[2])
    assert_close(found[2], expected[2], 1e-9, 1e-11 * largest + 1e-13)


@settings(max_examples=100, **EXAMPLES)
@given(case=cases(SMOOTH, fewest=4, most=40, dropout=True), seed=st.integers(0, 99))
def test_the_gradient_is_that_of_the_loss(case, seed):
    task = case.training()
    _, _, gradients = gradient_of(task)
    scratch = np.zeros_like(task.flat)
    rng = np.random.default_rng(seed)
    h = 1e-3
    start = sum(task.loss_gradient(scratch))

    def value(part, to):
        part[:] = to
        return sum(task.loss_gradient(scratch)) - start

    largest = max(np.abs(g).max(initial=0) for g in gradients)
    for part, gradient in zip(task.parts, gradients, strict=True):
        kept, along = part.copy(), rng.normal(size=part.shape)
        along /= np.linalg.norm(along)

        def central(h, part=part, kept=kept, along=along):
            return (value(part, kept + h * along) - value(part, kept - h * along)) / (2 * h)

        wide, middle, narrow = central(h), central(h / 2), central(h / 4)
        difference, before = (4 * narrow - middle) / 3, (4 * middle - wide) / 3
        part[:] = kept
        room = 1e-6 * largest + 1e-9 + abs(difference - before)
        assert room < 1e-3 * largest + 1e-6, "the differences say nothing"
        assert abs(np.sum(gradient * along) - difference) < room


@pytest.mark.parametrize("loss", ["squared_error", "softmax"])
@pytest.mark.parametrize("activation", ALL)
def test_the_gradient_through_an_activation_is_that_of_the_loss(activation, loss):
    layers = [L.Dense(3, activation), L.Dense(2), L.Activation(activation), L.Dense(2)]
    case = away_from_kinks(layers, (2,), 3, loss)
    task = case.training()
    _, _, gradients = gradient_of(task)
    scratch = np.zeros_like(task.flat)
    differences = all_differences(lambda: task.loss_gradient(scratch)[0], task.parts)
    assert_close(gradients, differences, 1e-7, 1e-9)


@every_loss
@pytest.mark.parametrize("weighted", [False, True])
def test_every_loss_has_its_gradient(loss, smoothing, weighted):
    case = Case(SMALL, (3,), 6, loss, 1, smoothing=smoothing, weighted=weighted, l2=0.05)
    task = case.training()
    loss_value, penalty, gradients = gradient_of(task)
    _, *expected = case.judged()
    np.testing.assert_allclose([loss_value, penalty], expected[:2], rtol=1e-12)
    assert penalty > 0
    scratch = np.zeros_like(task.flat)
    differences = all_differences(lambda: sum(task.loss_gradient(scratch)) - loss_value, task.parts)
    assert_close(gradients, differences, 1e-7, 1e-8)


@pytest.mark.parametrize("storage", ["csr32", "csr64"])
@pytest.mark.parametrize("first", [[], ["BatchNorm"]])
def test_a_block_at_the_beginning_takes_sparse_rows(storage, first):
    code = f"""
import numpy as np
from fusedgrad import layers as L
from tests.test_network_reference import Case, gradient_of, stored
layers = [L.Residual([{"L.BatchNorm(), " * len(first)}L.Dense(6, "tanh"), L.Dense(5)]), L.Dense(3)]
case = Case(layers, (5,), 30, "softmax", 0, sparse=True)
outputs = [
    case.net.predict(case.weights, case.kept, stored(case.X, storage), layer=-1, threads=1)
    for storage in ("dense", "{storage}")
]
np.testing.assert_array_equal(*outputs)
sparse, dense = gradient_of(case.training("{storage}")), case.judged()[1:]
np.testing.assert_allclose(sparse[0], dense[0], rtol=1e-12)
for ours, reference in zip(sparse[2], dense[2], strict=True):
    np.testing.assert_allclose(ours, reference, rtol=1e-9, atol=1e-12)
"""
    done = python(code)
    assert done.returncode == 0, done.stderr


def test_a_pass_over_all_rows_leaves_weights_as_they_are():
    case = Case(SMALL, (3,), 6, "squared_error", 1)
    task = case.training()
    first = gradient_of(task)
    for part, weight in zip(task.parts, case.weights, strict=True):
        np.testing.assert_array_equal(part, weight)
    second = gradient_of(task)
    assert first[:2] == second[:2]
    for ours, again in zip(first[2], second[2], strict=True):
        np.testing.assert_array_equal(ours, again)


# ---- products of all sizes ----


@pytest.mark.parametrize("storage", ["dense", "csr32"])
@every_dtype
def test_products_of_all_sizes(dtype, storage):
    rng = np.random.default_rng(0)
    rtol = 1e-13 if dtype == np.float64 else 1e-5
    X = rng.normal(size=(67, 67))
    X[rng.random(X.shape) < 0.4] = 0
    W, b = rng.normal(size=(67, 67)).astype(dtype), rng.normal(size=(1, 67)).astype(dtype)
    X = X.astype(dtype)
    sizes = np.abs(X.astype(float)) @ np.abs(W.astype(float))
    for inputs in range(68):
        x, w = np.ascontiguousarray(X[:, :inputs]), W[:inputs]
        expected = x.astype(float) @ w.astype(float) + b.astype(float)
        given = stored(x, storage)
        for units in range(1, 68):
            rows = (7 * inputs + 5 * units) % 67 + 1
            net = _network.Net([L.Dense(units)], (inputs,))
            weights = [np.ascontiguousarray(w[:, :units]), np.ascontiguousarray(b[:, :units])]
            found = net.predict(weights, [], given[:rows], layer=-1, threads=1)
            room = rtol * (sizes[:rows, :units] + 1)
            wrong = np.abs(found - expected[:rows, :units]) > room
            assert found.shape == (rows, units)
            assert not wrong.any(), (inputs, units, rows)


@every_dtype
def test_products_of_any_number_of_rows(dtype):
    rng = np.random.default_rng(1)
    for units in (1, 2, 7, 8, 9, 16, 17, 31, 33, 48, 67):
        for inputs in (0, 1, 3, 16, 67):
            net = _network.Net([L.Dense(units)], (inputs,))
            X = rng.normal(size=(67, inputs)).astype(dtype)
            W, b = rng.normal(size=(inputs, units)).astype(dtype), rng.normal(size=(1, units)).astype(dtype)
            whole = X.astype(float) @ W.astype(float) + b.astype(float)
            for rows in range(68):
                found = net.predict([W, b], [], X[:rows], layer=-1, threads=1)
                np.testing.assert_allclose(found, whole[:rows], rtol=0, atol=1e-12 if dtype == np.float64 else 1e-4)


@pytest.mark.parametrize("storage", ["dense", "csr32"])
def test_gradients_of_products_of_all_sizes(storage):
    rng = np.random.default_rng(2)
    X = rng.normal(size=(67, 67))
    X[rng.random(X.shape) < 0.4] = 0
    W, V, Y = rng.normal(size=(67, 67)) / 8, rng.normal(size=(67, 5)), rng.normal(size=(67, 5))
    for inputs in range(1, 68):
        for units in range(1, 68):
            rows, outputs = (7 * inputs + 5 * units) % 67 + 1, (inputs + units) % 5 + 1
            x, w, v = X[:rows, :inputs], W[:inputs, :units], V[:units, :outputs]
            b, y = np.zeros((1, units)), np.ascontiguousarray(Y[:rows, :outputs])
            net = _network.Net([L.Dense(units), L.Dense(outputs, bias=False)], (inputs,))
            goal = goal_of(y, outputs, "squared_error")
            task = training_of(net, _network.Weights([w, b, v], []), stored(np.ascontiguousarray(x), storage), goal)
            _, _, found = gradient_of(task)
            dz = (x @ w @ v - y) / rows
            expected = [x.T @ (dz @ v.T), (dz @ v.T).sum(axis=0, keepdims=True), (x @ w).T @ dz]
            for ours, reference in zip(found, expected, strict=True):
                room = 1e-12 * (1 + np.abs(reference).max())
                assert np.abs(ours - reference).max() < room, (inputs, units, rows, outputs)


# ---- predictions ----


def predicted(case, X, dtype=np.float64, storage="dense", threads=1):
    weights, kept = ([np.asarray(w, dtype=dtype) for w in arrays] for arrays in (case.weights, case.kept))
    X = stored(np.ascontiguousarray(X, dtype=dtype), storage)
    return case.net.predict(weights, kept, X, layer=-1, threads=threads)


@settings(max_examples=150, **EXAMPLES)
@given(case=cases(dropout=True), threads=st.integers(1, 4))
def test_predictions_equal_the_judges(case, threads):
    expected = case.judge().forward(case.X)
    found = predicted(case, case.X, threads=threads)
    assert_close([found], [expected], 1e-12, 1e-13)
    assert found.dtype == np.float64


@settings(max_examples=150, **EXAMPLES)
@given(case=cases())
def test_predictions_in_float32_equal_the_judges(case):
    single = Case.__new__(Case)
    single.__dict__ = {**case.__dict__}
    single.weights = [w.astype(np.float32) for w in case.weights]
    single.kept = [r.astype(np.float32) for r in case.kept]
    X = case.X.astype(np.float32)
    judge = single.judge()
    expected = judge.forward(X)
    norms = [layer for layer in judge.all() if isinstance(layer, network.LayerNorm)]
    assume(all(layer.variance.min() > 0.01 for layer in norms))  # small ones multiply roundings
    found = predicted(case, case.X, np.float32)
    assert found.dtype == np.float32
    assert_close([found], [expected], 1e-4, 1e-6)


def some_rows(case, rows):
    rng = np.random.default_rng(rows)
    X = rng.normal(size=(rows, case.X.shape[1]))
    X[rng.random(X.shape) < 0.5] = 0
    return X


@settings(max_examples=100, **EXAMPLES)
@given(case=cases(dropout=True), dtype=st.sampled_from([np.float32, np.float64]), data=st.data())
def test_a_prediction_does_not_depend_on_other_rows(case, dtype, data):
    rows = data.draw(st.integers(1, 200))
    X = some_rows(case, rows)
    whole = predicted(case, X, dtype)
    alone = np.concatenate([predicted(case, X[i : i + 1], dtype) for i in range(rows)])
    np.testing.assert_array_equal(whole, alone)
    cut = data.draw(st.integers(0, rows))
    np.testing.assert_array_equal(whole[cut:], predicted(case, X[cut:], dtype))


@settings(max_examples=100, **EXAMPLES)
@given(case=cases(dropout=True), dtype=st.sampled_from([np.float32, np.float64]), rows=st.integers(1, 200))
def test_a_prediction_does_not_depend_on_storage(case, dtype, rows):
    assume(not isinstance(case.layers[0], L.Residual))
    X = some_rows(case, rows)
    whole = predicted(case, X, dtype)
    for storage in ("csr32", "csr64"):
        np.testing.assert_array_equal(whole, predicted(case, X, dtype, storage), err_msg=storage)


@pytest.mark.parametrize("storage", ["csr32", "csr64"])
@pytest.mark.parametrize("units", [1, 2, 15, 16, 40])
@every_dtype
def test_sparse_rows_are_predicted_as_dense_ones_are(units, dtype, storage):
    for seed in range(5):
        case = Case([L.Dense(units, "tanh")], (37,), 50, "squared_error", seed, sparse=True)
        np.testing.assert_array_equal(predicted(case, case.X, dtype, storage), predicted(case, case.X, dtype))


@every_dtype
@pytest.mark.parametrize("units", [1, 2, 3, 5, 8, 16, 17, 21, 33, 40])
def test_rows_one_by_one_and_together_whatever_their_number(units, dtype):
    block = L.Residual([L.Dense(20, "relu"), L.Dense(units)])
    case = Case([L.Dense(units, "gelu"), L.BatchNorm(), block, L.LayerNorm()], (29,), 200, "squared_error", 0)
    alone = np.concatenate([predicted(case, case.X[i : i + 1], dtype) for i in range(200)])
    for rows in range(1, 201):
        np.testing.assert_array_equal(predicted(case, case.X[:rows], dtype), alone[:rows])


@pytest.mark.parametrize("storage", STORAGES)
def test_predictions_are_the_same_bits_for_any_number_of_threads(storage):
    layers = [L.Dense(60, "silu"), L.Residual([L.BatchNorm(), L.Dense(60)]), L.Dense(3)]
    case = Case(layers, (40,), 1500, "squared_error", 0, sparse=True)
    one = predicted(case, case.X, storage=storage)
    for threads in (2, 3, 4):
        np.testing.assert_array_equal(predicted(case, case.X, storage=storage, threads=threads), one)


# ---- training ----


def steps_of(case, optimizer, rule, fields, orders, batch_size, rate):
    """The reference's way through the batches: (network, loss and penalty of each epoch)."""
    judge = case.judge()
    memories = [{} for _ in judge.weights]
    penalised = {id(W) for W in judge.matrices()}
    curve, step = [], 0
    for order in orders:
        sums = np.zeros(2)
        for begin in range(0, len(order), batch_size):
            rows = order[begin : begin + batch_size]
            step += 1
            for node, layer in dropouts(case.layers):
                reference = judge_at(judge, case.layers, layer)
                numbers = math.prod(reference.mask.shape[1:])
                made = dropped(layer.rate, len(rows), numbers, step=step, node=node) != 0
                reference.mask = made.reshape(len(rows), *reference.mask.shape[1:])
            weight = None if case.weight is None else case.weight[rows]
            options = {"smoothing": case.smoothing, "weight": weight, "fields": LOSSES[case.loss], **case.options}
            *values, gradients = judge.loss_gradient(case.X[rows], case.y[rows], loss=case.loss, **options)
            sums += np.array(values) * len(rows) / len(order)
            for w, g, memory in zip(judge.weights, gradients, memories, strict=True):
                decay = optimizer.weight_decay if id(w) in penalised else 0.0
                w[:] = rules.RULES[rule]((1 - rate * decay) * w, g, step, rate, memory, **fields)
        curve.append(sums)
    return judge, np.array(curve)


def dropouts(layers):
    """(node, layer) of the dropout layers; for lists without blocks."""
    nodes = [layer for layer in layers if not isinstance(layer, (L.Flatten, L.Masking))]
    return [(node, layer) for node, layer in enumerate(nodes) if isinstance(layer, L.Dropout)]


def judge_at(judge, layers, layer):
    return judge.layers[next(k for k, one in enumerate(layers) if one is layer)]


PLAIN = [L.Dense(9, "tanh"), L.BatchNorm(), L.Dropout(0.3), L.LayerNorm(), L.Dense(6, "gelu"), L.Dropout(0.2)]
BLOCK = [L.Dense(8, "silu"), L.Residual([L.BatchNorm(momentum=0.3), L.Dense(5, "tanh"), L.Dense(8)]), L.Flatten()]
RULES = [
    (optimizers.SGD(), "sgd", {}),
    (optimizers.SGD(momentum=0.9, nesterov=True), "sgd", {"momentum": 0.9, "nesterov": True}),
    (optimizers.Adam(epsilon=1e-4), "adam", {"epsilon": 1e-4}),
    (optimizers.AdamW(epsilon=1e-4, weight_decay=0.1), "adam", {"epsilon": 1e-4}),
]


@pytest.mark.parametrize("optimizer, rule, fields", RULES, ids=lambda value: value if isinstance(value, str) else "")
@pytest.mark.parametrize("loss, smoothing", [("softmax", 0.1), ("poisson", 0.0)])
@pytest.mark.parametrize("layers, shape", [(PLAIN, (5,)), (BLOCK, (3, 4))], ids=["plain", "block"])
def test_training_goes_the_judges_way(layers, shape, loss, smoothing, optimizer, rule, fields):
    n, batch_size, rate, epochs = 47, 10, 0.01, 4
    layers = [*layers, L.Dense(3)]
    case = Case(layers, shape, n, loss, 3, smoothing=smoothing, weighted=True, l2=0.02)
    rng = np.random.default_rng(0)
    orders = [rng.permutation(n) for _ in range(epochs)]
    judge, curve = steps_of(case, optimizer, rule, fields, orders, batch_size, rate)
    task = case.training(optimizer=optimizer, batch_size=batch_size)
    before = task.flat.copy()
    steps = epochs * 5
    order = np.concatenate(orders).astype(np.uint32)
    made, batches, losses, penalties, _, finite, interrupted = task.engine.train(
        epochs, order, np.full(steps, rate), 1, 1.0, 2
    )
    assert (made, batches, finite, interrupted) == (epochs, steps, True, False)
    np.testing.assert_allclose(np.column_stack([losses, penalties]), curve, rtol=1e-8)
    assert np.abs(task.flat - before).max() > 0.01
    assert_close(task.parts, judge.weights, 1e-7)
    assert len(judge.kept) == 2
    assert_close(task.kept_parts, judge.kept, 1e-8)


@pytest.mark.parametrize("shape", [(6,), (4, 3)])
@pytest.mark.parametrize("momentum", [0.1, 0.25, 1.0])
def test_running_statistics_follow_those_of_the_batches(shape, momentum):
    n, batch_size = 45, 11  # the last batch has one row
    case = Case([L.BatchNorm(momentum=momentum), L.Flatten(), L.Dense(1)], shape, n, "squared_error", 0)
    task = case.training(batch_size=batch_size)
    task.engine.train(2, None, np.zeros(10), 1, 1.0, 1)
    mean, variance = case.kept[0][0].copy(), case.kept[1][0].copy()
    for _ in range(2):
        for begin in range(0, n, batch_size):
            x = case.X[begin : begin + batch_size].reshape(-1, shape[-1])
            if len(x) > 1:  # a single number has no variance
                mean += momentum * (x.mean(axis=0) - mean)
                variance += momentum * (x.var(axis=0, ddof=1) - variance)
    np.testing.assert_allclose(task.kept_parts[0][0], mean, rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(task.kept_parts[1][0], variance, rtol=1e-11, atol=1e-13)


def test_far_from_zero_the_variance_of_a_batch_keeps_its_digits():
    case = Case([L.BatchNorm(momentum=1.0), L.Dense(1)], (5,), 60, "squared_error", 0)
    case.X += 1e6
    task = case.training()
    task.engine.train(1, None, np.zeros(1), 1, 1.0, 1)
    np.testing.assert_allclose(task.kept_parts[1][0], case.X.var(axis=0, ddof=1), rtol=1e-8)


WIDE = [
    L.Dense(90, "relu"),
    L.BatchNorm(),
    L.Dropout(0.2),
    L.Residual([L.Dense(80, "gelu"), L.Dense(90)]),
    L.LayerNorm(),
]
DEEP = [L.Dense(12, "tanh"), L.BatchNorm(), L.Residual([L.Dense(12, "silu"), L.LayerNorm()]), L.Dropout(0.1)]
SIZES = {"wide": (WIDE, 100, 70), "many rows": (DEEP, 2001, 30)}  # the second makes gradients by blocks of rows
every_size = pytest.mark.parametrize("layers, rows, inputs", SIZES.values(), ids=SIZES)


@pytest.mark.parametrize("storage", STORAGES)
@every_size
def test_loss_and_gradient_are_the_same_bits_for_any_number_of_threads(layers, rows, inputs, storage):
    case = Case([*layers, L.Dense(5)], (inputs,), rows, "softmax", 0, smoothing=0.1, weighted=True, sparse=True, l2=0.1)
    one = gradient_of(case.training(storage, threads=1))
    for threads in (2, 3, 4):
        other = gradient_of(case.training(storage, threads=threads))
        assert other[:2] == one[:2]
        for ours, first in zip(other[2], one[2], strict=True):
            np.testing.assert_array_equal(ours, first)


@pytest.mark.parametrize("storage", STORAGES)
@every_size
def test_training_is_the_same_bits_for_any_number_of_threads(layers, rows, inputs, storage):
    case = Case([*layers, L.Dense(5)], (inputs,), rows, "softmax", 0, weighted=True, sparse=True, l2=0.1)
    batch_size = (2 * rows) // 3
    order = np.concatenate([np.random.default_rng(k).permutation(rows) for k in range(3)]).astype(np.uint32)

    def trained(threads, clip):
        task = case.training(storage, optimizer=optimizers.Adam(), batch_size=batch_size, clip_norm=clip)
        found = task.engine.train(3, order, np.full(6, 0.01), 1, 1.0, threads)
        return task.flat.copy(), task.flat_kept.copy(), found[2:4]

    for clip in (None, 0.1):
        one = trained(1, clip)
        assert np.isfinite(one[0]).all()
        for threads in (2, 3, 4):
            other = trained(threads, clip)
            np.testing.assert_array_equal(other[0], one[0])
            np.testing.assert_array_equal(other[1], one[1])
            assert other[2] == one[2]


@every_size
def test_many_rows_and_wide_layers_equal_the_judges(layers, rows, inputs):
    layers = [layer for layer in layers if not isinstance(layer, L.Dropout)]
    case = Case([*layers, L.Dense(5)], (inputs,), rows, "softmax", 0, weighted=True, sparse=True, l2=0.1)
    _, *expected = case.judged()
    for storage in STORAGES:
        found = gradient_of(case.training(storage, threads=3))
        np.testing.assert_allclose(found[:2], expected[:2], rtol=1e-11)
        assert_close(found[2], expected[2], 1e-10, 1e-13)


# ---- dropout ----


@every_dtype
@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5, 0.9])
def test_dropout_keeps_the_mean_and_drops_its_share(rate, dtype):
    rows, numbers = 90, 211
    y = dropped(rate, rows, numbers, seed=5, dtype=dtype)
    kept = y != 0
    np.testing.assert_allclose(y[kept], 1 / (1 - rate), rtol=1e-6)
    deviation = math.sqrt(rate * (1 - rate) / y.size)
    assert abs((1 - kept.mean()) - rate) <= 4 * deviation
    assert abs(y.mean() - 1) <= 4 * deviation / (1 - rate) + 1e-6
    for axis, size in ((0, rows), (1, numbers)):  # nor does a row or a column have too many
        assert np.abs((1 - kept).mean(axis=axis) - rate).max() <= 5 * math.sqrt(rate * (1 - rate) / size)


def agreement(a, b):
    return np.mean((a != 0) == (b != 0))


def test_neighbours_are_dropped_independently():
    y = dropped(0.5, 90, 210, seed=3)
    numbers = y.ravel()
    for apart in (1, 2, 3, 210):
        for start in (0, 1):
            a, b = numbers[start:-apart:2], numbers[start + apart :: 2]
            n = min(len(a), len(b))
            assert abs(agreement(a[:n], b[:n]) - 0.5) <= 4 * 0.5 / math.sqrt(n)


def test_masks_follow_the_seed_the_step_and_the_layer():
    rows, numbers, rate = 60, 101, 0.5
    first = dropped(rate, rows, numbers, seed=7)
    np.testing.assert_array_equal(dropped(rate, rows, numbers, seed=7), first)
    np.testing.assert_array_equal(dropped(rate, rows, numbers, seed=7, threads=4), first)
    others = [{"seed": 8}, {"seed": 7, "step": 2}, {"seed": 7, "step": 3}, {"seed": 7, "node": 1}]
    for other in others:
        same = agreement(dropped(rate, rows, numbers, **other), first)
        assert abs(same - 0.5) <= 4 * 0.5 / math.sqrt(first.size), other


def test_predictions_are_not_dropped():
    layers = [L.Dense(20, "tanh"), L.Dense(3)]
    without = Case(layers, (9,), 40, "squared_error", 0)
    case = Case([L.Dropout(0.5), layers[0], L.Dropout(0.8), layers[1], L.Dropout(0.9)], (9,), 40, "squared_error", 0)
    case.weights = without.weights
    np.testing.assert_array_equal(predicted(case, without.X), predicted(without, without.X))


# ---- memory ----


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="needs glibc's mallinfo2")
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("storage", ["dense", "csr32"])
def test_memory_does_not_grow_after_the_first_step(threads, storage):
    code = f"""
import ctypes, gc
import numpy as np
from fusedgrad import optimizers
from fusedgrad import layers as L
from fusedgrad import _core
from tests.test_network_reference import WIDE, Case

_core.set_team_policy("whole")  # changing teams end and start threads, which takes memory

class Info(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in
                "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split()]

mallinfo = ctypes.CDLL(None).mallinfo2
mallinfo.restype = Info

def used():
    info = mallinfo()
    return info.uordblks + info.hblkhd

case = Case([*WIDE, L.Dense(5)], (70,), 1000, "softmax", 0, weighted=True, sparse=True, l2=0.1)
task = case.training("{storage}", optimizer=optimizers.Adam(), batch_size=50, clip_norm=1.0)
rates, order = np.full(20, 1e-4), np.arange(1000, dtype=np.uint32)[::-1].copy()
gc.disable()
steps = 0
while steps < 220:
    task.engine.train(1, order, rates, steps + 1, 1.0, {threads})
    steps += 20
    if steps == 20:
        used()  # which allocates, the first time
        before = used()
after = used()
assert before > task.flat.nbytes, before
assert after == before, (before, after)
kept = np.zeros(100_000)
assert used() >= before + kept.nbytes  # it would have been seen
"""
    done = python(code, GLIBC_TUNABLES="glibc.malloc.tcache_count=0")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("features", [30, 700, 5000])  # one tile, several, more than there may be of equal size
def test_sparse_rows_train_as_dense_ones_do_to_the_last_bit(features, ordered, threads):
    rng = np.random.default_rng(features)
    X = sp.csr_array(sp.random(60, features, density=min(1.0, 20 / features), format="csr", random_state=rng))
    net = _network.Net([L.Dense(7, "tanh"), L.Dense(3)], (features,))
    weights, kept = net.fresh(np.random.RandomState(0), np.float64)
    goal = goal_of(rng.integers(3, size=60), 3, "softmax")
    dense = training_of(net, _network.Weights(weights, kept), X.toarray(), goal)
    if not ordered:
        for i in range(60):
            row = slice(X.indptr[i], X.indptr[i + 1])
            mixed = rng.permutation(X.indptr[i + 1] - X.indptr[i])
            X.indices[row], X.data[row] = X.indices[row][mixed], X.data[row][mixed]
        X.has_sorted_indices = False
    sparse = training_of(net, _network.Weights(weights, kept), X, goal, threads=threads)
    g, h = np.zeros_like(dense.flat), np.zeros_like(sparse.flat)
    assert dense.loss_gradient(g) == pytest.approx(sparse.loss_gradient(h), rel=1e-13)
    if ordered:
        np.testing.assert_array_equal(h, g)
    else:  # a row's products come in another order
        np.testing.assert_allclose(h, g, rtol=1e-10, atol=1e-13)
