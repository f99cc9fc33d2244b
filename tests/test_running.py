"""Fits in the company of others: Ctrl-C, forked children, threads, joblib, thread limits."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import threadpoolctl
from fusedgrad import _core
from fusedgrad.linear_model import SGDClassifier, SGDRegressor
from joblib import Parallel, delayed
from sklearn.base import clone

from . import child


def data(n=400, d=10):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, d))
    return X, np.digitize(X @ rng.normal(size=d), [-2, 0, 2])


def classifier(**params):
    return SGDClassifier(**{"max_iter": 5, "tol": None, "random_state": 0, **params})


def assert_same(a, b):
    np.testing.assert_array_equal(a.coef_, b.coef_)
    np.testing.assert_array_equal(a.intercept_, b.intercept_)


# ---- Ctrl-C ----

INTERRUPT = """
import json, os, signal, sys, threading, time, warnings
import numpy as np
from fusedgrad import SGDClassifier, SGDRegressor

rng = np.random.default_rng(0)
X = rng.normal(size=(20_000, 50))
y = np.digitize(X @ rng.normal(size=50), [-5, 5])
params = dict(max_iter=10**8, tol=None, random_state=0, learning_rate="constant", eta0=1e-4)
kind, call = sys.argv[1:]
if kind == "batches":
    params["batch_size"] = 1024
model = SGDRegressor(**params) if kind == "one" else SGDClassifier(n_jobs=2, **params)
if call == "long_epochs":  # of more than the 0.05 s between two looks at the signals
    X, y = np.tile(X[:, :5], (200, 1)), np.tile(y, 200)

ctrl_c_in(0.7)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    try:
        model.fit(X, y)
        raised = "nothing"
    except KeyboardInterrupt as interrupt:
        raised = str(interrupt)
took = time.monotonic() - sent
print(json.dumps({
    "took": took,
    "raised": raised,
    "warnings": [[w.category.__name__, str(w.message)] for w in caught],
    "stop_reason": model.stop_reason_,
    "finite": bool(np.isfinite(model.coef_).all() and np.isfinite(model.intercept_).all()),
    "trained": float(np.abs(model.coef_).max()),
    "n_iter": model.n_iter_,
    "t": model.t_,
    "rows": len(X),
    "curve": len(model.loss_curve_),
    "score": model.score(X[:2000], y[:2000]),
}))
"""


@pytest.mark.parametrize("kind", ["one", "several", "batches"])
@pytest.mark.parametrize("call", ["fit", "long_epochs"])
def test_ctrl_c_keeps_the_weights_and_raises(kind, call):
    result = child.forked(INTERRUPT, kind, call)
    assert result.returncode == 0, result.stderr
    report = json.loads(result.stdout)
    assert report["took"] < 1.0  # it is about 0.05; the rest is for busy machines
    assert report["warnings"] == []
    assert f"interrupted after {report['n_iter']} epochs" in report["raised"]
    assert report["stop_reason"] == "interrupted"
    assert report["finite"]
    assert report["trained"] > 1e-4  # the columns of long epochs have little to say
    assert report["n_iter"] == report["curve"]
    assert report["t"] == 1 + report["n_iter"] * report["rows"]
    if call == "fit":
        assert report["n_iter"] > 1
        assert report["score"] > 0.5


INTERRUPT_GRID_SEARCH = """
import os, signal, threading, time
import numpy as np
from fusedgrad import SGDClassifier
from sklearn.model_selection import GridSearchCV

X = np.random.default_rng(0).normal(size=(2_000, 20))
model = SGDClassifier(max_iter=2_000, tol=None, **%s)
grid = GridSearchCV(model, {"alpha": np.logspace(-6, -1, 30)}, cv=5)
ctrl_c_in(0.7)
try:
    grid.fit(X, X[:, 0] > 0)
    print("went on")
except KeyboardInterrupt:
    print("stopped")
"""


@pytest.mark.parametrize("params", [{}, {"batch_size": 64}], ids=str)
def test_ctrl_c_ends_a_grid_search(params):
    result = child.forked(INTERRUPT_GRID_SEARCH % params)
    assert result.stdout.strip() == "stopped", result.stdout + result.stderr


INTERRUPT_PARTIAL_FIT = """
import os, signal, threading, time
import numpy as np
from fusedgrad import SGDRegressor

X = np.random.default_rng(0).normal(size=(20_000, 50))
y = X[:, 0]
model = SGDRegressor()
ctrl_c_in(0.5)
began = time.monotonic()
try:
    while time.monotonic() < began + 2:
        model.partial_fit(X, y)
    print("went on")
except KeyboardInterrupt:
    print("stopped", np.isfinite(model.coef_).all(), model.predict(X[:1]).shape)
"""


def test_ctrl_c_ends_a_loop_of_partial_fits():
    result = child.forked(INTERRUPT_PARTIAL_FIT)
    assert result.stdout.strip() == "stopped True (1,)", result.stdout + result.stderr


OTHER_SIGNALS = """
import os, signal, threading
import numpy as np
from fusedgrad import SGDRegressor

class Alarm(Exception):
    pass

def ring(*_):
    raise Alarm

signal.signal(signal.SIGALRM, ring)
X = np.random.default_rng(0).normal(size=(20_000, 50))
model = SGDRegressor(max_iter=3, tol=None).fit(X, X[:, 0])
coef = model.coef_.copy()
model.set_params(max_iter=10**8)
signal.setitimer(signal.ITIMER_REAL, 0.3)
try:
    model.fit(X, X[:, 1])
except Alarm:
    print("raised", np.array_equal(model.coef_, coef), model.n_iter_)
"""


def test_an_exception_of_another_signal_comes_through_and_leaves_the_model_as_it_was():
    result = child.forked(OTHER_SIGNALS)
    assert result.stdout.strip() == "raised True 3", result.stdout + result.stderr


# ---- fork ----

FORK = """
import multiprocessing, sys, warnings
import numpy as np
from sklearn.datasets import load_iris
from fusedgrad import SGDClassifier

X, y = load_iris(return_X_y=True)
X = np.tile(X, (200, 1)).astype(float)
y = np.tile(y, 200)

def fit():
    fits = []
    for batch_size in (1, "full"):
        model = SGDClassifier(n_jobs=2, batch_size=batch_size, max_iter=3, tol=None, random_state=0)
        fits.append(model.fit(X, y).coef_.tolist())
    return fits

def grandchild(queue):
    queue.put(fit())
    if sys.argv[1] == "twice":
        inner = context.Process(target=lambda: queue.put(fit()))
        inner.start()
        inner.join()

context = multiprocessing.get_context("fork")
queue = context.Queue()
here = fit()  # OpenMP's threads are alive now
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Python 3.12 warns about threads and fork
    process = context.Process(target=grandchild, args=(queue,))
    process.start()
results = [queue.get(timeout=30) for _ in range(1 + (sys.argv[1] == "twice"))]
process.join(30)
print(process.exitcode, all(there == here for there in results), fit() == here)
"""


@pytest.mark.parametrize("how_often", ["once", "twice"])
def test_a_forked_child_trains_with_threads_of_its_own(how_often):
    result = child.forked(FORK, how_often)
    assert result.stdout.strip() == "0 True True", result.stdout + result.stderr


# ---- Python threads ----


def test_two_threads_fit_two_estimators_at_once():
    X, y = data(20_000)
    alone = [classifier(random_state=k, n_jobs=2, max_iter=20).fit(X, y) for k in range(4)]
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(lambda model: clone(model).fit(X, y), alone))
    for one, other in zip(alone, together, strict=True):
        assert_same(one, other)


@pytest.mark.parametrize("model", [SGDRegressor(max_iter=400, tol=None), classifier(max_iter=100, n_jobs=2)])
def test_other_threads_run_during_a_fit(model):
    X, y = data(20_000)
    counts, done = [0], threading.Event()

    def count():
        while not done.is_set():
            counts[0] += 1
            done.wait(0.001)

    counter = threading.Thread(target=count)
    counter.start()
    while counts[0] == 0:
        pass
    before = counts[0]
    model.fit(X, y)
    during = counts[0] - before
    done.set()
    counter.join()
    # with the lock held throughout, the counter could move once before and once after
    assert during > 5


# ---- n_jobs, joblib, thread limits ----


@pytest.mark.parametrize("n_jobs", [2, 3, 8, -1, -2, None])
def test_n_jobs_does_not_change_a_bit(n_jobs):
    for n in (400, 20_000):  # None: threads only where they pay, which the larger is
        X, y = data(n, 60)
        one = classifier(n_jobs=1, average=50).fit(X, y)
        other = classifier(n_jobs=n_jobs, average=50).fit(X, y)
        assert_same(one, other)
        assert one.loss_curve_ == other.loss_curve_


@pytest.mark.parametrize("backend", ["loky", "threading", "multiprocessing"])
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_joblib_backends(backend):
    X, y = data()
    expected = [classifier(random_state=k, n_jobs=2).fit(X, y) for k in range(3)]
    fitted = Parallel(n_jobs=2, backend=backend)(delayed(clone(model).fit)(X, y) for model in expected)
    for one, other in zip(expected, fitted, strict=True):
        assert_same(one, other)


def test_threadpoolctl_limits_the_threads():
    with threadpoolctl.threadpool_limits(1):
        assert _core.max_threads() == 1
    with threadpoolctl.threadpool_limits(5, user_api="openmp"):
        assert _core.openmp_threads() == 5
        X, y = data()
        assert_same(classifier(n_jobs=-1).fit(X, y), classifier(n_jobs=1).fit(X, y))


def test_omp_num_threads_limits_the_threads():
    for number in ("1", "3"):
        result = child.python("from fusedgrad import _core; print(_core.openmp_threads())", OMP_NUM_THREADS=number)
        assert result.stdout.strip() == number
