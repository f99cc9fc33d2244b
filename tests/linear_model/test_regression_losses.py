"""What the losses of the regressor that scikit-learn's SGD lacks are for: medians, quantiles, counts."""

import numpy as np
import pytest
import scipy.sparse as sp
from fusedgrad.linear_model import SGDClassifier, SGDRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import GammaRegressor, PoissonRegressor
from sklearn.metrics import r2_score

pytestmark = pytest.mark.filterwarnings("ignore", category=ConvergenceWarning)

N, D = 400, 4
STEPS = {"random_state": 0, "learning_rate": "constant", "eta0": 0.02, "max_iter": 60, "tol": None, "average": 4_000}


def data():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N, D)) / 2
    return X, X @ np.linspace(-1, 1, D) + rng.exponential(size=N)


def counts():
    X, margin = data()
    return X, np.random.default_rng(1).poisson(np.exp(margin / 2)).astype(float)


@pytest.mark.parametrize("quantile", [0.1, 0.5, 0.9])
def test_a_quantile_leaves_its_share_of_the_targets_below(quantile):
    X, y = data()
    model = SGDRegressor(loss="quantile", quantile=quantile, alpha=0, **STEPS).fit(X, y)
    assert abs(np.mean(y < model.predict(X)) - quantile) < 0.02


def test_the_median_is_the_quantile_one_half():
    X, y = data()
    params = {**STEPS, "alpha": 0}
    median = SGDRegressor(loss="absolute_error", **params).fit(X, y)
    half = SGDRegressor(loss="quantile", **{**params, "eta0": 2 * params["eta0"]}).fit(X, y)
    np.testing.assert_array_equal(half.coef_, median.coef_)
    np.testing.assert_array_equal(2 * np.array(half.loss_curve_), median.loss_curve_)


@pytest.mark.parametrize("quantile", [0, 1, -0.5, 2, "0.5", None])
def test_a_quantile_out_of_range_is_an_error(quantile):
    with pytest.raises(ValueError, match=r"'quantile' parameter of SGDRegressor .* \(0, 1\)"):
        SGDRegressor(quantile=quantile).fit(*data())


@pytest.mark.parametrize("storage", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_poisson_is_scikit_learns_poisson_regression(storage, dtype):
    X, y = counts()
    slow = {**STEPS, "eta0": 0.002, "max_iter": 200, "average": 40_000, "intercept_decay": 1.0}
    model = SGDRegressor(loss="poisson", alpha=0.1, **slow).fit(storage(X.astype(dtype)), y)
    exact = PoissonRegressor(alpha=0.1, tol=1e-9).fit(X, y)
    np.testing.assert_allclose(model.coef_, exact.coef_, atol=0.02)
    np.testing.assert_allclose(model.intercept_, exact.intercept_, atol=0.02)
    np.testing.assert_allclose(model.predict(storage(X.astype(dtype))), exact.predict(X), rtol=0.05)


def test_poisson_predicts_the_exponential_and_never_overflows():
    X, y = counts()
    model = SGDRegressor(loss="poisson", max_iter=5, random_state=0).fit(X, y)
    np.testing.assert_allclose(model.predict(X), np.exp(X @ model.coef_ + model.intercept_), rtol=1e-12)
    far = model.predict(np.outer([1e6, -1e6], model.coef_))
    np.testing.assert_allclose(far, np.exp([708, -708]))


def test_poisson_scores_predictions_on_validation_rows():
    X, y = counts()
    params = {"loss": "poisson", "learning_rate": "constant", "eta0": 0.01, "shuffle": False, "tol": None}
    model = SGDRegressor(max_iter=3, **params).fit(X[:300], y[:300], X_val=X[300:], y_val=y[300:])
    for epoch in range(3):
        past = SGDRegressor(max_iter=epoch + 1, **params).fit(X[:300], y[:300])
        expected = r2_score(y[300:], past.predict(X[300:]))
        np.testing.assert_allclose(model.validation_scores_[epoch], expected, rtol=1e-9)


def test_poisson_takes_no_negative_targets():
    X, y = counts()
    negative = np.where(np.arange(N) == 7, -3.0, y)
    model = SGDRegressor(loss="poisson")
    for call in (model.fit, model.partial_fit):
        with pytest.raises(ValueError, match=r"^y must be >= 0 with loss='poisson', .* -3\.0"):
            call(X, negative)
    with pytest.raises(ValueError, match=r"^y_val must be >= 0"):
        model.fit(X, y, X_val=X, y_val=negative)
    assert not hasattr(model, "coef_")
    model.fit(X, 0 * y)  # zero is a count


def positives(seed=0):
    """Rows, and targets whose logarithm is about linear in them."""
    X, margin = data()
    return X, np.exp(margin / 2) * np.random.default_rng(seed).gamma(4, 1 / 4, N)


@pytest.mark.parametrize("storage", [np.asarray, sp.csr_array])
def test_gamma_is_scikit_learns_gamma_regression(storage):
    X, y = positives()
    slow = {**STEPS, "eta0": 0.002, "max_iter": 200, "average": 40_000, "intercept_decay": 1.0}
    model = SGDRegressor(loss="gamma", alpha=0.1, **slow).fit(storage(X), y)
    exact = GammaRegressor(alpha=0.1, tol=1e-9).fit(X, y)
    np.testing.assert_allclose(model.coef_, exact.coef_, atol=0.02)
    np.testing.assert_allclose(model.intercept_, exact.intercept_, atol=0.02)
    np.testing.assert_allclose(model.predict(storage(X)), exact.predict(X), rtol=0.05)


def test_gamma_takes_positive_targets_only():
    X, y = positives()
    model = SGDRegressor(loss="gamma")
    for call in (model.fit, model.partial_fit):
        with pytest.raises(ValueError, match=r"^y must be > 0 with loss='gamma', .* 0\.0"):
            call(X, np.where(np.arange(N) == 7, 0.0, y))
    assert not hasattr(model, "coef_")


@pytest.mark.parametrize("loss", sorted(set(SGDRegressor.loss_functions) - set(SGDClassifier.loss_functions)))
def test_they_are_losses_of_regression_only(loss):
    X, y = data()
    with pytest.raises(ValueError, match="'loss' parameter of SGDClassifier"):
        SGDClassifier(loss=loss).fit(X, y > 1)


@pytest.mark.parametrize("mean", [1e-3, 1.0, 300.0, 1e6])
@pytest.mark.parametrize("eta0", [0.01, 1.0])
@pytest.mark.parametrize("loss", ["poisson", "gamma"])
def test_means_of_any_size_are_found_one_sample_a_step(loss, eta0, mean):
    """No step goes beyond the least loss of its sample, so no rate is too large for a mean."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(3000, 4))
    expected = mean * np.exp(X @ [0.3, -0.2, 0.1, 0.0])
    y = expected * rng.gamma(50.0, 1 / 50.0, size=len(X))
    model = SGDRegressor(loss, eta0=eta0, alpha=0, max_iter=200, tol=None, random_state=0).fit(X, y)
    relative = model.predict(X) / expected
    bound = 1.6 if eta0 * mean < 10 else 3.0  # where all steps are cut, the last samples count most
    if not (loss == "poisson" and mean * eta0 < 0.1):  # the slope of Poisson regression is small where its mean is
        assert 1 / bound < relative.min() and relative.max() < bound
