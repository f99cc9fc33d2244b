"""Fits by a solver: they end at the optimum, and say how near they are."""

import pickle
import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from fusedgrad import fit_many, losses
from fusedgrad.linear_model import SGDClassifier, SGDRegressor
from fusedgrad.optimizers import LBFGS, Auto
from scipy.optimize import minimize
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge

from ..reference.minibatch import gradient, objective
from ..reference.optimum import optimum

SMOOTH = ("log_loss", "squared_hinge", "modified_huber")
OF_NUMBERS = ("squared_error", "huber", "squared_epsilon_insensitive", "poisson", "gamma")
SMALL = 1e-3  # share of what a poor prediction costs, as which an objective counts at least


def problem(rng, loss, n, d):
    """Rows whose columns differ in scale and may depend on each other, and targets."""
    mixing = rng.normal(size=(d, d)) * rng.random() + np.eye(d)
    X = (rng.normal(size=(n, d)) @ mixing) * 10 ** rng.uniform(-2, 2, size=d) + rng.normal(size=d)
    f = rng.normal(size=n) + (X - X.mean(axis=0)) / X.std(axis=0) @ rng.normal(size=d) / np.sqrt(d)
    if loss in SMOOTH:
        return X, (f + rng.logistic(size=n) > 0).astype(int)
    if loss in losses.LOG_LINK:
        mean = np.exp(np.clip(f, -2, 2))
        return X, rng.poisson(mean) + 0.0 if loss == "poisson" else mean * rng.gamma(2, 0.5, size=n) + 1e-3
    return X, f * 10 ** rng.uniform(-2, 2)


def coded(loss, y):
    """Targets as the reference has them, (n, 1)."""
    if loss not in SMOOTH:
        return y[:, None]
    return np.where(y[:, None] == 1, 1.0, losses.get(loss).negative)


def scale_of(loss, y):
    """The least mean loss of any predictions, and what a poor one costs, at least."""
    if loss == "poisson":
        return np.mean(y - y * np.log(np.where(y > 0, y, 1))), 0.5 * y.mean()
    if loss == "gamma":
        return np.mean(1 + np.log(y)), 0.5
    return 0.0, 0.0 if loss == "huber" or loss in SMOOTH else y.var()


def model_of(loss, **params):
    kind = SGDClassifier if loss in SMOOTH else SGDRegressor
    return kind(loss, **{"optimizer": "auto", "random_state": 0, **params})


def fields_of(loss):
    return {"epsilon": 0.1} if "epsilon" in losses.get(loss).fields else {}


@pytest.mark.parametrize("first", [0, 25, *(pytest.param(first, marks=pytest.mark.slow) for first in (50, 75, 100))])
@pytest.mark.parametrize("loss", [*SMOOTH, *OF_NUMBERS])
def test_the_gap_bounds_the_distance_from_the_optimum(loss, first):
    """400 problems (1,000 in the slow run), at each iteration that has seen all rows."""
    for seed in range(first, first + 25):
        check_gaps(loss, seed)


def ended_and_best(X, Y, model, *, loss, alpha, weight, fields):
    """The objective where a model is, and the least that BFGS finds from there: it is convex."""
    given = {"loss": loss, "fields": fields}
    relative = np.ones((len(X), 1)) if weight is None else (weight / weight.mean())[:, None]
    spread = X.std(axis=0)

    def look(u):
        coef, intercept = (u[:-1] / spread)[None], u[-1:]
        g, g_b = gradient(X, Y, coef, intercept, weight=relative, **given)
        value = objective(X, Y, coef, intercept, weight=weight, l2=alpha, **given)
        return value, np.append((g + alpha * coef)[0] / spread, g_b)

    at = np.append(np.ravel(model.coef_) * spread, model.intercept_)
    ended = look(at)[0]
    return ended, min(ended, minimize(look, at, jac=True, method="BFGS", options={"gtol": 1e-12}).fun)


def check_gaps(loss, seed):
    rng = np.random.default_rng([seed, len(loss)])
    n, d = int(rng.integers(30, 200)), int(rng.integers(1, 8))
    X, y = problem(rng, loss, n, d)
    alpha = 10 ** rng.uniform(-5, 0) * (X.std(axis=0) ** 2).mean()
    weight = rng.uniform(0.1, 2, n) if seed % 3 == 0 else None
    model = model_of(loss, alpha=alpha, tol=1e-6).fit(X if seed % 2 else sp.csr_array(X), y, sample_weight=weight)
    Y, fields = coded(loss, y), fields_of(loss)
    ended, best = ended_and_best(X, Y, model, loss=loss, alpha=alpha, weight=weight, fields=fields)
    floor, poor = scale_of(loss, y)
    values, gaps = np.array(model.loss_curve_), np.array(model.gap_curve_)
    np.testing.assert_allclose(values[-1], ended, rtol=1e-9, err_msg=str(seed))
    excess = values - best
    # A share of the objective, which counts as larger where that nearly vanishes: this is stricter than the promise.
    allowed = np.where(np.isfinite(gaps), gaps * np.maximum(values - floor, SMALL * poor), np.inf) + 1e-9 * abs(best)
    assert (excess <= allowed).all(), (seed, excess, allowed)
    assert model.stop_reason_ == "converged" and model.optimality_gap_ <= 1e-6, seed


@pytest.mark.parametrize("loss", [*SMOOTH, *OF_NUMBERS])
def test_the_gap_is_tight_where_the_penalty_is_as_strong_as_the_losses(loss):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(3000, 10))
    f = X[:, 0] / 2 + rng.logistic(size=3000) / 4
    y = (f > 0) * 1 if loss in SMOOTH else np.exp(f) if loss in losses.LOG_LINK else f
    best = model_of(loss, alpha=0.5, tol=1e-13).fit(X, y).loss_curve_[-1]
    loose = []
    for tol in (1e-1, 1e-2, 1e-3, 1e-4, 1e-5):
        model = model_of(loss, alpha=0.5, tol=tol, optimizer="lbfgs").fit(X, y)
        floor, _ = scale_of(loss, y)
        excess = model.loss_curve_[-1] - best
        bound = model.optimality_gap_ * (model.loss_curve_[-1] - floor)
        assert excess <= bound + 1e-12
        loose.append(bound / max(excess, 1e-12))
    assert np.median(loose) < 10, loose


@pytest.mark.parametrize("storage", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("multi_class", ["ovr", "multinomial"])
def test_classes_end_where_scikit_learn_ends(storage, multi_class):
    rng = np.random.default_rng(1)
    X = rng.normal(size=(600, 6))
    y = (X @ rng.normal(size=(6, 4)) + 2 * rng.gumbel(size=(600, 4))).argmax(axis=1)
    given = {"alpha": 1e-2, "multi_class": multi_class, "tol": 1e-10}
    model = model_of("log_loss", **given).fit(storage(X), y)
    assert model.stop_reason_ == "converged"
    peer = LogisticRegression(C=1 / (600 * 1e-2), tol=1e-12, max_iter=10_000)
    if multi_class == "ovr":
        for k in range(4):
            peer.fit(X, y == k)
            np.testing.assert_allclose(model.coef_[k], peer.coef_[0], atol=1e-5)
            np.testing.assert_allclose(model.intercept_[k], peer.intercept_[0], atol=1e-5)
    else:
        peer.fit(X, y)
        np.testing.assert_allclose(model.predict_proba(X), peer.predict_proba(X), atol=1e-5)


def test_many_targets_without_an_intercept():
    rng = np.random.default_rng(2)
    X = rng.normal(size=(300, 5)) + 1
    Y = X @ rng.normal(size=(5, 3)) + rng.normal(size=(300, 3))
    model = model_of("squared_error", alpha=0.1, fit_intercept=False, tol=1e-12).fit(X, Y)
    np.testing.assert_allclose(model.coef_, Ridge(0.1 * 300, fit_intercept=False).fit(X, Y).coef_, rtol=1e-6)
    assert not model.intercept_.any()


@pytest.mark.parametrize("optimizer", ["auto", "lbfgs"])
@pytest.mark.parametrize("storage", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_bits_do_not_depend_on_threads(optimizer, storage, dtype):
    rng = np.random.default_rng(3)
    X = rng.normal(size=(20_000, 12)) * (rng.random((20_000, 12)) < 0.5)
    y = (X[:, 0] + rng.logistic(size=20_000) > 0) * 1 + (X[:, 1] > 1)
    X = storage(X.astype(dtype))
    first, *others = (model_of("log_loss", optimizer=optimizer, n_jobs=k).fit(X, y) for k in (1, 2, 5))
    for other in others:
        np.testing.assert_array_equal(other.coef_, first.coef_)
        np.testing.assert_array_equal(other.intercept_, first.intercept_)
        assert (other.loss_curve_, other.gap_curve_) == (first.loss_curve_, first.gap_curve_)


def test_samples_grow_and_passes_are_counted():
    rng = np.random.default_rng(4)
    X = rng.normal(size=(50_000, 8))
    y = (X[:, 0] + rng.logistic(size=50_000) > 0) * 1
    model = model_of("log_loss").fit(X, y)
    assert 0 < model.passes_[0] < 1 < model.passes_[-1] < 12
    assert len(model.passes_) == len(model.gap_curve_) == len(model.loss_curve_) == model.n_iter_
    assert model.gap_curve_[0] == np.inf and model.gap_curve_[-1] == model.optimality_gap_ <= 1e-3
    assert model.gap_kind_ == "bound"
    assert model_of("log_loss", optimizer="lbfgs").fit(X, y).passes_[0] >= 1


def test_a_warm_start_goes_on_with_all_rows():
    rng = np.random.default_rng(5)
    X = rng.normal(size=(30_000, 8))
    y = (X[:, 0] + rng.logistic(size=30_000) > 0) * 1
    model = model_of("log_loss", warm_start=True).fit(X, y)
    passes, made, gap = model.passes_[-1], model.n_iter_, model.optimality_gap_
    model.set_params(tol=1e-9).fit(X, y)
    assert model.optimality_gap_ <= 1e-9 < gap
    assert len(model.passes_) == made + model.n_iter_
    assert model.passes_[made] >= passes + 1  # no sample, from which it would have to come back
    cold = model_of("log_loss", tol=1e-9).fit(X, y)
    np.testing.assert_allclose(model.coef_, cold.coef_, atol=1e-4)


def test_without_a_penalty_the_gap_is_an_estimate():
    rng = np.random.default_rng(6)
    X = rng.normal(size=(500, 4))
    y = X @ rng.normal(size=4) + rng.normal(size=500)
    model = model_of("squared_error", penalty=None).fit(X, y)
    assert (model.stop_reason_, model.gap_kind_) == ("converged", "estimate")
    assert model.optimality_gap_ <= 1e-3
    expected = np.linalg.lstsq(np.c_[X, np.ones(500)], y, rcond=None)[0]
    np.testing.assert_allclose(np.append(model.coef_, model.intercept_), expected, rtol=1e-3)


def test_classes_that_a_plane_divides():
    X = np.random.default_rng(7).normal(size=(100, 3))
    y = X[:, 0] > 0.3
    with pytest.warns(ConvergenceWarning, match="no finite optimum.*set alpha > 0"):
        model_of("log_loss", penalty=None).fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert model_of("log_loss", alpha=1e-6).fit(X, y).score(X, y) == 1.0


@pytest.mark.parametrize(
    "change",
    [
        lambda X: X * [1, 1e200, 1],
        lambda X: X * [1, 1e-200, 1],
        lambda X: X * [1, 0, 1],
        lambda X: X * [1, 0, 1] + [0, 7, 0],
        lambda X: X + 1e6,
        lambda X: X * 1e150,
        lambda X: np.c_[X, X],
        lambda X: np.vstack([X, X]),
    ],
    ids=["1e200", "1e-200", "zeros", "constant", "far", "all 1e150", "twice the columns", "twice the rows"],
)
@pytest.mark.parametrize("loss", ["log_loss", "squared_error"])
def test_columns_of_any_size(loss, change):
    rng = np.random.default_rng(8)
    X = rng.normal(size=(300, 3))
    y = X[:, 0] + rng.normal(size=300)
    y = (y > 0) * 1 if loss == "log_loss" else y
    Z = change(X)
    y = np.tile(y, len(Z) // len(X))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = model_of(loss, penalty=None).fit(Z, y)
    assert model.stop_reason_ == "converged"
    # A penalty of nothing knows no scale: so the columns, on theirs, lead to the same objective.
    top = np.where(np.abs(Z).max(axis=0) > 0, np.abs(Z).max(axis=0), 1.0)
    least = optimum(Z / top, coded(loss, y), loss=loss, l2=0.0)
    assert model.loss_curve_[-1] <= 1.001 * least


@pytest.mark.parametrize("storage", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("bad, message", [(np.nan, "NaN"), (np.inf, "infinity")])
def test_numbers_that_are_not_finite(storage, bad, message):
    X = np.random.default_rng(9).normal(size=(50, 3))
    X[4, 1] = bad
    model = model_of("squared_error")
    with pytest.raises(ValueError, match=message):
        model.fit(storage(X), X[:, 0])
    assert "coef_" not in vars(model)


@pytest.mark.parametrize("y", [np.zeros(40), np.full(40, 3.0), np.full(40, 1e-150), np.full(40, 1e150)])
def test_targets_that_are_equal(y):
    X = np.random.default_rng(10).normal(size=(40, 3))
    model = model_of("squared_error").fit(X, y)
    assert model.stop_reason_ == "converged"
    np.testing.assert_allclose(model.predict(X), y, rtol=1e-6)


def test_few_rows():
    model = model_of("squared_error").fit([[1.0, 2.0]], [3.0])
    assert model.predict([[1.0, 2.0]]) == pytest.approx([3.0])
    assert model_of("log_loss").fit([[0.0], [1.0]], ["a", "b"]).predict([[0.0], [1.0]]).tolist() == ["a", "b"]


def test_rows_of_no_weight_are_as_if_not_there():
    rng = np.random.default_rng(11)
    X = rng.normal(size=(400, 3))
    y = X[:, 0] + rng.normal(size=400)
    weight = (rng.random(400) < 0.4) * 1.0
    some = weight > 0
    model = model_of("squared_error", tol=1e-12).fit(X, y, sample_weight=weight)
    fewer = model_of("squared_error", tol=1e-12).fit(X[some], y[some])
    np.testing.assert_allclose(model.coef_, fewer.coef_, rtol=1e-6)


def test_validation_rows_and_early_stopping():
    rng = np.random.default_rng(12)
    X = rng.normal(size=(4000, 5))
    y = (X[:, 0] + rng.logistic(size=4000) > 0) * 1
    model = model_of("log_loss").fit(X[:3000], y[:3000], X_val=X[3000:], y_val=y[3000:])
    assert len(model.validation_scores_) == len(model.validation_loss_curve_) == model.n_iter_
    assert model.validation_scores_[-1] == model.score(X[3000:], y[3000:])
    model = model_of("log_loss", early_stopping=True, restore_best_weights=True, tol=1e-3, n_iter_no_change=2)
    model.fit(X, y)
    assert model.stop_reason_ in ("early_stopping", "converged") and len(model.validation_scores_) == model.n_iter_


def test_verbose_prints_a_line_an_iteration(capsys):
    X = np.random.default_rng(13).normal(size=(5000, 3))
    model = model_of("log_loss", verbose=1).fit(X, X[:, 0] + X[:, 1] ** 2 > 0)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == model.n_iter_
    assert "rows" in lines[0] and "gap <=" in lines[-1] and "passes" in lines[-1]


def test_parameters_that_only_steps_need_are_told_of():
    X = np.random.default_rng(14).normal(size=(50, 3))
    given = {"batch_size": 32, "eta0": 0.5, "learning_rate": "constant", "average": True, "shuffle": False}
    with pytest.warns(UserWarning, match="looks at all rows") as told:
        model = model_of("squared_error", **given, n_iter_no_change=3).fit(X, X[:, 0])
    named = {str(warning.message).split("=")[0] for warning in told}
    assert named == {*given, "n_iter_no_change"}
    np.testing.assert_array_equal(model.coef_, model_of("squared_error").fit(X, X[:, 0]).coef_)


def test_partial_fit_learns_from_a_stream():
    rng = np.random.default_rng(15)
    model, w = model_of("squared_error"), np.array([1.0, -2.0, 3.0])
    for _ in range(200):
        X = rng.normal(size=(50, 3))
        model.partial_fit(X, X @ w)
    np.testing.assert_allclose(model.coef_, w, atol=0.1)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.partial_fit(X, X @ w).coef_, model.partial_fit(X, X @ w).coef_)


def test_fit_forgets_what_a_solver_said():
    X = np.random.default_rng(16).normal(size=(50, 3))
    model = model_of("squared_error").fit(X, X[:, 0])
    model.set_params(optimizer="sgd").fit(X, X[:, 0])
    assert not {"optimality_gap_", "gap_kind_", "gap_curve_", "passes_"} & vars(model).keys()


def test_fit_many_fits_each_alone():
    X = np.random.default_rng(17).normal(size=(200, 3))
    models = [model_of("squared_error", alpha=alpha) for alpha in (0.1, 0.01)]
    lone = [clone(model).fit(X, X[:, 0]) for model in models]
    many = fit_many(models, X, X[:, 0])
    assert set(many.alone) == {0, 1} and "whenever its own steps need it" in many.alone[0]
    for model, other in zip(many, lone, strict=True):
        np.testing.assert_array_equal(model.coef_, other.coef_)


@pytest.mark.parametrize("loss", ["log_loss", "squared_error"])
def test_a_path_ends_where_lone_fits_end(loss):
    rng = np.random.default_rng(18)
    X, y = problem(rng, loss, 400, 5)
    alphas, coefs, _ = model_of(loss, tol=1e-10).path(X, y, alphas=[1e-3, 1e-1, 1e-2])
    assert alphas.tolist() == [1e-1, 1e-2, 1e-3]
    for alpha, coef in zip(alphas, coefs.T, strict=True):
        lone = model_of(loss, alpha=alpha, tol=1e-10).fit(X, y)
        np.testing.assert_allclose(coef * X.std(axis=0), np.ravel(lone.coef_) * X.std(axis=0), atol=1e-4 * np.std(y))


def test_solvers_are_descriptions():
    assert repr(LBFGS(5)) == "LBFGS(memory=5)" and repr(Auto()) == "Auto()"
    assert LBFGS(5) == LBFGS(5) != LBFGS()
    model = SGDClassifier("log_loss", optimizer="lbfgs").set_params(optimizer__memory=3)
    assert model.optimizer == LBFGS(3)
    with pytest.raises(ValueError, match="memory"):
        LBFGS(0)
    with pytest.raises(ValueError, match="optimizer"):
        SGDClassifier(optimizer="newton").fit([[0.0], [1.0]], [0, 1])


@pytest.mark.parametrize("index", [np.int32, np.int64])
@pytest.mark.parametrize(
    "params",
    [
        {"loss": "log_loss"},
        {"loss": "log_loss", "multi_class": "multinomial"},
        {"loss": "log_loss", "penalty": "l1"},
        {"loss": "hinge"},
        {"loss": "hinge", "penalty": "elasticnet"},
    ],
    ids=str,
)
def test_sparse_matrices_are_as_good_as_sparse_arrays(params, index):
    rng = np.random.default_rng(0)
    X = sp.random_array((20_000, 30), density=0.2, format="csr", rng=rng)  # rows enough for samples that grow
    X = sp.csr_array((X.data, X.indices.astype(index), X.indptr.astype(index)), shape=X.shape)
    y = np.argmax(X @ rng.normal(size=(30, 3)) + rng.gumbel(size=(20_000, 3)), axis=1)
    model = SGDClassifier(optimizer="auto", tol=1e-2, random_state=0, **params)
    of_array, of_matrix = (clone(model).fit(A, y) for A in (X, sp.csr_matrix(X)))
    np.testing.assert_array_equal(of_matrix.coef_, of_array.coef_)
    np.testing.assert_array_equal(of_matrix.intercept_, of_array.intercept_)
    assert of_matrix.score(sp.csr_matrix(X), y) == of_array.score(X, y) > 0.4


def test_intercepts_of_a_softmax_sum_to_zero():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 5)) + 3
    y = rng.integers(0, 4, size=400)
    weight = rng.integers(0, 3, size=400)
    fit = SGDClassifier("log_loss", multi_class="multinomial", optimizer="auto", tol=0, alpha=1e-2)
    weighted = clone(fit).fit(X, y, sample_weight=weight)
    repeated = clone(fit).fit(np.repeat(X, weight, axis=0), np.repeat(y, weight))
    assert abs(weighted.intercept_.sum()) < 1e-12
    np.testing.assert_allclose(weighted.decision_function(X), repeated.decision_function(X), rtol=1e-6, atol=1e-8)
