"""What the core must survive: threads that cannot start, memory that ends, an interpreter that ends, wrong use."""

import threading
import time

import numpy as np
import pytest
import scipy.sparse as sp
from fusedgrad import _core
from fusedgrad import layers as L
from fusedgrad._training import network as _network
from fusedgrad.linear_model import SGDRegressor

from . import child

# ---- the end of the interpreter ----

DAEMON = """
import sys, threading, time
import numpy as np
from fusedgrad.linear_model import SGDClassifier
from fusedgrad.neural_network import MLPClassifier

X = np.random.default_rng(0).normal(size=(20_000, 20))
y = X[:, 0] > 0
model = {
    "one sample a step": SGDClassifier(max_iter=10**6, tol=None),
    "batches": SGDClassifier(max_iter=10**6, tol=None, batch_size=256, n_jobs=2),
    "network": MLPClassifier((20,), max_iter=10**6, n_iter_no_change=10**6, n_jobs=2),
}[sys.argv[1]]
threading.Thread(target=model.fit, args=(X, y), daemon=True).start()
time.sleep(0.5)
"""


@pytest.mark.parametrize("kind", ["one sample a step", "batches", "network"])
def test_a_daemon_thread_in_fit_does_not_spoil_the_exit(kind):
    result = child.forked(DAEMON, kind)
    assert (result.returncode, result.stderr) == (0, "")


# ---- resources ----

NO_THREADS = """
import resource, sys
import numpy as np
from fusedgrad.linear_model import SGDClassifier

rng = np.random.default_rng(0)
X, y = rng.normal(size=(20_000, 50)), rng.integers(0, 2, 20_000)
params = dict(batch_size=4096, max_iter=2, tol=None, random_state=0)
expected = SGDClassifier(n_jobs=1, **params).fit(X, y).coef_
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
stacks = 3 * 8 << 20  # room for some stacks of threads, which take 8 MB each
resource.setrlimit(resource.RLIMIT_AS, (used + stacks, resource.RLIM_INFINITY))
try:
    print(np.array_equal(SGDClassifier(n_jobs=64, **params).fit(X, y).coef_, expected))
except MemoryError:
    print("MemoryError")
"""


def test_threads_that_cannot_start_are_done_without():
    result = child.python(NO_THREADS, OMP_STACKSIZE="8M")
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() in ("True", "MemoryError")


NO_MEMORY = """
import resource, sys
import numpy as np, scipy.sparse as sp
from fusedgrad.linear_model import SGDClassifier

rng = np.random.default_rng(0)
n, d, k = 2000, 1 << 22, 50
indices, indptr = np.sort(rng.integers(0, d, (n, k))).ravel(), np.arange(0, n * k + 1, k)
X = sp.csr_matrix((np.ones(n * k), indices, indptr), shape=(n, d))
y = rng.integers(0, 2, n)
model = SGDClassifier(batch_size=32, optimizer="adagrad", max_iter=1, tol=None, random_state=0, n_jobs=2)
for room in range(0, 400, 20):
    used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + (room << 20), resource.RLIM_INFINITY))
    before = dict(model.__dict__)
    try:
        model.fit(X, y)
    except MemoryError:
        assert model.__dict__ == before
        continue
    print("fitted")
    break
"""


def test_memory_that_ends_is_an_error_and_changes_nothing():
    result = child.forked(NO_MEMORY)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "fitted"


# ---- wrong use, reachable through the core alone ----


def test_an_engine_works_for_one_thread_at_a_time():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(200_000, 20)), rng.normal(size=200_000)
    net = _network.Net([L.Dense(8, "relu"), L.Dense(1)], (20,))
    goal = _network.Goal(y, 1, "squared_error")
    settings = _network.Settings(
        optimizer=SGDRegressor()._optimizer(),
        source=None,
        batch_size=32,
        max_epochs=1,
        l2=0.0,
        l2_of_batch=False,
        tol=None,
        patience=1.0,
        order=None,
        seed=0,
    )
    weights = _network.Weights(*net.fresh(np.random.RandomState(0), np.dtype(float)))

    class Steady:
        steady = True

    settings.source = Steady()
    training = _network.Training(net, weights, X, goal, None, settings)
    steps = training.engine.batches
    errors = []

    def train():
        try:
            training.engine.train(20, None, np.full(20 * steps, 1e-6), 1, 1.0, 1)
        except RuntimeError as error:
            errors.append(str(error))

    threads = [threading.Thread(target=train) for _ in range(2)]
    for thread in threads:
        thread.start()
        time.sleep(0.02)
    for thread in threads:
        thread.join()
    assert len(errors) == 1
    assert "already running in another thread" in errors[0]


def test_no_columns_are_an_error():
    for X in (np.zeros((5, 0)), sp.csr_matrix((5, 0))):
        arrays = X if isinstance(X, np.ndarray) else (X.data, X.indices, X.indptr, 0)
        with pytest.raises(ValueError, match="at least one column"):
            _core.MiniBatch(X=arrays, y=np.zeros(5), threads=1)


def test_misaligned_arrays_are_not_touched():
    memory = np.zeros(8 * 6 + 1, np.uint8)
    X = np.frombuffer(memory.data, float, 6, 1).reshape(3, 2)
    assert not X.flags.aligned
    with pytest.raises(ValueError, match="aligned"):
        _core.MiniBatch(X=X, y=np.zeros(3), threads=1)


WINDOW = {
    "height": 4, "width": 4, "channels": 1, "kernel_y": 2, "kernel_x": 2, "stride_y": 1, "stride_x": 1, "dilation_y": 1,
    "dilation_x": 1, "top": 0, "bottom": 0, "left": 0, "right": 0, "filters": 1, "groups": 1, "bias": 0.0,
}  # fmt: skip


@pytest.mark.parametrize("size", [2.0**31, 2.0**59, 2.0**62, 2.0**63, 1e300, np.inf, np.nan, -1.0, 1.5])
@pytest.mark.parametrize("name", [name for name in WINDOW if name not in ("bias", "groups")])
def test_windows_whose_sizes_overflow_are_errors(name, size):
    node = {"name": "convolution", "in": 16, "out": 9, "values": {**WINDOW, name: size}}
    node |= {"activation": "identity", "activation_parameters": {}}
    with pytest.raises((ValueError, MemoryError)):
        _core.Network([node], None).layout(8)


@pytest.mark.parametrize("units", [2**31, 2**40, 2**61, 2**62])
def test_layers_whose_sizes_overflow_are_errors(units):
    node = {
        "name": "dense",
        "in": 4,
        "out": units,
        "values": {"features": 4, "units": units, "positions": 1, "bias": 1.0},
    }
    node |= {"activation": "identity", "activation_parameters": {}}
    with pytest.raises((ValueError, MemoryError)):
        _core.Network([node], None).layout(8)
    with pytest.raises(ValueError, match=r"mask|overflow"):
        _core.Network([{**node, "out": 4, "values": {**node["values"], "units": 4}}], (units, 2**40, 0.0)).layout(8)


# ---- Ctrl-C within a step ----

LONG_STEP = """
import os, signal, sys, threading, time
import numpy as np, scipy.sparse as sp
from fusedgrad.linear_model import SGDRegressor
from fusedgrad.neural_network import MLPRegressor, NeuralRegressor
from fusedgrad.layers import Dense

import warnings
warnings.simplefilter("ignore")
n = 400_000
X = np.random.default_rng(0).random((n, 40), np.float32)
y, sparse = X[:, 0].copy(), sp.csr_array(X)
linear = SGDRegressor(batch_size="full", max_iter=10**6, tol=None, n_jobs=1)
wide, wide_lbfgs, wide_fitted = (
    MLPRegressor(hidden_layer_sizes=(512, 512), max_iter=2, batch_size=n, solver=solver, n_jobs=1)
    for solver in ("sgd", "lbfgs", "sgd")
)
wide_fitted.fit(X[:100], y[:100])
calls = {
    "dense": lambda: linear.fit(X, y),
    "sparse": lambda: linear.fit(sparse, y),
    "network": lambda: wide.fit(X, y),
    "network, lbfgs": lambda: wide_lbfgs.fit(X, y),
    "predict": lambda: [wide_fitted.predict(X) for _ in range(100)],
}
for name, call in calls.items():
    sender = ctrl_c_in(1.5)
    try:
        call()
        print(name, "has ended")
    except KeyboardInterrupt:
        print(name, time.monotonic() - sent, sep=": ")
    sender.join()
"""


def test_ctrl_c_is_heard_within_a_long_step():
    """A step of the network takes some 7 seconds on a thread; Ctrl-C is heard about every 50 ms."""
    result = child.forked(LONG_STEP)
    assert result.returncode == 0, result.stderr
    took = dict(line.split(": ") for line in result.stdout.splitlines())
    assert list(took) == ["dense", "sparse", "network", "network, lbfgs", "predict"]
    assert max(map(float, took.values())) < 3, took


CALLED_OFF = """
import signal, sys, threading, os
import numpy as np
from fusedgrad import _core
from fusedgrad.linear_model import SGDRegressor

rng = np.random.default_rng(0)
X, y = rng.normal(size=(2_000_000, 30)), rng.normal(size=2_000_000)
model = SGDRegressor(batch_size="full", max_iter=1, tol=None, random_state=0, n_jobs=1).fit(X[:100], y[:100])
before = model.coef_.copy(), model.intercept_.copy()
threading.Timer(0.02, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    while True:
        before = model.coef_.copy(), model.intercept_.copy()
        model.partial_fit(X, y)
except KeyboardInterrupt:
    print(np.array_equal(model.coef_, before[0]) and np.array_equal(model.intercept_, before[1]))
"""


def test_a_step_that_is_called_off_changes_nothing():
    result = child.forked(CALLED_OFF)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "True"
