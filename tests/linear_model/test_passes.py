"""Passes over rows, and what preconditioners are made of, beside NumPy."""

import numpy as np
import pytest
import scipy.sparse as sp
from fusedgrad import _core, losses
from fusedgrad._validation.arrays import as_core
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import log_softmax, softmax

N, D = 67, 11


def rows(dtype, storage):
    rng = np.random.default_rng(0)
    X = (rng.normal(size=(N, D)) * (rng.random((N, D)) < 0.6)).astype(dtype)
    return X.astype(float), X if storage == "dense" else sp.csr_array(X)


def value_slope(loss, multinomial, y, raw):
    """Of each row and output."""
    if multinomial:
        own = np.eye(raw.shape[1])[y.astype(int)]
        return -(own * log_softmax(raw, axis=1)), softmax(raw, axis=1) - own
    return loss.value(y, raw), loss.slope(y, raw)


@pytest.mark.parametrize("storage", ["dense", "sparse"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("case", ["one", "three", "softmax"])
@settings(max_examples=25, deadline=None)
@given(n=st.integers(1, N), threads=st.integers(1, 4), centred=st.booleans(), weighted=st.booleans())
def test_losses_gradients_and_bends(case, dtype, storage, n, threads, centred, weighted):
    rng = np.random.default_rng(n)
    dense, X = rows(dtype, storage)
    listed = np.sort(rng.permutation(N)[:n]).astype(np.uint32)
    centre = rng.normal(size=D) if centred and storage == "dense" else None
    K = 1 if case == "one" else 3
    y = rng.integers(K, size=N) if case == "softmax" else rng.normal(size=(N, K))
    y = np.ascontiguousarray(y, dtype=dtype)
    weight = rng.uniform(0, 2, N).astype(dtype) if weighted else None
    name = "log_loss" if case == "softmax" else "squared_error"
    made = _core.RowPass(
        X=as_core(X), sorted=True, rows=listed, y=y, coded=case == "softmax", outputs=K, loss=name, loss_parameters={},
        multinomial=case == "softmax", centre=centre, threads=threads,
        models=[{"side_weight": [1.0, 1.0] * K, "sample_weight": weight}],
    )  # fmt: skip
    W = rng.normal(size=(D + 1, K))
    Z = np.c_[dense - (0 if centre is None else centre), np.ones(N)][listed]
    w = np.ones(N) if weight is None else weight.astype(float)
    each = w[listed][:, None]
    y = y.astype(float)[listed]
    loss = losses.get(name)

    def sums(raw):
        value, slope = value_slope(loss, case == "softmax", y, raw)
        return (value * each).sum(), slope * each

    total, slope = sums(Z @ W)
    tolerance = {"rtol": 3e-5, "atol": 3e-4} if dtype == np.float32 else {"rtol": 1e-10, "atol": 1e-10}
    found, gradient = made.evaluate(W, threads)
    np.testing.assert_allclose(found.sum(), total, **tolerance)
    np.testing.assert_allclose(gradient, Z.T @ slope, **tolerance)
    way = np.full(K, 0.1)
    bends = made.bends(way, threads)
    p = softmax(Z @ W, axis=1)
    expected = (p * (1 - p) if case == "softmax" else np.ones((n, K))) * each
    np.testing.assert_allclose(bends, expected, rtol=1e-4 if dtype == np.float64 else 1e-3, atol=1e-5)
    shift = rng.normal(size=K)
    found, slopes, curved = made.shifted(shift, way, threads)
    total, slope = sums(Z @ W + shift)
    np.testing.assert_allclose(found.sum(), total, **tolerance)
    np.testing.assert_allclose(slopes, slope.sum(axis=0), **tolerance)
    if case == "softmax":
        p = softmax(Z @ W + shift, axis=1)
        curved = curved.reshape(K, K)
        np.testing.assert_allclose(curved, np.diag((p * each).sum(axis=0)) - (p * each).T @ p, **tolerance)


@pytest.mark.parametrize("storage", ["dense", "sparse"])
def test_the_same_bits_for_any_number_of_threads(storage):
    rng = np.random.default_rng(1)
    X = rng.normal(size=(20_000, 30))
    X = X if storage == "dense" else sp.csr_array(X * (rng.random(X.shape) < 0.2))
    y, W = rng.normal(size=20_000), rng.normal(size=(31, 1))
    everything = []
    for threads in (1, 2, 3, 4):
        made = _core.RowPass(
            X=as_core(X), sorted=True, rows=None, y=y, coded=False, outputs=1, loss="huber",
            loss_parameters={"epsilon": 0.5}, multinomial=False, centre=None, threads=threads,
            models=[{"side_weight": [1.0, 1.0], "sample_weight": None}],
        )  # fmt: skip
        way, weight = np.full(1, 0.1), np.ones((20_000, 1))
        listed = np.arange(20_000, dtype=np.uint32)
        columns = np.arange(30, dtype=np.uint32)
        arrays = [*made.evaluate(W, threads), made.bends(way, threads), *made.shifted(np.ones(1), way, threads)]
        arrays.append(_core.gram(as_core(X), listed, weight, columns, None, np.ones(30), threads))
        arrays.append(_core.weighted_squares(as_core(X), listed, weight, None, np.ones(30), threads))
        everything.append(b"".join(array.tobytes() for array in arrays))
    assert len(set(everything)) == 1


@pytest.mark.parametrize("storage", ["dense", "sparse"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [0, 1, 33, N])
def test_grams_and_squares(n, dtype, storage):
    rng = np.random.default_rng(2)
    dense, X = rows(dtype, storage)
    listed = rng.permutation(N)[:n].astype(np.uint32)
    columns = np.array([1, 4, 5], np.uint32)
    centre = rng.normal(size=D) if storage == "dense" else None
    weight = rng.uniform(0, 2, size=(n, 2))
    unit = rng.uniform(0.5, 2, size=D)
    Z = np.c_[(dense - (0 if centre is None else centre)) * unit, np.ones(N)][listed]
    some = Z[:, [1, 4, 5, D]]
    found = _core.gram(as_core(X), listed, np.ascontiguousarray(weight[:, :1]), columns, centre, unit, 2)
    np.testing.assert_allclose(found, some.T @ (weight[:, :1] * some), rtol=1e-4, atol=1e-4)
    found = _core.weighted_squares(as_core(X), listed, weight, centre, unit, 2)
    np.testing.assert_allclose(found, (Z**2).T @ weight, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("columns", [np.arange(60), np.arange(1, 60, 2)])
def test_grams_of_rows_with_few_entries_some_of_them_twice(columns, dtype):
    rng = np.random.default_rng(3)
    index = rng.integers(0, 60, size=(50, 4)).astype(np.int32)
    index[::5, 1] = index[::5, 3]
    X = sp.csr_array((rng.normal(size=200).astype(dtype), index.ravel(), np.arange(0, 201, 4)), shape=(50, 60))
    listed, weight = rng.permutation(50)[:37].astype(np.uint32), rng.uniform(0, 2, size=(37, 1))
    weight[5] = 0.0
    unit = rng.uniform(0.5, 2, size=60)
    some = np.c_[(X.toarray().astype(float) * unit)[:, columns], np.ones(50)][listed]
    found = _core.gram(as_core(X), listed, weight, columns.astype(np.uint32), None, unit, 2)
    np.testing.assert_allclose(found, some.T @ (weight * some), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("size", [1, 2, 67])
def test_factors(size):
    rng = np.random.default_rng(size)
    A = rng.normal(size=(size + 3, size))
    H, G = A.T @ A + np.eye(size), rng.normal(size=(3, size))
    factor = _core.Factor(H)
    assert factor.positive
    np.testing.assert_allclose(factor.solve(G), np.linalg.solve(H, G.T).T, rtol=1e-8)
    half = factor.solve(G, half=True)
    np.testing.assert_allclose((half**2).sum(axis=1), np.einsum("ij,ij->i", G, factor.solve(G)), rtol=1e-8)
    assert not _core.Factor(-np.eye(size)).positive
