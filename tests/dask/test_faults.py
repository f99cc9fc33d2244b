"""Workers that die, calls that fail, clusters that go: the same bits, or an error; never a fit that hangs."""

import os
import signal
import threading
import time

import numpy as np
import pytest
from fusedgrad import linear_model
from sklearn.base import clone

from ..checkpoints import assert_same_fit
from .problems import rows, targets

da = pytest.importorskip("dask.array", reason="Dask is an extra")
dask = pytest.importorskip("dask", reason="Dask is an extra")
distributed = pytest.importorskip("distributed", reason="Dask is an extra")
from fusedgrad.dask import SGDClassifier  # noqa: E402
from fusedgrad.dask._cluster import Cluster  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")

MODEL = SGDClassifier("log_loss", random_state=0, alpha=1e-3)


def made(first, end):
    """Rows that a worker can make again."""
    return rows(600)[first:end]


def problem():
    """Lazy rows and targets, and the plain fit."""
    X = rows(600)
    y = targets(X, "log_loss")
    parts = [da.from_delayed(dask.delayed(made)(k, k + 100), (100, 6), X.dtype) for k in range(0, 600, 100)]
    expected = linear_model.SGDClassifier("log_loss", optimizer="auto", random_state=0, alpha=1e-3).fit(X, y)
    return da.concatenate(parts), da.from_array(y, chunks=100), expected


@pytest.fixture
def before_gathering(monkeypatch):
    """Have something called when the calls of a pass are under way: ``before_gathering(k, action)`` for the k-th."""

    done = []

    def plan(k, action):
        count = iter(range(10**6))

        def gather(self, futures, original=Cluster.gather):
            if next(count) == k:
                done.append(k)
                action(self.client)
            return original(self, futures)

        monkeypatch.setattr(Cluster, "gather", gather)

    yield plan
    assert done, "the fit has ended before"


def kill_a_worker(client):
    os.kill(next(iter(client.run(os.getpid).values())), signal.SIGKILL)


slow = pytest.mark.slow


@pytest.mark.parametrize("at", [pytest.param(0, marks=slow), 2, pytest.param(7, marks=slow), 12])
def test_a_worker_may_be_killed_in_the_middle_of_a_pass(at, client, small_shards, before_gathering):
    X, y, expected = problem()
    before_gathering(at, kill_a_worker)
    found = clone(MODEL).fit(X, y, client=client)
    assert_same_fit(found.to_local(), expected)
    client.wait_for_workers(1)


def test_rows_that_only_the_dead_worker_had_are_missed(client, small_shards, before_gathering):
    """Nobody can make scattered rows again."""
    _, y, _ = problem()
    worker = next(iter(client.run(os.getpid)))
    scattered = client.scatter(rows(600), workers=[worker], hash=False)
    lost = da.from_delayed(dask.delayed(np.asarray)(scattered), (600, 6), np.float64)

    def kill(client):
        os.kill(client.run(os.getpid, workers=[worker])[worker], signal.SIGKILL)

    before_gathering(5, kill)
    with pytest.raises(RuntimeError, match="lost or cancelled a part of this fit"):
        clone(MODEL).fit(lost, y, client=client)
    client.wait_for_workers(1)


def fatal(first, end):
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_part_that_kills_its_workers_is_named(small_shards):
    X, y, _ = problem()
    fatal_part = da.from_delayed(dask.delayed(fatal)(0, 100), (100, 6), X.dtype)
    with dask.config.set({"distributed.scheduler.allowed-failures": 1}):
        own = distributed.LocalCluster(n_workers=1, threads_per_worker=1, host="127.0.0.1", dashboard_address=":0")
    died = pytest.raises(RuntimeError, match=r"Workers died one after the other.*the last was tcp://127")
    with own, distributed.Client(own) as client, died:
        clone(MODEL).fit(da.concatenate([fatal_part, X[100:]]), y, client=client)


def wrong(first, end):
    raise OSError("the disk is away")


def test_errors_of_workers_are_those_of_the_fit(client, small_shards):
    X, y, _ = problem()
    bad = da.from_delayed(dask.delayed(wrong)(0, 100), (100, 6), X.dtype)
    with pytest.raises(OSError, match="the disk is away"):
        clone(MODEL).fit(da.concatenate([bad, X[100:]]), y, client=client)


def test_parts_that_fail_are_tried_again(client, small_shards, tmp_path):
    X, y, expected = problem()

    def sometimes(first, end, path=str(tmp_path / "tried")):
        if not os.path.exists(path):
            open(path, "w").close()
            raise OSError("the disk is away")
        return made(first, end)

    flaky = da.from_delayed(dask.delayed(sometimes)(0, 100), (100, 6), X.dtype)
    rows_ = da.concatenate([flaky, X[100:]])
    found = clone(MODEL).fit(rows_, y, client=client, retries=1)
    assert_same_fit(found.to_local(), expected)
    (tmp_path / "tried").unlink()
    with pytest.raises(OSError, match="the disk is away"):
        clone(MODEL).fit(rows_, y, client=client, retries=0)


def test_a_cluster_without_workers_is_waited_for_and_then_an_error(small_shards):
    X, y, _ = problem()
    empty = distributed.LocalCluster(n_workers=0, processes=False, dashboard_address=":0")
    no_worker = pytest.raises(RuntimeError, match="has had no worker for 2 seconds")
    with empty, distributed.Client(empty) as client:
        with dask.config.set({"distributed.comm.timeouts.connect": "2s"}), no_worker:
            clone(MODEL).fit(X, y, client=client)
        threading.Timer(1.5, empty.scale, (1,)).start()
        assert clone(MODEL).fit(X, y, client=client).stop_reason_ == "converged"


def test_a_scheduler_that_is_gone_is_an_error(small_shards, before_gathering):
    X, y, _ = problem()
    cluster = distributed.LocalCluster(n_workers=1, processes=False, dashboard_address=":0")
    with distributed.Client(cluster) as client:
        before_gathering(6, lambda client: cluster.close())
        with pytest.raises(RuntimeError, match="lost or cancelled|does not answer"):
            clone(MODEL).fit(X, y, client=client)


def test_ctrl_c_keeps_the_weights_so_far(client, small_shards, before_gathering):
    X, y, expected = problem()

    def interrupt(client):
        raise KeyboardInterrupt

    before_gathering(14, interrupt)
    model = clone(MODEL).set_params(tol=1e-9, max_iter=50)
    with pytest.raises(KeyboardInterrupt, match="weights reached so far are kept"):
        model.fit(X, y, client=client)
    assert model.stop_reason_ == "interrupted"
    assert model.n_iter_ > 0
    deadline = time.monotonic() + 20
    while client.processing() and any(client.processing().values()) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(client.processing().values())
    assert_same_fit(clone(MODEL).fit(X, y, client=client).to_local(), expected)


def test_two_fits_at_once(client, small_shards):
    X, y, expected = problem()
    models = [clone(MODEL) for _ in range(2)]
    threads = [threading.Thread(target=model.fit, args=(X, y), kwargs={"client": client}) for model in models]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for model in models:
        assert_same_fit(model.to_local(), expected)


def test_workers_are_left_without_rows(client, small_shards):
    def held():
        return {key for keys in client.has_what().values() for key in keys}

    X, y, _ = problem()
    before = held()
    clone(MODEL).fit(X, y, client=client)
    deadline = time.monotonic() + 20
    while held() - before and time.monotonic() < deadline:
        time.sleep(0.1)
    assert held() <= before


def test_there_must_be_a_client(monkeypatch):
    def none():
        raise ValueError("No clients found")

    X, y, _ = problem()
    monkeypatch.setattr(distributed, "default_client", none)
    with pytest.raises(ValueError, match=r"no Dask client.*distributed.Client"):
        clone(MODEL).fit(X, y)
