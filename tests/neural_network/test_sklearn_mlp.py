"""scikit-learn's tests of its networks pass on ours, apart from what is named here with its reason.

`test_stochastic_optimizers.py` and `test_base.py` are about private modules; they run on adapters.
"""

import numpy as np
import pytest
import sklearn
from fusedgrad.neural_network import MLPClassifier, MLPRegressor
from scipy.special import expit, log_expit, log_softmax, softmax
from sklearn.utils.fixes import parse_version

from .. import sklearn_suite

if parse_version(sklearn.__version__) < parse_version("1.9"):
    pytest.skip("the suite is that of scikit-learn 1.9", allow_module_level=True)

FOLDER = "sklearn.neural_network.tests."
LEFT_OUT = {
    "test_gradient": "calls the private _loss_grad_lbfgs; gradients are compared with finite differences elsewhere",
    "test_learning_rate_warmstart": "reads the rate of the next epoch from the private _optimizer, where ours has that "
    "of the last step; the rates of warm starts are in test_mlp_parity.py",
    "test_preserve_feature_names": "trains a classifier on one class, which is an error here; names are kept in "
    "test_neural_inputs.py",
    "test_early_stopping_stratified": "refuses to split a class of one row, which ours trains on; see "
    "test_neural_inputs.py",
}

_names = {
    **sklearn_suite.load(
        FOLDER + "test_stochastic_optimizers",
        {
            "from sklearn.neural_network._stochastic_optimizers import (\n"
            "    AdamOptimizer,\n    BaseOptimizer,\n    SGDOptimizer,\n)\n": "\n",
            "from sklearn.utils._testing import assert_array_equal\n": "\n",
            "np.arange(0.995, 1.0, 0.001)": "np.arange(0.995, 0.9995, 0.001)",  # which ends at 1, and betas are below
        },
        sklearn_suite.stochastic_optimizers(),
    ),
    **sklearn_suite.load(
        FOLDER + "test_base",
        {"from sklearn.neural_network._base import binary_log_loss, log_loss, poisson_loss\n": "\n"},
        sklearn_suite.network_losses(),
    ),
    **sklearn_suite.load(
        FOLDER + "test_mlp",
        {"from sklearn.neural_network import MLPClassifier, MLPRegressor\n": "\n"},
        sklearn_suite.neural_network(),
    ),
}
for _name, _test in _names.items():
    if _name.startswith("test_"):
        if _name in LEFT_OUT:
            _test = pytest.mark.skip(reason=LEFT_OUT[_name])(_test)
        globals()[_name] = _test


def test_nothing_is_left_out_in_vain():
    assert set(LEFT_OUT) <= set(_names)


# ---- losses where probabilities round to 0 and 1 ----


@pytest.mark.parametrize("raw", [40.0, 750.0, 1e6])
@pytest.mark.parametrize("label", [0, 1])
def test_the_loss_of_two_classes_is_exact_where_the_probability_is_one(raw, label):
    rows = np.array([[raw], [-raw], [0.3]])
    assert expit(raw) == 1.0
    found = sklearn_suite.loss_of(MLPClassifier(), rows, np.array([label, 1 - label, 1]))
    expected = -np.mean(log_expit(np.array([raw, raw, 0.3]) * np.where([label, label, True], 1, -1)))
    assert np.isfinite(found)
    np.testing.assert_allclose(found, expected, rtol=1e-8)


@pytest.mark.parametrize("raw", [40.0, 750.0, 1e6])
def test_the_loss_of_several_classes_is_exact_where_the_probability_is_one(raw):
    rows = raw * np.array([[1.0, 0.0, -1.0], [0.0, 1.0, 0.0], [-1.0, -1.0, 0.0]])
    codes = np.array([0, 2, 1])
    assert softmax(rows, axis=1).max() == 1.0
    found = sklearn_suite.loss_of(MLPClassifier(), rows, codes)
    assert np.isfinite(found)
    np.testing.assert_allclose(found, -log_softmax(rows, axis=1)[np.arange(3), codes].mean(), rtol=1e-8)


def test_a_poisson_loss_of_zero_is_zero():
    y = np.array([1.0, 2.0, 5.0])
    assert abs(sklearn_suite.loss_of(MLPRegressor("poisson"), np.log(y)[:, None], y)) < 1e-15
