"""Convolutions and pooling: what windows are, ties, images of no size, and how filters begin."""

import math

import numpy as np
import pytest
from fusedgrad import layers as L

from ..child import forked
from ..networks import Case, Net, assert_close, every_dtype, gradient_of
from ..reference import network


def test_the_references_windows_are_those_of_the_definition():
    rng = np.random.default_rng(0)
    x, W = rng.normal(size=(1, 5, 6, 4)), rng.normal(size=(2 * 3 * 2, 6))
    judge = network.Conv2D(W, None, (2, 3), stride=(2, 1), padding=(1, 2), dilation=(3, 2), groups=2)
    found = judge.forward(x, False)
    assert found.shape == (1, (5 + 2 - 4) // 2 + 1, 6 + 4 - 5 + 1, 6)
    for y, x_, f in np.ndindex(found.shape[1:]):
        total = 0.0
        for ky, kx, c in np.ndindex(2, 3, 2):
            at = 2 * y + 3 * ky - 1, x_ + 2 * kx - 2
            if 0 <= at[0] < 5 and 0 <= at[1] < 6:
                total += x[0, at[0], at[1], c + 2 * (f // 3)] * W[(ky * 3 + kx) * 2 + c, f]
        assert found[0, y, x_, f] == pytest.approx(total, abs=1e-12)


@pytest.mark.parametrize("stride, kernel", [(1, 2), (1, 3), (2, 3), (3, 2), (2, 5), (4, 1)])
@pytest.mark.parametrize("size", [5, 6, 7])
def test_same_makes_as_many_windows_as_strides_fit(size, stride, kernel):
    before, after = network.Window(kernel, stride, "same").around(size, 0)
    assert 0 <= after - before <= 1
    assert (size + before + after - kernel) // stride + 1 == math.ceil(size / stride)
    assert L.Conv2D(1, kernel, stride=stride, padding="same").shape((size, size, 1))[0] == math.ceil(size / stride)
    assert L.Conv1D(1, kernel, stride=stride, padding="same").shape((size, 1))[0] == math.ceil(size / stride)


def test_of_equal_numbers_the_first_gets_the_slope_and_padding_does_not_count():
    judge = network.MaxPool2D(2, padding=1)
    x = np.full((1, 2, 2, 1), -3.0)
    np.testing.assert_array_equal(judge.forward(x, True), x)
    np.testing.assert_array_equal(judge.backward(np.ones((1, 2, 2, 1))), np.ones((1, 2, 2, 1)))
    judge = network.MaxPool2D(2)
    judge.forward(x, True)
    np.testing.assert_array_equal(judge.backward(np.ones((1, 1, 1, 1))).ravel(), [1, 0, 0, 0])
    np.testing.assert_array_equal(network.AvgPool2D(2, padding=1).forward(x, True), x)


@every_dtype
@pytest.mark.parametrize("options", [{}, {"stride": 1}, {"stride": 1, "padding": "same"}, {"stride": 2, "padding": 1}])
def test_of_equally_large_pixels_the_first_gets_the_slope(dtype, options):
    case = Case([L.Conv2D(9, 1), L.MaxPool2D((2, 3), **options), L.Flatten(), L.Dense(2)], (4, 5, 2), 12, "softmax", 0)
    rng = np.random.default_rng(0)
    case.X = rng.integers(2, size=case.X.shape).astype(float)
    case.weights[0][:], case.weights[1][:] = rng.choice([-1.0, 1.0], (2, 9)), 0.0
    judge, *expected = case.judged()
    assert (judge.layers[1].gaps() == 0).mean() > 0.2  # where different pixels have the same sum
    assert not judge.rounding_decides(0.5)
    rtol = 1e-11 if dtype == np.float64 else 1e-5
    assert_close(gradient_of(case.training(dtype=dtype))[2], expected[2], rtol)


NO_CHANNELS = """
import numpy as np
from fusedgrad import layers as L
from tests.networks import Case, assert_close, gradient_of
for layer, shape in (L.Conv2D(2, 2), (3, 3, 0)), (L.Conv1D(2, 2), (4, 0)), (L.GRU(2), (4, 0)):
    try:
        case = Case([layer, L.Flatten(), L.Dense(2)], shape, 3, "squared_error", 0)
    except ValueError as error:
        assert "rows of shape" in str(error), error
    else:
        assert_close([case.predicted()], [case.judge().forward(case.X)], 1e-12)
        assert_close(gradient_of(case.training())[2], case.judged()[-1], 1e-10, 1e-12)
    print(layer, flush=True)
"""


def test_rows_without_channels_are_refused_or_give_what_the_bias_makes():
    done = forked(NO_CHANNELS)  # which might be killed
    assert done.returncode == 0, (done.returncode, done.stdout, done.stderr)


# ---- how weights begin ----


def fresh(layer, shape, seed=0, dtype=np.float64):
    weights, _ = Net([layer], shape).fresh(np.random.RandomState(seed), dtype)
    return weights


@pytest.mark.parametrize("groups", [1, 4, 16])
@pytest.mark.parametrize("activation, scale", [("relu", 2), ("selu", 1), (None, None)])
def test_filters_begin_with_the_variance_of_their_fan_in(activation, scale, groups):
    layer, channels, taps, filters = L.Conv2D(64, (3, 5), activation, groups=groups), 16, 15, 64
    W, b = fresh(layer, (9, 9, channels))
    fan_in, fan_out = taps * channels // groups, taps * filters // groups
    assert W.shape == (fan_in, filters)
    assert b.shape == (1, filters)
    assert not b.any()
    variance = 2 / (fan_in + fan_out) if scale is None else scale / fan_in
    uniform = activation != "selu"
    # The variance of a mean of squares is (kurtosis - 1) variance² / n.
    deviation = variance * math.sqrt((9 / 5 if uniform else 3) - 1) / math.sqrt(W.size)
    assert abs(np.mean(W**2) - variance) < 5 * deviation
    assert (np.abs(W).max() <= math.sqrt(3 * variance)) == uniform


def test_filters_of_sequences_begin_as_those_of_images_of_one_row():
    one = fresh(L.Conv1D(6, 5, "relu", groups=2), (9, 4))
    two = fresh(L.Conv2D(6, (1, 5), "relu", groups=2), (1, 9, 4))
    for ours, other in zip(one, two, strict=True):
        np.testing.assert_array_equal(ours, other)


@every_dtype
@pytest.mark.parametrize("layer, shape", [(L.Conv2D(4, 2), (3, 3, 2)), (L.LSTM(3), (4, 2)), (L.Embedding(5, 2), (4,))])
def test_beginnings_follow_the_seed_and_the_dtype(layer, shape, dtype):
    first, again, other = (fresh(layer, shape, seed, dtype) for seed in (0, 0, 1))
    assert all(w.dtype == dtype for w in first)
    for ours, same in zip(first, again, strict=True):
        np.testing.assert_array_equal(ours, same)
    assert np.abs(first[0] - other[0]).max() > 1e-3
