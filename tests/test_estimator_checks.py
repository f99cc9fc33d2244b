"""scikit-learn's own checks of what an estimator must be."""

import pytest
from fusedgrad.linear_model import SGDClassifier, SGDOneClassSVM, SGDRegressor
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
