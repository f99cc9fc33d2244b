"""Streams of one pass."""

import numpy as np
import pytest
from fusedgrad.linear_model import SGDClassifier, SGDRegressor
from fusedgrad.neural_network import MLPClassifier, NeuralClassifier, NeuralRegressor

from .test_fits import assert_same_bits, layered, rows

MODELS = {
    "mini-batches": lambda: SGDClassifier("log_loss", batch_size=8, random_state=0),
    "adam": lambda: SGDClassifier("log_loss", batch_size=8, optimizer="adam", random_state=0),
    "regression": lambda: SGDRegressor(batch_size=8, random_state=0),
    "network": lambda: layered(NeuralClassifier),
    "network of numbers": lambda: layered(NeuralRegressor),
    "perceptron": lambda: MLPClassifier((4,), random_state=0),
}


@pytest.mark.parametrize("name", MODELS)
def test_rows_that_weigh_nothing_are_no_rows(name):
    X = rows()[:200]
    classes = {"classes": [0, 1]} if "Classifier" in type(MODELS[name]()).__name__ else {}
    y = (X[:, 0] > 0).astype(int)
    nothing = np.zeros(100)
    one, other = MODELS[name](), MODELS[name]()
    one.partial_fit(X[:100], y[:100], **classes)
    other.partial_fit(X[:100], y[:100], **classes).partial_fit(X[100:], y[100:], sample_weight=nothing)
    assert_same_bits(other, one)
    assert_same_bits(other.partial_fit(X[100:], y[100:]), one.partial_fit(X[100:], y[100:]))
    first = MODELS[name]().partial_fit(X[:100], y[:100], sample_weight=nothing, **classes)
    assert np.isfinite(first.predict(X)).all()
    assert np.isfinite(first.partial_fit(X, y).predict(X)).all()
