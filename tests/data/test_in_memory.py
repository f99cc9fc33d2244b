"""Sources of what is in memory: Array and Batches; blocks themselves."""

import json
import pickle

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from fusedgrad import data
from fusedgrad.data import Array, Batches, Block, concatenate
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.preprocessing import StandardScaler

from .blocks import check, same

DTYPES = ["float32", "float64", "int8", "int64", "uint16", "bool", ">f4"]


@st.composite
def arrays(draw, sparse=None):
    rows, columns = draw(st.integers(1, 40)), draw(st.integers(1, 6))
    random = np.random.default_rng(draw(st.integers(0, 100)))
    X = random.integers(0, 3, (rows, columns)).astype(draw(st.sampled_from(DTYPES)))
    outputs = draw(st.integers(0, 3))
    y = random.normal(size=(rows, outputs)) if outputs > 1 else random.choice(["no", "maybe"], rows)
    weight = random.random(rows) if draw(st.booleans()) else None
    sparse = draw(st.booleans()) if sparse is None else sparse
    return (sp.csr_matrix(X) if sparse and X.dtype.isnative else X), y, weight


def as_floats(X):
    wanted = np.float32 if X.dtype in ("float32", ">f4") else np.float64
    return (X if sp.issparse(X) else np.ascontiguousarray(X)).astype(wanted)


@settings(max_examples=60, deadline=None)
@given(arrays(), st.integers(1, 50))
def test_an_array_is_cut_into_groups(arrays, group):
    X, y, weight = arrays
    rows = X.shape[0]
    sizes = [min(group, rows - begin) for begin in range(0, rows, group)]
    source = Array(X, y, weight, group=group)
    check(source, as_floats(X), y, weight, sizes)
    check(pickle.loads(pickle.dumps(source)), as_floats(X), y, weight, sizes)


@settings(max_examples=30, deadline=None)
@given(arrays(), st.integers(1, 50))
def test_batches_are_handed_over_as_they_are(arrays, group):
    X, y, weight = arrays
    source = Batches(
        lambda: (
            (X[k : k + group], y[k : k + group]) + (() if weight is None else (weight[k : k + group],))
            for k in range(0, X.shape[0], group)
        )
    )
    check(source, as_floats(X), y, weight)


def test_bytes_of_groups_are_those_of_blocks():
    X = np.ones((10, 3), np.float32)
    with Array(X, group=4).open() as reader:
        assert [group.nbytes for group in reader.groups] == [48, 48, 24]
    S = sp.random_array((1000, 50), density=0.1, format="csr", random_state=0)
    with Array(S, group=100).open() as reader:
        found = sum(block.nbytes for block in reader)
        assert sum(group.nbytes for group in reader.groups) == pytest.approx(found, rel=0.01)


def test_an_array_in_c_order_is_not_copied():
    X = np.ones((10, 3), np.float32)
    assert all(np.shares_memory(block.X, X) for block in Array(X, group=4))
    S = sp.csr_matrix(X)
    assert np.shares_memory(Array(S).X.data, S.data)


def test_names_are_those_of_a_data_frame():
    frame = pd.DataFrame({"a": [1.0, 2.0], "b": [3, 4]})
    with Array(frame).open() as reader:
        assert reader.names == ["a", "b"]
    with Array(frame.to_numpy()).open() as reader:
        assert reader.names is None


@pytest.mark.parametrize(
    "rows", [slice(2, 5), slice(0, 0), slice(1, 8, 3), [3, 1], np.array([], int), np.arange(8) > 5]
)
@pytest.mark.parametrize("make", [np.asarray, sp.csr_array])
def test_rows_of_a_block(rows, make):
    X, y, weight = np.arange(16.0).reshape(8, 2), np.arange(8), np.linspace(0, 1, 8)
    block = Block(make(X), y, weight)
    part = block[rows]
    assert same(part.X, make(X[rows]))
    assert same(part.y, y[rows])
    assert same(part.weight, weight[rows])
    assert len(part) == len(y[rows])
    both = concatenate([block, part])
    assert same(both.X, make(np.concatenate([X, X[rows]])))
    assert same(both.y, np.concatenate([y, y[rows]]))


def test_blocks_and_sources_do_not_change():
    source = Array(np.ones((2, 2)))
    with pytest.raises(AttributeError):
        source.group = 3
    with pytest.raises(AttributeError):
        Block(np.ones((2, 2))).y = None


def test_an_identity_tells_rows_apart():
    X = np.arange(10.0).reshape(5, 2)
    sources = [
        Array(X),
        Array(X + 1),
        Array(X, group=2),
        Array(X, X[:, 0]),
        Array(X, np.array(["a", "b", "c", "d", "e"], object)),
        Array(sp.csr_array(X)),
        Array(X.astype(np.float32)),
        Array(X).map(np.log1p),
        Array(X).map(np.expm1),
        Array(X).map(lambda X: X + 1),
        Array(X).map(lambda X: X + 2),
        Batches(lambda: [X]),
    ]
    found = [json.dumps(source.identity, sort_keys=True) for source in sources]
    assert len(set(found)) == len(sources)
    assert found == [json.dumps(source.identity, sort_keys=True) for source in sources]
    assert Array(X.copy()).identity == Array(X).identity


def test_representations():
    X = np.ones((5, 2))
    assert repr(Array(X, [1, 2, 3, 4, 5], group=2)) == "Array(<(5, 2) float64>, y=<(5,) int64>, group=2)"
    assert repr(Array(X).map(np.sqrt)) == "Array(<(5, 2) float64>).map(sqrt)"
    assert repr(Batches(test_representations)) == "Batches(test_representations)"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.ones(3),), r"X must have the shape \(rows, features\)"),
        ((np.ones((0, 3)),), r"its shape is \(0, 3\)"),
        ((np.ones((3, 2)), np.ones(4)), "X has 3 rows, but y has 4"),
        ((np.ones((3, 2)), np.ones((3, 1, 1))), r"its shape is \(3, 1, 1\)"),
        ((np.ones((3, 2)), np.array(["2020-01-01"] * 3, "M8[D]")), "dtype is datetime64"),
        ((np.ones((3, 2)), None, np.ones(2)), r"must have the shape \(3,\), not \(2,\)"),
        ((np.ones((3, 2)), None, ["a", "b", "c"]), "weights of rows must be numbers"),
        ((np.ones((3, 2)), None, None, 0), "group must be a number of rows"),
        ((np.ones((3, 2)), None, None, 2.5), "group must be a number of rows"),
    ],
)
def test_wrong_arrays_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Array(*arguments)


@pytest.mark.parametrize(
    ("batches", "message"),
    [
        ([np.ones((2, 3)), np.ones((2, 4))], r"batch 1: columns of X: 4, but 3 in batch 0"),
        ([np.ones((2, 3)), np.ones((2, 3), np.float32)], "batch 1: dtype of X: float32, but float64 in batch 0"),
        ([np.ones((2, 3)), sp.csr_array(np.ones((2, 3)))], "batch 1: storage of X: CSR, but dense in batch 0"),
        ([(np.ones((2, 3)), np.ones(2)), np.ones((2, 3))], "batch 1: targets a row: 0, but 1 in batch 0"),
        ([(np.ones((2, 3)), np.ones(2)), (np.ones((2, 3)), ["a", "b"])], "kind of y: labels, but float64"),
        ([(np.ones((2, 3)), np.ones(3))], "batch 0: X has 2 rows, but y has 3. Every row needs its target"),
        ([(np.ones((2, 3)), np.ones(2), np.ones(2), 1)], "not 4 values"),
        ([np.array([["a", "b"]])], "batch 0: X must hold numbers"),
        ([np.array([["a", 1]], object)], "batch 0: X must hold numbers, but: could not convert string to float"),
    ],
)
def test_batches_that_differ_are_refused(batches, message):
    with pytest.raises(ValueError, match=message):
        list(Batches(lambda: batches))


def test_batches_need_a_function():
    with pytest.raises(TypeError, match="could be read|every epoch"):
        Batches(iter([np.ones((2, 3))]))


def test_batches_without_rows_are_left_out():
    source = Batches(lambda: [np.ones((0, 3)), np.ones((2, 3)), np.ones((0, 3))])
    check(source, np.ones((2, 3)), sizes=[2])
    check(
        source.map(StandardScaler().fit(np.eye(3)).transform),
        StandardScaler().fit(np.eye(3)).transform(np.ones((2, 3))),
    )


def test_an_iterator_is_closed_with_its_reader():
    closed = []

    def draw():
        try:
            for _ in range(10):
                yield np.ones((2, 3))
        finally:
            closed.append(True)

    with Batches(draw).open() as reader:
        next(iter(reader))
        assert not closed
    assert closed


def test_groups_of_batches_are_unknown():
    with Batches(lambda: [np.ones((2, 3))]).open() as reader:
        assert reader.groups is None
        with pytest.raises(TypeError, match="only known by reading"):
            reader.group(0)


def test_a_source_is_its_own_source():
    source = Array(np.ones((2, 2)))
    assert data.source_of(source) is source
    assert data.source_of(np.ones((2, 2))) is None
    assert data.source_of(pd.DataFrame({"a": [1]})) is None
