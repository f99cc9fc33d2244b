"""One pass that trains and tests: every block is scored by a model that has not seen it."""

import numpy as np
import pytest
from fusedgrad.data import Array, progressive_validation
from fusedgrad.linear_model import SGDClassifier, SGDRegressor
from fusedgrad.neural_network import NeuralClassifier, NeuralRegressor
from sklearn.linear_model import SGDClassifier as TheirSGDClassifier
from sklearn.metrics import log_loss


def rows(n=1000):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 4))
    return X, (X[:, 0] + 0.3 * rng.logistic(size=n) > 0).astype(int)


@pytest.mark.parametrize("kind", [SGDClassifier, TheirSGDClassifier])
def test_scores_are_of_rows_that_were_not_seen(kind):
    X, y = rows()
    weight = np.random.default_rng(1).random(len(X))
    model, other = kind("log_loss", random_state=0), kind("log_loss", random_state=0)
    found = progressive_validation(model, Array(X, y, weight, group=300), classes=[0, 1], scoring="neg_log_loss")
    expected = [np.nan]
    for k in (0, 300, 600, 900):
        part = slice(k, k + 300)
        if k:
            expected.append(-log_loss(y[part], other.predict_proba(X[part]), sample_weight=weight[part]))
        other.partial_fit(X[part], y[part], classes=[0, 1], sample_weight=weight[part])
    np.testing.assert_allclose(found.scores, expected, rtol=1e-12)
    np.testing.assert_array_equal(model.coef_, other.coef_)
    assert found.rows.tolist() == [300, 300, 300, 100]
    assert found.mean == pytest.approx((found.scores[1:] * [300, 300, 100]).sum() / 700)


@pytest.mark.parametrize("kind", [SGDRegressor, NeuralRegressor])
def test_a_fitted_model_is_scored_from_the_first_block_on(kind):
    X, _ = rows()
    model = kind(batch_size=32, random_state=0)
    source = Array(X, X[:, 0], group=500)
    assert np.isnan(progressive_validation(model, source).scores[0])
    assert progressive_validation(model, source).scores[0] > 0.5


def test_a_scorer_may_be_a_function():
    X, y = rows()
    found = progressive_validation(
        SGDClassifier(random_state=0), Array(X, y, group=400), classes=[0, 1], scoring=lambda model, X, y: len(X)
    )
    np.testing.assert_array_equal(found.scores, [np.nan, 400, 200])


def test_nothing_is_known_without_a_second_block():
    X, y = rows()
    assert np.isnan(progressive_validation(SGDClassifier(random_state=0), Array(X, y), classes=[0, 1]).mean)


def test_what_is_no_source_or_has_no_targets_is_an_error():
    X, _ = rows()
    with pytest.raises(TypeError, match="must be a source of rows"):
        progressive_validation(SGDClassifier(), X)
    with pytest.raises(ValueError, match="has no targets"):
        progressive_validation(SGDClassifier(), Array(X))


@pytest.mark.parametrize("kind", [SGDClassifier, NeuralClassifier])
def test_classes_may_appear_late(kind):
    X, _ = rows()
    y = np.sort(np.arange(len(X)) % 4)
    y = np.array(["ant", "bee", "cat", "dog"])[np.where(np.arange(len(X)) % 10 < 8, y, 0)]
    model, other = kind(batch_size=16, random_state=0), kind(batch_size=16, random_state=0)
    found = progressive_validation(model, Array(X, y, group=125), classes="grow")
    expected = []
    for k in range(0, len(X), 125):
        part = slice(k, k + 125)
        expected.append(other.score(X[part], y[part]) if k else np.nan)
        other.partial_fit(X[part], y[part], classes="grow")
    np.testing.assert_array_equal(found.scores, expected)
    assert model.classes_.tolist() == ["ant", "bee", "cat", "dog"]
    assert found.scores[1] == 1.0  # one class so far
    assert (found.scores[[2, 4, 6]] <= 0.25).all()  # most rows are of a class that is new
    assert np.isfinite(found.mean)
