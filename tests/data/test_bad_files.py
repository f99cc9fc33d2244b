"""Files that are broken, differ, or change while they are read: errors that name file and place."""

import os

import numpy as np
import pytest
from fusedgrad import _optional
from fusedgrad.data import CSV, Arrow, Parquet
from sklearn.preprocessing import StandardScaler

from .blocks import check
from .test_tables import source_of, write

pa = pytest.importorskip("pyarrow", reason="pyarrow reads these files")
pq = pytest.importorskip("pyarrow.parquet")

TABLE = pa.table({"a": np.arange(100.0), "b": np.arange(100), "y": np.arange(100) % 2})
SUFFIXES = [".parquet", ".arrow", ".arrows", ".csv"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_empty_file(tmp_path, suffix):
    (tmp_path / f"a{suffix}").touch()
    with pytest.raises(ValueError, match=rf"a{suffix}: the file is empty \(0 bytes\)"):
        source_of(tmp_path / f"a{suffix}").open()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_without_rows(tmp_path, suffix):
    write(tmp_path / f"a{suffix}", TABLE.slice(0, 0), 10)
    with pytest.raises(ValueError, match=rf"a{suffix}: there are no rows"):
        list(source_of(tmp_path / f"a{suffix}", target="y"))


@pytest.mark.parametrize("suffix", [".parquet", ".arrow", ".arrows"])
def test_a_file_without_rows_beside_others(tmp_path, suffix):
    for k, table in enumerate([TABLE.slice(0, 0), TABLE, TABLE.slice(0, 0)]):
        write(tmp_path / f"{k}{suffix}", table, 60)
    X = np.column_stack([TABLE["a"].to_numpy(), TABLE["b"].to_numpy()])
    source = source_of(tmp_path / f"*{suffix}", target="y")
    check(source, X, TABLE["y"].to_numpy())
    check(source.map(StandardScaler().fit(X).transform), StandardScaler().fit_transform(X), TABLE["y"].to_numpy())


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_folder_in_place_of_a_file(tmp_path, suffix):
    (tmp_path / f"a{suffix}").mkdir()
    with pytest.raises(FileNotFoundError, match=rf"There is no \*{suffix}s? in the folder|There is no"):
        source_of(tmp_path / f"a{suffix}").open()
    with pytest.raises(IsADirectoryError, match=rf"a{suffix} is a folder"):
        type(source_of(tmp_path))([tmp_path / f"a{suffix}"]).open()


@pytest.mark.parametrize("length", [1, 4, 100, -1, -9, -200])  # a stream may lack its last 8 bytes
@pytest.mark.parametrize("suffix", [".parquet", ".arrow", ".arrows"])
def test_a_truncated_file(tmp_path, suffix, length):
    path = tmp_path / f"a{suffix}"
    write(path, TABLE, 10)
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(ValueError, match=rf"a{suffix}[:,]"):
        list(source_of(path, target="y"))


def test_a_damaged_row_group(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(TABLE, path, row_group_size=50, compression="snappy", write_page_checksum=True)
    data = bytearray(path.read_bytes())
    begin = pq.read_metadata(path).row_group(1).column(0).data_page_offset
    data[begin : begin + 200] = os.urandom(200)
    path.write_bytes(data)
    with Parquet(path, "y").open() as reader:
        reader.group(0)
        with pytest.raises(ValueError, match=r"a.parquet, row group 1: the row group cannot be read, the file may be"):
            reader.group(1)


@pytest.mark.parametrize("suffix", [".parquet", ".arrow", ".arrows", ".csv"])
def test_something_else_than_a_table(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    path.write_bytes(b"\x00\x01 something else" * 100)
    with pytest.raises(ValueError, match=rf"a{suffix}"):
        list(source_of(path, target="y"))


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    ("other", "message"),
    [
        (TABLE.rename_columns(["a", "c", "y"]), "1.*: there is no column 'b', which .*0.* has"),
        (TABLE.drop(["y"]), "1.*: there is no column 'y'"),
        (TABLE.set_column(1, "b", pa.array(["word"] * 100)), r"1.*: column 'b'"),
        (TABLE.append_column("c", pa.array([1.0] * 100)), "1.*: there is a column 'c', which .*0.* has not.*columns="),
        (TABLE.set_column(0, "a", TABLE["a"].cast(pa.float32())), "1.*: column 'a' is float, but double in .*0"),
    ],
)
def test_files_that_differ(tmp_path, suffix, other, message):
    write(tmp_path / f"0{suffix}", TABLE, 50)
    write(tmp_path / f"1{suffix}", other, 50)
    source = source_of(tmp_path / f"?{suffix}", target="y")
    if suffix == ".csv" and ("is float" in message or "'c'" in message):
        list(source)  # numbers are numbers in text, and columns are found by their names
        return
    with pytest.raises(ValueError, match=message):
        list(source)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_columns_may_stand_in_another_order(tmp_path, suffix):
    write(tmp_path / f"0{suffix}", TABLE, 100)
    write(tmp_path / f"1{suffix}", TABLE.select(["y", "b", "a"]), 100)
    X = np.column_stack([TABLE["a"].to_numpy(), TABLE["b"].to_numpy()])
    check(source_of(tmp_path / f"?{suffix}", target="y"), np.concatenate([X, X]), np.tile(TABLE["y"].to_numpy(), 2))


def test_files_and_streams_of_arrow_together(tmp_path):
    write(tmp_path / "a.arrow", TABLE, 50)
    write(tmp_path / "a.arrows", TABLE, 50)
    with pytest.raises(ValueError, match=r"a.arrows: this is a stream of Arrow or no file of it, but .*a.arrow is"):
        Arrow([tmp_path / "a.arrow", tmp_path / "a.arrows"]).open()


@pytest.mark.parametrize("suffix", [".parquet", ".arrow"])
def test_a_file_that_changes_while_it_is_read(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    write(path, TABLE, 50)
    with source_of(path, target="y").open() as reader:
        reader.group(0)
        write(path, TABLE.slice(0, 90), 50)
        with pytest.raises(RuntimeError, match=rf"a{suffix}, (row group|record batch) 1: the file has changed"):
            reader.group(1)
        path.unlink()
        with pytest.raises(RuntimeError, match="the file is gone"):
            reader.group(1)


@pytest.mark.parametrize("suffix", [".arrows", ".csv"])
def test_a_stream_that_changes_while_it_is_read(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    rows = 300_000
    write(path, pa.table({"a": np.arange(rows) / 8, "y": np.zeros(rows)}), 1000)
    with source_of(path, group=1000, target="y").open() as reader:
        blocks = iter(reader)
        next(blocks)
        os.utime(path, ns=(1, 1))
        with pytest.raises(RuntimeError, match=rf"a{suffix}, rows from \d+ on: the file has changed"):
            list(blocks)


def test_a_word_in_the_row_1000001_of_a_csv(tmp_path):
    path = tmp_path / "a.csv"
    with open(path, "w") as file:
        file.write("size,rooms,sold\n")
        file.write("1.5,2,yes\n" * 1_000_000)
        file.write("1.5,word,yes\n")
        file.write("1.5,2,yes\n" * 10)
    with pytest.raises(ValueError, match=r"a.csv: column 'rooms': line 1000002: CSV conversion error to .*'word'"):
        list(CSV(path, "sold"))


def test_a_word_in_the_first_rows_of_a_second_csv(tmp_path):
    (tmp_path / "0.csv").write_text("a,y\n1,2\n")
    (tmp_path / "1.csv").write_text("a,y\n1,2\nword,2\n")
    with pytest.raises(ValueError, match=r"1.csv: column 'a': line 3: CSV conversion error to double: .*'word'"):
        list(CSV(tmp_path, "y"))


def test_a_row_of_a_csv_with_too_few_columns(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("a,b,y\n" + "1,2,0\n" * 500_000 + "1,2\n")
    with pytest.raises(ValueError, match=r"a.csv: CSV parse error: line 500002: Expected 3 columns, got 2: 1,2"):
        list(CSV(path, "y"))
    path.write_text("a,b,y\n1,2\n1,2,0\n")
    with pytest.raises(ValueError, match=r"a.csv: CSV parse error: line 2: Expected 3 columns, got 2|a.csv: .*got 2"):
        list(CSV(path, "y"))


def test_missing_values_in_a_csv(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("a,b,y\n" + "1,2,0\n" * 100 + "1,,0\n")
    with pytest.raises(ValueError, match=r"a.csv, rows 90 to 100: column 'b' \(double\) has 1 missing values"):
        list(CSV(path, "y", group=90))
    path.write_text("a,b,y\n" + "1,2,\n" * 100)
    with pytest.raises(ValueError, match=r"column 'y' \(double\) has 100 missing values, the first in row 0"):
        list(CSV(path, "y"))


def test_a_label_far_down_in_a_csv_whose_targets_looked_like_numbers(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("a,y\n" + "1,2\n" * 500_000 + "1,many\n")
    with pytest.raises(ValueError, match=r"column 'y': line 500002: .*'many'.*types=\{'name': 'float64'\}"):
        list(CSV(path, "y"))
    assert list(CSV(path, "y", types={"y": "string"}))[-1].y[-1] == "many"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"delimiter": ";;"}, "delimiter must be one character"),
        ({"types": {"a": "number"}}, r"types: 'number' \(of 'a'\) is no type of Arrow"),
        ({"group": 0}, "group must be"),
    ],
)
def test_wrong_options_of_a_csv(options, message):
    with pytest.raises(ValueError, match=message):
        CSV("a.csv", **options)


def test_a_quoted_comma_is_no_delimiter(tmp_path):
    (tmp_path / "a.csv").write_text('a,y\n1,"yes, please"\n2,no\n')
    check(CSV(tmp_path / "a.csv", "y"), np.array([[1.0], [2]]), np.array(["yes, please", "no"]))


def test_addresses_are_no_paths():
    with pytest.raises(ValueError, match=r"s3://bucket/a.parquet: only files of this machine.*pyarrow.dataset"):
        Parquet("s3://bucket/a.parquet")


def test_pyarrow_is_asked_for_where_it_is_missing(monkeypatch):
    import importlib

    def missing(name):
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr(importlib, "import_module", missing)
    _optional.library.cache_clear()
    for kind in (Parquet, CSV, Arrow):
        with pytest.raises(
            ImportError, match=r"pyarrow, which this needs, is not installed: pip install fusedgrad\[data\]"
        ):
            kind("a")
