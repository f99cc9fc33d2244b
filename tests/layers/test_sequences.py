"""Layers of sequences: truncation, padding, slopes that are zero, and how weights begin."""

import math

import numpy as np
import pytest
from fusedgrad import layers as L

from ..networks import Case, Net, all_differences, assert_close, every_dtype, gradient_of
from ..reference.layers import SEQUENTIAL

every_recurrent = pytest.mark.parametrize("kind", SEQUENTIAL, ids=lambda kind: kind.__name__)


def test_a_state_of_zero_has_no_slope_through_relu():
    layers = [L.Dense(3), L.SimpleRNN(4, activation="relu", bias=False, return_sequences=True), L.Dense(2)]
    case = Case(layers, (3, 2), 5, "squared_error", 0)
    case.weights[0][:] = case.weights[1][:] = 0
    _, *expected = case.judged()
    found = gradient_of(case.training())[2]
    assert_close(found, expected[2], 1e-12)
    for gradient in found[:2]:
        np.testing.assert_array_equal(gradient, 0.0)
    assert np.abs(found[-1]).max() > 0.1


# ---- truncation ----


@every_recurrent
@pytest.mark.parametrize("both_ways", [False, True])
@pytest.mark.parametrize("sequences", [False, True])
def test_truncation_that_never_happens_changes_nothing(kind, sequences, both_ways):
    def gradient(truncate):
        layer = kind(5, return_sequences=sequences, bidirectional=both_ways, truncate=truncate)
        return gradient_of(Case([L.Dense(4), layer, L.Dense(2)], (6, 3), 9, "squared_error", 0).training())

    whole = gradient(None)
    for truncate in (6, 7, 100):
        other = gradient(truncate)
        assert other[:2] == whole[:2]
        for ours, first in zip(other[2], whole[2], strict=True):
            np.testing.assert_array_equal(ours, first)
    for truncate in (1, 2, 5):  # the loss is the same, the gradient is not
        other = gradient(truncate)
        assert other[0] == whole[0]
        assert np.abs(other[2][2] - whole[2][2]).max() > 1e-6


@every_recurrent
@pytest.mark.parametrize("truncate", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("masked", [False, True])
def test_truncated_slopes_equal_the_references(kind, truncate, masked):
    layer = kind(6, return_sequences=True, bidirectional=True, truncate=truncate)
    layers = [*[L.Masking()] * masked, L.Dense(4), layer, kind(3, truncate=truncate), L.Dense(2)]
    case = Case(layers, (8, 3), 17, "squared_error", 0, weighted=True)
    _, *expected = case.judged()
    found = gradient_of(case.training(threads=2))
    assert_close(found[2], expected[2], 1e-10)


# ---- masks ----


@every_recurrent
@every_dtype
@pytest.mark.parametrize("sequences", [False, True])
def test_padding_changes_nothing(kind, sequences, dtype):
    """A short sequence, filled up anywhere (with a number that float32 rounds), gives what it gives by itself."""
    rng = np.random.default_rng(0)
    layer, steps, length = kind(5, return_sequences=sequences, bidirectional=True), 9, 4
    padded = Case([L.Masking(0.1), layer], (steps, 3), 30, "squared_error", 0)
    alone = Case([layer], (length, 3), 30, "squared_error", 0)
    alone.weights = padded.weights
    X, there = np.full((30, steps, 3), 0.1), np.sort(np.argsort(rng.random((30, steps)), axis=1)[:, :length], axis=1)
    np.put_along_axis(X, there[:, :, None], alone.X.reshape(30, length, 3), axis=1)
    found, expected = padded.predicted(X.reshape(30, -1), dtype), alone.predicted(alone.X, dtype)
    if sequences:
        found = found.reshape(30, steps, 10)
        gone = np.ones((30, steps), dtype=bool)
        np.put_along_axis(gone, there, False, axis=1)
        assert (found[gone] == 0).all()
        found = np.take_along_axis(found, there[:, :, None], axis=1).reshape(30, -1)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-13 if dtype == np.float64 else 1e-5)


def test_a_step_is_padding_only_if_all_its_numbers_are():
    case = Case([L.Masking(0.0), L.GRU(4)], (3, 2), 1, "squared_error", 0)
    plain = Case([L.GRU(4)], (3, 2), 1, "squared_error", 0)
    plain.weights = case.weights
    X = np.array([[1.0, 0.0, 0.0, 2.0, 3.0, 4.0]])
    np.testing.assert_array_equal(case.predicted(X), plain.predicted(X))
    X = np.array([[1.0, 0.0, 0.0, 0.0, 3.0, 4.0]])
    assert np.abs(case.predicted(X) - plain.predicted(X)).max() > 1e-3


def test_the_mask_ends_where_time_steps_change():
    first = L.GRU(4, return_sequences=True)
    case = Case([L.Masking(), first, L.Conv1D(3, 1), L.GRU(2)], (6, 2), 12, "squared_error", 0)
    assert (case.X.reshape(12, 6, 2) == 0).all(axis=2).any()
    judge = case.judge()
    assert_close([case.predicted(case.X)], [judge.forward(case.X)], 1e-12)
    assert judge.layers[1].skipped is not None
    assert judge.layers[3].skipped is None


@pytest.mark.parametrize("padding", [None, 1])
def test_the_gradient_of_an_embedding_is_that_of_the_loss(padding):
    case = Case([L.Embedding(4, 3, padding=padding), L.GRU(3), L.Dense(2)], (5,), 6, "softmax", 0)
    assert len(np.unique(case.X)) == 4
    task = case.training()
    loss, _, gradients = gradient_of(task)
    scratch = np.zeros_like(task.flat)
    differences = all_differences(lambda: task.loss_gradient(scratch)[0] - loss, task.parts)
    assert_close(gradients, differences, 1e-7, 1e-9)
    for code in range(4):
        assert (np.abs(gradients[0][code]).max() > 0) == (code != padding)


# ---- how weights begin ----

GATES = {L.SimpleRNN: 1, L.GRU: 3, L.LSTM: 4}


def fresh(layer, shape, seed=0, dtype=np.float64):
    weights, _ = Net([layer], shape).fresh(np.random.RandomState(seed), dtype)
    return weights


@pytest.mark.parametrize("kind, gates", [(kind, GATES[kind]) for kind in SEQUENTIAL])
@pytest.mark.parametrize("both_ways", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_recurrent_weights_begin_gate_by_gate(kind, gates, both_ways, bias):
    units, features = 24, 70
    weights = fresh(kind(units, bidirectional=both_ways, bias=bias), (5, features))
    each = 4 if bias else 2
    assert len(weights) == each * (1 + both_ways)
    matrices = []
    for way in range(1 + both_ways):
        W, U, *biases = weights[way * each : (way + 1) * each]
        assert W.shape == (features, gates * units)
        assert U.shape == (units, gates * units)
        assert [b.shape for b in biases] == [(1, gates * units)] * 2 * bias
        variance = 2 / (features + units)  # Glorot's, uniform
        for gate in range(gates):
            block, kernel = U[:, gate * units :][:, :units], W[:, gate * units :][:, :units]
            np.testing.assert_allclose(block.T @ block, np.eye(units), atol=1e-12)
            assert abs(np.mean(kernel**2) - variance) < 5 * variance * math.sqrt(0.8 / kernel.size)
            assert np.abs(kernel).max() <= math.sqrt(3 * variance)
            matrices += [block, kernel]
        expected = np.zeros((1, gates * units))
        if kind is L.LSTM:
            expected[:, units : 2 * units] = 1.0
        if bias:
            np.testing.assert_array_equal(biases[0], expected)
            np.testing.assert_array_equal(biases[1], 0.0)
    drawn = {matrix.tobytes() for matrix in matrices}
    assert len(drawn) == len(matrices)  # none is another's copy


@pytest.mark.parametrize("forget_bias", [0.0, 1.0, -2.5])
def test_the_forget_gate_has_a_bias_of_its_own(forget_bias):
    _, _, b, inner = fresh(L.LSTM(3, forget_bias=forget_bias, bias_init=0.25), (4, 2))
    np.testing.assert_array_equal(b.reshape(4, 3), 0.25 + np.outer([0, forget_bias, 0, 0], np.ones(3)))
    assert not inner.any()


def test_an_embedding_begins_with_vectors_of_length_one_or_so():
    (table,) = fresh(L.Embedding(500, 30), (4,))
    assert table.shape == (500, 30)
    assert abs(np.mean(table**2) * 30 - 1) < 5 * math.sqrt(2 / table.size)
    assert abs(table.mean()) < 5 / math.sqrt(30 * table.size)
