"""The same bits for any number of threads, of networks of all kinds of layers, and memory that does not grow."""

import ctypes
import math

import numpy as np
import pytest
from fusedgrad import layers as L
from fusedgrad import optimizers
from fusedgrad.neural_network import NeuralRegressor

from ..child import python
from ..covering import pairs
from ..networks import (
    Case,
    every_dtype,
    gradient_of,
)
from ..reference.layers import SEQUENTIAL

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


WIDE_BLOCK = L.Residual([L.Dense(80, "gelu"), L.Dense(90)])
DEEP_BLOCK = L.Residual([L.Dense(12, "silu"), L.LayerNorm()])
NETWORKS = {
    "cnn": CNN,
    **{kind.__name__: masked_network(kind) for kind in SEQUENTIAL},
    "relu": masked_network(L.SimpleRNN, activation="relu"),
    "truncated": masked_network(L.LSTM, truncate=3),
    "codes": ((9,), [L.Embedding(300, 10, padding=0), L.Dropout(0.1), L.GRU(17, return_sequences=True), L.LSTM(5)]),
    "conv1d": ((20, 2), [L.Conv1D(9, 3, "relu", stride=2), L.BatchNorm(), L.GRU(8), L.Dropout(0.5)]),
    "wide": ((70,), [L.Dense(90, "relu"), L.BatchNorm(), L.Dropout(0.2), WIDE_BLOCK, L.LayerNorm()]),
    "deep": ((30,), [L.Dense(12, "tanh"), L.BatchNorm(), DEEP_BLOCK, L.Dropout(0.1)]),
}
every_network = pytest.mark.parametrize("shape, layers", NETWORKS.values(), ids=NETWORKS)
every_storage = pytest.mark.parametrize("storage", ["dense", "csr32"])
SETTINGS = {"weighted": True, "sparse": True, "l2": 0.1}


def rows_of(layers):
    """Many where a row is little work: then gradients are made by blocks of rows."""
    return 2001 if DEEP_BLOCK in layers else 203


@every_network
@every_storage
@every_dtype
def test_predictions_are_the_same_bits(shape, layers, storage, dtype):
    case = Case([*layers, L.Dense(3)], shape, rows_of(layers), "softmax", 0, sparse=True)
    one = case.predicted(dtype=dtype, storage=storage)
    assert np.isfinite(one).all()
    for threads in (2, 3, 4):
        np.testing.assert_array_equal(case.predicted(dtype=dtype, storage=storage, threads=threads), one)


@every_network
@every_storage
def test_loss_and_gradient_are_the_same_bits(shape, layers, storage):
    case = Case([*layers, L.Dense(3)], shape, rows_of(layers), "softmax", 0, smoothing=0.1, **SETTINGS)
    one = gradient_of(case.training(storage, threads=1))
    for threads in (2, 3, 4):
        other = gradient_of(case.training(storage, threads=threads))
        assert other[:2] == one[:2]
        for ours, first in zip(other[2], one[2], strict=True):
            np.testing.assert_array_equal(ours, first)


# A share of the rows is in a batch: the last has few rows, or about as many.
@pytest.mark.parametrize(
    ("network", "share", "storage", "dtype"),
    pairs(NETWORKS, [4, 2.05], ["dense", "csr32"], [np.float64, np.float32]),
)
def test_training_is_the_same_bits(network, share, storage, dtype):
    shape, layers = NETWORKS[network]
    rows, epochs = rows_of(layers) * 5 // 8, 2
    case = Case([*layers, L.Dense(3)], shape, rows, "softmax", 0, **SETTINGS)
    batch_size = int(rows / share)
    order = np.concatenate([np.random.default_rng(k).permutation(rows) for k in range(epochs)]).astype(np.uint32)
    steps = epochs * math.ceil(rows / batch_size)

    def trained(threads, clip):
        task = case.training(storage, optimizer=optimizers.Adam(), batch_size=batch_size, clip_norm=clip, dtype=dtype)
        before = task.flat.copy()
        found = task.engine.train(epochs, order, np.full(steps, 0.01), 1, 1.0, threads)
        assert found[1] == steps
        assert np.isfinite(task.flat).all()
        assert np.abs(task.flat - before).max() > 0.01
        return task.flat.copy(), task.flat_kept.copy(), np.array(found[2:4])

    for clip in (None, 0.5):
        one = trained(1, clip)
        for threads in (2, 3, 4):
            for ours, first in zip(trained(threads, clip), one, strict=True):
                np.testing.assert_array_equal(ours, first)


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


# ---- memory ----

MEMORY = """
import ctypes, gc, sys
import numpy as np
from fusedgrad import _core, optimizers
from fusedgrad import layers as L
from tests.layers.test_threads import NETWORKS
from tests.networks import Case

_core.set_team_policy("whole")  # changing teams end and start threads, which takes memory

class Info(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in
                "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split()]

mallinfo = ctypes.CDLL(None).mallinfo2
mallinfo.restype = Info

def used():
    info = mallinfo()
    return info.uordblks + info.hblkhd

storage, rows = sys.argv[1], 100
for name, (shape, layers) in NETWORKS.items():
    for threads in (1, 3):
        case = Case([*layers, L.Dense(3)], shape, rows, "softmax", 0, weighted=True, sparse=True, l2=0.1)
        task = case.training(storage, optimizer=optimizers.Adam(), batch_size=15, clip_norm=1.0)
        rates, order = np.full(7, 1e-4), np.arange(rows, dtype=np.uint32)[::-1].copy()
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
        assert after <= before, (name, threads, before, after)
kept = np.zeros(100_000)
assert used() >= before + kept.nbytes  # it would have been seen
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="needs glibc's mallinfo2")
@every_storage
def test_memory_does_not_grow_after_the_first_step(storage):
    done = python(MEMORY, storage, GLIBC_TUNABLES="glibc.malloc.tcache_count=0")
    assert done.returncode == 0, done.stderr
