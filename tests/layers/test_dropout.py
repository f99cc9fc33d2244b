"""What dropout drops: its share, independently, by seed, step and layer; and nothing in predictions."""

import math

import numpy as np
import pytest
from fusedgrad import layers as L

from ..networks import Case, dropped, every_dtype


@every_dtype
@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5, 0.9])
def test_dropout_keeps_the_mean_and_drops_its_share(rate, dtype):
    rows, numbers = 90, 211
    y = dropped(rate, rows, numbers, seed=5, dtype=dtype)
    kept = y != 0
    np.testing.assert_allclose(y[kept], 1 / (1 - rate), rtol=1e-6)
    deviation = math.sqrt(rate * (1 - rate) / y.size)
    assert abs((1 - kept.mean()) - rate) <= 4 * deviation
    assert abs(y.mean() - 1) <= 4 * deviation / (1 - rate) + 1e-6
    for axis, size in ((0, rows), (1, numbers)):  # nor does a row or a column have too many
        assert np.abs((1 - kept).mean(axis=axis) - rate).max() <= 5 * math.sqrt(rate * (1 - rate) / size)


def agreement(a, b):
    return np.mean((a != 0) == (b != 0))


def test_neighbours_are_dropped_independently():
    y = dropped(0.5, 90, 210, seed=3)
    numbers = y.ravel()
    for apart in (1, 2, 3, 210):
        for start in (0, 1):
            a, b = numbers[start:-apart:2], numbers[start + apart :: 2]
            n = min(len(a), len(b))
            assert abs(agreement(a[:n], b[:n]) - 0.5) <= 4 * 0.5 / math.sqrt(n)


def test_masks_follow_the_seed_the_step_and_the_layer():
    rows, numbers, rate = 60, 101, 0.5
    first = dropped(rate, rows, numbers, seed=7)
    np.testing.assert_array_equal(dropped(rate, rows, numbers, seed=7), first)
    np.testing.assert_array_equal(dropped(rate, rows, numbers, seed=7, threads=4), first)
    others = [{"seed": 8}, {"seed": 7, "step": 2}, {"seed": 7, "step": 3}, {"seed": 7, "node": 1}]
    for other in others:
        same = agreement(dropped(rate, rows, numbers, **other), first)
        assert abs(same - 0.5) <= 4 * 0.5 / math.sqrt(first.size), other


def test_predictions_are_not_dropped():
    layers = [L.Dense(20, "tanh"), L.Dense(3)]
    without = Case(layers, (9,), 40, "squared_error", 0)
    case = Case([L.Dropout(0.5), layers[0], L.Dropout(0.8), layers[1], L.Dropout(0.9)], (9,), 40, "squared_error", 0)
    case.weights = without.weights
    np.testing.assert_array_equal(case.predicted(without.X), without.predicted(without.X))
