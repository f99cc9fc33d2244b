"""Products of all sizes, dense and sparse: every end that may not fill a register."""

import numpy as np
import pytest
import scipy.sparse as sp
from fusedgrad import layers as L

from ..networks import Case, Net, assert_close, every_dtype, goal_of, gradient_of, stored, training_of
from ..reference.layers import SEQUENTIAL


@pytest.mark.parametrize("storage", ["dense", "csr32"])
@every_dtype
def test_products_of_all_sizes(dtype, storage):
    rng = np.random.default_rng(0)
    rtol = 1e-13 if dtype == np.float64 else 1e-5
    X = rng.normal(size=(67, 67))
    X[rng.random(X.shape) < 0.4] = 0
    W, b = rng.normal(size=(67, 67)).astype(dtype), rng.normal(size=(1, 67)).astype(dtype)
    X = X.astype(dtype)
    sizes = np.abs(X.astype(float)) @ np.abs(W.astype(float))
    for inputs in range(68):
        x, w = np.ascontiguousarray(X[:, :inputs]), W[:inputs]
        expected = x.astype(float) @ w.astype(float) + b.astype(float)
        given = stored(x, storage)
        for units in range(1, 68):
            rows = (7 * inputs + 5 * units) % 67 + 1
            net = Net([L.Dense(units)], (inputs,))
            weights = [np.ascontiguousarray(w[:, :units]), np.ascontiguousarray(b[:, :units])]
            found = net.predict(weights, [], given[:rows], layer=-1, threads=1)
            room = rtol * (sizes[:rows, :units] + 1)
            wrong = np.abs(found - expected[:rows, :units]) > room
            assert found.shape == (rows, units)
            assert not wrong.any(), (inputs, units, rows)


@every_dtype
def test_products_of_any_number_of_rows(dtype):
    rng = np.random.default_rng(1)
    for units in (1, 2, 7, 8, 9, 16, 17, 31, 33, 48, 67):
        for inputs in (0, 1, 3, 16, 67):
            net = Net([L.Dense(units)], (inputs,))
            X = rng.normal(size=(67, inputs)).astype(dtype)
            W, b = rng.normal(size=(inputs, units)).astype(dtype), rng.normal(size=(1, units)).astype(dtype)
            whole = X.astype(float) @ W.astype(float) + b.astype(float)
            for rows in range(68):
                found = net.predict([W, b], [], X[:rows], layer=-1, threads=1)
                np.testing.assert_allclose(found, whole[:rows], rtol=0, atol=1e-12 if dtype == np.float64 else 1e-4)


@pytest.mark.parametrize("storage", ["dense", "csr32"])
def test_gradients_of_products_of_all_sizes(storage):
    rng = np.random.default_rng(2)
    X = rng.normal(size=(67, 67))
    X[rng.random(X.shape) < 0.4] = 0
    W, V, Y = rng.normal(size=(67, 67)) / 8, rng.normal(size=(67, 5)), rng.normal(size=(67, 5))
    for inputs in range(1, 68):
        for units in range(1, 68):
            rows, outputs = (7 * inputs + 5 * units) % 67 + 1, (inputs + units) % 5 + 1
            x, w, v = X[:rows, :inputs], W[:inputs, :units], V[:units, :outputs]
            b, y = np.zeros((1, units)), np.ascontiguousarray(Y[:rows, :outputs])
            net = Net([L.Dense(units), L.Dense(outputs, bias=False)], (inputs,))
            goal = goal_of(y, outputs, "squared_error")
            task = training_of(net, [w, b, v], [], stored(np.ascontiguousarray(x), storage), goal)
            _, _, found = gradient_of(task)
            dz = (x @ w @ v - y) / rows
            expected = [x.T @ (dz @ v.T), (dz @ v.T).sum(axis=0, keepdims=True), (x @ w).T @ dz]
            for ours, reference in zip(found, expected, strict=True):
                room = 1e-12 * (1 + np.abs(reference).max())
                assert np.abs(ours - reference).max() < room, (inputs, units, rows, outputs)


@pytest.mark.parametrize("storage", ["csr32", "csr64"])
@pytest.mark.parametrize("units", [1, 2, 15, 16, 40])
@every_dtype
def test_sparse_rows_are_predicted_as_dense_ones_are(units, dtype, storage):
    for seed in range(5):
        case = Case([L.Dense(units, "tanh")], (37,), 50, "squared_error", seed, sparse=True)
        np.testing.assert_array_equal(case.predicted(case.X, dtype, storage), case.predicted(case.X, dtype))


@every_dtype
@pytest.mark.parametrize("units", [1, 2, 3, 5, 8, 16, 17, 21, 33, 40])
def test_rows_one_by_one_and_together_whatever_their_number(units, dtype):
    block = L.Residual([L.Dense(20, "relu"), L.Dense(units)])
    case = Case([L.Dense(units, "gelu"), L.BatchNorm(), block, L.LayerNorm()], (29,), 200, "squared_error", 0)
    alone = np.concatenate([case.predicted(case.X[i : i + 1], dtype) for i in range(200)])
    for rows in range(1, 201):
        np.testing.assert_array_equal(case.predicted(case.X[:rows], dtype), alone[:rows])


@every_dtype
@pytest.mark.parametrize("kind", [L.Conv2D, *SEQUENTIAL], ids=lambda kind: kind.__name__)
def test_all_numbers_of_units_and_channels(kind, dtype):
    rtol = 1e-10 if dtype == np.float64 else 1e-3
    for units in range(1, 68):
        features = 7 * units % 67 + 1
        shape, layer = ((3, 4, features), L.Conv2D(units, 2)) if kind is L.Conv2D else ((3, features), kind(units))
        case = Case([L.Dense(features), layer, L.Flatten(), L.Dense(2)], shape, 3, "squared_error", units).rounded()
        judge, *expected = case.judged()
        assert not judge.rounding_decides()
        largest = max(np.abs(g).max() for g in expected[2])
        assert_close(gradient_of(case.training(dtype=dtype))[2], expected[2], rtol, rtol * largest)
        assert_close([case.predicted(case.X, dtype)], [judge.forward(case.X)], rtol / 10, rtol / 10)


# More rows than gradients are made of at once, more weights than a tile has.
MANY = {
    "wide": ((70,), [L.Dense(90, "relu"), L.BatchNorm(), L.Residual([L.Dense(80, "gelu"), L.Dense(90)])], 100),
    "deep": ((30,), [L.Dense(12, "tanh"), L.Residual([L.Dense(12, "silu"), L.LayerNorm()])], 2001),
    "cnn": ((6, 7, 40), [L.Conv2D(20, 3, "tanh", padding="same"), L.MaxPool2D(2), L.Conv2D(20, 2, groups=20)], 300),
    "conv1d": ((30, 3), [L.Conv1D(60, 7, "silu"), L.BatchNorm(), L.Conv1D(5, 5, dilation=2)], 261),
    "tanh": ((5, 130), [L.Masking(), L.SimpleRNN(130, bidirectional=True)], 150),
    "gru": ((4, 70), [L.Masking(), L.GRU(70, return_sequences=True), L.GRU(3)], 300),
    "lstm": ((4, 70), [L.LSTM(70, bidirectional=True)], 131),
    "codes": ((6,), [L.Embedding(5000, 7, padding=4999), L.LSTM(9)], 200),
    "large images": ((30, 31, 1), [L.Conv2D(2, 1, "tanh"), L.Conv2D(3, 2, padding=1), L.AvgPool2D(9)], 9),
    "large images, padded": ((40, 40, 1), [L.Dense(1), L.Conv2D(1, 1, padding=1), L.MaxPool2D(7, padding=3)], 10),
    "long sequences": ((150, 2), [L.Masking(), L.LSTM(5, return_sequences=True), L.GRU(4, bidirectional=True)], 19),
}


@pytest.mark.parametrize("shape, layers, rows", MANY.values(), ids=MANY)
@pytest.mark.parametrize("threads", [1, 3])
def test_many_rows_and_wide_layers_equal_the_references(shape, layers, rows, threads):
    case = Case([*layers, L.Flatten(), L.Dense(3)], shape, rows, "softmax", 0, weighted=True, l2=0.1)
    judge, *expected = case.judged()
    assert not judge.rounding_decides()
    found = gradient_of(case.training(threads=threads))
    np.testing.assert_allclose(found[:2], expected[:2], rtol=1e-11)
    assert_close(found[2], expected[2], 1e-9, 1e-13)
    assert_close([case.predicted(case.X, threads=threads)], [case.judge().forward(case.X)], 1e-11)


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("features", [30, 700, 5000])  # one tile, several, more than there may be of equal size
def test_sparse_rows_train_as_dense_ones_do_to_the_last_bit(features, ordered, threads):
    rng = np.random.default_rng(features)
    X = sp.csr_array(sp.random(60, features, density=min(1.0, 20 / features), format="csr", random_state=rng))
    net = Net([L.Dense(7, "tanh"), L.Dense(3)], (features,))
    weights, kept = net.fresh(np.random.RandomState(0), np.float64)
    goal = goal_of(rng.integers(3, size=60), 3, "softmax")
    dense = training_of(net, weights, kept, X.toarray(), goal)
    if not ordered:
        for i in range(60):
            row = slice(X.indptr[i], X.indptr[i + 1])
            mixed = rng.permutation(X.indptr[i + 1] - X.indptr[i])
            X.indices[row], X.data[row] = X.indices[row][mixed], X.data[row][mixed]
        X.has_sorted_indices = False
    sparse = training_of(net, weights, kept, X, goal, threads=threads)
    g, h = np.zeros_like(dense.flat), np.zeros_like(sparse.flat)
    assert dense.loss_gradient(g) == pytest.approx(sparse.loss_gradient(h), rel=1e-13)
    if ordered:
        np.testing.assert_array_equal(h, g)
    else:  # a row's products come in another order
        np.testing.assert_allclose(h, g, rtol=1e-10, atol=1e-13)
