"""Rows that are written once and mapped from then on."""

import errno
import json
import multiprocessing
import os
import pickle
import time
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from fusedgrad.data import Array, Batches, Npy, _cache, _folder, concatenate
from hypothesis import HealthCheck, given, settings

from .. import child
from .blocks import check, same
from .test_in_memory import arrays, as_floats

X = np.arange(20.0).reshape(10, 2)
Y = np.array(["no", "maybe"] * 5)


def names(folder):
    return sorted(path.name for path in Path(folder).iterdir())


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(arrays())
def test_the_cache_has_the_bits_of_the_source(tmp_path, arrays):
    X, y, weight = arrays
    rows = X.shape[0]
    for group in (1, 7, rows):
        sizes = [min(group, rows - begin) for begin in range(0, rows, group)]
        source = Array(X, y, weight, group=group).cache(tmp_path / "rows")
        check(source, as_floats(X), y, weight, sizes)
        check(pickle.loads(pickle.dumps(source)), as_floats(X), y, weight, sizes)
    assert names(tmp_path) == ["rows"]


calls = []  # not within the function, whose identity follows what it holds


def draw():
    calls.append(True)
    yield X[:6], Y[:6]
    yield X[6:], Y[6:]


def test_it_is_written_once(tmp_path):
    calls.clear()
    source = Batches(draw).map(np.sqrt).cache(tmp_path / "deep" / "rows")
    assert not calls
    check(source, np.sqrt(X), Y, sizes=[6, 4])
    check(Batches(draw).map(np.sqrt).cache(tmp_path / "deep" / "rows"), np.sqrt(X), Y, sizes=[6, 4])
    assert len(calls) == 1
    with source.open() as reader:
        assert [group.rows for group in reader.groups] == [6, 4]  # which the source knows by reading only
    assert repr(source).endswith(f".map(sqrt).cache({str(tmp_path / 'deep' / 'rows')!r})")


def test_it_is_written_anew_when_the_source_changes(tmp_path):
    np.save(tmp_path / "X.npy", X)
    source = Npy(tmp_path / "X.npy", group=4).cache(tmp_path / "rows")
    check(source, X)
    before = source.identity
    with source.open() as old:
        np.save(tmp_path / "X.npy", X[:9] * 2)
        assert source.identity != before
        check(source, X[:9] * 2)
        assert same(old.group(2).X, X[8:])  # an open reader keeps what it has opened
    check(Npy(tmp_path / "X.npy", group=3).cache(tmp_path / "rows"), X[:9] * 2, sizes=[3, 3, 3])
    check(source.source.map(np.sqrt).cache(tmp_path / "rows"), np.sqrt(X[:9] * 2))
    check(source.source.map(lambda X: X + 1).cache(tmp_path / "rows"), X[:9] * 2 + 1)
    check(source.source.map(lambda X: X + 2).cache(tmp_path / "rows"), X[:9] * 2 + 2)
    assert names(tmp_path) == ["X.npy", "rows"]


@pytest.mark.parametrize("file", ["cache.json", "X"])
def test_a_damaged_cache_is_written_anew(tmp_path, file):
    source = Array(X, Y, group=4).cache(tmp_path / "rows")
    list(source)
    whole = (tmp_path / "rows" / file).read_bytes()
    (tmp_path / "rows" / file).write_bytes(whole[:-1])
    if file == "cache.json":  # it cannot be told from a folder of somebody's
        with pytest.raises(FileExistsError, match="rows: the folder holds something else than a cache"):
            source.open()
    else:
        check(source, X, Y)
        assert (tmp_path / "rows" / file).read_bytes() == whole


def test_what_is_no_cache_is_never_replaced(tmp_path):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").write_text("mine")
    with pytest.raises(FileExistsError, match="folder: the folder holds something else"):
        Array(X).cache(tmp_path / "folder").open()
    with pytest.raises(FileExistsError, match="file: there is a file where the cache is to be"):
        Array(X).cache(tmp_path / "file").open()
    assert (tmp_path / "folder" / "file").read_text() == "mine"
    (tmp_path / "empty").mkdir()
    check(Array(X).cache(tmp_path / "empty"), X)


def test_blocks_are_mapped_and_outlive_the_reader(tmp_path):
    for given_X in (X.astype(np.float32), sp.csr_array(X)):
        with Array(given_X, np.arange(10), group=4).cache(tmp_path / "rows").open() as reader:
            blocks = list(reader)
            assert not any(block.y.flags.writeable for block in blocks)
        assert same(concatenate(blocks).X, given_X)


def test_an_error_leaves_nothing(tmp_path):
    def draw():
        yield X, Y
        raise RuntimeError("the source ends")

    with pytest.raises(RuntimeError, match="the source ends"):
        Batches(draw).cache(tmp_path / "rows").open()
    with pytest.raises(ValueError, match=r"rows: the source has no rows"):
        Batches(lambda: []).cache(tmp_path / "rows").open()
    with pytest.raises(ValueError, match="group 0: labels in a cache must be strings, but 1 is of type int"):
        Array(X, np.array([1, 2] * 5, object)).cache(tmp_path / "rows").open()
    assert names(tmp_path) == []


def test_an_error_leaves_the_cache_that_was_there(tmp_path):
    check(Array(X, Y).cache(tmp_path / "rows"), X, Y)

    def broken(X):
        raise RuntimeError("the source ends")

    with pytest.raises(RuntimeError, match="the source ends"):
        Array(X, Y).map(broken).cache(tmp_path / "rows").open()
    assert names(tmp_path) == ["rows"]
    assert json.loads((tmp_path / "rows" / "cache.json").read_text())["identity"] == Array(X, Y).identity


def test_a_full_disk_leaves_nothing(tmp_path, monkeypatch):
    def full(writer, name, array):
        if name == "y":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(_cache._Writer, "_write", full)
    with pytest.raises(
        OSError, match="No space left on device, while the cache was written; nothing is left"
    ) as raised:
        Array(X, Y).cache(tmp_path / "rows").open()
    assert raised.value.errno == errno.ENOSPC
    assert raised.value.filename == str(tmp_path / "rows")
    assert names(tmp_path) == []


def test_a_limit_of_the_system_leaves_nothing(tmp_path):
    code = f"""
import resource
import numpy as np
from fusedgrad.data import Array
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
try:
    Array(np.ones((10_000, 10)), group=1000).cache({str(tmp_path / "rows")!r}).open()
except OSError as error:
    print(error)
"""
    assert "File too large, while the cache was written" in child.forked(code).stdout
    assert names(tmp_path) == []


def test_what_a_killed_process_left_is_removed(tmp_path):
    code = f"""
import os, signal
import numpy as np
from fusedgrad.data import Batches
def draw():
    yield np.ones((1000, 10))
    os.kill(os.getpid(), signal.SIGKILL)
Batches(draw).cache({str(tmp_path / "rows")!r}).open()
"""
    assert child.forked(code).returncode == -9
    (left,) = tmp_path.iterdir()
    list(Array(X).cache(tmp_path / "rows"))
    assert len(names(tmp_path)) == 2  # the lock is young: its owner may be about to take it
    os.utime(left / "lock", (time.time() - 100,) * 2)
    list(Array(X + 1).cache(tmp_path / "rows"))
    assert names(tmp_path) == ["rows"]


def test_a_folder_that_is_being_written_is_left_alone(tmp_path):
    with _folder.written(tmp_path / "rows", lambda: False) as folder:
        (folder / "file").write_text("new")
        os.utime(folder / "lock", (1, 1))
        _folder.remove_abandoned(tmp_path / "rows")
        assert folder.exists()
    assert names(tmp_path / "rows") == ["file"]


def _write(path, factor, begin, results):
    begin.wait()
    found = []
    try:
        source = Array(X * factor, Y, group=3).cache(path)
        for _ in range(20):
            with source.open() as reader:
                found.append(same(concatenate(list(reader)).X, X * factor))
    except Exception as error:
        found.append(repr(error))
    results.put(found)


@pytest.mark.parametrize("factors", [(1, 1, 1), (1, 2)])
def test_several_writers_do_no_harm(tmp_path, factors):
    context = multiprocessing.get_context("fork")
    begin, results = context.Event(), context.Queue()
    writers = [context.Process(target=_write, args=(tmp_path / "rows", factor, begin, results)) for factor in factors]
    for writer in writers:
        writer.start()
    begin.set()
    found = [results.get(timeout=60) for _ in factors]
    for writer in writers:
        writer.join()
    assert found == [[True] * 20] * len(found)
    assert names(tmp_path) == ["rows"]
