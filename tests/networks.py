"""Networks of both sides: the core's, and the reference's for the same weights, rows and targets.

What of the library is private and tests of networks need anyway is imported here, and nowhere else.
"""

import math

import numpy as np
import pytest
import scipy.sparse as sp
from fusedgrad import layers as L
from fusedgrad import optimizers, schedules
from fusedgrad._training import network as _network
from fusedgrad._training import rates as _rates
from fusedgrad._training.net import Net
from hypothesis import HealthCheck
from hypothesis import strategies as st

from .reference import losses, minibatch, network
from .reference.activations import KINKS
from .reference.layers import Wish, judge_of, networks

ALL = tuple(L.activations())
SMOOTH = tuple(name for name in ALL if name not in KINKS)
OF_NETWORKS = ("log_loss", *losses.OF_NETWORKS)
LOSSES = {"softmax": {}, **{name: losses.ROWS[name].fields[-1] for name in OF_NETWORKS}}
STORAGES = ("dense", "csr32", "csr64")
REPEATABLY = {"deadline": None, "derandomize": True, "database": None, "suppress_health_check": list(HealthCheck)}
every_loss = pytest.mark.parametrize("loss, smoothing", [("softmax", 0.1), *((loss, 0.0) for loss in LOSSES)])
every_dtype = pytest.mark.parametrize("dtype", [np.float64, np.float32])


# ---- weights, targets, rows ----


def weights_of(net, rng, dtype=np.float64):
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


def targets_of(P, loss, rng):
    """Targets for which no prediction lies at a kink of the loss."""
    if loss == "softmax":
        return rng.integers(P.shape[1], size=len(P))
    targets = losses.ROWS[loss].targets
    if targets == "labels":
        return rng.choice([0.0, 1.0, 0.25, 0.6], P.shape)
    if targets == "counts":
        return rng.choice([0.0, 0.5, 1.0, 3.0], P.shape)
    if targets == "positive":
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


# ---- the core's training ----


def dropped(rate, rows, numbers, *, seed=0, step=1, node=0, dtype=np.float64, threads=1):
    """What dropout makes of ones in a step of training, (rows, numbers).

    Row k alone has a slope, and that for output k; so one step of size 1 from zero makes the weights of output k equal
    to what comes out of dropout for row k, over the number of rows.
    """
    identity = L.Activation("identity")
    net = Net([identity] * node + [L.Dropout(rate), L.Dense(rows, bias=False)], (numbers,))
    weights = [np.zeros((numbers, rows), dtype=dtype)]
    goal = _network.Goal(np.eye(rows, dtype=dtype), rows, "squared_error")
    task = training_of(net, weights, [], np.ones((rows, numbers), dtype=dtype), goal, seed=seed, threads=threads)
    task.engine.train(1, None, np.ones(1), step, 1.0, threads)
    return task.parts[0].T * rows


def masks_of(rows, seed=0, step=1):
    """Masks of dropout as the core draws them, for `judge_of`."""

    def masks(node, rate, shape):
        made = dropped(rate, rows, math.prod(shape), seed=seed, step=step, node=node)
        return (made != 0).reshape(rows, *shape)

    return masks


def training_of(net, weights, kept, X, goal, weight=None, *, threads=1, **more):
    settings = {
        "optimizer": optimizers.SGD(),
        "source": _rates.Source(schedules.Constant(0.1)),
        "batch_size": X.shape[0],
        "max_epochs": 1,
        "l2": 0.0,
        "l2_of_batch": False,
        "tol": None,
        "patience": 10,
        "order": None,
        "seed": 0,
        **more,
    }
    task = _network.Weights(weights, kept)
    return _network.Training(net, task, X, goal, weight, _network.Settings(**settings), threads=threads)


def goal_of(y, outputs, loss, smoothing=0.0, dtype=np.float64):
    if loss == "softmax":
        y = y.astype(dtype)
        return _network.Goal(y, outputs, "log_loss", coded=True, multinomial=True, smoothing=smoothing)
    return _network.Goal(np.ascontiguousarray(y, dtype=dtype), outputs, loss, dict(LOSSES[loss]))


def gradient_of(task):
    """(loss, penalty, gradients by parameter)."""
    gradient = np.zeros_like(task.flat)
    loss, penalty = task.loss_gradient(gradient)
    _, pieces, _, _ = task.net.core.layout(gradient.itemsize)
    return loss, penalty, [gradient[o : o + r * c].reshape(r, c) for _, _, o, r, c in pieces]


# ---- cases ----


class Case:
    """A network with random weights, rows, targets, and weights of rows."""

    def __init__(self, layers, shape, rows, loss, seed, *, smoothing=0.0, weighted=False, sparse=False, l2=0.0, **more):
        rng = np.random.default_rng(seed)
        self.layers, self.shape, self.rows, self.loss, self.smoothing = layers, shape, rows, loss, smoothing
        self.net = Net(layers, shape)
        self.weights, self.kept = weights_of(self.net, rng)
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
        weights, kept = [w.astype(dtype) for w in self.weights], [r.astype(dtype) for r in self.kept]
        goal = goal_of(self.y, self.outputs, self.loss, self.smoothing, dtype)
        X = stored(self.X.astype(dtype, copy=False), storage)
        weight = None if self.weight is None else self.weight.astype(dtype)
        return training_of(self.net, weights, kept, X, goal, weight, threads=threads, **self.options, **more)

    def predicted(self, X=None, dtype=np.float64, storage="dense", threads=1, layer=-1):
        weights, kept = ([np.asarray(w, dtype=dtype) for w in arrays] for arrays in (self.weights, self.kept))
        X = stored(np.ascontiguousarray(self.X if X is None else X, dtype=dtype), storage)
        return self.net.predict(weights, kept, X, layer=layer, threads=threads)

    def rounded(self):
        """The case with numbers that float32 has, too."""
        single = Case.__new__(Case)
        single.__dict__ = {**self.__dict__}
        for name in ("X", "weight", "y"):
            value = getattr(self, name)
            if value is not None:
                setattr(single, name, value.astype(np.float32).astype(float))
        single.weights = [w.astype(np.float32).astype(float) for w in self.weights]
        single.kept = [r.astype(np.float32).astype(float) for r in self.kept]
        return single

    def __repr__(self):
        weighted = "" if self.weight is None else ", weighted"
        return (
            f"Case({list(self.layers)}, {self.shape}, {self.rows} rows, {self.loss}, {self.smoothing}, {self.options}"
            f"{weighted})"
        )


@st.composite
def cases(draw, activations=ALL, most=21, **wish):
    """Random networks with random data; now and then so many rows that gradients are made by blocks of them."""
    layers, shape = draw(networks(Wish(activations=activations, **wish)))
    loss = draw(st.sampled_from([*LOSSES, "softmax"]))
    *_, after = Net(layers, shape).shapes
    if len(after) > 1 and draw(st.booleans()):
        layers = [*layers, L.Flatten()]
    layers = [*layers, L.Dense(draw(st.integers(1 + (loss == "softmax"), 9)), bias=draw(st.booleans()))]
    rows = draw(st.integers(1, most))
    if most == 21 and draw(st.integers(0, 9)) == 0:
        rows = draw(st.sampled_from([67, 131, 200]))
    return Case(
        layers,
        shape,
        rows,
        loss,
        draw(st.integers(0, 2**32 - 1)),
        smoothing=draw(st.sampled_from([0.0, 0.1])) if loss == "softmax" else 0.0,
        weighted=draw(st.booleans()),
        sparse=draw(st.booleans()),
        l2=draw(st.sampled_from([0.0, 0.1])),
        l2_of_batch=draw(st.booleans()),
    )


# ---- comparisons ----


def assert_close(found, expected, rtol, floor=0.0):
    """Every array to `rtol` of its largest number; `floor` is added."""
    assert len(found) == len(expected)
    for ours, reference in zip(found, expected, strict=True):
        assert ours.shape == reference.shape
        np.testing.assert_allclose(ours, reference, rtol=0, atol=rtol * np.abs(reference).max(initial=0) + floor)


def assert_gradient(task, expected, rtol, floor):
    """Loss, penalty and gradients are the reference's; `floor` is in proportion to the largest gradient."""
    found = gradient_of(task)
    np.testing.assert_allclose(found[:2], expected[:2], rtol=rtol, atol=rtol)
    largest = max((np.abs(g).max(initial=0) for g in expected[2]), default=0.0)
    assert_close(found[2], expected[2], rtol, floor * largest + 1e-13)


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


def assert_slopes(judge, X, rng, *, inputs=True, h=1e-4):
    """The reference's slopes along random directions of all weights, and of X, are those of central differences."""
    X = X.copy()
    toward = rng.normal(size=judge.forward(X, training=True).shape)
    for layer in judge.all():
        layer.hold = True  # so that truncated slopes are those of the values
    dx = judge.backward(toward)
    slopes = [*zip(judge.weights, judge.gradients, strict=True), *[(X, dx)] * inputs]
    largest = max((np.abs(g).max(initial=0) for _, g in slopes), default=0.0)
    for array, slope in slopes:
        assert slope.shape == array.shape
        kept, along = array.copy(), rng.normal(size=array.shape)
        along /= np.linalg.norm(along)
        value = {}
        for k in (-2, -1, 1, 2):
            array[:] = kept + k * h * along
            value[k] = np.sum(toward * judge.forward(X, training=True))
        array[:] = kept
        difference = (8 * (value[1] - value[-1]) - (value[2] - value[-2])) / (12 * h)
        size = np.abs(list(value.values())).max()
        assert abs(np.sum(slope * along) - difference) <= 1e-7 * largest + 1e-11 * size / h


def away_from_kinks(layers, shape, rows, loss, gap=0.02, least=0.0, **more):
    """A case where nothing is near a kink, and no parameter is without a slope of `least`."""
    for seed in range(2000):
        case = Case(layers, shape, rows, loss, seed, **more)
        judge, *_, gradients = case.judged()
        if judge.to_kink() > gap and all(np.abs(g).max() > least for g in gradients):
            return case
    raise AssertionError("no weights found")


# ---- training, step by step ----


def steps_of(case, optimizer, orders, batch_size, rate):
    """The reference's way through the batches: (network, loss and penalty of each epoch)."""
    judge = case.judge()
    name, fields = optimizer.rule
    moves = [minibatch.Rule(name, **fields) for _ in judge.weights]
    penalised = {id(W) for W in judge.matrices()}
    own, l2 = optimizer.penalty, case.options["l2"]
    curve, step = [], 0
    for order in orders:
        sums = np.zeros(2)
        for begin in range(0, len(order), batch_size):
            rows = order[begin : begin + batch_size]
            step += 1
            fresh = judge_of(case.layers, case.shape, case.weights, case.kept, masks_of(len(rows), step=step))
            for one, other in zip(judge.all(), fresh.all(), strict=True):
                if isinstance(one, network.Dropout):
                    one.mask = other.mask
            weight = None if case.weight is None else case.weight[rows]
            options = {"smoothing": case.smoothing, "weight": weight, "fields": LOSSES[case.loss], **case.options}
            *values, gradients = judge.loss_gradient(case.X[rows], case.y[rows], loss=case.loss, **options)
            sums += np.array(values) * len(rows) / len(order)
            for w, g, move in zip(judge.weights, gradients, moves, strict=True):
                if id(w) in penalised:  # each rule has its own way with a penalty
                    w[:] = move.step(w, g - l2 * w, rate, l2=l2, weight_decay=own["coupled"], decay=own["decay"])
                else:
                    w[:] = move.step(w, g, rate)
        curve.append(sums)
    return judge, np.array(curve)


def assert_same_way(case, optimizer, *, batch_size, epochs, rate, threads=2, rtol=1e-7):
    """The core's weights, statistics and losses after some epochs are the reference's."""
    rng = np.random.default_rng(0)
    orders = [rng.permutation(case.rows) for _ in range(epochs)]
    judge, curve = steps_of(case, optimizer, orders, batch_size, rate)
    task = case.training(optimizer=optimizer, batch_size=batch_size)
    before = task.flat.copy()
    steps = epochs * -(-case.rows // batch_size)
    order = np.concatenate(orders).astype(np.uint32)
    made, batches, losses_, penalties, _, finite, interrupted = task.engine.train(
        epochs, order, np.full(steps, rate), 1, 1.0, threads
    )
    assert (made, batches, finite, interrupted) == (epochs, steps, True, False)
    np.testing.assert_allclose(np.column_stack([losses_, penalties]), curve, rtol=0.1 * rtol, atol=1e-12)
    assert np.abs(task.flat - before).max() > 1e-3
    assert_close(task.parts, judge.weights, rtol)
    assert_close(task.kept_parts, judge.kept, 0.1 * rtol)
