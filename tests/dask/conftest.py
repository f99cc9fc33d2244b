"""A cluster of processes on the loopback, which tests of a module share."""

import os
import warnings

import pytest
from fusedgrad._training import shards


@pytest.fixture
def small_shards(monkeypatch):
    """Shards of a hundred rows or so."""
    monkeypatch.setattr(shards, "ENTRIES", 600)
    monkeypatch.setattr(shards, "FEWEST", 1)
    monkeypatch.setattr(shards, "SPARSE_ROWS", 90)


@pytest.fixture(scope="module")
def cluster():
    """A LocalCluster of two processes; tests may scale it, and must leave two."""
    distributed = pytest.importorskip("distributed", reason="Dask is an extra")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=":0"
        ) as made:
            yield made


@pytest.fixture(scope="module")
def client(cluster):
    distributed = pytest.importorskip("distributed", reason="Dask is an extra")
    with distributed.Client(cluster) as made:
        made.run(os.getpid)
        yield made


@pytest.fixture(scope="module")
def threads():
    """A client of two workers that are threads of this process: nothing is pickled, and rounds take a tenth."""
    distributed = pytest.importorskip("distributed", reason="Dask is an extra")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with (
            distributed.LocalCluster(
                n_workers=2, threads_per_worker=1, processes=False, dashboard_address=":0"
            ) as made,
            distributed.Client(made) as client,
        ):
            yield client
