"""Every activation equals its formula, whatever type and length the array has, and its slope is its derivative."""

import numpy as np
import pytest
from fusedgrad import _core, layers

from ..reference.activations import ACTIVATIONS, ROWS

DTYPES = (np.float64, np.float32)


RTOL = {np.float64: 1e-13, np.float32: 1e-6}


# Below, numbers are as good as zero: e^-x is cut off just above the smallest normal number.
FLOOR = {np.float64: 1e-300, np.float32: 1e-35}


LARGEST = {np.float64: 700.0, np.float32: 85.0}  # where e^-x is not yet cut off


FIELDS = {name: [field[0] for field in fields] for name, _, fields in _core.activation_catalog()}


every_activation = pytest.mark.parametrize(
    "name, fields",
    [pytest.param(name, f, id="-".join(map(str, (name, *f.values())))) for name in ROWS for f in ROWS[name].fields],
)


every_dtype = pytest.mark.parametrize("dtype", DTYPES)


def core(name, fields, x):
    return _core.activation_points(name, list(fields.items()), x)


def judged(name, fields, x):
    """Outputs and slopes, in float64."""
    with np.errstate(under="ignore"):
        return ACTIVATIONS[name](x.astype(np.float64), **fields)


def points(name, dtype):
    """Random inputs, small and large ones, the kinks and their neighbours."""
    rng = np.random.default_rng(0)
    sizes = np.geomspace(1e-30, LARGEST[dtype], 500)
    near_zero = rng.uniform(-1, 1, 500)
    x = np.concatenate([rng.normal(0, 3, 500), rng.uniform(-40, 40, 500), near_zero, sizes, -sizes, [0.0]]).astype(
        dtype
    )
    kinks = np.array(ROWS[name].kinks, dtype=dtype)
    around = [np.nextafter(kinks, dtype(side)) for side in (-np.inf, np.inf)]
    return np.concatenate([x, kinks, *around])


def test_every_activation_has_a_reference_with_the_same_parameters():
    assert set(layers.activations()) == set(FIELDS) == set(ROWS)
    assert {name: ROWS[name].names for name in ROWS} == FIELDS
    for known in ROWS.values():
        assert [set(fields) for fields in known.fields] == [set(known.names)] * len(known.fields)
        assert len(known.fields) > 1 or not known.names


@pytest.mark.parametrize("name", [name for name, fields in FIELDS.items() if fields])
def test_parameters_have_the_defaults_of_the_reference(name):
    x = np.linspace(-3, 3, 31)
    given = {field[0]: field[1] for key, _, fields in _core.activation_catalog() if key == name for field in fields}
    for ours, reference in zip(core(name, given, x), judged(name, {}, x), strict=True):
        np.testing.assert_allclose(ours, reference, rtol=1e-13)


@every_dtype
@every_activation
def test_outputs_equal_the_reference(name, fields, dtype):
    x = points(name, dtype)
    y, _ = core(name, fields, x)
    assert y.dtype == dtype
    expected, slope = judged(name, fields, x)
    # The exact output of an input that is a few roundings off is as good as any.
    room = RTOL[dtype] * np.abs(expected) + 4 * np.finfo(dtype).eps * np.abs(x * slope) + FLOOR[dtype]
    wrong = np.abs(y - expected) > room
    assert not wrong.any(), (x[wrong], y[wrong], expected[wrong])


@every_dtype
@every_activation
def test_slopes_equal_the_reference(name, fields, dtype):
    x = points(name, dtype)
    _, slope = core(name, fields, x)
    assert slope.dtype == dtype
    expected = judged(name, fields, x)[1]
    # Slopes are told from outputs that are rounded, so those near zero are off by a rounding of 1.
    np.testing.assert_allclose(slope, expected, rtol=RTOL[dtype], atol=10 * np.finfo(dtype).eps)


@every_activation
def test_the_slope_is_the_derivative_of_the_output(name, fields):
    h = 1e-4
    x = points(name, np.float64)
    x = x[np.abs(x) < 30]
    for kink in ROWS[name].kinks:
        x = x[np.abs(x - kink) > 3 * h]
    assert len(x) > 500
    at = {k: core(name, fields, x + k * h)[0] for k in (-2, -1, 1, 2)}
    difference = (8 * (at[1] - at[-1]) - (at[2] - at[-2])) / (12 * h)
    np.testing.assert_allclose(core(name, fields, x)[1], difference, rtol=1e-9, atol=1e-10)


@every_activation
def test_the_references_slope_is_the_derivative_of_its_output(name, fields):
    h = 1e-4
    x = points(name, np.float64)
    x = x[np.abs(x) < 30]
    for kink in ROWS[name].kinks:
        x = x[np.abs(x - kink) > 3 * h]
    at = {k: judged(name, fields, x + k * h)[0] for k in (-2, -1, 1, 2)}
    difference = (8 * (at[1] - at[-1]) - (at[2] - at[-2])) / (12 * h)
    np.testing.assert_allclose(judged(name, fields, x)[1], difference, rtol=1e-9, atol=1e-10)


@every_dtype
@every_activation
def test_the_length_of_the_array_changes_no_bit(name, fields, dtype):
    x = np.resize(np.random.default_rng(1).permutation(points(name, dtype)), 67 * 34)
    single = [core(name, fields, x[i : i + 1]) for i in range(len(x))]
    y, slope = (np.concatenate(parts) for parts in zip(*single, strict=True))
    begin = 0
    for n in range(68):
        some = core(name, fields, np.ascontiguousarray(x[begin : begin + n]))
        np.testing.assert_array_equal(some[0], y[begin : begin + n], strict=True)
        np.testing.assert_array_equal(some[1], slope[begin : begin + n], strict=True)
        begin += n


@every_dtype
@every_activation
def test_nan_stays_nan_and_reaches_no_neighbour(name, fields, dtype):
    for n in (1, 3, 16, 67):
        x = np.linspace(-2, 2, n, dtype=dtype)
        without = core(name, fields, x)[0]
        for i in range(n):
            spoilt = x.copy()
            spoilt[i] = np.nan
            y = core(name, fields, spoilt)[0]
            assert np.isnan(y[i])
            np.testing.assert_array_equal(np.delete(y, i), np.delete(without, i))


@every_dtype
@every_activation
def test_huge_inputs_give_what_the_formula_tends_to(name, fields, dtype):
    top = float(np.finfo(dtype).max)
    sizes = np.array([100, 710, 1000, 1e5, 1e10, 1e20, top**0.75, top / 1e6, top / 8], dtype=dtype)
    x = np.concatenate([sizes, -sizes])
    y, slope = core(name, fields, x)
    expected, expected_slope = ROWS[name].far(x.astype(float), **fields)
    np.testing.assert_allclose(y, expected, rtol=RTOL[dtype], atol=1e-6)
    np.testing.assert_allclose(slope, expected_slope, rtol=RTOL[dtype], atol=1e-6)


@every_dtype
@every_activation
def test_infinite_inputs_give_their_limit_or_nothing_finite(name, fields, dtype):
    ends = np.array([np.inf, -np.inf], dtype=dtype)
    with np.errstate(invalid="ignore"):
        limits = ROWS[name].far(ends.astype(float), **fields)[0]
    for found, limit in zip(core(name, fields, ends)[0], limits, strict=True):
        assert not np.isfinite(found) or found == pytest.approx(limit, rel=RTOL[dtype], abs=FLOOR[dtype])
