"""scikit-learn's own checks of what an estimator must be."""

import pytest
from fusedgrad.layers import Dense
from fusedgrad.linear_model import SGDClassifier, SGDClassifierCV, SGDOneClassSVM, SGDRegressor, SGDRegressorCV
from fusedgrad.neural_network import MLPClassifier, MLPRegressor, NeuralClassifier, NeuralRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.estimator_checks import parametrize_with_checks

pytestmark = pytest.mark.filterwarnings("ignore", category=ConvergenceWarning)

REASON = "a weight scales a step, and two steps are not one step of twice the size (scikit-learn marks its own so)"


def expected_failures(estimator):
    return {f"check_sample_weight_equivalence_on_{storage}_data": REASON for storage in ("dense", "sparse")}


@parametrize_with_checks(
    [SGDClassifier(), SGDRegressor(), SGDRegressor(loss="poisson"), SGDOneClassSVM()],
    expected_failed_checks=expected_failures,
)
def test_estimator(estimator, check):
    check(estimator)


@parametrize_with_checks(
    # A weight of two is a row that comes twice, as far as `tol` goes: tol=0 is as far as rounding lets anyone go.
    [
        SGDClassifier("log_loss", optimizer="auto", tol=0, max_iter=100),
        SGDRegressor(optimizer="auto", tol=0, max_iter=100),
    ]
)
def test_solver(estimator, check):
    check(estimator)


@parametrize_with_checks(
    [
        SGDClassifier(optimizer="auto"),
        SGDRegressor("huber", penalty="elasticnet", positive=True, optimizer="auto"),
        SGDRegressor("quantile", penalty="l1", optimizer="auto"),
        SGDClassifier("squared_hinge", optimizer="lbfgs"),
    ],
    expected_failed_checks=expected_failures,  # near the optimum is not at it
)
def test_solver_that_ends_near_the_optimum(estimator, check):
    check(estimator)


def expected_failures_of_grids(estimator):
    # In batches weights of the classifier pass: the rows are one batch. A regressor's solver ends at the optimum.
    steps = estimator.optimizer == "sgd"
    return {} if steps == isinstance(estimator, SGDClassifierCV) else expected_failures(estimator)


@parametrize_with_checks(
    [
        SGDClassifierCV(alphas=2, cv=2, optimizer="sgd", max_iter=100),
        SGDRegressorCV(alphas=2, cv=2, optimizer="sgd"),
        SGDRegressorCV(alphas=2, cv=2, halving=True, optimizer="sgd"),
        SGDClassifierCV(alphas=2, cv=2),
        SGDRegressorCV(alphas=2, cv=2),
        SGDRegressorCV(alphas=2, cv=2, halving=True),
    ],
    expected_failed_checks=expected_failures_of_grids,
)
def test_grid(estimator, check):
    check(estimator)


# One batch, and no strength that counts rows: else a weight of two is not a row that comes twice.
WHOLE = {"batch_size": "full", "alpha": 0.0}


@parametrize_with_checks(
    [
        MLPClassifier(max_iter=100),
        MLPRegressor(max_iter=100),
        NeuralClassifier([Dense(8, "relu")], learning_rate=0.02, max_epochs=60, **WHOLE),
        NeuralRegressor([Dense(8, "relu")], learning_rate=0.02, max_epochs=60, **WHOLE),
    ]
)
def test_network(estimator, check):
    check(estimator)
