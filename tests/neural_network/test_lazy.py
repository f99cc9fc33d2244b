"""Parameters that a batch does not touch stand still: rows of an Embedding, columns of a sparse first layer."""

import numpy as np
import pytest
import scipy.sparse as sp
from fusedgrad import optimizers
from fusedgrad.layers import Dense, Embedding, Flatten
from fusedgrad.neural_network import NeuralClassifier
from sklearn.exceptions import ConvergenceWarning

from ..reference.rules import OPTIMIZERS

pytestmark = pytest.mark.filterwarnings("ignore", category=ConvergenceWarning)

CODES, COLUMNS = 300, 200
KINDS = [kind for kind in OPTIMIZERS if kind is not optimizers.ASGD]
every_kind = pytest.mark.parametrize("kind", KINDS)
every_input = pytest.mark.parametrize("sparse", [False, True], ids=["codes", "sparse"])
GOES_ON = (optimizers.Adam, optimizers.AdamW, optimizers.Adamax, optimizers.NAdam, optimizers.RAdam, optimizers.Lion)
RESTS = (optimizers.SGD, optimizers.Adagrad)  # without gradient and penalty they do not move


def batch(rng, sparse, low=0.0, high=1.0):
    """Rows, labels, and which rows of the first array the rows touch, between two shares of all."""
    y = np.arange(24) % 2
    if sparse:
        columns = rng.integers(int(low * COLUMNS), int(high * COLUMNS), size=(24, 5))
        X = sp.csr_array(
            (rng.normal(size=columns.size), columns.ravel(), np.arange(0, columns.size + 1, 5)), shape=(24, COLUMNS)
        )
        X.sum_duplicates()
        return X, y, np.unique(X.indices)
    X = rng.integers(int(low * CODES), int(high * CODES), size=(24, 4))
    return X, y, np.unique(X)


def network(sparse, optimizer, **params):
    layers = [Dense(7, "tanh"), Dense(5)] if sparse else [Embedding(CODES, 3), Flatten(), Dense(5, "tanh")]
    return NeuralClassifier(
        layers, optimizer=optimizer, batch_size=24, shuffle=False, standardize=False, random_state=0, **params
    )


@pytest.mark.parametrize(
    "kind", [kind for kind in KINDS if kind is not optimizers.FTRL]
)  # it makes all weights anew at first
@every_input
@pytest.mark.parametrize("extra", [{}, {"clip_value": 1e-3}, {"clip_norm": 1e-2}], ids=["", "value", "norm"])
def test_two_steps_are_those_of_the_exact_rule_where_the_batch_touches(kind, sparse, extra):
    """After one step from fresh moments nothing untouched has moved by the exact rule, either; in the second it does,
    where the first step had touched."""
    rng = np.random.default_rng(0)
    first, second = batch(rng, sparse), batch(rng, sparse)
    lazy, exact = (network(sparse, kind(lazy=lazy, weight_decay=0.0, **extra), alpha=0.0) for lazy in (True, False))
    for model in (lazy, exact):
        model.partial_fit(*first[:2], classes=[0, 1])
    before = lazy.weights_[0].copy()
    for a, b in zip(lazy.weights_, exact.weights_, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-8)
    for model in (lazy, exact):
        model.partial_fit(*second[:2])
    rests = np.setdiff1d(np.arange(len(before)), second[2])
    np.testing.assert_array_equal(lazy.weights_[0][rests], before[rests])
    np.testing.assert_allclose(lazy.weights_[0][second[2]], exact.weights_[0][second[2]], rtol=1e-5, atol=1e-7)
    for a, b in zip(lazy.weights_[1:], exact.weights_[1:], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)
    once = np.setdiff1d(first[2], second[2])
    if kind in GOES_ON:
        assert np.abs(exact.weights_[0][once] - before[once]).max() > 0


@every_input
@pytest.mark.parametrize("kind", RESTS)
def test_rules_that_rest_without_gradient_and_penalty_lose_nothing_by_it(kind, sparse):
    models = [network(sparse, kind(0.1, lazy=lazy), alpha=0.0) for lazy in (True, False)]
    for model in models:
        rng = np.random.default_rng(1)
        model.partial_fit(*batch(rng, sparse)[:2], classes=[0, 1])
        for _ in range(3):
            model.partial_fit(*batch(rng, sparse)[:2])
    for a, b in zip(*(model.weights_ for model in models), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-9)


@every_kind
@every_input
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_threads_change_no_bit_and_the_penalty_is_that_of_all_weights(kind, sparse, dtype):
    rng = np.random.default_rng(2)
    batches = [batch(rng, sparse) for _ in range(20)]
    X = (sp.vstack if sparse else np.vstack)([X for X, *_ in batches])
    X = X.tocsr().astype(dtype) if sparse else X
    y = np.concatenate([y for _, y, _ in batches])
    models = [
        network(sparse, kind(0.01, lazy=True), alpha=0.1, max_epochs=2, tol=None, n_jobs=n_jobs).fit(X, y)
        for n_jobs in (1, 2)
    ]
    for a, b in zip(*(model.weights_ for model in models), strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(models[0].loss_curve_, models[1].loss_curve_)


def test_the_penalty_of_the_loss_curve_is_that_of_the_weights():
    """One batch an epoch: the curve's value is the loss at the weights before it plus alpha / 2 of their squares."""
    rng = np.random.default_rng(3)
    X, y, _ = batch(rng, sparse=False)
    curves = []
    for alpha in (0.0, 0.5):
        model = network(False, optimizers.Adam(1e-12, lazy=True), alpha=alpha, max_epochs=3, tol=None).fit(X, y)
        curves.append(np.array(model.loss_curve_))
    squares = sum(np.sum(np.square(w, dtype=float)) for w in model.weights_ if w.ndim == 2 and w.shape[0] > 1)
    np.testing.assert_allclose(curves[1] - curves[0], 0.5 * 0.5 * squares, rtol=1e-4)


def test_an_average_is_refused():
    X, y, _ = batch(np.random.default_rng(0), sparse=False)
    model = network(False, optimizers.Adam(lazy=True), average=0.9)
    with pytest.raises(ValueError, match="average=0.9 needs all weights in each step"):
        model.fit(X, y)
