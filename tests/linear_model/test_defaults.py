"""Fits with nothing set: each ends within 1 % of the optimum's objective, or says that it does not."""

import warnings
from functools import cache

import numpy as np
import pytest
import scipy.sparse as sp
from fusedgrad import losses, optimizers
from fusedgrad._training.minibatch_training import Training
from fusedgrad.linear_model import SGDClassifier, SGDClassifierCV, SGDRegressor
from fusedgrad.optimizers import SGD
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import scale

from ..reference.minibatch import objective
from ..reference.optimum import optimum

CLASSIFIERS = ("hinge", "squared_hinge", "perceptron", "log_loss", "modified_huber")
REGRESSORS = tuple(SGDRegressor.loss_functions)
ALPHA = 1e-4
ENOUGH = 0.01
SMALL = 1e-3  # share of what a poor prediction costs, as which an objective counts at least

# Where every optimizer arrives: scaled columns, any scale and any mean of y.
ARRIVES = ("scaled", "shifted", "times 1e5")
KINDS = (*ARRIVES, "raw", "heavy-tailed", "correlated", "imbalanced", "text")


def columns(kind, rng, n, d):
    """Rows, and the same on a scale on which weights of size 1 matter."""
    Z = rng.normal(size=(n, d))
    if kind == "heavy-tailed":
        Z = rng.standard_t(2.5, size=(n, d))
    elif kind == "correlated":
        Z += 3 * rng.normal(size=(n, 1))
    elif kind == "text":
        X = np.where(rng.random((n, 60)) < 0.06, rng.uniform(0.2, 1, (n, 60)), 0.0)
        return sp.csr_array(X), 4 * X
    if kind == "raw":
        return Z * 10 ** rng.uniform(-3, 3, size=d) + 10 ** rng.uniform(-3, 3, size=d), Z
    return Z, Z


@cache
def data(kind, loss, n=1000, d=10):
    rng = np.random.default_rng(KINDS.index(kind))
    X, Z = columns(kind, rng, n, d)
    f = np.clip(Z @ rng.normal(size=Z.shape[1]) / np.sqrt(Z.shape[1]), -6, 6)
    if loss in CLASSIFIERS:
        share = -3.6 if kind == "imbalanced" else 0.0
        return X, (1.5 * f + share + rng.logistic(size=n) > 0) * 1
    times, plus = 1e5 if kind == "times 1e5" else 1.0, 1000.0 if kind == "shifted" else 0.0
    if loss in losses.LOG_LINK:
        mean = np.exp(np.clip(f, -3, 3) + 1) * (20 if kind == "shifted" else 1)
        return X, times * (rng.poisson(mean) if loss == "poisson" else mean * rng.gamma(2, 0.5, size=n) + 1e-3)
    return X, times * (f + 0.5 * rng.normal(size=n)) + plus


def floor_of(loss, y):
    """The least mean loss of any predictions."""
    if loss == "poisson":
        return np.mean(y - y * np.log(np.where(y > 0, y, 1)))
    return np.mean(1 + np.log(y)) if loss == "gamma" else 0.0


def poor(loss, y):
    """What a poor prediction costs."""
    if loss in CLASSIFIERS or loss == "gamma":
        return 1.0
    if loss == "poisson":
        return y.mean()
    return y.var() if "squared" in loss else 0.1 * y.std() if loss == "huber" else y.std()


def fitted(kind, loss, optimizer):
    X, y = data(kind, loss)
    estimator = SGDClassifier if loss in CLASSIFIERS else SGDRegressor
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        model = estimator(loss, batch_size=64, optimizer=optimizer, random_state=0).fit(X, y)
    return model, any(issubclass(each.category, ConvergenceWarning) for each in told)


def cases():
    """Kinds of data, losses, and which third of the optimizers: any two of these in the usual run, all in the slow."""
    for of_kind, kind in enumerate(KINDS):
        for of_loss, loss in enumerate((*CLASSIFIERS, *REGRESSORS)):
            of_y = kind in ("shifted", "times 1e5")
            if not (of_y and loss in CLASSIFIERS) and not (kind == "imbalanced" and loss in REGRESSORS):
                for third in range(3):
                    slow = [pytest.mark.slow] * (third != (of_kind + of_loss) % 3)
                    yield pytest.param(kind, loss, third, marks=slow)


@pytest.mark.parametrize(("kind", "loss", "third"), list(cases()))
def test_every_optimizer_arrives_or_says_that_it_does_not(kind, loss, third):
    X, y = data(kind, loss)
    dense = X.toarray() if sp.issparse(X) else X
    coded = np.where(y == 1, 1.0, losses.get(loss).negative) if loss in CLASSIFIERS else y
    models = {name: fitted(kind, loss, name) for name in optimizers.names()[third::3]}
    fields = next(iter(models.values()))[0]._loss_parameters()

    def objective_of(model):
        weights = np.atleast_2d(model.coef_), np.atleast_1d(model.intercept_)
        return objective(dense, coded[:, None], *weights, loss=loss, l2=ALPHA, fields=fields)

    found = {name: objective_of(model) for name, (model, _) in models.items()}
    best = min(optimum(dense, coded[:, None], loss=loss, l2=ALPHA, fields=fields), *found.values())
    size = max(best - floor_of(loss, y), SMALL * poor(loss, y))
    gaps = {name: (value - best) / size for name, value in found.items()}
    false = [name for name, (model, told) in models.items() if gaps[name] > ENOUGH and not told]
    assert not false, f"no word of {gaps}"
    assert all(gaps[name] <= ENOUGH for name, (model, _) in models.items() if model.stop_reason_ == "converged"), gaps
    if kind in ARRIVES and loss != "perceptron":  # whose optimum is zero weights
        assert max(gaps.values()) <= ENOUGH, gaps
        assert {model.stop_reason_ for model, _ in models.values()} == {"converged"}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_the_last_weights_count_where_epochs_run_out(monkeypatch):
    """Those of the last look at the optimum are kept only where they are nearer to it."""
    kept, result = [], Training.result
    monkeypatch.setattr(Training, "result", lambda self: kept.append(self) or result(self))
    model = SGDClassifier("log_loss", batch_size=64, max_iter=60, random_state=0).fit(*data("correlated", "log_loss"))
    training = kept[-1]
    assert model.stop_reason_ == "max_iter"
    assert training.nearest[2] is not None
    assert training.nearest[0] <= training.problem.excess(training.prediction_weights(), 1).objective


# ---- what the issue of rates was about: data as they come ----


@pytest.mark.parametrize("optimizer", optimizers.names())
def test_diabetes(optimizer):
    X, y = load_diabetes(return_X_y=True)
    model = SGDRegressor(batch_size=256, optimizer=optimizer, random_state=0).fit(X, y)
    assert model.score(X, y) > 0.5
    assert model.stop_reason_ == "converged"


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("as_they_come", [True, False])
@pytest.mark.parametrize("load", [load_breast_cancer, load_iris, load_wine])
def test_searches_of_strengths_on_raw_and_on_scaled_columns(load, as_they_come):
    X, y = load(return_X_y=True)
    X = X if as_they_come else scale(X)
    assert SGDClassifierCV("log_loss", random_state=0).fit(X, y).score(X, y) > 0.95


@pytest.mark.parametrize("optimizer", optimizers.names())
def test_prices_in_dollars_of_houses_as_they_come(optimizer):
    # columns as those of California housing: incomes, ages, counts with a long tail, degrees
    rng = np.random.default_rng(0)
    n = 4000
    X = np.c_[
        rng.lognormal(1.2, 0.45, n), rng.integers(1, 52, n), rng.lognormal(1.6, 0.3, n), rng.lognormal(0.1, 0.1, n),
        rng.lognormal(7, 0.75, n), rng.lognormal(1, 0.3, n), rng.uniform(32, 42, n), rng.uniform(-124, -114, n),
    ]  # fmt: skip
    y = 40_000 * X[:, 0] + 1_000 * X[:, 1] - 20_000 * (X[:, 6] - 36) + 60_000 * rng.normal(size=n)
    best = np.linalg.lstsq(np.c_[X, np.ones(n)], y, rcond=None)[0]
    r2 = 1 - np.var(y - np.c_[X, np.ones(n)] @ best) / np.var(y)
    model = SGDRegressor(batch_size=256, optimizer=optimizer, random_state=0).fit(X, y)
    assert model.score(X, y) > r2 - 0.01
    assert model.stop_reason_ == "converged"


def test_gamma_with_means_of_twelve():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(2000, 5))
    mean = np.exp(X @ [0.5, -0.4, 0.3, 0.2, 0.0] + 2.3)
    y = mean * rng.gamma(10, 0.1, size=2000)
    model = SGDRegressor("gamma", batch_size=256, random_state=0).fit(X, y)
    assert model.score(X, y) > 0.9 * (1 - np.var(y - mean) / np.var(y))
    assert model.stop_reason_ == "converged"


def test_rates_above_the_limit_diverge():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(500, 5))
    y = X @ rng.normal(size=5)
    with pytest.warns(ConvergenceWarning, match="diverged: the objective rose from .* try a tenth"):
        model = SGDRegressor(batch_size="full", optimizer=SGD(2.5), random_state=0).fit(X, y)
    assert model.stop_reason_ == "diverged"
    assert model.loss_curve_[-1] > 4 * model.loss_curve_[0]


def test_one_sample_a_step_says_where_it_leads_nowhere():
    rng = np.random.default_rng(0)
    X = np.c_[rng.uniform(800, 3000, 300), rng.uniform(1, 5, 300)]
    with pytest.warns(ConvergenceWarning, match=r"coefficient of .*, which is far too large .*StandardScaler"):
        SGDRegressor(random_state=0).fit(X, 50 + 0.2 * X[:, 0])
    y = rng.integers(0, 2, 300)
    with pytest.warns(ConvergenceWarning, match=r"worse than a constant prediction: its mean loss is .*StandardScaler"):
        SGDClassifier("log_loss", random_state=0).fit(X, y)
