"""Losses with kinks under `optimizer="auto"`: averages beside NumPy, bounds and optima beside a solver of the dual."""

import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from fusedgrad import _core, losses
from fusedgrad._training.curvature import newton
from fusedgrad._validation.arrays import as_core
from fusedgrad.linear_model import SGDClassifier, SGDRegressor
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from sklearn.linear_model import QuantileRegressor
from threadpoolctl import threadpool_limits

KINKED = {
    "hinge": {},
    "perceptron": {},
    "absolute_error": {},
    "quantile": {"quantile": 0.8},
    "epsilon_insensitive": {"epsilon": 0.2},
}
CLASSES = ("hinge", "perceptron")
SMALL = 1e-3  # of what a poor prediction costs, below which gaps are shares of that


# ---- references ----


def pieces(name, y):
    """The mean of the extreme slopes, the jump at a kink, and where the kinks are, (kinks, ...)."""
    if name == "hinge":
        return -y / 2, 1.0, y[None]
    if name == "perceptron":
        return -y / 2, 1.0, np.zeros_like(y)[None]
    if name == "absolute_error":
        return np.zeros_like(y), 2.0, y[None]
    if name == "quantile":
        return np.full_like(y, 0.5 - KINKED[name]["quantile"]), 1.0, y[None]
    epsilon = KINKED[name]["epsilon"]
    return np.zeros_like(y), 1.0, np.array([y - epsilon, y + epsilon])


def averaged(name, y, p, way):
    """Mean value and slope over [p - way, p + way], by trapezes between kinks."""
    loss = losses.get(name, **KINKED[name])
    low, high = p - way, p + way
    inner = np.sort(np.clip(pieces(name, y)[2], low, high), axis=0)
    ends = np.concatenate([low[None], inner, high[None]])
    values = np.array([loss.value(y, end) for end in ends])
    area = (np.diff(ends, axis=0) * (values[1:] + values[:-1]) / 2).sum(axis=0)
    return area / (high - low), (values[-1] - values[0]) / (high - low)


def dual_optimum(name, X, y, weight, alpha, *, intercept):
    """The largest value of the dual, which is a lower bound of the objective: over c in [-1/2, 1/2] for each kink.

    A loss is ``middle p + rest + jump max_c sum_j c_j (p - k_j)``.
    """
    n = len(y)
    middle, jump, places = pieces(name, y)
    first = places[0]
    loss = losses.get(name, **KINKED[name])
    rest = loss.value(y, first) - middle * first - jump / 2 * np.abs(first - places).sum(axis=0)

    def slopes(c):
        return weight * (middle + jump * c.reshape(places.shape).sum(axis=0))

    def value(c):
        v = X.T @ slopes(c) / n
        return -(weight @ (rest - jump * (c.reshape(places.shape) * places).sum(axis=0)) / n - v @ v / (2 * alpha))

    def gradient(c):
        v = X.T @ slopes(c) / n
        return (jump / n * weight * (places + (X @ v / alpha))).ravel()

    def mean(c):
        return slopes(c).mean()

    constant = np.tile(weight * jump / n, len(places))
    constraint = [{"type": "eq", "fun": mean, "jac": lambda c: constant}] if intercept else []
    start = np.zeros(places.size)
    with threadpool_limits(1):  # BLAS's threads wait for each other beside other tests
        found = minimize(value, start, jac=gradient, bounds=[(-0.5, 0.5)] * places.size, constraints=constraint,
                         method="SLSQP", options={"maxiter": 1000, "ftol": 1e-13})  # fmt: skip
    assert found.success, found.message
    return -found.fun


def objective(name, X, y, weight, alpha, model):
    raw = X @ np.ravel(model.coef_) + np.ravel(model.intercept_)
    return np.mean(weight * losses.get(name, **KINKED[name]).value(y, raw)) + alpha / 2 * np.sum(model.coef_**2)


def fitted(name, X, y, alpha, *, sample_weight=None, **given):
    estimator = SGDClassifier if name in CLASSES else SGDRegressor
    given = {"tol": 1e-4, "random_state": 0, "max_iter": 500} | KINKED[name] | given
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return estimator(name, alpha=alpha, optimizer="auto", **given).fit(X, y, sample_weight=sample_weight)


def problem(name, n, d, seed):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d))
    raw = X @ rng.normal(size=d) + rng.standard_t(2, size=n)
    y = np.where(raw > 0.5, 1.0, -1.0) if name in CLASSES else raw
    if name in CLASSES:
        y[:2] = 1.0, -1.0
    return X, y


# ---- averages ----


def row_pass(name, X, y, weight, outputs, threads, dtype):
    coded = name in CLASSES
    codes = (y[:, 0] > 0) if outputs == 1 else np.argmax(y, axis=1)
    return _core.RowPass(
        X=as_core(X), sorted=True, rows=None, y=np.ascontiguousarray(codes if coded else y, dtype=dtype), coded=coded,
        outputs=outputs, loss=name, loss_parameters=KINKED[name], multinomial=False, centre=None, threads=threads,
        models=[{"side_weight": [1.0, 1.0] * outputs, "sample_weight": weight}],
    )  # fmt: skip


@pytest.mark.parametrize("storage", ["dense", "sparse"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", KINKED)
@settings(max_examples=20, deadline=None)
@given(
    n=st.integers(1, 67),
    outputs=st.sampled_from([1, 3, 9]),
    weighted=st.booleans(),
    share=st.sampled_from([0.01, 0.3, 3.0]),
)
def test_averages_and_slacks(name, dtype, storage, n, outputs, weighted, share):
    rng = np.random.default_rng(n)
    d = 5
    dense = rng.normal(size=(n, d)).astype(dtype)
    X = dense if storage == "dense" else sp.csr_array(dense)
    y = rng.normal(size=(n, outputs)).astype(dtype).astype(float)
    if name in CLASSES:
        y = np.where(y == y.max(axis=1, keepdims=True), 1.0, -1.0) if outputs > 1 else np.sign(y)
    weight = rng.uniform(0, 2, n).astype(dtype) if weighted else None
    each = np.ones((n, 1)) if weight is None else weight.astype(float)[:, None]
    W = rng.normal(size=(d + 1, outputs))
    raw = dense.astype(float) @ W[:-1] + W[-1]
    way = share * rng.uniform(0.5, 2.0, size=outputs)
    made = row_pass(name, X, y, weight, outputs, 2, dtype)
    plain = made.evaluate(W, 2)[0].sum()
    made.average_over(way)
    total, gradient = made.evaluate(W, 2)
    value, slope = averaged(name, y, raw, way)
    tolerance = {"rtol": 1e-4, "atol": 1e-3} if dtype == np.float32 else {"rtol": 1e-12, "atol": 1e-11}
    np.testing.assert_allclose(total.sum(), (value * each).sum(), **tolerance)
    slope = slope * each
    expected = np.r_[dense.astype(float).T @ slope, slope.sum(axis=0)[None]]
    np.testing.assert_allclose(gradient, expected, rtol=tolerance["rtol"], atol=tolerance["atol"] / share)
    itself, slack = made.slacks(2)
    np.testing.assert_allclose(itself.sum(), plain, **tolerance)
    loss = losses.get(name, **KINKED[name])
    ends = (loss.value(y, raw - way) + loss.value(y, raw + way)) / 2
    at = loss.value(y, raw)
    np.testing.assert_allclose(slack.sum(), ((ends + at - 2 * value) * each).sum(), **tolerance)
    places = pieces(name, y)[2]
    slope = averaged(name, y, raw, way)[1]
    conjugate = np.max([slope * place - loss.value(y, place) for place in places], axis=0)
    exact = ((at + conjugate - slope * raw) * each).sum()
    assert slack.sum() >= exact - tolerance["atol"]
    if len(places) == 1:
        np.testing.assert_allclose(slack.sum(), exact, rtol=tolerance["rtol"], atol=tolerance["atol"] / share)
    shift = rng.normal(size=outputs)
    moved, slopes, _ = made.shifted(shift, way, 2)
    value, slope = averaged(name, y, raw + shift, way)
    np.testing.assert_allclose(moved.sum(), (value * each).sum(), **tolerance)
    np.testing.assert_allclose(
        slopes, (slope * each).sum(axis=0), rtol=tolerance["rtol"], atol=tolerance["atol"] / share
    )
    made.average_over(None)
    np.testing.assert_allclose(made.evaluate(W, 1)[0].sum(), plain, **tolerance)


def test_losses_of_straight_pieces_say_where_their_kinks_are():
    assert set(KINKED) == {name for name in losses.names() if losses.get(name).curvature == 0.0}


def test_only_losses_with_kinks_are_averaged():
    made = _core.RowPass(
        X=np.ones((3, 1)), sorted=True, rows=None, y=np.ones(3), coded=False, outputs=1, loss="squared_error",
        loss_parameters={}, multinomial=False, centre=None, threads=1,
        models=[{"side_weight": [1.0, 1.0], "sample_weight": None}],
    )  # fmt: skip
    with pytest.raises(ValueError, match="no kinks"):
        made.average_over(np.ones(1))
    with pytest.raises(ValueError, match="no averages"):
        made.slacks(1)


# ---- bounds and optima ----


@pytest.mark.parametrize("name", KINKED)
def test_the_bound_is_never_below_the_gap(name):
    rng = np.random.default_rng(0)
    proven = 0
    for seed in range(30):
        n, d = int(rng.integers(4, 41)), int(rng.integers(1, 6))
        X, y = problem(name, n, d, seed)
        alpha, tol = 10.0 ** rng.uniform(-4, 0), 10.0 ** rng.uniform(-4, 0)
        weight = rng.uniform(0.2, 2, n) if seed % 2 else np.ones(n)
        weight /= weight.mean()
        intercept = bool(seed % 3)
        given = {"sample_weight": weight, "fit_intercept": intercept, "max_iter": int(rng.integers(1, 60))}
        model = fitted(name, X, y, alpha, tol=tol, **given)
        reached = objective(name, X, y, weight, alpha, model)
        best = dual_optimum(name, X, y, weight, alpha, intercept=intercept)
        gap = reached - best
        size = max(reached, SMALL * (1.0 if name in CLASSES else 2 * np.abs(y).mean()))  # above what a mean costs
        assert gap <= model.optimality_gap_ * size + 1e-7 * (1 + reached), (seed, gap, model.optimality_gap_ * size)
        if model.stop_reason_ == "converged":
            assert model.optimality_gap_ <= tol
            proven += 1
    assert proven >= 10


@pytest.mark.parametrize("storage", ["dense", "sparse"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", [name for name in KINKED if name != "perceptron"])
def test_optima(name, dtype, storage):
    X, y = problem(name, 60, 4, 1)
    X = X.astype(dtype)
    weight, alpha = np.ones(60), 1e-2
    given = X if storage == "dense" else sp.csr_array(X)
    model = fitted(name, given, y, alpha, tol=1e-4)
    assert model.stop_reason_ == "converged"
    best = dual_optimum(name, X.astype(float), y, weight, alpha, intercept=True)
    assert best - 1e-6 <= objective(name, X, y, weight, alpha, model) <= best * (1 + 1.01e-4) + 1e-6
    np.testing.assert_allclose(model.loss_curve_[-1], objective(name, X, y, weight, alpha, model), rtol=1e-5)


@pytest.mark.parametrize("q", [0.1, 0.5, 0.9])
def test_quantiles_without_a_penalty(q):
    X, y = problem("quantile", 300, 5, 2)
    model = fitted("quantile", X, y, 0.0, penalty=None, quantile=q, tol=1e-5)
    assert model.stop_reason_ == "converged"
    exact = QuantileRegressor(quantile=q, alpha=0, solver="highs").fit(X, y)
    loss = losses.Quantile(quantile=q)
    reached, best = (loss.value(y, each.predict(X)).mean() for each in (model, exact))
    assert reached <= best * (1 + 1e-4)


def test_class_weights():
    X, y = problem("hinge", 80, 3, 3)
    weights = {-1.0: 0.3, 1.0: 2.0}
    model = fitted("hinge", X, y, 1e-2, class_weight=weights)
    weight = np.where(y > 0, 2.0, 0.3)
    weight /= weight.mean()
    best = dual_optimum("hinge", X, y, weight, 1e-2, intercept=True)
    assert model.stop_reason_ == "converged"
    assert objective("hinge", X, y, weight, 1e-2, model) <= best * (1 + 1.01e-4)


def test_several_outputs_are_those_of_each():
    X, raw = problem("absolute_error", 400, 4, 4)
    codes = np.digitize(raw, [-1.0, 0.5, 2.0])
    together = fitted("hinge", X, codes, 1e-3, tol=1e-5)
    assert together.stop_reason_ == "converged"
    alone = [fitted("hinge", X, codes == k, 1e-3, tol=1e-5).loss_curve_[-1] for k in range(4)]
    np.testing.assert_allclose(together.loss_curve_[-1], np.mean(alone), rtol=3e-5)
    Y = np.c_[raw, 1e4 * X[:, 0] + 1e3 * raw]
    together = fitted("quantile", X, Y, 1e-3, tol=1e-5)
    alone = [fitted("quantile", X, target, 1e-3, tol=1e-5).loss_curve_[-1] for target in Y.T]
    np.testing.assert_allclose(together.loss_curve_[-1], np.mean(alone), rtol=3e-5)


@pytest.mark.parametrize("storage", ["dense", "sparse"])
@pytest.mark.parametrize("name", ["hinge", "epsilon_insensitive"])
def test_many_columns_go_by_products(name, storage, monkeypatch):
    rng = np.random.default_rng(5)
    X = rng.normal(size=(500, 60)) * (rng.random((500, 60)) < 0.3)
    y = X[:, :5].sum(axis=1) + rng.normal(size=500)
    y = y > 0 if name == "hinge" else y
    given = X if storage == "dense" else sp.csr_array(X)
    factored = fitted(name, given, y, 1e-3)
    monkeypatch.setattr(newton, "FACTORED", 10)
    multiplied = fitted(name, given, y, 1e-3)
    assert factored.stop_reason_ == multiplied.stop_reason_ == "converged"
    np.testing.assert_allclose(multiplied.loss_curve_[-1], factored.loss_curve_[-1], rtol=1.01e-4)


@pytest.mark.parametrize("storage", ["dense", "sparse"])
@pytest.mark.parametrize("name", ["hinge", "quantile"])
def test_the_same_bits_for_any_number_of_threads(name, storage):
    X, y = problem(name, 6000, 20, 6)
    X = X if storage == "dense" else sp.csr_array(X * (np.abs(X) > 1))
    found = [fitted(name, X, y, 1e-4, n_jobs=n_jobs) for n_jobs in (1, 2, 5)]
    assert len({model.coef_.tobytes() + model.intercept_.tobytes() for model in found}) == 1
    assert found[0].stop_reason_ == "converged"


# ---- what is degenerate ----


@pytest.mark.parametrize("alpha", [1e-4, 1e-1])
def test_a_perceptron_ends_near_zero(alpha):
    X, y = problem("perceptron", 200, 3, 7)
    model = fitted("perceptron", X, y, alpha, tol=1e-3)
    assert model.stop_reason_ == "converged"
    assert model.loss_curve_[-1] <= 1.01e-3 * SMALL


@pytest.mark.parametrize("penalty", ["l2", None])
@pytest.mark.parametrize("name", ["absolute_error", "quantile", "epsilon_insensitive"])
@pytest.mark.parametrize("target", [0.0, 7.0])
def test_a_constant_target(name, target, penalty):
    X = problem(name, 50, 3, 8)[0]
    model = fitted(name, X, np.full(50, target), 1e-3, penalty=penalty)
    assert model.stop_reason_ == "converged"
    np.testing.assert_allclose(model.predict(X), target, atol=0.21 if name == "epsilon_insensitive" else 1e-3)


def test_columns_of_zeros_and_one_class_that_is_rare():
    X, _ = problem("hinge", 100, 3, 9)
    X[:, 1] = 0.0
    y = np.zeros(100, int)
    y[0] = 1
    model = fitted("hinge", X, y, 1e-2)
    assert model.stop_reason_ == "converged"
    assert model.coef_[0, 1] == 0.0
    best = dual_optimum("hinge", X, np.where(y > 0, 1.0, -1.0), np.ones(100), 1e-2, intercept=True)
    assert model.loss_curve_[-1] - best <= 1.01e-4 * max(best, SMALL) + 1e-9


def test_separable_classes_without_a_penalty():
    X, _ = problem("hinge", 200, 3, 10)
    X[:, 0] += np.sign(X[:, 0])
    model = fitted("hinge", X, X[:, 0] > 0, 0.0, penalty=None)
    assert model.stop_reason_ == "converged"
    assert model.loss_curve_[-1] <= 2e-7
