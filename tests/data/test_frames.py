"""Tables of other libraries, which fit takes directly."""

import json
import os
import pickle

import numpy as np
import pandas as pd
import pytest
from fusedgrad.data import Array, Batches, Npy, Parquet, _frames, source_of

from .blocks import check

pa = pytest.importorskip("pyarrow", reason="pyarrow reads these tables")
ds = pytest.importorskip("pyarrow.dataset")
pq = pytest.importorskip("pyarrow.parquet")

ROWS = 100
X = np.random.default_rng(0).normal(size=(ROWS, 2))
Y = np.resize(["yes", "no", "no"], ROWS)
WEIGHT = np.linspace(0, 1, ROWS)
TABLE = pa.table({"a": X[:, 0], "b": X[:, 1], "y": Y, "w": WEIGHT})


@pytest.fixture(autouse=True)
def small_groups(monkeypatch):
    monkeypatch.setattr(_frames, "_GROUP", 30)


@pytest.fixture
def path(tmp_path):
    pq.write_table(TABLE, tmp_path / "a.parquet", row_group_size=40)
    return tmp_path / "a.parquet"


def lazy_frame(path):
    return pytest.importorskip("polars").scan_parquet(path)


def relation(path):
    return pytest.importorskip("duckdb").sql(f"select * from '{path}'")


class Stream:
    """What any library may offer."""

    def __init__(self, _):
        pass

    def __arrow_c_stream__(self, requested_schema=None):
        return TABLE.__arrow_c_stream__(requested_schema)


MAKERS = {
    "LazyFrame": (lazy_frame, [30, 30, 30, 10]),
    "DuckDB": (relation, [30, 30, 30, 10]),
    "dataset": (ds.dataset, [40, 40, 20]),
    "filtered dataset": (lambda path: ds.dataset(path).filter(ds.field("w") >= 0), [30, 30, 30, 10]),
    "Arrow dataset": (lambda path: ds.dataset(TABLE), [30, 30, 30, 10]),
    "Table": (lambda path: TABLE, [30, 30, 30, 10]),
    "RecordBatch": (lambda path: TABLE.to_batches()[0], [30, 30, 30, 10]),
    "any stream": (Stream, [30, 30, 30, 10]),
}


@pytest.mark.parametrize("kind", MAKERS)
def test_tables_are_sources(path, kind):
    make, sizes = MAKERS[kind]
    source = source_of(make(path), "y", "w")
    check(source, X, Y, WEIGHT, sizes)
    with source.open() as reader:
        assert reader.names == ["a", "b"]
        assert (reader.groups is None) == (kind not in ("dataset", "Table", "RecordBatch"))
    check(source.map(np.tanh), np.tanh(X), Y, WEIGHT)
    json.dumps(source.identity)
    assert source.identity == source_of(make(path), "y", "w").identity
    assert "target='y'" in repr(source)


def test_several_targets():
    check(source_of(TABLE.drop(["y"]), ["b", "w"]), X[:, :1], np.column_stack([X[:, 1], WEIGHT]))


@pytest.mark.parametrize("kind", ["LazyFrame", "DuckDB", "dataset"])
def test_wrong_columns_are_named(path, kind):
    make, _ = MAKERS[kind]
    with pytest.raises(ValueError, match="there is no column 'z'"):
        source_of(make(path), "z").open()
    with pytest.raises(ValueError, match=r"rows 0 to 29|row group 0") as raised, source_of(make(path)).open() as reader:
        next(iter(reader))
    assert "column 'y'" in str(raised.value)
    assert "holds strings, but X takes numbers" in str(raised.value)


def test_a_query_of_polars_is_read_in_its_order(path):
    pl = pytest.importorskip("polars")
    frame = pl.scan_parquet(path).filter(pl.col("a") > 0).with_columns(c=pl.col("a") * 2).drop("w")
    keep = X[:, 0] > 0
    check(source_of(frame, "y"), np.column_stack([X, X[:, 0] * 2])[keep], Y[keep])
    check(pickle.loads(pickle.dumps(source_of(frame, "y"))), np.column_stack([X, X[:, 0] * 2])[keep], Y[keep])
    categories = frame.with_columns(y=pl.col("y").cast(pl.Categorical))
    check(source_of(categories, "y"), np.column_stack([X, X[:, 0] * 2])[keep], Y[keep])


def test_identity_of_a_query_follows_its_file(path):
    pl = pytest.importorskip("polars")
    frame = pl.scan_parquet(path)
    before = source_of(frame, "y").identity
    assert source_of(frame.filter(pl.col("a") > 0), "y").identity != before
    assert source_of(frame).identity != before
    os.utime(path, ns=(1, 1))
    assert source_of(frame, "y").identity != before


def test_identity_of_rows_in_memory():
    pl = pytest.importorskip("polars")
    other = TABLE.set_column(0, "a", pa.array(X[:, 0] + 1))
    assert source_of(TABLE).identity == source_of(pa.table(TABLE)).identity
    assert source_of(TABLE).identity != source_of(other).identity
    labels = [pa.table({"y": pa.array(values).dictionary_encode()}) for values in (["a", "b"], ["a", "c"])]
    assert source_of(labels[0]).identity != source_of(labels[1]).identity
    assert source_of(TABLE.to_batches()[0]).identity != source_of(other.to_batches()[0]).identity
    assert source_of(pl.from_arrow(TABLE).lazy()).identity != source_of(pl.from_arrow(other).lazy()).identity
    assert source_of(TABLE.to_reader()).identity != source_of(TABLE.to_reader()).identity


def test_partitions_of_a_data_set_are_columns(tmp_path):
    for year in (2020, 2021):
        (tmp_path / f"year={year}").mkdir()
        pq.write_table(pa.table({"a": [1.0, 2.0], "y": [0, 1]}), tmp_path / f"year={year}" / "a.parquet")
    dataset = ds.dataset(tmp_path, partitioning="hive")
    expected = np.array([[1.0, 2020], [2, 2020], [1, 2021], [2, 2021]])
    check(source_of(dataset, "y"), expected, np.array([0, 1, 0, 1]), sizes=[2, 2])


def test_a_stream_is_read_once(path):
    source = source_of(TABLE.to_reader(), "y", "w")
    assert [len(block) for block in source] == [30, 30, 30, 10]
    with pytest.raises(RuntimeError, match="cannot be read again. Train in a single epoch"):
        list(source)


def test_a_stream_that_is_cached_is_read_as_often_as_wanted(tmp_path):
    check(source_of(TABLE.to_reader(), "y", "w").cache(tmp_path / "rows"), X, Y, WEIGHT, [30, 30, 30, 10])


def test_a_data_set_whose_file_changes(path):
    with source_of(ds.dataset(path), "y").open() as reader:
        reader.group(0)
        pq.write_table(TABLE.slice(0, 50), path, row_group_size=40)
        with pytest.raises(RuntimeError, match=r"a.parquet, row group 1: the file has changed"):
            reader.group(1)


def test_columns_of_a_source_are_named_later(path):
    source = source_of(Parquet(path), "y", "w")
    check(source, X, Y, WEIGHT, [40, 40, 20])
    assert source_of(source) is source
    with pytest.raises(ValueError, match="has the target 'y' already; 'a' is one too many"):
        source_of(source, "a")
    for without in (Array(X), Npy("X.npy"), Batches(list), Parquet(path).map(np.sqrt), Parquet(path).cache("rows")):
        with pytest.raises(ValueError, match="has no columns from which to take 'y'"):
            source_of(without, "y")


@pytest.mark.parametrize("kind", ["DataFrame", "Series"])
def test_what_fits_into_memory_is_no_source(kind):
    pl = pytest.importorskip("polars")
    assert source_of(getattr(pd, kind)({"a": [1]})) is None
    assert source_of(getattr(pl, kind)([1])) is None


@pytest.mark.parametrize("obj", [None, 3, "a.parquet", [[1.0]], np.ones((2, 2)), pd.DataFrame, object()])
def test_other_objects_are_no_sources(obj):
    assert source_of(obj) is None


def test_tables_without_rows_are_refused():
    with pytest.raises(ValueError, match="The table has no rows"):
        source_of(TABLE.slice(0, 0), "y").open()
    with pytest.raises(ValueError, match="The table has no rows"):
        list(source_of(TABLE.slice(0, 0).to_reader(), "y"))
