"""What a call of `partial_fit` may cost where weights are many: copies of all weights, counted by their memory."""

import tracemalloc

import numpy as np
import pytest
import scipy.sparse as sp
from fusedgrad.linear_model import SGDClassifier

COLUMNS = 1 << 18


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize(
    "params, copies",
    [
        ({}, 1),
        ({"average": True}, 2),
        ({"batch_size": 64}, 1),
        ({"batch_size": 64, "optimizer": "adam"}, 5),  # the weights, two slots, and the units of steps
        ({"batch_size": 64, "optimizer": "adagrad"}, 4),
    ],
    ids=str,
)
def test_partial_fit_copies_the_weights_of_all_columns_once(params, copies, classes):
    rng = np.random.default_rng(0)
    X = sp.csr_array((rng.random(40), (np.repeat(np.arange(10), 4), rng.integers(0, COLUMNS, 40))), (10, COLUMNS))
    y = np.arange(10) % classes
    model = SGDClassifier("log_loss", random_state=0, n_jobs=1, **params).partial_fit(X, y, classes=np.arange(classes))
    model.partial_fit(X, y)
    tracemalloc.start()
    model.partial_fit(X, y)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    outputs = 1 if classes == 2 else classes
    assert peak / (8 * COLUMNS * outputs) < copies + 0.5
