"""Sources with columns: Parquet, Arrow, CSV."""

import datetime
import decimal
import gzip
import pickle

import numpy as np
import pandas as pd
import pytest
from fusedgrad.data import CSV, Arrow, Parquet, concatenate
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.compose import ColumnTransformer
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from .blocks import check, same

pa = pytest.importorskip("pyarrow", reason="pyarrow reads these files")
pq = pytest.importorskip("pyarrow.parquet")

NUMBERS = {
    "float16": (pa.float16(), np.float16),
    "float32": (pa.float32(), np.float32),
    "float64": (pa.float64(), np.float64),
    "int8": (pa.int8(), np.int8),
    "int16": (pa.int16(), np.int16),
    "int32": (pa.int32(), np.int32),
    "int64": (pa.int64(), np.int64),
    "uint8": (pa.uint8(), np.uint8),
    "uint16": (pa.uint16(), np.uint16),
    "uint32": (pa.uint32(), np.uint32),
    "uint64": (pa.uint64(), np.uint64),
    "bool": (pa.bool_(), np.bool_),
}
NARROW = ("float16", "float32", "int8", "int16", "uint8", "uint16", "bool")


def write(path, table, group):
    """A table in groups of so many rows, as the suffix wants it."""
    if path.suffix == ".parquet":
        pq.write_table(table, path, row_group_size=group)
    elif path.suffix == ".csv":
        pytest.importorskip("pyarrow.csv").write_csv(table, path)
    else:
        batches = table.combine_chunks().to_batches(max_chunksize=group)
        stream = path.suffix == ".arrows"
        options = pa.ipc.IpcWriteOptions(compression="zstd" if path.stem.endswith("zstd") else None)
        make = pa.ipc.new_stream if stream else pa.ipc.new_file
        with pa.OSFile(str(path), "wb") as sink, make(sink, table.schema, options=options) as writer:
            for batch in batches:
                writer.write_batch(batch)


def source_of(path, group=65536, **options):
    if path.suffix == ".parquet":
        return Parquet(path, **options)
    if path.suffix == ".csv":
        return CSV(path, group=group, **options)
    return Arrow(path, group=group, **options)


FILES = ["a.parquet", "a.arrow", "a_zstd.arrow", "a.arrows"]


@pytest.mark.parametrize("file", FILES)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.sampled_from(list(NUMBERS)), min_size=1, max_size=6), st.integers(1, 40), st.integers(1, 50), st.data()
)
def test_columns_of_all_numbers(tmp_path, file, kinds, rows, group, data):
    random = np.random.default_rng(rows)
    columns = [random.integers(0, 100, rows).astype(NUMBERS[kind][1]) for kind in kinds]
    arrays = {
        f"c{k}": pa.array(column, NUMBERS[kind][0]) for k, (kind, column) in enumerate(zip(kinds, columns, strict=True))
    }
    y, weight = random.choice(["yes", "no"], rows), random.random(rows)
    table = pa.table({**arrays, "y": pa.array(y), "w": pa.array(weight)})
    write(tmp_path / file, table, group)
    dtype = data.draw(st.sampled_from([None, "float32", "float64"]))
    wanted = dtype or ("float32" if set(kinds) <= set(NARROW) else "float64")
    X = np.column_stack([column.astype(wanted) for column in columns])
    sizes = [min(group, rows - begin) for begin in range(0, rows, group)]
    source = source_of(tmp_path / file, group, target="y", weight="w", dtype=dtype)
    check(source, X, y, weight, sizes)
    check(pickle.loads(pickle.dumps(source)), X, y, weight, sizes)
    with source.open() as reader:
        assert reader.names == list(arrays)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(1, 40), st.integers(1, 4), st.integers(1, 50), st.sampled_from(["float32", "float64"]))
def test_csv(tmp_path, rows, columns, group, dtype):
    random = np.random.default_rng(rows)
    X = random.normal(size=(rows, columns)).round(3)
    X[: rows // 2, 0] = X[: rows // 2, 0].round()  # the first look like integers
    y = random.choice(["yes", "no"], rows)
    frame = pd.DataFrame(X, columns=[f"c{k}" for k in range(columns)]).assign(y=y)
    frame.to_csv(tmp_path / "a.csv", index=False)
    sizes = [min(group, rows - begin) for begin in range(0, rows, group)]
    source = CSV(tmp_path / "a.csv", "y", dtype=dtype, group=group)
    check(source, X.astype(dtype), y, sizes=sizes)
    check(pickle.loads(pickle.dumps(source)), X.astype(dtype), y, sizes=sizes)


def test_csv_whose_numbers_change_far_down(tmp_path):
    path = tmp_path / "a.csv"
    lines = [f"{k},{k % 2}" for k in range(200_000)]
    path.write_text("\n".join(["a,y", *lines, "0.5,1", ""]))
    whole = concatenate(list(CSV(path, "y")))
    assert whole.X[-1] == [0.5]
    assert whole.y.dtype == np.int64
    assert len(whole) == 200_001


def test_csv_that_is_compressed(tmp_path):
    with gzip.open(tmp_path / "a.csv.gz", "wt") as file:
        file.write("a,y\n1,0\n2,1\n")
    check(CSV(tmp_path / "a.csv.gz", "y"), np.array([[1.0], [2]]), np.array([0, 1]))


def test_csv_without_a_header(tmp_path):
    (tmp_path / "a.csv").write_text("1;2;0\n3;4;1\n")
    source = CSV(tmp_path / "a.csv", "y", delimiter=";", names=["a", "b", "y"])
    check(source, np.array([[1.0, 2], [3, 4]]), np.array([0, 1]))
    source = CSV(tmp_path / "a.csv", "y", delimiter=";", names=["a", "b", "y"], types={"y": "string"})
    check(source, np.array([[1.0, 2], [3, 4]]), np.array(["0", "1"]))


@pytest.mark.parametrize("suffix", [".parquet", ".arrow", ".arrows", ".csv"])
def test_several_files(tmp_path, suffix):
    X = np.arange(24.0).reshape(12, 2)
    for k in (2, 0, 1):
        part = X[k * 4 : k * 4 + 4]
        write(tmp_path / f"{k}{suffix}", pa.table({"a": part[:, 0], "b": part[:, 1]}), 3)
    kind = type(source_of(tmp_path / f"0{suffix}"))
    sizes = [12] if suffix in (".csv", ".arrows") else [3, 1] * 3
    check(kind(tmp_path / f"*{suffix}"), X, sizes=sizes)
    check(kind(str(tmp_path / f"[0-9]{suffix}")), X, sizes=sizes)
    files = [tmp_path / f"{k}{suffix}" for k in range(3)]
    check(kind(files), X, sizes=sizes)
    check(kind(files[::-1]), np.concatenate([X[8:], X[4:8], X[:4]]), sizes=sizes)
    if suffix != ".arrows":
        check(kind(tmp_path), X, sizes=sizes)
    with pytest.raises(FileNotFoundError, match="No file matches"):
        kind(tmp_path / f"none*{suffix}").open()
    with pytest.raises(FileNotFoundError, match="There is no"):
        kind(tmp_path / f"none{suffix}").open()
    with pytest.raises(ValueError, match="the list is empty"):
        kind([])


def test_many_files_are_not_open_all_at_once(tmp_path):
    for k in range(10):
        write(tmp_path / f"{k}.parquet", pa.table({"a": [float(k)]}), 1)
    with Parquet(tmp_path).open() as reader:
        assert [block.X[0, 0] for block in reader] == list(range(10))
        assert len(reader._open) <= 4
        assert [reader.group(k).X[0, 0] for k in (9, 0, 5)] == [9, 0, 5]


TABLE = {"a": [1.0, 2.0, 3.0], "b": [1, 2, 3], "y": [0, 1, 0], "z": [0.5, 1.5, 2.5]}


@pytest.mark.parametrize("suffix", [".parquet", ".arrow", ".arrows", ".csv"])
def test_columns_are_chosen(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    write(path, pa.table(TABLE), 2)
    check(
        source_of(path, target="y", columns=["b", "a"], dtype="float64"),
        np.array([[1.0, 1], [2, 2], [3, 3]]),
        np.array([0, 1, 0]),
    )
    several = np.array([[0, 0.5], [1, 1.5], [0, 2.5]])
    check(source_of(path, target=["y", "z"], dtype="float64"), np.array([[1.0, 1], [2, 2], [3, 3]]), several)
    check(source_of(path, target=["z"], columns="a"), np.array([[1.0], [2], [3]]), several[:, 1:])
    for wrong, message in [
        ({"target": "x"}, "there is no column 'x'"),
        ({"target": "Y"}, "Did you mean 'y'"),
        ({"columns": ["a", "c"]}, "there is no column 'c'"),
        ({"weight": "w"}, "there is no column 'w'"),
        ({"columns": ["a", "b", "a"]}, "'a' is named more than once"),
        ({"target": ["a", "b", "y", "z"]}, "no column is left for X"),
        ({"target": "a", "columns": ["a", "b"]}, "'a' cannot be a feature and a target"),
    ]:
        with pytest.raises(ValueError, match=rf"a{suffix}: .*{message}"):
            source_of(path, **wrong).open()


def test_an_index_of_pandas_is_no_feature(tmp_path):
    frame = pd.DataFrame({"a": [1.0, 2.0]}, index=["x", "y"])
    frame.to_parquet(tmp_path / "a.parquet")
    check(Parquet(tmp_path / "a.parquet"), np.array([[1.0], [2.0]]))


def test_decimals_and_nullable_integers(tmp_path):
    columns = {
        "d": pa.array([decimal.Decimal("1.25"), decimal.Decimal("-3.50")], pa.decimal128(10, 2)),
        "n": pa.array(pd.array([1, 2], dtype="Int32")),
    }
    write(tmp_path / "a.parquet", pa.table(columns), 9)
    check(Parquet(tmp_path / "a.parquet"), np.array([[1.25, 1], [-3.5, 2]]))


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pa.array(["a", "b", "a"]), np.array(["a", "b", "a"])),
        (pa.array(["a", "b", "a"], pa.large_string()), np.array(["a", "b", "a"])),
        (pa.array(["a", "b", "a"]).dictionary_encode(), np.array(["a", "b", "a"])),
        (pa.array([3, 5, 3]).dictionary_encode(), np.array([3, 5, 3])),
        (pa.array([True, False, True]), np.array([True, False, True])),
        (pa.array([1, 2, 3], pa.int8()), np.array([1, 2, 3], np.int8)),
        (pa.array([1.5, 2, 3], pa.float32()), np.array([1.5, 2, 3], np.float32)),
        (pa.array([decimal.Decimal("1.5")] * 3), np.array([1.5] * 3)),
    ],
)
@pytest.mark.parametrize("suffix", [".parquet", ".arrow", ".arrows"])
def test_types_of_targets(tmp_path, column, expected, suffix):
    write(tmp_path / f"a{suffix}", pa.table({"x": [1.0, 2.0, 3.0], "y": column}), 9)
    check(source_of(tmp_path / f"a{suffix}", target="y"), np.array([[1.0], [2.0], [3.0]]), expected)


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (pa.array(["a", "b", "c"]), "holds strings, but X takes numbers.*HashingVectorizer"),
        (pa.array(["a", "b", "c"]).dictionary_encode(), "holds categories.*OneHotEncoder"),
        (pa.array([datetime.date(2020, 1, 1)] * 3), "holds dates or times.*days since"),
        (pa.array([datetime.datetime(2020, 1, 1)] * 3), "holds dates or times"),
        (pa.array([[1], [2], [3]]), "holds values of type list"),
        (pa.array([None, None, None]), "holds nothing but missing values"),
        (pa.array([1, None, 3]), "has 1 missing values, the first in row 1 of the group. Fill them"),
        (pa.array([1.0, 2.0, None]), "has 1 missing values, the first in row 2"),
    ],
)
@pytest.mark.parametrize("suffix", [".parquet", ".arrow", ".arrows"])
def test_what_cannot_be_a_feature(tmp_path, column, message, suffix):
    write(tmp_path / f"a{suffix}", pa.table({"x": column, "y": [0, 1, 0]}), 9)
    place = {".parquet": "row group 0", ".arrow": "record batch 0", ".arrows": "rows 0 to 2"}[suffix]
    with pytest.raises(ValueError, match=rf"a{suffix}, {place}: column 'x' \(.*\) {message}"):
        list(source_of(tmp_path / f"a{suffix}", target="y"))


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (pa.array(["a", None, "c"]), "column 'y' .* has 1 missing values, the first in row 1"),
        (pa.array(["a", None, "c"]).dictionary_encode(), "column 'y' .* has 1 missing values"),
        (pa.array([1, None, 3]), "column 'y' .* has 1 missing values"),
        (
            pa.array([datetime.date(2020, 1, 1)] * 3),
            "column 'y' .* holds dates or times, but y takes numbers or labels",
        ),
    ],
)
def test_what_cannot_be_a_target(tmp_path, column, message):
    write(tmp_path / "a.parquet", pa.table({"x": [1.0, 2.0, 3.0], "y": column}), 9)
    with pytest.raises(ValueError, match=rf"a.parquet, row group 0: {message}"):
        list(Parquet(tmp_path / "a.parquet", "y"))


def test_other_wrong_columns(tmp_path):
    table = pa.table({"x": [1.0, 2.0], "y": ["a", "b"], "z": [1, 2], "w": [None, 1.0]})
    write(tmp_path / "a.parquet", table, 9)
    with pytest.raises(ValueError, match="column 'y' holds labels .* several targets a row must be numbers"):
        list(Parquet(tmp_path / "a.parquet", ["z", "y"], ["x"]))
    with pytest.raises(ValueError, match="column 'y' .* holds no numbers, but weights must be numbers"):
        list(Parquet(tmp_path / "a.parquet", weight="y", columns=["x"]))
    with pytest.raises(ValueError, match="column 'w' .* has 1 missing values"):
        list(Parquet(tmp_path / "a.parquet", weight="w", columns=["x"]))
    with pytest.raises(ValueError, match="dtype must be float32, float64 or None"):
        Parquet(tmp_path / "a.parquet", dtype="int8")
    twice = pa.Table.from_arrays([pa.array([1.0]), pa.array([2.0])], names=["x", "x"])
    write(tmp_path / "b.arrow", twice, 9)
    with pytest.raises(ValueError, match="b.arrow: there are 2 columns 'x'"):
        Arrow(tmp_path / "b.arrow").open()


@pytest.mark.parametrize("suffix", [".parquet", ".arrow", ".arrows", ".csv"])
@pytest.mark.parametrize("frame", ["pandas", "polars", "pyarrow"])
def test_columns_are_encoded_in_the_stream(tmp_path, suffix, frame):
    path = tmp_path / f"a{suffix}"
    table = {"colour": ["red", "blue", "red"], "size": [1.0, 2.0, 4.0], "y": [0, 1, 0]}
    write(path, pa.table(table), 2)
    if frame != "pandas":
        pytest.importorskip(frame)
        check(
            source_of(path, target="y").map(lambda frame: np.asarray(frame["size"]).reshape(-1, 1), frame=frame),
            np.array([[1.0], [2.0], [4.0]]),
            np.array([0, 1, 0]),
        )
        return
    whole = pd.DataFrame(table).drop(columns="y")
    encoder = ColumnTransformer([("c", OneHotEncoder(), ["colour"]), ("s", StandardScaler(), ["size"])]).fit(whole)
    source = source_of(path, target="y").map(encoder.transform, frame="pandas")
    check(source, encoder.transform(whole), np.array([0, 1, 0]))
    check(source.map(np.negative), -encoder.transform(whole), np.array([0, 1, 0]))


def test_a_map_of_numbers(tmp_path):
    write(tmp_path / "a.parquet", pa.table(TABLE), 2)
    source = Parquet(tmp_path / "a.parquet", "y", ["a", "b"]).map(lambda X: X * 2)
    check(source, np.array([[2.0, 2], [4, 4], [6, 6]]), np.array([0, 1, 0]), sizes=[2, 1])


def test_identity_tells_options_and_files_apart(tmp_path):
    path = tmp_path / "a.parquet"
    write(path, pa.table(TABLE), 2)
    sources = [
        Parquet(path),
        Parquet(path, "y"),
        Parquet(path, ["y"]),
        Parquet(path, columns=["a"]),
        Parquet(path, dtype="float32"),
    ]
    identities = [source.identity for source in sources]
    assert all(a != b for k, a in enumerate(identities) for b in identities[:k])
    assert Parquet(str(path)).identity == identities[0]
    write(path, pa.table(TABLE), 1)
    assert Parquet(path).identity != identities[0]


def test_blocks_outlive_their_reader(tmp_path):
    for file in FILES:
        write(tmp_path / file, pa.table(TABLE), 2)
        with source_of(tmp_path / file, target="y", columns="a").open() as reader:
            blocks = list(reader)
        assert same(concatenate(blocks).X, np.array([[1.0], [2.0], [3.0]]))
