"""`path`: coefficients against alpha, each column the fit of its own."""

import numpy as np
import pytest
import scipy.sparse as sp
from fusedgrad.linear_model import SGDClassifier, SGDRegressor
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

ALPHAS = [1e-3, 1.0, 1e-5, 0.1]
RNG = np.random.default_rng(0)
X = RNG.normal(size=(90, 7))
MARGINS = X @ RNG.normal(size=(7, 3))
TARGETS = {
    "binary": (SGDClassifier("log_loss", batch_size=16), MARGINS[:, 0] > 0),
    "one vs rest": (SGDClassifier("hinge", batch_size=16), MARGINS.argmax(axis=1)),
    "softmax": (SGDClassifier("log_loss", batch_size=16, multi_class="multinomial"), MARGINS.argmax(axis=1)),
    "regression": (SGDRegressor(batch_size=16, penalty="elasticnet"), MARGINS[:, 0]),
    "several targets": (SGDRegressor(batch_size=16), MARGINS),
    "one sample a step": (SGDRegressor(), MARGINS[:, 0]),
}


@pytest.mark.parametrize("storage", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("kind", TARGETS)
def test_every_column_is_a_fit(kind, storage):
    estimator, y = TARGETS[kind]
    estimator = clone(estimator).set_params(random_state=3)
    weight = RNG.uniform(0.5, 1.5, len(X))
    before = dict(vars(estimator))
    alphas, coefs, intercepts = estimator.path(storage(X), y, alphas=ALPHAS, sample_weight=weight)
    assert vars(estimator) == before
    np.testing.assert_array_equal(alphas, sorted(ALPHAS)[::-1])
    for k, alpha in enumerate(alphas):
        alone = clone(estimator).set_params(alpha=alpha).fit(storage(X), y, sample_weight=weight)
        several = coefs.ndim == 3
        np.testing.assert_array_equal(coefs[..., k], alone.coef_ if several else alone.coef_.ravel())
        np.testing.assert_array_equal(intercepts[..., k], alone.intercept_ if several else alone.intercept_[0])


def test_a_number_of_alphas_is_spread_evenly_and_l1_empties_the_large_ones():
    estimator = SGDRegressor(penalty="l1", batch_size="full")
    alphas, coefs, _ = estimator.path(X, MARGINS[:, 0] / 5, alphas=13)
    np.testing.assert_allclose(np.diff(np.log10(alphas)), -0.5)
    assert (alphas[0], alphas[-1]) == pytest.approx((1, 1e-6))
    assert not coefs[:, 0].any()
    assert coefs[:, -1].all()


@pytest.mark.parametrize("alphas", [0, -1, [], [0.0], [1.0, -1.0], [np.nan], [np.inf], [[0.1]], 2.5j])
def test_alphas_out_of_range(alphas):
    with pytest.raises((ValueError, TypeError), match=r"alphas|complex"):
        SGDRegressor(batch_size=16).path(X, MARGINS[:, 0], alphas=alphas)


def test_an_error_names_the_alpha():
    estimator = SGDRegressor(batch_size=16, learning_rate="constant", eta0=1e30)
    with pytest.raises(ValueError, match=r"alpha=1e-05: Floating-point under-/overflow"):
        estimator.path(X, MARGINS[:, 0], alphas=[1e-5])


def test_models_that_have_not_converged_are_named():
    with pytest.warns(ConvergenceWarning, match=r"1 of 1 models: alpha=0\.1\."):
        SGDRegressor(batch_size=16, max_iter=1).path(X, MARGINS[:, 0], alphas=[0.1])
