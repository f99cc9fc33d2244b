"""Solvers with L1 penalties and coefficients of 0 at least: beside a slow reference, and what they claim of the gap."""

import numpy as np
import pytest
import scipy.sparse as sp
from fusedgrad import losses
from fusedgrad._training.curvature.certificate import Composite
from fusedgrad.linear_model import SGDClassifier, SGDRegressor
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from ..covering import pairs

CLASSIFIERS = ("log_loss", "squared_hinge", "modified_huber")
REGRESSORS = ("squared_error", "huber", "squared_epsilon_insensitive", "poisson", "gamma")


class Composed:
    """Mean loss plus penalties, as a function of (coefficients, intercept), in float64; and where it is least."""

    def __init__(self, X, y, loss, alpha, l1, positive=False, intercept=True, weight=None):
        X = X.toarray() if sp.issparse(X) else X
        self.X, self.y = X.astype(float), y
        self.loss, self.alpha, self.l1, self.positive, self.intercept = loss, alpha, l1, positive, intercept
        self.weight = np.ones(len(y)) if weight is None else weight / weight.mean()

    def smooth(self, coef, offset):
        """Value and slopes of the mean loss, for coefficients (outputs, features)."""
        raw = self.X @ coef.T + offset
        if self.loss == "softmax":
            own = np.eye(raw.shape[1])[self.y]
            each, slope = -(own * log_softmax(raw, axis=1)).sum(axis=1), softmax(raw, axis=1) - own
        else:
            each, slope = self.loss.value(self.y, raw[:, 0]), self.loss.slope(self.y, raw[:, 0])[:, None]
        slope = slope * self.weight[:, None] / len(raw)
        return float((each * self.weight).mean()), slope.T @ self.X, slope.sum(axis=0) * self.intercept

    def value(self, coef, offset):
        penalty = 0.5 * self.alpha * (coef**2).sum() + self.l1 * np.abs(coef).sum()
        return self.smooth(coef, offset)[0] + penalty

    def least(self, outputs=1):
        """The optimum: L-BFGS-B over positive and negative parts, whose bounds make zeros exact."""
        d = self.X.shape[1]
        split = d * outputs
        spread = self.X.std(axis=0) if self.intercept else np.sqrt((self.X**2).mean(axis=0))
        unit = np.tile(1.0 / np.where(spread > 0, spread, 1.0), outputs)
        parts = 1 if self.positive else 2

        def of(v):
            return (
                ((v[:split] - (v[split : 2 * split] if parts == 2 else 0.0)) * unit).reshape(outputs, d),
                v[parts * split :],
            )

        def both(v):
            coef, offset = of(v)
            value, g, h = self.smooth(coef, offset)
            total = (v[: parts * split] * np.tile(unit, parts)).sum()
            g = (g + self.alpha * coef).ravel() * unit
            slopes = [g + self.l1 * unit] + ([self.l1 * unit - g] if parts == 2 else [])
            return value + 0.5 * self.alpha * (coef**2).sum() + self.l1 * total, np.concatenate([*slopes, h])

        bounds = [(0, None)] * (parts * split) + [(None, None)] * outputs
        v = np.zeros(len(bounds))
        for _ in range(4):
            options = {"maxiter": 20_000, "maxfun": 40_000, "ftol": 1e-16, "gtol": 1e-12, "maxcor": 30}
            v = minimize(both, v, jac=True, method="L-BFGS-B", bounds=bounds, options=options).x
        return self.value(*of(v)), *of(v)


def problem(seed, loss, storage="dense", dtype=np.float64, n=160, d=12):
    """Columns of unlike spreads that depend on each other, and a few that count."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) @ (np.eye(d) + rng.uniform(0, 1.5) * rng.normal(size=(d, d)) / np.sqrt(d))
    X *= 10 ** rng.uniform(-1, 1, size=d)
    if storage == "sparse":
        X *= rng.random(X.shape) < 0.4
    else:
        X += rng.normal(size=d) * X.std(axis=0)
    coef = np.where(np.arange(d) < 4, rng.normal(size=d), 0) / X.std(axis=0)
    raw = (X - X.mean(axis=0)) @ coef + rng.normal(size=n)
    X = X.astype(dtype)
    X = sp.csr_array(X) if storage == "sparse" else X
    if loss == "softmax":
        return X, np.digitize(raw, np.quantile(raw, [0.3, 0.7]))
    if loss in CLASSIFIERS:
        return X, (raw > 0).astype(int)
    if loss == "poisson":
        return X, rng.poisson(np.exp(np.clip(0.5 * raw, -3, 3))).astype(float)
    if loss == "gamma":
        return X, rng.gamma(2.0, np.exp(np.clip(0.5 * raw, -3, 3)) / 2.0)
    return X, raw


PENALTIES = {
    "l1": {"penalty": "l1"},
    "elasticnet": {"penalty": "elasticnet", "l1_ratio": 0.6},
    "positive": {"penalty": "l2", "positive": True},
    "positive l1": {"penalty": "l1", "positive": True},
}


def fitted(X, y, loss, penalty, alpha, **parameters):
    """A model, and its objective with (coefficients, intercept)."""
    made = {"tol": 1e-6, "random_state": 0, "optimizer": "auto", "alpha": alpha, **PENALTIES[penalty], **parameters}
    weight = made.pop("sample_weight", None)
    if loss == "softmax":
        model = SGDClassifier("log_loss", multi_class="multinomial", **made)
    else:
        model = (SGDClassifier if loss in CLASSIFIERS else SGDRegressor)(loss, **made)
    model.fit(X, y, sample_weight=weight)
    ratio = {"l1": 1.0, "elasticnet": 0.6, "positive": 0.0, "positive l1": 1.0}[penalty]
    kind = loss if loss == "softmax" else losses.get(loss, **model._loss_parameters())
    if loss in CLASSIFIERS:
        y = np.where(y == 1, 1.0, kind.negative)
    intercept = made.get("fit_intercept", True)
    positive = made.get("positive", False)
    objective = Composed(X, y, kind, (1 - ratio) * alpha, ratio * alpha, positive, intercept, weight)
    return model, objective


def floor_of(objective):
    """The least that the mean loss can be, whatever is predicted."""
    if objective.loss == "softmax" or objective.loss.name not in ("poisson", "gamma"):
        return 0.0
    best = np.log(np.maximum(objective.y, 1e-30))
    return float((objective.loss.value(objective.y, best) * objective.weight).mean())


def best_offset(objective, coef):
    found = minimize(
        lambda b: (lambda value, _, slopes: (value, slopes))(*objective.smooth(coef, b)),
        np.zeros(len(coef)),
        jac=True,
        options={"gtol": 1e-12},
    )
    return found.x


def optimal(loss, penalty, seed, storage, intercept):
    """A small problem, its objective and its optimum."""
    rng = np.random.default_rng([seed, len(loss), len(penalty)])
    X, y = problem(seed, loss, storage, n=60, d=6)
    alpha = 10 ** rng.uniform(-3, -0.5)
    ratio = {"l1": 1.0, "elasticnet": 0.6, "positive elasticnet": 0.5, "positive l1": 1.0}[penalty]
    kind = loss if loss == "softmax" else losses.get(loss)
    if loss in CLASSIFIERS:
        y = np.where(y == 1, 1.0, kind.negative)
    positive = penalty.startswith("positive")
    return Composed(X, y, kind, (1 - ratio) * alpha, ratio * alpha, positive, intercept)


@pytest.mark.parametrize(
    ("loss", "penalty", "seed"),
    pairs(
        [*CLASSIFIERS, *REGRESSORS, "softmax"],
        ["l1", "elasticnet", "positive elasticnet", "positive l1"],
        range(6),
    ),
)
def test_no_gap_is_larger_than_its_bound(loss, penalty, seed):
    objective = optimal(loss, penalty, seed, ("dense", "sparse")[seed % 2], intercept=seed % 3 != 0)
    outputs = 3 if loss == "softmax" else 1
    best, coef, _ = objective.least(outputs)
    rng = np.random.default_rng(seed)
    composite = Composite(objective.alpha, objective.l1, objective.positive)
    for way in (0.0, 1e-4, 1e-2, 0.3):
        at = coef * (1.0 + way * rng.normal(size=coef.shape)) + way * rng.normal(size=coef.shape) * np.abs(coef).max()
        at = np.maximum(at, 0.0) if objective.positive else at
        offset = best_offset(objective, at) if objective.intercept else np.zeros(outputs)
        value, gradient, slopes = objective.smooth(at, offset)
        if np.abs(slopes).max() > 1e-7 * abs(value):
            continue
        claimed = composite.bound(value - floor_of(objective), at.T, gradient.T)
        gap = objective.value(at, offset) - best
        rounding = 1e-8 * max(1.0, abs(best))
        assert gap <= claimed + rounding
        if way == 0.0:
            assert claimed <= 1e-3 * max(1.0, abs(best))  # it is of use


def test_a_bound_that_is_exact():
    """One row, squared error, L1: soft thresholding is the optimum, and half the gap of zero is known."""
    composite = Composite(0.0, 0.25, False)
    loss, gradient = 0.5, np.array([[-1.0]])  # at w = 0, of (w - 1)^2 / 2
    best = 0.5 * 0.25**2 + 0.25 * 0.75
    assert 0.5 - best <= composite.bound(loss, np.zeros((1, 1)), gradient) <= 0.5
    w = 0.75
    assert composite.bound(0.5 * 0.25**2, np.array([[w]]), np.array([[w - 1.0]])) == pytest.approx(0.0, abs=1e-15)


@pytest.mark.parametrize(
    ("loss", "penalty", "rows"),
    pairs(
        [*CLASSIFIERS, *REGRESSORS, "softmax"],
        PENALTIES,
        [(1, "dense", True), (2, "sparse", True), (3, "dense", False)],
    ),
)
def test_fits_end_at_the_optimum(loss, penalty, rows):
    seed, storage, intercept = rows
    X, y = problem(seed, loss, storage)
    weight = np.random.default_rng(seed).uniform(0.2, 2.0, len(y)) if seed == 1 else None
    model, objective = fitted(X, y, loss, penalty, 0.02, fit_intercept=intercept, sample_weight=weight)
    assert model.stop_reason_ == "converged"
    best, coef, _ = objective.least(3 if loss == "softmax" else 1)
    found = np.atleast_2d(model.coef_)
    value = objective.value(found, model.intercept_)
    size = best - floor_of(objective)
    assert value - best <= 1.01e-6 * size
    assert value - best <= model.optimality_gap_ * size + 1e-9 * max(1.0, abs(best))
    assert not objective.positive or found.min() >= 0.0
    if not intercept:
        assert not np.any(model.intercept_)
    # Where the optimum is zero by a margin, so is the model, exactly.
    slopes = objective.smooth(coef, best_offset(objective, coef) if intercept else np.zeros(len(coef)))[1]
    pull = -slopes if objective.positive else np.abs(slopes)
    at_rest = (np.abs(coef) < 1e-12) & (pull < 0.95 * objective.l1) & (objective.l1 > 0.0)
    assert np.all(found[at_rest] == 0.0)
    assert np.any(found == 0.0) or penalty == "elasticnet"


@pytest.mark.parametrize("penalty", ["l1", "elasticnet"])
def test_one_against_the_rest(penalty):
    X, y = problem(4, "softmax")
    model = SGDClassifier("log_loss", optimizer="auto", alpha=0.01, tol=1e-6, random_state=0, **PENALTIES[penalty])
    model.fit(X, y)
    assert model.stop_reason_ == "converged"
    ratio = 1.0 if penalty == "l1" else 0.6
    total = best = 0.0
    for k in range(3):
        one = Composed(X, np.where(y == k, 1.0, losses.get("log_loss").negative), losses.get("log_loss"),
                       (1 - ratio) * 0.01, ratio * 0.01)  # fmt: skip
        total += one.value(model.coef_[k : k + 1], model.intercept_[k : k + 1])
        best += one.least()[0]
    assert total - best <= 1.01e-6 * best


@pytest.mark.parametrize("storage", ["dense", "sparse"])
def test_wide_data(storage):
    """More than a thousand columns: models by columns, and working sets."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(150, 1200)) * (rng.random((150, 1200)) < 0.2) + (
        rng.normal(size=(150, 1)) * (storage == "dense")
    )
    y = X[:, :5] @ rng.normal(size=5) + 0.1 * rng.normal(size=150)
    X = X.astype(np.float32)  # numbers of both types, so that the optimum is the same
    X = X if storage == "dense" else sp.csr_array(X)
    for loss, target in (("squared_error", y), ("log_loss", (y > 0).astype(int)), ("softmax", np.digitize(y, [-1, 1]))):
        models = [fitted(X.astype(dtype), target, loss, "l1", 0.03, tol=1e-5) for dtype in (np.float32, np.float64)]
        best = models[0][1].least(3 if loss == "softmax" else 1)[0]
        for model, objective in models:
            assert model.stop_reason_ == "converged"
            found = np.atleast_2d(model.coef_)
            assert objective.value(found, model.intercept_) - best <= 1e-4 * best
            assert 0 < np.count_nonzero(found) < 0.3 * found.size


@pytest.mark.parametrize("penalty", PENALTIES)
def test_float32(penalty):
    for loss in ("log_loss", "squared_error", "softmax"):
        X, y = problem(5, loss, dtype=np.float32)
        model, objective = fitted(X, y, loss, penalty, 0.02, tol=1e-5)
        assert model.coef_.dtype == np.float32
        assert model.stop_reason_ == "converged"
        best = objective.least(3 if loss == "softmax" else 1)[0]
        assert objective.value(np.atleast_2d(model.coef_).astype(float), model.intercept_) - best <= 2e-5 * best


@pytest.mark.parametrize("storage", ["dense", "sparse"])
def test_the_same_bits_for_any_number_of_threads(storage):
    X, y = problem(6, "log_loss", storage, n=20_000, d=30)
    wide = sp.csr_array(sp.random_array((3000, 1500), density=0.02, rng=np.random.default_rng(0), format="csr"))
    for A, target in ((X, y), (wide, y[:3000])):
        seen = set()
        for threads in (1, 2, 5):
            model = SGDClassifier(
                "log_loss", penalty="l1", alpha=1e-3, optimizer="auto", n_jobs=threads, random_state=0
            )
            model.fit(A, target)
            seen.add(model.coef_.tobytes() + model.intercept_.tobytes() + np.array(model.gap_curve_).tobytes())
        assert len(seen) == 1
