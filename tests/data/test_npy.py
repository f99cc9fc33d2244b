"""Files of NumPy and memory maps."""

import os
import pickle

import numpy as np
import pytest
from fusedgrad.data import Npy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .blocks import check, same

DTYPES = ["float32", "float64", "int16", "uint64", "bool", "float16", ">f8"]


@pytest.fixture
def folder(tmp_path):
    random = np.random.default_rng(0)
    np.save(tmp_path / "X.npy", random.normal(size=(10, 3)))
    np.save(tmp_path / "y.npy", random.integers(0, 3, 10))
    return tmp_path


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.integers(1, 30), st.integers(1, 5), st.sampled_from(DTYPES), st.sampled_from("CF"), st.integers(1, 40), st.data()
)
def test_files_and_memory_maps(tmp_path, rows, columns, dtype, order, group, data):
    X = np.asarray(np.random.default_rng(0).integers(0, 99, (rows, columns)), dtype=dtype, order=order)
    y, weight = np.resize(["no", "maybe"], rows), np.linspace(0, 1, rows)
    expected = X.astype(np.float32 if dtype == "float32" else np.float64, order="C"), y, weight
    paths = [tmp_path / f"{name}.npy" for name in ("X", "y", "weight")]
    for path, array in zip(paths, (X, y, weight), strict=True):
        np.save(path, array)
    np.savez(tmp_path / "all.npz", features=X, y=y, w=weight)
    for source in (
        Npy(*paths, group=group),
        Npy(*(np.load(path, mmap_mode="r") for path in paths), group=group),
        Npy(tmp_path / "all.npz", "y", "w", group=group, member="features"),
        Npy(np.load(paths[0], mmap_mode="r")[:], y, weight, group=group),
    ):
        check(source, *expected)
        stored = pickle.dumps(source)
        check(pickle.loads(stored), *expected)


def test_a_memory_map_is_stored_by_its_place(tmp_path):
    mapped = np.lib.format.open_memmap(tmp_path / "X.npy", mode="w+", shape=(1000, 100))
    mapped[:] = 3.0
    mapped.flush()
    stored = pickle.dumps(Npy(mapped))
    assert len(stored) < 1000
    assert "X.npy" in repr(Npy(mapped))


def test_rows_are_mapped(folder):
    X = np.load(folder / "X.npy")
    for block in Npy(folder / "X.npy", group=4):
        assert not block.X.flags.writeable
        assert block.X.base is not None
    with Npy(folder / "X.npy", folder / "y.npy", group=4).open() as reader:
        block = reader.group(2)
    assert same(block.X, X[8:])


def test_identity_follows_the_file(folder):
    source = Npy(folder / "X.npy", folder / "y.npy")
    before = source.identity
    assert before == Npy(folder / "X.npy", folder / "y.npy").identity
    os.utime(folder / "y.npy", ns=(1, 1))
    assert source.identity != before
    mapped = Npy(np.load(folder / "X.npy", mmap_mode="r"))
    assert mapped.identity["X"]["path"] == str(folder / "X.npy")


def wrong(folder):
    np.save(folder / "short.npy", np.ones(9))
    np.save(folder / "objects.npy", np.array(["a", 1] * 5, object), allow_pickle=True)
    np.savez(folder / "plain.npz", X=np.ones((10, 3)))
    np.savez_compressed(folder / "small.npz", X=np.ones((10, 3)))
    (folder / "empty.npy").touch()
    (folder / "text.npy").write_text("something else")
    (folder / "text.npz").write_text("something else")
    whole = (folder / "X.npy").read_bytes()
    (folder / "cut.npy").write_bytes(whole[:-9])
    (folder / "header.npy").write_bytes(whole[:20])


@pytest.mark.parametrize(
    ("names", "error", "message"),
    [
        (("none.npy",), FileNotFoundError, "There is no file .*none.npy"),
        (("X.npy", "none.npy"), FileNotFoundError, "There is no file .*none.npy"),
        (("X.npy", "short.npy"), ValueError, r"X has 10 rows, but the shape of y is \(9,\)"),
        (("X.npy", "objects.npy"), ValueError, "objects.npy: it holds Python objects"),
        (("y.npy",), ValueError, r"X must have the shape \(rows, features\), but its shape is \(10,\)"),
        (("empty.npy",), ValueError, r"empty.npy: the file is empty"),
        (("text.npy",), ValueError, "text.npy: this is no array in NumPy's format"),
        (("cut.npy",), ValueError, r"cut.npy: the file is truncated: .* 240 bytes, of which 231 are there"),
        (("header.npy",), ValueError, "header.npy: this is no array"),
        (("text.npz",), ValueError, "text.npz: this is no .npz file"),
        (("small.npz",), ValueError, "small.npz: 'X' is compressed"),
        (("plain.npz", "y"), ValueError, "plain.npz: there is no array 'y', but 'X'"),
    ],
)
def test_wrong_files_are_named(folder, names, error, message):
    wrong(folder)
    given = [name if name == "y" else folder / name for name in names]
    with pytest.raises(error, match=message):
        Npy(*given).open()


def test_what_is_neither_path_nor_memory_map_is_refused():
    with pytest.raises(TypeError, match="X must be a path or a memory map, not int"):
        Npy(3)


def test_a_file_that_changes_while_it_is_read(folder):
    with Npy(folder / "X.npy", group=4).open() as reader:
        reader.group(0)
        np.save(folder / "X.npy", np.ones((9, 3)))
        with pytest.raises(RuntimeError, match=r"X.npy, rows 4 to 7: the file has changed \(from 368 to 344 bytes\)"):
            reader.group(1)
        (folder / "X.npy").unlink()
        with pytest.raises(RuntimeError, match="the file is gone"):
            reader.group(1)
