"""The core's way from columns to rows, beside NumPy's."""

import numpy as np
import pytest
from fusedgrad import _core
from hypothesis import given, settings
from hypothesis import strategies as st

DTYPES = ["float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]


def extremes(dtype, rows, random):
    """Numbers over all of a type, its ends among them."""
    dtype = np.dtype(dtype)
    if dtype.kind == "f":
        numbers = random.normal(size=rows).astype(dtype)
        ends = [np.nan, np.inf, -np.inf, -0.0, np.finfo(np.float32).max, 1e-45]
    else:
        limits = np.iinfo(dtype)
        numbers = random.integers(limits.min, limits.max, rows, dtype=dtype, endpoint=True)
        ends = [limits.min, limits.max]
    count = min(rows, len(ends))
    numbers[:count] = ends[:count]
    return numbers


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.sampled_from(DTYPES), min_size=1, max_size=70),
    st.sampled_from([0, 1, 3, 7, 8, 9, 255, 256, 257, 600]),
    st.sampled_from(["float32", "float64"]),
    st.integers(1, 3),
    st.integers(0, 9),
)
def test_bits_are_those_of_numpy(dtypes, rows, out, threads, seed):
    random = np.random.default_rng(seed)
    columns = [extremes(dtype, rows, random) for dtype in dtypes]
    found = _core.rows_of_columns(columns, np.dtype(out), threads)
    expected = np.empty((rows, len(columns)), out)
    for k, column in enumerate(columns):
        expected[:, k] = column
    assert found.flags.c_contiguous
    assert found.dtype == out
    assert found.tobytes() == expected.tobytes()


def test_slices_of_columns():
    column = np.arange(100.0)
    found = _core.rows_of_columns([column[3:50], column[53:]], np.dtype("float32"))
    assert np.array_equal(found, np.column_stack([column[3:50], column[53:]]))


@pytest.mark.parametrize(
    ("columns", "dtype", "message"),
    [
        ([], "float32", "columns: there is none"),
        ([np.zeros(3), np.zeros(4)], "float32", "columns: they must have the same number of rows"),
        ([np.zeros(8)[::2]], "float32", "columns: expected aligned one-dimensional arrays in one piece"),
        ([np.zeros((3, 2))], "float32", "columns: expected aligned one-dimensional"),
        ([np.zeros(3, ">f8")], "float32", "columns: expected"),
        ([np.zeros(3, "float16")], "float32", "columns: expected"),
        ([np.zeros(3, "longdouble")], "float32", "columns: expected"),
        ([np.zeros(3, "bool")], "float32", "columns: expected"),
        ([np.zeros(3, "complex64")], "float32", "columns: expected"),
        ([np.frombuffer(b"\0" * 17, np.float64, 2, 1)], "float32", "columns: expected aligned"),
        ([np.zeros(3)], "int32", "dtype: float32 or float64"),
    ],
)
def test_other_columns_are_refused(columns, dtype, message):
    with pytest.raises(ValueError, match=message):
        _core.rows_of_columns(columns, np.dtype(dtype))
