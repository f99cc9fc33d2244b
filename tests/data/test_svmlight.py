"""Files of SVMlight and LIBSVM."""

import pickle

import numpy as np
import pytest
import scipy.sparse as sp
from fusedgrad.data import SVMLight, _svmlight
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.datasets import dump_svmlight_file

from .blocks import check


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.integers(1, 60),
    st.integers(1, 8),
    st.integers(1, 70),
    st.booleans(),
    st.sampled_from(["float32", "float64"]),
    st.integers(5, 200),
)
def test_rows_of_a_file(tmp_path, monkeypatch_module, rows, columns, group, zero_based, dtype, piece):
    monkeypatch_module.setattr(_svmlight, "_PIECE", piece)
    random = np.random.default_rng(rows)
    X = sp.csr_array(sp.random_array((rows, columns), density=0.4, random_state=random).toarray().round(3))
    y = random.integers(0, 3, rows).astype(float)
    path = tmp_path / "a.svm"
    dump_svmlight_file(sp.csr_matrix(X), y, str(path), zero_based=zero_based)
    sizes = [min(group, rows - begin) for begin in range(0, rows, group)]
    source = SVMLight(path, columns, zero_based=zero_based, dtype=dtype, group=group)
    expected = sp.csr_array(X.astype(dtype)), y.astype(dtype).astype(np.float64)
    check(source, *expected, sizes=sizes)
    check(pickle.loads(pickle.dumps(source)), *expected, sizes=sizes)


@pytest.fixture(scope="module")
def monkeypatch_module():
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.mark.parametrize("group", [1, 2, 3, 4])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("last", ["", "\n", "\n\n# the end", "\n# the end\n"])
def test_comments_and_blank_lines_are_no_rows(tmp_path, group, end, last):
    lines = ["# a file", "1 0:1 # one", "", "0", "   ", "1 1:2.5", "#", "0 0:3 1:4"]
    path = tmp_path / "a.svm"
    path.write_bytes((end.join(lines) + last).encode())
    X = sp.csr_array(np.array([[1.0, 0], [0, 0], [0, 2.5], [3, 4]]))
    sizes = [min(group, 4 - begin) for begin in range(0, 4, group)]
    check(SVMLight(path, 2, group=group), X, np.array([1.0, 0, 1, 0]), sizes=sizes)


def test_bytes_of_groups_are_about_those_of_blocks(tmp_path):
    X = sp.random_array((500, 300), density=0.1, format="csr", random_state=0)
    dump_svmlight_file(sp.csr_matrix(X), np.zeros(500), str(tmp_path / "a.svm"))
    with SVMLight(tmp_path / "a.svm", 300, group=100).open() as reader:
        assert sum(group.nbytes for group in reader.groups) == pytest.approx(sum(b.nbytes for b in reader), rel=2.0)


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("1 0:1\n0 word\n", {}, r"a.svm, rows 0 to 1: row 1 \('0 word'\)"),
        ("1 0:1\n0 0:1\n1 0:x\n", {"group": 1}, r"a.svm, rows 2 to 2: row 2 \('1 0:x'\)"),
        ("1 0:1\n0 5:1\n", {}, r"row 1 .*n_features.*zero_based \(True\)"),
        ("1 1:1\n0 0:1\n", {"zero_based": False}, r"row 1 .*zero_based \(False\)"),
        ("# nothing\n", {}, "a.svm: there are no rows"),
        ("", {}, "a.svm: the file is empty"),
    ],
)
def test_wrong_files_are_named(tmp_path, text, options, message):
    (tmp_path / "a.svm").write_text(text)
    with pytest.raises(ValueError, match=message):
        list(SVMLight(tmp_path / "a.svm", 2, **options))


def test_a_file_that_changes_while_it_is_read(tmp_path):
    path = tmp_path / "a.svm"
    path.write_text("1 0:1\n0 1:1\n")
    with SVMLight(path, 2, group=1).open() as reader:
        reader.group(0)
        path.write_text("1 0:1\n")
        with pytest.raises(RuntimeError, match="a.svm, rows 1 to 1: the file has changed"):
            reader.group(1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_features": 0}, "n_features must be the number of columns"),
        ({"n_features": 2, "zero_based": "auto"}, "zero_based must be True or False"),
        ({"n_features": 2, "dtype": "int8"}, "dtype must be float32"),
        ({"n_features": 2, "group": 0}, "group must be a number of rows"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        SVMLight("a.svm", **arguments)


def test_there_is_no_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="There is no file"):
        SVMLight(tmp_path / "a.svm", 2).open()
